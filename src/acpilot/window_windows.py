"""Windows on Windows, with the system's own functions."""

import ctypes
import sys
from ctypes import wintypes

from acpilot.window import Area, choose

assert sys.platform == "win32"


def make_dpi_aware() -> None:
    """Ask Windows for true pixels; without it, rectangles on scaled displays are of another size than the picture."""
    ctypes.WinDLL("user32").SetProcessDPIAware()


def find(title: str) -> "Win32Window":
    """See ``acpilot.window.find_window``."""
    make_dpi_aware()
    user = ctypes.WinDLL("user32")
    found: list[tuple[str, int, int]] = []

    def visit(handle: int, _: int) -> int:
        if user.IsWindowVisible(ctypes.c_void_p(handle)):
            text = ctypes.create_unicode_buffer(256)
            user.GetWindowTextW(ctypes.c_void_p(handle), text, 256)
            if text.value:
                area = Win32Window(text.value, handle).client_area()
                found.append((text.value, area.width * area.height if area else 0, handle))
        return 1

    callback = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(visit)
    user.EnumWindows(callback, None)
    return Win32Window(*choose(title, found))


class Win32Window:
    """A window on Windows."""

    def __init__(self, title: str, handle: int) -> None:
        self.title = title
        self.identifier = handle

    def exists(self) -> bool:
        """Whether the window is still there."""
        return bool(ctypes.WinDLL("user32").IsWindow(ctypes.c_void_p(self.identifier)))

    def client_area(self) -> Area | None:
        """Its client area on the screen; None while minimised (Windows then says (-32000, -32000)) or gone."""
        user, handle = ctypes.WinDLL("user32"), ctypes.c_void_p(self.identifier)
        if user.IsIconic(handle):
            return None
        size, origin = wintypes.RECT(), wintypes.POINT(0, 0)
        if not user.GetClientRect(handle, ctypes.byref(size)) or not user.ClientToScreen(handle, ctypes.byref(origin)):
            return None
        return Area(origin.x, origin.y, size.right, size.bottom)

    def wait_for_redraw(self, timeout: float) -> int | None:  # noqa: ARG002 - the desktop does not tell
        """Windows does not tell of redraws."""
        return None

    def close(self) -> None:
        """Nothing is held."""
