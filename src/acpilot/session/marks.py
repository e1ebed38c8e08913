"""Marks: spells of a session that are not to be learnt from, stored beside the data and honoured downstream."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, write_atomically
from acpilot.session.folder import Session


@dataclass(frozen=True, order=True)
class Mark:
    """One spell that is left out."""

    first: float
    """Seconds since the session's start, as in the column ``timestamp``."""
    last: float
    why: str
    """In a word or two: spin, reset, pause, pits, off-track, AI."""
    by: Literal["user", "check"] = "user"
    """Who set it: ``check`` replaces its own marks each time, and never the user's."""


def read_marks(session: Session) -> list[Mark]:
    """The marks of a session, in the order of time; none when it was never marked.

    Raises:
        AcpilotError: the file is damaged.
    """
    try:
        text = session.marks_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise AcpilotError(f"{session.marks_file} cannot be read: {error}") from None
    try:
        marks = [Mark(float(mark["first"]), float(mark["last"]), mark["why"], mark["by"]) for mark in json.loads(text)]
    except (ValueError, TypeError, KeyError):
        raise AcpilotError(
            f"{session.marks_file} is damaged: delete it, then mark the session again (acpilot check, acpilot mark)"
        ) from None
    return sorted(marks)


def write_marks(session: Session, marks: list[Mark]) -> None:
    """Replace the marks of a session.

    Raises:
        OSError: the disk is full, or gone.
    """
    write_atomically(session.marks_file, json.dumps([asdict(mark) for mark in sorted(marks)], indent=2) + "\n")


def change_marks(session: Session, exclude: Sequence[str], why: str, remove: Sequence[str]) -> list[Mark]:
    """Add the user's marks and take some back; the marks that there are then, in the order of time.

    Args:
        session: whose marks.
        exclude: spells such as ``12.5-18.0``, seconds since the session's start.
        why: their reason.
        remove: spells of marks, as exact as ``12.500-18.000``. One that is not marked is passed over: unlike numbers,
            which move up, spells can be taken back by the same command again when it was interrupted.

    Raises:
        AcpilotError: a spell is none, or the file cannot be written.
    """
    marks = read_marks(session)
    gone = {_shown(*_spell(text, "--remove")) for text in remove}
    kept = [mark for mark in marks if _shown(mark.first, mark.last) not in gone]
    kept += [mark for text in exclude if (mark := Mark(*_spell(text, "--exclude"), why)) not in kept]
    if kept != marks:
        try:
            write_marks(session, kept)
        except OSError as error:
            raise cannot_write(session.marks_file, error, "free some space") from None
    return sorted(kept)


def _shown(first: float, last: float) -> tuple[float, float]:
    """A spell as exact as it is shown."""
    return round(first, 3), round(last, 3)


def _spell(text: str, flag: str) -> tuple[float, float]:
    """From and to, seconds: ``12.5-18`` or ``12.5 - 18``; a session's first seconds can be negative."""
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)\s*", text)
    if not found:
        raise AcpilotError(f"{flag} {text} is no spell: write FROM-TO in seconds, such as 12.5-18.0")
    first, last = float(found[1]), float(found[2])
    if first >= last:
        raise AcpilotError(f"{flag} {text} ends before it begins: write FROM-TO in seconds")
    return first, last


def marked(marks: Sequence[Mark], timestamps: np.ndarray) -> np.ndarray:
    """Which moments lie inside a mark, ends included, bool (n,).

    Args:
        marks: in any order; they may overlap.
        timestamps: float64 (n,) seconds since the session's start.
    """
    inside = np.zeros(len(timestamps), bool)
    for mark in marks:
        inside |= (timestamps >= mark.first) & (timestamps <= mark.last)
    return inside
