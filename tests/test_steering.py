import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.errors import AcpilotError
from acpilot.telemetry.sample import Samples
from acpilot.telemetry.steering import find_steering


def drive(per_radian: float, *, seconds: float = 30.0, wheelbase: float = 2.6, straight: bool = False) -> Samples:
    """A winding drive at 20 m/s; published is ``per_radian`` × the front wheels' angle (right positive)."""
    time = np.arange(0, seconds, 0.003)
    wheels = np.zeros_like(time) if straight else 0.05 * np.sin(time) + 0.03 * np.sin(0.37 * time)
    speed = np.full_like(time, 20.0)
    # Clockwise from x towards z, as seen from above in the game's right-handed world with y up: to the right.
    course = np.cumsum(speed * np.tan(wheels) / wheelbase) * 0.003
    return {
        "instant": (time * 1e9).astype(np.int64),
        "packet_id": np.arange(len(time)),
        "steer_angle": (per_radian * wheels).astype(np.float32),
        "velocity": np.stack([speed * np.cos(course), 0 * speed, speed * np.sin(course)], 1).astype(np.float32),
    }


def with_stalls(samples: Samples, share: float, length: float = 0.25) -> Samples:
    """The same as it is read when the game stands still again and again, and then makes up for it in steps at once."""
    late = samples["instant"].copy()
    seconds = late / 1e9
    phase = seconds % (length / share)
    late[phase < length] += ((length - phase[phase < length]) * 1e9).astype(np.int64)
    return samples | {"instant": np.maximum.accumulate(late)}


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("seen_of", [1, 20])
def test_stalls_do_not_pull_the_gain_down(share: float, seen_of: int) -> None:
    """The game catches up: all steps are seen, or one of twenty."""
    smooth = drive(1 / 0.19)
    stalled = {name: values[::seen_of] for name, values in with_stalls(smooth, share).items()}
    expected, found = find_steering(smooth), find_steering(stalled)
    assert expected.gain is not None
    assert found.gain == pytest.approx(expected.gain, rel=0.03)
    assert (found.unit, found.certainty) == ("ratio", "measured")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_passed_over(bad: float) -> None:
    samples = drive(2.0)
    samples["steer_angle"][1000:1200] = bad
    samples["velocity"][4000:4100, 0] = bad
    found, expected = find_steering(samples), find_steering(drive(2.0))
    assert found.gain == pytest.approx(expected.gain, rel=0.05)
    assert found.unit == expected.unit
    assert found.largest == pytest.approx(expected.largest, rel=0.2)
    none = samples | {"steer_angle": np.full_like(samples["steer_angle"], bad)}
    assert find_steering(none).certainty == "assumed"


@given(lock=st.floats(0.3, 0.75), ratio=st.floats(10, 20), wheelbase=st.floats(2.2, 3.1), sign=st.sampled_from((-1, 1)))
def test_unit_and_sign_are_found_from_the_path(lock: float, ratio: float, wheelbase: float, sign: int) -> None:
    published = {"ratio": 1 / lock, "radians": ratio, "degrees": ratio * 180 / np.pi}
    for unit, per_radian in published.items():
        found = find_steering(drive(sign * per_radian, wheelbase=wheelbase))
        assert (found.unit, found.sign, found.certainty) == (unit, sign, "measured")


def test_a_full_turn_of_the_wheel_is_no_ratio() -> None:
    samples = drive(0, straight=True)
    samples["steer_angle"][:] = np.linspace(-450, 450, len(samples["steer_angle"]))
    assert find_steering(samples).unit == "degrees"


def test_a_straight_drive_is_said_to_tell_nothing() -> None:
    found = find_steering(drive(1.5, straight=True))
    assert (found.unit, found.certainty, found.gain) == ("ratio", "assumed", None)


def test_the_user_has_the_last_word() -> None:
    found = find_steering(drive(1 / 0.5), given="degrees", lock_degrees=90.0)
    assert (found.unit, found.certainty) == ("degrees", "given")
    assert found.normalized(np.array([-45.0, 90.0, 200.0])).tolist() == [-0.5, 1.0, 1.0]


def test_a_sign_to_the_left_is_turned() -> None:
    found = find_steering(drive(-2.0))
    assert found.normalized(np.array([0.5])).tolist() == [-0.5]


def test_an_angle_without_its_lock_is_refused_not_guessed() -> None:
    found = find_steering(drive(15 * 180 / np.pi))
    with pytest.raises(AcpilotError, match="--steering-lock"):
        found.normalized(np.array([0.1]))
