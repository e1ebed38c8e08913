"""acpilot check and acpilot mark: what faults look like to a user, and what follows from marks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acpilot.session.folder import Session
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status
from conftest import acpilot
from test_convert import one_line, rows_of
from test_report import as_original, write_drive

PAUSE, PIT, OFF_TRACK, AI, RESET = (0.5, 1.2), (2.0, 3.0), (4.0, 5.0), (7.0, 7.8), 15.0


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return write_drive(tmp_path / "sessions")


def with_spells(session: Session) -> Session:
    """The same with a pause, a pit stop, an excursion, an AI-driven spell and a reset."""
    seconds = np.arange(-0.5, 20.5, 0.05)
    physics, graphics = np.zeros(len(seconds), PHYSICS), np.zeros(len(seconds), GRAPHICS)

    def during(spell: tuple[float, float]) -> np.ndarray:
        return (seconds >= spell[0]) & (seconds < spell[1])

    physics["packet_id"] = np.arange(len(seconds))
    physics["steer_angle"] = 0.3 * np.sin(seconds)
    physics["gas"] = 0.5
    physics["speed_kmh"] = 80
    physics["tyres_out"] = np.where(during(OFF_TRACK), 4, 0)
    physics["ai_controlled"] = during(AI)
    graphics["status"] = np.where(during(PAUSE), Status.PAUSE, Status.LIVE)
    graphics["in_pit"] = during(PIT)
    graphics["position_m"][:, 0] = 80 / 3.6 * seconds + np.where(seconds > RESET, 400, 0)
    session.telemetry_file.unlink()
    log = TelemetryWriter(session.telemetry_file)
    log.write((seconds * 1e9).astype(np.int64), physics, graphics)
    log.close()
    return session


def with_stalls(session: Session, reset: float | None = None) -> Session:
    """A drive at 200 km/h that stands still for 0.25 s again and again, and then makes up for it in steps at once.

    Of those one in forty is seen. The game tells the car's place 25 times a second.
    """
    physics, graphics = np.zeros(7000, PHYSICS), np.zeros(7000, GRAPHICS)
    seconds = 0.003 * np.arange(7000) - 0.5
    phase = (seconds + 0.5) % 1.7
    late = np.where(phase < 0.25, 0.25 - phase, 0)
    physics["packet_id"] = np.arange(7000)
    physics["steer_angle"] = 0.3 * np.sin(seconds)
    physics["gas"] = 0.5
    physics["speed_kmh"] = 200
    graphics["status"] = Status.LIVE
    told = np.floor(seconds * 25) / 25
    graphics["position_m"][:, 0] = 200 / 3.6 * told + (400 * (told > reset) if reset is not None else 0)
    session.telemetry_file.unlink()
    seen = (late == 0) | (np.arange(7000) % 40 == 0)
    log = TelemetryWriter(session.telemetry_file)
    log.write(((seconds + late) * 1e9).astype(np.int64)[seen], physics[seen], graphics[seen])
    log.close()
    return session


def check(folder: Path, *flags: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Findings of acpilot check by their subject."""
    ended, output = acpilot("check", str(folder), "--json", *flags, folder=folder.parent)
    assert ended == code, output
    told, _ = json.JSONDecoder().raw_decode(output)
    assert told[0]["fit"] == (code == 0)
    return {finding["subject"]: finding for finding in told[0]["findings"]}


def test_a_good_session_is_fit_and_every_line_is_a_verdict(session: Session) -> None:
    code, output = acpilot("check", str(session.folder), folder=session.folder.parent)
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0] == str(session.folder)
    assert all(line.split()[0] in {"ok", "note", "warning"} for line in lines[1:])
    found = check(session.folder)
    assert found["alignment"]["figures"]["error_bound_ms"] == 1.5
    assert found["frames"]["verdict"] == "ok"
    assert not session.marks_file.exists()


