"""What a recording says: the line while it goes on, the report at its end, the log of all details."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from acpilot.clock import NS, now
from acpilot.desktop.stopping import Stop
from acpilot.session.folder import Session
from acpilot.telemetry.pages import PHYSICS, Status
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PageReader
from acpilot.video.recorder import Recorder


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


def live_line(session: Session, sampler: Sampler, recorder: Recorder, pages: PageReader, stop: Stop) -> str:
    """What a person sees while it records."""
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
