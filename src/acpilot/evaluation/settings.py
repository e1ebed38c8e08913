"""What the user may choose of evaluating and improving a policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.practice.settings import CameraName, LightName
from acpilot.settings import Pixels


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How a policy is evaluated in the practice game."""

    track: tuple[str, ...] = ("allround",)
    """Tracks of the practice game, one --track each: a name, or random:SEED; acpilot practice --list-tracks."""
    laps: Annotated[int, Parameter(validator=Number(gt=0))] = 2
    """Laps on each track, the first from rest."""
    real_time: Annotated[bool, Parameter(negative="")] = False
    """Drive the practice game in its window in real time, through screen and virtual gamepad."""
    delay_ms: Annotated[float, Parameter(validator=Number(gte=0, lte=2000))] = 0.0
    """Each command takes effect so many milliseconds late: how much delay the policy bears."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    outputs: str | None = None
    """Of a TensorFlow checkpoint that acpilot did not write: what it gives, in its order, such as
    steering,brake,throttle (speed and gear too, which are not used); or, of tensors of its graph,
    steering=TENSOR,throttle=TENSOR,brake=TENSOR."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from; as in the recordings that the policy was trained on."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; as in the recordings: the two do not draw the same."""
    video: Annotated[bool, Parameter(negative="")] = False
    """Write a video of each track, with the commands drawn on it."""
    out: Path | None = None
    """Folder for figures, pictures and track maps; without it evaluation/POLICY_1, _2, …"""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the figures as JSON for scripts."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImproveSettings:
    """How a policy is improved by its own driving."""

    out: Path = Path("improved")
    """Folder of the improved policy, of the dataset that grew, and of each round."""
    rounds: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 3
    """How many; the same command with more goes on from there."""
    track: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Tracks of the practice game to drive and learn from in each round, one --track each; without it, 16 that are new
    in each: random:711 to 726 in the first round, random:731 to 746 in the second."""
    test_track: Annotated[tuple[str, ...], Parameter(negative="")] = tuple(f"random:{seed}" for seed in range(701, 709))
    """Tracks on which the autonomy is measured after each round; not to be learnt from."""
    laps: Annotated[int, Parameter(validator=Number(gt=0))] = 1
    """Laps of each drive."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.3, lte=1))] = 0.94
    """Of the expert from whom is learnt, a share of what the tyres allow: a policy needs room for its errors."""
    epochs: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 6
    """Epochs of each round's training, which goes on from the weights of the round before."""
    dropout: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.1
    """As for acpilot train; with more roads to learn from, less has to be hidden."""
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 0.0005
    """At the start of each round's training."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from; as in the recordings that the policy was trained on."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; as in the recordings: the two do not draw the same."""
