"""The built-in recorder: grabs the game's window at a steady rate and encodes it with PyAV."""

import queue
import threading
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from acpilot.clock import Pacer
from acpilot.desktop.capture import Capture, Picture, Shot, open_capture
from acpilot.desktop.window import Area, Window, find_window
from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.threads import guarded_thread
from acpilot.video.alignment import Alignment
from acpilot.video.settings import VideoSettings

_QUEUE_FRAMES = 8
_SOME = 4
"""Every so many rows and columns of a picture tell whether it is black, or another one."""
_PATIENCE = 0.8
"""Of the time between frames, how long the next picture is waited for."""
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
    """Records a window (or a part of the screen) in threads of its own.

    At each tick it waits for the next picture that is drawn: the frame's instant is when that was.
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
        self.takes_screen = True
        self._capture: Capture | None = None
        self._errors_ms: list[float] = []
        self._newest: Shot | None = None
        self._overflowed = 0
        self._pacer = Pacer(settings.fps)
        self._stop, self._started = threading.Event(), threading.Event()
        self._shots: queue.Queue[Shot | None] = queue.Queue(_QUEUE_FRAMES)
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
                self._shots.put(None, timeout=0.1)
            except queue.Full:
                continue  # unless it has just failed, the encoder makes room
            self._encoding.join()

    def look(self) -> np.ndarray | None:
        """See ``Recorder``."""
        return None if self._newest is None else self._newest.picture[::_SOME, ::_SOME, :3]

    def alignment(self) -> Alignment:
        """The instants of the frames recorded so far."""
        errors = np.array(self._errors_ms[: self.frames], np.float32)
        bounded = errors[np.isfinite(errors)]
        return Alignment(
            method=self._capture.way if self._capture else "",
            offset=self._start,
            drift_ppm=0.0,
            evidence={
                "frames_unbounded": len(errors) - len(bounded),
                "error_ms_median": _rounded(np.median(bounded)) if len(bounded) else None,
                "error_ms_p99": _rounded(np.percentile(bounded, 99)) if len(bounded) else None,
                "container_rounding_ms": _ROUNDING_MS,
            },
            errors_ms=errors,
        )

    def report(self) -> dict[str, Any]:
        """For the manifest: what was used, and how steady it was."""
        return {
            "name": self.name,
            "capture": self._capture.name if self._capture else None,
            "encoder": self._settings.encoder,
            "pace": str(self._pacer.report()),
            "resized": self.resized,
        }

    def _grab(self) -> None:
        settings = self._settings
        with ExitStack() as stack:
            target: Window | Area
            if settings.region is None:
                target = find_window(settings.title)
                stack.callback(target.close)
            else:
                target = Area(*settings.region)
            self._capture, why = open_capture(settings.capture, target)
            stack.callback(self._capture.close)
            self.takes_screen = self._capture.takes_screen
            if why:
                self.notes.append(f"pictures were taken with {self._capture.name}: {why}")
            patience = _PATIENCE / settings.fps
            self._pacer = Pacer(settings.fps)
            while not self._stop.is_set():
                self._pacer.wait()
                self._keep(self._capture.next(patience))

    def _keep(self, shot: Shot) -> None:
        if not self._started.is_set():
            self._start = shot.instant
            self._writer = VideoWriter(self._path, shot.picture.shape[1], shot.picture.shape[0], self._settings)
            self._started.set()
        self._newest = shot
        self.repeated += shot.repeats
        try:
            self._shots.put_nowait(shot)
        except queue.Full:  # the encoder is behind: the newest frame is left out, its tick stays empty
            self._overflowed += 1

    def _encode(self) -> None:
        writer = self._writer
        try:
            while (shot := self._shots.get()) is not None:
                height, width = shot.picture.shape[:2]
                self.resized |= (width // 2 * 2, height // 2 * 2) != (writer.width, writer.height)
                writer.write(shot.picture, shot.instant - self._start)
                self._errors_ms.append(float("inf") if shot.flaw else shot.error_ms + _ROUNDING_MS)
                self.frames += 1
        finally:
            writer.close()


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 3)
