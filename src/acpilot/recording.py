"""Joins telemetry and video into a session."""

import gc
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from acpilot.clock import NS, now
from acpilot.errors import AcpilotError
from acpilot.files import copy_atomically, write_atomically
from acpilot.labels import inputs_csv, session_labels
from acpilot.progress import Show
from acpilot.session import Counts, Session, settings_record
from acpilot.settings import RecordSettings
from acpilot.stopping import Stop
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import PHYSICS, Status, decode_text
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PageReader
from acpilot.video.alignment import Alignment, checked_against_file
from acpilot.video.recorder import Recorder, start_recorder
from acpilot.window import WindowNotFoundError, find_window

_LOOK = 0.25
_SAVE_EVERY = NS
_GAME_GONE_AFTER = 5 * NS
_FRESH = 0.5
_PADDING_FRAMES = 60


@dataclass(frozen=True)
class Ending:
    """How a recording ended."""

    session: Session
    fault: AcpilotError | None
    """What ended it, when that was not the user's wish."""


def record(settings: RecordSettings, show: Show) -> Ending:
    """Record one session, from waiting for the game to a finished folder.

    Raises:
        AcpilotError: nothing could be recorded.
    """
    # Escape leaves the game's own menus: while waiting for somebody to drive it must not end the recorder.
    needs_window = settings.region is None and not (settings.recorder == "obs" and settings.obs_keep_scene)
    with Stop(escape=False) as stop:
        pages = wait_for_game(settings.pages, settings.title if needs_window else None, settings.wait, stop, show)
    assert pages is not None
    with pages, Stop(settings.duration) as stop:
        notes = _recover(settings, show)
        session = Session.create(settings.output, settings_record(settings))
        session.manifest.problems += notes
        with _debug_log(session.debug_file if settings.debug else None):
            return record_into(session, settings, pages, stop, show)


def record_into(session: Session, settings: RecordSettings, pages: PageReader, stop: Stop, show: Show) -> Ending:
    """Record a new session until there is a reason to stop, and finish it.

    Args:
        session: what its manifest says already stays.
        settings: how to record.
        pages: the game's.
        stop: ends it.
        show: is told how it goes on, from when it has begun.

    Raises:
        AcpilotError: nothing could be recorded; the session's folder is gone.
    """
    fault = _record_session(session, settings, pages, stop, show)
    show("reading the session back ...")
    return Ending(session, _finish(session, settings, fault))


def attach(session: Session, video: Path, show: Show) -> AcpilotError | None:
    """Complete a session with the video that its recorder left elsewhere.

    Returns:
        What still keeps the session from being labelled, if anything.

    Raises:
        AcpilotError: the session has a video, or this is not the one that belongs to it.
    """
    manifest = session.manifest
    if session.video_file.exists():
        raise AcpilotError(f"{session.folder} has its video already: {session.video_file.name}")
    if manifest.alignment is None:
        raise AcpilotError(f"{session.folder} has no alignment: the recording ended before its first frame")
    show(f"reading {video} ...")
    frames = _check_video(session, manifest.alignment, video)
    watched = manifest.alignment.verified_frames
    if watched is not None and not frames <= watched + _PADDING_FRAMES:
        raise AcpilotError(f"{video} is not the video of {session.folder}: it holds {frames} frames, not {watched}")
    show(f"copying {video} ...")
    try:
        copy_atomically(video, session.video_file)
    except OSError as error:
        raise AcpilotError(f"cannot copy {video} into {session.folder}: {error.strerror}") from None
    manifest.problems = [problem for problem in manifest.problems if "acpilot attach" not in problem]
    return _finish(session, _recorded_settings(session), None)


def _check_video(session: Session, alignment: Alignment, video: Path) -> int:
    """Take into the manifest what a finished video says of the alignment and the counts; how many frames it holds."""
    counts = session.manifest.counts
    session.manifest.alignment, counts.frames, counts.repeated_frames = checked_against_file(alignment, video)
    return counts.frames


def _recorded_settings(session: Session) -> RecordSettings:
    """Those settings of a recording that decide about its labels."""
    names = ("keep_paused", "steering_unit", "steering_lock", "max_error_ms", "fps")
    return RecordSettings(**{name: value for name, value in session.manifest.settings.items() if name in names})


def _recover(settings: RecordSettings, show: Show) -> list[str]:
    """Put right what a killed recording left in OBS, and complete its session; what was done."""
    if settings.recorder == "screen":
        return []
    from acpilot.video.obs import recover

    try:
        folder, notes = recover(settings, show)
    except AcpilotError as fault:
        if settings.recorder == "obs":
            raise
        return [f"a recording that was killed could not be put right in OBS: {fault}"]
    if folder is None:
        return notes
    with suppress(AcpilotError):
        left = Session.open(folder)
        if left.manifest.state == "recording":
            if left.manifest.alignment is not None:
                _check_video(left, left.manifest.alignment, left.video_file)
            left.manifest.ended_by = "the recorder was killed; its video was saved by the next run"
            _finish(left, _recorded_settings(left), None)
            left.manifest.state = "partial"
            left.save()
            notes.append(f"the session {folder} was recovered: acpilot convert takes it")
    return notes


