"""The built-in recorder: grabs the game's window at a steady rate and encodes it with PyAV."""

import queue
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import mss
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from acpilot.clock import NS, Pacer, now
from acpilot.desktop.capture import Picture, grab_area, grabbing
from acpilot.desktop.window import Area, Window, find_window, visible_area
from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.settings import error_limit_ms
from acpilot.threads import guarded_thread
from acpilot.video.alignment import Alignment, spans
from acpilot.video.settings import VideoSettings

_QUEUE_FRAMES = 8
_ROUNDING_MS = 0.5  # of the container's millisecond timestamps
_QUALITY_OPTIONS = {
    "libx264": "crf",
    "libx265": "crf",
    "h264_nvenc": "cq",
    "hevc_nvenc": "cq",
    "h264_qsv": "global_quality",
    "h264_amf": "qp_i",
}
_BT709 = 1
_MILLISECOND = Fraction(1, 1000)


@dataclass
class _Grabbed:
    instant: int
    picture: Picture
    error_ms: float


class VideoWriter:
    """Encodes pictures with the instants at which they were on the screen, to the millisecond, into a Matroska file.

    Half a second of video is the most that a crash can take.
    """

    def __init__(self, path: Path, width: int, height: int, settings: VideoSettings) -> None:
        """Open the file; the size is cut to even numbers, as the usual encoders ask.

        Raises:
            AcpilotError: there is no such encoder, or it refuses the settings.
        """
        self.width, self.height = width // 2 * 2, height // 2 * 2
        self._reformatter = VideoReformatter()
        self._last = -1
        if settings.encoder not in _QUALITY_OPTIONS:
            raise AcpilotError(
                f"the video encoder {settings.encoder!r} is not known: choose another with --encoder, "
                f"of {', '.join(_QUALITY_OPTIONS)}"
            )
        self._container = av.open(
            str(path), "w", format="matroska", options={"cluster_time_limit": "500", "flush_packets": "1"}
        )
        try:
            stream = self._container.add_stream(settings.encoder, rate=Fraction(settings.fps).limit_denominator(1001))
            context: Any = stream.codec_context
            self._format = _pixel_format(context.codec)
            context.width, context.height, context.pix_fmt = self.width, self.height, self._format
            context.time_base = _MILLISECOND
            context.gop_size = round(2 * settings.fps)
            context.max_b_frames = 0
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
            context.options = _options(settings)
            context.open()
        except (av.FFmpegError, ValueError) as error:
            self._container.close()
            raise AcpilotError(
                f"the video encoder {settings.encoder!r} cannot be used here ({error}): choose another with --encoder, "
                "such as libx264"
            ) from None
        self._stream: Any = stream

    def write(self, picture: Picture, time: int) -> None:
        """Encode a picture, scaled if it has another size than the video; ``time`` in ns since the video's start.

        Raises:
            OSError: the disk is full, or gone.
        """
        frame = av.VideoFrame.from_ndarray(picture, format="bgra")
        frame = self._reformatter.reformat(
            frame,
            self.width,
            self.height,
            self._format,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        self._last = max(self._last + 1, round(time / 1e6))
        frame.pts, frame.time_base = self._last, _MILLISECOND
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: the disk is full, or gone.
        """
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def _pixel_format(codec: Any) -> str:
    """``yuv420p``, or ``nv12`` for the encoders of graphics cards that take nothing else."""
    names = [each.name for each in codec.video_formats or ()]
    return "yuv420p" if "yuv420p" in names or not names else "nv12"


def _options(settings: VideoSettings) -> dict[str, str]:
    options = {_QUALITY_OPTIONS[settings.encoder]: str(settings.quality)}
    if settings.encoder.startswith("lib"):
        options |= {"preset": "veryfast", "tune": "zerolatency"}  # each frame leaves the encoder at once
    if settings.encoder == "h264_amf":
        options |= {"rc": "cqp", "qp_p": str(settings.quality)}
    if settings.preset:
        options["preset"] = settings.preset
    return options


class ScreenRecorder:
    """Records a window (or a region of the screen) in threads of its own.

    A frame's instant is that of the window's redraw that it shows, where the desktop tells of redraws (X11): the grab
    then waits, after its tick, for the next one. Elsewhere it is the instant of the grab, when the picture may have
    been on the screen for some time already.
    """

    name = "screen"

    def __init__(self, settings: VideoSettings, path: Path, show: Show) -> None:  # noqa: ARG002 - it starts at once
        self.notes: list[str] = []
        self.failure: Exception | None = None
        """Why the recording cannot go on: the window is gone, the disk is full, ..."""
        self.frames = self.repeated = 0
        self.resized = False
        self._settings, self._path = settings, path
        self._start = 0
        self._grab_ms: list[float] = []
        self._errors_ms: list[float] = []
        self._limit_ms = error_limit_ms(settings.max_error_ms, settings.fps)
        self._redraws = 0
        self._oldest_ms = 0.0  # how long a picture whose redraw was not seen may have been on the screen
        self._interval_ms: float | None = None
        self._overflowed = 0
        self._pacer = Pacer(settings.fps)
        self._stop, self._started = threading.Event(), threading.Event()
        self._pictures: queue.Queue[_Grabbed | None] = queue.Queue(_QUEUE_FRAMES)
        self._grabbing = guarded_thread(self, self._grab, "screen grabber", self._started)
        self._encoding = guarded_thread(self, self._encode, "video encoder")

    @property
    def dropped(self) -> int:
        """Frames that could not be taken or encoded in time."""
        return self._overflowed + self._pacer.missed

    def start(self) -> None:
        """Start recording; returns once the first frame is taken.

        Raises:
            AcpilotError: the window cannot be found or grabbed, or the encoder cannot be used.
        """
        self._grabbing.start()
        self._started.wait()
        if self.failure is not None:
            raise AcpilotError(str(self.failure)) from self.failure
        self._encoding.start()

    def stop(self) -> None:
        """Stop and finish the file; may be called twice."""
        self._stop.set()
        if self._grabbing.is_alive():
            self._grabbing.join()
        while self._encoding.is_alive():
            try:
                self._pictures.put(None, timeout=0.1)
            except queue.Full:
                continue  # unless it has just failed, the encoder makes room
            self._encoding.join()

    def alignment(self) -> Alignment:
        """The instants of the frames recorded so far."""
        errors = np.array(self._errors_ms[: self.frames])
        distrusted = errors > self._limit_ms
        return Alignment(
            method="redraws of the window" if self._redraws else "instants of the grabs",
            offset=self._start,
            drift_ppm=0.0,
            error_bound_ms=round(float(np.max(errors[~distrusted], initial=0.0)), 3),
            evidence={
                "grabs": len(self._grab_ms),
                "redraws_seen": self._redraws,
                "oldest_picture_ms": round(self._oldest_ms, 3),
                "redraw_interval_ms": None if self._interval_ms is None else round(self._interval_ms, 3),
                "grab_ms_median": round(float(np.median(self._grab_ms or [0.0])), 3),
                "grab_ms_max": round(max(self._grab_ms, default=0.0), 3),
                "container_rounding_ms": _ROUNDING_MS,
            },
            distrusted=spans(distrusted),
        )

    def report(self) -> dict[str, Any]:
        """For the manifest: what was used, and how steady it was."""
        pace = str(self._pacer.report())
        return {"name": self.name, "encoder": self._settings.encoder, "pace": pace, "resized": self.resized}

    def _grab(self) -> None:
        settings = self._settings
        with ExitStack() as stack:
            window = None
            if settings.region is None:
                window = find_window(settings.title)
                stack.callback(window.close)
            with grabbing():
                screen = stack.enter_context(mss.MSS())
                if window is None or not window.tells_redraws:
                    self._interval_ms = _redraw_interval(screen, self._area(window))
                self._grab_until_stopped(screen, window)

    def _grab_until_stopped(self, screen: mss.MSS, window: Window | None) -> None:
        patience = min(0.05, 0.9 / self._settings.fps)
        previous, previous_instant = b"", None
        self._pacer = Pacer(self._settings.fps)
        while not self._stop.is_set():
            self._pacer.wait()
            area = self._area(window)
            redraw = window.wait_for_redraw(patience) if window else None
            instant = redraw or now()
            picture = grab_area(screen, area)
            self._grab_ms.append((now() - instant) / 1e6)
            error = self._grab_ms[-1] + _ROUNDING_MS
            raw = picture.tobytes()
            if redraw is not None:
                self._redraws += 1
            elif raw != previous and previous_instant is not None:
                # It was drawn since the last grab; by how much earlier than now, the game's own pace limits.
                age = (instant - previous_instant) / 1e6
                age = min(age, self._interval_ms or age)
                self._oldest_ms = max(self._oldest_ms, age)
                error += age
            self.repeated += raw == previous
            previous, previous_instant = raw, instant
            self._keep(_Grabbed(instant, picture, error))

    def _area(self, window: Window | None) -> Area:
        if window is None:
            assert self._settings.region is not None
            return Area(*self._settings.region)
        return visible_area(window)

    def _keep(self, grabbed: _Grabbed) -> None:
        if not self._started.is_set():
            self._start = grabbed.instant
            self._writer = VideoWriter(self._path, grabbed.picture.shape[1], grabbed.picture.shape[0], self._settings)
            self._started.set()
        try:
            self._pictures.put_nowait(grabbed)
        except queue.Full:  # the encoder is behind: the newest frame is left out, its tick stays empty
            self._overflowed += 1

    def _encode(self) -> None:
        writer = self._writer
        try:
            while (grabbed := self._pictures.get()) is not None:
                height, width = grabbed.picture.shape[:2]
                self.resized |= (width // 2 * 2, height // 2 * 2) != (writer.width, writer.height)
                writer.write(grabbed.picture, grabbed.instant - self._start)
                self._errors_ms.append(grabbed.error_ms)
                self.frames += 1
        finally:
            writer.close()


def _redraw_interval(screen: mss.MSS, area: Area) -> float | None:
    """The longest time between redraws, ms, in half a second of watching a band of the picture; None if it is still."""
    band = Area(area.left, area.top + area.height * 6 // 10, area.width, max(1, area.height // 10))
    changes: list[int] = []
    previous, end = b"", now() + NS // 2
    while now() < end:
        raw = grab_area(screen, band).tobytes()
        if raw != previous:
            changes.append(now())
        previous = raw
        time.sleep(0.001)
    gaps = np.diff(changes[1:]) / 1e6
    return float(gaps.max()) if len(gaps) >= 5 else None
