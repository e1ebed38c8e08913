"""Marks: spells of a session that are not to be learnt from, stored beside the data and honoured downstream."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.files import write_atomically
from acpilot.session import Session


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
