"""Frame → instant: how a session's frames got their instants, how far that can be off, and the evidence."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from acpilot.errors import AcpilotError

_TINY = 0.25
"""A packet smaller than this share of its neighbours' may be a repeated picture."""

_OFF_GRID_MS = 2.0
_FRAMES_OF_DOUBT = 2
_FRAMES_LACKING = -2
"""How far the file's last frame may come before the one at which OBS was asked to stop: with x264 in MKV −1 was the
least of 97 recordings; OBS's Lossless (AVI, written by FFmpeg) lacked one frame more in 7 of 7, with right instants."""


@dataclass(frozen=True)
class Alignment:
    """How frames get their instants, and how far each can be off.

    Frames with a time of their own (``interval`` is None): ``offset`` + (1 + ``drift_ppm`` / 10⁶) × time in the file.
    Frames on a recorder's grid: ``offset`` + (1 + ``drift_ppm`` / 10⁶) × number × ``interval``, later where
    ``late_ms`` says so.
    """

    method: str
    """How the instants were found, in a few words."""
    offset: int
    """Instant (ns, monotonic clock) of frame 0: of time zero of the video file where frames have times of their own."""
    drift_ppm: float
    error_bound_ms: float = 0.0
    """Of the frames that the recording's own limit lets be labelled, none is known to be off by more than this."""
    evidence: dict[str, float | None] = field(default_factory=dict)
    """The figures that the errors rest on."""
    interval: float | None = None
    """Nanoseconds between frames of a recorder that keeps a strict grid."""
    late_ms: list[tuple[int, float]] = field(default_factory=list)
    """Frames (number on the grid) that were taken later than their place on the grid says, and by how much."""
    errors_ms: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False, compare=False)
    """By how much the instant of each frame (number on the grid) may be off, float32 (n,), kept in a file of its own;
    infinite where nothing bounds it, or where the picture is not to be learnt from at all."""

    @classmethod
    def even(cls, method: str, offset: int, error_ms: float, frames: int) -> "Alignment":
        """Of a video whose every frame has a time of its own that is off by no more than this."""
        return cls(method, offset, 0.0, error_ms, errors_ms=np.full(frames, error_ms, np.float32))

    def numbers(self, times: np.ndarray) -> np.ndarray:
        """Number, int64 (n,), of frames at the given times of the file: a frame missing in it leaves its number free.

        Args:
            times: seconds, float64 (n,), ascending, from the file's first frame on.
        """
        if self.interval is None:
            return np.arange(len(times))
        numbers: np.ndarray = np.rint((times - times[0]) * 1e9 / self.interval).astype(np.int64)
        return numbers

    def instants(self, times: np.ndarray) -> np.ndarray:
        """Instants, int64 (n,), of frames at the given times (as for ``numbers``)."""
        scale = 1 + self.drift_ppm / 1e6
        if self.interval is None:
            return self.offset + np.round(times * (1e9 * scale)).astype(np.int64)
        numbers = self.numbers(times)
        instants: np.ndarray = self.offset + np.round(numbers * (self.interval * scale)).astype(np.int64)
        if self.late_ms:
            late = np.zeros(numbers[-1] + 1)
            for number, milliseconds in self.late_ms:
                late[number : number + 1] = milliseconds
            instants += np.round(late[numbers] * 1e6).astype(np.int64)
        return instants

    def errors(self, times: np.ndarray) -> np.ndarray:
        """By how much, ms, the instants of frames at the given times (as for ``numbers``) may be off, float32 (n,).

        Infinite for frames that were not watched as they were taken.
        """
        numbers = self.numbers(times)
        known = numbers < len(self.errors_ms)
        errors = np.full(len(numbers), np.inf, np.float32)
        errors[known] = self.errors_ms[numbers[known]]
        return errors

    def bounded(self, limit_ms: float) -> "Alignment":
        """The same, with the bound of the frames that this limit lets be labelled."""
        accepted = self.errors_ms[self.errors_ms <= limit_ms]
        return replace(self, error_bound_ms=round(float(np.max(accepted, initial=0.0)), 3))


