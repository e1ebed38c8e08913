"""What a driver would have done with the pedals at another speed than the one that was driven.

Place and speed go together in recordings: whoever learns from them alone brakes where others braked, though the car
stands still there, and enters a bend at whatever speed it came with. So pictures are shown with other speeds as well,
and with the pedals that make that good, as views from beside the line are shown with the steering that leads back.
"""

from collections.abc import Sequence

import numpy as np

from acpilot.learning.grip import KMH, SIDEWAYS
from acpilot.settings import TrainSettings

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
_TOO_FAST = 4 / 3
"""Of ``speed_recovery``, so far beyond the limit speeds are drawn. There the brake is full; to see much more of that
would teach to brake wherever the road ahead cannot be told."""


def fastest(
    runs: Sequence[np.ndarray], time: np.ndarray, speed_kmh: np.ndarray, controls: np.ndarray, turning_radius: float
) -> np.ndarray:
    """The speed up to which a driver would not have braked: the one driven, or more where it was being gained.

    There, it is what the bend allows, and what can be braked down in time to the speeds that were driven next.

    Args:
        runs: rows in the order of time without a gap, int64 (n,) each.
        time: seconds of each row, float64 (rows,).
        speed_kmh: float64 (rows,).
        controls: steering, throttle, brake of each row, (rows, 3).
        turning_radius: metres, at full steering.

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
        bend = np.sqrt(SIDEWAYS * turning_radius / np.maximum(np.abs(steering), 1e-6))
        squared = np.where(gaining, np.maximum(speed, bend), speed) ** 2
        squared[-1] = speed[-1] ** 2  # what came next is not known
        braked = 2 * _BRAKING * np.diff(seconds) * (speed[1:] + speed[:-1]) / 2
        for i in range(len(run) - 2, -1, -1):
            squared[i] = min(squared[i], squared[i + 1] + braked[i])
        limits[run] = np.maximum(speed_kmh[run], np.sqrt(squared) * KMH)
    return limits


def at_other_speeds(
    speed_kmh: np.ndarray,
    limit_kmh: np.ndarray,
    pedals: np.ndarray,
    settings: TrainSettings,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw other speeds, lower ones and higher ones as often, small changes more often than large ones; some near 0.

    Args:
        speed_kmh: float32 (n,), that were driven.
        limit_kmh: float32 (n,), of ``fastest``; where it is NaN all stays as it is.
        pedals: throttle and brake, float32 (n, 2).
        settings: how far, and how strongly a driver reacts.
        random: decides.

    Returns:
        Speeds, float32 (n,), and throttle and brake there, float32 (n, 2).
    """
    highest = np.minimum(settings.speed_shift, limit_kmh - speed_kmh + _TOO_FAST * settings.speed_recovery)
    farthest = np.where(random.random(len(speed_kmh)) < 0.5, highest, -settings.speed_shift)
    drawn = farthest * (1 - np.sqrt(random.random(len(speed_kmh))))
    crawling = np.minimum(speed_kmh, random.uniform(0, _CRAWLING, len(speed_kmh)))
    drawn = np.where(random.random(len(speed_kmh)) < _SLOW, crawling, np.maximum(speed_kmh + drawn, 0))
    other = np.where(np.isnan(limit_kmh) | (settings.speed_shift == 0), speed_kmh, drawn)
    slower, faster = np.maximum(speed_kmh - other, 0), np.fmax(other - limit_kmh, 0)
    # As far too fast as that, the brake is full, though the throttle was full up to the limit.
    faster *= 1 + pedals[:, 0]
    push = np.clip(pedals[:, 0] - pedals[:, 1] + (slower - faster) / settings.speed_recovery, -1, 1)
    return other.astype(np.float32), np.stack([np.maximum(push, 0), np.maximum(-push, 0)], axis=1).astype(np.float32)
