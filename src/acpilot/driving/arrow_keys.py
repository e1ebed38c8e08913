"""The arrow keys, pressed in the game's window: whoever takes over from a policy can drive with them."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from acpilot.desktop.window import Window, WindowNotFoundError, find_window
from acpilot.driving.keyboard import drive_by_keys
from acpilot.errors import AcpilotError
from acpilot.policy.policy import Command

_NAMES = ("arrow_left", "arrow_up", "arrow_right", "arrow_down")
_VK_LEFT, _X_LEFT_KEYSYM = 0x25, 0xFF51  # the others follow in this order
_UNKNOWN_SPEED = 60.0
"""km/h that is assumed: at a higher one the wheel may be turned less far."""


class ArrowKeys:
    """See ``Device``. They count while the game's window has the focus: elsewhere they are for other programs."""

    name = "an arrow key"

    def __init__(self, title: str) -> None:
        """Begin to look at the keyboard.

        Args:
            title: of the game's window, which need not be there yet.

        Raises:
            AcpilotError: the keyboard cannot be seen here.
        """
        self._title = title
        self._held: frozenset[str] = frozenset()
        self._window: Window | None = None
        self._look, self._end = _keys()

    def is_in_use(self) -> bool:
        """See ``Device``."""
        held = self._look()
        if held and not self._held:  # the game may have another window by now
            self._find_window()
        focused = held and self._window is not None and self._window.has_focus()
        self._held = held if focused else frozenset()
        return bool(self._held)

    def drive(self, last: Command, speed_kmh: float | None, seconds: float) -> Command:
        """See ``Device``."""
        return drive_by_keys(self._held, last, _UNKNOWN_SPEED if speed_kmh is None else speed_kmh, seconds)

    def _find_window(self) -> None:
        self._leave_window()
        with suppress(WindowNotFoundError):
            self._window = find_window(self._title)

    def _leave_window(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def close(self) -> None:
        """Let go of the display; may be called twice."""
        self._leave_window()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Keys = tuple[Callable[[], frozenset[str]], Callable[[], None]]
"""Tells which arrow keys are down now; ends that."""


def _keys() -> Keys:
    if sys.platform == "win32":
        import ctypes

        state = ctypes.WinDLL("user32").GetAsyncKeyState
        state.restype = ctypes.c_short
        numbers = {name: _VK_LEFT + place for place, name in enumerate(_NAMES)}
        # The highest bit: down now.
        return lambda: frozenset(name for name, number in numbers.items() if state(number) < 0), lambda: None

    from Xlib import display, error

    try:
        connection = display.Display()
    except (error.DisplayError, OSError):
        where = os.environ.get("DISPLAY") or "there is none"
        raise AcpilotError(f"--takeover keys needs an X display ({where}): on Linux the keys are seen there") from None
    codes = {name: connection.keysym_to_keycode(_X_LEFT_KEYSYM + place) for place, name in enumerate(_NAMES)}

    def look() -> frozenset[str]:
        try:
            down = connection.query_keymap()  # a bit for each key
        except error.ConnectionClosedError:
            raise AcpilotError("the display has gone, and its keys with it") from None
        return frozenset(name for name, code in codes.items() if down[code // 8] >> code % 8 & 1)

    def end() -> None:
        with suppress(error.ConnectionClosedError):
            connection.close()

    return look, end
