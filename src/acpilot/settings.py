"""What the user may choose: acpilot.toml < environment < flags, under one set of names.

Each wing has its settings beside it, a class for each command; here is what several of them share. ``fps`` of
``RecordSettings`` is ``fps`` in the section ``[record]`` of ``acpilot.toml``, ``ACPILOT_RECORD_FPS`` in the
environment, ``--fps`` on the command line and ``settings.fps`` in the manifest of a session.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Pixels = Annotated[int, Parameter(validator=Number(gte=64, lte=8192))]
CaptureName = Literal["auto", "x11", "wgc", "mss"]
"""What pictures are taken with: ``acpilot.desktop.capture``."""
SteeringUnit = Literal["auto", "ratio", "degrees", "radians"]
DEFAULT_PAGES = "acpmf"
"""Assetto Corsa's pages are ``acpmf_physics``, ``acpmf_graphics`` and ``acpmf_static``."""
SESSIONS_FOLDER = Path("ac_telemetry_data")


def is_a_plain_name(_: type, value: str) -> None:
    """Validate a name of memory pages.

    Raises:
        ValueError: it has other characters than letters, digits, - and _.
    """
    if not re.fullmatch(r"[\w-]+", value):
        raise ValueError("must be of letters, digits, - and _")


def error_limit_ms(max_error_ms: float | None, fps: float) -> float:
    """By how much, ms, the instant of a labelled frame may be off: what the user set, or half the frame interval."""
    return max_error_ms or 500 / fps
