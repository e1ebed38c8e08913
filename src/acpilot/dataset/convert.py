"""A session → a labelled image dataset: ``processed_images/`` and ``processed_data.csv``."""

import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from acpilot.errors import AcpilotError
from acpilot.files import replace, write_atomically
from acpilot.labels import LABELS_VERSION, Labels, inputs_csv, session_labels
from acpilot.progress import Progress
from acpilot.session import Session, settings_record
from acpilot.settings import ConvertSettings
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import frame_times

_WORKERS = 2
_PENDING = 16  # pictures waiting for a worker: bounds the memory
COLUMNS = (
    "image_name", "steering", "throttle", "brake", "speed", "gear", "frame", "timestamp", "normalized_position", "lap",
)  # fmt: skip
"""Columns of ``processed_data.csv``: the original tool's six first, then ours. Speed in km/h, timestamp in seconds."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion made."""

    images: int
    """Images in the dataset."""
    written: int
    """Images written by this run: 0 when there was nothing left to do."""
    left_out: int
    """Frames without a label: paused, or without telemetry."""
    lost: int
    """Frames that were recorded, but that the video no longer holds or that cannot be decoded."""
    notes: tuple[str, ...]
    """What the user should know."""


def convert(session: Session, settings: ConvertSettings, progress: Progress) -> Conversion:
    """Convert a session; images that an earlier, interrupted run with the same settings wrote are kept.

    Raises:
        AcpilotError: the session lacks what a conversion needs, or the disk is full.
    """
    labels, steering = session_labels(session, settings.steering_unit, settings.steering_lock, settings.max_error_ms)
    try:
        return _convert(session, settings, labels, steering, progress)
    except OSError as error:
        raise AcpilotError(
            f"cannot write to {session.folder}: {error.strerror or error}; free some space, close the programs that "
            "have its files open, and run the same command again"
        ) from None


def labels_as_converted(session: Session) -> tuple[Labels, np.ndarray, Steering]:
    """Labels of all frames under the settings of the last conversion, or the usual ones before the first.

    Returns:
        The labels, however wide the alignment's bound is; which of them are taken, bool (n,); the steering behind them.

    Raises:
        AcpilotError: the session lacks what labels need.
    """
    try:
        settings = ConvertSettings(**json.loads(_read(session.conversion_file) or "")["settings"])
    except (ValueError, TypeError, KeyError):
        settings = ConvertSettings()
    labels, steering = session_labels(session, settings.steering_unit, settings.steering_lock, np.inf)
    return labels, labels.chosen(keep_paused=settings.keep_paused), steering


def _convert(
    session: Session, settings: ConvertSettings, labels: Labels, steering: Steering, progress: Progress
) -> Conversion:
    frames = np.flatnonzero(labels.chosen(keep_paused=settings.keep_paused))
    if not len(frames):
        raise AcpilotError(f"no frame of {session.folder} can be labelled: {_why_none(labels)}")
    stamp = json.dumps(_stamp(session, settings, labels, steering), indent=2, sort_keys=True) + "\n"
    names = {int(frame): session.images_folder / session.image_name(int(frame)) for frame in frames}
    same = _read(session.conversion_file) == stamp
    if not same:  # other settings, or a session that has grown: begin anew
        session.labels_file.unlink(missing_ok=True)
        session.conversion_file.unlink(missing_ok=True)
        session.images_folder.mkdir(exist_ok=True)
        for image in session.images():
            image.unlink()
        session.inputs_file.unlink(missing_ok=True)
        write_atomically(session.conversion_file, stamp)
    if not session.inputs_file.exists():
        write_atomically(session.inputs_file, inputs_csv(labels, keep_paused=settings.keep_paused))
    there = {frame for frame, path in names.items() if path.exists()}
    notes = tuple(_notes(session, labels, settings))
    written = 0
    if not (same and session.labels_file.exists() and len(there) == len(frames)):
        missing = {frame: path for frame, path in names.items() if frame not in there}
        written = _write_images(session.video_file, missing, settings.quality, progress, len(frames))
        frames = np.array([frame for frame in names if names[frame].exists()], np.int64)
        if not len(frames):
            raise AcpilotError(f"{session.video_file} is damaged: none of its pictures can be decoded")
        write_atomically(session.labels_file, _labels_csv(session, labels, frames))
    left_out = len(labels.frame) - len(names)
    lost = max(session.manifest.counts.frames, len(labels.frame)) - left_out - len(frames)
    return Conversion(len(frames), written, left_out, lost, notes)