@contextmanager
def _debug_log(path: Path | None) -> Iterator[None]:
    """Write what the package logs into a file."""
    if path is None:
        yield
        return
    handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(threadName)s: %(message)s", "%H:%M:%S"))
    log = logging.getLogger("acpilot")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        with suppress(OSError):
            handler.close()


class _Log(logging.FileHandler):
    """A log that gives way when the disk is full: that has its own message."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in the library
        """Do nothing."""


def report(session: Session) -> Iterator[str]:
    """What a recording holds and how far it can be trusted, a line each."""
    manifest = session.manifest
    counts = manifest.counts
    yield f"session   {session.folder}"
    yield f"ended by  {manifest.ended_by}"
    yield f"recorder  {manifest.recorder.get('name')}"
    yield (
        f"video     {counts.frames} frames, {counts.dropped_frames} dropped, {counts.repeated_frames} repeated; "
        f"{manifest.recorder.get('pace')}"
    )
    yield f"telemetry {counts.samples} samples, {counts.lost_packets} lost"
    if alignment := manifest.alignment:
        yield f"alignment {alignment.method}; no frame is off by more than {alignment.error_bound_ms:.1f} ms"
    if steering := manifest.steering:
        yield f"steering  {steering.unit} ({steering.certainty}), largest {steering.largest:.2f}"
    yield (
        f"labels    {counts.labelled_frames} frames; {counts.paused_frames} paused, {counts.unlabelled_frames} without "
        f"telemetry and {counts.distrusted_frames} of uncertain instant left out"
    )
    yield from (f"note      {problem}" for problem in manifest.problems)


def live_pages(name: str) -> PageReader:
    """The pages of a game that is being driven.

    Raises:
        AcpilotError: there is none, or it stands still.
    """
    pages = PageReader.open(name)
    if pages is None:
        raise AcpilotError(
            "no game: Assetto Corsa's memory pages are not there. Start the game (on Linux its bridge too) and drive"
        )
    if not pages.is_live(_FRESH):
        pages.close()
        raise AcpilotError(
            "the game's memory pages are there but stand still: it is paused or in a menu, or they were left "
            "behind by a game that has gone. Get on the track"
        )
    return pages


def wait_for_game(name: str | None, title: str | None, patience: float, stop: Stop, show: Show) -> PageReader | None:
    """Wait until the game's pages move and its window is there.

    Args:
        name: of the pages; None to do without them.
        title: of the window; None to do without it.
        patience: seconds.
        stop: gives up.
        show: is told what is waited for.

    Returns:
        The pages, if they were asked for.

    Raises:
        AcpilotError: there was no game in this time, or the user gave up.
    """
    deadline = now() + round(patience * NS)
    problem = ""
    while True:
        try:
            pages = live_pages(name) if name is not None else None
        except AcpilotError as error:
            problem = str(error)
        else:
            try:
                if title is None:
                    return pages
                window = find_window(title)
                shown = window.client_area() is not None
                window.close()
                if shown:
                    return pages
                problem = f"the game's window {title!r} is minimised: put it on the screen"
            except WindowNotFoundError as error:
                problem = str(error)
            if pages is not None:
                pages.close()
        if now() > deadline:
            raise AcpilotError(f"{problem} (waited {patience:g} s)")
        show(f"waiting: {problem} ({' or '.join(stop.ways)} gives up)")
        if stop.wait(_LOOK):
            raise AcpilotError(f"stopped by {stop.reason} before the game was there: nothing was done")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Spare threads that keep time long collections of garbage, and 5 ms (the default) of waiting for one another."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)


def _record_session(
    session: Session, settings: RecordSettings, pages: PageReader, stop: Stop, show: Show
) -> AcpilotError | None:
    """Record until there is a reason to stop; the fault that was the reason, if one was."""
    manifest = session.manifest
    manifest.game |= _game(pages)
    manifest.start = now()
    try:
        sampler = Sampler(pages, TelemetryWriter(session.telemetry_file))
    except OSError as error:
        raise _cannot_write(session, error) from None
    fault: AcpilotError | None = None
    with undisturbed():
        try:
            sampler.start()
            recorder = start_recorder(settings, session.video_file, show)
        except AcpilotError:
            sampler.stop()
            shutil.rmtree(session.folder, ignore_errors=True)  # it has not even begun
            raise
        try:
            stop.start_duration()
            next_save = now()
            while fault is None and not stop.wait(_LOOK):
                if now() >= next_save:
                    # A killed recording can be converted: the instants of its frames are in the manifest.
                    next_save = now() + _SAVE_EVERY
                    manifest.alignment, manifest.recorder = recorder.alignment(), recorder.report()
                    session.save()
                show(_live_line(session, sampler, recorder, pages, stop))
                fault = _fault(sampler, recorder, session)
        except OSError as error:
            fault = _cannot_write(session, error)
        finally:
            recorder.stop()
            _wait_for_sample_after(now(), sampler)  # the last frame lies between two samples
            sampler.stop()
    fault = fault or _fault(sampler, recorder, session)
    manifest.ended_by = str(fault or stop.reason)
    if recorder.frames:
        manifest.alignment = recorder.alignment()
    manifest.problems += recorder.notes
    manifest.recorder = recorder.report()
    manifest.counts = Counts(
        samples=sampler.counts.samples,
        lost_packets=sampler.counts.lost,
        torn_reads=sampler.counts.torn,
        frames=recorder.frames,
        dropped_frames=recorder.dropped,
        repeated_frames=recorder.repeated,
    )
    return fault


def _wait_for_sample_after(instant: int, sampler: Sampler) -> None:
    deadline = instant + NS // 10
    while sampler.last_change <= instant and sampler.failure is None and now() < deadline:
        time.sleep(0.002)


def _fault(sampler: Sampler, recorder: Recorder, session: Session) -> AcpilotError | None:
    """What makes going on impossible, if anything."""
    if sampler.status != Status.PAUSE and now() - sampler.last_sign_of_life > _GAME_GONE_AFTER:
        return AcpilotError("the game has ended: its memory pages have stood still for 5 s")
    failure = sampler.failure or recorder.failure
    if failure is None or isinstance(failure, AcpilotError):
        return failure
    return _cannot_write(session, failure)


def _cannot_write(session: Session, failure: Exception) -> AcpilotError:
    with suppress(OSError):  # the disk itself may be gone
        if shutil.disk_usage(session.folder).free < 1 << 20:
            return AcpilotError(f"the disk is full: free some space on the one that holds {session.folder}")
    return AcpilotError(f"the recording cannot go on: {failure}")


def _game(pages: PageReader) -> dict[str, Any]:
    static = pages.static()
    texts = ("game_version", "shared_memory_version", "car", "track", "track_configuration", "car_skin")
    numbers = ("max_rpm", "track_length_m")
    return {name: decode_text(static[name]) for name in texts} | {name: static[name].item() for name in numbers}


def _live_line(session: Session, sampler: Sampler, recorder: Recorder, pages: PageReader, stop: Stop) -> str:
    elapsed = (now() - session.manifest.start) / NS
    if sampler.status == Status.PAUSE:
        driving = "game paused"
    elif page := pages.physics():
        physics = np.frombuffer(page, PHYSICS)[0]
        driving = (
            f"{physics['speed_kmh']:3.0f} km/h, steering {physics['steer_angle']:+.2f}, "
            f"throttle {physics['gas']:.2f}, brake {physics['brake']:.2f}"
        )
    else:
        driving = "..."
    sizes = " + ".join(f"{size / 1e6:.1f} MB {path.suffix[1:]}" for path, size in session.sizes())
    return (
        f"recording {elapsed:.1f} s | {driving} | {recorder.frames} frames ({recorder.dropped} dropped), "
        f"{sampler.counts.samples} samples ({sampler.counts.lost} lost) | {sizes} | {' or '.join(stop.ways)} stops"
    )


def _finish(session: Session, settings: RecordSettings, fault: AcpilotError | None) -> AcpilotError | None:
    """Derive what is derived, write the manifest; the fault to report, if any."""
    manifest = session.manifest
    manifest.state = "partial" if fault else "complete"
    try:
        try:
            labels, manifest.steering = session_labels(
                session, settings.steering_unit, settings.steering_lock, settings.max_error_ms
            )
            chosen = labels.chosen(keep_paused=settings.keep_paused)
            manifest.counts.labelled_frames = int(chosen.sum())
            manifest.counts.paused_frames = int(labels.paused.sum())
            manifest.counts.unlabelled_frames = int(labels.unknown.sum())
            manifest.counts.distrusted_frames = int(labels.distrusted.sum())
            write_atomically(session.inputs_file, inputs_csv(labels, keep_paused=settings.keep_paused))
        except AcpilotError as problem:
            manifest.state = "partial"
            fault = fault or problem
        if fault and str(fault) != manifest.ended_by:
            manifest.problems.append(str(fault))
        if manifest.steering and manifest.steering.certainty == "assumed":
            manifest.problems.append(
                f"the unit of the steering is assumed ({manifest.steering.unit}): the drive had too few bends to tell"
            )
        session.save()
    except (OSError, av.FFmpegError) as error:
        fault = fault or AcpilotError(
            f"the session's last files could not be written ({error}); convert derives them again"
        )
    return fault
