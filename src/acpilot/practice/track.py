"""A closed track: its centre line, width and height, sampled at equal distances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """A closed track, sampled every ``spacing`` metres along its centre line; sample 0 is the start line.

    World axes: x east, y north, z up, in metres. Headings are radians counter-clockwise from east.
    """

    name: str
    title: str
    seed: int
    center: Array
    """Centre line, float64 (n, 3), metres; closed: sample n would be sample 0."""
    heading: Array
    """Direction of travel, float64 (n,), radians, unwrapped (continuous)."""
    curvature: Array
    """float64 (n,), 1/m, positive where the track bends to the left."""
    half_width: Array
    """From the centre line to the edge of the road (where the kerb begins), float64 (n,), metres."""
    spacing: float
    """Distance between samples along the centre line, metres (about 1)."""

    @property
    def length(self) -> float:
        """Length of the centre line, metres."""
        return len(self.center) * self.spacing
