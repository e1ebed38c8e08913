import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.video.ticks import TickLog

T = 100_000_000
STATS = {"renderSkippedFrames": 0, "outputSkippedFrames": 0}


def log_of(delays_ms: list[float], origin: int = 5_000_000_000, drift_ppm: float = 0.0) -> TickLog:
    log = TickLog(float(T))
    for tick, delay in enumerate(delays_ms):
        instant = origin + round(tick * T * (1 + drift_ppm / 1e6) + delay * 1e6)
        log.add(instant, {"renderTotalFrames": tick, **STATS})
    return log


@given(st.lists(st.floats(0, 80), min_size=60, max_size=200), st.integers(0, 40))
def test_the_bound_holds_whatever_the_answers_took(delays: list[float], first: int) -> None:
    delays[3] = 0.2  # one that came at once
    alignment = log_of(delays).alignment(first, started_at=5_000_000_000 + first * T, limit_ms=50)
    times = np.arange(len(delays) - first) / 10
    instants, trusted = alignment.instants(times), alignment.trusted(times)
    grid = 5_000_000_000 + (first + np.arange(len(times))) * T
    # A frame was taken between its place on the grid and the arrival of the answer.
    latest = grid + np.array(delays[first:]) * 1e6
    error = np.maximum(np.abs(instants - grid), np.abs(instants - latest)) / 1e6
    assert np.all(error[trusted] <= alignment.error_bound_ms + 0.01)


@given(st.floats(-80, 80))
def test_the_drift_of_another_machines_clock_is_found(drift: float) -> None:
    rng = np.random.default_rng(1)
    log = log_of(list(0.3 + rng.exponential(1.0, 3000)), drift_ppm=drift)
    assert log.grid().fitted_drift_ppm == pytest.approx(drift, abs=6)
    assert abs(log.grid().instant_of(1500) - (5_000_000_000 + 1500 * T * (1 + drift / 1e6))) < 4e6


def test_frames_around_a_skip_and_those_that_nobody_watched_are_distrusted() -> None:
    log = TickLog(float(T))
    for tick in [*range(50), *range(53, 100)]:
        stats = {"renderTotalFrames": tick, "renderSkippedFrames": int(tick >= 70), "outputSkippedFrames": 0}
        log.add(tick * T + 200_000, stats)
    alignment = log.alignment(10, started_at=10 * T, limit_ms=50)
    trusted = alignment.trusted(np.arange(100) / 10)
    left_out = [*range(40, 43), *range(54, 66), *range(90, 100)]
    assert np.flatnonzero(~trusted).tolist() == left_out
    assert alignment.error_bound_ms < 5


def test_a_first_frame_that_the_checks_contradict_widens_the_bound() -> None:
    log = log_of([0.2] * 50)
    assert log.alignment(10, started_at=5_000_000_000 + 17 * T, limit_ms=50).error_bound_ms >= 100
