"""The ticks of OBS's video clock, watched from outside, and the instants of a recording's frames that follow.

OBS takes frames on a fixed grid of its machine's monotonic clock. A request that OBS runs at a tick is answered just
after it, with the tick's number; over many answers the quickest ones show the grid, and each one alone how late that
tick can have been. Nothing else that OBS says of time is as good: its own durations are off by the encoder's depth.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from acpilot.clock import NS
from acpilot.video.alignment import Alignment

_ON_TIME_MS = 4.0
"""Answers this much after the grid are the usual spread; later ones mean a late frame (or a late answer)."""
_TOO_LATE_MS = 15.0
_LATE_UNSEEN = 1.4
"""Frame intervals by which a frame can be late without a counter or an answer that tells: 137 ms at 10 FPS."""
_PADDING = 5
"""Frames on either side of a skipped or lagged one that are uncertain too, and the first of a recording: one was
taken 12.8 ms after an answer that came on time, which nothing tells; perhaps because OBS starts its encoder then."""
_OFFSET_BOUND_MS = 3.0
_TICKS_OF_DOUBT = 2
"""How far the first tick may be from the one at which OBS said that it had started: measured, 1 or 2."""
COUNTERS_SETTLE = round(0.7 * NS)
"""After OBS said that it had started: until then its output's counter can be that of the recording before."""
_SHARE_KEEPING_UP = 0.03
"""Of the answers that find OBS's output with nothing left to do: measured, 15 % when it skipped a third."""
_BLOCK = 16
"""Answers of which the quickest counts when the drift is fitted."""
_DRIFT_THAT_COUNTS_MS = _OFFSET_BOUND_MS


@dataclass(frozen=True)
class Grid:
    """Tick n is at ``origin`` + n × ``interval`` × (1 + ``drift_ppm`` / 10⁶)."""

    origin: float
    """ns, monotonic clock of this machine, of tick 0."""
    interval: float
    drift_ppm: float
    fitted_drift_ppm: float
    """As fitted; counted only for another machine's clock, and where it amounts to something."""

    def instant_of(self, tick: float | np.ndarray) -> Any:
        """Instant(s), ns, of tick(s)."""
        return self.origin + tick * (self.interval * (1 + self.drift_ppm / 1e6))

    def tick_at(self, instant: int) -> float:
        """Tick (with its fraction) at an instant."""
        return (instant - self.origin) / (self.interval * (1 + self.drift_ppm / 1e6))


