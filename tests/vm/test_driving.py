"""acpilot drive moves a real gamepad of the kernel's by what a window shows: run with "make test-vm"."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import evdev
import pytest
from Xlib import display as xdisplay

from conftest import display, running, wait_for  # noqa: F401 - a fixture
from test_xbox_gamepad import (
    AXES,
    ENDS,
    gamepads,
    keyboard,  # noqa: F401 - a fixture
    last,
    moves_until_it_is_gone,
    press_escape,
    wait_for_gamepad,
)

Paint = Callable[[float, float, float], None]
# Emulated, a decision takes its time: few of them, and patience.
FLAGS = ("drive", "--model", "colours:colours", "--no-telemetry", "--grace-ms", "2000")
COLOURS = """
from acpilot.policy.policy import Command

class Colours:
    name, rate, needs_speed = "colours", 5.0, False

    def band(self, width, height):
        return width // 2, height // 2, 8, 8

    def drive(self, band, speed_kmh):
        red, green, blue = band[0, 0] / 255
        return Command(2 * red - 1, green, blue)

    def reset(self):
        pass

def colours(): return Colours()
"""


@pytest.fixture
def paint(display: str, tmp_path: Path) -> Iterator[Paint]:  # noqa: F811
    """Shows a steering, throttle and brake as the colour of a window, which the policy drives by."""
    (tmp_path / "colours.py").write_text(COLOURS, encoding="utf-8")
    screen = xdisplay.Display(display)
    root, depth = screen.screen().root, screen.screen().root_depth
    window = root.create_window(10, 10, 400, 200, 0, depth, background_pixel=0x800000)
    window.set_wm_name("Assetto Corsa")
    window.map()

    def show(steering: float, throttle: float, brake: float) -> None:
        red, green, blue = (round(255 * share) for share in ((1 + steering) / 2, throttle, brake))
        window.change_attributes(background_pixel=red << 16 | green << 8 | blue)
        window.clear_area()
        screen.sync()

    show(0, 0, 0)
    yield show
    screen.close()


def wait_until_it_stands_at(device: evdev.InputDevice[str], *wanted: float) -> None:
    def stands() -> bool:
        found = {name: device.absinfo(code).value / ENDS[name] for code, name in AXES.items()}
        return list(found.values()) == pytest.approx(wanted, abs=0.01)

    wait_for(stands, f"the axes at {wanted}", 150)


def test_the_axes_follow_what_is_seen_and_escape_leaves_them_at_rest(
    paint: Paint,
    keyboard: evdev.UInput,  # noqa: F811
    tmp_path: Path,
) -> None:
    with running(*FLAGS, folder=tmp_path) as process:
        device = wait_for_gamepad()
        for command in ((0.5, 1, 0), (-1, 0, 0.75), (1, 0.5, 0), (-0.25, 0.6, 0)):
            paint(*command)
            wait_until_it_stands_at(device, *command)
        press_escape(keyboard)
        moves = moves_until_it_is_gone(device)
        output = process.communicate(timeout=150)[0]
    assert process.returncode == 0, output
    assert last(moves) == pytest.approx({"steering": 0, "throttle": 0, "brake": 0}, abs=0.001)
    assert "ended by  Escape" in output
    assert not gamepads()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_however_the_drive_ends_the_gamepad_is_gone(name: str, paint: Paint, tmp_path: Path) -> None:
    with running(*FLAGS, folder=tmp_path) as process:
        device = wait_for_gamepad()
        paint(0.5, 1, 0)
        wait_until_it_stands_at(device, 0.5, 1, 0)
        process.send_signal(signal.Signals[name])
        moves = moves_until_it_is_gone(device)
        output = process.communicate(timeout=150)[0]
    if name == "SIGTERM":
        assert process.returncode == 0, output
        assert last(moves) == pytest.approx({"steering": 0, "throttle": 0}, abs=0.001)
    assert not gamepads()
