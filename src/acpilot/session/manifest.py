"""``session.json``: what a session says of itself."""

import json
import platform
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acpilot import __version__
from acpilot.errors import AcpilotError
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment

FORMAT = 2
"""Version of the manifest that this program writes, and the newest that it reads. 1 had spells of frames that were not
to be labelled in place of each frame's own error."""
NOBODY, HUMAN = "", "human"
"""Who drives (``Manifest.drivers``) while the controls are at rest, and when a person has taken over from a policy."""
_FRAMES_AFTER_THE_LAST_SAVE = 600
_ENVIRONMENT = ("av", "mss", "numpy", "pillow", "pyarrow", "websocket-client")


def environment() -> dict[str, str]:
    """The machine and the versions that a session was made with."""
    versions = {name: version(name) for name in _ENVIRONMENT}
    return {"acpilot": __version__, "python": platform.python_version(), "platform": platform.platform(), **versions}


@dataclass(frozen=True)
class Fingerprint:
    """What a session knows its finished video by."""

    frames: int
    width: int
    height: int
    first_packets: str
    """A checksum of each of the first packets' pictures, in the order of the file, with spaces between."""
    seconds: list[float]
    """Time stamps of frames that are spread over the video, from the first to the last."""


@dataclass
class Counts:
    """What a session holds and what it lacks."""

    samples: int = 0
    lost_packets: int = 0
    torn_reads: int = 0
    frames: int = 0
    dropped_frames: int = 0
    """Frames that the recorder could not take or encode in time."""
    repeated_frames: int = 0
    """Frames whose picture was already that of the frame before."""
    labelled_frames: int = 0
    paused_frames: int = 0
    unlabelled_frames: int = 0
    """Frames without telemetry around them."""
    distrusted_frames: int = 0
    """Frames whose instant is not certain, or whose picture only repeats the one before: left out."""
    flawed_frames: int = 0
    """Frames of a drive whose picture is not that of the game: left out."""


@dataclass
class Manifest:
    """``session.json``."""

    state: Literal["recording", "complete", "partial", "original"] = "recording"
    """``recording`` in a folder that nobody writes to any more means that the recorder was killed; ``original`` is a
    folder of the original tool, which has no manifest."""
    created: str = ""
    """Wall time at the start, ISO 8601 with the offset from UTC: the only wall time of a session."""
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    game: dict[str, Any] = field(default_factory=dict)
    """Car, track and what else the game says of itself."""
    recorder: dict[str, Any] = field(default_factory=dict)
    """Which recorder took the video, why that one, and how steadily."""
    start: int = 0
    """Instant (ns, monotonic clock) that the times of the session count from."""
    steering: Steering | None = None
    alignment: Alignment | None = None
    video: Fingerprint | None = None
    """Of the video as it was recorded; None where it was never finished or is not here, and in sessions of earlier
    versions."""
    counts: Counts = field(default_factory=Counts)
    flaws: list[tuple[int, int, str]] = field(default_factory=list)
    """From and to which instant (ns, monotonic clock) the picture was not that of the game, and why: covered by what,
    black, standing still while the car moved."""
    drivers: list[tuple[int, str]] = field(default_factory=list)
    """Who drove, from which instant (ns, monotonic clock) on: a policy's name, ``HUMAN`` or ``NOBODY``. Before the
    first, and where there is none, a person."""
    drive: dict[str, Any] = field(default_factory=dict)
    """How ``acpilot drive`` drove: settings, rate, latency."""
    ended_by: str = ""
    problems: list[str] = field(default_factory=list)
    format: int = FORMAT

    @classmethod
    def begun(cls, settings: dict[str, Any], wall: datetime) -> "Manifest":
        """The manifest of a session that begins on this machine at that wall time."""
        return cls(created=wall.isoformat(timespec="seconds"), environment=environment(), settings=settings)

    def to_json(self) -> str:
        """The manifest as indented JSON, without the frames' errors."""
        values = asdict(self)
        if self.alignment is not None:
            del values["alignment"]["errors_ms"]
        return json.dumps(values, indent=2, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, path: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            AcpilotError: the text is no manifest, or one of a newer version.
        """
        try:
            raw = json.loads(text)
            number = raw["format"]
        except (ValueError, TypeError, KeyError):
            raise AcpilotError(f"{path} is damaged: it is not the manifest of a session") from None
        if not isinstance(number, int) or number > FORMAT:
            raise AcpilotError(
                f"{path} has format {number}, this acpilot reads up to {FORMAT}: update acpilot to read it"
            )
        try:
            known = {name.name for name in fields(cls)}
            values = {name: value for name, value in raw.items() if name in known} | {"format": FORMAT}
            if number == 1 and values.get("alignment"):
                values["alignment"] = _of_format_1(values["alignment"])
            kinds = {"steering": Steering, "alignment": Alignment, "video": Fingerprint, "counts": Counts}
            for name, kind in kinds.items():
                if values.get(name) is not None:
                    values[name] = kind(**values[name])
            return cls(**values)
        except TypeError as error:
            raise AcpilotError(f"{path} is damaged: {error}") from None


def settings_record(settings: Any) -> dict[str, Any]:
    """A settings object as it is stored in a manifest: plain JSON values, no secrets."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}


def _of_format_1(alignment: dict[str, Any]) -> dict[str, Any]:
    """An alignment in which all frames had one bound, but for spells that were not certain.

    Frames after those that were watched were not certain either; where all were, as many as could be there are.
    """
    watched = alignment.pop("verified_frames", None)
    spells = alignment.pop("distrusted", [])
    if watched is None:
        watched = int(alignment.get("evidence", {}).get("grabs") or 0) + _FRAMES_AFTER_THE_LAST_SAVE
    errors = np.full(watched, alignment["error_bound_ms"], np.float32)
    for first, last in spells:
        errors[first : last + 1] = np.inf
    return alignment | {"errors_ms": errors}
