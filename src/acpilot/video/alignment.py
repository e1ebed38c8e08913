"""Frame → instant: how a session's frames got their instants, how far that can be off, and the evidence."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from acpilot.errors import AcpilotError


@dataclass(frozen=True)
class Alignment:
    """Instant of a frame = ``offset`` + (1 + ``drift_ppm`` / 10⁶) × its time in the video file."""

    method: str
    """How the instants were found, in a few words."""
    offset: int
    """Instant (ns, monotonic clock) of time zero of the video file."""
    drift_ppm: float
    error_bound_ms: float
    """No labelled frame's instant is known to be off by more than this."""
    evidence: dict[str, float | None] = field(default_factory=dict)
    """The figures that the bound rests on."""

    def instants(self, times: np.ndarray) -> np.ndarray:
        """Instants, int64 (n,), of frames at the given times of the video file (seconds, float64 (n,))."""
        return self.offset + np.round(times * (1e9 + 1e3 * self.drift_ppm)).astype(np.int64)


def frame_times(video: Path) -> np.ndarray:
    """Time of every whole frame of a video file in display order: seconds, float64 (n,).

    Reads the packets without decoding them, so it is quick, and gives what there is of a file cut short by a crash.

    Raises:
        AcpilotError: the file is missing, is no video, or holds no frame.
    """
    times: list[float] = []
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise AcpilotError(f"{video} holds no video stream")
            stream = container.streams.video[0]
            base = stream.time_base or 0
            with suppress(av.FFmpegError):  # cut short: what was read so far is whole
                times.extend(
                    float(packet.pts * base)
                    for packet in container.demux(stream)
                    if packet.pts is not None and not packet.is_corrupt
                )
    except FileNotFoundError:
        raise AcpilotError(f"{video} is missing: a session without video cannot be converted") from None
    except av.FFmpegError as error:
        raise AcpilotError(
            f"{video} is damaged or empty ({error.strerror}): nothing can be converted from it"
        ) from None
    if not times:
        raise AcpilotError(f"{video} holds no frame: the recording ended before the first one was written")
    return np.sort(np.array(times))
