"""A strip of black and white cells at the top of a picture that carries the instant at which the scene was drawn.

The strip makes a recording self-timing: whatever a recorder did to its frames, each tells which physics step it shows.
It has 64 cells over the full width: 2 of calibration (white, black), 44 of the instant in units of 10 us (most
significant first), 16 of its CRC, 2 of calibration (black, white). It is 1/30 of the picture high.
"""

from binascii import crc_hqx

import numpy as np
from numpy.typing import NDArray

CELLS = 64
"""Number of cells, side by side over the full width."""
RESOLUTION_NS = 10_000
"""The instant is carried rounded down to a multiple of this."""
LIMIT_NS = RESOLUTION_NS << 44
"""Instants from 0 to below this one can be carried (5.5 years)."""

_PAYLOAD_BYTES = 60 // 8 + 1
_FRONT = (1, 0)
_BACK = (0, 1)
_LEAST_CONTRAST = 80.0
"""White less black, in levels of 255, below which there is no strip."""
_GREY_ZONE = (0.35, 0.65)
"""A cell between these shares of the way from black to white is neither, and the reading is refused."""


def strip_height(height: int) -> int:
    """Height of the strip in pixels, for a picture of this height: 12 at 360 lines, 24 at 720."""
    return max(1, round(height / 30))


def _checksum(ticks: int) -> int:
    return crc_hqx(ticks.to_bytes(_PAYLOAD_BYTES, "big"), 0xFFFF)


def encode(instant: int) -> NDArray[np.uint8]:
    """The cells that carry an instant (ns, 0 <= instant < LIMIT_NS): uint8 (64,), 0 black or 255 white."""
    if not 0 <= instant < LIMIT_NS:
        raise ValueError(f"the clock strip carries instants from 0 to {LIMIT_NS - 1} ns, not {instant}")
    ticks = instant // RESOLUTION_NS
    word = ticks << 16 | _checksum(ticks)
    bits = [*_FRONT, *(word >> shift & 1 for shift in reversed(range(60))), *_BACK]
    return np.array(bits, dtype=np.uint8) * np.uint8(255)


def draw(picture: NDArray[np.uint8], instant: int) -> None:
    """Draw the strip of an instant (ns) into a picture, uint8 (h, w, 3) or (h, w), in place."""
    height, width = picture.shape[:2]
    cells = encode(instant)[np.arange(width) * CELLS // width]
    picture[: strip_height(height)] = cells[None, :, None] if picture.ndim == 3 else cells


def decode(picture: NDArray[np.uint8]) -> int | None:
    """Read the instant (ns, a multiple of 10 us) from a picture, uint8 (h, w, 3) or (h, w) of at least 320 x 180.

    Returns None when there is no strip or it cannot be read for certain (a cell is neither black nor white, or the
    checksum does not fit).
    """
    height, width = picture.shape[:2]
    strip = strip_height(height)
    rows = picture[strip // 4 : max(strip // 4 + 1, strip - strip // 4)]
    line = rows.mean(axis=(0, 2) if picture.ndim == 3 else 0)
    # The middle half of each cell: its edges are blurred by scaling and compression.
    sums = np.concatenate(([0.0], np.cumsum(line)))
    first = np.floor((np.arange(CELLS) + 0.25) * width / CELLS).astype(np.intp)
    last = np.maximum(first + 1, np.ceil((np.arange(CELLS) + 0.75) * width / CELLS).astype(np.intp))
    cells = (sums[last] - sums[first]) / (last - first)
    white = min(cells[0], cells[-1])
    black = max(cells[1], cells[-2])
    if white - black < _LEAST_CONTRAST:
        return None
    levels = (cells - black) / (white - black)
    if np.any((levels > _GREY_ZONE[0]) & (levels < _GREY_ZONE[1])):
        return None
    word = 0
    for bit in levels[2:-2] > 0.5:
        word = word << 1 | int(bit)
    ticks, checksum = word >> 16, word & 0xFFFF
    return ticks * RESOLUTION_NS if checksum == _checksum(ticks) else None
