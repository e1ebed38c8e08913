"""A verdict on one thing that was looked at."""

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "note", "warning", "unfit"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    """``unfit`` means that nothing should be learnt from it as it is."""
    text: str
    remedy: str = ""
    """What to do about it; empty when there is nothing to do."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What the verdict rests on, for scripts."""


def counted(number: int, noun: str) -> str:
    """So many of something: ``1 session``, ``2 sessions``."""
    return f"{number} {noun}" + "s" * (number != 1)
