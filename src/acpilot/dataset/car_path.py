"""Where the car was at given times of a session."""

import numpy as np

from acpilot.clock import NS
from acpilot.session.folder import Session
from acpilot.telemetry.log import read_telemetry
from acpilot.telemetry.sample import are_numbers


def car_path(session: Session, timestamps: np.ndarray) -> np.ndarray | None:
    """The car's coordinates as the game's own maps draw them, x to the right and z downwards.

    Args:
        session: any but one of the original tool's, which has no coordinates: None is returned for it.
        timestamps: float64 (n,) seconds since the session's start.

    Returns:
        Metres, float64 (n, 2); None when the game published none, or the car never moved.

    Raises:
        AcpilotError: the telemetry is missing or damaged.
    """
    if session.is_original:
        return None
    samples = read_telemetry(session.telemetry_file, ("instant", "position"))
    usable = are_numbers(samples, ("position",))
    if not usable.any():
        return None
    seconds = (samples["instant"][usable] - session.manifest.start) / NS
    position = samples["position"][usable]
    path = np.stack([np.interp(timestamps, seconds, position[:, axis]) for axis in (0, 2)], axis=1)
    moved = len(path) > 1 and np.ptp(path, axis=0).max() > 1
    return path if moved else None
