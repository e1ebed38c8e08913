/* Stands in for ViGEmClient.dll, by which vgamepad talks to the driver ViGEmBus: the same functions, but what happens is
   written into the file that ACPILOT_TEST_VIGEM_LOG names, a line each. With ACPILOT_TEST_NO_VIGEM_BUS set there is no driver.
   x86_64-w64-mingw32-gcc -O2 -shared -o ViGEmClient.dll vigem_client.c */
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __declspec(dllexport)
#define NO_ERROR_ 0x20000000u
#define BUS_NOT_FOUND 0xE0000001u

typedef struct { unsigned short buttons; unsigned char left_trigger, right_trigger; short left_x, left_y, right_x, right_y; } Report;

static char client[64], target[64];
static int attached;

static void write_line(const char *line)
{
    const char *name = getenv("ACPILOT_TEST_VIGEM_LOG");
    FILE *file = name ? fopen(name, "a") : NULL;
    if (file) { fprintf(file, "%s\n", line); fclose(file); }
}

EXPORT void *vigem_alloc(void) { return client; }
EXPORT void vigem_free(void *c) {}
EXPORT void vigem_disconnect(void *c) {}
EXPORT unsigned vigem_connect(void *c) { return getenv("ACPILOT_TEST_NO_VIGEM_BUS") ? BUS_NOT_FOUND : NO_ERROR_; }
EXPORT void *vigem_target_x360_alloc(void) { return target; }
EXPORT void *vigem_target_ds4_alloc(void) { return target; }
EXPORT void vigem_target_free(void *t) {}
EXPORT unsigned vigem_target_add(void *c, void *t) { attached = 1; write_line("connected"); return NO_ERROR_; }
EXPORT unsigned vigem_target_remove(void *c, void *t) { attached = 0; write_line("disconnected"); return NO_ERROR_; }
EXPORT int vigem_target_is_attached(void *t) { return attached; }
EXPORT void vigem_target_set_vid(void *t, unsigned short v) {}
EXPORT void vigem_target_set_pid(void *t, unsigned short v) {}
EXPORT unsigned short vigem_target_get_vid(void *t) { return 0x45e; }
EXPORT unsigned short vigem_target_get_pid(void *t) { return 0x28e; }
EXPORT unsigned long vigem_target_get_index(void *t) { return 0; }
EXPORT int vigem_target_get_type(void *t) { return 0; }
EXPORT unsigned vigem_target_x360_update(void *c, void *t, Report report)
{
    char line[64];
    sprintf(line, "%d %d %d", report.left_x, report.right_trigger, report.left_trigger);
    write_line(line);
    return NO_ERROR_;
}
EXPORT unsigned vigem_target_ds4_update(void *c, void *t, void *r) { return NO_ERROR_; }
EXPORT unsigned vigem_target_ds4_update_ex_ptr(void *c, void *t, void *r) { return NO_ERROR_; }
EXPORT unsigned vigem_target_x360_register_notification(void *c, void *t, void *f, void *u) { return NO_ERROR_; }
EXPORT void vigem_target_x360_unregister_notification(void *t) {}
EXPORT unsigned vigem_target_ds4_register_notification(void *c, void *t, void *f, void *u) { return NO_ERROR_; }
EXPORT void vigem_target_ds4_unregister_notification(void *t) {}
EXPORT unsigned vigem_target_x360_get_user_index(void *c, void *t, unsigned long *i) { *i = 0; return NO_ERROR_; }
