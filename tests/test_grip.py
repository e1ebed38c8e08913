"""What tyres bear, as the driver's own laps tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.evaluation.closed_loop import Observer, drive
from acpilot.evaluation.drivers import Look, PolicyDriver
from acpilot.learning.grip import Grip
from acpilot.policy.policy import Command
from acpilot.policy.preprocessing import Preprocessing
from acpilot.practice.track import make_track
from acpilot.practice.world import World

GRIP = Grip(sideways=9.0, lateral=8.0, throttle=np.array([0.5, 0.5, 0.75, 1.0]), turning_radius=5.0)
DARK = np.zeros((8, 8, 3), np.uint8)
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


@given(st.builds(Command, st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1)), st.floats(-30, 30), st.floats(1, 20))
def test_tyres_that_turn_a_car_have_less_for_the_pedals(command: Command, lateral: float, grip: float) -> None:
    held_back = command.within_grip(lateral, grip)
    assert held_back.steering == command.steering
    assert command.within_grip(0.0, grip) == command
    assert held_back.throttle <= command.throttle
    assert held_back.brake <= command.brake
    assert command.within_grip(-lateral, grip) == held_back
    if abs(lateral) >= grip:
        assert held_back.throttle <= 0.05
        assert held_back.brake <= 0.15


class _Hasty:
    """Full throttle, and always the same steering."""

    name, rate, needs_speed = "hasty", 20.0, False

    def __init__(self, grip: float | None) -> None:
        self.preprocessing = Preprocessing(grip=grip)

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        return 0, 0, width, height

    def drive(self, band: np.ndarray, speed_kmh: float) -> Command:  # noqa: ARG002
        return Command(-0.15, 1.0, 0.0)

    def reset(self) -> None:
        pass


class _Slides(Observer):
    """The largest angle between where the car points and where it goes, radians."""

    largest = 0.0

    def decided(self, world: World, look: Look, command: Command) -> None:  # noqa: ARG002
        self.largest = max(self.largest, abs(np.arctan2(world.car.vy, max(world.car.vx, 1.0))))


def test_a_policy_that_knows_the_tyres_grip_slides_less() -> None:
    slides = []
    for grip in (None, 8.0):
        seen = _Slides()
        world = World(make_track("oval"), expert=True)
        drive(PolicyDriver(_Hasty(grip)), world, seen, laps=1, limit=20.0, look=lambda: DARK)
        slides.append(seen.largest)
    free, held_back = slides
    assert held_back < 0.75 * free, slides