def spans(marked: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True in bool (n,)."""
    edges = np.diff(np.concatenate(([0], marked.astype(np.int8), [0])))
    firsts, lasts = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0) - 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def frame_times(video: Path) -> np.ndarray:
    """Time of every whole frame of a video file in display order: seconds, float64 (n,).

    Reads the packets without decoding them, so it is quick, and gives what there is of a file cut short by a crash.

    Raises:
        AcpilotError: the file is missing, is no video, or holds no frame.
    """
    return _packets(video)[0]


def _packets(video: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (seconds, float64) and sizes (bytes, int64) of the packets, in display order."""
    found: list[tuple[float, int]] = []
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise AcpilotError(f"{video} holds no video stream")
            stream = container.streams.video[0]
            base = stream.time_base or 0
            with suppress(av.FFmpegError):  # cut short: what was read so far is whole
                found.extend(
                    (float(packet.pts * base), packet.size)
                    for packet in container.demux(stream)
                    if packet.pts is not None and not packet.is_corrupt
                )
    except FileNotFoundError:
        raise AcpilotError(f"{video} is missing: a session without video cannot be converted") from None
    except av.FFmpegError as error:
        raise AcpilotError(
            f"{video} is damaged or empty ({error.strerror}): nothing can be converted from it"
        ) from None
    if not found:
        raise AcpilotError(f"{video} holds no frame: the recording ended before the first one was written")
    found.sort()
    return np.array([time for time, _ in found]), np.array([size for _, size in found])


def checked_against_file(alignment: Alignment, video: Path) -> tuple[Alignment, int, int]:
    """Compare an alignment with the finished file; a frame that only repeats a picture is as old as that.

    Returns:
        The alignment, with wider errors where the file contradicts it; how many frames the file holds, and how many
        repeat the picture before.

    Raises:
        AcpilotError: the file is missing, is no video, holds no frame, or is not the one that was recorded.
    """
    times = frame_times(video)
    numbers = alignment.numbers(times)
    evidence = dict(alignment.evidence)
    errors = np.full(max(len(alignment.errors_ms), numbers[-1] + 1), np.inf, np.float32)
    errors[: len(alignment.errors_ms)] = alignment.errors_ms
    interval_ms = 0.0
    if alignment.interval is not None:
        interval_ms = alignment.interval / 1e6
        off_grid = np.abs((times - times[0]) * 1e3 - numbers * interval_ms).max()
        if off_grid > _OFF_GRID_MS or len(np.unique(numbers)) < len(numbers):
            raise AcpilotError(
                f"{video} is not the video that was recorded: its frames do not come {1e3 / interval_ms:g} "
                "times a second"
            )
        expected = evidence.get("last_frame_expected")
        if expected is not None:
            # OBS takes up to two frames more after it was asked to stop. Its last B-frame can be missing: a gap before
            # the last picture.
            gap = len(numbers) > 1 and numbers[-1] - numbers[-2] > 1
            surplus = float(numbers[-1] - expected - gap)
            evidence["last_frame_less_expected"] = surplus
            if not _FRAMES_LACKING <= surplus <= _FRAMES_OF_DOUBT:
                errors += interval_ms
    repeated = repeated_frames(video)
    errors[numbers] += interval_ms * _run_lengths(repeated)
    return replace(alignment, evidence=evidence, errors_ms=errors), len(times), int(repeated.sum())


def _run_lengths(marked: np.ndarray) -> np.ndarray:
    """Of each True of bool (n,), its place in its run, from 1; 0 elsewhere."""
    places = np.arange(1, len(marked) + 1)
    last_unmarked = np.maximum.accumulate(np.where(marked, 0, places))
    lengths: np.ndarray = places - last_unmarked
    return lengths


def repeated_frames(video: Path) -> np.ndarray:
    """Which frames show the very picture of the frame before, bool (n,), in display order.

    A repeated picture costs an encoder next to nothing: only where packets are tiny is the video decoded, to see.

    Raises:
        AcpilotError: as ``frame_times``.
    """
    times, sizes = _packets(video)
    repeated = np.zeros(len(times), bool)
    suspects = np.flatnonzero(sizes < _TINY * np.median(sizes))
    if not len(suspects):
        return repeated
    with av.open(str(video)) as container, suppress(av.FFmpegError):
        stream = container.streams.video[0]
        base = float(stream.time_base or 0)
        group: list[Any] = []
        for packet in container.demux(stream):
            if packet.is_keyframe or packet.pts is None:
                numbers = np.searchsorted(times, [packet.pts * base - 1e-6 for packet in group])
                if np.isin(numbers, suspects).any():
                    same = [pts * base - 1e-6 for pts in _same_as_before(stream.codec_context, group)]
                    repeated[np.intersect1d(np.searchsorted(times, same), suspects)] = True
                group = []
            if packet.pts is not None:
                group.append(packet)
    return repeated


def _same_as_before(decoder: Any, group: list[Any]) -> Iterator[int]:
    """Time stamps of the pictures of a group (key frame to key frame) that equal the one before."""
    frames = [frame for packet in group for frame in decoder.decode(packet)] + decoder.decode(None)
    decoder.flush_buffers()
    before: np.ndarray | None = None
    for frame in frames:
        luma = frame.to_ndarray(format="gray")
        if frame.pts is not None and before is not None and np.array_equal(luma, before):
            yield frame.pts
        before = luma
