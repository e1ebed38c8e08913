"""acpilot drive: policies at the wheel of the practice game's real window, and what makes them let go of it."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Xlib import XK, X
from Xlib import display as xdisplay

from acpilot.desktop.capture_mss import grab_area
from acpilot.desktop.window import Area, WindowNotFoundError, find_window
from acpilot.driving.virtual_gamepad import VirtualGamepadReader
from acpilot.policy.policy import REST, Command
from acpilot.session.folder import Session
from acpilot.telemetry.pages import GRAPHICS, PHYSICS
from acpilot.telemetry.shared_memory import PageReader
from conftest import Game, acpilot, running, wait_for
from small_policy import SPEED_KMH, train_small_policy
from test_convert import one_line
from test_record import press, window_of

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]
GAME = ("--driver", "virtual", "--track", "oval")
POLICIES = """
import time
from acpilot.policy.policy import Command

class Always:
    rate, needs_speed = 10.0, False

    def __init__(self, name, *command, after=0, then=None):
        self.name, self.command, self.left, self.then = name, Command(*command), after, then

    def band(self, width, height):
        return 0, height // 2, width, height // 4

    def drive(self, band, speed_kmh):
        self.left -= 1
        return self.then() if self.then and self.left < 0 else self.command

    def reset(self):
        pass

def cannot_see():
    raise ValueError("I cannot see")

def ahead(): return Always("ahead", 0.0, 0.6, 0.0)
def both(): return Always("both", -1.0, 1.0, 0.5)
def unsure(): return Always("unsure", 0.0, 0.6, 0.0, after=20, then=lambda: (float("nan"), 0, 0))
def blind(): return Always("blind", 0.0, 0.6, 0.0, after=20, then=cannot_see)
def asleep(): return Always("asleep", 0.0, 0.6, 0.0, after=20, then=lambda: time.sleep(600))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies.py").write_text(POLICIES, encoding="utf-8")
    return tmp_path


class Car:
    """What the practice game says of its car, and of the gamepad that moves it."""

    def __init__(self, game: Game) -> None:
        reader = PageReader.open(game.pages)
        assert reader is not None
        self._reader, self._gamepad = reader, VirtualGamepadReader(game.pages)

    def _physics(self) -> Any:
        wait_for(lambda: self._reader.physics() is not None, "a whole page", step=0.0003)
        page = self._reader.physics()
        return self._physics() if page is None else np.frombuffer(page, PHYSICS)[0]

    @property
    def speed_kmh(self) -> float:
        return float(self._physics()["speed_kmh"])

    @property
    def steering(self) -> float:
        return float(self._physics()["steer_angle"])

    @property
    def laps(self) -> int:
        return int(np.frombuffer(self._reader.graphics(), GRAPHICS)[0]["completed_laps"])

    @property
    def gamepad(self) -> Command:
        return self._gamepad.read()

    @property
    def is_driven(self) -> bool:
        return self.gamepad != REST

    def wait_until_driven(self, speed_kmh: float = 8.0) -> None:
        wait_for(lambda: self.is_driven and self.speed_kmh > speed_kmh, "a car that is driven", 60)

    def wait_until_let_go(self, seconds: float) -> None:
        wait_for(lambda: not self.is_driven, "a gamepad at rest", seconds)


