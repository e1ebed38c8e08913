"""acpilot on Windows, as far as Wine is Windows: run with "make test-wine"."""

import csv
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from acpilot.policy.load import load
from acpilot.policy.preprocessing import Preprocessing
from acpilot.session.folder import Session
from conftest import display, wait_for, window_manager  # noqa: F401 - a fixture
from set_up import ENVIRONMENT, PYTHON
from test_convert import one_line
from test_policy import write_model
from test_record import press
from test_stopping import tap
from windows import Game, acpilot, game, on_windows, press_in_the_game, running, wine

HERE = Path(__file__).parent
QUARTERS = ((200, 10, 20), (10, 200, 30), (20, 30, 200), (200, 200, 40))


@pytest.fixture(scope="session", autouse=True)
def windows(display: str) -> Iterator[None]:  # noqa: F811
    """Wine on a screen of its own; its server ends with the tests.

    Without a window manager, all its windows hang for two seconds when one closes.
    """
    with window_manager(display):
        yield
        subprocess.run(["wineserver", "--kill"], env=os.environ | ENVIRONMENT, check=False)


@pytest.fixture
def stand_in() -> Iterator[Game]:
    with game() as started:
        yield started


def record(folder: Path, *flags: str) -> tuple[str, ...]:
    return ("record", "--recorder", "screen", "--output", on_windows(folder), "--steering-unit", "ratio", *flags)


HOLD = """
import sys, time
with open(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline() if len(sys.argv) < 3 else time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held(path: Path, *, seconds: float | None = None) -> Iterator[None]:
    """Another program has a file open, so that it cannot be replaced: so long, or while this lasts."""
    with wine(PYTHON, "-c", HOLD, on_windows(path), *([str(seconds)] if seconds else [])) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("\n", timeout=30)


def only_session(folder: Path) -> Session:
    (made,) = folder.iterdir()
    return Session.open(made)


def reports(log: Path) -> tuple[list[str], np.ndarray]:
    """What the driver's library was told: first and last line, and (n, 3) steering, throttle, brake of the reports."""
    lines = log.read_text().splitlines() if log.exists() else []
    values = np.array([line.split() for line in lines[1:-1]], float).reshape(-1, 3)
    return lines[:1] + lines[-1:], values / [32767, 255, 255]


@pytest.mark.usefixtures("stand_in")
def test_a_session_is_recorded_and_converted(tmp_path: Path) -> None:
    code, output = acpilot(*record(tmp_path / "sessions", "--duration", "4"))
    assert code == 0, output
    session = only_session(tmp_path / "sessions")
    assert session.manifest.state == "complete"
    assert session.manifest.game["car"] == "stand_in_car"
    assert "win" in session.manifest.environment["platform"].casefold()
    code, output = acpilot("convert", on_windows(session.folder))
    assert code == 0, output
    with session.labels_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 20
    for row in rows:
        values = [float(row[name]) for name in ("steering", "throttle", "brake", "speed", "gear")]
        assert values == pytest.approx([-0.125, 0.5, 0.25, 123.5, 2])
    with Image.open(session.images_folder / session.image_name(int(rows[0]["frame"]))) as picture:
        assert picture.size == (640, 360), "the client area, without borders"
        middles = [picture.getpixel((x, y)) for y in (90, 270) for x in (150, 490)]
    assert np.abs(np.array(middles, float) - QUARTERS).max() < 12
    _, output = acpilot("check", on_windows(session.folder))  # unfit for training: nothing in it is ever steered
    for line in ("steering         never moves: -0.125", "video            every frame can be decoded"):
        assert line in output


