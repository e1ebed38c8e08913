"""A session → a labelled image dataset: ``processed_images/`` and ``processed_data.csv``."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import av
import filelock
import numpy as np

from acpilot.commands import command
from acpilot.dataset.contact_sheet import contact_sheet
from acpilot.dataset.images import image_encoder
from acpilot.dataset.lag import estimate_lag
from acpilot.dataset.settings import ConvertSettings
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, replace, write_atomically
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.labels import LABELS_VERSION, Labels, driven_by_person, inputs_csv, session_labels
from acpilot.session.left_out import flaws_of, why_no_label
from acpilot.session.manifest import settings_record
from acpilot.session.marks import read_marks
from acpilot.session.original import read_inputs
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment
from acpilot.video.decoding import decode

_IMAGES_VERSION = 2
"""Counts changes to how images are made, so that datasets made before are made anew."""
_PATIENCE = 5.0  # seconds, for another conversion of the same session
COLUMNS = (
    "image_name", "steering", "throttle", "brake", "speed", "gear", "frame", "timestamp", "normalized_position", "lap",
    "lateral_acceleration",
)  # fmt: skip
"""Columns of ``processed_data.csv``: the original tool's six first, then ours. Speed in km/h, timestamp in seconds,
acceleration in m/s²."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion made."""

    images: int
    """Images in the dataset."""
    written: int
    """Images written by this run."""
    was_done: bool
    """There was nothing left to do."""
    left_out: int
    """Frames without a label: paused, or without telemetry."""
    lost: int
    """Frames that were recorded, but that the video no longer holds or that cannot be decoded."""
    notes: tuple[str, ...]
    """What the user should know."""


def convert_folder(folder: Path, progress: Progress, threads: int | None, *, settings: ConvertSettings) -> Conversion:
    """Convert the session in a folder; as ``convert``."""
    return convert(Session.open(folder), settings, progress, threads)


def convert(session: Session, settings: ConvertSettings, progress: Progress, threads: int | None = None) -> Conversion:
    """Convert a session; images that an earlier, interrupted run with the same settings wrote are kept.

    Args:
        session: of this tool, or of the original one.
        settings: how to convert.
        progress: told after each image.
        threads: how many decode and encode; as many as there are processors when not given.

    Raises:
        AcpilotError: the session lacks what a conversion needs, another one is at it, or the disk is full.
    """
    labels, steering = session_labels(session, settings.steering_unit, settings.steering_lock, settings.max_error_ms)
    try:
        with _locked(session):
            return _convert(session, settings, labels, steering, progress=progress, threads=threads)
    except OSError as error:
        raise cannot_write(session.folder, error, "free some space") from None


@contextmanager
def _locked(session: Session) -> Iterator[None]:
    """Keep others from converting the session meanwhile, such as Ray's workers for seconds after their command died."""
    try:
        with filelock.FileLock(session.lock_file, timeout=_PATIENCE):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows does not part with an open file; filelock removes it there
                    session.lock_file.unlink()
    except filelock.Timeout:
        raise AcpilotError(
            f"{session.folder} is being converted by another acpilot: run the same command again when that has ended"
        ) from None


def labels_as_converted(session: Session) -> tuple[Labels, np.ndarray, Steering]:
    """Labels of all frames under the settings of the last conversion, or the usual ones before the first.

    Returns:
        The labels; which of them are taken, bool (n,); the steering behind them.

    Raises:
        AcpilotError: the session lacks what labels need.
    """
    settings = settings_as_converted(session)
    labels, steering = session_labels(session, settings.steering_unit, settings.steering_lock, settings.max_error_ms)
    chosen = labels.chosen(keep_paused=settings.keep_paused) & _at_rate(labels.instant, settings.fps)
    return labels, chosen, steering


