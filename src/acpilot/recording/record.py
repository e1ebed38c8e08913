"""Joins telemetry and video into a session."""

import gc
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from acpilot.clock import NS, now
from acpilot.desktop.stopping import Stop
from acpilot.errors import AcpilotError
from acpilot.files import is_full
from acpilot.progress import Show
from acpilot.recording.completing import finish, recover
from acpilot.recording.settings import RecordSettings
from acpilot.recording.telling import LiveLine, debug_log
from acpilot.recording.waiting import wait_for_game
from acpilot.recording.watching import PictureWatch
from acpilot.session.folder import Session
from acpilot.session.manifest import Counts, Manifest, settings_record
from acpilot.settings import error_limit_ms
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import Status, decode_text
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PageReader
from acpilot.video.alignment import Alignment
from acpilot.video.recorder import Recorder, start_recorder

_LOOK = 0.25
_SAVE_EVERY = NS
_GAME_GONE_AFTER = 5 * NS


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
        notes = recover(settings, show)
        session = Session.create(settings.output, settings_record(settings))
        session.manifest.problems += notes
        with debug_log(session.debug_file if settings.debug else None):
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
    return Ending(session, finish(session, settings, fault))


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
        raise _cannot_go_on(session, error) from None
    with undisturbed():
        try:
            sampler.start()
            recorder = start_recorder(settings, session.video_file, show)
        except (AcpilotError, OSError) as problem:
            sampler.stop()
            reason = _cannot_go_on(session, problem)
            shutil.rmtree(session.folder, ignore_errors=True)  # it has not even begun
            raise reason from None
        problems: list[Exception] = []
        with _noted(problems), PictureWatch(_what_can_be_covered(settings, recorder), recorder.look) as watch:
            manifest.flaws = watch.spells
            line = LiveLine(session, sampler, recorder, pages, watch)
            ways = " or ".join(stop.ways)
            _record_until_stopped(session, sampler, recorder, stop, lambda: show(f"{line.look()} | {ways} stops"))
        with _noted(problems):
            recorder.stop()
        with _noted(problems):
            recorder.stop()  # what the first call left undone when it failed, such as giving OBS back
        _wait_for_sample_after(now(), sampler)  # the last frame lies between two samples
        sampler.stop()
    problems += [problem for problem in (sampler.failure, recorder.failure) if problem is not None]
    with _noted(problems):
        if recorder.frames:
            manifest.alignment = _alignment(recorder, manifest)
        manifest.recorder = recorder.report()
    fault = _cannot_go_on(session, problems[0]) if problems else None
    manifest.ended_by = str(fault or stop.reason)
    manifest.problems += recorder.notes
    manifest.counts = Counts(
        samples=sampler.counts.samples,
        lost_packets=sampler.counts.lost,
        torn_reads=sampler.counts.torn,
        frames=recorder.frames,
        dropped_frames=recorder.dropped,
        repeated_frames=recorder.repeated,
    )
    return fault


@contextmanager
def _noted(problems: list[Exception]) -> Iterator[None]:
    """Note what fails and go on: whatever it is, all that was started has to be ended, and the session to be kept."""
    try:
        yield
    except Exception as problem:  # noqa: BLE001 - it is reported as what ended the recording
        problems.append(problem)


def _record_until_stopped(
    session: Session, sampler: Sampler, recorder: Recorder, stop: Stop, tell: Callable[[], None]
) -> None:
    """Look after a recording until there is a reason to stop.

    Args:
        session: is being recorded.
        sampler: of its telemetry.
        recorder: of its video.
        stop: ends it.
        tell: looks at how it goes on and tells.

    Raises:
        AcpilotError: it cannot go on.
        OSError: the disk is full.
    """
    manifest = session.manifest
    stop.start_duration()
    next_save = now()
    while not stop.wait(_LOOK):
        if now() >= next_save:
            # A killed recording can be converted: the instants of its frames are in the manifest.
            manifest.alignment, manifest.recorder = _alignment(recorder, manifest), recorder.report()
            try:
                session.save()
                next_save = now() + _SAVE_EVERY
            except OSError as error:
                # Others, such as a virus scanner, may hold the file: it is tried again at the next look.
                if _is_full(session, error):
                    raise
        tell()
        if failure := sampler.failure or recorder.failure:
            raise failure
        # In a pause and in a replay the game lives, although its steps stand still.
        lives = sampler.status in (Status.PAUSE, Status.REPLAY)
        if not lives and now() - sampler.last_sign_of_life > _GAME_GONE_AFTER:
            raise AcpilotError("the game has ended: its memory pages have stood still for 5 s")


def _alignment(recorder: Recorder, manifest: Manifest) -> Alignment | None:
    """The frames' instants so far, with the bound of those that would be labelled: a killed recording keeps it."""
    alignment, settings = recorder.alignment(), manifest.settings
    return alignment and alignment.bounded(error_limit_ms(settings.get("max_error_ms"), settings.get("fps", 10.0)))


def _what_can_be_covered(settings: RecordSettings, recorder: Recorder) -> str | None:
    """Title of the window that others can cover in the picture; None when there is none, or the user chose the area."""
    by_user = settings.region is not None or (recorder.name == "obs" and settings.obs_keep_scene)
    return settings.title if recorder.takes_screen and not by_user else None


def _wait_for_sample_after(instant: int, sampler: Sampler) -> None:
    deadline = instant + NS // 10
    while sampler.last_change <= instant and sampler.failure is None and now() < deadline:
        time.sleep(0.002)


def _cannot_go_on(session: Session, failure: Exception) -> AcpilotError:
    """What ended a recording, in a line."""
    if isinstance(failure, AcpilotError):
        return failure
    if isinstance(failure, OSError) and _is_full(session, failure):
        return AcpilotError(f"the disk is full: free some space on the one that holds {session.folder}")
    return AcpilotError(f"the recording cannot go on: {failure}")


def _is_full(session: Session, error: OSError) -> bool:
    with suppress(OSError):  # the disk itself may be gone
        if shutil.disk_usage(session.folder).free < 1 << 20:
            return True
    return is_full(error)


def _game(pages: PageReader) -> dict[str, Any]:
    static = pages.static()
    texts = ("game_version", "shared_memory_version", "car", "track", "track_configuration", "car_skin")
    numbers = ("max_rpm", "track_length_m")
    return {name: decode_text(static[name]) for name in texts} | {name: static[name].item() for name in numbers}
