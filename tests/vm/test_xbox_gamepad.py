"""A real gamepad of the kernel's, read back through evdev: run with "make test-vm", in a machine that has uinput."""

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import evdev
import pytest
from evdev import ecodes

from conftest import acpilot, running, wait_for

AXES = {ecodes.ABS_X: "steering", ecodes.ABS_RZ: "throttle", ecodes.ABS_Z: "brake"}
ENDS = {"steering": 32767, "throttle": 255, "brake": 255}
XBOX_360 = (0x045E, 0x028E)
Moves = list[tuple[str, float]]


def gamepads() -> list[evdev.InputDevice[str]]:
    """The Xbox 360 controllers that programs find now."""
    found = []
    for path in evdev.list_devices():
        device = evdev.InputDevice(path)
        if (device.info.vendor, device.info.product) == XBOX_360:
            found.append(device)
        else:
            device.close()
    return found


def wait_for_gamepad() -> evdev.InputDevice[str]:
    found: list[evdev.InputDevice[str]] = []

    def is_there() -> bool:
        found.extend(gamepads())
        return bool(found)

    wait_for(is_there, "the gamepad", 150)
    (device,) = found
    return device


def moves_until_it_is_gone(device: evdev.InputDevice[str]) -> Moves:
    """Each axis that moved, with its new value: −1..1 or 0..1."""
    moves: Moves = []
    while select.select([device], [], [], 30)[0]:
        try:
            for event in device.read():
                if event.type == ecodes.EV_ABS:
                    axis = AXES[event.code]
                    moves.append((axis, event.value / ENDS[axis]))
        except OSError as error:
            assert error.errno == errno.ENODEV, error
            device.close()
            return moves
    raise AssertionError("the gamepad is still there")


def last(moves: Moves) -> dict[str, float]:
    return dict(moves)


def press_escape(keyboard: evdev.UInput) -> None:
    for pressed in (1, 0):
        keyboard.write(ecodes.EV_KEY, ecodes.KEY_ESC, pressed)
        keyboard.syn()


@pytest.fixture
def keyboard() -> Iterator[evdev.UInput]:
    """A keyboard, as real as the gamepad."""
    with evdev.UInput({ecodes.EV_KEY: list(range(1, 89))}, name="keyboard") as made:
        yield made


def test_each_axis_goes_to_its_ends_and_back_while_the_others_rest(tmp_path: Path) -> None:
    with running("gamepad-test", "--duration", "12.5", folder=tmp_path) as process:
        moves = moves_until_it_is_gone(wait_for_gamepad())
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    order = list(dict.fromkeys(axis for axis, _ in moves))
    assert order == ["steering", "throttle", "brake"]
    values = {axis: [value for moved, value in moves if moved == axis] for axis in order}
    assert values["steering"].index(min(values["steering"])) < values["steering"].index(max(values["steering"]))
    assert min(values["steering"]) < -0.99
    assert max(values["steering"]) > 0.99
    for pedal in ("throttle", "brake"):
        assert min(values[pedal]) == 0
        assert max(values[pedal]) > 0.99
    switches = [axis for (before, _), (axis, _) in pairwise(moves) if axis != before]
    assert len(switches) <= 4, "one at a time, and then steering once more, until it ends"
    assert last(moves) == pytest.approx({"steering": 0, "throttle": 0, "brake": 0}, abs=0.001), "at rest in the end"
    assert "stopped by the duration" in output.strip().splitlines()[-1]


def test_only_the_axis_asked_for_moves(tmp_path: Path) -> None:
    with running("gamepad-test", "--axis", "brake", "--duration", "4", folder=tmp_path):
        moves = moves_until_it_is_gone(wait_for_gamepad())
    assert {axis for axis, _ in moves} == {"brake"}
    assert last(moves) == {"brake": 0}


def test_escape_on_the_keyboard_ends_it_at_rest(keyboard: evdev.UInput, tmp_path: Path) -> None:
    with running("gamepad-test", "--axis", "throttle", folder=tmp_path) as process:
        device = wait_for_gamepad()
        wait_for(lambda: device.absinfo(ecodes.ABS_RZ).value > 100, "the throttle")
        press_escape(keyboard)
        moves = moves_until_it_is_gone(device)
        output = process.communicate(timeout=30)[0]
    assert last(moves) == {"throttle": 0}
    assert "Escape on the keyboard" in output
    assert "stopped by Escape" in output.strip().splitlines()[-1]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_however_it_ends_the_gamepad_is_taken_away(name: str, tmp_path: Path) -> None:
    with running("gamepad-test", folder=tmp_path) as process:
        device = wait_for_gamepad()
        wait_for(lambda: device.absinfo(ecodes.ABS_X).value, "the steering")
        process.send_signal(signal.Signals[name])
        moves_until_it_is_gone(device)
    assert not gamepads()


def test_doctor_finds_all_that_a_gamepad_needs(tmp_path: Path) -> None:
    _, output = acpilot("doctor", folder=tmp_path)
    assert "ok    gamepad" in output


LIBEVDEV = "$(ldconfig -p | sed -n 's/.*libevdev.so.2 .* => //p')"


@pytest.mark.parametrize(
    ("command", "without", "remedy"),
    [
        (
            "doctor",
            "mount -t tmpfs new /dev",
            "/dev/uinput is not there, through which Linux makes gamepads: sudo modprobe uinput",
        ),
        ("gamepad-test", f"mount --bind /dev/null {LIBEVDEV}", "sudo apt install libevdev2"),
        (
            "gamepad-test",
            "chmod 0 /dev/uinput; setpriv --bounding-set=-dac_override",
            "sudo tee /etc/udev/rules.d/60-acpilot.rules",
        ),
    ],
    ids=["uinput", "libevdev", "permission"],
)
def test_what_is_missing_gets_its_remedy(command: str, without: str, remedy: str, tmp_path: Path) -> None:
    separator = " " if "setpriv" in without else "; exec "
    script = f"{without}{separator}{sys.executable} -m acpilot {command}"
    try:
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=150,
            env={**os.environ, "COLUMNS": "400"}, check=False,
        )  # fmt: skip
    finally:
        Path("/dev/uinput").chmod(0o600)
    output = result.stdout + result.stderr
    assert result.returncode == 1, output
    assert remedy in output
    assert "Traceback" not in output
