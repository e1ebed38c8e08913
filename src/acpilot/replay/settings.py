"""What the user may choose of replaying a session."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import DEFAULT_PAGES, Pixels, is_a_plain_name


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed."""

    speed: Annotated[float, Parameter(validator=Number(gte=0.05, lte=10))] = 1.0
    """Seconds of the session in a second, 0.05 to 10."""
    loop: bool = False
    """Begin anew at the end, until it is stopped."""
    start: float | None = None
    """Begin at this second of the session (column timestamp)."""
    end: float | None = None
    """End at this second of the session."""
    headless: bool = False
    """Publish all of the telemetry, and show no window."""
    title: str = "Assetto Corsa"
    """Title of the window."""
    size: Annotated[tuple[Pixels, Pixels] | None, Parameter(negative="")] = None
    """Width and height of the picture, pixels; without it, those of the video."""
    pages: Annotated[str, Parameter(validator=is_a_plain_name)] = DEFAULT_PAGES
    """Names of the memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
