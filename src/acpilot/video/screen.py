"""The built-in recorder: grabs the game's window at a steady rate and encodes it with PyAV."""

import queue
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import mss
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from mss.exception import ScreenShotError

from acpilot.clock import Pacer, PaceReport, now
from acpilot.errors import AcpilotError
from acpilot.settings import RecordSettings
from acpilot.video.alignment import Alignment
from acpilot.window import Area, Window, find_window

_QUEUE_FRAMES = 8
_FULL_REFRESH = 1000 / 60  # ms: a picture whose redraw was not seen may have stood on the screen for as long
_QUALITY_OPTIONS = {"nvenc": "cq", "qsv": "global_quality", "amf": "qvbr_quality_level", "vaapi": "qp"}
_BT709 = 1
_MILLISECOND = Fraction(1, 1000)

Picture = np.ndarray
"""uint8 (height, width, 4), blue green red and one byte unused."""


@dataclass
class _Grabbed:
    instant: int
    picture: Picture


class VideoWriter:
    """Encodes pictures with the instants at which they were on the screen, to the millisecond, into a Matroska file.

    Half a second of video is the most that a crash can take.
    """

    def __init__(self, path: Path, width: int, height: int, settings: RecordSettings) -> None:
        """Open the file; the size is cut to even numbers, as the usual encoders ask.

        Raises:
            AcpilotError: there is no such encoder, or it refuses the settings.
        """
        self.width, self.height = width // 2 * 2, height // 2 * 2
        self._reformatter = VideoReformatter()
        self._last = -1
        self._container = av.open(
            str(path), "w", format="matroska", options={"cluster_time_limit": "500", "flush_packets": "1"}
        )
        try:
            stream = self._container.add_stream(settings.encoder, rate=Fraction(settings.fps).limit_denominator(1001))
            context: Any = stream.codec_context
            context.width, context.height, context.pix_fmt = self.width, self.height, "yuv420p"
            context.time_base = _MILLISECOND
            context.gop_size = round(2 * settings.fps)
            context.max_b_frames = 0
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
            context.options = self._options(settings)
            context.open()
        except (av.FFmpegError, ValueError) as error:
            self._container.close()
            raise AcpilotError(
                f"the video encoder {settings.encoder!r} cannot be used here ({error}): choose another with --encoder, "
                "such as libx264"
            ) from None
        self._stream: Any = stream

    @staticmethod
    def _options(settings: RecordSettings) -> dict[str, str]:
        family = settings.encoder.rsplit("_", 1)[-1]
        options = {_QUALITY_OPTIONS.get(family, "crf"): str(settings.quality)}
        if settings.encoder in ("libx264", "libx265"):
            options |= {"preset": "veryfast", "tune": "zerolatency"}  # each frame leaves the encoder at once
        if settings.preset:
            options["preset"] = settings.preset
        return options

    def write(self, picture: Picture, time: int) -> None:
        """Encode a picture, scaled if it has another size than the video; ``time`` in ns since the video's start.

        Raises:
            OSError: the disk is full, or gone.
        """
        frame = av.VideoFrame.from_ndarray(picture, format="bgra")
        frame = self._reformatter.reformat(
            frame, self.width, self.height, "yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
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


class ScreenRecorder:
    """Records a window (or a region of the screen) in threads of its own.

    A frame's instant is that of the window's redraw that it shows, where the desktop tells of redraws (X11): the grab
    then waits, after its tick, for the next one. Elsewhere it is the instant of the grab.
    """

    name = "screen"

    def __init__(self, settings: RecordSettings, path: Path) -> None:
        self.failure: AcpilotError | OSError | av.FFmpegError | None = None
        """Why the recording cannot go on: the window is gone, the disk is full, ..."""
        self.frames = self.dropped = self.repeated = 0
        self.resized = False
        self._settings, self._path = settings, path
        self._start = 0
        self._grab_ms: list[float] = []
        self._redraws = 0
        self._pace: PaceReport | None = None
        self._stop, self._started = threading.Event(), threading.Event()
        self._pictures: queue.Queue[_Grabbed | None] = queue.Queue(_QUEUE_FRAMES)
        self._grabbing = threading.Thread(target=self._run, args=(self._grab,), name="screen grabber", daemon=True)
        self._encoding = threading.Thread(target=self._run, args=(self._encode,), name="video encoder", daemon=True)

    def start(self) -> None:
        """Start recording; returns once the first frame is taken.

        Raises:
            AcpilotError: the window cannot be found or grabbed.
        """
        self._grabbing.start()
        self._started.wait()
        if self.failure is not None:
            raise self.failure
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
        grab = max(self._grab_ms, default=0.0)
        seen = self._redraws == len(self._grab_ms)
        return Alignment(
            method="redraws of the window" if self._redraws else "instants of the grabs",
            offset=self._start,
            drift_ppm=0.0,
            error_bound_ms=round(0.5 + grab + (0.0 if seen else _FULL_REFRESH), 3),
            evidence={
                "grabs": len(self._grab_ms),
                "redraws_seen": self._redraws,
                "grab_ms_median": round(float(np.median(self._grab_ms or [0.0])), 3),
                "grab_ms_max": round(grab, 3),
                "container_rounding_ms": 0.5,
            },
        )

    def report(self) -> dict[str, Any]:
        """For the manifest: what was used, and how steady it was."""
        return {"name": self.name, "encoder": self._settings.encoder, "pace": str(self._pace), "resized": self.resized}

    def _run(self, work: Any) -> None:
        try:
            work()
        except (AcpilotError, OSError, av.FFmpegError) as error:
            self.failure = self.failure or error
        finally:
            self._started.set()

    def _grab(self) -> None:
        settings = self._settings
        window = None if settings.region else find_window(settings.title)
        patience = min(0.05, 0.9 / settings.fps)
        previous = b""
        pacer = Pacer(settings.fps)
        try:
            with mss.MSS() as screen:
                while not self._stop.is_set():
                    pacer.wait()
                    area = Area(*settings.region) if settings.region else self._area_of(window)
                    redraw = window.wait_for_redraw(patience) if window else None
                    instant = redraw or now()
                    try:
                        shot = _grab_area(screen, area)
                    except ScreenShotError as error:
                        raise AcpilotError(f"the screen cannot be grabbed: {error}") from None
                    self._grab_ms.append((now() - instant) / 1e6)
                    self._redraws += redraw is not None
                    self._keep(_Grabbed(instant, shot))
                    raw = shot.tobytes()
                    self.repeated += raw == previous
                    previous = raw
        finally:
            self._pace = pacer.report()
            if window:
                window.close()

    def _area_of(self, window: Window | None) -> Area:
        assert window is not None
        area = window.client_area()
        if area is None or area.width < 16 or area.height < 16:
            what = "minimised" if window.exists() else "closed"
            remedy = "keep it on the screen while recording" if what == "minimised" else "the recording ends with it"
            raise AcpilotError(f"the game's window {window.title!r} was {what}: {remedy}")
        return area

    def _keep(self, grabbed: _Grabbed) -> None:
        if not self._started.is_set():
            self._start = grabbed.instant
            self._writer = VideoWriter(self._path, grabbed.picture.shape[1], grabbed.picture.shape[0], self._settings)
            self._started.set()
        try:
            self._pictures.put_nowait(grabbed)
        except queue.Full:  # the encoder is behind: the newest frame is left out, its tick stays empty
            self.dropped += 1

    def _encode(self) -> None:
        writer = self._writer
        try:
            while (grabbed := self._pictures.get()) is not None:
                height, width = grabbed.picture.shape[:2]
                self.resized |= (width // 2 * 2, height // 2 * 2) != (writer.width, writer.height)
                writer.write(grabbed.picture, grabbed.instant - self._start)
                self.frames += 1
        finally:
            writer.close()


def _grab_area(screen: mss.MSS, area: Area) -> Picture:
    """A picture of an area; what lies beyond the screen's edge is black."""
    whole = screen.monitors[0]
    left, top = max(area.left, whole["left"]), max(area.top, whole["top"])
    right = min(area.left + area.width, whole["left"] + whole["width"])
    bottom = min(area.top + area.height, whole["top"] + whole["height"])
    if right <= left or bottom <= top:
        raise AcpilotError("the game's window lies outside the screen: move it back")
    shot = screen.grab({"left": left, "top": top, "width": right - left, "height": bottom - top})
    picture = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
    if (right - left, bottom - top) == (area.width, area.height):
        return picture
    padded = np.zeros((area.height, area.width, 4), np.uint8)
    padded[top - area.top :, left - area.left :][: picture.shape[0], : picture.shape[1]] = picture
    return padded
