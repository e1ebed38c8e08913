import os
import pty
import select
import subprocess
import sys
import threading

import pytest
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from acpilot.desktop.stopping import Stop
from conftest import wait_for

pytestmark = pytest.mark.real_time

# Prints "ready" when it listens, and how it was stopped.
WAITER = """
from acpilot.desktop.stopping import Stop

with Stop() as stop:
    print("ready", stop.ways, flush=True)
    while not stop.wait(0.05):
        pass
    print("stopped by", stop.reason, flush=True)
"""


def tap(screen: xdisplay.Display, keysym: int) -> None:
    code = screen.keysym_to_keycode(keysym)
    xtest.fake_input(screen, X.KeyPress, code)
    xtest.fake_input(screen, X.KeyRelease, code)
    screen.sync()


def test_escape_on_the_display_stops_and_other_keys_do_not(display: str) -> None:
    screen = xdisplay.Display(display)
    before = set(threading.enumerate())
    with Stop() as stop:
        assert "Escape in any window" in stop.ways
        tap(screen, XK.XK_a)
        assert not stop.wait(0.3)
        tap(screen, XK.XK_Escape)
        wait_for(lambda: stop.wait(0.05), "the stop key")
        assert stop.reason == "Escape"
    screen.close()
    assert set(threading.enumerate()) <= before, "nothing goes on listening"


def test_a_key_that_becomes_escape_while_it_is_listened_for_stops(screen: xdisplay.Display) -> None:
    """As ``setxkbmap -option caps:escape`` does it."""
    lock = screen.keysym_to_keycode(XK.XK_Caps_Lock)
    before = screen.get_keyboard_mapping(lock, 1)
    with Stop() as stop:
        try:
            screen.change_keyboard_mapping(lock, [(XK.XK_Escape,) * len(before[0])])
            screen.sync()
            xtest.fake_input(screen, X.KeyPress, lock)
            xtest.fake_input(screen, X.KeyRelease, lock)
            screen.sync()
            wait_for(lambda: stop.wait(0.05), "the stop key")
        finally:
            screen.change_keyboard_mapping(lock, before)
            screen.sync()
    assert stop.reason == "Escape"


def test_a_duration_counts_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with Stop(0.2) as stop:
        assert not stop.wait(0.3), "it has not been started"
        stop.start_duration()
        wait_for(lambda: stop.wait(0.05), "the duration")
        assert stop.reason == "the duration of 0.2 s"


def in_a_terminal(typed: list[bytes]) -> str:
    """What the waiter prints on a terminal in which these keys are typed."""
    if sys.platform == "win32":
        pytest.skip("Windows has no openpty")
    main, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{WAITER}"],
        stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    output = b""

    def read(seconds: float) -> None:
        nonlocal output
        while select.select([main], [], [], seconds)[0]:
            try:
                output += os.read(main, 4096)
            except OSError:
                return
            if output.endswith(b"\n") and b"stopped" in output:
                return

    def is_ready() -> bool:
        read(0.05)
        return b"ready" in output

    wait_for(is_ready, "the waiter")
    for keys in typed:
        os.write(main, keys)
        read(0.4)
    if process.poll() is None and b"stopped" not in output:
        os.write(main, b"\x03")
        read(5.0)
    process.wait(timeout=10)
    os.close(main)
    return output.decode()


def test_escape_typed_in_the_terminal_stops() -> None:
    output = in_a_terminal([b"\x1b"])
    assert "Escape in this terminal" in output
    assert "stopped by Escape" in output


def test_an_arrow_key_is_not_escape() -> None:
    assert "stopped by Ctrl-C" in in_a_terminal([b"\x1b[A", b"x"])
