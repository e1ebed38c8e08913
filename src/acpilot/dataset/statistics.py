"""Statistics of an export, as LeRobot's trainers read them to normalise what a network sees."""

from typing import Any

import numpy as np

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_ENOUGH_PIXELS = 150
"""Along the longer side of a picture: more of them change none of its statistics."""
_ROUNDING = 1e-9
"""Of shares that add up to a quantile."""

Statistics = dict[str, list[Any]]
"""min, max, mean, std, q01, q10, q50, q90, q99: one number per entry of a vector, [[[number]]] per colour of a picture;
count: how many frames they are of."""


def value_statistics(values: np.ndarray) -> Statistics:
    """Statistics of numbers, shape (n,), or of vectors, shape (n, d)."""
    columns = values.reshape(len(values), -1).astype(np.float64)
    found = {
        "min": columns.min(axis=0),
        "max": columns.max(axis=0),
        "mean": columns.mean(axis=0),
        "std": columns.std(axis=0),
        **dict(zip(_QUANTILES, np.quantile(columns, list(_QUANTILES.values()), axis=0), strict=True)),
    }
    return {**{name: each.tolist() for name, each in found.items()}, "count": [len(values)]}


class ImageStatistics:
    """Collects how often each level of each colour occurs in pictures."""

    def __init__(self) -> None:
        self.count = 0
        """Pictures seen."""
        self._levels = np.zeros((3, 256))

    def add(self, picture: np.ndarray) -> None:
        """Take a picture into account, uint8 (height, width, 3)."""
        step = max(1, max(picture.shape[:2]) // _ENOUGH_PIXELS)
        for colour in range(3):
            self._levels[colour] += np.bincount(picture[::step, ::step, colour].ravel(), minlength=256)
        self.count += 1

    def add_all(self, other: "ImageStatistics", frames: int) -> None:
        """Take other pictures into account, which stand for so many frames."""
        self._levels += other._levels * (frames / other.count)
        self.count += other.count

    def statistics(self) -> Statistics:
        """Statistics of the colours, 0..1, over all pixels of all pictures."""
        share = self._levels / self._levels.sum(axis=1, keepdims=True)
        up_to = np.cumsum(share, axis=1)
        values = np.arange(256) / 255
        mean = share @ values
        found = {
            "min": np.array([values[each > 0].min() for each in share]),
            "max": np.array([values[each > 0].max() for each in share]),
            "mean": mean,
            "std": np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1)),
            **{
                name: np.array([values[np.flatnonzero(each >= quantile - _ROUNDING)[0]] for each in up_to])
                for name, quantile in _QUANTILES.items()
            },
        }
        return {**{name: each.reshape(3, 1, 1).tolist() for name, each in found.items()}, "count": [self.count]}
