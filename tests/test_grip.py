"""What tyres bear, as the driver's own laps tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.learning.grip import Grip

GRIP = Grip(sideways=9.0, lateral=8.0, throttle=np.array([0.5, 0.5, 0.75, 1.0]), turning_radius=5.0)
PUSH = st.floats(-1, 1, width=32)


def pedals(push: float) -> np.ndarray:
    return np.array([[max(push, 0), max(-push, 0)]], np.float32)


def most_pedals(driven: np.ndarray, speed: np.ndarray, steering: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    return GRIP.most_pedals(driven, speed_kmh=speed, steering=steering, lateral=lateral)


def test_what_the_driver_asked_of_the_tyres_tells_how_much_they_bear() -> None:
    speed = np.repeat([72.0, 45.0, 25.0, 95.0], 100)
    steering = np.repeat([0.1, -0.3, 0.0, 0.0], 100)
    throttle = np.repeat([0.6, 0.3, 0.5, 0.4], 100)
    throttle[105], steering[0] = 1.0, 1.0  # a slide, once
    lateral = np.repeat([-7.5, 3.0, 0.0, 0.0], 100)
    lateral[0] = 9.5
    known = Grip.of(speed_kmh=speed, steering=steering, throttle=throttle, lateral=lateral, turning_radius=5)
    assert known.lateral == 7.5
    assert known.sideways == pytest.approx(12.5**2 * 0.3 / 5), "in the bend at 45 km/h more than in that at 72"
    assert known.most_steering(np.array([45.0, 90.0])) == pytest.approx([0.3, 0.075])
    assert known.throttle.tolist() == [0.5] * 7 + [0.6] * 3, "never less at a higher speed, nor where nobody drove"


def test_a_driver_who_never_hurried_says_little_of_the_tyres() -> None:
    one = {"speed_kmh": 30.0, "steering": 0.1, "throttle": 0.2, "lateral": 0.0}
    known = Grip.of(**{name: np.array([value]) for name, value in one.items()}, turning_radius=5)
    assert known.sideways == known.lateral == 7, "any car on a dry road bears that"
    assert set(known.throttle) == {0.2}


def test_a_bend_leaves_less_of_the_pedals() -> None:
    speed, driven = np.full(4, 72.0), np.repeat(pedals(0.1), 4, axis=0)  # all is taken by a radius of 400 / 9 m
    steering = 5 * 9 / 400 * np.array([0, 0.6, -0.8, 1.0])
    most = most_pedals(driven, speed, steering, np.zeros(4))
    assert most[:, 0] == pytest.approx([1.0, 0.8, 0.6, 0.1])
    assert most[:, 1] == pytest.approx([1.0, 0.83, 0.66, 0.15])
    sliding = most_pedals(driven, speed, np.zeros(4), 8 * np.array([0, -0.6, 0.8, 1.2]))
    assert sliding == pytest.approx(most), "though the wheel is straight"
    slow = most_pedals(driven, np.full(4, 25.0), np.zeros(4), np.zeros(4))
    assert slow[:, 0] == pytest.approx(0.75), "no more than the driver gave at such a speed on a straight"


@given(PUSH, st.floats(0, 400, width=32), st.floats(-1, 1, width=32), st.floats(-20, 20, width=32))
def test_what_was_driven_is_never_too_much(driven: float, speed: float, steering: float, lateral: float) -> None:
    speeds, wheel, across = (np.array([value], np.float32) for value in (speed, steering, lateral))
    most = most_pedals(pedals(driven), speeds, wheel, across)
    assert most.dtype == np.float32
    straight = np.interp(speed, [5, 15, 25, 35], GRIP.throttle)
    assert (most >= np.minimum(pedals(driven), [[straight, 1]]) - 1e-6).all()
    assert (most <= [[straight + 1e-6, 1]]).all()
    sharper = most_pedals(pedals(driven), speeds, wheel * 1.2, across * 1.2)
    assert (sharper <= most + 1e-6).all()
