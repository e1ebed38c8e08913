"""Pictures shown with other speeds than the one driven: which pedals go with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.learning.other_speeds import at_other_speeds, fastest
from acpilot.settings import TrainSettings

SETTINGS = TrainSettings(speed_shift=60, speed_recovery=15)


def drive_through_a_bend() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, speed and controls, ten a second: 4 s of full throttle, 2 s of braking, 2 s around a bend, 2 s out."""
    time = np.arange(100) / 10
    speed = np.interp(time, [0, 4, 6, 8, 10], [60, 120, 60, 60, 90])
    controls = np.zeros((100, 3))
    controls[60:85, 0] = 0.1
    controls[:40, 1] = controls[80:, 1] = 1
    controls[40:60, 2] = 0.5
    controls[60:80, 1] = 0.3
    return time, speed, controls


def test_a_driver_who_gains_speed_would_have_borne_more_but_for_what_comes() -> None:
    time, speed, controls = drive_through_a_bend()
    limit = fastest([np.arange(100)], time, speed, controls, turning_radius=5)
    assert (limit >= speed).all()
    assert limit[41:79] == pytest.approx(speed[41:79]), "where the speed was not gained, it was right"
    assert limit[20] > speed[20] + 40, "in the middle of the straight"
    assert np.all(np.diff(limit[10:34]) < 0), "the nearer the bend, the less"
    assert speed[81] + 0.5 < limit[81] < 70, "as much as the bend allows while it is not over"
    assert limit[-1] == speed[-1], "what comes after the last picture is not known"


def test_what_comes_after_a_gap_says_nothing() -> None:
    time, speed, controls = drive_through_a_bend()
    whole, cut = ([np.arange(100)], [np.arange(30), np.arange(30, 100)])
    limits = [fastest(runs, time, speed, controls, turning_radius=5) for runs in (whole, cut)]
    assert limits[1][29] == speed[29] < limits[0][29]
    assert (limits[1][30:] == limits[0][30:]).all()
    assert fastest([], time, speed, controls, turning_radius=5).tolist() == speed.tolist()


@given(
    st.floats(0, 300, width=32), st.floats(0, 100, width=32), st.floats(-1, 1, width=32), st.integers(0, 2**32),
)  # fmt: skip
def test_the_pedals_lead_back_to_the_speed(speed: float, spare: float, push: float, seed: int) -> None:
    driven, limit = np.full(50, speed, np.float32), np.full(50, speed + spare, np.float32)
    pedals = np.tile(np.array([max(push, 0), max(-push, 0)], np.float32), (50, 1))
    other, changed = at_other_speeds(driven, limit, pedals, SETTINGS, np.random.default_rng(seed))
    assert (other >= 0).all()
    assert (other <= driven + 60.001).all()
    assert ((other >= driven - 60.001) | (other <= 20)).all()
    assert ((changed >= 0) & (changed <= 1)).all()
    assert (changed.min(axis=1) == 0).all(), "never both"
    pushes = changed[:, 0] - changed[:, 1]
    assert (pushes[other <= driven] >= push - 1e-6).all()
    assert (pushes[other >= driven] <= push + 1e-6).all()
    assert pushes[(other > driven) & (other <= limit)] == pytest.approx(push, abs=1e-6)
    assert (np.diff(pushes[np.argsort(other)]) <= 1e-6).all(), "the faster, the less"
    assert (pushes[other <= driven - 31] == 1).all()


def test_wherever_it_stands_a_car_is_to_drive_off() -> None:
    driven, pedals = np.full(2000, 150, np.float32), np.tile(np.array([0, 1], np.float32), (2000, 1))
    other, changed = at_other_speeds(driven, driven, pedals, SETTINGS, np.random.default_rng(0))
    assert 50 < (other <= 20).sum() < 150, "one in twenty"
    assert (changed[other <= 20] == [1, 0]).all()


def test_a_speed_that_nobody_chose_is_kept() -> None:
    driven, pedals = np.full(9, 80, np.float32), np.tile(np.array([0.2, 0], np.float32), (9, 1))
    other, changed = at_other_speeds(driven, np.full(9, np.nan), pedals, SETTINGS, np.random.default_rng(0))
    assert (other == driven).all()
    assert (changed == pedals).all()


def test_without_a_shift_all_is_as_it_was_driven() -> None:
    speed, pedals = np.array([10, 100], np.float32), np.array([[0.5, 0], [0, 1]], np.float32)
    other, changed = at_other_speeds(speed, speed, pedals, TrainSettings(speed_shift=0), np.random.default_rng(0))
    assert (other == speed).all()
    assert (changed == pedals).all()
