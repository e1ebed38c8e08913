"""Sessions as earlier versions wrote them: small real ones, kept as they were."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from acpilot.session.folder import Session
from conftest import acpilot

OLD = Path(__file__).parent / "data" / "session_format_1"
"""5 s of the practice game at 10 FPS through the built-in recorder: 54 frames, all labelled."""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.open(Path(shutil.copytree(OLD, tmp_path / "20261201_030134")))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_session_of_format_1_converts_to_the_labels_it_was_recorded_with(session: Session) -> None:
    code, output = acpilot("convert", str(session.folder), folder=session.folder.parent)
    assert code == 0, output
    assert "54 labelled images" in output
    for now, then in zip(rows(session.labels_file), rows(OLD / session.inputs_file.name), strict=True):
        for ours, recorded in (("steering", "Steering"), ("throttle", "Throttle"), ("brake", "Brake")):
            assert float(now[ours]) == pytest.approx(float(then[recorded]), abs=2e-6)
        assert float(now["speed"]) == pytest.approx(float(then["SpeedKmh"]), abs=2e-3)
        assert float(now["timestamp"]) == pytest.approx(float(then["Timestamp"]), abs=2e-6)


def test_a_session_of_format_1_is_checked(session: Session) -> None:
    code, output = acpilot("check", str(session.folder), folder=session.folder.parent)
    assert code == 0, output
    assert "54 of 54 frames have a label" in output
    assert "no label is off by more than 2.3 ms" in output


def test_frames_that_format_1_distrusted_stay_without_a_label(session: Session) -> None:
    manifest = json.loads(session.manifest_file.read_text())
    manifest["alignment"]["distrusted"] = [[3, 5], [20, 20]]
    session.manifest_file.write_text(json.dumps(manifest))
    code, output = acpilot("convert", str(session.folder), folder=session.folder.parent)
    assert code == 0, output
    frames = [int(row["frame"]) for row in rows(session.labels_file)]
    assert frames == [frame for frame in range(54) if frame not in (3, 4, 5, 20)]
