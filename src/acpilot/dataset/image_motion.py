"""How far the picture moves sideways from one frame to another, as evidence for every possible shift."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from acpilot.progress import Progress
from acpilot.video.decoding import decode

WIDTH = 320
"""Columns that pictures are looked at in; shifts are in pixels of these."""
LARGEST_SHIFT = 64
"""Pixels to either side: a turn of half a picture's width in a second, ten times over."""
_ROWS, _ROWS_USED = 45, 36  # below is the car itself, or the road under its nose
_TILE, _TILE_STEP = 80, 40
_AT_ONCE = 128  # pairs
_NOISE = 18.0  # what the correlation of a tile without structure is divided by: grey levels × √pixels
_LOWEST, _HIGHEST = 0.02, 0.25  # cycles a pixel: neither shading nor noise


def read_rows(video: Path, frames: Sequence[int], progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Pictures in grey, small, and so that each row stands for several of the video.

    Args:
        video: the file.
        frames: numbers of the frames wanted, ascending.
        progress: told after each picture.

    Returns:
        uint8 (n, 36, 320), from the top of the picture to four fifths of its height; and which frames could be decoded,
        bool (n,).
    """
    place = {frame: i for i, frame in enumerate(frames)}
    rows = np.zeros((len(place), _ROWS_USED, WIDTH), np.uint8)
    seen = np.zeros(len(place), bool)

    def take(number: int, frame: av.VideoFrame) -> None:
        small = frame.reformat(WIDTH, _ROWS, "gray", interpolation="AREA").to_ndarray()
        rows[place[number]] = small[:_ROWS_USED]
        seen[place[number]] = True

    decode(video, frames, take, progress)
    return rows, seen


def shift_evidence(rows: np.ndarray, pairs: np.ndarray, progress: Progress) -> np.ndarray:
    """How well each row of a picture, moved sideways, agrees with the same row of another.

    What never changes (bonnet, dashboard, mirrors) is taken off first. Each row is cut into overlapping tiles that are
    looked for in the other picture's row by normalised cross-correlation; the sum of its cubes over the tiles is
    largest at the shift that most of the picture shares, which is how far what is far away has moved.

    Args:
        rows: uint8 (n, r, 320).
        pairs: int64 (p, 2), the earlier and the later picture of each pair.
        progress: told after each batch of pairs.

    Returns:
        float32 (p, r, 2 × 64 + 1) for shifts from −64 (to the left) to +64 pixels.
    """
    fixed = rows.mean(axis=0, dtype=np.float32)
    frequency = np.fft.rfftfreq(2 * WIDTH)
    kept = ((frequency > _LOWEST) * np.exp(-((frequency / _HIGHEST) ** 2))).astype(np.float32)
    evidence = np.zeros((len(pairs), rows.shape[1], 2 * LARGEST_SHIFT + 1), np.float32)
    for first in range(0, len(pairs), _AT_ONCE):
        batch = pairs[first : first + _AT_ONCE]
        earlier, later = (_filtered(rows[batch[:, side]] - fixed, kept) for side in (0, 1))
        evidence[first : first + len(batch)] = _agreement(earlier, later)
        progress(first + len(batch), len(pairs))
    return evidence


def _filtered(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    filtered: np.ndarray = np.fft.irfft(np.fft.rfft(rows, 2 * WIDTH) * kept)[..., :WIDTH].astype(np.float32)
    return filtered


def _agreement(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    shifts = np.arange(-LARGEST_SHIFT, LARGEST_SHIFT + 1)
    spectrum = np.fft.rfft(later, 2 * WIDTH)
    energy = np.cumsum(np.pad(later.astype(np.float64) ** 2, ((0, 0), (0, 0), (1, 0))), axis=-1)
    window = np.hanning(_TILE).astype(np.float32)
    total = np.zeros((*earlier.shape[:2], len(shifts)), np.float32)
    for start in range(0, WIDTH - _TILE + 1, _TILE_STEP):
        tile = np.zeros_like(earlier)
        tile[..., start : start + _TILE] = earlier[..., start : start + _TILE] * window
        product = np.fft.irfft(spectrum * np.conj(np.fft.rfft(tile, 2 * WIDTH)))[..., shifts]
        mine = np.sqrt((earlier[..., start : start + _TILE] ** 2 * window).sum(axis=-1, keepdims=True))
        left, right = np.clip(shifts + start, 0, WIDTH), np.clip(shifts + start + _TILE, 0, WIDTH)
        theirs = np.sqrt(np.maximum(energy[..., right] - energy[..., left], 0) / 2)
        total += np.maximum(product / (mine * theirs + _NOISE), 0) ** 3
    return total


def most_likely_shifts(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shift with most evidence of each pair, pixels, float64 (p,), and its weight, 0 … 2.

    Args:
        evidence: float32 (p, 2 × 64 + 1), summed over rows.
    """
    relative = evidence / (evidence.mean(axis=1, keepdims=True) + 1e-9)
    best = np.clip(relative.argmax(axis=1), 1, 2 * LARGEST_SHIFT - 1)
    pair = np.arange(len(best))
    before, top, after = relative[pair, best - 1], relative[pair, best], relative[pair, best + 1]
    between = 0.5 * (before - after) / (before - 2 * top + after - 1e-9)  # the peak of a parabola through the three
    return best - LARGEST_SHIFT + np.clip(between, -0.5, 0.5), np.minimum(top / 5, 2.0)
