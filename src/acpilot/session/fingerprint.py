"""By what a session knows its video again: in another container it is the same, cut or encoded anew it is not."""

import zlib
from contextlib import suppress
from pathlib import Path

import av
import numpy as np

from acpilot.errors import AcpilotError
from acpilot.session.folder import Session
from acpilot.session.manifest import Fingerprint
from acpilot.video.alignment import frame_times

_FIRST = 32
"""Packets that are compared."""
_LEAST_ALIKE = 0.75
"""Of them: a few may be damaged."""
_LOOKED_AT = 33
"""Frames, spread over the video, whose time stamps are compared."""
_REORDERED = 5
"""The last frames of a file that was cut short can lack some before them, which then count less."""
_ROUNDING = 0.0015
"""Seconds: by containers that count in milliseconds, from one to another and back."""


def take_fingerprint(video: Path) -> Fingerprint:
    """The fingerprint of a finished video.

    Raises:
        AcpilotError: as ``frame_times``.
    """
    times = frame_times(video)
    width, height, first = _first_packets(video)
    seconds = times[_spread(len(times))]
    return Fingerprint(len(times), width, height, " ".join(first), [round(float(second), 6) for second in seconds])


def video_times(session: Session) -> np.ndarray:
    """The one door to a session's video: the time of every whole frame, as ``frame_times`` gives it.

    A video in another container, whose time stamps begin elsewhere, has the times that it was recorded with.
    Reads the packets without decoding them. Sessions without a fingerprint are those of earlier versions, of a recorder
    that was killed, and of the original tool: their video is taken as it is.

    Returns:
        Seconds, float64 (n,), ascending.

    Raises:
        AcpilotError: the file is missing, is no video, holds no frame, or is not the one of the session.
    """
    video, known = session.video_file, session.manifest.video
    times = frame_times(video)
    if known is None:
        return times
    if (difference := _difference(known, video, times)) is not None:
        raise AcpilotError(
            f"{video} is not the video of this session ({difference}): put the one that was recorded back, as it was "
            "or copied into another container, not cut nor encoded again"
        )
    moved = _moved(known, times)
    shifted: np.ndarray = times - (moved.min() + moved.max()) / 2
    return shifted


def _difference(known: Fingerprint, video: Path, times: np.ndarray) -> str | None:
    """By what a video is told to be another one; None when it is the session's, whole or cut short."""
    width, height, first = _first_packets(video)
    if (width, height) != (known.width, known.height):
        return f"its pictures are {width}x{height}, not {known.width}x{known.height}"
    if len(times) > known.frames:
        return f"it holds {len(times)} frames, not {known.frames}"
    alike = [ours == theirs for ours, theirs in zip(known.first_packets.split(), first, strict=False)]
    if sum(alike) < _LEAST_ALIKE * len(alike):
        return "its first pictures are others"
    moved = _moved(known, times)
    if moved.max() - moved.min() > 2 * _ROUNDING:
        return "its frames have other times"
    return None


def _moved(known: Fingerprint, times: np.ndarray) -> np.ndarray:
    """By how many seconds frames of the video come later than they were recorded, float64 (k,), k ≥ 1."""
    numbers = _spread(known.frames)
    whole = len(times) == known.frames
    there = int((numbers < len(times) - (0 if whole else _REORDERED)).sum()) or 1
    moved: np.ndarray = times[numbers[:there]] - np.array(known.seconds[:there])
    return moved


def _spread(frames: int) -> np.ndarray:
    """Numbers of the frames whose time stamps are compared, int64 (k,), ascending from 0."""
    numbers: np.ndarray = np.unique(np.linspace(0, frames - 1, _LOOKED_AT).round().astype(np.int64))
    return numbers


def _first_packets(video: Path) -> tuple[int, int, list[str]]:
    """Width and height, pixels, and a checksum of what each of the first packets holds of its picture."""
    first: list[str] = []
    with av.open(str(video)) as container, suppress(av.FFmpegError):  # cut short
        stream = container.streams.video[0]
        context = stream.codec_context
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_corrupt:
                first.append(f"{zlib.crc32(_slices(bytes(packet), context.name, context.extradata)):08x}")
            if len(first) == _FIRST:
                break
    return context.width, context.height, first


def _slices(packet: bytes, codec: str, header: bytes | None) -> bytes:
    """What a packet holds of its picture and keeps in every container.

    Of H.264 and H.265 those are the slices: a container may put start codes or lengths before them, and parameter sets
    or delimiters between (ITU-T H.264 and H.265, Annex B; ISO/IEC 14496-15, 5.3.3 and 8.3.3).
    """
    if codec not in ("h264", "hevc"):
        return packet
    is_hevc = codec == "hevc"
    if header and header[0] == 1:  # the packet's units have their lengths before them
        size, at, units = (header[21 if is_hevc else 4] & 3) + 1, 0, []
        while at + size <= len(packet):
            length = int.from_bytes(packet[at : at + size], "big")
            units.append(packet[at + size : at + size + length])
            at += size + length
    else:
        units = packet.split(b"\0\0\1")[1:]
    return b"".join(unit.rstrip(b"\0") for unit in units if unit and _is_slice(unit[0], is_hevc=is_hevc))


def _is_slice(first_byte: int, *, is_hevc: bool) -> bool:
    return first_byte >> 1 & 63 < 32 if is_hevc else 1 <= first_byte & 31 <= 5
