"""Which speed a driver wanted, as far as the drive tells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.learning.grip import Grip
from acpilot.learning.wanted_speed import fastest, other_speeds, wanted_speeds

GRIP = Grip(sideways=10.0, lateral=10.0, throttle=np.ones(20), turning_radius=5.0)


def drive_through_a_bend() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, speed and controls, ten a second: full throttle, braking, a bend, and out of it."""
    time = np.arange(100) / 10
    speed = np.interp(time, [0, 4, 6, 8, 10], [60, 120, 60, 60, 90])
    controls = np.zeros((100, 3))
    controls[60:85, 0] = 0.1
    controls[:40, 1], controls[80:, 1] = 1, 0.7
    controls[40:60, 2] = 0.5
    controls[60:80, 1] = 0.3
    return time, speed, controls


def test_a_driver_who_gains_speed_would_have_borne_more_but_for_what_comes() -> None:
    time, speed, controls = drive_through_a_bend()
    limit = fastest([np.arange(100)], time, speed, controls, GRIP)
    assert (limit >= speed).all()
    assert limit[41:79] == pytest.approx(speed[41:79]), "where the speed was not gained, it was right"
    assert limit[20] > speed[20] + 40, "in the middle of the straight"
    assert np.all(np.diff(limit[10:34]) < 0), "the nearer the bend, the less"
    assert speed[81] + 0.5 < limit[81] < 70, "as much as the bend allows while it is not over"
    assert limit[-1] == speed[-1], "what comes after the last picture is not known"


def test_what_comes_after_a_gap_says_nothing() -> None:
    time, speed, controls = drive_through_a_bend()
    whole, cut = ([np.arange(100)], [np.arange(30), np.arange(30, 100)])
    limits = [fastest(runs, time, speed, controls, GRIP) for runs in (whole, cut)]
    assert limits[1][29] == speed[29] < limits[0][29]
    assert (limits[1][30:] == limits[0][30:]).all()
    assert fastest([], time, speed, controls, GRIP).tolist() == speed.tolist()


def test_full_throttle_shows_that_the_tyres_bore_it() -> None:
    """A fast bend, taken with the throttle full, is no reason to brake."""
    time, speed = np.arange(200) / 10, np.linspace(90, 130, 200)
    controls = np.tile([0.05, 1.0, 0.0], (200, 1))
    part_throttle = np.tile([0.05, 0.5, 0.0], (200, 1))
    limits = [fastest([np.arange(200)], time, speed, each, GRIP)[0] for each in (controls, part_throttle)]
    assert limits == pytest.approx([3.6 * np.sqrt(10 * 5 / 0.05), 3.6 * np.sqrt(7 * 5 / 0.05)])


@given(st.floats(20, 300, width=32), st.floats(0, 100, width=32), st.floats(-1, 1, width=32))
def test_pedals_that_lead_to_the_wanted_speed_are_the_drivers(speed: float, spare: float, push: float) -> None:
    pedals = np.array([[max(push, 0), max(-push, 0)], [0, 0]])
    driven, limit = np.array([speed, 1000.0]), np.array([speed + spare, np.nan])
    low, high = wanted_speeds(driven, limit, pedals, 10.0)[0]
    assert low == high
    at_limit = (low - limit[0]) / 10
    assert at_limit == pytest.approx(push if push < 0 else push / (1 + push), abs=1e-4)
    assert wanted_speeds(driven[:1], limit[:1], pedals[:1], 10.0)[0, 1] == (np.inf if low >= speed else high)


def test_of_somebody_elses_drive_the_answers_tell_the_wanted_speed() -> None:
    """Whoever presses a pedal in a bend, where tyres leave little for it, may want far more speed, or far less."""
    pedals = np.array([[1, 0], [0.5, 0], [0.2, 0], [0, 0.5], [0, 1], [0, 0]])
    driven, nothing = np.array([80, 80, 80, 80, 80, 200.0]), np.full(6, np.nan)
    wanted = wanted_speeds(driven, nothing, pedals, 10.0)[:5]
    assert wanted.tolist() == [[90, np.inf], [85, np.inf], [82, np.inf], [-np.inf, 75], [-np.inf, 70]]


@given(st.floats(0, 300, width=32), st.floats(1, 200), st.integers(0, 2**32))
def test_other_speeds_are_lower_and_higher(speed: float, shift: float, seed: int) -> None:
    driven = np.full(400, speed, np.float32)
    other = other_speeds(driven, shift, np.random.default_rng(seed))
    assert other.dtype == np.float32
    assert (other >= 0).all()
    assert (other <= driven + shift + 0.001).all()
    assert ((other >= driven - shift - 0.001) | (other <= 20)).all()
    assert 100 < (other > driven).sum() < 300
    assert (other_speeds(driven, 0, np.random.default_rng(seed)) == driven).all()


def test_wherever_it_stands_a_car_is_to_drive_off() -> None:
    other = other_speeds(np.full(2000, 150, np.float32), 60, np.random.default_rng(0))
    assert 50 < (other <= 20).sum() < 150, "one in twenty"
