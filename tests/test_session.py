import json
from pathlib import Path

import pytest

from acpilot.errors import AcpilotError
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.session.manifest import settings_record
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    session = Session.create(tmp_path / "sessions", settings_record(RecordSettings(fps=20)))
    session.manifest.steering = Steering("ratio", 1, "measured", 1.0, 0.4, 0.5, 0.99)
    session.manifest.alignment = Alignment.even("grabs", 123456789, 1.5, 10)
    session.manifest.counts.frames = 10
    session.save()
    again = Session.open(session.folder).manifest
    assert again == session.manifest
    assert again.alignment is not None
    assert again.alignment.errors_ms.tolist() == [1.5] * 10


def test_sessions_started_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {Session.create(tmp_path, {}).folder for _ in range(3)}
    assert len(folders) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 99}', "update acpilot to read it"),
        ('{"format": "1"}', "format 1"),
        ("{}", "damaged"),
        ("[]", "damaged"),
        ("", "damaged"),
        ('{"format": 1, "steering": {"unit": "ratio"}}', "damaged"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(content)
    with pytest.raises(AcpilotError) as error:
        Session.open(tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AcpilotError, match=r"has no session\.json"):
        Session.open(tmp_path)
    with pytest.raises(AcpilotError, match="is not a folder"):
        Session.open(tmp_path / "nowhere")


def test_unknown_entries_of_a_manifest_do_no_harm(tmp_path: Path) -> None:
    session = Session.create(tmp_path, {})
    raw = json.loads(session.manifest_file.read_text()) | {"added_later": 1}
    session.manifest_file.write_text(json.dumps(raw))
    assert Session.open(session.folder).manifest == session.manifest