@pytest.mark.usefixtures("stand_in")
def test_nearly_all_frames_are_labelled_though_another_program_holds_the_manifest_for_a_while(tmp_path: Path) -> None:
    with running(*record(tmp_path / "sessions", "--duration", "20", "--fps", "10")) as process:
        wait_for(lambda: list(tmp_path.glob("sessions/*/session_recording.mkv")), "the recording", 120)
        with held(only_session(tmp_path / "sessions").folder / "session.json", seconds=2):
            pass
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    session = only_session(tmp_path / "sessions")
    assert session.manifest.state == "complete", output
    frames = session.manifest.counts.frames
    assert frames >= 190
    code, output = acpilot("convert", on_windows(session.folder))
    assert code == 0, output
    with session.labels_file.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) >= 0.95 * frames, output


@pytest.mark.usefixtures("stand_in")
def test_a_table_that_another_program_holds_is_named(tmp_path: Path) -> None:
    code, output = acpilot(*record(tmp_path / "sessions", "--duration", "2"))
    assert code == 0, output
    session = only_session(tmp_path / "sessions")
    assert acpilot("convert", on_windows(session.folder))[0] == 0
    with held(session.labels_file):
        line = one_line(*acpilot("convert", on_windows(session.folder), "--fps", "5"))
    assert f"{session.labels_file.name}: " in line
    assert "close the program that holds it" in line
    assert acpilot("convert", on_windows(session.folder), "--fps", "5")[0] == 0


def test_escape_in_the_game_stops_a_recording(stand_in: Game, display: str, tmp_path: Path) -> None:  # noqa: F811
    with running(*record(tmp_path / "sessions")) as process:
        wait_for(lambda: list(tmp_path.glob("sessions/*/session_recording.mkv")), "the recording", 120)
        stand_in.tell("move 300 200")
        press_in_the_game(display)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert only_session(tmp_path / "sessions").manifest.ended_by == "Escape"


def test_a_minimised_window_ends_a_recording_with_a_line(stand_in: Game, tmp_path: Path) -> None:
    with running(*record(tmp_path / "sessions")) as process:
        wait_for(lambda: list(tmp_path.glob("sessions/*/session_recording.mkv")), "the recording", 120)
        stand_in.tell("minimise")
        output = process.communicate(timeout=60)[0]
    stand_in.tell("restore")
    assert process.returncode == 1
    assert "was minimised" in output
    assert "Traceback" not in output


def test_without_a_game_there_is_one_line(tmp_path: Path) -> None:
    code, output = acpilot(*record(tmp_path / "sessions", "--wait", "0.5"))
    assert code == 1
    assert "memory pages are not there" in output.strip().splitlines()[-1]


def test_the_driver_is_told_of_each_axis_in_turn(tmp_path: Path) -> None:
    log = tmp_path / "reports.txt"
    code, output = acpilot("gamepad-test", "--duration", "12.5", ACPILOT_TEST_VIGEM_LOG=on_windows(log))
    assert code == 0, output
    ends, values = reports(log)
    assert ends == ["connected", "disconnected"]
    assert (np.count_nonzero(values, axis=1) <= 1).all(), "one at a time"
    assert values.min(axis=0) == pytest.approx([-1, 0, 0], abs=0.01)
    assert values.max(axis=0) == pytest.approx([1, 1, 1], abs=0.01)
    assert list(dict.fromkeys(np.nonzero(values)[1])) == [0, 1, 2]
    assert not values[-1].any(), "at rest in the end"


def test_escape_ends_it_at_rest(stand_in: Game, display: str, tmp_path: Path) -> None:  # noqa: F811, ARG001
    log = tmp_path / "reports.txt"
    with running("gamepad-test", "--axis", "throttle", ACPILOT_TEST_VIGEM_LOG=on_windows(log)) as process:
        wait_for(lambda: reports(log)[1][:, 1].max(initial=0) > 0.5, "the throttle", 120)
        press_in_the_game(display)
        output = process.communicate(timeout=30)[0]
    assert "stopped by Escape" in output.strip().splitlines()[-1]
    ends, values = reports(log)
    assert ends[1] == "disconnected"
    assert not values[-1].any()


