/* Stands in for the game on Windows: publishes its three named mappings, and shows a window with four colours and a
   black line that moves. Told on standard input, a line each: move X Y, resize WIDTH HEIGHT, minimise, restore, freeze
   (pages and picture stand still), go, close. Answers each with "done". Given a title, it is only a window that has it.
   x86_64-w64-mingw32-gcc -O2 -mwindows -o game.exe game.c -lgdi32 */
#include <windows.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 640
#define HEIGHT 360
#define LIVE 2

#pragma pack(push, 4)
typedef struct { int packet_id; float gas, brake, fuel; int gear, rpm; float steer_angle, speed_kmh; } Physics;
typedef struct { int packet_id, status; } Graphics;
#pragma pack(pop)

static HWND window;
static volatile int frozen, step;

static void *page(const char *name)
{
    HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 2048, name);
    if (!mapping) { printf("no mapping %s: %lu\n", name, GetLastError()); exit(1); }
    return MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 2048);
}

static DWORD WINAPI publish(void *unused)
{
    Physics *physics = page("acpmf_physics");
    Graphics *graphics = page("acpmf_graphics");
    char *fixed = page("acpmf_static");
    wcscpy((wchar_t *)(fixed + 68), L"stand_in_car");
    wcscpy((wchar_t *)(fixed + 134), L"stand_in_track");
    graphics->status = LIVE;
    physics->gas = 0.5f; physics->brake = 0.25f; physics->gear = 3; physics->rpm = 6000;
    physics->steer_angle = -0.125f; physics->speed_kmh = 123.5f;
    for (;;) {
        Sleep(3);
        if (!frozen) { physics->packet_id++; graphics->packet_id++; }
    }
}

static DWORD WINAPI obey(void *unused)
{
    char line[128];
    int x, y;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "move %d %d", &x, &y) == 2) SetWindowPos(window, 0, x, y, 0, 0, SWP_NOSIZE | SWP_NOZORDER);
        else if (sscanf(line, "resize %d %d", &x, &y) == 2) SetWindowPos(window, 0, 0, 0, x, y, SWP_NOMOVE | SWP_NOZORDER);
        else if (!strncmp(line, "minimise", 8)) ShowWindow(window, SW_MINIMIZE);
        else if (!strncmp(line, "restore", 7)) ShowWindow(window, SW_RESTORE);
        else if (!strncmp(line, "freeze", 6)) frozen = 1;
        else if (!strncmp(line, "go", 2)) frozen = 0;
        printf("done\n");
        fflush(stdout);
        if (!strncmp(line, "close", 5)) break;
    }
    PostMessageA(window, WM_CLOSE, 0, 0);
    return 0;
}

static void draw(HDC context, RECT area)
{
    int x = area.right / 2, y = area.bottom / 2, line = step % area.right;
    RECT quarters[5] = {{0, 0, x, y}, {x, 0, area.right, y}, {0, y, x, area.bottom}, {x, y, area.right, area.bottom},
                        {line, 0, line + 4, area.bottom}};
    COLORREF colours[5] = {RGB(200, 10, 20), RGB(10, 200, 30), RGB(20, 30, 200), RGB(200, 200, 40), RGB(0, 0, 0)};
    for (int i = 0; i < 5; i++) {
        HBRUSH brush = CreateSolidBrush(colours[i]);
        FillRect(context, &quarters[i], brush);
        DeleteObject(brush);
    }
}

static LRESULT CALLBACK answer(HWND handle, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_TIMER && !frozen) { step += 5; InvalidateRect(handle, NULL, FALSE); return 0; }
    if (message == WM_PAINT) {
        PAINTSTRUCT paint;
        RECT area;
        HDC context = BeginPaint(handle, &paint);
        GetClientRect(handle, &area);
        if (area.right) draw(context, area);
        EndPaint(handle, &paint);
        return 0;
    }
    if (message == WM_DESTROY) { PostQuitMessage(0); return 0; }
    return DefWindowProcA(handle, message, w, l);
}

int WINAPI WinMain(HINSTANCE instance, HINSTANCE before, LPSTR command, int show)
{
    WNDCLASSA kind = {0};
    RECT area = {0, 0, WIDTH, HEIGHT};
    MSG message;
    kind.lpfnWndProc = answer; kind.hInstance = instance; kind.lpszClassName = "acsW";
    RegisterClassA(&kind);
    AdjustWindowRect(&area, WS_OVERLAPPEDWINDOW, FALSE);
    window = CreateWindowA("acsW", *command ? command : "Assetto Corsa", WS_OVERLAPPEDWINDOW | WS_VISIBLE, 100, 80, area.right - area.left,
                           area.bottom - area.top, 0, 0, instance, 0);
    SetTimer(window, 1, 20, NULL);
    if (!*command) CreateThread(0, 0, publish, 0, 0, 0);
    CreateThread(0, 0, obey, 0, 0, 0);
    while (GetMessageA(&message, 0, 0, 0) > 0) { TranslateMessage(&message); DispatchMessageA(&message); }
    return 0;
}
