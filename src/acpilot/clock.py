"""The one time base (integer nanoseconds on the machine's monotonic clock) and the pacer of every timed loop."""

import ctypes
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass

NS = 1_000_000_000
"""Nanoseconds in a second."""
_TIME_CRITICAL = 15


def now() -> int:
    """The present instant: nanoseconds on the monotonic clock, shared by all processes of this machine."""
    return time.perf_counter_ns()


def sleep_until(instant: int) -> None:
    """Sleep until an instant; return at once if it has passed."""
    remaining = instant - now()
    if remaining > 0:
        time.sleep(remaining / NS)


def ask_for_punctuality() -> bool:
    """Ask the system to wake the calling thread before others; whether it agreed (Linux wants a right for it).

    Only for threads that do little: one that computes for long would starve the rest.
    """
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.SetThreadPriority.argtypes = [ctypes.c_void_p, ctypes.c_int]
        return bool(kernel.SetThreadPriority(kernel.GetCurrentThread(), _TIME_CRITICAL))
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


@dataclass(frozen=True)
class PaceReport:
    """How well a loop kept its rate."""

    target_hz: float
    achieved_hz: float
    cycles: int
    missed: int
    """Ticks that passed without a cycle because an earlier cycle took too long."""
    worst_late_ms: float
    """The latest start of a cycle after its tick."""

    def __str__(self) -> str:
        return (
            f"{self.achieved_hz:.1f} of {self.target_hz:g} Hz, {self.cycles} cycles, "
            f"{self.missed} missed, worst {self.worst_late_ms:.1f} ms late"
        )


class Lateness:
    """How late the events of a loop came; takes no more room the longer it runs."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # of hundredths of a millisecond

    def add(self, late: int) -> None:
        """Count an event that came so many nanoseconds after its instant."""
        self._counts[late // 10_000] += 1

    @property
    def events(self) -> int:
        """How many were counted."""
        return self._counts.total()

    def percentile_ms(self, share: float) -> float:
        """How late, ms, this share (0..1) of the events was at most."""
        reached = 0
        for hundredths in sorted(self._counts):
            reached += self._counts[hundredths]
            if reached >= share * self.events:
                return hundredths / 100
        return 0.0

    def __str__(self) -> str:
        return f"99 % at most {self.percentile_ms(0.99):.1f} ms late, worst {self.percentile_ms(1):.1f} ms"


class Pacer:
    """Keeps a loop on a fixed grid of instants; ticks that cannot be met are skipped and counted, never made up."""

    def __init__(self, hz: float, start: int | None = None) -> None:
        self.hz = hz
        self.start = now() if start is None else start
        self.tick = -1
        """Index of the current tick on the grid."""
        self.cycles = 0
        self.missed = 0
        self.worst_late = 0

    def instant_of(self, tick: int) -> int:
        """The instant of a tick of the grid."""
        return self.start + round(tick * NS / self.hz)

    def wait(self) -> int:
        """Sleep until the next tick and return its index; skips (and counts) ticks already gone by."""
        tick = self.tick + 1
        late = now() - self.instant_of(tick)
        if late < 0:
            sleep_until(self.instant_of(tick))
            late = now() - self.instant_of(tick)
        elif (skipped := int(late * self.hz / NS)) > 0:
            self.missed += skipped
            tick += skipped
            late = now() - self.instant_of(tick)
        self.worst_late = max(self.worst_late, late)
        self.tick = tick
        self.cycles += 1
        return tick

    def report(self) -> PaceReport:
        """What was achieved so far."""
        elapsed = (now() - self.start) / NS
        return PaceReport(
            target_hz=self.hz,
            achieved_hz=self.cycles / elapsed if elapsed > 0 else 0.0,
            cycles=self.cycles,
            missed=self.missed,
            worst_late_ms=self.worst_late / 1e6,
        )