@pytest.mark.parametrize("command", ["gamepad-test", "doctor"])
def test_a_missing_driver_gets_its_remedy(command: str) -> None:
    code, output = acpilot(command, ACPILOT_TEST_NO_VIGEM_BUS="1")
    assert code == 1
    assert "VIGEM_ERROR_BUS_NOT_FOUND" in output
    assert "ViGEmBusSetup_x64.msi" in output
    assert "Traceback" not in output


@pytest.mark.usefixtures("stand_in")
def test_the_games_window_wins_over_a_larger_one_of_its_title() -> None:
    with game("Assetto Corsa") as other:
        other.tell("resize 900 700")
        assert "ok    window     'Assetto Corsa', 640x360" in acpilot("doctor")[1]


def test_a_drive_that_is_not_there_is_a_line() -> None:
    assert "fault disk       the drive Q:\\ is not there" in acpilot("doctor", "--output", r"Q:\rec")[1]


def test_doctor_finds_game_window_and_gamepad(stand_in: Game) -> None:
    stand_in.tell("move 40 60")
    _, output = acpilot("doctor")
    for found in (
        "ok    game pages",
        "ok    window     'Assetto Corsa', 640x360",
        "ok    gamepad",
        "Escape in any window",
    ):
        assert found in output


READ_TEXTURES = """
import uuid
import numpy as np
from acpilot.desktop.d3d11 import Device, query, release
random = np.random.default_rng(1)
device = Device()
kept = []
for width, height, left, top, w, h in [
    (333, 217, 7, 11, 101, 55), (64, 64, 0, 0, 64, 64), (1279, 721, 1, 1, 1277, 719), (5, 3, 4, 2, 1, 1)
]:
    pixels = random.integers(0, 256, (height, width, 4), np.uint8)
    texture = device.create_texture(width, height, pixels=pixels.tobytes())
    surface = query(texture, uuid.UUID("cafcb56c-6ac3-4889-bf47-9e23bbd260ec"))
    for _ in range(20 if width > 1000 else 500):
        assert (device.read(surface, left, top, w, h) == pixels[top : top + h, left : left + w]).all()
    kept.append(release(surface))
    assert release(texture) == 0, "nothing holds it any more"
left = device.dxgi()
device.close()
device.close()
print(kept, release(left))
"""


def test_pixels_of_any_part_of_a_texture_are_read_and_nothing_is_leaked() -> None:
    with wine(PYTHON, "-B", "-c", READ_TEXTURES) as process:
        output = process.communicate(timeout=120)[0]
    assert output.split("\n")[0] == "[1, 1, 1, 1] 0", output


@pytest.mark.usefixtures("stand_in")
def test_where_windows_has_no_capture_of_its_own_it_says_so_and_auto_does_without(tmp_path: Path) -> None:
    """Wine has none."""
    code, output = acpilot(*record(tmp_path / "asked", "--duration", "2", "--capture", "wgc"))
    line = one_line(code, output)
    assert "Windows Graphics Capture is not there" in line
    assert "--capture mss" in line
    _, output = acpilot("doctor")
    assert "pictures with mss" in output


def composed(*command: str) -> tuple[int, str]:
    """Run an acpilot command where a stand-in for Windows' compositor gives pictures."""
    with wine(PYTHON, "-B", on_windows(HERE / "compositor.py"), *command) as process:
        output = process.communicate(timeout=120)[0]
        return process.returncode, output


def test_the_compositors_pictures_are_the_client_area_with_their_times_and_all_are_given_back(
    stand_in: Game, tmp_path: Path
) -> None:
    stand_in.tell("move 37 61")
    with game("cover") as cover:
        cover.tell("move 500 350")
        # Textures are made and read by the processor here: five pictures a second are what that does beside the rest.
        code, output = composed(*record(tmp_path / "sessions", "--duration", "6", "--fps", "5", "--capture", "wgc"))
    assert code == 0, output
    told = re.search(r"textures (\d+), held (\d+)", output)
    assert told, output
    assert int(told[1]) > 60, "each is taken as it comes"
    assert int(told[2]) == 0, "a reference to a texture was kept"
    session = only_session(tmp_path / "sessions")
    assert session.manifest.recorder["capture"] == "wgc"
    assert acpilot("convert", on_windows(session.folder))[0] == 0
    with session.labels_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 0.95 * session.manifest.counts.frames
    with Image.open(session.images_folder / rows[20]["image_name"]) as picture:
        assert picture.size == (640, 360)
        corners = [picture.getpixel(at) for at in ((3, 3), (636, 3), (3, 356))]
    assert np.abs(np.array(corners, float) - QUARTERS[:3]).max() < 20, "neither title nor border"


