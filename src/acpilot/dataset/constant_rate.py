"""MP4 files in which frame n is shown at exactly n / fps, as datasets of other tools want them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

_TICKS = 1024
"""Of the file's clock to a frame: LeRobot's own files have as many."""
_BT709, _BT601 = 1, 6
"""FFmpeg's numbers: BT.709 of the primaries and the curve, which are the screen's; BT.601 of the matrix."""


class VideoFile:
    """Encodes pictures for random access: H.264 with every other frame a key frame.

    The matrix is BT.601, and tagged so: readers that mind the tag and those that take every file for BT.601, as PyAV
    did up to 15 at least, then agree on the colours.
    """

    def __init__(self, path: Path, fps: int, width: int, height: int) -> None:
        self.frames = 0
        """Written so far."""
        self._reformatter = VideoReformatter()
        self._container = _create(path, fps)
        stream: Any = self._container.add_stream("libx264", rate=fps)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, fps)
        context.gop_size, context.max_b_frames = 2, 0
        context.color_primaries = context.color_trc = _BT709
        context.colorspace = _BT601
        context.color_range = ColorRange.MPEG
        context.thread_type = "FRAME"  # the next picture is read meanwhile
        context.options = {"crf": "18", "preset": "veryfast"}
        self._stream = stream

    def write(self, picture: np.ndarray) -> None:
        """Encode a picture, uint8 (height, width, 3), RGB.

        Raises:
            OSError: the disk is full, or gone.
        """
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(picture, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self.frames, self._stream.codec_context.time_base
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: the disk is full, or gone.
        """
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def copy_packets(source: Path, target: Path, fps: int, copied: Callable[[], None]) -> None:
    """Copy a recording without loss: all its pictures, bit by bit, with new times.

    Args:
        source: the recording.
        target: the MP4 to write.
        fps: frame n in display order, counted as ``frame_times`` counts, is shown at n / fps.
        copied: called after each frame.

    Raises:
        OSError: the source cannot be read, or the disk is full.
    """
    with av.open(str(source)) as container:
        stamps = np.array([packet.pts for packet in _packets(container)], np.int64)
    place = np.empty(len(stamps), np.int64)
    place[np.argsort(stamps, kind="stable")] = np.arange(len(stamps))
    # A picture is decoded no later than it is shown: where B-frames come out of turn, decoding starts before time zero.
    ahead = int(np.max(np.arange(len(stamps)) - place))
    with av.open(str(source)) as container, _create(target, fps) as output:
        stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
        for number, packet in enumerate(_packets(container)):
            packet.pts, packet.dts = int(place[number]) * _TICKS, (number - ahead) * _TICKS
            packet.duration, packet.time_base = _TICKS, Fraction(1, fps * _TICKS)
            packet.stream = stream
            output.mux(packet)
            copied()


def describe(path: Path) -> dict[str, Any]:
    """A video file as the ``info.json`` of a LeRobotDataset describes it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec_context.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.fps": int(stream.average_rate or 0),
            "video.channels": 3,
            "has_audio": False,
            "video.is_depth_map": False,
            "is_depth_map": False,
        }


def _create(path: Path, fps: int) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    return av.open(str(path), "w", format="mp4", options={"video_track_timescale": str(fps * _TICKS)})


def _packets(container: Any) -> Iterator[Any]:
    """The whole packets of a recording, in the order of decoding; those before the cut in one that was cut short."""
    with suppress(av.FFmpegError):
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and not packet.is_corrupt:
                yield packet