def stays(condition: Callable[[], bool], what: str, seconds: float = 0.5) -> None:
    """Look again and again whether a condition goes on to hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(0.02)


def flags(game: Game, *more: str) -> tuple[str, ...]:
    return ("drive", "--gamepad", "virtual", "--pages", game.pages, "--title", game.title, *more)


def ended(process: "subprocess.Popen[str]", seconds: float = 30.0) -> tuple[int, str]:
    output = process.communicate(timeout=seconds)[0]
    return process.returncode, output


def test_a_trained_policy_drives_a_lap_and_escape_leaves_the_gamepad_at_rest(
    start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    (tmp_path / "best_save").mkdir()
    train_small_policy(tmp_path / "best_save" / "model.onnx")
    game = start_game(*GAME)
    car = Car(game)
    with running(*flags(game), folder=tmp_path) as process:
        car.wait_until_driven(SPEED_KMH - 5)
        begun = time.monotonic()
        wait_for(lambda: process.poll() is not None or car.laps >= 1, "a lap", 120)
        driven = time.monotonic() - begun
        press(screen, XK.XK_Escape)
        car.wait_until_let_go(0.5)
        code, output = ended(process)
    assert (code, "ended by  Escape" in output) == (0, True), output
    assert "model.onnx drives; Escape in any window or Ctrl-C stops" in output
    assert "latency   median" in output
    assert sum(" km/h" in line for line in output.splitlines()) >= driven - 5, "a line a second"
    assert car.laps == 1
    assert not car.is_driven


def test_however_it_ends_the_car_is_let_go(start_game: Start, folder: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    game = start_game(*GAME)
    car = Car(game)
    for way, seconds in ((signal.SIGINT, 0.5), (signal.SIGTERM, 0.5), (signal.SIGKILL, 1.0)):
        with running(*flags(game, "--model", "policies:ahead"), folder=folder) as process:
            car.wait_until_driven()
            process.send_signal(way)
            car.wait_until_let_go(seconds)
            code, output = ended(process)
            assert code == (-signal.SIGKILL if way == signal.SIGKILL else 0), output


def test_escape_is_heard_while_the_terminal_holds_up_what_is_printed(
    start_game: Start, screen: xdisplay.Display, folder: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no fcntl")
    game = start_game(*GAME)
    car = Car(game)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"." * 3700)  # room for two or three lines: whoever prints more waits
    command = [sys.executable, "-m", "acpilot", *flags(game, "--model", "policies:ahead")]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
    try:
        os.close(writer)
        car.wait_until_driven(70.0)
        press(screen, XK.XK_Escape)
        car.wait_until_let_go(0.5)
        assert process.poll() is None
        with os.fdopen(reader) as pipe:
            assert "ended by  Escape" in pipe.read()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_policy_that_fails_lets_go_and_says_why(start_game: Start, folder: Path) -> None:
    game = start_game(*GAME)
    car = Car(game)
    for policy, told in (
        ("unsure", "unsure returned nan, 0, 0 for steering, throttle, brake"),
        ("blind", "ValueError: I cannot see"),
        ("asleep", "asleep has not answered for 2 s"),
    ):
        with running(*flags(game, "--model", f"policies:{policy}"), folder=folder) as process:
            car.wait_until_driven()
            car.wait_until_let_go(5.0)
            running_on = process.poll() is None
            code, output = ended(process)
        assert told in one_line(code, output)
        if policy == "asleep":
            assert running_on, "the gamepad was at rest long before the policy was given up"
            assert "controls at rest: the policy has not answered in time" in output


def test_covered_and_paused_it_waits_minimised_it_ends(
    start_game: Start, screen: xdisplay.Display, folder: Path
) -> None:
    game = start_game(*GAME)
    car, window = Car(game), window_of(screen, game)
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    with running(*flags(game, "--model", "policies:ahead", "--capture", "mss"), folder=folder) as process:
        car.wait_until_driven()
        cover = colour_window(screen, "a letter", (500, 300, 200, 100))
        car.wait_until_let_go(1.0)
        cover.destroy()
        screen.sync()
        car.wait_until_driven()
        press(screen, XK.XK_p)
        car.wait_until_let_go(1.0)
        stays(lambda: not car.is_driven, "at rest while the game is paused")
        press(screen, XK.XK_p)
        car.wait_until_driven()
        window.unmap()
        screen.sync()
        car.wait_until_let_go(0.5)
        code, output = ended(process)
    line = one_line(code, output)
    assert line == f"acpilot: the game's window {game.title!r} was minimised: keep it on the screen"
    notes = [line for line in output.splitlines() if line.startswith("note")]
    assert "controls at rest: the game's window is covered by 'a letter': move it away" in notes[0]
    assert "controls at rest: the game is paused" in notes[2]


def test_a_game_that_hangs_or_goes_ends_it(start_game: Start, folder: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGSTOP")
    game = start_game(*GAME)
    car = Car(game)
    children = Path(f"/proc/{game.process.pid}/task/{game.process.pid}/children").read_text().split()
    for stopped, told in (
        ([game.process.pid], "the picture has stood still for 500 ms while the car went"),
        ([int(child) for child in children], "the game's telemetry has stood still for 500 ms"),
    ):
        with running(*flags(game, "--model", "policies:ahead"), folder=folder) as process:
            car.wait_until_driven()
            try:
                for number in stopped:
                    os.kill(number, signal.SIGSTOP)
                car.wait_until_let_go(2.0)
                assert told in one_line(*ended(process))
            finally:
                for number in stopped:
                    os.kill(number, signal.SIGCONT)
    with running(*flags(game, "--model", "policies:ahead"), folder=folder) as process:
        car.wait_until_driven()
        game.process.terminate()
        line = one_line(*ended(process))
    assert "was closed" in line or "has ended its session" in line


def test_a_run_is_saved_with_who_drove_and_is_not_learnt_from(start_game: Start, folder: Path) -> None:
    game = start_game(*GAME)
    more = ("--model", "policies:both", "--save-run", "--assist", "pedals", "--speed-limit", "30", "--brake-on-stop")
    code, output = acpilot(*flags(game, *more, "--duration", "6", "--json"), folder=folder)
    assert code == 0, output
    report = json.loads(output)
    assert report["ended_by"] == "the duration of 6 s"
    assert report["cycles"] == pytest.approx(55, abs=15)
    assert 0 < report["latency_ms"]["median"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["worst"]
    assert Car(game).speed_kmh < 2, "it has braked"
    (saved,) = (folder / "ac_telemetry_data").iterdir()
    manifest = Session.open(saved).manifest
    assert manifest.drive == report
    assert manifest.game["driver"] == "both"
    assert [name for _, name in manifest.drivers] == ["", "both", ""]
    with (saved / "inputs.csv").open() as file:
        rows = np.array([line.split(",")[2:] for line in list(file)[1:] if ",," not in line], float)
    assert np.abs(rows[:, 0]).max() == 0, "steering is not assisted"
    assert rows[:, 1].max() == pytest.approx(1)
    assert 20 < rows[:, 3].max() < 34
    assert rows[:20, 2].max() == 0, "the larger pedal"
    code, output = acpilot("convert", str(saved), folder=folder)
    assert (code, "no person drove in" in output) == (0, True), output
    assert "nothing to learn from" in one_line(*acpilot("combine", str(saved), folder=folder))
    assert acpilot("check", str(saved), folder=folder)[0] == 1, "there is nothing to learn from"
    marks = json.loads((saved / "marks.json").read_text())
    assert [mark["why"] for mark in marks if mark["why"] == "AI"] == ["AI"]
    one_line(*acpilot("convert", str(saved), folder=folder))


# Windows of one colour stand in for a game without pages ------------------------------------------------------------


def colour_window(
    screen: xdisplay.Display, title: str, place: tuple[int, int, int, int], colour: int = 0xC83C14
) -> Any:
    window = screen.screen().root.create_window(
        *place, 0, screen.screen().root_depth, background_pixel=colour, override_redirect=False
    )
    window.set_wm_name(title)
    window.map()
    screen.sync()
    return window


def shows(title: str, size: tuple[int, int]) -> bool:
    """Whether a window of that title and size is on the screen."""
    try:
        window = find_window(title)
    except WindowNotFoundError:
        return False
    area = window.client_area()
    window.close()
    return area is not None and (area.width, area.height) == size


BY_PICTURES = ("drive", "--model", "policies:ahead", "--gamepad", "none", "--no-telemetry")


def test_the_debug_window_shows_what_the_network_sees_also_in_another_size(
    screen: xdisplay.Display, folder: Path
) -> None:
    import mss

    game = colour_window(screen, "plain", (10, 10, 400, 200))
    with running(*BY_PICTURES, "--title", "plain", "--debug-window", folder=folder) as process:
        wait_for(lambda: shows("acpilot: what the network sees", (600, 75)), "the debug window", 30)
        window = find_window("acpilot: what the network sees")
        area = window.client_area()
        window.close()
        assert area is not None
        with mss.MSS() as grabbing:

            def middle() -> list[int]:
                pixel: list[int] = grab_area(grabbing, Area(area.left + 60, area.top + 40, 1, 1))[0][
                    0, 0, 2::-1
                ].tolist()
                return pixel

            wait_for(lambda: middle() == [0xC8, 0x3C, 0x14], "the colour of what is seen")
            game.change_attributes(background_pixel=0x1428C8)
            game.configure(width=300, height=240)
            screen.sync()
            wait_for(lambda: middle() == [0x14, 0x28, 0xC8], "the new colour")
        assert process.stdout is not None
        assert "note  the game's window is 300x240 now\n" in process.stdout, "which a later cycle may tell"
        process.send_signal(signal.SIGINT)
        code, output = ended(process)
    assert code == 0, output
    game.destroy()
    screen.sync()


def test_a_window_that_loses_the_focus_ends_it_when_asked(screen: xdisplay.Display, folder: Path) -> None:
    game, other = (colour_window(screen, title, (x, 10, 400, 200)) for title, x in (("plain", 10), ("other", 500)))
    game.set_input_focus(X.RevertToParent, X.CurrentTime)
    screen.sync()
    with running(*BY_PICTURES, "--title", "plain", "--stop-when-unfocused", folder=folder) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " km/h" in line:
                break
        other.set_input_focus(X.RevertToParent, X.CurrentTime)
        screen.sync()
        assert "the game's window lost the focus" in one_line(*ended(process))
    for window in (game, other):
        window.destroy()
    screen.sync()


def test_without_a_stop_key_it_refuses_unless_told(folder: Path) -> None:
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "640x480x24", "-extension", "RECORD", "-noreset"]
    server = subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            name = f":{answer.readline().strip()}"
        screen = xdisplay.Display(name)
        colour_window(screen, "plain", (10, 10, 400, 200))
        drive = (*BY_PICTURES, "--title", "plain", "--duration", "1")
        line = one_line(*acpilot(*drive, folder=folder, environment={"DISPLAY": name}))
        assert "Escape cannot be heard here" in line
        code, output = acpilot(*drive, "--no-stop-key", folder=folder, environment={"DISPLAY": name})
        assert (code, "ended by  the duration of 1 s" in output) == (0, True), output
        screen.close()
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--model", "nothing.onnx"), "there is no policy at nothing.onnx: train one"),
        (("--gamepad", "xbox"), "xbox gamepad|/dev/uinput|vgamepad"),
        (("--speed-limit", "30"), "--speed-limit needs the speed: leave --no-telemetry out"),
        (("--save-run",), "--save-run records the telemetry: leave --no-telemetry out"),
        (("--title", "nowhere"), "no window is titled 'nowhere'"),
        (("--takeover", "keys", "--assist", "steering"), "--takeover gives the driver all controls"),
    ],
)
def test_what_cannot_be_driven_gets_one_line(
    screen: xdisplay.Display, folder: Path, more: tuple[str, ...], told: str
) -> None:
    game = colour_window(screen, "plain", (10, 10, 400, 200))
    flags = {"--model": "policies:ahead", "--gamepad": "none", "--title": "plain", "--wait": "0"}
    flags.update(zip(more[::2], more[1::2], strict=False))
    words = [word for flag in flags.items() for word in flag] + ([more[0]] if len(more) == 1 else [])
    line = one_line(*acpilot("drive", "--no-telemetry", *words, folder=folder))
    assert re.search(told, line), line
    game.destroy()
    screen.sync()
