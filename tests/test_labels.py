import csv
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acpilot.session.labels import inputs_csv, label_frames
from acpilot.telemetry.pages import Status
from acpilot.telemetry.sample import Samples
from acpilot.telemetry.steering import Steering

RATIO = Steering("ratio", 1, "measured", 1.0, 1.0, 0.5, 1.0)
MS = 1_000_000


def samples_at(instants_ms: list[float], status: list[int] | None = None) -> Samples:
    """Samples whose steering is the time in seconds, and whose speed is a hundred times that."""
    seconds = np.array(instants_ms) / 1000
    count = len(seconds)
    return {
        "instant": (seconds * 1e9).astype(np.int64),
        "steer_angle": seconds, "throttle": seconds, "brake": 0 * seconds, "speed_kmh": 100 * seconds,
        "gear": np.arange(count), "normalized_position": seconds, "completed_laps": np.zeros(count, int),
        "acceleration_g": np.outer(seconds, [1, 0, 0]),
        "status": np.array(status or [Status.LIVE] * count),
    }  # fmt: skip


@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=20))
def test_a_label_is_the_input_at_the_frames_instant(seconds: list[float]) -> None:
    samples = samples_at(list(np.arange(0, 1000, 3.0)))
    instants = (np.array(sorted(seconds)) * 1e9).astype(np.int64)
    labels = label_frames(samples, RATIO, instants, start=0)
    assert labels.known.all()
    np.testing.assert_allclose(labels.steering, sorted(seconds), atol=1e-6)
    np.testing.assert_allclose(labels.speed_kmh, 100 * np.array(sorted(seconds)), atol=1e-4)
    np.testing.assert_allclose(labels.lateral_acceleration, 9.81 * np.array(sorted(seconds)), atol=1e-4)
    np.testing.assert_allclose(labels.timestamp, sorted(seconds), atol=1e-9)


def test_frames_before_and_after_the_telemetry_are_not_labelled() -> None:
    labels = label_frames(samples_at([10, 20, 30]), RATIO, np.array([5, 15, 30, 31]) * MS, start=0)
    assert labels.known.tolist() == [False, True, True, False]


def test_nothing_is_interpolated_over_a_hole() -> None:
    labels = label_frames(samples_at([0, 10, 500, 510]), RATIO, np.array([5, 250, 505]) * MS, start=0)
    assert labels.known.tolist() == [True, False, True]


def test_a_pause_is_recorded_and_left_out_unless_asked_for() -> None:
    live, pause = Status.LIVE, Status.PAUSE
    samples = samples_at([0, 10, 20, 900, 910, 920], [live, live, pause, live, live, live])
    labels = label_frames(samples, RATIO, np.array([5, 100, 500, 905]) * MS, start=0)
    assert labels.paused.tolist() == [False, True, True, False]
    assert labels.chosen(keep_paused=False).tolist() == [True, False, False, True]
    assert labels.chosen(keep_paused=True).all()


def test_a_pause_that_lasts_to_the_end_is_a_pause() -> None:
    samples = samples_at([0, 10], [Status.LIVE, Status.PAUSE])
    labels = label_frames(samples, RATIO, np.array([5, 300]) * MS, start=0)
    assert labels.paused.tolist() == [False, True]


def test_inputs_csv_has_the_original_tools_columns() -> None:
    labels = label_frames(samples_at([0, 10, 20, 30]), RATIO, np.array([0, 15, 30, 99]) * MS, start=0)
    rows = list(csv.reader(io.StringIO(inputs_csv(labels, keep_paused=False))))
    assert rows[0] == ["Timestamp", "Frame", "Steering", "Throttle", "Brake", "SpeedKmh"]
    assert [row[1] for row in rows[1:]] == ["0", "1", "2", "3"]
    assert rows[4] == ["0.099000", "3", "", "", "", ""], "a frame without a label keeps its row"
    assert rows[2] == ["0.015000", "1", "0.015000", "0.015000", "0.000000", "1.500"]
