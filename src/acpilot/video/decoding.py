"""The pictures of a video, each with its number, decoded on all processors."""

import os
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from acpilot.progress import Progress


@dataclass(frozen=True)
class _Stretch:
    """A part of a video that can be decoded by itself: from one key frame to before another."""

    first: int
    """Presentation time stamp of its key frame, which no frame of the stretch precedes."""
    end: int | None
    """Time stamp of the next stretch; None for the last."""
    numbers: dict[int, int]
    """Time stamp of each frame → its number in display order."""


def decode(
    video: Path,
    wanted: Collection[int],
    use: Callable[[int, av.VideoFrame], None],
    progress: Progress = lambda *_: None,
    threads: int | None = None,
) -> int:
    """Decode frames of a video and hand each to a function; how many were decoded.

    Each thread decodes stretches of its own, from key frame to key frame, and holds one picture at a time. What cannot
    be decoded, because the file is damaged or was cut short, is passed over.

    Args:
        video: the file; ``frame_times`` has looked at it before, and found it to be a video.
        wanted: numbers of frames, in display order from 0.
        use: called with number and picture; by one thread in display order, by several at a time in no order.
        progress: told after each picture.
        threads: how many; as many as there are processors when not given.

    Raises:
        Exception: what ``use`` raises ends the decoding.
    """
    wanted = frozenset(wanted)
    stretches = [stretch for stretch in _stretches(video) if not wanted.isdisjoint(stretch.numbers.values())]
    threads = threads or os.cpu_count() or 1
    alone = len(stretches) < threads
    stop = threading.Event()
    lock = threading.Lock()
    done = 0
    progress(0, len(wanted))

    def work(stretch: _Stretch) -> None:
        nonlocal done
        remaining = wanted.intersection(stretch.numbers.values())
        count = len(remaining)
        for number, frame in _frames(video, stretch, "AUTO" if alone and threads > 1 else "NONE"):
            if stop.is_set():
                return
            if number not in wanted:
                continue
            use(number, frame)
            with lock:
                done += 1
                progress(done, len(wanted))
            count -= 1
            if not count:
                return

    with ThreadPoolExecutor(threads) as workers:
        try:
            for future in [workers.submit(work, stretch) for stretch in stretches]:
                future.result()
        finally:
            stop.set()
    return done


def _stretches(video: Path) -> list[_Stretch]:
    stamps: list[int] = []
    keys: list[bool] = []
    with av.open(str(video)) as container, suppress(av.FFmpegError):  # cut short
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and not packet.is_corrupt:
                stamps.append(packet.pts)
                keys.append(packet.is_keyframe)
    order = np.array(stamps, np.int64)
    # An open group of pictures: frames after the key frame that are shown before it need the group before.
    first_after = np.minimum.accumulate(order[::-1])[::-1]
    last_before = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], order[:-1]]))
    starts = np.flatnonzero(np.array(keys) & (first_after == order) & (last_before < order)).tolist()
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    numbers = {int(stamp): number for number, stamp in enumerate(np.sort(order))}
    ends = [*starts[1:], len(order)]
    return [
        _Stretch(
            int(order[start]),
            int(order[end]) if end < len(order) else None,
            {int(stamp): numbers[int(stamp)] for stamp in order[start:end]},
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _frames(
    video: Path, stretch: _Stretch, threading_type: str, *, seek: bool = True
) -> Iterator[tuple[int, av.VideoFrame]]:
    with av.open(str(video)) as container, suppress(av.FFmpegError):  # cut short
        stream = container.streams.video[0]
        stream.thread_type = threading_type
        if seek:
            container.seek(stretch.first, stream=stream)
        begun = False
        for packet in container.demux(stream):
            if packet.pts is not None and not begun:
                if seek and packet.pts > stretch.first:
                    break  # the file's index is wrong
                begun = packet.pts == stretch.first
            at_end = packet.pts is None or packet.pts == stretch.end
            if not begun and not at_end:
                continue
            try:
                frames = stream.codec_context.decode(None if at_end else packet)
            except av.FFmpegError:
                frames = []  # damaged: what comes after may be whole
            for frame in frames:
                number = stretch.numbers.get(frame.pts) if frame.pts is not None else None
                if number is not None:
                    yield number, frame
            if at_end:
                return
    if seek:
        yield from _frames(video, stretch, threading_type, seek=False)
