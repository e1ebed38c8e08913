"""What a recording says: the line while it goes on, the report at its end, the log of all details."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.clock import NS, now
from acpilot.recording.watching import REMEDIES, PictureWatch
from acpilot.session.folder import Session
from acpilot.settings import error_limit_ms
from acpilot.telemetry.pages import PHYSICS, Status
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PageReader
from acpilot.video.alignment import Alignment
from acpilot.video.recorder import Recorder

_STANDS_STILL_AFTER = NS // 4
_STATES: dict[int, str] = {Status.PAUSE: "game paused", Status.REPLAY: "game shows a replay"}


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
        f"labels    {counts.labelled_frames} frames; left out: {counts.paused_frames} paused, "
        f"{counts.unlabelled_frames} without telemetry, {counts.distrusted_frames} of uncertain instant, "
        f"{counts.flawed_frames} that do not show the game"
    )
    yield from (f"note      {problem}" for problem in manifest.problems)


class LiveLine:
    """The line that a person sees while it records; it keeps count of the labels that there would be.

    Args:
        session: is being recorded.
        sampler: of its telemetry.
        recorder: of its video.
        pages: the game's.
        watch: of its picture.
    """

    def __init__(
        self, session: Session, sampler: Sampler, recorder: Recorder, pages: PageReader, watch: PictureWatch
    ) -> None:
        self._session, self._sampler, self._recorder = session, sampler, recorder
        self._pages, self._watch = pages, watch
        self._driven = bytearray()
        """Of each frame so far, whether the game was driven, and in sight, at the look after it."""

    def look(self) -> str:
        """The line as things are now; to be asked for every moment, by one thread."""
        sampler, recorder, manifest = self._sampler, self._recorder, self._session.manifest
        physics = self._physics()
        lives = sampler.status == Status.LIVE and now() - sampler.last_change < _STANDS_STILL_AFTER
        flaw = self._watch.look(float(physics["speed_kmh"]) if lives and physics is not None else 0.0)
        self._driven.extend(bytes([lives and flaw is None]) * (recorder.frames - len(self._driven)))
        labelled = 0
        if manifest.alignment is not None:
            driven = np.frombuffer(bytes(self._driven), bool)
            labelled = int((driven & certain_frames(manifest.alignment, len(driven), manifest.settings)).sum())
        sizes = " + ".join(f"{size / 1e6:.1f} MB {path.suffix[1:]}" for path, size in self._session.sizes())
        return (
            f"recording {(now() - manifest.start) / NS:.1f} s | {self._state(flaw, physics)} | "
            f"{recorder.frames} frames ({labelled} with a label, {recorder.dropped} dropped), "
            f"{sampler.counts.samples} samples ({sampler.counts.lost} lost) | {sizes}"
        )

    def _physics(self) -> np.void | None:
        page = self._pages.physics()
        return np.frombuffer(page, PHYSICS)[0] if page else None

    def _state(self, flaw: str | None, physics: np.void | None) -> str:
        if flaw is not None:
            remedy = REMEDIES.get(flaw, "move it off the game")
            return f"NO LABELS: {flaw}: {remedy}"
        if self._sampler.status in _STATES:
            return _STATES[self._sampler.status]
        if physics is None:
            return "..."
        return (
            f"{physics['speed_kmh']:3.0f} km/h, steering {physics['steer_angle']:+.2f}, "
            f"throttle {physics['gas']:.2f}, brake {physics['brake']:.2f}"
        )


def certain_frames(alignment: Alignment, frames: int, settings: dict[str, Any]) -> np.ndarray:
    """Of the first frames of a video, which have an instant that is certain enough for a label: bool (frames,)."""
    times = np.arange(frames) * (alignment.interval or NS) / NS
    if not frames:
        return np.zeros(0, bool)
    certain: np.ndarray = alignment.errors(times) <= error_limit_ms(
        settings.get("max_error_ms"), settings.get("fps", 10.0)
    )
    return certain


@contextmanager
def debug_log(path: Path | None) -> Iterator[None]:
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
