"""A session in the Rerun viewer: pictures with their labels, inputs, speed and the car's place on one timeline."""

import errno
import io
import math
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from acpilot.clock import NS
from acpilot.commands import install_extra
from acpilot.dataset.car_path import car_path
from acpilot.dataset.convert import labels_as_converted
from acpilot.errors import AcpilotError
from acpilot.files import replace
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.labels import Labels
from acpilot.video.decoding import decode

try:
    import rerun as rr
    import rerun.blueprint as rrb
    import rerun_cli
except ModuleNotFoundError as error:
    raise AcpilotError(f"the viewer needs {error.name}, which is not installed: {install_extra('view')}") from None

_WIDTH = 960
"""Pictures are shown no wider, pixels: an hour of them stays below 3 GB."""
_QUALITY = 80
_DRAIN_EVERY = 32
"""Pictures that are on their way at once: bounds the memory."""
_PATIENCE = 60.0  # seconds
_RESERVE = 64 << 20  # bytes that must stay free on the disk
_CURVES = {
    "speed": ("speed, km/h", (59, 130, 246)),
    "inputs/steering": ("steering, left − … + right", (232, 121, 12)),
    "inputs/throttle": ("throttle", (45, 164, 78)),
    "inputs/brake": ("brake", (229, 72, 77)),
}
_PICTURE, _ARROW, _LABEL, _WAY, _CAR = "picture", "picture/steering", "label", "track/driven", "track/car"


def save(session: Session, path: Path, progress: Progress) -> None:
    """Write a file for the viewer; it is there whole or not at all.

    Raises:
        AcpilotError: the session lacks what labels need, the name is not one of the viewer's, or the disk is full.
    """
    if path.suffix != ".rrd":
        raise AcpilotError(f"{path} is no name that the viewer knows: let it end in .rrd")
    recording, labels = _recording(session, f"acpilot_{session.folder.resolve().name}")
    part = path.with_name(path.name + ".part")

    def drain() -> None:
        recording.flush(timeout_sec=_PATIENCE)
        # Rerun writes in a thread of its own, which would wait for ever on a disk that is full.
        if shutil.disk_usage(part.parent).free < _RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    try:
        part.open("wb").close()  # a name that cannot be written is told by the system, not by Rerun's own words
        drain()
        recording.save(part)
        _send_pictures(recording, session, labels, drain, progress)
        recording.disconnect()
        replace(part, path)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AcpilotError(f"cannot write {path}: {reason}; free some space, or choose another --save") from None
    finally:
        recording.disconnect()
        part.unlink(missing_ok=True)


