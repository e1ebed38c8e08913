import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.video.ticks import TickLog

T = 100_000_000
STATS = {"renderSkippedFrames": 0, "outputSkippedFrames": 0}


def log_of(
    delays_ms: list[float], first: int = 0, behind: list[int] | None = None, *,
    origin: int = 5_000_000_000, drift_ppm: float = 0.0, latency: float = 0.0,
) -> TickLog:  # fmt: skip
    """Answers at ticks: how late each came, the tick of frame 0, how many frames OBS's output had left to do."""
    log = TickLog(float(T), latency)
    for tick, delay in enumerate(delays_ms):
        instant = origin + round(tick * T * (1 + drift_ppm / 1e6) + delay * 1e6)
        done = tick - first - 1 - (behind[tick] if behind else 0)
        log.add(instant, {"renderTotalFrames": tick, "outputTotalFrames": done, **STATS})
    return log


@given(st.lists(st.floats(0, 80), min_size=60, max_size=200), st.integers(0, 40))
def test_the_bound_holds_whatever_the_answers_took(delays: list[float], first: int) -> None:
    delays[3] = 0.2  # one that came at once
    alignment = log_of(delays, first).alignment(started_at=5_000_000_000 + first * T)
    assert alignment is not None
    times = np.arange(len(delays) - first) / 10
    instants, errors = alignment.instants(times), alignment.errors(times)
    grid = 5_000_000_000 + (first + np.arange(len(times))) * T
    # A frame was taken between its place on the grid and the arrival of the answer.
    latest = grid + np.array(delays[first:]) * 1e6
    error = np.maximum(np.abs(instants - grid), np.abs(instants - latest)) / 1e6
    assert np.all(error <= errors + 0.01)


@given(st.floats(-80, 80))
def test_the_drift_of_another_machines_clock_is_found(drift: float) -> None:
    rng = np.random.default_rng(1)
    log = log_of(list(0.3 + rng.exponential(1.0, 3000)), drift_ppm=drift, latency=0.3e6)
    assert log.grid().fitted_drift_ppm == pytest.approx(drift, abs=6)
    assert abs(log.grid().instant_of(1500) - (5_000_000_000 + 1500 * T * (1 + drift / 1e6))) < 4e6


def test_the_clock_of_this_machine_does_not_drift_however_busy_it_gets() -> None:
    busier = [0.2, *np.linspace(0.5, 12, 200)]
    alignment = log_of(busier, 20).alignment(started_at=5_000_000_000 + 20 * T)
    assert alignment is not None
    assert alignment.drift_ppm == 0
    assert abs(alignment.offset - (5_000_000_000 + 20 * T)) < 1e6


def test_the_first_frames_those_around_a_skip_and_those_that_nobody_watched_are_uncertain() -> None:
    log = TickLog(float(T))
    for tick in [*range(50), *range(53, 100)]:
        stats = {"renderTotalFrames": tick, "renderSkippedFrames": int(tick >= 70), "outputSkippedFrames": 0,
                 "outputTotalFrames": tick - 11}  # fmt: skip
        log.add(tick * T + 200_000, stats)
    alignment = log.alignment(started_at=10 * T)
    assert alignment is not None
    trusted = alignment.errors(np.arange(100) / 10) <= 50
    left_out = [*range(5), *range(40, 43), *range(54, 66), *range(90, 100)]
    assert np.flatnonzero(~trusted).tolist() == left_out
    assert alignment.bounded(50).error_bound_ms < 5


def test_a_first_frame_that_the_checks_contradict_widens_the_bound() -> None:
    alignment = log_of([0.2] * 50, 10).alignment(started_at=5_000_000_000 + 17 * T)
    assert alignment is not None
    assert alignment.errors_ms.min() >= 100


@given(st.lists(st.integers(0, 4), min_size=100, max_size=100), st.integers(0, 40))
def test_an_encoder_that_falls_behind_does_not_move_the_first_frame(behind: list[int], first: int) -> None:
    behind[60::10] = [0] * 4  # it is done with its work now and then
    alignment = log_of([0.2] * 100, first, behind).alignment(started_at=5_000_000_000 + first * T)
    assert alignment is not None
    assert alignment.evidence["first_tick"] == first
    assert alignment.bounded(50).error_bound_ms < 5


def test_an_encoder_that_is_never_done_with_its_work_widens_the_bound() -> None:
    behind = [1] * 200
    behind[150] = 0
    alignment = log_of([0.2] * 200, 10, behind).alignment(started_at=5_000_000_000 + 10 * T)
    assert alignment is not None
    assert alignment.errors_ms.min() >= 100


def test_nothing_is_said_before_the_counters_are_those_of_this_recording() -> None:
    assert log_of([0.2] * 12, 10).alignment(started_at=5_000_000_000 + 10 * T) is None
