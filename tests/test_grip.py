"""What tyres bear, as the driver's own laps tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.learning.grip import Grip

GRIP = Grip(sideways=9.0, throttle=np.array([0.5, 0.5, 0.75, 1.0]), turning_radius=5.0)
PUSH = st.floats(-1, 1, width=32)


def pedals(push: float) -> np.ndarray:
    return np.array([[max(push, 0), max(-push, 0)]], np.float32)


def test_what_the_driver_asked_of_the_tyres_tells_how_much_they_bear() -> None:
    speed = np.repeat([72.0, 45.0, 25.0, 95.0], 100)
    steering = np.repeat([0.1, -0.3, 0.0, 0.0], 100)
    throttle = np.repeat([0.6, 0.3, 0.5, 0.4], 100)
    throttle[105], steering[0] = 1.0, 1.0  # a slide, once
    known = Grip.of(speed, steering, throttle, turning_radius=5)
    assert known.sideways == pytest.approx(12.5**2 * 0.3 / 5), "in the bend at 45 km/h more than in that at 72"
    assert known.most_steering(np.array([45.0, 90.0])) == pytest.approx([0.3, 0.075])
    assert known.throttle.tolist() == [0.5] * 7 + [0.6] * 3, "never less at a higher speed, nor where nobody drove"


def test_a_driver_who_never_hurried_says_little_of_the_tyres() -> None:
    known = Grip.of(np.array([30.0]), np.array([0.1]), np.array([0.2]), turning_radius=5)
    assert known.sideways == 7, "any car on a dry road bears that"
    assert set(known.throttle) == {0.2}


def test_a_car_that_is_slow_in_a_bend_gets_the_throttle_that_the_bend_leaves() -> None:
    speed, driven = np.full(4, 72.0), np.repeat(pedals(0.1), 4, axis=0)  # all is taken by a radius of 400 / 9 m
    steering = 5 * 9 / 400 * np.array([0, 0.6, -0.8, 1.0])
    wanted = np.repeat(pedals(1.0), 4, axis=0)
    assert GRIP.pedals(wanted, driven, speed, steering)[:, 0] == pytest.approx([1.0, 0.8, 0.6, 0.1])
    slow = GRIP.pedals(wanted, driven, np.full(4, 25.0), np.zeros(4))
    assert slow[:, 0] == pytest.approx(0.75), "no more than the driver gave at such a speed on a straight"
    braked = GRIP.pedals(np.repeat(pedals(-1.0), 4, axis=0), driven, speed, steering)
    assert braked[:, 1] == pytest.approx([1.0, 0.83, 0.66, 0.15])


@given(PUSH, PUSH, st.floats(0, 400, width=32), st.floats(-1, 1, width=32))
def test_pedals_are_only_ever_taken_back_and_never_beyond_what_was_driven(
    wanted: float, driven: float, speed: float, steering: float
) -> None:
    speeds, wheel = np.array([speed], np.float32), np.array([steering], np.float32)
    borne = GRIP.pedals(pedals(wanted), pedals(driven), speeds, wheel)
    assert borne.dtype == np.float32
    assert (borne <= pedals(wanted)).all()
    straight = np.interp(speed, [5, 15, 25, 35], GRIP.throttle)
    least = np.minimum(pedals(wanted), np.minimum(pedals(driven), [[straight, 1]]))
    assert (borne >= least - 1e-6).all()
    assert (GRIP.pedals(pedals(wanted), pedals(driven), speeds, wheel * 1.2) <= borne + 1e-6).all(), "the sharper"
