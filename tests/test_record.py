"""Recording the practice game: a real window, real pages, real files."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from acpilot.clock_strip import decode
from acpilot.desktop.window import find_window
from acpilot.desktop.window_x11 import X11Window
from acpilot.errors import AcpilotError
from acpilot.session.folder import Session
from acpilot.session.labels import session_labels
from acpilot.telemetry.log import read_telemetry
from acpilot.video.alignment import frame_times
from conftest import Game, acpilot, running, wait_for

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]


def press(screen: xdisplay.Display, keysym: int) -> None:
    code = screen.keysym_to_keycode(keysym)
    xtest.fake_input(screen, X.KeyPress, code)
    screen.sync()
    # Held for a few pictures, as a finger would: the game looks at its keys once a picture.
    xtest.fake_input(screen, X.KeyRelease, code, time=120)
    screen.sync()


def window_of(screen: xdisplay.Display, game: Game) -> Any:
    found = find_window(game.title)
    assert isinstance(found, X11Window)
    identifier = found.identifier
    found.close()
    return screen.create_resource_object("window", identifier)


def flags(game: Game, *more: str) -> tuple[str, ...]:
    return ("record", "--pages", game.pages, "--title", game.title, *more)


def only_session(folder: Path) -> Session:
    (found,) = (folder / "ac_telemetry_data").iterdir()
    return Session.open(found)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def frames_recorded(folder: Path) -> bool:
    """Whether some whole second of video is on the disk."""
    with suppress(OSError, ValueError, AcpilotError):  # while the session's folder and its video are made
        return len(frame_times(only_session(folder).video_file)) >= 10
    return False


def clock_differences(session: Session) -> np.ndarray:
    """Instant of the session minus the instant burnt into the picture, ms, for each frame."""
    assert session.manifest.alignment is not None
    instants = session.manifest.alignment.instants(frame_times(session.video_file))
    with av.open(str(session.video_file)) as container:
        burnt = [
            decode(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)) for frame in container.decode(video=0)
        ]
    assert None not in burnt, "a frame whose clock cannot be read"
    assert len(burnt) == len(instants)
    return (instants - np.array(burnt, np.int64)) / 1e6


def test_a_session_holds_what_its_manifest_says(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--track", "twisty")
    code, output = acpilot(*flags(game, "--duration", "8", "--fps", "20"), folder=tmp_path)
    assert code == 0, output
    session = only_session(tmp_path)
    manifest = session.manifest
    assert f"acpilot convert {session.folder.relative_to(tmp_path)}" in output
    assert manifest.state == "complete"
    assert manifest.ended_by == "the duration of 8 s"
    assert (manifest.game["car"], manifest.game["track"]) == ("practice_coupe", "twisty")
    times = frame_times(session.video_file)
    assert len(times) == manifest.counts.frames
    assert len(times) + manifest.counts.dropped_frames == pytest.approx(8 * 20, abs=6)
    assert np.all(np.diff(times) > 0)
    rows = rows_of(session.inputs_file)
    assert list(rows[0]) == ["Timestamp", "Frame", "Steering", "Throttle", "Brake", "SpeedKmh"]
    assert [int(row["Frame"]) for row in rows] == list(range(manifest.counts.frames))
    samples = read_telemetry(session.telemetry_file)
    assert len(samples["instant"]) >= manifest.counts.samples > 1000
    steps = np.ptp(samples["packet_id"]) + 1
    assert manifest.counts.samples + manifest.counts.lost_packets == pytest.approx(steps, abs=1)
    rows = [row for row in rows if row["SpeedKmh"]]
    assert len(rows) == manifest.counts.labelled_frames
    assert float(rows[-1]["SpeedKmh"]) == pytest.approx(samples["speed_kmh"].max(), rel=0.3)
    assert "password" not in session.manifest_file.read_text()


@pytest.mark.parametrize("fps", ["10", "30"])
def test_a_frames_instant_is_that_of_the_physics_it_shows(fps: str, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--burn-clock")
    code, output = acpilot(*flags(game, "--duration", "8", "--fps", fps), folder=tmp_path)
    assert code == 0, output
    differences = clock_differences(only_session(tmp_path))
    # benchmarks/alignment.py measures how good it is; here, on a machine under load, what must never be.
    assert np.median(np.abs(differences)) <= 34
    assert np.abs(differences).max() <= 150


def test_escape_in_any_window_stops(start_game: Start, screen: xdisplay.Display, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        press(screen, XK.XK_Escape)
        output = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, output
    assert only_session(tmp_path).manifest.ended_by == "Escape"


def test_ctrl_c_stops_and_keeps_everything(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        recorder.send_signal(signal.SIGINT)
        output = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, output
    manifest = only_session(tmp_path).manifest
    assert (manifest.state, manifest.ended_by) == ("complete", "Ctrl-C")


def test_kill_9_costs_a_second_at_most(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        session = only_session(tmp_path)
        wait_for(lambda: len(frame_times(session.video_file)) >= 40, "four seconds of video")
        recorder.kill()
        recorder.wait()
    before = frame_times(session.video_file)
    code, output = acpilot("convert", str(session.folder), folder=tmp_path)
    assert code == 0, output
    assert "cut short" in output
    rows = rows_of(session.labels_file)
    samples = read_telemetry(session.telemetry_file)
    session = Session.open(session.folder)
    labels, _ = session_labels(session, "auto", None)
    alignment = session.manifest.alignment
    assert alignment is not None
    assert 0 < alignment.error_bound_ms <= labels.bound_ms + 0.001, "what the last save before knew"
    assert len(rows) >= len(before) - 10
    assert (labels.instant[-1] - labels.instant[labels.known][-1]) / 1e9 <= 1.0
    assert (samples["instant"][-1] - labels.instant[0]) / 1e9 >= 3.0
    assert all((session.images_folder / row["image_name"]).exists() for row in rows)


def test_the_games_end_is_told_and_the_session_kept(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        game.process.kill()
        output = recorder.communicate(timeout=30)[0]
    assert recorder.returncode == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("acpilot: the game's window")
    assert "closed" in last
    session = only_session(tmp_path)
    assert str(session.folder.relative_to(tmp_path)) in last
    assert session.manifest.state == "partial"
    assert acpilot("convert", str(session.folder), folder=tmp_path)[0] == 0


def test_a_minimised_window_ends_the_recording(start_game: Start, screen: xdisplay.Display, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        window_of(screen, game).unmap()
        screen.sync()
        output = recorder.communicate(timeout=30)[0]
    assert recorder.returncode == 1
    assert "was minimised" in output.strip().splitlines()[-1]
    assert acpilot("convert", str(only_session(tmp_path).folder), folder=tmp_path)[0] == 0


def test_a_moved_window_is_followed(start_game: Start, screen: xdisplay.Display, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--burn-clock", "--size", "480", "270")
    with running(*flags(game, "--duration", "6"), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        window_of(screen, game).configure(x=17, y=31)
        screen.sync()
        output = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, output
    assert np.abs(clock_differences(only_session(tmp_path))).max() <= 150


def test_a_pause_is_recorded_and_not_labelled(start_game: Start, screen: xdisplay.Display, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    window = window_of(screen, game)
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        session = only_session(tmp_path)
        press(screen, XK.XK_p)
        paused_at = len(frame_times(session.video_file))
        wait_for(lambda: len(frame_times(session.video_file)) >= paused_at + 20, "two seconds of pause")
        press(screen, XK.XK_p)
        back_at = len(frame_times(session.video_file))
        wait_for(lambda: len(frame_times(session.video_file)) >= back_at + 10, "a second of driving")
        recorder.send_signal(signal.SIGINT)
        output = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, output
    counts = only_session(tmp_path).manifest.counts
    assert counts.paused_frames >= 15
    assert counts.labelled_frames + counts.paused_frames + counts.unlabelled_frames == counts.frames
    assert counts.unlabelled_frames <= 3
    rows = rows_of(session.inputs_file)
    assert len(rows) == counts.frames, "one row per recorded frame, those of the pause without inputs"
    frames = [int(row["Frame"]) for row in rows if row["Steering"]]
    assert len(frames) == counts.labelled_frames
    assert max(np.diff(frames)) > 15, "the frames of the pause are left out, the others keep their numbers"
    code, output = acpilot("convert", "--keep-paused", str(session.folder), folder=tmp_path)
    assert code == 0, output
    assert len(list(session.images_folder.glob("*.jpg"))) == counts.frames - counts.unlabelled_frames


def test_without_a_game_one_line_says_so(pages: str, tmp_path: Path) -> None:
    code, output = acpilot("record", "--pages", pages, "--wait", "0.5", folder=tmp_path)
    assert code == 1
    assert output.strip().splitlines()[-1].startswith("acpilot: no game: Assetto Corsa's memory pages are not there")
    assert not (tmp_path / "ac_telemetry_data").exists()


def test_a_game_without_the_window_is_told_from_no_game(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    code, output = acpilot("record", "--pages", game.pages, "--title", "acpilot_test", "--wait", "1", folder=tmp_path)
    assert code == 1
    line = output.strip().splitlines()[-1]
    assert "no window is titled 'acpilot_test'" in line
    assert game.title in line, "windows that look alike are named"


def test_a_recorder_that_cannot_grab_says_so_at_once(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--headless")
    region = ("--region", "0", "0", "320", "200")
    # python-xlib leaves its socket to the collector when a display does not answer, which warns.
    environment = {"DISPLAY": ":987", "PYTHONWARNINGS": ""}
    code, output = acpilot(*flags(game, "--duration", "30", *region), folder=tmp_path, environment=environment)
    assert code == 1
    assert "Traceback" not in output
    assert "the screen cannot be grabbed" in output.strip().splitlines()[-1]


def test_a_region_of_the_screen_is_recorded(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--size", "640", "360")
    region = ("--region", "300", "200", "322", "201")
    code, output = acpilot(*flags(game, "--duration", "3", *region), folder=tmp_path)
    assert code == 0, output
    session = only_session(tmp_path)
    alignment = session.manifest.alignment
    assert alignment is not None
    assert alignment.method == "a band of the picture, watched for changes"
    assert session.manifest.counts.labelled_frames >= 0.9 * session.manifest.counts.frames
    with av.open(str(session.video_file)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (322, 200)


def test_pages_left_behind_are_told_from_a_game(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--headless")
    subprocess.run(["pkill", "-9", "-P", str(game.process.pid)], check=True)  # the physics dies, its files stay
    try:
        code, output = acpilot(*flags(game, "--wait", "1"), folder=tmp_path)
    finally:
        for left in Path("/dev/shm").glob(f"{game.pages}_*"):
            left.unlink()
    assert code == 1
    assert "stand still" in output.strip().splitlines()[-1]


def test_a_full_disk_ends_the_recording_with_a_line(start_game: Start, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no geteuid")
    game = start_game("--driver", "expert")
    small, keep = tmp_path / "small", tmp_path / "kept"
    record = flags(game, "--fps", "30", "--quality", "4", "--output", str(small))
    command = " ".join((sys.executable, "-m", "acpilot", *record))
    # A file system of 2 MB of its own, in a namespace of its own, copied out before it goes.
    mount = f"mkdir {small} && mount -t tmpfs -o size=2m none {small}"
    script = f"{mount} && {command}; code=$?; cp -r {small} {keep}; exit $code"
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    result = subprocess.run(
        ["unshare", "--mount", *as_root, "sh", "-c", script],
        capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("acpilot: the disk is full")
    (folder,) = keep.iterdir()
    code, output = acpilot("convert", str(folder), folder=tmp_path)
    assert code == 0, output
    assert len(rows_of(folder / "processed_data.csv")) > 20


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--encoder", "nonsense"), "choose another with --encoder"),
        (("--output", "/proc/nowhere"), "choose another folder with --output"),
        (("--fps", "3"), "Must be >= 5"),
    ],
)
def test_wrong_settings_get_one_line(more: tuple[str, ...], message: str, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    code, output = acpilot(*flags(game, "--duration", "1", *more), folder=tmp_path)
    assert code == 1
    assert message in output
    assert "Traceback" not in output
    assert not list(tmp_path.glob("ac_telemetry_data/*")), "nothing recorded, nothing left behind"


def test_settings_come_from_flags_before_environment_before_file(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    (tmp_path / "acpilot.toml").write_text('[record]\nfps = 5\nquality = 30\npreset = "ultrafast"\n')
    os.environ["ACPILOT_RECORD_QUALITY"] = "25"
    try:
        code, output = acpilot(*flags(game, "--duration", "1.5", "--fps", "12"), folder=tmp_path)
    finally:
        del os.environ["ACPILOT_RECORD_QUALITY"]
    assert code == 0, output
    stored = json.loads(only_session(tmp_path).manifest_file.read_text())["settings"]
    assert (stored["fps"], stored["quality"], stored["preset"]) == (12, 25, "ultrafast")
    shutil.rmtree(tmp_path / "ac_telemetry_data")