@pytest.mark.usefixtures("stand_in")
def test_a_window_that_changes_its_size_goes_on_being_seen_by_the_compositor(stand_in: Game, tmp_path: Path) -> None:
    command = record(tmp_path / "sessions", "--duration", "8", "--capture", "wgc")
    with wine(PYTHON, "-B", on_windows(HERE / "compositor.py"), *command) as process:
        wait_for(lambda: list(tmp_path.glob("sessions/*/session_recording.mkv")), "the recording", 120)
        stand_in.tell("resize 500 400")
        stand_in.tell("resize 720 500")
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert "held 0" in output
    assert only_session(tmp_path / "sessions").manifest.recorder["resized"]


def test_labels_are_proven_to_be_right() -> None:
    code, output = acpilot("doctor", "--prove", "--recorder", "screen")
    assert code == 0, output
    assert "right the built-in recorder with mss: " in output
    assert "fault the built-in recorder with wgc: Windows Graphics Capture is not there" in output


DRIVE_ONCE = """
import sys
import numpy as np
from pathlib import Path
from acpilot.policy.load import load
band = np.load(sys.argv[2])
print(*load(Path(sys.argv[1])).drive(band, 0.0))
"""


def test_a_policy_decides_as_it_does_elsewhere(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", metadata=Preprocessing().to_json())
    policy = load(model)
    _, _, width, height = policy.band(640, 360)
    band = (np.random.default_rng(1).random((height, width, 3)) < (0.2, 0.4, 0.6)).astype(np.uint8)
    np.save(tmp_path / "band.npy", band)
    with wine(PYTHON, "-B", "-c", DRIVE_ONCE, *map(on_windows, (model, tmp_path / "band.npy"))) as process:
        output = process.communicate(timeout=60)[0]
    assert [float(word) for word in output.split()] == pytest.approx(policy.drive(band, 0.0), abs=1e-6)


# The picture of the stand-in game, without its moving line.
PICTURE = np.array(QUARTERS, np.uint8).reshape(2, 2, 3).repeat(180, 0).repeat(320, 1)
SPEED_KMH = 123.5


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A policy that is moved by colours and speed."""
    return write_model(tmp_path / "model.onnx", metadata=Preprocessing().to_json(), scale=1 / 255)


def what_it_commands(model: Path) -> list[float]:
    """Of what the stand-in game shows, on this system: steering, throttle, brake."""
    policy = load(model)
    left, top, width, height = policy.band(640, 360)
    return list(policy.drive(PICTURE[top : top + height, left : left + width], SPEED_KMH))


def drive(model: Path, *more: str) -> tuple[str, ...]:
    return ("drive", "--model", on_windows(model), *more)


@pytest.mark.parametrize("how", [tap, press], ids=["for a moment", "as a finger does"])
@pytest.mark.usefixtures("stand_in")
def test_a_policy_drives_by_what_it_sees_until_escape(
    display: str,  # noqa: F811
    model: Path,
    how: Callable[[xdisplay.Display, int], None],
    tmp_path: Path,
) -> None:
    log = tmp_path / "reports.txt"
    with running(*drive(model), ACPILOT_TEST_VIGEM_LOG=on_windows(log)) as process:
        wait_for(lambda: len(reports(log)[1]) > 20, "a drive", 120)
        press_in_the_game(display, how)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    assert "model.onnx drives; Escape in any window or Ctrl-C stops" in output
    assert "ended by  Escape" in output
    ends, values = reports(log)
    assert ends == ["connected", "disconnected"]
    steering, throttle, brake = what_it_commands(model)
    assert throttle > brake, "the larger pedal"
    assert values[10] == pytest.approx([steering, throttle, 0], abs=0.01)
    assert not values[-1].any(), "at rest in the end"


def hold(screen: xdisplay.Display, key: int) -> None:
    xtest.fake_input(screen, X.KeyPress, screen.keysym_to_keycode(key))
    screen.sync()


@pytest.mark.usefixtures("stand_in")
def test_a_driver_takes_over_with_the_arrow_keys(display: str, model: Path, tmp_path: Path) -> None:  # noqa: F811
    log = tmp_path / "reports.txt"
    with running(*drive(model, "--takeover", "keys"), ACPILOT_TEST_VIGEM_LOG=on_windows(log)) as process:
        wait_for(lambda: sum(reports(log)[1][-1:, 0]) > 0.5, "the policy's steering", 120)
        press_in_the_game(display, hold, XK.XK_Left)
        wait_for(lambda: sum(reports(log)[1][-1:, 0]) < -0.2, "the driver's steering", 30)
        press_in_the_game(display, tap, XK.XK_Left)
        press_in_the_game(display)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    assert "takeovers 1" in output
    assert not reports(log)[1][-1].any()


def test_what_happens_to_the_game_brings_the_controls_to_rest(stand_in: Game, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "reports.txt"

    def is_driven() -> bool:
        return bool(reports(log)[1][-1:].any())

    with running(*drive(model), ACPILOT_TEST_VIGEM_LOG=on_windows(log)) as process:
        wait_for(is_driven, "a drive", 120)
        with game("letter") as letter:
            letter.tell("move 200 150")
            wait_for(lambda: not is_driven(), "controls at rest")
        wait_for(is_driven, "the drive to go on")
        stand_in.tell("resize 500 400")
        stand_in.tell("move 300 200")
        wait_for(is_driven, "the drive to go on")
        stand_in.tell("freeze")
        output = process.communicate(timeout=30)[0]
    assert "telemetry has stood still for 500 ms" in one_line(process.returncode, output)
    notes = [line for line in output.splitlines() if line.startswith("note")]
    for told in ("controls at rest: the game's window is covered by 'letter'", "driving on", "the game's window is 4"):
        assert any(told in note for note in notes), output
    assert not reports(log)[1][-1].any()


@pytest.mark.parametrize(("what", "told"), [("minimise", "was minimised"), ("close", "was closed")])
def test_a_window_that_goes_ends_the_drive(stand_in: Game, model: Path, what: str, told: str, tmp_path: Path) -> None:
    log = tmp_path / "reports.txt"
    with running(*drive(model), ACPILOT_TEST_VIGEM_LOG=on_windows(log)) as process:
        wait_for(lambda: len(reports(log)[1]) > 5, "a drive", 120)
        stand_in.tell(what)
        output = process.communicate(timeout=30)[0]
    assert told in one_line(process.returncode, output)
    ends, values = reports(log)
    assert ends[1] == "disconnected"
    assert not values[-1].any()


WATCH = """
import time
from acpilot.driving.virtual_gamepad import VirtualGamepadReader
reader = VirtualGamepadReader()
while not any(reader.read()):
    time.sleep(0.005)
print(*reader.read(), flush=True)
while any(reader.read()):
    time.sleep(0.005)
"""


@pytest.mark.usefixtures("stand_in")
def test_another_program_finds_the_virtual_gamepad(model: Path) -> None:
    with wine(PYTHON, "-B", "-c", WATCH) as watching:
        code, output = acpilot(*drive(model, "--gamepad", "virtual", "--duration", "3"))
        assert code == 0, output
        seen = watching.communicate(timeout=30)[0]
    steering, throttle, _ = what_it_commands(model)
    assert [float(word) for word in seen.split()] == pytest.approx([steering, throttle, 0], abs=0.01)
