"""What the user may choose of recording a session."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import DEFAULT_PAGES, SESSIONS_FOLDER, SteeringUnit, is_a_plain_name
from acpilot.video.settings import VideoSettings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecordSettings(VideoSettings):
    """How a session is recorded."""

    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Stop by itself after so many seconds; without it, Escape or Ctrl-C stops."""
    wait: Annotated[float, Parameter(validator=Number(gte=0))] = 300.0
    """Seconds to wait for the game before giving up."""
    output: Path = SESSIONS_FOLDER
    """Folder in which the session's folder is made."""
    keep_paused: bool = False
    """Label the frames of paused spells too."""
    steering_unit: SteeringUnit = "auto"
    """Unit of the game's steering; auto finds it from the drive."""
    steering_lock: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Degrees of the steering wheel from the centre to full lock; needed only when the unit is an angle."""
    pages: Annotated[str, Parameter(validator=is_a_plain_name)] = DEFAULT_PAGES
    """Names of the game's memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
    debug: bool = False
    """Write all that is said to OBS into debug.log in the session's folder."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """How the demonstration is run."""

    duration: Annotated[float, Parameter(validator=Number(gte=5))] = 32.0
    """Seconds to record."""
    track: str = "allround"
    """Track of the practice game, as for acpilot practice."""
    output: Path = SESSIONS_FOLDER
    """Folder in which the session's folder is made."""
