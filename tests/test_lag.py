"""acpilot lag: how far labels are off, told from the pictures, against sessions shifted by known amounts."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from acpilot.practice.car import Controls
from acpilot.session.folder import Session
from conftest import acpilot
from practice_session import make_session, shifted
from test_convert import one_line, rows_of

SHIFTS = {"allround": -300.0, "fast": 250.0, "twisty": -120.0}
"""Of a session of each track, milliseconds."""


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    return {
        track: make_session(tmp_path_factory.mktemp("driven"), track=track, seconds=40, renderer="software")
        for track in SHIFTS
    }


def lag(session: Session, *flags: str, code: int = 0) -> str:
    ended, output = acpilot("lag", str(session.folder), *flags, folder=session.folder.parent)
    assert ended == code, output
    return output


def told(output: str) -> tuple[float, float, float]:
    """Estimate and interval, milliseconds."""
    found = re.search(r"taken (\d+) ms (after|before) .* \(([+-]\d+) … ([+-]\d+) ms", output)
    assert found, output
    return float(found[1]) * (1 if found[2] == "after" else -1), float(found[3]), float(found[4])


def test_the_lag_of_shifted_sessions_is_found_and_lies_in_its_interval(
    driven: dict[str, Session], tmp_path: Path
) -> None:
    errors, held = [], []
    for track, shift in SHIFTS.items():
        estimate, low, high = told(lag(shifted(driven[track], shift, tmp_path / track)))
        errors.append(abs(estimate + shift))
        held.append(low <= -shift <= high)
        assert high - low < 100
    assert np.median(errors) <= 15, errors
    assert all(held), errors


def test_fix_re_aligns_the_labels_keeps_the_old_ones_and_can_be_taken_back(
    driven: dict[str, Session], tmp_path: Path
) -> None:
    right = Session(Path(shutil.copytree(driven["twisty"].folder, tmp_path / "right")))
    wrong = shifted(driven["twisty"], 200, tmp_path / "wrong")
    for session in (right, wrong):
        assert acpilot("convert", str(session.folder), "--size", "64", "36", folder=tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in (wrong.labels_file, wrong.inputs_file)}
    raw = {path: path.read_bytes() for path in (wrong.telemetry_file, wrong.video_file, wrong.manifest_file)}

    assert "acpilot lag --fix" in lag(wrong)
    assert {path: path.read_bytes() for path in before} == before, "without --fix nothing changes"

    assert "corrected by -" in lag(wrong, "--fix")
    assert {path: path.read_bytes() for path in raw} == raw
    assert wrong.labels_before_lag_file.read_bytes() == before[wrong.labels_file]
    assert wrong.inputs_before_lag_file.read_bytes() == before[wrong.inputs_file]
    truth = {row["frame"]: float(row["steering"]) for row in rows_of(right)}
    fixed = rows_of(wrong)
    assert len(fixed) > 0.9 * len(truth)
    assert np.mean([abs(float(row["steering"]) - truth[row["frame"]]) for row in fixed]) < 0.03

    once = wrong.labels_file.read_bytes()
    assert "corrected by -" in lag(wrong, "--fix")
    assert wrong.labels_file.read_bytes() == once, "a second time changes nothing"

    assert "taken back" in lag(wrong, "--undo")
    assert {path: path.read_bytes() for path in before} == before
    assert not wrong.lag_file.exists()
    assert not wrong.labels_before_lag_file.exists()


def test_sessions_of_the_original_tool_are_estimated_when_they_are_converted(
    tmp_path: Path,
) -> None:
    # Its rows have no yaw: it is made of the steering, which must be what turns the car; of it there must be much.
    driven = make_session(tmp_path, track="twisty", seconds=40, disturbance=0, renderer="software")
    session = shifted(driven, 300, tmp_path / "original", original=True)
    rows = session.inputs_file.read_bytes()
    code, output = acpilot("convert", str(session.folder), "--size", "64", "36", folder=tmp_path)
    assert code == 0, output
    estimate, low, high = told(output)
    assert low <= -300 <= high
    assert estimate == pytest.approx(-300, abs=90)
    assert "acpilot lag --fix" in output
    lag(session, "--fix")
    assert session.inputs_file.read_bytes() == rows, "what the original tool recorded is not touched"
    assert acpilot("check", str(session.folder), "--json", folder=tmp_path)[1].count("corrected by") == 1


def test_it_says_when_the_pictures_cannot_tell(driven: dict[str, Session], tmp_path: Path) -> None:
    still = make_session(tmp_path, seconds=12, controls=Controls(0, 0, 1))
    assert "cannot tell" in lag(still)
    assert "left as it is" in one_line(1, lag(still, "--fix", code=1))
    assert not still.lag_file.exists()

    stranger = shifted(driven["twisty"], 0, tmp_path / "stranger")
    stranger.telemetry_file.unlink()
    shutil.copy(driven["fast"].telemetry_file, stranger.telemetry_file)
    assert "cannot tell" in lag(stranger), "telemetry of another drive"


def test_pictures_may_be_older_than_proven_instants_by_what_the_game_takes_to_draw(
    driven: dict[str, Session], tmp_path: Path
) -> None:
    drawn_late = shifted(driven["twisty"], 25, tmp_path / "drawn_late")
    assert "the labels agree with the pictures" in lag(drawn_late)
    lag(drawn_late, "--fix")
    assert not drawn_late.lag_file.exists()
    later_than_they_can_be = shifted(driven["twisty"], -60, tmp_path / "later")
    assert f"acpilot lag --fix {later_than_they_can_be.folder}" in lag(later_than_they_can_be)


def test_a_lag_beyond_the_range_is_found_only_with_a_larger_one(driven: dict[str, Session], tmp_path: Path) -> None:
    session = shifted(driven["twisty"], 2600, tmp_path / "late")
    assert "cannot tell" in lag(session)
    assert told(lag(session, "--range-ms", "4000"))[0] == pytest.approx(-2600, abs=30)


def test_contradicting_flags_are_refused(driven: dict[str, Session]) -> None:
    assert "--undo" in one_line(1, lag(driven["fast"], "--fix", "--undo", code=1))
