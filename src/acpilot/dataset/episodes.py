"""The rows of a dataset as episodes: runs without a gap, at one steady rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acpilot.errors import AcpilotError

_SPLITS = ("train", "validation", "test")
_SHORTEST = 1.0
"""Seconds: a shorter run shows nothing of a drive."""
_GAP = 1.5
"""Frame intervals: between frames farther apart than this one is missing."""
_UNEVEN = 0.02
"""A recorder's rate is never quite the one that it was asked for."""
_OFF_PACE = 0.05
"""So far the frames' own instants may be from the rate: a second of uneven frames is no measure of it."""


@dataclass(frozen=True)
class Episode:
    """A run of consecutive frames of one session, lap and split."""

    number: int
    start: int
    """Number of its first frame in the whole export."""
    rows: np.ndarray
    """Rows of the dataset's table, int64 (n,), in the order of time."""
    session: str
    lap: int
    split: str


def whole_rate(sessions: Mapping[str, Mapping[str, Any]]) -> int:
    """The frames a second of all sessions of a dataset, which must be one whole number.

    Raises:
        AcpilotError: it is none, or they differ.
    """
    rates = {name: float(entry["fps"]) for name, entry in sessions.items()}
    whole = {max(1, round(rate)) for rate in rates.values()}
    fps = min(whole, default=1)
    if len(whole) > 1 or any(abs(rate / fps - 1) > _UNEVEN for rate in rates.values()):
        told = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        raise AcpilotError(
            f"LeRobot wants one whole number of frames a second, the sessions have {told}: convert all of them with "
            f"one whole rate (acpilot convert --fps {fps} SESSIONS), then combine them again"
        )
    return fps


def find_episodes(
    table: Mapping[str, np.ndarray], sessions: Mapping[str, Mapping[str, Any]], fps: int
) -> tuple[list[Episode], list[str]]:
    """Cut a dataset into episodes, in the order train, validation, test; and what the user should know.

    An episode ends with its lap, and wherever a frame is missing: in marked and paused spells, and in gaps of the
    video.

    Args:
        table: of the dataset.
        sessions: of the dataset's record.
        fps: frames a second of all sessions.

    Raises:
        AcpilotError: no run is long enough, or the frames of a session are not at its rate.
    """
    runs = find_runs(table, sessions, fps, ("session", "lap", "split"))
    kept = [run for run in runs if len(run) >= _SHORTEST * fps]
    if not kept:
        raise AcpilotError(
            f"no run of the dataset's {len(table['frame'])} rows is as long as a second: there is no episode to "
            "export; combine longer sessions, or take back some of their marks (acpilot mark)"
        )
    _refuse_another_pace(table, kept, fps)
    rank = {name: place for place, name in enumerate(_SPLITS)}
    kept.sort(key=lambda run: rank.get(table["split"][run[0]], len(rank)))
    starts = np.cumsum([0, *map(len, kept)])
    episodes = [
        Episode(
            number,
            int(starts[number]),
            run,
            str(table["session"][run[0]]),
            int(table["lap"][run[0]]),
            str(table["split"][run[0]]),
        )
        for number, run in enumerate(kept)
    ]
    notes = []
    if short := len(runs) - len(kept):
        rows = len(table["frame"]) - int(starts[-1])
        notes.append(f"{rows} rows left out: they are in {short} runs shorter than a second, between gaps or marks")
    return episodes, notes


def find_runs(
    table: Mapping[str, np.ndarray],
    sessions: Mapping[str, Mapping[str, Any]],
    fps: float | np.ndarray,
    within: Sequence[str],
) -> list[np.ndarray]:
    """Runs of consecutive frames, none of which is missing: rows of the table in the order of time, int64 (n,) each.

    Args:
        table: of the dataset.
        sessions: of the dataset's record.
        fps: frames a second of all rows, or of each.
        within: columns that are the same all along a run.
    """
    order = np.lexsort((table["frame"], table["session"]))
    time, frame = table["timestamp"][order], table["frame"][order]
    rate = np.broadcast_to(fps, len(order))[order]
    every_frame = np.array([sessions[name]["conversion"]["fps"] is None for name in table["session"][order]], bool)
    ends = (np.diff(time) > _GAP / rate[1:]) | (every_frame[1:] & (np.diff(frame) != 1))
    for name in within:
        ends |= table[name][order][1:] != table[name][order][:-1]
    return np.split(order, np.flatnonzero(ends) + 1)


def _refuse_another_pace(table: Mapping[str, np.ndarray], runs: list[np.ndarray], fps: int) -> None:
    """An export counts time as frame / fps: a recorder that was slower than it was asked for would make that wrong."""
    frames: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for run in runs:
        name = str(table["session"][run[0]])
        frames[name] = frames.get(name, 0) + len(run) - 1
        seconds[name] = seconds.get(name, 0.0) + float(np.ptp(table["timestamp"][run]))
    for name, count in frames.items():
        if abs(count / max(seconds[name], 1e-9) / fps - 1) > _OFF_PACE:
            raise AcpilotError(
                f"the frames of {name} come {count / max(seconds[name], 1e-9):.3g} times a second, not {fps}: convert "
                "all sessions with one whole rate that is below this (acpilot convert --fps), then combine them again"
            )
