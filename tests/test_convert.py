"""Conversion of recorded sessions, and what happens to bad ones."""

import csv
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment
from acpilot.video.screen import VideoWriter
from conftest import acpilot, running, wait_for

FRAMES = 60
COLOURS = ((200, 60, 20), (20, 200, 60), (60, 20, 200), (128, 128, 128), (250, 250, 20))


def gray_of(frame: int) -> int:
    """Each frame is of one gray, so that an image tells which frame it is."""
    return 20 + 3 * frame


def write_session(folder: Path, *, colours: bool = False) -> Session:
    """A session of six seconds with irregular frame times: the speed of each sample is its time in seconds."""
    session = Session.create(folder, {})
    settings = RecordSettings(quality=4)
    writer = VideoWriter(session.video_file, 322, 182, settings)
    times = np.cumsum(np.resize([100, 90, 130, 80], FRAMES)) * 1_000_000 - 100_000_000
    for frame, time in enumerate(times):
        picture = np.full((182, 322, 4), gray_of(frame), np.uint8)
        if colours:
            picture[..., 2::-1] = COLOURS[frame % len(COLOURS)]
        writer.write(picture, int(time))
    writer.close()
    instants = np.arange(-1_000_000_000, 8_000_000_000, 3_000_000)
    physics, graphics = np.zeros(len(instants), PHYSICS), np.zeros(len(instants), GRAPHICS)
    physics["packet_id"] = np.arange(len(instants))
    physics["speed_kmh"] = instants / 1e9
    physics["gear"] = 4
    graphics["status"] = Status.LIVE
    log = TelemetryWriter(session.telemetry_file)
    log.write(instants, physics, graphics)
    log.close()
    session.manifest.state = "complete"
    session.manifest.steering = Steering("ratio", 1, "measured", 1.0, 0.0, 0.5, 1.0)
    session.manifest.alignment = Alignment.even("written by a test", 0, 0.5, 1000)
    session.save()
    return session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return write_session(tmp_path / "sessions")


def convert(session: Session, *flags: str) -> tuple[int, str]:
    return acpilot("convert", str(session.folder), *flags, folder=session.folder.parent)


def rows_of(session: Session) -> list[dict[str, str]]:
    with session.labels_file.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(session: Session) -> dict[str, bytes]:
    return {
        str(path.relative_to(session.folder)): path.read_bytes() for path in session.folder.rglob("*") if path.is_file()
    }


def test_each_image_is_the_frame_that_its_row_says(session: Session) -> None:
    code, output = convert(session)
    assert code == 0, output
    rows = rows_of(session)
    assert list(rows[0])[:6] == ["image_name", "steering", "throttle", "brake", "speed", "gear"]
    assert [row["image_name"] for row in rows] == [f"frame_{i:06d}.jpg" for i in range(FRAMES)]
    with av.open(str(session.video_file)) as container:
        instants = [
            float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None
        ]
    for row, instant in zip(rows, instants, strict=True):
        assert float(row["speed"]) == pytest.approx(instant, abs=2e-3)
        assert row["gear"] == "3"
        with Image.open(session.images_folder / row["image_name"]) as picture:
            assert picture.size == (322, 182)
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=1.5)


def test_colours_are_those_of_the_screen(tmp_path: Path) -> None:
    session = write_session(tmp_path, colours=True)
    assert convert(session)[0] == 0
    for row in rows_of(session):
        with Image.open(session.images_folder / row["image_name"]) as picture:
            seen = np.asarray(picture)[91, 161].astype(int)
        assert np.abs(seen - COLOURS[int(row["frame"]) % len(COLOURS)]).max() <= 4


def test_images_that_were_deleted_are_made_again(session: Session) -> None:
    assert convert(session)[0] == 0
    before = files_of(session)
    shutil.rmtree(session.images_folder)
    assert convert(session)[0] == 0
    assert files_of(session) == before


def test_a_second_run_does_nothing(session: Session) -> None:
    assert convert(session)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in session.folder.rglob("*")}
    code, output = convert(session)
    assert code == 0
    assert "nothing to do" in output
    assert {path: path.stat().st_mtime_ns for path in session.folder.rglob("*")} == before


def test_an_interrupted_run_is_taken_up_and_ends_the_same(session: Session, tmp_path: Path) -> None:
    undisturbed = Session(shutil.copytree(session.folder, tmp_path / "undisturbed"))
    assert convert(undisturbed)[0] == 0
    with running("convert", str(session.folder), folder=tmp_path) as process:
        wait_for(lambda: len(list(session.images_folder.glob("*.jpg"))) > 5, "the first images", step=0.0005)
        process.kill()
        process.wait()
    interrupted = not session.labels_file.exists()
    code, output = convert(session)
    assert code == 0
    assert interrupted, "it was quicker than the kill: the test has shown nothing"
    assert f"({FRAMES} new)" not in output, "what was there is kept"
    assert files_of(session) == files_of(undisturbed)