def _why_none(labels: Labels) -> str:
    if labels.distrusted.any():
        return "the instants of all of them are less certain than --max-error-ms of acpilot record asked for"
    return "the telemetry does not reach over the video; was the game paused all the time?"


def _stamp(session: Session, settings: ConvertSettings, labels: Labels, steering: Steering) -> dict[str, Any]:
    """What decides the result of a conversion: the same stamp means the same dataset."""
    alignment = session.manifest.alignment
    return {
        "labels_version": LABELS_VERSION,
        "settings": settings_record(settings),
        "start": session.manifest.start,
        "steering": asdict(steering),
        "alignment": asdict(alignment) if alignment else None,
        "frames": len(labels.frame),
        "video_bytes": session.video_file.stat().st_size,
        "telemetry_bytes": (session.inputs_file if session.is_original else session.telemetry_file).stat().st_size,
    }


def _notes(session: Session, labels: Labels, settings: ConvertSettings) -> Iterator[str]:
    if session.manifest.state == "recording":
        yield "the recording was cut short: converted what there is of it"
    yield from session.manifest.problems
    paused, unknown = int(labels.paused.sum()), int(labels.unknown.sum())
    if paused and not settings.keep_paused:
        yield f"{paused} frames of paused spells left out (--keep-paused takes them)"
    if distrusted := int(labels.distrusted.sum()):
        yield f"{distrusted} frames left out because their instant is not certain, or their picture only repeated"
    if unknown:
        yield f"{unknown} frames without telemetry around them left out"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write_images(video: Path, wanted: dict[int, Path], quality: int, progress: Progress, total: int) -> int:
    """Decode a video from front to back and write the wanted frames as JPEG; how many were written."""
    pending: deque[Future[None]] = deque()
    done = total - len(wanted)
    written = 0
    progress(done, total)
    with ThreadPoolExecutor(_WORKERS) as workers:
        try:
            for number, frame in decode(video):
                path = wanted.get(number)
                if path is None:
                    continue
                # PyAV converts by the stream's own colour tags; JPEG's encoder wants plain RGB.
                picture = frame.to_ndarray(format="rgb24")
                pending.append(workers.submit(_save, picture, path, quality))
                if len(pending) >= _PENDING:
                    pending.popleft().result()
                written += 1
                progress(done + written, total)
            while pending:
                pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
    return written


def decode(video: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their number in display order, as far as they can be decoded."""
    numbers = {round(time * 1e6): number for number, time in enumerate(frame_times(video))}
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        with suppress(av.FFmpegError):  # cut short by a crash
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # damaged: what comes after may be whole
                for frame in frames:
                    if frame.time is not None and (number := numbers.get(round(frame.time * 1e6))) is not None:
                        yield number, frame


def _save(picture: np.ndarray, path: Path, quality: int) -> None:
    part = path.with_suffix(".part")
    Image.fromarray(picture).save(part, "JPEG", quality=quality)
    replace(part, path)


def _labels_csv(session: Session, labels: Labels, frames: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i in frames:
        writer.writerow(
            [
                session.image_name(i),
                f"{labels.steering[i]:.6f}",
                f"{labels.throttle[i]:.6f}",
                f"{labels.brake[i]:.6f}",
                f"{labels.speed_kmh[i]:.3f}",
                labels.gear[i],
                i,
                f"{labels.timestamp[i]:.6f}",
                f"{labels.normalized_position[i]:.6f}",
                labels.lap[i],
            ]
        )
    return text.getvalue()
