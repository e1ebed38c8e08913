"""Sessions of the original tool: a row per frame in ``inputs.csv``, and no manifest."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acpilot.errors import AcpilotError

COLUMNS = ("Timestamp", "Frame", "Steering", "Throttle", "Brake", "SpeedKmh")
"""Seconds since the start, number of the video's frame, and the game's numbers as it published them."""


@dataclass(frozen=True)
class Inputs:
    """``inputs.csv`` as columns; all arrays have one entry per row."""

    timestamp: np.ndarray
    """Seconds since the start, float64, ascending."""
    frame: np.ndarray
    """Number of the video's frame, int64, ascending, from 0."""
    steering: np.ndarray
    """In the game's own unit."""
    throttle: np.ndarray
    brake: np.ndarray
    speed_kmh: np.ndarray
    gear: np.ndarray
    """As the file says, int64; zeros when it has no such column."""
    notes: tuple[str, ...]
    """What the user should know of the file."""


def read_inputs(path: Path) -> Inputs:
    """Read an ``inputs.csv`` of the original tool.

    A byte order mark is skipped and a last line that was cut short is left out, each with a note; all else that is not
    to the letter is refused.

    Raises:
        AcpilotError: the file is missing or malformed; the line says where.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise AcpilotError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise AcpilotError(f"{path} is no UTF-8 text: save it as a CSV file in UTF-8") from None
    notes = []
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        notes.append(f"the last line of {path.name} is cut short: left out")
    lines = list(csv.reader(text.splitlines()))
    header = [name.strip() for name in lines[0]] if lines else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        hint = ": separate the columns with commas" if len(header) == 1 and ";" in header[0] else ""
        raise AcpilotError(f"{path} lacks the columns {', '.join(missing)}{hint or ': its first line must name them'}")
    if raw.startswith(b"\xef\xbb\xbf"):
        notes.append(f"{path.name} begins with a byte order mark: skipped")
    names = [*COLUMNS, *(["Gear"] if "Gear" in header else [])]
    places = [header.index(name) for name in names]
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != len(header):
            raise AcpilotError(
                f"{path}, line {number}: {len(line)} columns instead of {len(header)}; if its numbers have decimal "
                "commas, write them with points"
            )
        rows.append([_number(path, number, name, line[place]) for name, place in zip(names, places, strict=True)])
    if not rows:
        raise AcpilotError(f"{path} holds no row: the game was not driven while recording")
    columns = np.array(rows, np.float64).T
    _check_order(path, columns[0], columns[1])
    gear = columns[6] if len(names) > len(COLUMNS) else np.zeros(len(rows))
    return Inputs(
        columns[0], columns[1].astype(np.int64), columns[2], columns[3], columns[4], columns[5], gear.astype(np.int64),
        tuple(notes),
    )  # fmt: skip


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        comma = " with a point in place of the comma" if "," in text else ""
        raise AcpilotError(
            f"{path}, line {line}: {name} is {text!r}, not a number; correct it{comma}, or delete the line"
        )
    if name in ("Frame", "Gear") and (value != int(value) or abs(value) > 1e9):
        raise AcpilotError(f"{path}, line {line}: {name} is {text!r}, not a whole number")
    return value


def _check_order(path: Path, timestamp: np.ndarray, frame: np.ndarray) -> None:
    # Lines are counted as people count them; an empty one moves them by one, which still leads the eye there.
    for what, values, strictly in (("frame", frame, True), ("timestamp", timestamp, False)):
        steps = np.diff(values)
        wrong = np.flatnonzero(steps <= 0 if strictly else steps < 0)
        if len(wrong):
            line = int(wrong[0]) + 3
            verb = "repeats" if steps[wrong[0]] == 0 else "goes back from"
            raise AcpilotError(
                f"{path}, line {line}: {what} {values[wrong[0] + 1]:g} {verb} "
                f"{what} {values[wrong[0]]:g} of the line before: which of them is right cannot be known; correct or "
                "delete one"
            )
    if frame[0] < 0:
        raise AcpilotError(f"{path}, line 2: frame {frame[0]:g} is negative")