def test_other_settings_make_the_dataset_anew(session: Session) -> None:
    assert convert(session)[0] == 0
    before = (session.images_folder / "frame_000010.jpg").stat().st_size
    code, output = convert(session, "--quality", "20")
    assert code == 0
    assert f"({FRAMES} new)" in output
    assert (session.images_folder / "frame_000010.jpg").stat().st_size < before


def test_files_of_the_users_own_are_left_alone_and_inputs_csv_follows(session: Session) -> None:
    assert convert(session)[0] == 0
    mine = session.images_folder / "mine.txt"
    mine.write_text("notes")
    before = session.inputs_file.read_text()
    assert convert(session, "--steering-unit", "degrees", "--steering-lock", "0.5")[0] == 0
    assert mine.read_text() == "notes"
    assert len(session.inputs_file.read_text().splitlines()) == len(before.splitlines()) == FRAMES + 1
    session.inputs_file.write_text("old")
    assert convert(session, "--quality", "50")[0] == 0
    assert session.inputs_file.read_text() == before
    session.inputs_file.unlink()
    assert convert(session, "--quality", "50")[0] == 0
    assert session.inputs_file.read_text() == before


def test_a_contact_sheet_shows_the_labels(session: Session) -> None:
    code, output = convert(session)
    assert code == 0
    assert str(session.contact_sheet_file.name) in output
    with Image.open(session.contact_sheet_file) as sheet:
        assert sheet.width == 1280


def one_line(code: int, output: str) -> str:
    """The last line of a command that failed as it should."""
    assert code == 1, output
    assert "Traceback" not in output
    line = output.strip().splitlines()[-1]
    assert line.startswith("acpilot: ")
    return line


def test_a_session_without_video(session: Session) -> None:
    session.video_file.unlink()
    assert "session_recording.mkv is missing" in one_line(*convert(session))


def test_one_bad_session_does_not_keep_the_others_from_being_converted(session: Session, tmp_path: Path) -> None:
    line = one_line(*acpilot("convert", str(tmp_path / "nowhere"), str(session.folder), folder=tmp_path))
    assert "nowhere is not a folder" in line
    assert len(rows_of(session)) == FRAMES


def test_letters_that_the_output_cannot_take_are_replaced(tmp_path: Path) -> None:
    """As they are on Windows when a command writes into a pipe or a file."""
    line = one_line(*acpilot("convert", "赛车", folder=tmp_path, environment={"PYTHONIOENCODING": "cp1252"}))
    assert "??" in line


def test_a_session_without_telemetry(session: Session) -> None:
    session.telemetry_file.unlink()
    assert "telemetry.arrow is missing" in one_line(*convert(session))


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_a_video_that_is_none(session: Session, content: bytes) -> None:
    session.video_file.write_bytes(content)
    assert "session_recording.mkv is damaged or empty" in one_line(*convert(session))


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_truncated_video_is_told_and_gives_what_there_is(session: Session, share: float) -> None:
    session.manifest.counts.frames = FRAMES
    session.save()
    size = session.video_file.stat().st_size
    os.truncate(session.video_file, int(share * size))
    line = one_line(*convert(session))
    rows = rows_of(session)
    assert 0 < len(rows) <= FRAMES
    assert f"lacks {FRAMES - len(rows)} frames" in line
    for row in rows:
        with Image.open(session.images_folder / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=1.5)
    assert len(list(session.images_folder.glob("*.jpg"))) == len(rows)


def test_a_damaged_stretch_of_video_costs_only_itself(session: Session) -> None:
    session.manifest.counts.frames = FRAMES
    session.save()
    raw = bytearray(session.video_file.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 200] = bytes(200)
    session.video_file.write_bytes(raw)
    assert "Traceback" not in convert(session)[1]
    numbers = [int(row["frame"]) for row in rows_of(session)]
    assert numbers[0] == 0
    assert len(numbers) >= FRAMES // 3


def test_a_manifest_that_is_no_text(session: Session) -> None:
    session.manifest_file.write_bytes(b"\xff\xfe\x80")
    assert "session.json cannot be read" in one_line(*convert(session))


def test_a_manifest_of_a_newer_version(session: Session) -> None:
    raw = json.loads(session.manifest_file.read_text()) | {"format": 3}
    session.manifest_file.write_text(json.dumps(raw))
    assert "has format 3, this acpilot reads up to 2" in one_line(*convert(session))


def test_a_telemetry_that_does_not_reach_the_video(session: Session) -> None:
    session.manifest.alignment = Alignment.even("written by a test", 10**12, 0.5, 1000)
    session.save()
    assert "no frame of" in one_line(*convert(session))


def test_a_steering_in_degrees_is_not_guessed(session: Session) -> None:
    session.manifest.steering = Steering("degrees", 1, "measured", None, 400.0, 0.001, 1.0)
    session.save()
    assert "--steering-lock" in one_line(*convert(session))
    assert convert(session, "--steering-unit", "degrees", "--steering-lock", "450")[0] == 0


