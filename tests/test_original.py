"""Sessions of the original tool, made to its letter, through both doors; and malformed ones."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acpilot.session.folder import Session
from conftest import acpilot
from test_convert import FRAMES, files_of, gray_of, one_line, rows_of, write_session

SCRIPT = Path(__file__).parent.parent / "convert_videos_to_dataset.py"
HEADER = "Timestamp,Frame,Steering,Throttle,Brake,SpeedKmh"


def lines_of(frames: int) -> list[str]:
    return [HEADER, *(f"{i / 10},{i},{i / 100:f},{1 - i / 100},0.0,{100.0 + i}" for i in range(frames))]


@pytest.fixture
def original(tmp_path: Path) -> Session:
    """Only the two files that the original tool wrote."""
    video = write_session(tmp_path / "made").video_file
    folder = tmp_path / "20240102_030405"
    folder.mkdir()
    shutil.copy(video, folder / "session_recording.mkv")
    (folder / "inputs.csv").write_text("\n".join(lines_of(FRAMES)) + "\n")
    return Session.open(folder)


def by_command(session: Session) -> tuple[int, str]:
    return acpilot("convert", str(session.folder), folder=session.folder.parent)


def run_script(*arguments: str, answer: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], input=answer, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def by_script(session: Session) -> tuple[int, str]:
    return run_script(str(session.folder))


def by_answering(session: Session) -> tuple[int, str]:
    return run_script(answer=f"{session.folder}\n")


@pytest.mark.parametrize("door", [by_command, by_script, by_answering])
def test_frame_n_gets_row_n_through_every_door(original: Session, door: Callable[[Session], tuple[int, str]]) -> None:
    before = original.inputs_file.read_bytes()
    code, output = door(original)
    assert code == 0, output
    assert "which nothing proves" in " ".join(output.split())
    rows = rows_of(original)
    assert len(rows) == FRAMES
    for i, row in enumerate(rows):
        assert float(row["steering"]) == pytest.approx(i / 100)
        assert float(row["speed"]) == 100 + i
        with Image.open(original.images_folder / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(i), abs=1.5)
    assert original.inputs_file.read_bytes() == before, "what was recorded is never written to"


def test_nothing_answered_is_no_traceback() -> None:
    code, output = run_script()
    assert code == 1
    assert output.endswith("acpilot: no folder given\n")


def test_a_gear_column_is_taken(original: Session) -> None:
    header, *lines = lines_of(FRAMES)
    original.inputs_file.write_text("\n".join([header + ",Gear", *(line + ",3" for line in lines)]) + "\n")
    assert by_command(original)[0] == 0
    assert {row["gear"] for row in rows_of(original)} == {"3"}


def test_a_frame_without_row_is_left_out(original: Session) -> None:
    lines = lines_of(FRAMES)
    del lines[11]
    original.inputs_file.write_text("\n".join(lines) + "\n")
    assert by_command(original)[0] == 0
    assert [int(row["frame"]) for row in rows_of(original)] == [*range(10), *range(11, FRAMES)]


def test_a_byte_order_mark_and_a_cut_last_line_are_told_and_passed_over(original: Session) -> None:
    text = "\ufeff" + "\n".join(lines_of(FRAMES))[:-5]
    original.inputs_file.write_text(text, encoding="utf-8")
    code, output = by_command(original)
    assert code == 0, output
    assert "byte order mark" in output
    assert "cut short" in output
    assert len(rows_of(original)) == FRAMES - 1


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "a column is missing": (lambda text: text.replace(",Brake", ""), "lacks the columns Brake"),
    "text in place of a number": (lambda text: text.replace(",103.0", ",fast"), "'fast', not a number"),
    "decimal commas": (lambda text: text.replace("0.3,3,", "0,3,3,"), "decimal commas"),
    "semicolons": (lambda text: text.replace(",", ";"), "separate the columns with commas"),
    "a frame twice": (lambda text: text.replace("0.5,5,", "0.5,4,"), "line 7: frame 4 repeats frame 4"),
    "a frame that goes back": (lambda text: text.replace("0.5,5,", "0.5,2,"), "goes back"),
    "time that goes back": (lambda text: text.replace("0.5,5,", "0.05,5,"), "timestamp 0.05 goes back"),
    "not a number": (lambda text: text.replace("103.0", "nan"), "not a number"),
    "steering in degrees": (lambda text: text.replace("0.030000", "270.0"), "--steering-unit"),
    "no row": (lambda _: HEADER + "\n", "holds no row"),
    "empty": (lambda _: "", "lacks the columns"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file_gets_a_clear_line_and_nothing_is_overwritten(original: Session, name: str) -> None:
    assert by_command(original)[0] == 0
    spoil, message = BAD[name]
    original.inputs_file.write_text(spoil(original.inputs_file.read_text()))
    before = files_of(original)
    line = one_line(*by_command(original))
    assert message in line
    assert "inputs.csv" in line
    assert files_of(original) == before
