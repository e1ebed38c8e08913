"""OBS on a desktop of several screens, wider than it lets a video be: what is recorded is the game's picture."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from Xlib import X
from Xlib.display import Display
from Xlib.protocol import rq

from acpilot.clock_strip import decode
from acpilot.desktop.window import find_window
from acpilot.desktop.window_x11 import X11Window
from acpilot.session.folder import Session
from acpilot.video.obs_connection import ObsError
from acpilot.video.obs_scene import choose_window
from conftest import Game, acpilot, wait_for

assert sys.platform != "win32", "obs_studio starts OBS as Linux does"
from obs_studio import ObsStudio  # noqa: E402

Start = Callable[..., Game]
WIDTH, HEIGHT = 2600, 720
"""Of each of the two screens."""


class SetMonitor(rq.Request):  # type: ignore[misc]
    """RRSetMonitor of RandR 1.5, which python-xlib has wrong: randrproto.txt, section 7.5."""

    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(43), rq.RequestLength(), rq.Window("window"), rq.Card32("name"),
        rq.Bool("primary"), rq.Bool("automatic"), rq.LengthOf("outputs", 2), rq.Int16("x"), rq.Int16("y"),
        rq.Card16("width"), rq.Card16("height"), rq.Card32("mm_width"), rq.Card32("mm_height"),
        rq.List("outputs", rq.Card32Obj),
    )  # fmt: skip


@pytest.fixture
def two_screens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    reader, writer = os.pipe()
    whole = f"{2 * WIDTH}x{HEIGHT}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", whole, "-noreset", "-nolisten", "tcp"],
        pass_fds=(writer,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader) as answer:
        name = f":{answer.readline().strip()}"
    connection = Display(name)
    root = connection.screen().root
    outputs = root.xrandr_get_screen_resources().outputs
    for number, belongs in enumerate((outputs, [])):
        SetMonitor(
            display=root.display, opcode=root.display.get_extension_major("RANDR"), window=root,
            name=connection.intern_atom(f"{number}"), primary=number == 0, automatic=False, x=number * WIDTH, y=0,
            width=WIDTH, height=HEIGHT, mm_width=600, mm_height=200, outputs=list(belongs),
        )  # fmt: skip
    assert len(root.xrandr_get_monitors().monitors) == 2
    connection.close()
    monkeypatch.setenv("DISPLAY", name)
    yield
    server.terminate()
    server.wait()


def move(game: Game, left: int) -> None:
    """Put the game's window somewhere, in front of all others."""
    window, connection = find_window(game.title), Display()
    assert isinstance(window, X11Window)
    resource = connection.create_resource_object("window", window.identifier)
    resource.configure(x=left, y=100, stack_mode=X.Above)
    connection.sync()

    def is_there() -> bool:
        area = window.client_area()
        return area is not None and abs(area.left - left) < 50

    wait_for(is_there, "the window to move")
    connection.close()
    window.close()


def pictures(folder: Path) -> list[np.ndarray]:
    session = Session.open(max((folder / "ac_telemetry_data").iterdir()))
    with av.open(str(session.video_file)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in container.decode(video=0)]


@pytest.mark.real_time
@pytest.mark.usefixtures("two_screens")
def test_what_is_recorded_is_the_games_picture_on_whatever_screen_it_is(start_game: Start, tmp_path: Path) -> None:
    obs = ObsStudio(tmp_path / "obs")
    with obs.running():
        game = start_game("--driver", "expert", "--burn-clock")
        flags = [
            "record", "--recorder", "obs", "--pages", game.pages, "--title", game.title, "--duration", "2",
            "--obs-host", "127.0.0.1", "--obs-port", str(obs.port),
        ]  # fmt: skip
        for place in (WIDTH + 400, WIDTH - 100):  # on the second screen, and across both
            move(game, place)
            code, output = acpilot(*flags, folder=tmp_path, environment=obs.environment)
            assert code == 0, output
            frames = pictures(tmp_path)
            assert frames[0].shape == (180, 320, 3)
            assert np.mean([decode(frame) is not None for frame in frames]) > 0.9, place
        wide = ("--region", "0", "0", str(2 * WIDTH), str(HEIGHT))
        code, output = acpilot(*flags, *wide, folder=tmp_path, environment=obs.environment)
        assert code == 0, output
        frames = pictures(tmp_path)
        assert frames[0].shape == (566, 4096, 3), "OBS takes no longer side"
        scale = 4096 / (2 * WIDTH)
        in_window = frames[-1][round(110 * scale) : round(270 * scale), round(2520 * scale) : round(2800 * scale)]
        assert in_window.std(axis=(0, 1)).min() > 10
        assert in_window[:, : in_window.shape[1] // 3].std() > 10, "the part on the first screen"
        code, output = acpilot(
            *flags, "--region", str(2 * WIDTH), "0", "640", "360", folder=tmp_path, environment=obs.environment
        )
        assert code == 1
        assert "outside the screens that OBS sees" in output


def test_of_obss_windows_the_one_with_the_games_whole_title_and_executable_is_taken() -> None:
    # As OBS lists them on Windows, those in front first; ":" and "#" are written as numbers.
    browser = "Assetto Corsa - my lap #2231#3A05 - YouTube:Chrome_WidgetWin_1:chrome.exe"
    folder, game = "Assetto Corsa:CabinetWClass:explorer.exe", "Assetto Corsa:acsW:acs.exe"
    assert choose_window("Assetto Corsa", [browser, folder, game]) == game
    assert choose_window("assetto corsa", [browser, game, folder]) == game
    assert choose_window("Assetto Corsa - my lap #1:05 - YouTube", [game, browser.replace("#2231", "#221")]) != game
    with pytest.raises(ObsError, match="give one of these with --title"):
        choose_window("Assetto Corsa", [browser, folder])
    assert choose_window("a\\b", ["1\r\nother\r\nx", "2\r\nA\\B\r\ny"]) == "2\r\nA\\B\r\ny"
