"""A session for the Rerun viewer, read back from the file."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rerun_cli
from PIL import Image
from rerun.chunk import RrdReader

from acpilot.commands import install_extra
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.session.marks import Mark, write_marks
from acpilot.video.screen import VideoWriter
from conftest import acpilot, running, wait_for
from test_convert import FRAMES, gray_of, one_line, write_session
from test_report import RADIUS, as_original, write_drive

Rows = list[tuple[float, int, Any]]


def save(session: Session, path: Path) -> tuple[int, str]:
    return acpilot("view", str(session.folder), "--save", str(path), folder=path.parent)


def saved(session: Session, path: Path) -> dict[str, Rows]:
    """What the file holds: entity:component → rows of time (seconds), frame and value, in order."""
    code, output = save(session, path)
    assert code == 0, output
    assert str(path) in output
    rerun = Path(rerun_cli.__file__).with_name("rerun.exe" if sys.platform == "win32" else "rerun")
    verified = subprocess.run([rerun, "rrd", "verify", path], check=False, capture_output=True, encoding="utf-8")
    assert verified.returncode == 0, verified.stderr
    return content(path)


def content(path: Path) -> dict[str, Rows]:
    reader = RrdReader(path)
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    found: dict[str, Rows] = {}
    for chunk in reader.stream().to_chunks():
        if chunk.is_static:
            continue
        assert sorted(chunk.timeline_names) == ["frame", "time"]
        batch = chunk.to_record_batch()
        times = batch["time"].cast("int64").to_pylist()
        columns = batch.drop_columns(["time"]).to_pydict()
        frames = columns.pop("frame")
        for name, values in columns.items():
            if ":" in name:
                rows = found.setdefault(f"{chunk.entity_path}:{name.split(':')[1]}", [])
                rows += [
                    (time / 1e9, frame, value[0]) for time, frame, value in zip(times, frames, values, strict=True)
                ]
    return {name: sorted(rows, key=lambda row: row[1]) for name, rows in found.items()}


def test_at_each_time_there_is_the_frame_with_its_label(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    found = saved(session, tmp_path / "drive.rrd")
    for entity in ("/picture:blob", "/speed:scalars", "/inputs/steering:scalars", "/inputs/throttle:scalars",
                   "/inputs/brake:scalars", "/label:text", "/picture/steering:vectors"):  # fmt: skip
        assert [frame for _, frame, _ in found[entity]] == list(range(FRAMES)), entity
    assert "/track/car:positions" not in found, "this car stands still"
    rows = zip(found["/picture:blob"], found["/speed:scalars"], found["/label:text"], strict=True)
    for (time, frame, blob), (when, _, speed), (at, _, text) in rows:
        assert time == when == at
        assert speed == pytest.approx(time, abs=2e-3), "the speed of this session is its time"
        assert text.startswith(f"**frame {frame}** at {time:.3f} s\n\nlabelled")
        with Image.open(io.BytesIO(bytes(blob))) as picture:
            assert picture.format == "JPEG"
            assert np.asarray(picture.convert("L")).mean() == pytest.approx(gray_of(frame), abs=1.5)


def test_the_car_and_its_inputs(tmp_path: Path) -> None:
    session = write_drive(tmp_path / "sessions")
    write_marks(session, [Mark(2.0, 3.95, "spin")])
    found = saved(session, tmp_path / "drive.rrd")
    assert len(found["/track/car:positions"]) == 80
    for time, _, (x, z) in found["/track/car:positions"]:
        assert (x, z) == pytest.approx((RADIUS * np.cos(time / 5), RADIUS * np.sin(time / 5)), abs=0.1)
    for time, _, steering in found["/inputs/steering:scalars"]:
        assert steering == pytest.approx(0.3 * np.sin(time), abs=2e-3)
    for (_, frame, (right, up)), (_, _, steering) in zip(
        found["/picture/steering:vectors"], found["/inputs/steering:scalars"], strict=True
    ):
        assert up < 0, frame
        assert right * steering >= 0, "the arrow leans the way the wheel is turned"
    assert {frame for _, frame, text in found["/label:text"] if "left out: marked" in text} == set(range(20, 40))


def test_a_session_of_the_original_tool(tmp_path: Path) -> None:
    session = as_original(write_drive(tmp_path / "sessions"))
    found = saved(session, tmp_path / "drive.rrd")
    assert len(found["/picture:blob"]) == len(found["/inputs/steering:scalars"]) == 80
    assert not [name for name in found if name.startswith("/track")]
    for _, frame, steering in found["/inputs/steering:scalars"]:
        assert steering == pytest.approx(0.3 * np.sin(frame / 10), abs=1e-4)


def test_frames_without_telemetry_have_a_picture_and_no_inputs(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    assert session.manifest.alignment is not None
    later = replace(session.manifest.alignment, offset=5_000_000_000)  # the telemetry ends 3 s after it
    session.manifest.alignment = later
    session.save()
    found = saved(session, tmp_path / "drive.rrd")
    assert len(found["/picture:blob"]) == len(found["/label:text"]) == FRAMES
    known = [frame for _, frame, text in found["/label:text"] if "labelled" in text]
    assert 0 < len(known) < FRAMES
    assert [frame for _, frame, _ in found["/speed:scalars"]] == known
    assert all("left out: no telemetry" in text for _, frame, text in found["/label:text"] if frame not in known)


def test_a_wide_picture_is_made_smaller(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    writer = VideoWriter(session.video_file, 1920, 1080, RecordSettings())
    for frame in range(3):
        writer.write(np.full((1080, 1920, 4), 100, np.uint8), frame * 100_000_000)
    writer.close()
    found = saved(session, tmp_path / "drive.rrd")
    with Image.open(io.BytesIO(bytes(found["/picture:blob"][0][2]))) as picture:
        assert picture.size == (960, 540)


def test_killed_while_it_writes_and_run_again_gives_the_same(tmp_path: Path) -> None:
    session = write_drive(tmp_path / "sessions", frames=2000)
    path, part = tmp_path / "drive.rrd", tmp_path / "drive.rrd.part"
    undisturbed = saved(session, tmp_path / "undisturbed.rrd")
    with running("view", str(session.folder), "--save", str(path), folder=tmp_path) as process:
        wait_for(lambda: part.exists() and part.stat().st_size > 100_000, "the first pictures", step=0.0005)
        process.kill()
        process.wait()
    assert not path.exists(), "it was quicker than the kill: the test has shown nothing"
    assert saved(session, path) == undisturbed
    assert not part.exists()


def test_a_name_that_the_viewer_does_not_know(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    assert "let it end in .rrd" in one_line(*save(session, tmp_path / "drive.mp4"))
    line = one_line(*acpilot("view", str(session.folder), "--save", "nowhere/drive.rrd", folder=tmp_path))
    assert "cannot write" in line
    assert "No such file" in line


def test_without_a_display_it_says_what_to_do(tmp_path: Path) -> None:
    if sys.platform != "linux":
        return  # elsewhere there is always a display
    session = write_session(tmp_path / "sessions")
    none = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    line = one_line(*acpilot("view", str(session.folder), folder=tmp_path, environment=none))
    assert "--save FILE.rrd" in line


def test_without_rerun_it_says_what_to_install(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    (tmp_path / "rerun.py").write_text("raise ModuleNotFoundError('not there', name='rerun')")
    missing = {"PYTHONPATH": str(tmp_path)}
    line = one_line(*acpilot("view", str(session.folder), folder=tmp_path, environment=missing))
    assert install_extra("view") in line