def _convert(  # noqa: PLR0913
    session: Session,
    settings: ConvertSettings,
    labels: Labels,
    steering: Steering,
    *,
    progress: Progress,
    threads: int | None,
) -> Conversion:
    chosen = labels.chosen(keep_paused=settings.keep_paused)
    frames = np.flatnonzero(chosen & _at_rate(labels.instant, settings.fps))
    if not len(frames):
        raise AcpilotError(f"no frame of {session.folder} can be labelled: {why_no_label(session, labels)}")
    names = {int(frame): session.images_folder / session.image_name(int(frame), settings.format) for frame in frames}
    stamp = _stamp(session, settings, labels, steering)
    before = read_stamp(session)
    same = before == stamp
    if not same:  # other settings, marks, or a session that has grown
        # The old stamp stays until the new one takes its place: lag --fix learns from it how to convert.
        session.labels_file.unlink(missing_ok=True)
        session.contact_sheet_file.unlink(missing_ok=True)
        kept = set(names.values()) if before.get("images") == stamp["images"] else set()
        for image in set(session.images()) - kept:
            image.unlink()
        if not session.is_original:
            session.inputs_file.unlink(missing_ok=True)
        write_atomically(session.conversion_file, json.dumps(stamp, indent=2, sort_keys=True) + "\n")
    if not session.inputs_file.exists():
        write_atomically(session.inputs_file, inputs_csv(labels, keep_paused=settings.keep_paused))
    missing = {frame: path for frame, path in names.items() if not path.exists()}
    if missing:
        session.images_folder.mkdir(exist_ok=True)
        _write_images(session, settings, missing, progress, threads)
    there = np.array([frame for frame in names if frame not in missing or names[frame].exists()], np.int64)
    if not len(there):
        raise AcpilotError(f"{session.video_file} is damaged: none of its pictures can be decoded")
    written = len(there) - (len(names) - len(missing))
    if written or not session.labels_file.exists():
        session.contact_sheet_file.unlink(missing_ok=True)
        write_atomically(session.labels_file, _labels_csv(labels, there, names))
    was_done = session.contact_sheet_file.exists()
    if not was_done:
        contact_sheet(session)
    left_out = len(labels.frame) - int(chosen.sum())
    unread = len(names) - len(there)
    lost = max(session.manifest.counts.frames - len(labels.frame), 0) + unread
    notes = list(_notes(session, labels, settings))
    if session.is_original and (written or not same):
        fix = command("acpilot", "lag", "--fix", session.folder)
        notes.append(f"{estimate_lag(session, progress)}; {fix} re-aligns the labels")
    return Conversion(len(there), written, was_done, left_out, lost, tuple(notes))


def _at_rate(instants: np.ndarray, fps: float | None) -> np.ndarray:
    """Which frames to take for so many a second, bool (n,): those nearest to evenly spaced instants."""
    taken = np.ones(len(instants), bool)
    if fps is None or len(instants) < 2:
        return taken
    seconds = (instants - instants[0]) / 1e9
    rate = 1 / float(np.median(np.diff(seconds)))
    if fps > 1.05 * rate:
        raise AcpilotError(
            f"--fps {fps:g} is more than the video's {rate:.3g} frames a second: pictures cannot be made up"
        )
    due = np.arange(0, seconds[-1] + 1e-6, 1 / fps)
    if fps > 0.95 * rate:
        return taken
    after = np.clip(np.searchsorted(seconds, due), 1, len(seconds) - 1)
    nearest = after - (due - seconds[after - 1] <= seconds[after] - due)
    close = np.abs(seconds[nearest] - due) <= 0.5 / fps  # in a gap of the video there is none
    taken[:] = False
    taken[nearest[close]] = True
    return taken