def test_a_video_with_b_frames_and_a_late_start_is_read_by_its_times(session: Session) -> None:
    times = [500 + 100 * i for i in range(FRAMES)]
    with av.open(str(session.video_file), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4", "bf": "3", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = 322, 182, "yuv420p"
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((182, 322, 3), gray_of(i), np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, output = convert(session)
    assert code == 0, output
    rows = rows_of(session)
    assert len(rows) == FRAMES
    for row, time in zip(rows, times, strict=True):
        assert float(row["speed"]) == pytest.approx(time / 1000, abs=2e-3)
        with Image.open(session.images_folder / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=1.5)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
@pytest.mark.parametrize("flags", [(), ("--size", "161", "91"), ("--format", "png")], ids=["jpg", "resized", "png"])
def test_colours_are_right_whatever_the_tags_of_the_video(
    session: Session, matrix: str, flags: tuple[str, ...], *, full: bool
) -> None:
    with av.open(str(session.video_file), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 322, 182, "yuv420p"
        stream.codec_context.colorspace = 1 if matrix == "ITU709" else 6
        stream.codec_context.color_range = 2 if full else 1
        for i in range(FRAMES):
            picture = np.full((182, 322, 3), COLOURS[i % len(COLOURS)], np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=matrix, dst_color_range="JPEG" if full else "MPEG"
            )
            frame.pts, frame.time_base = 100 * i, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, output = convert(session, *flags)
    assert code == 0, output
    for row in rows_of(session):
        with Image.open(session.images_folder / row["image_name"]) as image:
            seen = np.asarray(image)[45, 80].astype(int)
        assert np.abs(seen - COLOURS[int(row["frame"]) % len(COLOURS)]).max() <= 4, row


def test_pictures_are_cropped_resized_and_of_the_asked_format(session: Session) -> None:
    code, output = convert(session, "--crop", "10", "20", "200", "100", "--size", "100", "50", "--format", "webp")
    assert code == 0, output
    rows = rows_of(session)
    assert len(rows) == FRAMES
    for row in rows:
        with Image.open(session.images_folder / row["image_name"]) as picture:
            assert (picture.size, picture.format) == ((100, 50), "WEBP")
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=2)


def test_a_crop_outside_the_picture(session: Session) -> None:
    assert "reaches outside the picture of 322 × 182" in one_line(*convert(session, "--crop", "300", "0", "50", "50"))


def test_a_lower_rate_takes_the_frames_nearest_to_its_instants(session: Session) -> None:
    assert convert(session, "--fps", "2.5")[0] == 0
    rows = rows_of(session)
    assert len(rows) == round(FRAMES * 0.1 * 2.5)
    assert np.diff([float(row["timestamp"]) for row in rows]) == pytest.approx(0.4, abs=0.11)
    assert "more than the video's" in one_line(*convert(session, "--fps", "30"))


def test_a_video_of_many_stretches_gives_each_frame_its_number(session: Session) -> None:
    """Open and closed groups of pictures, B-frames, frames left out, and uneven times."""
    times = np.cumsum(np.resize([40, 100, 260, 100, 0], FRAMES) + 1) + 700
    with av.open(str(session.video_file), "w", format="matroska") as container:
        options = {"crf": "4", "bf": "3", "g": "7", "x264-params": "open-gop=1:scenecut=0"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.width, stream.height, stream.pix_fmt = 322, 182, "yuv420p"
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((182, 322, 3), gray_of(i), np.uint8), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, output = convert(session)
    assert code == 0, output
    rows = rows_of(session)
    assert [int(row["frame"]) for row in rows] == [*range(int((times < 8000).sum()))]
    for row, time in zip(rows, times, strict=False):
        assert float(row["speed"]) == pytest.approx(time / 1000, abs=2e-3)
        with Image.open(session.images_folder / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=1.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_frames_around_samples_that_are_no_numbers_get_no_label(bad: float, tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    instants = np.arange(-1_000_000_000, 8_000_000_000, 3_000_000)
    physics, graphics = np.zeros(len(instants), PHYSICS), np.zeros(len(instants), GRAPHICS)
    physics["packet_id"] = np.arange(len(instants))
    physics["speed_kmh"] = instants / 1e9
    graphics["status"] = Status.LIVE
    physics["speed_kmh"][(instants > 2e9) & (instants < 2.5e9)] = bad
    physics["acceleration_g"][(instants > 3e9) & (instants < 3.5e9), 0] = bad
    physics["steer_angle"][-1] = bad
    session.telemetry_file.unlink()
    log = TelemetryWriter(session.telemetry_file)
    log.write(instants, physics, graphics)
    log.close()
    code, output = convert(session)
    assert code == 0, output
    rows = rows_of(session)
    seconds = np.array([float(row["timestamp"]) for row in rows])
    assert "frames without telemetry around them left out" in output
    assert not ((seconds > 2) & (seconds < 2.5) | (seconds > 3) & (seconds < 3.5)).any()
    assert len(rows) == pytest.approx(FRAMES - 10, abs=2)
    for row in rows:
        assert float(row["speed"]) == pytest.approx(float(row["timestamp"]), abs=2e-3)
        assert np.isfinite([float(value) for name, value in row.items() if name != "image_name"]).all()
