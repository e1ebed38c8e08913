"""What the user may choose of the practice game."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import DEFAULT_PAGES, Pixels, is_a_plain_name

CameraName = Literal["bonnet", "cockpit", "chase"]
LightName = Literal["noon", "evening", "overcast"]
"""Cameras and lights of the practice game."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PracticeSettings:
    """How the practice game is played."""

    track: str = "allround"
    """Name of a track, or random:SEED for one of your own; --list-tracks names them."""
    driver: Literal["keyboard", "gamepad", "virtual", "expert"] = "keyboard"
    """Who drives: keyboard, gamepad, virtual (another program, through the virtual gamepad) or expert."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.3, lte=1))] = 1.0
    """The expert's speed, as a share of what the tyres allow: a policy needs room for its errors."""
    disturbance: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.0
    """Push the expert's car off its line now and then, 0 to 1, so that recordings hold recoveries."""
    seed: int = 0
    """Seed of the disturbance: the same seed and inputs give the same drive."""
    title: str = "Assetto Corsa"
    """Title of the window."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    fps: Annotated[float, Parameter(validator=Number(gt=0, lte=240))] = 60.0
    """Frames a second of the picture."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; auto takes OpenGL where there is one."""
    headless: bool = False
    """Without a window: draw off-screen (needs no display)."""
    fast: bool = False
    """As fast as the machine can instead of in real time; implies headless."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """End after so many seconds of game time."""
    laps: Annotated[int | None, Parameter(validator=Number(gt=0))] = None
    """End after so many laps."""
    burn_clock: bool = False
    """Draw a machine-readable strip with the instant of the physics step shown (a test aid)."""
    pages: Annotated[str, Parameter(validator=is_a_plain_name)] = DEFAULT_PAGES
    """Names of the memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
    list_tracks: bool = False
    """Name the tracks and end."""
