"""The session folder: its files and its manifest. The only code that knows a file name."""

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from acpilot import __version__
from acpilot.errors import AcpilotError
from acpilot.files import write_atomically
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment

FORMAT = 1
"""Version of the manifest that this program writes, and the newest that it reads."""
NOBODY, HUMAN = "", "human"
"""Who drives (``Manifest.drivers``) while the controls are at rest, and when a person has taken over from a policy."""
_ENVIRONMENT = ("av", "mss", "numpy", "pillow", "pyarrow", "websocket-client")


def environment() -> dict[str, str]:
    """The machine and the versions that a session was made with."""
    versions = {name: version(name) for name in _ENVIRONMENT}
    return {"acpilot": __version__, "python": platform.python_version(), "platform": platform.platform(), **versions}


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
    counts: Counts = field(default_factory=Counts)
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
        """The manifest as indented JSON."""
        return json.dumps(asdict(self), indent=2, default=str) + "\n"

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
            values = {name: value for name, value in raw.items() if name in known}
            for name, kind in (("steering", Steering), ("alignment", Alignment), ("counts", Counts)):
                if values.get(name) is not None:
                    values[name] = kind(**values[name])
            return cls(**values)
        except TypeError as error:
            raise AcpilotError(f"{path} is damaged: {error}") from None


class Session:
    """A session folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest_file = folder / "session.json"
        self.telemetry_file = folder / "telemetry.arrow"
        self.video_file = folder / "session_recording.mkv"
        self.inputs_file = folder / "inputs.csv"
        self.images_folder = folder / "processed_images"
        self.labels_file = folder / "processed_data.csv"
        self.conversion_file = folder / "processed_data.json"
        self.lock_file = folder / "convert.lock"
        self.contact_sheet_file = folder / "contact_sheet.png"
        self.wanted_speed_file = folder / "wanted_speed.npy"
        """Only where the practice game's expert gave the labels: km/h, float32, one of each frame."""
        self.debug_file = folder / "debug.log"
        self.marks_file = folder / "marks.json"
        self.lag_file = folder / "lag.json"
        self.inputs_before_lag_file = folder / "inputs_before_lag.csv"
        self.labels_before_lag_file = folder / "processed_data_before_lag.csv"
        self.report_file = folder / "report.html"
        self.manifest = Manifest()

    @classmethod
    def create(cls, parent: Path, settings: dict[str, Any]) -> "Session":
        """Make a new folder named after the wall time, with its manifest.

        Raises:
            AcpilotError: the folder cannot be made.
        """
        wall = datetime.now().astimezone()
        name = folder_name = f"{wall:%Y%m%d_%H%M%S}"
        suffix = 1
        try:
            parent.mkdir(parents=True, exist_ok=True)
            while (parent / folder_name).exists():
                suffix += 1
                folder_name = f"{name}_{suffix}"
            session = cls(parent / folder_name)
            session.folder.mkdir()
            session.manifest = Manifest.begun(settings, wall)
            session.save()
        except OSError as error:
            raise AcpilotError(
                f"cannot write to {parent}: {error.strerror}; choose another folder with --output"
            ) from None
        return session

    @classmethod
    def open(cls, folder: Path) -> "Session":
        """Open a session folder.

        Raises:
            AcpilotError: it is none, or its manifest is damaged or of a newer version.
        """
        session = cls(folder)
        if not folder.is_dir():
            raise AcpilotError(
                f"{folder} is not a folder: give the folder of a session, such as ac_telemetry_data/20261122_191500"
            )
        try:
            text = session.manifest_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            if session.inputs_file.exists() and session.video_file.exists():
                session.manifest.state = "original"
                return session
            raise AcpilotError(
                f"{folder} is not a session folder: it has no {session.manifest_file.name}, nor "
                f"{session.inputs_file.name} and {session.video_file.name} as the original tool wrote them"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise AcpilotError(f"{session.manifest_file} cannot be read: {error}") from None
        session.manifest = Manifest.from_json(text, session.manifest_file)
        return session

    @property
    def is_original(self) -> bool:
        """Whether the original tool made it: frame n belongs to row n of ``inputs.csv``, and nothing proves it."""
        return self.manifest.state == "original"

    @property
    def correction(self) -> int:
        """Nanoseconds that ``acpilot lag --fix`` adds to the instants of all frames; 0 without a fix.

        Raises:
            AcpilotError: the file is damaged.
        """
        try:
            return round(1e6 * float(json.loads(self.lag_file.read_text(encoding="utf-8"))["correction_ms"]))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, TypeError, KeyError):
            raise AcpilotError(f"{self.lag_file} is damaged: run 'acpilot lag --fix {self.folder}' again") from None

    def labels_before_lag(self) -> Iterator[tuple[Path, Path]]:
        """Each file of labels that a correction changes, and where it is kept as it was before."""
        yield self.labels_file, self.labels_before_lag_file
        if not self.is_original:
            yield self.inputs_file, self.inputs_before_lag_file

    def save(self) -> None:
        """Write the manifest.

        Raises:
            OSError: the disk is full, or gone.
        """
        write_atomically(self.manifest_file, self.manifest.to_json())

    def image_name(self, frame: int, kind: str = "jpg") -> str:
        """File name of a frame's image; ``kind`` is jpg, png or webp."""
        return f"frame_{frame:06d}.{kind}"

    def images(self) -> Iterator[Path]:
        """The images of frames that are there, also half-written ones; other files in their folder are the user's."""
        for pattern in ("frame_*.jpg", "frame_*.png", "frame_*.webp", "frame_*.part"):
            yield from self.images_folder.glob(pattern)

    def sizes(self) -> Iterator[tuple[Path, int]]:
        """Each recorded file that exists, and its size in bytes."""
        for path in (self.video_file, self.telemetry_file):
            if path.exists():
                yield path, path.stat().st_size


def settings_record(settings: Any) -> dict[str, Any]:
    """A settings object as it is stored in a manifest: plain JSON values, no secrets."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
