"""The report of a session and of a dataset: what its page says, and that it is there whole or not at all."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acpilot.commands import install_extra
from acpilot.dataset.dataset import COLUMNS, Dataset
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.session.marks import Mark, write_marks
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment
from acpilot.video.screen import VideoWriter
from conftest import acpilot
from test_convert import one_line

RADIUS = 120.0


def write_drive(folder: Path, frames: int = 80, fps: float = 10.0, noise: float = 0.0) -> Session:
    """A session of a car that goes round in a circle, faster and faster."""
    session = Session.create(folder, {"fps": fps})
    writer = VideoWriter(session.video_file, 64, 64, RecordSettings(quality=40))
    for frame in range(frames):
        writer.write(np.full((64, 64, 4), frame % 200, np.uint8), round(frame * 1e9 / fps))
    writer.close()
    seconds = np.arange(-0.5, frames / fps + 0.5, 0.05)
    physics, graphics = np.zeros(len(seconds), PHYSICS), np.zeros(len(seconds), GRAPHICS)
    scatter = np.random.default_rng(1).normal(0, noise, len(seconds)) if noise else np.zeros(len(seconds))
    physics["packet_id"] = np.arange(len(seconds))
    physics["steer_angle"] = 0.3 * np.sin(seconds) + scatter
    physics["gas"] = np.clip(0.5 + 0.5 * np.cos(seconds) + scatter, 0, 1)
    physics["brake"] = np.clip(-np.cos(seconds) + scatter, 0, 1)
    physics["speed_kmh"] = np.clip(80 + 40 * np.sin(seconds / 7) + 30 * scatter, 0, None)
    graphics["status"] = Status.LIVE
    graphics["position_m"][:, 0] = RADIUS * np.cos(seconds / 5)
    graphics["position_m"][:, 2] = RADIUS * np.sin(seconds / 5)
    log = TelemetryWriter(session.telemetry_file)
    log.write((seconds * 1e9).astype(np.int64), physics, graphics)
    log.close()
    session.manifest.state = "complete"
    session.manifest.game = {"car": "test_coupe", "track": "ring", "track_configuration": "short"}
    session.manifest.steering = Steering("ratio", 1, "measured", 1.0, 0.0, 0.5, 1.0)
    session.manifest.alignment = replace(
        Alignment.even("written by a test", 0, 1.5, 2000), evidence={"grab_ms_max": 2.25}
    )
    session.save()
    return session


def as_original(session: Session) -> Session:
    """The same as the original tool would have left it: inputs.csv and the video."""
    lines = ["Timestamp,Frame,Steering,Throttle,Brake,SpeedKmh"]
    lines += [f"{i / 10:.3f},{i},{0.3 * np.sin(i / 10):.4f},0.5,0,{50 + i}" for i in range(80)]
    session.inputs_file.write_text("\n".join(lines) + "\n")
    session.manifest_file.unlink()
    session.telemetry_file.unlink()
    return Session.open(session.folder)


def write_dataset(folder: Path, *sessions: Session) -> Dataset:
    """A dataset as acpilot combine makes it."""
    dataset = Dataset(folder)
    entries = {}
    rows = []
    for session in sessions:
        name = session.folder.name
        images = dataset.images_folder / name
        images.mkdir(parents=True)
        for i in range(80):
            Image.new("RGB", (64, 36), (i, 90, 200)).save(images / session.image_name(i))
            split = ("train", "validation", "test")[(i > 60) + (i > 70)]
            image = f"images/{name}/{session.image_name(i)}"
            steering = 0.3 * np.sin(i / 10)
            rows.append({
                "image_name": image, "steering": steering, "throttle": 0.5, "speed": 60 + i, "gear": 3,
                "session": name, "frame": i, "timestamp": i / 10, "split": split, "weight": 1,
            })  # fmt: skip
        alignment, game = session.manifest.alignment, session.manifest.game
        entries[name] = {
            "folder": str(session.folder), "car": game.get("car", ""), "track": game.get("track", ""),
            "track_configuration": game.get("track_configuration", ""), "fps": 10.0, "frames": 80,
            "error_bound_ms": alignment.error_bound_ms if alignment else None,
            "alignment": alignment.method if alignment else "", "original": session.is_original, "conversion": {},
        }  # fmt: skip
    dataset.record_file.write_text(json.dumps({"format": 1, "settings": {}, "sessions": entries}))
    with dataset.table_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval=0)
        writer.writeheader()
        writer.writerows(rows)
    return dataset


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return write_drive(tmp_path / "sessions")


def report(folder: Path) -> str:
    """Run acpilot report; the page that it names."""
    code, output = acpilot("report", str(folder), folder=folder.parent)
    assert code == 0, output
    return Path(output.strip()).read_text(encoding="utf-8")


def words_of(text: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL))


def titles_of(text: str) -> list[str]:
    """What its pictures show."""
    return re.findall(r'<img src="data:[^"]*" alt="([^"]*)"', text)


PLOTS = [
    "Speed and inputs over time", "How often which steering occurs", "Which steering at which speed", "Track",
    "Evidence of the alignment",
]  # fmt: skip


def test_a_session_that_is_not_converted_yet(session: Session) -> None:
    text = report(session.folder)
    words = words_of(text)
    assert "test_coupe on ring short" in words
    assert "80, 80 of them labelled" in words
    assert "labels can be off by 1.5 ms at most, by written by a test" in words
    assert "grab ms max 2.25" in words
    assert "Nothing is left out of the dataset" in words
    assert titles_of(text) == PLOTS
    assert f"make them with: acpilot convert {session.folder}" in words


def test_a_converted_session_shows_its_images(session: Session) -> None:
    assert acpilot("convert", str(session.folder), folder=session.folder)[0] == 0
    text = report(session.folder)
    assert titles_of(text) == [*PLOTS, "Contact sheet"]
    for image in session.images():
        image.unlink()
    assert titles_of(report(session.folder)) == PLOTS


def test_marked_spells_are_shown(session: Session) -> None:
    unmarked = report(session.folder)
    write_marks(session, [Mark(2.0, 3.95, "spin"), Mark(100.0, 200.0, "later", "check")])
    text = report(session.folder)
    words = words_of(text)
    assert "80, 60 of them labelled (20 marked)" in words
    assert "0:02.0 0:04.0 spin user" in words
    assert "Gray: frames that are left out" in words
    timeline = re.compile(r'<img src="([^"]*)" alt="Speed and inputs over time"')
    assert timeline.search(text)[1] != timeline.search(unmarked)[1]  # type: ignore[index]


def test_labels_are_those_of_the_conversion(session: Session) -> None:
    session.manifest.steering = Steering("degrees", 1, "measured", None, 0.3, 0.001, 1.0)
    session.save()
    assert "--steering-lock" in one_line(*acpilot("report", str(session.folder), folder=session.folder))
    flags = ("--steering-unit", "degrees", "--steering-lock", "0.5")
    assert acpilot("convert", str(session.folder), *flags, folder=session.folder)[0] == 0
    assert "steering degrees (given)" in words_of(report(session.folder))


def test_a_session_that_convert_refuses_has_a_report(session: Session) -> None:
    session.manifest.alignment = Alignment.even("written by a test", 0, 400.0, 1000)
    session.save()
    refusal = one_line(*acpilot("convert", str(session.folder), folder=session.folder))
    assert f"acpilot convert --max-error-ms 400 {session.folder}" in refusal
    assert "labels can be off by too much: 400 ms would have to be accepted" in words_of(report(session.folder))


def test_a_session_of_the_original_tool_says_what_it_lacks(session: Session) -> None:
    text = report(as_original(session).folder)
    words = words_of(text)
    assert titles_of(text) == PLOTS[:3]
    assert "the original tool did not record the car&#x27;s coordinates" in words
    assert "nothing that proves which instant a frame shows" in words
    assert "labels can be off by unknown" in words


def test_a_session_that_was_paused_all_the_time_has_a_report(session: Session) -> None:
    session.manifest.alignment = Alignment("written by a test", 0, 0.0, errors_ms=np.full(80, np.inf, np.float32))
    session.save()
    words = words_of(report(session.folder))
    assert "80, 0 of them labelled (80 of uncertain instant)" in words
    assert "no frame is labelled" in words


def test_a_dataset(tmp_path: Path) -> None:
    recorded = [write_drive(tmp_path / "sessions") for _ in range(2)]
    original = as_original(write_drive(tmp_path / "sessions"))
    dataset = write_dataset(tmp_path / "laps", *recorded, original)
    text = report(dataset.folder)
    words = words_of(text)
    assert "3 sessions, 240 frames: 183 train, 30 validation, 27 test" in words
    assert titles_of(text) == [*PLOTS[:3], "Track ring short", PLOTS[4], "Contact sheet"]
    assert f"no coordinates of {original.folder.name}" in words
    assert re.search(rf"{recorded[0].folder.name} test_coupe ring short 10 80 1.5 ms 61 10 9", words)


def test_a_quarter_of_an_hour_makes_a_page_that_can_be_sent(tmp_path: Path) -> None:
    session = write_drive(tmp_path / "sessions", frames=1_800, fps=2.0, noise=0.1)
    text = report(session.folder)
    assert "1800, 1800 of them labelled" in words_of(text)
    assert titles_of(text) == PLOTS
    assert len(text) < 3_000_000


def test_a_second_run_and_one_after_a_crash_give_the_same_page(session: Session) -> None:
    text = report(session.folder)
    assert report(session.folder) == text
    session.report_file.with_name(session.report_file.name + ".part").write_text(text[:1000])
    session.report_file.write_text("an older one")
    assert report(session.folder) == text
    assert not list(session.folder.glob("*.part"))


def test_what_is_neither_session_nor_dataset(tmp_path: Path) -> None:
    assert "is not a session folder" in one_line(*acpilot("report", str(tmp_path), folder=tmp_path))


def test_a_page_that_cannot_be_written(session: Session) -> None:
    session.report_file.mkdir()
    assert "cannot write" in one_line(*acpilot("report", str(session.folder), folder=session.folder))


def test_without_matplotlib_it_says_what_to_install(session: Session, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('not there', name='matplotlib')")
    missing = {"PYTHONPATH": str(tmp_path)}
    line = one_line(*acpilot("report", str(session.folder), folder=session.folder, environment=missing))
    assert install_extra("report") in line
