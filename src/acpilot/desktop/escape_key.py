"""Escape pressed anywhere: on the display, on Windows, in the terminal, on the keyboards themselves.

Each watch listens in a thread until ``closing`` is set, leaves its clean-up on the stack, and returns how Escape can
be pressed for it (for people), or None where it does not work.
"""

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

Pressed = Callable[[], None]

_VK_ESCAPE = 0x1B
_X_ESCAPE_KEYSYM = 0xFF1B
_EVDEV_ESCAPE = 1
_POLL = 0.02


def _start(name: str, work: Any, stack: ExitStack) -> None:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    stack.callback(thread.join, 1.0)


def _watch_x11(pressed: Pressed, _: threading.Event, stack: ExitStack) -> str | None:
    """Escape on an X display, whichever window has the focus, through the RECORD extension."""
    if sys.platform != "linux" or not os.environ.get("DISPLAY"):
        return None
    from Xlib import X, display, error
    from Xlib.ext import record
    from Xlib.protocol import rq

    try:
        control, data = display.Display(), display.Display()
    except (error.DisplayError, OSError):
        return None
    if not data.has_extension("RECORD"):
        control.close()
        data.close()
        return None
    ranges = {
        "core_requests": (0, 0), "core_replies": (0, 0), "ext_requests": (0, 0, 0, 0), "ext_replies": (0, 0, 0, 0),
        "delivered_events": (0, 0), "device_events": (X.KeyPress, X.KeyPress), "errors": (0, 0),
        "client_started": False, "client_died": False,
    }  # fmt: skip
    context = data.record_create_context(0, [record.AllClients], [ranges])

    def on_events(reply: Any) -> None:
        if reply.category != record.FromServer or reply.client_swapped:
            return
        rest = reply.data
        while rest:
            event, rest = rq.EventField(None).parse_binary_value(rest, data.display, None, None)
            if event.type == X.KeyPress and is_escape(event.detail):
                pressed()

    def is_escape(key: int) -> bool:
        """Whether a key, without modifiers, is Escape now: keys can be remapped at any time, so the server is asked."""
        (symbols,) = control.get_keyboard_mapping(key, 1)
        return _X_ESCAPE_KEYSYM in symbols[0:3:2]  # of its two groups

    def listen() -> None:
        with suppress(error.ConnectionClosedError):  # the display has gone, and its keys with it
            data.record_enable_context(context, on_events)  # returns when the context is disabled
            data.record_free_context(context)
            data.close()

    def end() -> None:
        with suppress(error.ConnectionClosedError):
            control.record_disable_context(context)
            control.sync()
            control.close()

    _start("escape on the display", listen, stack)
    stack.callback(end)
    return "Escape in any window"


def _watch_windows(pressed: Pressed, closing: threading.Event, stack: ExitStack) -> str | None:
    """Escape on Windows, whichever window has the focus."""
    if sys.platform != "win32":
        return None
    import ctypes

    state = ctypes.WinDLL("user32").GetAsyncKeyState
    state.restype = ctypes.c_short
    state(_VK_ESCAPE)  # forget what was pressed before

    def poll() -> None:
        while not closing.wait(_POLL):
            if state(_VK_ESCAPE):  # down now, or pressed since the last look
                pressed()

    _start("escape on the keyboard", poll, stack)
    return "Escape in any window"


def _watch_terminal(pressed: Pressed, closing: threading.Event, stack: ExitStack) -> str | None:
    """Escape typed in the terminal (on Windows the keyboard itself is watched)."""
    if sys.platform == "win32" or not sys.stdin or sys.stdin.closed or not sys.stdin.isatty():
        return None
    import termios
    import tty

    terminal = sys.stdin.fileno()
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            return None  # in the background: touching the terminal would stop us
        before = termios.tcgetattr(terminal)
        tty.setcbreak(terminal)
    except (OSError, termios.error):
        return None  # a terminal, but not the one that controls us
    stack.callback(termios.tcsetattr, terminal, termios.TCSADRAIN, before)

    def poll() -> None:
        while not closing.is_set():
            if not select.select([terminal], [], [], _POLL)[0]:
                continue
            try:
                typed = os.read(terminal, 64)
            except OSError:
                return  # it has gone
            if not typed:
                return
            # An arrow key begins with the Escape character too; only what follows within 20 ms tells them apart.
            if typed.endswith(b"\x1b") and not select.select([terminal], [], [], 0.02)[0]:
                pressed()

    _start("escape in the terminal", poll, stack)
    return "Escape in this terminal"


def _keyboards(evdev: Any) -> list[Any]:
    """The input devices that this user may read and that have an Escape key."""
    keyboards = []
    for path in evdev.list_devices():
        try:
            device = evdev.InputDevice(path)
        except OSError:
            continue
        if _EVDEV_ESCAPE in device.capabilities().get(evdev.ecodes.EV_KEY, []):
            keyboards.append(device)
        else:
            device.close()
    return keyboards


def _watch_input_devices(pressed: Pressed, closing: threading.Event, stack: ExitStack) -> str | None:
    """Escape on the keyboards themselves: works under Wayland, for users in the group "input"."""
    if sys.platform != "linux":
        return None
    try:
        import evdev
    except ImportError:
        return None
    keyboards = _keyboards(evdev)
    if not keyboards:
        return None

    def poll() -> None:
        while not closing.is_set():
            for device in select.select(keyboards, [], [], _POLL)[0]:
                try:
                    events = list(device.read())
                except OSError:
                    keyboards.remove(device)  # unplugged
                    continue
                if any((e.type, e.code, e.value) == (evdev.ecodes.EV_KEY, _EVDEV_ESCAPE, 1) for e in events):
                    pressed()
            if not keyboards:
                return

    for device in keyboards:
        stack.callback(device.close)
    _start("escape on input devices", poll, stack)
    return "Escape on the keyboard"


WATCHES = (_watch_x11, _watch_windows, _watch_terminal, _watch_input_devices)
