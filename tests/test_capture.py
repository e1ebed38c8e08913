"""Pictures with their instants, on desktops as they differ: with and without word of redraws, covered, on Wayland."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from Xlib import X
from Xlib import display as xdisplay

from acpilot.clock import now
from acpilot.demo import virtual_display
from acpilot.errors import AcpilotError
from acpilot.recording.proving import Truth, shown_by_the_clock
from acpilot.session.labels import session_labels
from acpilot.video.alignment import frame_times
from acpilot.video.recorder import start_recorder
from acpilot.video.settings import VideoSettings
from capture import REGION, clock, measure
from conftest import Game, acpilot, running, wait_for
from test_drive import colour_window
from test_record import clock_differences, flags, frames_recorded, only_session, window_of

pytestmark = pytest.mark.real_time

Start = Callable[..., Game]


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize(("hz", "fps"), [(60.0, 10.0), (144.0, 20.0), (240.0, 30.0)])
def test_where_nothing_tells_of_redraws_a_label_is_right_and_few_are_missing(hz: float, fps: float) -> None:
    # At rest for two seconds, and nothing drawn for 60 ms in the fifth: neither costs more than its own frames.
    truth = measure(VideoSettings(recorder="screen", region=REGION, fps=fps), hz, 6.0)
    assert len(truth.instants) >= 0.9 * 6 * fps
    assert truth.labelled.mean() >= 0.97
    assert truth.known.mean() >= 0.9, "hardly a clock could be read"
    assert truth.bounds_hold()


@pytest.mark.usefixtures("display")
def test_a_proof_finds_a_delay(tmp_path: Path) -> None:
    prove = ("doctor", "--prove", "--recorder", "screen", "--capture", "x11")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    code, output = acpilot(*prove, folder=tmp_path, environment=state)
    assert code == 0, output
    assert "right the built-in recorder with x11" in output
    assert (tmp_path / "acpilot_proof.png").stat().st_size > 5000
    code, output = acpilot(*prove, "--injected-delay-ms", "80", folder=tmp_path, environment=state)
    assert code == 1, output
    found = re.search(r"wrong the built-in recorder with x11: .* as a whole off by ([+-][\d.]+) ms", output)
    assert found is not None, output
    assert float(found[1]) == pytest.approx(80, abs=5)


@pytest.mark.usefixtures("display")
def test_a_window_is_recorded_whole_whatever_lies_in_front_of_it_or_beyond_the_screen(
    start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert", "--burn-clock", "--size", "640", "360")
    window = window_of(screen, game)
    with running(*flags(game), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "frames")
        window.configure(x=-200, y=-6)
        cover = colour_window(screen, "a letter", (0, 0, 300, 300))
        wait_for(lambda: len(_errors(tmp_path)) >= 40, "frames of a covered window")
        recorder.send_signal(signal.SIGINT)
        output = recorder.communicate(timeout=60)[0]
    cover.destroy()
    screen.sync()
    assert recorder.returncode == 0, output
    session = only_session(tmp_path)
    assert len(clock_differences(session)) >= 40, "the clock at the picture's top is read in every frame"
    assert session.manifest.counts.labelled_frames >= 0.9 * session.manifest.counts.frames


def test_a_screen_that_grows_is_seen_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    log, video = tmp_path / "clock.npy", tmp_path / "clock.mkv"
    with virtual_display():
        connection = xdisplay.Display()
        root = connection.screen().root
        resources = root.xrandr_get_screen_resources()
        connection.xrandr_set_crtc_config(resources.crtcs[0], resources.config_timestamp, 0, 0, 0, 1, [])
        root.xrandr_set_screen_size(400, 300, 100, 80)
        connection.sync()
        with clock(60.0, log):
            recorder = start_recorder(VideoSettings(recorder="screen", region=REGION), video, lambda _: None)
            wait_for(lambda: recorder.frames >= 10, "frames of a part")
            root.xrandr_set_screen_size(1280, 720, 340, 190)
            connection.sync()
            grown = now()
            wait_for(lambda: recorder.frames >= 40, "frames of the whole")
            recorder.stop()
        connection.close()
    assert recorder.failure is None
    alignment, times = recorder.alignment(), frame_times(video)
    assert alignment is not None
    instants, errors = alignment.instants(times), alignment.errors(times)
    truth = Truth.of(video, alignment, 50, *shown_by_the_clock(log))
    late = instants > grown + 1.2e9  # the monitors are asked for once a second
    assert np.isinf(errors[instants < grown]).all(), "a part of the picture was black"
    assert (truth.burnt[late] > 0).all(), "the clock's strip reaches to the right edge"
    assert truth.labelled[late].mean() >= 0.9
    assert late.sum() >= 15


def _errors(folder: Path) -> np.ndarray:
    with suppress(OSError, ValueError, AcpilotError):  # while the session's folder is made
        alignment = only_session(folder).manifest.alignment
        return np.empty(0) if alignment is None else alignment.errors_ms
    return np.empty(0)


@pytest.fixture
def wayland(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Wayland desktop without a screen, whose X programs run in XWayland."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    log = tmp_path / "weston.log"
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    with log.open("wb") as told:
        weston = subprocess.Popen(
            ["weston", "--backend=headless-backend.so", "--xwayland", "--width=1280", "--height=720", "--idle-time=0"],
            env=environment | {"XDG_RUNTIME_DIR": str(runtime)}, stdout=told, stderr=told,
        )  # fmt: skip
    try:
        wait_for(lambda: re.search(r"listening on display (:\d+)", log.read_text()), "XWayland")
        found = re.search(r"listening on display (:\d+)", log.read_text())
        assert found is not None
        monkeypatch.setenv("DISPLAY", found[1])
        yield
    finally:
        weston.terminate()
        weston.wait()


@pytest.mark.usefixtures("wayland")
def test_under_wayland_the_pictures_are_the_games(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--burn-clock", "--size", "640", "360")
    code, output = acpilot(*flags(game, "--duration", "4"), folder=tmp_path)
    assert code == 0, output
    session = only_session(tmp_path)
    assert np.abs(clock_differences(session)).max() < 200
    assert session.manifest.counts.labelled_frames >= 0.9 * session.manifest.counts.frames


@pytest.mark.usefixtures("wayland")
def test_a_picture_that_is_black_from_the_start_ends_the_recording_at_once(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")  # under Wayland the screen itself shows nothing
    begun = time.monotonic()
    code, output = acpilot(*flags(game, "--capture", "mss", "--duration", "60"), folder=tmp_path)
    assert time.monotonic() - begun < 20
    assert code == 1, output
    line = output.strip().splitlines()[-1]
    assert "the picture is black from the start: set the game to a window or to borderless" in line
    assert only_session(tmp_path).manifest.state == "partial"


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("flaw", ["black", "still"])
def test_a_picture_that_is_not_the_games_is_told_and_gets_no_label(
    flaw: str, start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert", "--track", "twisty")
    told = "the picture is black" if flaw == "black" else "the picture stands still while the car moves"
    stand_in = colour_window(screen, f"{game.title}_2", (0, 0, 320, 180), 0 if flaw == "black" else 0x808020)
    window = window_of(screen, game)
    region = ("--region", "0", "0", "320", "180")
    window.configure(x=0, y=0, stack_mode=X.Above)
    screen.sync()
    with running(*flags(game, *region), folder=tmp_path) as recorder:
        wait_for(lambda: len(_errors(tmp_path)) >= 30, "frames of the game")
        window.configure(x=700, y=0)
        screen.sync()
        wait_for(lambda: told in only_session(tmp_path).manifest_file.read_text(), "the flaw to be noticed", 8)
        wait_for(lambda: len(_errors(tmp_path)) >= 70, "frames of another picture")
        recorder.send_signal(signal.SIGINT)
        output = recorder.communicate(timeout=60)[0]
    stand_in.destroy()
    screen.sync()
    assert recorder.returncode == 0, output
    session = only_session(tmp_path)
    assert session.manifest.state == "partial"
    assert f"for a part of the recording {told}" in output
    first, last, _ = session.manifest.flaws[-1]
    labels, _ = session_labels(session, "auto", None)
    chosen = labels.chosen(keep_paused=False)
    assert 15 <= chosen.sum() <= 45, "those of the game"
    assert not chosen[(labels.instant > first) & (labels.instant < last)].any()
