"""What the user may choose of turning sessions into datasets."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import SteeringUnit

ImagePixels = Annotated[int, Parameter(validator=Number(gte=8, lte=8192))]
Share = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]


def _is_an_address(_: type, value: str | None) -> None:
    if value is not None and not re.fullmatch(r"auto|[^\s/]+:\d{1,5}", value):
        raise ValueError("must be HOST:PORT, or auto")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """How a session becomes images and labels."""

    format: Literal["jpg", "png", "webp"] = "jpg"
    """Format of the images: jpg is quick, png loses nothing, webp is small and slow."""
    quality: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 95
    """Quality of jpg and webp, 1 to 100."""
    crop: Annotated[tuple[int, int, int, int] | None, Parameter(negative="")] = None
    """Keep this part of the picture: LEFT TOP WIDTH HEIGHT, pixels of the video."""
    size: Annotated[tuple[ImagePixels, ImagePixels] | None, Parameter(negative="")] = None
    """Resize to WIDTH HEIGHT, pixels, after the crop."""
    fps: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Take fewer frames: those nearest to so many instants a second; without it, all."""
    keep_paused: bool = False
    """Label the frames of paused spells too."""
    max_error_ms: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Label no frame whose instant may be off by more than this; without it, half the time between frames."""
    steering_unit: SteeringUnit = "auto"
    """Unit of the game's steering; auto takes what the recording found."""
    steering_lock: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Degrees of the steering wheel from the centre to full lock; needed only when the unit is an angle."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Where several sessions are worked on at once; the results are the same."""

    engine: Literal["local", "ray"] | None = None
    """Work in processes of this machine (local) or as tasks of Ray; without it ray if there is an --address."""
    address: Annotated[str | None, Parameter(validator=_is_an_address)] = None
    """HOST:PORT of a Ray cluster that this machine belongs to, or auto: the one started on this machine. Its machines
    need the same acpilot, and must reach the sessions under the same path. Without it, Ray is started for the while."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CombineSettings:
    """How sessions become one dataset."""

    out: Path = Path("dataset")
    """Folder of the dataset; if there is one already, the sessions are added to it."""
    split_by: Literal["session", "lap"] | None = None
    """What is never divided between splits; without it lap, or what the dataset was made with."""
    validation: Share | None = None
    """Share of the rows that is held out for validation; without it 0.15."""
    test: Share | None = None
    """Share of the rows that is held out for a last test; without it none."""
    corrections_weight: Annotated[float | None, Parameter(validator=Number(gt=0, lte=100))] = None
    """Weight of a driver's corrections, who took over from a policy, against other rows; without it 1, or as before."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """How a dataset is written for other tools."""

    to: Literal["lerobot", "parquet"] = "lerobot"
    """lerobot: a LeRobotDataset v3.0, of episodes with video; parquet: a file for each split, as data frames read."""
    out: Path | None = None
    """Folder of the export; without it DATASET_lerobot or DATASET_parquet beside the dataset."""
    video: Literal["encode", "copy"] = "encode"
    """For lerobot. encode: the dataset's images, quick to read in any order; copy: the recordings without loss."""
    images: Literal["embed", "paths"] = "embed"
    """For parquet. embed: the images are in the files; paths: only their paths, from the dataset's folder."""
