"""Completes sessions: derives what is derived, takes in a video from elsewhere, and what a killed recorder left."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av

from acpilot.errors import AcpilotError
from acpilot.files import copy_atomically, patiently, write_atomically
from acpilot.progress import Show
from acpilot.recording.settings import RecordSettings
from acpilot.recording.watching import REMEDIES
from acpilot.session.fingerprint import take_fingerprint
from acpilot.session.folder import Session
from acpilot.session.labels import inputs_csv, session_labels
from acpilot.session.left_out import why_no_label
from acpilot.video.alignment import Alignment, checked_against_file

_PADDING_FRAMES = 60


def finish(session: Session, settings: RecordSettings, fault: AcpilotError | None) -> AcpilotError | None:
    """Derive what is derived, write the manifest; the fault to report, if any."""
    manifest = session.manifest
    manifest.state = "partial"
    try:
        try:
            _derive(session, settings)
        except AcpilotError as problem:
            fault = fault or problem
        except (OSError, av.FFmpegError) as error:
            fault = fault or AcpilotError(
                f"the session's last files could not be written ({error}); convert derives them again"
            )
        else:
            spoilt = any(flaw in REMEDIES for _, _, flaw in manifest.flaws)
            manifest.state = "partial" if fault or spoilt else "complete"
    finally:
        if fault and str(fault) != manifest.ended_by:
            manifest.problems.append(str(fault))
        if manifest.steering and manifest.steering.certainty == "assumed":
            manifest.problems.append(
                f"the unit of the steering is assumed ({manifest.steering.unit}): the drive had too few bends to tell"
            )
        try:
            patiently(session.save)
        except OSError as error:
            fault = fault or AcpilotError(
                f"{session.manifest_file} could not be written ({error.strerror or error}): close what holds it open; "
                "what was recorded up to the last seconds can be converted"
            )
    return fault


def _derive(session: Session, settings: RecordSettings) -> None:
    """Write ``inputs.csv`` and take into the manifest what the whole session tells.

    Raises:
        AcpilotError: the session lacks something, or no frame has a label.
        OSError: a file cannot be written.
    """
    manifest = session.manifest
    if session.video_file.exists():
        manifest.video = take_fingerprint(session.video_file)
    labels, manifest.steering = session_labels(
        session, settings.steering_unit, settings.steering_lock, settings.max_error_ms
    )
    if manifest.alignment is not None:
        manifest.alignment = replace(manifest.alignment, error_bound_ms=round(labels.bound_ms, 3))
    chosen = labels.chosen(keep_paused=settings.keep_paused)
    manifest.counts.labelled_frames = int(chosen.sum())
    manifest.counts.paused_frames = int(labels.paused.sum())
    manifest.counts.unlabelled_frames = int(labels.unknown.sum())
    manifest.counts.distrusted_frames = int(labels.distrusted.sum())
    manifest.counts.flawed_frames = int((labels.flawed & labels.known).sum())
    for flaw in dict.fromkeys(flaw for _, _, flaw in manifest.flaws if flaw in REMEDIES):
        manifest.problems.append(f"for a part of the recording {flaw}: {REMEDIES[flaw]}")
    inputs = inputs_csv(labels, keep_paused=settings.keep_paused)
    patiently(lambda: write_atomically(session.inputs_file, inputs))
    if not chosen.any():
        raise AcpilotError(f"no frame of {session.folder} can be labelled: {why_no_label(session, labels)}")


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
    watched = len(manifest.alignment.errors_ms)
    frames = check_video(session, manifest.alignment, video)
    if frames > watched + _PADDING_FRAMES:
        raise AcpilotError(f"{video} is not the video of {session.folder}: it holds {frames} frames, not {watched}")
    show(f"copying {video} ...")
    try:
        copy_atomically(video, session.video_file)
    except OSError as error:
        raise AcpilotError(f"cannot copy {video} into {session.folder}: {error.strerror}") from None
    manifest.problems = [problem for problem in manifest.problems if "acpilot attach" not in problem]
    return finish(session, _recorded_settings(session), None)


def recover(settings: RecordSettings, show: Show) -> list[str]:
    """Put right what a killed recording left in OBS, and complete its session; what was done."""
    if settings.recorder == "screen":
        return []
    from acpilot.video.obs_loan import recover

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
                check_video(left, left.manifest.alignment, left.video_file)
            left.manifest.ended_by = "the recorder was killed; its video was saved by the next run"
            lacking = finish(left, _recorded_settings(left), None)
            left.manifest.state = "partial"
            with suppress(OSError):
                patiently(left.save)
            notes.append(f"the session {folder} was recovered: {lacking or 'acpilot convert takes it'}")
    return notes


def check_video(session: Session, alignment: Alignment, video: Path) -> int:
    """Take into the manifest what a finished video says of the alignment and the counts; how many frames it holds."""
    counts = session.manifest.counts
    session.manifest.alignment, counts.frames, counts.repeated_frames = checked_against_file(alignment, video)
    return counts.frames


def _recorded_settings(session: Session) -> RecordSettings:
    """Those settings of a recording that decide about its labels."""
    names = ("keep_paused", "steering_unit", "steering_lock", "max_error_ms", "fps")
    return RecordSettings(**{name: value for name, value in session.manifest.settings.items() if name in names})
