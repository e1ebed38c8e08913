"""The unit and sign of the game's steering, found from the drive itself and not assumed.

The page calls it an "angle" and readers disagree on the unit. Extremes alone judge only after a full lock-to-lock
movement, so the car's own path is asked first: at moderate lateral acceleration the front wheels stand at about
wheelbase × curvature, and the gain from the published number to that angle differs by an order of magnitude per unit:
a ratio −1..1 gives the lock of the front wheels (0.25–0.8 rad), radians of the steering wheel give 1 / steering ratio
(0.05–0.12), degrees give that × π / 180 (about 0.001–0.002).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.telemetry.game_time import game_seconds
from acpilot.telemetry.sample import Samples, are_numbers

Unit = Literal["ratio", "degrees", "radians"]

_WHEELBASE = 2.6  # metres: cars differ by ±20 %, the units by ×10
_STRIDE = 0.1  # seconds over which the change of course is taken
_MIN_SPEED = 8.0  # m/s
_MAX_LATERAL = 7.0  # m/s²: beyond, tyres slip and the path says less about the wheels
_MIN_CURVATURE = 1 / 400
_MIN_SECONDS = 2.0
_MIN_AGREEMENT = 0.7


@dataclass(frozen=True)
class Steering:
    """How the published steering becomes a label −1 (full left) … +1 (full right)."""

    unit: Unit
    sign: int
    """+1 when the game's number is positive to the right, −1 when it is positive to the left."""
    certainty: Literal["measured", "given", "assumed"]
    lock: float | None
    """The published number at full lock; None when the unit is an angle and the car's lock is not known."""
    largest: float
    """Largest absolute value seen."""
    gain: float | None
    """Front-wheel angle (rad) for one unit of the published number, positive to the right; None without bends."""
    agreement: float | None
    """Share of the moments in bends, 0..1, whose own gain is within a factor of three of it."""

    def normalized(self, steer_angle: np.ndarray) -> np.ndarray:
        """Steering −1..1, left negative, from published values of any shape.

        Raises:
            AcpilotError: the unit is an angle and the car's lock is not known.
        """
        if self.lock is None:
            raise AcpilotError(
                f"the game publishes steering in {self.unit} and the car's lock is not known: give it with "
                "--steering-lock (degrees of the steering wheel from the centre to full lock, e.g. 450)"
            )
        return np.clip(self.sign * steer_angle / self.lock, -1.0, 1.0)


def find_steering(samples: Samples, given: Unit | None = None, lock_degrees: float | None = None) -> Steering:
    """Find unit and sign from a session's samples.

    Args:
        samples: columns of the raw log; those that hold other things than numbers are passed over.
        given: the unit, when the user knows it.
        lock_degrees: the steering wheel's angle at full lock, degrees; only used when the unit is an angle.
    """
    usable = are_numbers(samples, ("steer_angle", "velocity"))
    samples = {name: samples[name][usable] for name in ("instant", "packet_id", "steer_angle", "velocity")}
    steer = samples["steer_angle"].astype(np.float64)
    largest = float(np.abs(steer).max(initial=0.0))
    gain, agreement = _path_gain(samples, steer)
    unit: Unit = "ratio"
    certainty: Literal["measured", "given", "assumed"] = "assumed"
    if given is not None:
        unit, certainty = given, "given"
    elif gain is not None:
        unit = "ratio" if abs(gain) >= 0.17 else "radians" if abs(gain) >= 0.009 else "degrees"
        certainty = "measured"
    if given is None and largest > 1.05 and unit == "ratio":  # no ratio, whatever the path says
        unit, certainty = ("degrees", "measured") if largest > 7 else ("radians", "assumed")
    if unit == "ratio":
        lock: float | None = 1.0
    elif lock_degrees is None:
        lock = None
    else:
        lock = lock_degrees if unit == "degrees" else float(np.radians(lock_degrees))
    sign = -1 if gain is not None and gain < 0 else 1
    return Steering(unit, sign, certainty, lock, largest, gain, agreement)


def _path_gain(samples: Samples, steer: np.ndarray) -> tuple[float | None, float | None]:
    """Gain from the published steering to the front-wheel angle that the path asks for, and how far bends agree."""
    if not len(steer):
        return None, None
    seconds = game_seconds(samples)  # the car turns with the game's steps, also where a stall delays them
    velocity = samples["velocity"].astype(np.float64)
    grid = np.arange(0, seconds[-1], _STRIDE)
    if len(grid) < 3:
        return None, None
    at = np.searchsorted(seconds, grid)
    # World axes are right-handed with y up (the game's own maps draw x to the right and z downwards), so the
    # angle from x to z grows clockwise as seen from above: positive is a turn to the right.
    course = np.unwrap(np.arctan2(velocity[at, 2], velocity[at, 0]))
    apart = np.maximum(seconds[at][2:] - seconds[at][:-2], _STRIDE)  # over a gap the two are one sample
    turn = (course[2:] - course[:-2]) / apart
    speed = np.hypot(velocity[at, 0], velocity[at, 2])[1:-1]
    asked = _WHEELBASE * turn / np.maximum(speed, 1.0)
    given = steer[at][1:-1]
    steady = np.diff(seconds[at]) < 2 * _STRIDE
    bends = steady[1:] & steady[:-1] & (speed > _MIN_SPEED) & (np.abs(turn * speed) < _MAX_LATERAL)
    bends &= (np.abs(asked) > _WHEELBASE * _MIN_CURVATURE) & (given != 0)
    if bends.sum() * _STRIDE < _MIN_SECONDS:
        return None, None
    gains = asked[bends] / given[bends]
    gain = float(np.median(gains))
    # Slides and quick corrections disagree with the path; a drive that is mostly those tells nothing.
    agreement = float(np.mean((gains / gain > 1 / 3) & (gains / gain < 3)))
    return (gain if agreement >= _MIN_AGREEMENT else None), agreement
