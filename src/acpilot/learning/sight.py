"""A picture of what a network sees: the game's pictures with its band marked, what it gets of them, and learns from."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from acpilot.dataset.dataset import Dataset
from acpilot.files import write_atomically
from acpilot.learning.batches import Batches
from acpilot.learning.examples import Examples
from acpilot.learning.frames import open_picture

_SHARES = (0.01, 0.15, 0.4, 0.6, 0.85, 0.99)
"""The pictures shown, by how many others are steered more to the left."""
_HIGH, _GAP, _HEAD = 198, 8, 24
_DARK, _YELLOW, _WHITE = (30, 33, 38), (255, 205, 40), (255, 255, 255)


def draw_sight(dataset: Dataset, examples: Examples, batches: Batches, seed: int, path: Path) -> None:
    """Draw some of the pictures that are learnt from, from the sharpest bend to the left to that to the right.

    Raises:
        AcpilotError: a picture is missing or damaged.
        OSError: the disk is full.
    """
    preprocessing = batches.preprocessing
    steering = examples.labels[:, preprocessing.outputs.index("steering")]
    ordered = examples.training[np.argsort(steering[examples.training], kind="stable")]
    rows = ordered[[int(share * (len(ordered) - 1)) for share in _SHARES]]
    seen = [batches.picture(row) for row in rows]
    change = batches.augmentation(np.random.default_rng(seed)).change
    learnt, corrected, brightness = change(seen, steering[rows], examples.speed[rows])
    learnt = np.minimum(learnt * brightness[:, None, None, None], 255).astype(np.uint8)
    tiles = []
    for i, row in enumerate(rows):
        picture = open_picture(dataset.image(examples.names[examples.pictures[row, 0]]))
        whole = Image.fromarray(picture)
        left, top, width, height = preprocessing.band(whole.width, whole.height)
        edge = max(1, whole.height // 180)
        ImageDraw.Draw(whole).rectangle((left, top, left + width - 1, top + height - 1), outline=_YELLOW, width=edge)
        tiles.append(
            [
                (whole.resize((round(_HIGH * whole.width / whole.height), _HIGH), Image.Resampling.BOX), "the picture"),
                (_enlarged(seen[i], preprocessing.colours), f"what the policy sees: steering {steering[row]:+.3f}"),
                (_enlarged(learnt[i], preprocessing.colours), f"as it is learnt from: steering {corrected[i]:+.3f}"),
            ]
        )
    widths = [max(tile.width for tile, _ in column) for column in zip(*tiles, strict=True)]
    sheet = Image.new(
        "RGB", (sum(widths) + _GAP * (len(widths) + 1), len(tiles) * (_HIGH + _HEAD + _GAP) + _GAP), _DARK
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, line in enumerate(tiles):
        x, y = _GAP, _GAP + i * (_HIGH + _HEAD + _GAP)
        for (tile, text), width in zip(line, widths, strict=True):
            draw.text((x, y + 2), text, _WHITE, font)
            sheet.paste(tile, (x, y + _HEAD))
            x += width + _GAP
    raw = io.BytesIO()
    sheet.save(raw, "PNG")
    write_atomically(path, raw.getvalue())


def _enlarged(picture: np.ndarray, colours: str) -> Image.Image:
    newest = np.ascontiguousarray(picture[..., :3][..., :: 1 if colours == "RGB" else -1])
    image = Image.fromarray(newest)
    return image.resize((round(_HIGH * image.width / image.height), _HIGH), Image.Resampling.NEAREST)
