"""The game's own time: its packet counter goes on evenly where the instants at which it was read do not."""

import numpy as np

from acpilot.clock import NS
from acpilot.telemetry.sample import Samples

_WINDOW = 1.0  # seconds over which steps are counted: longer than a stall, shorter than a pause


def game_seconds(samples: Samples) -> np.ndarray:
    """The game's own time at each sample: seconds, float64 (n,), from 0, never decreasing.

    The counter counts physics steps, which are all of one length; it is found from the drive. After a stall many steps
    come at once: their instants say little of the time between them, the counter does. It stands still in a pause, as
    the car does. Where it never moves, the instants are taken.

    Args:
        samples: ``instant`` and ``packet_id`` of the raw log, n ≥ 1.
    """
    seconds = (samples["instant"] - samples["instant"][0]) / NS
    forward = np.maximum(np.diff(samples["packet_id"].astype(np.int64)), 0)  # it goes back when the game starts anew
    steps = np.concatenate([[0], np.cumsum(forward)])
    if not steps[-1]:
        return np.asarray(seconds, np.float64)
    at = np.searchsorted(seconds, np.arange(0, seconds[-1], _WINDOW))
    elapsed, made = np.diff(seconds[at]), np.diff(steps[at])
    moving = made > 0
    step = float(np.median(elapsed[moving] / made[moving])) if moving.any() else float(seconds[-1] / steps[-1])
    return np.asarray(steps * step, np.float64)
