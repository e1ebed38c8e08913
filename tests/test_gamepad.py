"""Gamepads by name, and the command that moves their axes; the real one is tried in tests/vm and tests/wine."""

import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.commands import install_extra
from acpilot.driving.gamepad import GamepadName, clamped, open_gamepad
from acpilot.driving.virtual_gamepad import VirtualGamepadReader
from acpilot.policy.policy import REST, Command
from conftest import acpilot, running, wait_for

VALUES = st.floats(allow_nan=False)
HIDE_VGAMEPAD = "import sys; sys.modules['vgamepad'] = None\n"


@given(VALUES, VALUES, VALUES)
def test_values_beyond_the_ends_stop_there(steering: float, throttle: float, brake: float) -> None:
    state = clamped(steering, throttle, brake)
    for value, wanted, least in zip(state, (steering, throttle, brake), (-1, 0, 0), strict=True):
        assert least <= value <= 1
        assert value in (wanted, least if wanted < least else 1)


@pytest.mark.parametrize("values", [(math.nan, 0, 0), (0, math.nan, 0), (0, 0, math.nan)])
@pytest.mark.parametrize("name", ["virtual", "none"])
def test_what_is_not_a_number_moves_nothing(name: GamepadName, values: tuple[float, float, float], pages: str) -> None:
    reader = VirtualGamepadReader(pages)
    with open_gamepad(name, pages) as gamepad:
        gamepad.set(0.5, 0.25, 0.0)
        before = reader.read()
        with pytest.raises(ValueError, match="no gamepad can be set"):
            gamepad.set(*values)
        assert reader.read() == before
    reader.close()


def test_each_axis_of_the_virtual_gamepad_moves_in_turn(pages: str, tmp_path: Path) -> None:
    reader = VirtualGamepadReader(pages)
    seen: set[Command] = set()

    def brake_was_full() -> bool:
        seen.add(reader.read())
        return max(state.brake for state in seen) > 0.99

    with running("gamepad-test", "--gamepad", "virtual", "--pages", pages, folder=tmp_path) as process:
        wait_for(brake_was_full, "the brake", 30)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    assert "stopped by Ctrl-C" in output.strip().splitlines()[-1]
    assert reader.read() == REST
    reader.close()
    assert all(sum(value != 0 for value in state) <= 1 for state in seen), "one at a time"
    assert min(state.steering for state in seen) < -0.99
    assert max(state.steering for state in seen) > 0.99
    assert max(state.throttle for state in seen) > 0.99
    lines = output.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["steering", "throttle", "brake"]


def test_without_its_package_the_xbox_gamepad_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE_VGAMEPAD)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code, output = acpilot("gamepad-test", folder=tmp_path, environment={"PYTHONPATH": path})
    assert code == 1
    assert output.strip().splitlines()[-1].endswith(install_extra("drive"))
    assert "Traceback" not in output


def test_its_settings_are_read_from_the_environment(pages: str, tmp_path: Path) -> None:
    flags = ("gamepad-test", "--gamepad", "virtual", "--pages", pages, "--duration", "0.1")
    code, output = acpilot(*flags, folder=tmp_path, environment={"ACPILOT_GAMEPAD_TEST_AXIS": "brake"})
    assert code == 0
    assert output.splitlines()[1].startswith("brake")


@pytest.mark.parametrize(
    "flags", [("--gamepad", "wheel"), ("--axis", "clutch"), ("--duration", "0"), ("--pages", "a/b")]
)
def test_values_that_make_no_sense_are_refused(flags: tuple[str, ...], tmp_path: Path) -> None:
    code, output = acpilot("gamepad-test", *flags, folder=tmp_path)
    assert code == 1
    assert "Traceback" not in output
