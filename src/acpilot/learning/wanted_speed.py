"""The speed that a driver wanted: what the pedals are learnt from.

The pedals that were driven say little of a picture. Place and speed go together in recordings: whoever learns from them
alone brakes where others braked, though the car stands still there, and enters a bend at whatever speed it came with.
The speed at which neither pedal would have been pressed belongs to the place alone. For the rest, pictures are shown
with other speeds than the driven one, as views from beside the line are shown.
"""

from collections.abc import Sequence

import numpy as np

from acpilot.learning.grip import KMH, SIDEWAYS, Grip

PEDALS = ("throttle", "brake")
"""Outputs that depend on the speed."""

_BRAKING = 7.0
"""m/s² that any car on a dry road can do; where more was driven, that counts."""
_GAINING = 0.5
"""m/s² from which a driver was on the way to a higher speed."""
_FULL = 0.9
"""Throttle from which a driver wanted more than the engine gave."""
_SLOW, _CRAWLING = 0.05, 20.0
"""Share of the pictures that are shown with hardly any speed, and up to how many km/h: wherever it stands, a car is to
drive off."""


def fastest(
    runs: Sequence[np.ndarray], time: np.ndarray, speed_kmh: np.ndarray, controls: np.ndarray, grip: Grip
) -> np.ndarray:
    """The speed up to which a driver would not have braked: the one driven, or more where it was being gained.

    There, it is what the bend allows, and what can be braked down in time to the speeds that were driven next.

    Args:
        runs: rows in the order of time without a gap, int64 (n,) each.
        time: seconds of each row, float64 (rows,).
        speed_kmh: float64 (rows,).
        controls: steering, throttle, brake of each row, (rows, 3).
        grip: of the tyres; where the throttle was full, they bore more than they had to.

    Returns:
        km/h, float64 (rows,), of rows that are in no run the speed driven.
    """
    limits = speed_kmh.astype(np.float64)
    for run in runs:
        if len(run) < 2:
            continue
        speed, seconds = speed_kmh[run] / KMH, time[run]
        steering, throttle, _ = controls[run].T
        gaining = (np.gradient(speed, seconds) > _GAINING) | (throttle > _FULL)
        borne = np.where(throttle > _FULL, grip.sideways, SIDEWAYS)
        bend = np.sqrt(borne * grip.turning_radius / np.maximum(np.abs(steering), 1e-6))
        squared = np.where(gaining, np.maximum(speed, bend), speed) ** 2
        squared[-1] = speed[-1] ** 2  # what came next is not known
        braked = 2 * _BRAKING * np.diff(seconds) * (speed[1:] + speed[:-1]) / 2
        for i in range(len(run) - 2, -1, -1):
            squared[i] = min(squared[i], squared[i + 1] + braked[i])
        limits[run] = np.maximum(speed_kmh[run], np.sqrt(squared) * KMH)
    return limits


def wanted_speeds(speed_kmh: np.ndarray, limit_kmh: np.ndarray, pedals: np.ndarray, recovery: float) -> np.ndarray:
    """Between which speeds the one lies at which a driver would have pressed neither pedal.

    So many km/h below it as ``recovery`` says, the throttle is pressed fully, and so many above it the brake. Where the
    throttle was full up to the limit, the way from one to the other lies in the middle.

    Args:
        speed_kmh: that were driven, (n,).
        limit_kmh: of ``fastest``, (n,); NaN where only the pedals say what was wanted.
        pedals: throttle and brake, (n, 2).
        recovery: km/h.

    Returns:
        The lowest and the highest, km/h, float64 (n, 2): one speed for both but where nobody drove as fast, which has
        no highest, and where only pedals tell, which bound it on one side.
    """
    push = (pedals[:, 0] - pedals[:, 1]).astype(np.float64)
    told = speed_kmh + recovery * push
    wanted = np.where(np.isnan(limit_kmh), told, limit_kmh + recovery * push / (1 + np.maximum(push, 0)))
    # In a bend tyres leave little for the pedals: whoever presses one may want a far higher speed, or a far lower one.
    only_more, only_less = np.isnan(limit_kmh) & (push > 0), np.isnan(limit_kmh) & (push < 0)
    top = speed_kmh.max(initial=0.0)
    highest = np.where(only_more | (wanted >= top), np.inf, wanted)
    return np.stack([np.where(only_less, -np.inf, np.minimum(wanted, top)), highest], axis=1)


def other_speeds(speed_kmh: np.ndarray, shift: float, random: np.random.Generator) -> np.ndarray:
    """Draw other speeds, lower ones and higher ones as often, small changes more often than large ones; some near 0.

    Args:
        speed_kmh: float32 (n,), that were driven.
        shift: km/h, at most; with 0 all stays as it is.
        random: decides.

    Returns:
        float32 (n,).
    """
    n = len(speed_kmh)
    side = np.where(random.random(n) < 0.5, shift, -shift)
    other = np.maximum(speed_kmh + side * (1 - np.sqrt(random.random(n))), 0)
    crawling = np.minimum(speed_kmh, random.uniform(0, _CRAWLING, n))
    drawn: np.ndarray = np.where((random.random(n) < _SLOW) & (shift > 0), crawling, other).astype(np.float32)
    return drawn
