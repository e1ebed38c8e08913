"""Windows on Windows, with the system's own functions."""

import ctypes
import sys
from collections.abc import Sequence
from ctypes import wintypes
from pathlib import PureWindowsPath

from acpilot.desktop.window import Area, Candidate, choose

assert sys.platform == "win32"


_USER = ctypes.WinDLL("user32")
_USER.SetProcessDpiAwarenessContext.argtypes = [ctypes.c_void_p]
_PER_MONITOR_AWARE = ctypes.c_void_p(-4)
_USER.GetForegroundWindow.restype = ctypes.c_void_p
_USER.WindowFromPoint.argtypes, _USER.WindowFromPoint.restype = [wintypes.POINT], ctypes.c_void_p
_USER.GetAncestor.argtypes, _USER.GetAncestor.restype = [ctypes.c_void_p, ctypes.c_uint], ctypes.c_void_p
_ROOT = 2  # GA_ROOT: the window that a part of one belongs to
_KERNEL = ctypes.WinDLL("kernel32")
_KERNEL.OpenProcess.restype = ctypes.c_void_p
_KERNEL.QueryFullProcessImageNameW.argtypes = [
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.LPWSTR,
    ctypes.POINTER(wintypes.DWORD),
]
_KERNEL.CloseHandle.argtypes = [ctypes.c_void_p]
_DWM = ctypes.WinDLL("dwmapi")
_EXTENDED_FRAME_BOUNDS = 9  # DWMWA_EXTENDED_FRAME_BOUNDS
_QUERY_LIMITED_INFORMATION = 0x1000  # which is granted for a game that runs as administrator, too


def _make_dpi_aware() -> None:
    """Ask for true pixels on every monitor; without it, rectangles on scaled ones are not those of the picture."""
    if not _USER.SetProcessDpiAwarenessContext(_PER_MONITOR_AWARE):
        _USER.SetProcessDPIAware()


def find(title: str) -> "Win32Window":
    """See ``acpilot.desktop.window.find_window``."""
    _make_dpi_aware()
    found: list[Candidate[int]] = []

    def visit(handle: int, _: int) -> int:
        window, text = ctypes.c_void_p(handle), ctypes.create_unicode_buffer(256)
        if _USER.IsWindowVisible(window):
            _USER.GetWindowTextW(window, text, 256)
            if text.value:
                area = Win32Window(text.value, handle).client_area()
                pixels = area.width * area.height if area else 0
                found.append(Candidate(text.value, handle, _program(window), pixels))
        return 1

    callback = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(visit)
    _USER.EnumWindows(callback, None)
    chosen = choose(title, found)
    return Win32Window(chosen.title, chosen.handle)


def _program(window: ctypes.c_void_p) -> str:
    """File name of the program that shows a window; empty when Windows does not tell."""
    process, size = wintypes.DWORD(), wintypes.DWORD(1024)
    path = ctypes.create_unicode_buffer(size.value)
    _USER.GetWindowThreadProcessId(window, ctypes.byref(process))
    handle = _KERNEL.OpenProcess(_QUERY_LIMITED_INFORMATION, False, process.value)
    if not handle:
        return ""
    _KERNEL.QueryFullProcessImageNameW(handle, 0, path, ctypes.byref(size))
    _KERNEL.CloseHandle(handle)
    return PureWindowsPath(path.value).name


def _area(rectangle: wintypes.RECT) -> Area:
    return Area(rectangle.left, rectangle.top, rectangle.right - rectangle.left, rectangle.bottom - rectangle.top)


class Win32Window:
    """A window on Windows."""

    def __init__(self, title: str, handle: int) -> None:
        self.title = title
        self.tells_redraws = False
        self.identifier = handle

    def exists(self) -> bool:
        """Whether the window is still there."""
        return bool(_USER.IsWindow(ctypes.c_void_p(self.identifier)))

    def client_area(self) -> Area | None:
        """Its client area on the screen; None while minimised (Windows then says (-32000, -32000)) or gone."""
        handle = ctypes.c_void_p(self.identifier)
        if _USER.IsIconic(handle):
            return None
        size, origin = wintypes.RECT(), wintypes.POINT(0, 0)
        if not _USER.GetClientRect(handle, ctypes.byref(size)):
            return None
        if not _USER.ClientToScreen(handle, ctypes.byref(origin)):
            return None
        return Area(origin.x, origin.y, size.right, size.bottom)

    def frames(self) -> list[Area]:
        """The whole window on the screen: as it is seen, and with the border that is there for the mouse alone."""
        handle, seen, whole = ctypes.c_void_p(self.identifier), wintypes.RECT(), wintypes.RECT()
        _USER.GetWindowRect(handle, ctypes.byref(whole))
        size = ctypes.sizeof(seen)
        told = _DWM.DwmGetWindowAttribute(handle, _EXTENDED_FRAME_BOUNDS, ctypes.byref(seen), size) == 0
        return [_area(each) for each in ([seen, whole] if told else [whole])]

    def has_focus(self) -> bool:
        """Whether it is in the foreground."""
        return bool(_USER.GetForegroundWindow() == self.identifier)

    def covered_by(self, points: Sequence[tuple[int, int]]) -> str | None:
        """Title of a window in front of it at one of these points; Windows passes over what lets clicks through."""
        for x, y in points:
            front = _USER.GetAncestor(_USER.WindowFromPoint(wintypes.POINT(x, y)), _ROOT)
            if front and front != self.identifier:
                text = ctypes.create_unicode_buffer(256)
                _USER.GetWindowTextW(ctypes.c_void_p(front), text, 256)
                return text.value or "another window"
        return None

    def wait_for_redraw(self, timeout: float) -> int | None:  # noqa: ARG002 - the desktop does not tell
        """Windows does not tell of redraws."""
        return None

    def close(self) -> None:
        """Nothing is held."""
