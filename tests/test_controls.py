"""What a policy commands → what the gamepad is given."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.driving.controls import Controls
from acpilot.driving.settings import DriveSettings
from acpilot.policy.policy import Command

COMMANDS = st.builds(Command, st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
MOMENTS = st.lists(st.tuples(COMMANDS, st.floats(0, 0.5), st.none() | st.floats(0, 300)), min_size=1, max_size=12)
RATES = st.none() | st.floats(0.1, 50)
SETTINGS = st.builds(
    DriveSettings, assist=st.sampled_from(["both", "steering", "pedals"]), steering_offset=st.floats(-1, 1),
    dead_zone=st.floats(0, 0.9), steering_gamma=st.floats(0.1, 10), steering_gain=st.floats(0.01, 100),
    steering_rate=RATES, pedal_rate=RATES, speed_limit=st.none() | st.floats(1, 300),
)  # fmt: skip


def shaped(command: Command, **settings: Any) -> Command:
    return Controls(DriveSettings(**settings)).shape(command, 1.0, 50.0)


@given(SETTINGS, MOMENTS)
def test_whatever_is_commanded_the_gamepad_stays_within_its_bounds(settings: DriveSettings, moments: Any) -> None:
    controls, last = Controls(settings), Command(0, 0, 0)
    for command, seconds, speed in moments:
        given = controls.shape(command, seconds, speed)
        assert -1 <= given.steering <= 1
        assert 0 <= given.throttle <= 1
        assert 0 <= given.brake <= 1
        assert not (given.throttle and given.brake)
        if settings.assist == "pedals":
            assert given.steering == 0
        if settings.assist == "steering":
            assert given[1:] == (0, 0)
        if settings.steering_rate is not None:
            assert abs(given.steering - last.steering) <= settings.steering_rate * seconds + 1e-9
        if settings.pedal_rate is not None:
            assert given.throttle - last.throttle <= settings.pedal_rate * seconds + 1e-9
            assert given.brake - last.brake <= settings.pedal_rate * seconds + 1e-9
        if settings.speed_limit is not None and (speed is None or speed >= settings.speed_limit):
            assert given.throttle == 0
        last = given


@given(COMMANDS, st.floats(0, 1), st.floats(0, 300))
def test_by_default_all_passes_but_the_smaller_pedal(command: Command, seconds: float, speed: float) -> None:
    given = Controls(DriveSettings()).shape(command, seconds, speed)
    assert given.steering == pytest.approx(command.steering)
    if command.throttle > command.brake:
        assert given[1:] == (command.throttle, 0)
    else:
        assert given[1:] == (0, command.brake)


@given(SETTINGS, COMMANDS)
def test_left_is_treated_as_right(settings: DriveSettings, command: Command) -> None:
    settings = replace(settings, steering_offset=0.0)
    right = Controls(settings).shape(command, 1.0, 50.0).steering
    assert Controls(settings).shape(command._replace(steering=-command.steering), 1.0, 50.0).steering == -right


def test_each_setting_does_what_it_says() -> None:
    command = Command(0.5, 0.8, 0.3)
    assert shaped(command, steering_gain=1.5).steering == pytest.approx(0.75)
    assert shaped(command, steering_gain=3.0).steering == 1
    assert shaped(command, steering_gamma=2.0).steering == pytest.approx(0.25)
    assert shaped(command, steering_offset=-0.1).steering == pytest.approx(0.4)
    assert shaped(command, dead_zone=0.5).steering == 0
    assert shaped(command, dead_zone=0.25).steering == pytest.approx(1 / 3)
    assert shaped(command, steering_rate=0.2).steering == pytest.approx(0.2)
    assert shaped(command, pedal_rate=0.5) == (0.5, 0.5, 0)
    assert shaped(command, speed_limit=52.0).throttle == pytest.approx(0.4)
    assert shaped(command, speed_limit=40.0)[1:] == (0, 0)
    assert shaped(Command(0.5, 0.3, 0.8), speed_limit=40.0).brake == 0.8


def test_after_a_rest_the_controls_move_from_rest() -> None:
    controls = Controls(DriveSettings(steering_rate=1.0))
    assert controls.shape(Command(1, 0, 0), 0.5, None).steering == 0.5
    assert controls.shape(Command(1, 0, 0), 0.5, None).steering == 1
    controls.reset()
    assert controls.shape(Command(1, 0, 0), 0.25, None).steering == 0.25