def show(session: Session, progress: Progress) -> None:
    """Open the viewer and send a session to it.

    Raises:
        AcpilotError: the session lacks what labels need, there is no display, or the viewer was closed meanwhile.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise AcpilotError("there is no display to open the viewer on: write a file for it with --save FILE.rrd")
    recording, labels = _recording(session, None)
    try:
        rr.spawn(hide_welcome_screen=True, executable_path=_viewer(), recording=recording)
        _send_pictures(recording, session, labels, lambda: recording.flush(timeout_sec=_PATIENCE), progress)
    except RuntimeError as error:  # what Rerun raises when the viewer does not start or answer
        reason = str(error).partition("\n")[0]
        raise AcpilotError(f"the viewer is not there ({reason}): write a file for it with --save FILE.rrd") from None


def _viewer() -> str | None:
    """The viewer that came with the package, which is not on the PATH of a venv that is not activated."""
    brought = Path(rerun_cli.__file__).with_name("rerun.exe" if sys.platform == "win32" else "rerun")
    return str(brought) if brought.exists() else None


def _recording(session: Session, identity: str | None) -> tuple[rr.RecordingStream, Labels]:
    """All of a session but its pictures, and the labels; it is kept until the recording has somewhere to go."""
    labels, chosen, _ = labels_as_converted(session)
    path = car_path(session, labels.timestamp)
    recording = rr.RecordingStream("acpilot", recording_id=identity)
    # Only the session's own time counts, not when its pictures were sent.
    recording.set_log_time_enabled(False)
    recording.set_log_tick_enabled(False)
    recording.send_recording_name(session.folder.resolve().name)
    recording.send_blueprint(_blueprint(with_map=path is not None))
    _send_labels(recording, labels, chosen)
    if path is not None:
        recording.log(_WAY, rr.LineStrips2D(_parts(path), colors=(128, 136, 144), radii=0.8), static=True)
        recording.log(_CAR, rr.Points2D.from_fields(colors=(232, 121, 12), radii=rr.Radius.ui_points(7)), static=True)
        recording.send_columns(_CAR, _times(labels), rr.Points2D.columns(positions=path))
    return recording, labels


def _send_pictures(
    recording: rr.RecordingStream, session: Session, labels: Labels, drain: Callable[[], None], progress: Progress
) -> None:
    durations = _durations(labels)
    lock = threading.Lock()
    sent = 0

    def send(number: int, frame: av.VideoFrame) -> None:
        nonlocal sent
        size, jpeg = _encoded(frame)
        with lock:
            if not sent:
                _send_arrows(recording, labels, size)
            recording.set_time("frame", sequence=number)
            recording.set_time("time", duration=durations[number])
            recording.log(_PICTURE, rr.EncodedImage(contents=jpeg, media_type="image/jpeg"))
            sent += 1
            if sent % _DRAIN_EVERY == 0:
                drain()

    decode(session.video_file, range(len(labels.frame)), send, progress)
    drain()


def _blueprint(*, with_map: bool) -> rrb.Blueprint:
    places = [rrb.Spatial2DView(origin="track", name="track")] if with_map else []
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial2DView(origin=_PICTURE, name="picture, and the steering as an arrow"),
                rrb.Vertical(
                    rrb.TextDocumentView(origin=_LABEL, name="label"), *places, row_shares=[1, 1][: 1 + with_map]
                ),
                column_shares=[3, 1],
            ),
            rrb.TimeSeriesView(origin="inputs", name="inputs"),
            rrb.TimeSeriesView(origin="speed", name="speed"),
            row_shares=[6, 2, 2],
        ),
        rrb.TimePanel(state="collapsed", timeline="time"),
        collapse_panels=True,
    )


def _durations(labels: Labels) -> np.ndarray:
    """Whole nanoseconds, timedelta64[ns] (n,): Rerun rounds seconds one way in columns and another in rows."""
    return np.round(labels.timestamp * NS).astype("timedelta64[ns]")


def _times(labels: Labels, which: np.ndarray | slice = slice(None)) -> list[rr.TimeColumn]:
    return [
        rr.TimeColumn("time", duration=_durations(labels)[which]),
        rr.TimeColumn("frame", sequence=labels.frame[which]),
    ]


def _send_labels(recording: rr.RecordingStream, labels: Labels, chosen: np.ndarray) -> None:
    known = labels.known | labels.paused
    values = (labels.speed_kmh, labels.steering, labels.throttle, labels.brake)
    for (entity, (name, colour)), numbers in zip(_CURVES.items(), values, strict=True):
        recording.log(entity, rr.SeriesLines(names=name, colors=colour, widths=1.5), static=True)
        recording.send_columns(entity, _times(labels, known), rr.Scalars.columns(scalars=numbers[known]))
    kinds = {
        "labelled": chosen,
        "marked": labels.excluded,
        "paused": labels.paused,
        "instant not certain": labels.known,
    }
    fates = np.select(list(kinds.values()), list(kinds), "no telemetry")
    texts = [_text(labels, i, str(fate)) for i, fate in enumerate(fates)]
    recording.send_columns(
        _LABEL, _times(labels), rr.TextDocument.columns(text=texts, media_type=["text/markdown"] * len(texts))
    )


def _text(labels: Labels, i: int, fate: str) -> str:
    """The label of a frame, as Markdown."""
    head = f"**frame {i}** at {labels.timestamp[i]:.3f} s\n\n"
    head += fate if fate == "labelled" else f"left out: {fate}"
    if fate == "no telemetry":
        return head
    return head + (
        f"\n\nsteering {labels.steering[i]:+.3f}\n\nthrottle {labels.throttle[i]:.3f}, brake {labels.brake[i]:.3f}\n\n"
        f"{labels.speed_kmh[i]:.1f} km/h in gear {labels.gear[i]}"
    )


def _send_arrows(recording: rr.RecordingStream, labels: Labels, size: tuple[int, int]) -> None:
    """The steering as the contact sheet draws it: leaning the way the wheel is turned, three times as far."""
    width, height = size
    known = labels.known | labels.paused
    angles = np.clip(3 * 90 * labels.steering[known], -80, 80) * (math.pi / 180)
    vectors = 0.3 * height * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    origins = np.tile([0.5 * width, 0.82 * height], (len(vectors), 1))
    recording.log(_ARROW, rr.Arrows2D.from_fields(colors=(255, 205, 40), radii=rr.Radius.ui_points(2.5)), static=True)
    recording.send_columns(_ARROW, _times(labels, known), rr.Arrows2D.columns(origins=origins, vectors=vectors))


def _encoded(frame: av.VideoFrame) -> tuple[tuple[int, int], bytes]:
    """Width and height of a picture as it is shown, and its JPEG."""
    picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
    if picture.width > _WIDTH:
        picture = picture.resize((_WIDTH, round(picture.height * _WIDTH / picture.width)), Image.Resampling.BOX)
    raw = io.BytesIO()
    picture.save(raw, "JPEG", quality=_QUALITY)
    return picture.size, raw.getvalue()


def _parts(path: np.ndarray) -> list[np.ndarray]:
    """A path, float64 (n, 2), cut where the car was put elsewhere."""
    step = np.hypot(*np.diff(path, axis=0).T)
    return np.split(path, np.flatnonzero(step > 10 + 5 * np.median(step)) + 1)
