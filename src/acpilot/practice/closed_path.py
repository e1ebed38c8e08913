"""A closed line of points in the plan, and where beside it something is."""

import math

import numpy as np
from numpy.typing import NDArray

_MAX_MOVE = 50  # points a search walks from its hint: some 50 m, far more than a step, and it always ends


class ClosedPath:
    """A closed polyline; the last point is joined to the first."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        """Take the points, float64 (n, 2), metres."""
        self._points = points
        self.x: list[float] = points[:, 0].tolist()
        self.y: list[float] = points[:, 1].tolist()
        after = np.roll(points, -1, axis=0) - points
        length = np.hypot(after[:, 0], after[:, 1])
        self._along_x: list[float] = (after[:, 0] / length).tolist()
        self._along_y: list[float] = (after[:, 1] / length).tolist()
        self._length: list[float] = length.tolist()

    def __len__(self) -> int:
        return len(self.x)

    def nearest(self, x: float, y: float) -> int:
        """Index of the point nearest to a place, searching them all (slow: some 20 microseconds)."""
        return int(np.argmin((self._points[:, 0] - x) ** 2 + (self._points[:, 1] - y) ** 2))

    def project(self, x: float, y: float, index: int) -> tuple[float, float]:
        """Find the nearest place on the line, starting at ``index``.

        Returns:
            Its position in points (2.5 is halfway between points 2 and 3), and how far left of it (x, y) is, metres.
        """
        count = len(self.x)
        for _ in range(_MAX_MOVE):
            dx, dy = x - self.x[index], y - self.y[index]
            along = dx * self._along_x[index] + dy * self._along_y[index]
            if along > self._length[index]:
                index = index + 1 if index + 1 < count else 0
            elif along < 0:
                before = index - 1 if index else count - 1
                along = (x - self.x[before]) * self._along_x[before] + (y - self.y[before]) * self._along_y[before]
                if along >= self._length[before]:
                    # Outside a bend the point itself is nearer than either of its segments.
                    across = self._along_x[index] * dy - self._along_y[index] * dx
                    return float(index), math.copysign(math.hypot(dx, dy), across)
                index = before
            else:
                break
        across = self._along_x[index] * dy - self._along_y[index] * dx
        return index + max(0.0, min(0.999999, along / self._length[index])), across
