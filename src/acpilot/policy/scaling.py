"""A picture → a smaller one, each of whose pixels is the mean of the area that it covers."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

_MOST = 257
"""Pixels of which sixteen bits hold the sum."""


class _Plan(NamedTuple):
    """How pictures of one size become those of another."""

    step: int
    """Rows and columns from one that counts to the next."""
    rows: np.ndarray
    """int64 (height,), the first row of each area."""
    further: list[tuple[slice | np.ndarray, np.ndarray]]
    """Areas that have one row more, and that row of each."""
    columns: np.ndarray
    """int64 (width,), the first column of each area."""
    share: np.ndarray
    """float32 (height, width, 4), of a pixel in the mean of its area."""


def area_means(picture: np.ndarray, width: int, height: int, channels: Sequence[int]) -> np.ndarray:
    """Scale a picture.

    A pixel counts where its middle lies, as with Pillow's ``BOX``, which takes nearly twice as long; of a picture that
    is too small for that, the nearest one is taken. Of areas of more than 257 pixels rows and columns are left out.

    Args:
        picture: uint8 (h, w, 3 or 4).
        width: of the result.
        height: of the result.
        channels: the picture's that the result has, in its order.

    Returns:
        uint8 (height, width, channels).
    """
    plan = _plan(*picture.shape[:2], height, width)
    picture = picture[:: plan.step, :: plan.step]
    sums = picture[plan.rows].astype(np.uint16)
    for areas, rows in plan.further:
        sums[areas] += picture[rows]
    if sums.shape[2] == 3:
        three, sums = sums, np.zeros((*sums.shape[:2], 4), np.uint16)
        for channel in range(3):
            sums[..., channel] = three[..., channel]
    # The four sums of a pixel, of sixteen bits each, are added as one number: none of them overflows.
    whole = np.add.reduceat(sums.view(np.uint64)[..., 0], plan.columns, axis=1)
    means = whole.view(np.uint16).reshape(height, width, 4) * plan.share
    means += 0.5
    scaled = np.empty((height, width, len(channels)), np.uint8)
    for number, channel in enumerate(channels):
        scaled[..., number] = means[..., channel]
    return scaled


@lru_cache(maxsize=8)
def _plan(h: int, w: int, height: int, width: int) -> _Plan:
    step = 1
    while math.ceil(h / step / height) * math.ceil(w / step / width) > _MOST:
        step += 1
    h, w = -(-h // step), -(-w // step)
    rows, columns = _first(h, height), _first(w, width)
    tall, wide = (np.maximum(1, np.diff(first, append=size)) for first, size in ((rows, h), (columns, w)))
    further: list[tuple[slice | np.ndarray, np.ndarray]] = []
    for more in range(1, tall.max()):
        areas = np.flatnonzero(tall > more)
        further.append((slice(None) if len(areas) == height else areas, rows[areas] + more))
    share = np.repeat(1 / (tall[:, None] * wide).astype(np.float32)[..., None], 4, axis=2)
    return _Plan(step, rows, further, columns, share)


def _first(pixels: int, areas: int) -> np.ndarray:
    """The first pixel of each area: the first whose middle lies beyond the edge, or, with too few, the nearest."""
    number = np.arange(areas)
    if pixels < areas:
        return (2 * number + 1) * pixels // (2 * areas)
    return (2 * number * pixels - areas) // (2 * areas) + 1