class TickLog:
    """Everything that was seen of the ticks; filled by one thread, read by others.

    Args:
        interval: ns between ticks.
        latency: ns that an answer takes through the network at best; 0 on the same machine.
    """

    def __init__(self, interval: float, latency: float = 0.0) -> None:
        self.interval, self.latency = interval, latency
        self._lock = threading.Lock()
        self._instants: list[int] = []
        self._ticks: list[int] = []
        self._output: list[int] = []
        self._skipped: list[int] = []
        self._moved: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._instants)

    def add(self, instant: int, stats: Mapping[str, Any]) -> None:
        """Log the answer to a request run at a tick.

        Args:
            instant: of the answer's arrival.
            stats: the answer to GetStats.
        """
        with self._lock:
            self._instants.append(instant)
            self._ticks.append(stats["renderTotalFrames"])
            self._output.append(stats["outputTotalFrames"])
            self._skipped.append(stats["renderSkippedFrames"] + stats["outputSkippedFrames"])

    def distrust(self, first: int, last: int) -> None:
        """Let no frame of these ticks be labelled, for a reason of the recorder's: its picture is not the game's."""
        with self._lock:
            self._moved.append((first, last))

    def grid(self) -> Grid:
        """The grid that fits what was seen so far (at least one answer)."""
        with self._lock:
            instants, ticks = np.array(self._instants), np.array(self._ticks)
        return self._fit(instants - self.latency, ticks)

    def _fit(self, instants: np.ndarray, ticks: np.ndarray) -> Grid:
        ages = instants - ticks * self.interval
        slope = _slope(ticks, ages)
        fitted = 1e6 * slope / self.interval
        span_ms = abs(slope) * (float(ticks[-1]) - float(ticks[0])) / 1e6
        # On the same machine OBS reads the very clock that we do: what looks like drift is a machine getting busy.
        drift = fitted if self.latency and span_ms > _DRIFT_THAT_COUNTS_MS else 0.0
        origin = float(np.min(ages - ticks * (self.interval * drift / 1e6)))
        return Grid(origin, self.interval, drift, fitted)

    def alignment(self, *, started_at: int, stopped_at: int | None = None) -> Alignment | None:
        """The instants of a recording's frames; None before the counters can tell the first.

        Args:
            started_at: instant at which OBS said that recording had started, which checks the first tick.
            stopped_at: instant at which OBS was asked to stop, which lets the file's last frame check it.
        """
        with self._lock:
            instants, ticks = np.array(self._instants, float) - self.latency, np.array(self._ticks)
            skipped, moved = np.array(self._skipped), list(self._moved)
            output = np.array(self._output)
        # At a tick that finds OBS's output with nothing left to do, the frames that it has put out are those of the
        # ticks from the first one to the one before. There are fewer while the encoder is behind: the least counts.
        firsts = (ticks - output - 1)[instants > started_at + COUNTERS_SETTLE]
        if not len(firsts):
            return None
        first_tick, keeping_up = int(firsts.min()), float(np.mean(firsts == firsts.min()))
        grid = self._fit(instants, ticks)
        frames = max(0, int(ticks[-1]) - first_tick + 1)
        late_ms = np.full(frames, np.inf)  # infinite: nothing was seen of it
        seen = ticks >= first_tick
        late_ms[ticks[seen] - first_tick] = (instants[seen] - grid.instant_of(ticks[seen])) / 1e6
        unseen = np.isinf(late_ms)
        uncertain = late_ms > _TOO_LATE_MS
        uncertain[:_PADDING] = True
        lost = np.zeros(frames, bool)
        for first, last in [*_skips(ticks, skipped), *moved]:
            lost[max(0, first - first_tick) : max(0, last - first_tick + 1)] = True
        corrected = np.flatnonzero(~uncertain & ~lost & (late_ms > _ON_TIME_MS))
        difference = first_tick - np.ceil(grid.tick_at(started_at))
        agreed = abs(difference) <= _TICKS_OF_DOUBT and keeping_up >= _SHARE_KEEPING_UP
        known_to = _OFFSET_BOUND_MS + self.latency / 1e6 if agreed else self.interval / 1e6
        errors = known_to + late_ms
        errors[uncertain] += _LATE_UNSEEN * self.interval / 1e6
        errors[lost] = np.inf
        usual = late_ms[~unseen]
        return Alignment(
            method="ticks of OBS's video clock",
            offset=round(grid.instant_of(first_tick)),
            drift_ppm=grid.drift_ppm,
            evidence={
                "ticks_seen": len(ticks),
                "frames_watched": frames,
                "frames_unwatched": int(unseen.sum()),
                "frames_too_late": int((late_ms[~unseen] > _TOO_LATE_MS).sum()),
                "frames_corrected": len(corrected),
                "lateness_ms_median": _rounded(np.median(usual)) if len(usual) else None,
                "lateness_ms_p99": _rounded(np.percentile(usual, 99)) if len(usual) else None,
                "frames_skipped_by_obs": int(skipped[-1] - skipped[seen][0]) if seen.any() else 0,
                "fitted_drift_ppm": _rounded(grid.fitted_drift_ppm),
                "network_ms": _rounded(self.latency / 1e6),
                "first_tick": first_tick,
                "answers_without_backlog": _rounded(keeping_up),
                "first_tick_less_that_of_the_event": float(difference),
                "last_frame_expected": None
                if stopped_at is None
                else float(np.floor(grid.tick_at(stopped_at)) - first_tick),
            },
            interval=self.interval,
            late_ms=[(int(k), _rounded(late_ms[k])) for k in corrected],
            errors_ms=errors.astype(np.float32),
        )


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 3)


def _slope(ticks: np.ndarray, ages: np.ndarray) -> float:
    """Of the lines that no answer lies before (an answer can come late, never early), the highest: ns per tick.

    Of all such lines the one that is nearest to the answers (the edge of their lower convex hull above the middle),
    which is the linear programme of Moon, Skelly and Towsley, "Estimation and removal of clock skew from network
    delay measurements", INFOCOM 1999.
    """
    middle = (float(ticks[0]) + float(ticks[-1])) / 2
    starts = np.arange(0, len(ages), _BLOCK)
    quickest = [int(start + np.argmin(ages[start : start + _BLOCK])) for start in starts]
    hull: list[tuple[float, float]] = []
    for x, y in sorted((float(ticks[i]), float(ages[i])) for i in quickest):
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x0 <= middle <= x1 and x1 > x0:
            return (y1 - y0) / (x1 - x0)
    return 0.0


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


def _skips(ticks: np.ndarray, skipped: np.ndarray) -> list[tuple[int, int]]:
    """First and last tick of each spell in which OBS skipped or lagged."""
    return [(int(ticks[j]) - _PADDING, int(ticks[j + 1]) + _PADDING) for j in np.flatnonzero(np.diff(skipped) != 0)]
