"""The session folder: its files and its manifest. The only code that knows a file name."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.commands import command
from acpilot.errors import AcpilotError
from acpilot.files import write_atomically
from acpilot.session.manifest import Manifest


class Session:
    """A session folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest_file = folder / "session.json"
        self.telemetry_file = folder / "telemetry.arrow"
        self.frame_errors_file = folder / "frame_errors.npy"
        """By how much the instant of each frame may be off: ``Alignment.errors_ms``."""
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
        session._read_frame_errors()
        return session

    def _read_frame_errors(self) -> None:
        alignment = self.manifest.alignment
        if alignment is None or len(alignment.errors_ms):
            return
        try:
            errors = np.load(self.frame_errors_file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise AcpilotError(
                f"{self.frame_errors_file} is missing or damaged, without which no frame's instant is certain: copy it "
                "anew from where the session was recorded"
            ) from None
        self.manifest.alignment = replace(alignment, errors_ms=errors)

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
            raise AcpilotError(
                f"{self.lag_file} is damaged: {command('acpilot', 'lag', '--fix', self.folder)}"
            ) from None

    def labels_before_lag(self) -> Iterator[tuple[Path, Path]]:
        """Each file of labels that a correction changes, and where it is kept as it was before."""
        yield self.labels_file, self.labels_before_lag_file
        if not self.is_original:
            yield self.inputs_file, self.inputs_before_lag_file

    def save(self) -> None:
        """Write the manifest, and the frames' errors beside it.

        Raises:
            OSError: the disk is full, or gone.
        """
        if self.manifest.alignment is not None:
            errors = BytesIO()
            np.save(errors, self.manifest.alignment.errors_ms, allow_pickle=False)
            write_atomically(self.frame_errors_file, errors.getvalue())
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
            with suppress(OSError):  # not there yet, or held by somebody
                yield path, path.stat().st_size
