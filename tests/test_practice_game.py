"""The practice game as its players and the other tools meet it: through its pages, its window and its gamepad."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from acpilot.desktop.window import find_window
from acpilot.desktop.window_x11 import X11Window
from acpilot.driving.virtual_gamepad import VirtualGamepad
from acpilot.telemetry.log import TelemetryWriter, read_telemetry
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, Status, decode_text
from acpilot.telemetry.sample import Samples
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PagePublisher, PageReader
from acpilot.telemetry.steering import find_steering
from conftest import Game, acpilot, wait_for

pytestmark = pytest.mark.real_time

Start = Callable[..., Game]


def sample(game: Game, folder: Path, until: Callable[[np.void], bool], seconds: float = 60.0) -> Samples:
    """Telemetry of a game from now until a condition on its physics page holds."""
    reader = PageReader.open(game.pages)
    assert reader is not None
    with reader:
        sampler = Sampler(reader, TelemetryWriter(folder / "log.arrow"))
        sampler.start()

        def reached() -> bool:
            page = reader.physics()
            return page is not None and until(np.frombuffer(page, PHYSICS)[0])

        wait_for(reached, "the game", seconds)
        sampler.stop()
    return read_telemetry(folder / "log.arrow")


def test_the_pages_tell_one_story(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--headless", "--fps", "10", "--track", "twisty")
    samples = sample(game, tmp_path, lambda physics: physics["packet_id"] > 333 * 25)
    seconds = samples["instant"] / 1e9
    # Speed, velocity, position and position along the track are of one motion.
    velocity, position = samples["velocity"].astype(float), samples["position"].astype(float)
    assert np.hypot(velocity[:, 0], velocity[:, 2]) * 3.6 == pytest.approx(samples["speed_kmh"], abs=2.0)
    path = np.sum(np.hypot(*np.diff(position[:, [0, 2]], axis=0).T))
    travelled = np.sum(samples["speed_kmh"][1:] / 3.6 * np.diff(seconds))
    assert path == pytest.approx(travelled, rel=0.03)
    assert np.ptp(np.unwrap(2 * np.pi * samples["normalized_position"])) > 0
    # 333 steps a second, in order.
    assert np.all(np.diff(samples["packet_id"]) > 0)
    rate = np.ptp(samples["packet_id"]) / np.ptp(seconds)
    assert rate == pytest.approx(333.3, rel=0.02)
    # The steering is a ratio with its positive side to the right: the product's own judge finds it from the path.
    steering = find_steering(samples)
    assert (steering.unit, steering.sign, steering.certainty) == ("ratio", 1, "measured")
    # Car vectors: the lateral acceleration points into the bend, braking and throttle show.
    turning = np.abs(samples["steer_angle"]) > 0.05
    same_side = np.sign(samples["steer_angle"][turning]) == np.sign(samples["acceleration_g"][turning, 0])
    assert same_side.mean() > 0.85
    braking = samples["brake"] > 0.3
    assert samples["acceleration_g"][braking, 2].mean() < -0.2
    assert set(np.unique(samples["gear"])) <= set(range(-1, 7))
    assert samples["rpm"].max() < 8500
    assert not samples["tyres_out"].any()


def test_the_static_page_names_car_and_track(start_game: Start) -> None:
    game = start_game("--driver", "expert", "--headless", "--track", "random:7")
    reader = PageReader.open(game.pages)
    assert reader is not None
    with reader:
        static = reader.static()
    assert decode_text(static["track"]) == "random_7"
    assert decode_text(static["car"]) == "practice_coupe"
    assert 1000 <= static["track_length_m"] <= 5000
    assert static["aid_stability"] == 1
    assert STATIC.itemsize == 684


def test_another_program_drives_it(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "virtual", "--headless", "--fps", "10")
    with VirtualGamepad(game.pages) as gamepad:
        gamepad.set(0.0, 1.0, 0.0)
        samples = sample(game, tmp_path, lambda physics: physics["speed_kmh"] > 40)
        assert samples["throttle"][-1] == pytest.approx(1.0)
        gamepad.set(0.4, 0.0, 0.0)
        samples = sample(game, tmp_path, lambda physics: physics["steer_angle"] > 0.35)
        gamepad.set(0.0, 0.0, 1.0)
        samples = sample(game, tmp_path, lambda physics: physics["speed_kmh"] < 1)
        assert samples["brake"][-1] == pytest.approx(1.0)
        gamepad.set(9.0, 1.0, -3.0)
        sample(game, tmp_path, lambda physics: physics["steer_angle"] > 0.99 and physics["brake"] == 0)
    sample(game, tmp_path, lambda physics: abs(physics["steer_angle"]) < 0.01 and physics["gas"] == 0)


def test_the_keyboard_drives_it(display: str, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--track", "fast")
    screen = xdisplay.Display(display)
    found = find_window(game.title)
    assert isinstance(found, X11Window)
    screen.create_resource_object("window", found.identifier).set_input_focus(X.RevertToParent, X.CurrentTime)
    found.close()

    def key(event: int, keysym: int) -> None:
        xtest.fake_input(screen, event, screen.keysym_to_keycode(keysym))
        screen.sync()

    key(X.KeyPress, XK.XK_Up)
    sample(game, tmp_path, lambda physics: physics["gas"] == 1.0 and physics["speed_kmh"] > 15)
    key(X.KeyPress, XK.XK_Left)
    sample(game, tmp_path, lambda physics: physics["steer_angle"] < -0.2)
    key(X.KeyRelease, XK.XK_Left)
    key(X.KeyRelease, XK.XK_Up)
    key(X.KeyPress, XK.XK_Down)
    sample(game, tmp_path, lambda physics: physics["gas"] == 0 and physics["brake"] == 1.0)
    key(X.KeyRelease, XK.XK_Down)
    screen.close()


def test_it_says_what_it_achieved(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--headless", "--fps", "20")
    sample(game, tmp_path, lambda physics: physics["packet_id"] > 1000)
    said = game.end()
    assert "of 20 Hz" in said
    assert "of 333.3 Hz" in said
    assert game.process.returncode == 0
    assert PageReader.open(game.pages) is None


def test_two_games_cannot_share_their_pages(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert", "--headless")
    code, output = acpilot("practice", "--headless", "--driver", "expert", "--pages", game.pages, folder=tmp_path)
    assert code == 1
    assert "another game is already publishing" in output.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--track", "nowhere"), "choose with --track"),
        (("--track", "random:x"), "choose with --track"),
        (("--fast", "--driver", "expert"), "give --duration or --laps"),
        (("--fast", "--duration", "1"), "give --driver"),
    ],
)
def test_wrong_settings_get_one_line(flags: tuple[str, ...], message: str, pages: str, tmp_path: Path) -> None:
    code, output = acpilot("practice", "--pages", pages, "--headless", *flags, folder=tmp_path)
    assert code == 1
    assert message in output.strip().splitlines()[-1]
    assert "Traceback" not in output


@pytest.mark.parametrize("flags", [("--size", "0", "0"), ("--size", "99999", "64"), ("--pages", "a/b")])
def test_values_that_make_no_sense_are_refused(flags: tuple[str, ...], tmp_path: Path) -> None:
    code, output = acpilot("practice", "--headless", "--driver", "expert", *flags, folder=tmp_path)
    assert code == 1
    assert "Invalid value" in output
    assert "Traceback" not in output


def test_a_window_without_a_display_is_one_line(pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    code, output = acpilot("practice", "--pages", pages, folder=tmp_path)
    assert code == 1
    assert "--headless draws off-screen" in output.strip().splitlines()[-1]


def test_a_driver_that_dies_lets_go_of_the_controls(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "virtual", "--headless", "--fps", "10")
    code = (
        "import sys, time; from acpilot.driving.virtual_gamepad import VirtualGamepad\n"
        f"gamepad = VirtualGamepad({game.pages!r}); gamepad.set(0.3, 1.0, 0.0); time.sleep(60)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        sample(game, tmp_path, lambda physics: physics["gas"] == 1.0)
    finally:
        driver.kill()
        driver.communicate()
    sample(game, tmp_path, lambda physics: physics["gas"] == 0 and abs(physics["steer_angle"]) < 0.01)
    (Path("/dev/shm") / f"{game.pages}_gamepad").unlink()


def test_a_paused_game_keeps_its_pages_and_a_killed_one_does_not(start_game: Start, pages: str, tmp_path: Path) -> None:
    graphics, static = np.zeros((), GRAPHICS), np.zeros((), STATIC)
    graphics["status"] = Status.PAUSE
    flags = ("practice", "--fast", "--driver", "expert", "--duration", "1", "--pages", pages)
    with PagePublisher(pages) as paused:
        paused.publish_graphics(graphics.tobytes())
        paused.publish_static(static.tobytes())
        code, output = acpilot(*flags, folder=tmp_path)
        assert code == 1
        assert "it may be paused" in output
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            assert reader.status() == Status.PAUSE
    game = start_game("--driver", "expert", "--headless")
    subprocess.run(["pkill", "-9", "-P", str(game.process.pid)], check=True)
    assert "ended unexpectedly" in game.process.communicate(timeout=30)[0]
    assert acpilot(*flags, folder=tmp_path)[0] == 0, "the pages that a killed game left are taken over"


def test_laps_end_it_without_real_time(pages: str, tmp_path: Path) -> None:
    code, output = acpilot(
        "practice", "--fast", "--driver", "expert", "--track", "oval", "--laps", "1", "--fps", "10",
        "--renderer", "software", "--pages", pages, folder=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    assert "1 laps, 0 resets" in output
    assert "times real time" in output


def test_without_a_display_it_draws_off_screen(pages: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "acpilot", "practice", "--fast", "--driver", "expert", "--duration", "2"]
    for renderer in ("opengl", "software"):
        result = subprocess.run(
            [*command, "--renderer", renderer, "--pages", pages],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert f"drawn by {renderer}" in result.stdout


def test_list_of_tracks(tmp_path: Path) -> None:
    code, output = acpilot("practice", "--list-tracks", folder=tmp_path)
    assert code == 0
    assert len(output.strip().splitlines()) >= 7
