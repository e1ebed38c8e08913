"""A picture of a dataset at a glance: some of its images, each with its label drawn on it."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from acpilot.files import replace
from acpilot.session.folder import Session

_COLUMNS, _ROWS = 4, 5
_TILE_WIDTH = 320
_WHITE, _GREEN, _RED, _YELLOW, _SHADE = (255, 255, 255), (60, 200, 90), (230, 70, 60), (255, 205, 40), (0, 0, 0, 150)


def contact_sheet(session: Session) -> None:
    """Draw the contact sheet of a converted session; it is there whole or not at all.

    Raises:
        OSError: the disk is full, or gone.
    """
    with session.labels_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    part = session.contact_sheet_file.with_suffix(".part")
    draw_sheet(rows, session.images_folder).save(part, "PNG", compress_level=1)
    replace(part, session.contact_sheet_file)


def draw_sheet(rows: Sequence[Mapping[str, Any]], folder: Path) -> Image.Image:
    """Draw a contact sheet.

    Half of its images are spread evenly over the rows, the others are those with the most steering around them, so
    that bends to both sides are seen.

    Args:
        rows: one at least, with image_name, steering, throttle, brake, speed and frame.
        folder: what their image_name is relative to.
    """
    chosen = _choose(np.array([float(row["steering"]) for row in rows]))
    tiles = [_tile(folder / rows[i]["image_name"], rows[i]) for i in chosen]
    width, height = tiles[0].size
    sheet = Image.new("RGB", (width * _COLUMNS, height * math.ceil(len(tiles) / _COLUMNS)))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % _COLUMNS * width, place // _COLUMNS * height))
    return sheet


def _choose(steering: np.ndarray) -> list[int]:
    """Indices of the images to show, in order."""
    count = min(_COLUMNS * _ROWS, len(steering))
    spans = np.array_split(np.arange(len(steering)), count)
    return [
        int(span[np.abs(steering[span]).argmax()] if k % 2 else span[len(span) // 2]) for k, span in enumerate(spans)
    ]


def _tile(image: Path, row: Mapping[str, Any]) -> Image.Image:
    with Image.open(image) as picture:
        height = round(picture.height * _TILE_WIDTH / picture.width)
        picture.draft("RGB", (2 * _TILE_WIDTH, 2 * height))  # a JPEG is decoded no larger than that is worth
        tile = picture.convert("RGB").resize((_TILE_WIDTH, height), Image.Resampling.BOX)
    steering, throttle, brake, speed = (float(row[name]) for name in ("steering", "throttle", "brake", "speed"))
    caption = f"frame {row['frame']}   steering {steering:+.3f}   {speed:.0f} km/h"
    draw_inputs(tile, caption, steering, throttle, brake)
    return tile


def draw_inputs(picture: Image.Image, caption: str, steering: float, throttle: float, brake: float) -> None:
    """Draw the car's inputs (−1..1, 0..1, 0..1) and a line of text onto an RGB picture."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture, "RGBA")
    font = ImageFont.load_default(13)
    draw.rectangle((0, 0, width, 18), fill=_SHADE)
    draw.text((5, 1), caption, _WHITE, font)
    # The steering as an arrow that leans the way the wheel is turned, three times as far: small angles are to be seen.
    x, y, length = width / 2, height * 0.82, height * 0.3
    angle = math.radians(max(-80.0, min(80.0, 3 * 90 * steering)))
    tip = (x + length * math.sin(angle), y - length * math.cos(angle))
    draw.line((x, y, x, y - length), fill=(255, 255, 255, 110), width=2)
    draw.line((x, y, *tip), fill=_YELLOW, width=4)
    for left, value, colour in ((8, throttle, _GREEN), (20, brake, _RED)):
        bottom, tall = height - 8, height * 0.35
        draw.rectangle((left, bottom - tall, left + 8, bottom), fill=_SHADE)
        draw.rectangle((left, bottom - tall * value, left + 8, bottom), fill=colour)