def _stamp(session: Session, settings: ConvertSettings, labels: Labels, steering: Steering) -> dict[str, Any]:
    """What decides the result of a conversion: the same stamp means the same dataset.

    Images depend on less than labels do: marks and a corrected lag leave them as they are.
    """
    alignment = session.manifest.alignment
    record = settings_record(settings)
    images = {name: record.pop(name) for name in ("format", "quality", "crop", "size")}
    stamp = {
        "images": {"version": _IMAGES_VERSION, "video_bytes": session.video_file.stat().st_size, **images},
        "labels": {
            "version": LABELS_VERSION,
            "settings": record,
            "start": session.manifest.start,
            "steering": asdict(steering),
            "alignment": _alignment_record(alignment) if alignment else None,
            "correction": session.correction,
            "marks": [asdict(mark) for mark in read_marks(session)],
            "frames": len(labels.frame),
            "telemetry_bytes": (session.inputs_file if session.is_original else session.telemetry_file).stat().st_size,
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(stamp))  # as it comes back from the file: lists for tuples
    return plain


def _alignment_record(alignment: Alignment) -> dict[str, Any]:
    """What decides about instants and errors, in words that a file can hold."""
    return asdict(alignment) | {"errors_ms": hashlib.sha256(alignment.errors_ms.tobytes()).hexdigest()}


def read_stamp(session: Session) -> dict[str, Any]:
    """What the session's conversion was made with, ``images`` and ``labels``; empty when it was not converted."""
    try:
        stamp = json.loads(session.conversion_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def settings_as_converted(session: Session) -> ConvertSettings:
    """The settings of the session's last conversion; the usual ones when it was not converted."""
    stamp = read_stamp(session)
    if not stamp:
        return ConvertSettings()
    made: dict[str, Any] = {**stamp["images"], **stamp["labels"]["settings"]}
    known = {name.name for name in fields(ConvertSettings)}
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in made.items() if k in known}
    return ConvertSettings(**plain)


def _notes(session: Session, labels: Labels, settings: ConvertSettings) -> Iterator[str]:
    if session.manifest.state == "recording":
        yield "the recording was cut short: converted what there is of it"
    if session.is_original:
        yield (
            "a session of the original tool: frame n is taken to belong to row n, which nothing proves; on a real OBS "
            "such labels were off by more than a second"
        )
        yield from read_inputs(session.inputs_file).notes
    yield from session.manifest.problems
    paused, unknown = int(labels.paused.sum()), int(labels.unknown.sum())
    if paused and not settings.keep_paused:
        yield f"{paused} frames of paused spells left out (--keep-paused takes them)"
    if distrusted := int(labels.distrusted.sum()):
        yield f"{distrusted} frames left out: their instant is not certain enough, or their picture only repeats one"
    if flawed := int((labels.flawed & labels.known).sum()):
        yield f"{flawed} frames left out, which do not show the game: {flaws_of(session)}"
    if excluded := int(labels.excluded.sum()):
        yield f"{excluded} marked frames left out (acpilot mark shows the marks)"
    by_policy = int((labels.chosen(keep_paused=False) & ~driven_by_person(session, labels.instant)).sum())
    if by_policy:
        yield (
            f"no person drove in {by_policy} frames: acpilot combine leaves them out, and so does the next conversion "
            f"once this has marked them: {command('acpilot', 'check', session.folder)}"
        )
    if unknown:
        yield f"{unknown} frames without telemetry around them left out"


def _write_images(
    session: Session, settings: ConvertSettings, wanted: dict[int, Path], progress: Progress, threads: int | None
) -> None:
    encode = image_encoder(settings)

    def write(number: int, frame: av.VideoFrame) -> None:
        part = wanted[number].with_suffix(".part")
        part.write_bytes(encode(frame))
        replace(part, wanted[number])

    decode(session.video_file, wanted, write, progress, threads)


def _labels_csv(labels: Labels, frames: np.ndarray, names: dict[int, Path]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i in frames:
        writer.writerow(
            [
                names[int(i)].name,
                f"{labels.steering[i]:.6f}",
                f"{labels.throttle[i]:.6f}",
                f"{labels.brake[i]:.6f}",
                f"{labels.speed_kmh[i]:.3f}",
                labels.gear[i],
                i,
                f"{labels.timestamp[i]:.6f}",
                f"{labels.normalized_position[i]:.6f}",
                labels.lap[i],
                f"{labels.lateral_acceleration[i]:.3f}",
            ]
        )
    return text.getvalue()