def test_spells_are_found_marked_and_left_out_of_the_dataset(tmp_path: Path) -> None:
    session = with_spells(write_drive(tmp_path, frames=200))
    before = session.telemetry_file.read_bytes()
    assert check(session.folder, "--no-mark")["pits"]["verdict"] == "note"
    assert not session.marks_file.exists()
    found = check(session.folder)
    for subject in ("pause", "pits", "off-track", "AI", "reset"):
        assert found[subject]["figures"]["spells"] == 1, subject
    assert session.telemetry_file.read_bytes() == before
    assert acpilot("convert", str(session.folder), folder=session.folder.parent)[0] == 0
    taken = np.array([float(row["timestamp"]) for row in rows_of(session)])
    for first, last in (PAUSE, PIT, OFF_TRACK, AI):
        assert not ((taken > first + 0.05) & (taken < last - 0.05)).any()
    assert not ((taken > RESET - 2.9) & (taken < RESET + 0.9)).any()
    assert len(taken) > 90


def test_steps_that_come_at_once_after_a_stall_are_no_reset(tmp_path: Path) -> None:
    session = with_stalls(write_drive(tmp_path, frames=200))
    assert check(session.folder)["reset"]["figures"]["spells"] == 0
    with_stalls(session, reset=12.0)
    found = check(session.folder)["reset"]
    assert found["figures"]["spells"] == 1
    assert "9.0" in found["text"]


def test_marks_are_set_shown_and_taken_back(session: Session) -> None:
    folder = session.folder.parent

    def mark(*flags: str) -> str:
        code, output = acpilot("mark", str(session.folder), *flags, folder=folder)
        assert code == 0, output
        return output

    def frames() -> int:
        assert acpilot("convert", str(session.folder), folder=folder)[0] == 0
        return len(rows_of(session))

    assert mark() == "no marks\n"
    everything = frames()
    images = {path.name: path.stat().st_mtime_ns for path in session.images()}
    assert "1.000-2.950 s  spin (by user)" in mark("--exclude", "1.0-2.95", "--why", "spin")
    assert frames() == everything - 20
    assert check(session.folder)["marks"]["figures"]["frames"] == 20
    assert "spin" in mark()
    mark("--exclude", "500-600")
    found = check(session.folder)["marks"]
    assert found["verdict"] == "note"
    assert found["remedy"].endswith("--remove 500.000-600.000")
    mark("--remove", "500.000-600.000")
    assert "no marks" in mark("--remove", "1.0-2.950")
    assert frames() == everything
    assert all(path.stat().st_mtime_ns == images[path.name] for path in session.images() if path.name < "frame_000010")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--exclude", "12-3"], "12-3"),
        (["--exclude", "soon"], "soon"),
        (["--remove", "4"], "--remove 4 is no spell"),
    ],
)
def test_marks_that_cannot_be(session: Session, flags: list[str], says: str) -> None:
    assert says in one_line(*acpilot("mark", str(session.folder), *flags, folder=session.folder.parent))
    assert not session.marks_file.exists()


def test_a_session_with_too_little_is_unfit(tmp_path: Path) -> None:
    session = write_drive(tmp_path, frames=20)
    found = check(session.folder, code=1)
    assert found["frames"]["verdict"] == "unfit"
    code, output = acpilot("check", str(session.folder), folder=tmp_path)
    assert code == 1
    assert "unfit" in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_session_of_the_original_tool(session: Session) -> None:
    found = check(as_original(session).folder)
    assert found["alignment"]["verdict"] == "warning"
    assert "lag" in found["alignment"]["remedy"]


def test_a_dataset_that_lost_an_image_is_unfit(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert acpilot("convert", str(session.folder), folder=tmp_path)[0] == 0
    assert acpilot("combine", str(session.folder), "--out", str(out), folder=tmp_path)[0] == 0
    assert check(out)["images"]["verdict"] == "ok"
    next(out.glob("images/*/*.jpg")).unlink()
    assert check(out, code=1)["images"]["figures"]["missing"] == 1


def test_a_folder_that_is_neither(tmp_path: Path) -> None:
    assert str(tmp_path) in one_line(*acpilot("check", str(tmp_path), folder=tmp_path))
