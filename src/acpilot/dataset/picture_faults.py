"""What is wrong with the pictures of a video: other sizes, black or frozen spells, parts that never change."""

import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from acpilot.dataset.finding import Finding, Verdict
from acpilot.progress import Progress
from acpilot.session.labels import Labels
from acpilot.video.alignment import spans
from acpilot.video.decoding import decode

_WIDTH, _HEIGHT = 64, 36
_MOVING = 20.0  # km/h
_BLACK = 8.0  # of 255
_FROZEN = 0.2  # mean change between frames, of 255: noise of the encoder
_FROZEN_SECONDS = 0.5
_FIXED = 1.5  # standard deviation over time, of 255
_MUCH_FIXED = 0.35


def picture_faults(video: Path, labels: Labels, progress: Progress, threads: int | None = None) -> list[Finding]:
    """Look at every picture of a video, in small.

    Args:
        video: the file.
        labels: of its frames.
        progress: told after each picture.
        threads: how many decode; as many as there are processors when not given.
    """
    small = np.zeros((len(labels.frame), _HEIGHT, _WIDTH), np.uint8)
    seen = np.zeros(len(labels.frame), bool)
    sizes: dict[tuple[int, int], int] = {}
    lock = threading.Lock()

    def look(number: int, frame: av.VideoFrame) -> None:
        small[number] = frame.reformat(_WIDTH, _HEIGHT, "gray", interpolation="AREA").to_ndarray()
        seen[number] = True
        with lock:
            size = (frame.width, frame.height)
            sizes[size] = sizes.get(size, 0) + 1

    decode(video, range(len(labels.frame)), look, progress, threads)
    return [*_sizes(sizes), _undecoded(seen), *_stills(small, seen, labels), _fixed_parts(small, seen, labels)]


def _sizes(sizes: dict[tuple[int, int], int]) -> Iterator[Finding]:
    text = ", ".join(f"{width} × {height} ({count} frames)" for (width, height), count in sizes.items())
    if len(sizes) > 1:
        yield Finding(
            "resolution", "warning", f"it changes: {text}", "convert with --size; record without resizing the window"
        )
    elif sizes:
        yield Finding("resolution", "ok", text)


def _undecoded(seen: np.ndarray) -> Finding:
    lost = int((~seen).sum())
    if not lost:
        return Finding("video", "ok", "every frame can be decoded")
    verdict: Verdict = "unfit" if lost > len(seen) / 2 else "warning"
    return Finding("video", verdict, f"{lost} of {len(seen)} frames are damaged", "they are left out", {"frames": lost})


def _stills(small: np.ndarray, seen: np.ndarray, labels: Labels) -> Iterator[Finding]:
    brightness = small.mean(axis=(1, 2))
    black = seen & (brightness < _BLACK) & (small.std(axis=(1, 2)) < _BLACK / 2)
    change = np.array(
        [np.inf, *(np.abs(small[i].astype(np.int16) - small[i - 1]).mean() for i in range(1, len(small)))]
    )
    # A menu, a loading screen or another window: the car drives, the picture stands.
    still = seen & (change < _FROZEN) & labels.known & (labels.speed_kmh > _MOVING)
    frozen = [
        (float(labels.timestamp[first]), float(labels.timestamp[last]))
        for first, last in spans(still)
        if labels.timestamp[last] - labels.timestamp[max(first - 1, 0)] >= _FROZEN_SECONDS
    ]
    for subject, spells, what in (
        ("black frames", [(float(labels.timestamp[a]), float(labels.timestamp[b])) for a, b in spans(black)], "black"),
        ("menu frames", frozen, "still while the car drives: a menu or another window"),
    ):
        if not spells:
            yield Finding(subject, "ok", "none")
            continue
        cut = f"acpilot mark --exclude {spells[0][0]:.1f}-{spells[0][1]:.1f} --why menu"
        where = ", ".join(f"{first:.1f}-{last:.1f}" for first, last in spells[:5]) + (" ..." if spells[5:] else "")
        yield Finding(subject, "warning", f"the picture is {what} at {where} s", cut, {"spells": spells})


def _fixed_parts(small: np.ndarray, seen: np.ndarray, labels: Labels) -> Finding:
    driving = np.flatnonzero(seen & labels.known & (labels.speed_kmh > _MOVING))
    if len(driving) < 2:
        return Finding("fixed parts", "note", "the car hardly moves: what stands still in the picture cannot be told")
    chosen = driving[:: max(len(driving) // 300, 1)]
    fixed = small[chosen].std(axis=0) < _FIXED
    share = float(fixed.mean())
    text = f"{share:.0%} of the picture never changes (bonnet, cockpit, HUD, sky)"
    if share > _MUCH_FIXED:
        rows = np.flatnonzero(~fixed.all(axis=1))
        top, bottom = (rows[0] / _HEIGHT, (rows[-1] + 1) / _HEIGHT) if len(rows) else (0, 0)
        text += f"; what changes lies between {top:.0%} and {bottom:.0%} of its height"
        return Finding("fixed parts", "note", text, "cut it off with --crop of acpilot convert", {"share": share})
    return Finding("fixed parts", "ok", text, "", {"share": share})
