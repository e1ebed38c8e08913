"""A driver takes over from a policy with the arrow keys or a wheel, and what is kept of it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from acpilot.clock import NS
from acpilot.session.folder import Session
from acpilot.session.manifest import HUMAN, NOBODY
from conftest import Game, acpilot, running, wait_for
from test_combine import combine, table_of
from test_convert import one_line, rows_of
from test_drive import GAME, POLICIES, Car, colour_window, ended, flags, stays
from test_record import press, window_of

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]
LET_GO = 0.7
WHEEL = """
import threading
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sdl2

class Turned(Always):
    '''A policy in whose process are a wheel and pedals, virtual ones of SDL's; it is turned, then unplugged.'''

    def __init__(self):
        super().__init__("turned", 0.0, 0.6, 0.0)
        sdl2.SDL_SetHint(b"SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", b"1")
        assert sdl2.SDL_Init(sdl2.SDL_INIT_JOYSTICK) == 0
        self.index = sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_WHEEL, 4, 8, 0)
        self.wheel = sdl2.SDL_JoystickOpen(self.index)
        self.pedals = sdl2.SDL_JoystickOpen(
            sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_UNKNOWN, 2, 0, 0)
        )
        for device, axis in ((self.wheel, 2), (self.wheel, 3), (self.pedals, 0), (self.pedals, 1)):
            self.turn(device, axis, 1)
        sdl2.SDL_JoystickUpdate()
        self.decisions = 0

    def turn(self, device, axis, value):
        assert sdl2.SDL_JoystickSetVirtualAxis(device, axis, round(32767 * value)) == 0

    def drive(self, band, speed_kmh):
        self.decisions += 1
        if self.decisions == 20:
            self.turn(self.wheel, 0, -0.5)
        if self.decisions == 40:
            self.turn(self.wheel, 2, -0.5)
            self.turn(self.pedals, 0, -0.5)
            threading.Timer(1.0, sdl2.SDL_JoystickDetachVirtual, [self.index]).start()
        return self.command

def turned(): return Turned()
"""


@contextmanager
def held(screen: xdisplay.Display, *keysyms: int) -> Iterator[None]:
    codes = [screen.keysym_to_keycode(keysym) for keysym in keysyms]
    for event in (X.KeyPress, X.KeyRelease):
        for code in codes:
            xtest.fake_input(screen, event, code)
        screen.sync()
        if event == X.KeyPress:
            yield


def test_keys_take_over_and_the_correction_is_what_is_learnt(
    start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    (tmp_path / "policies.py").write_text(POLICIES, encoding="utf-8")
    game = start_game(*GAME)
    car, window = Car(game), window_of(screen, game)
    other = colour_window(screen, "a letter", (10, 10, 100, 100))
    more = ("--model", "policies:ahead", "--takeover", "keys", "--hand-back", str(LET_GO), "--save-run")
    with running(*flags(game, *more), folder=tmp_path) as process:
        car.wait_until_driven()
        other.set_input_focus(X.RevertToParent, X.CurrentTime)
        with held(screen, XK.XK_Left):
            stays(lambda: car.steering == 0, "what is typed into another window is not for the car")
        window.set_input_focus(X.RevertToParent, X.CurrentTime)
        with held(screen, XK.XK_Left, XK.XK_Up):
            wait_for(lambda: car.steering < -0.4 and car.gamepad.throttle == 1, "the driver's controls", 5)
            stays(lambda: car.steering < -0.3 and car.gamepad.throttle == 1, "the driver's, and nobody else's", 1.5)
        let_go = time.monotonic()
        car.wait_until_let_go(LET_GO)
        wait_for(lambda: car.gamepad.throttle == pytest.approx(0.6), "the policy's throttle", 5)
        assert time.monotonic() - let_go >= LET_GO
        stays(lambda: car.gamepad.throttle == pytest.approx(0.6), "the policy's throttle")
        press(screen, XK.XK_Escape)
        code, driven = ended(process)
    other.destroy()
    screen.sync()
    assert code == 0, driven
    assert "who uses an arrow key takes over; 0.7 s after its last use the policy drives again" in driven
    notes = [line.removeprefix("note  ") for line in driven.splitlines() if line.startswith("note")]
    assert notes[-3:] == ["the driver has taken over", "controls at rest: the driver has let go", "driving on"]
    assert "| the driver drives" in driven
    assert "takeovers 1" in driven

    (saved,) = (tmp_path / "ac_telemetry_data").iterdir()
    session = Session.open(saved)
    instants, names = zip(*session.manifest.drivers, strict=True)
    assert names == (NOBODY, "ahead", HUMAN, NOBODY, "ahead", NOBODY)
    assert (instants[4] - instants[3]) / NS == pytest.approx(LET_GO, abs=0.3), "after the last key nobody drove"
    assert acpilot("convert", str(saved), folder=tmp_path)[0] == 0
    seconds = [(instant - session.manifest.start) / NS for instant in instants[2:4]]
    wanted = [row for row in rows_of(session) if seconds[0] <= float(row["timestamp"]) < seconds[1]]
    assert len(wanted) >= 12
    code, output = combine([saved], tmp_path / "dataset")
    assert (code, f"{len(wanted)} rows are a driver's corrections" in output) == (0, True), output
    assert f"next      acpilot convert ac_telemetry_data/{saved.name}" in driven
    code, checked = acpilot("check", str(saved), folder=tmp_path)
    assert (code, "unfit" in checked) == (0, False), checked
    table = table_of(tmp_path / "dataset")
    assert [row["frame"] for row in table] == [row["frame"] for row in wanted]
    assert {(row["correction"], row["split"]) for row in table} == {("1", "train")}
    assert np.mean([float(row["throttle"]) for row in table[3:]]) > 0.9
    assert min(float(row["steering"]) for row in table) < -0.3


ON_WHEEL = ("--model", "policies:turned", "--takeover", "wheel", "--wheel-axes")


def test_axes_of_a_wheel_that_are_not_there_are_asked_for(start_game: Start, tmp_path: Path) -> None:
    (tmp_path / "policies.py").write_text(POLICIES + WHEEL, encoding="utf-8")
    game = start_game(*GAME)
    stand = (
        "They stand at 0: [+-]0.00, 1: [+-]0.00, 2: [+]1.00, 3: [+]1.00, 1:0: [+]1.00, 1:1: [+]1.00: look again with"
    )
    for axes, told in (
        ((), stand),
        (("0", "2-", "4-"), "which axes of Virtual .* and Virtual .* are steering"),
        (("0", "1:0-", "1:2-"), stand),
        (("0", "2-", "brake"), "'brake' is no axis of a wheel"),
    ):
        line = one_line(*acpilot(*flags(game, *(ON_WHEEL if axes else ON_WHEEL[:-1]), *axes), folder=tmp_path))
        assert re.search(told, line), line


@pytest.mark.parametrize("pedals", [("2-", "3-"), ("1:0-", "1:1-")], ids=["of the wheel", "a device of their own"])
def test_a_wheel_takes_over_and_is_missed(start_game: Start, tmp_path: Path, pedals: tuple[str, str]) -> None:
    (tmp_path / "policies.py").write_text(POLICIES + WHEEL, encoding="utf-8")
    game = start_game(*GAME)
    car = Car(game)
    with running(*flags(game, *ON_WHEEL, "0", *pedals, "--save-run"), folder=tmp_path) as process:
        wait_for(lambda: car.gamepad.steering < -0.4, "the wheel", 30)
        assert car.gamepad == pytest.approx((-0.5, 0, 0), abs=0.01)
        wait_for(lambda: car.gamepad.throttle == pytest.approx(0.6), "the policy, since the wheel is left alone", 5)
        assert car.gamepad.steering == 0
        wait_for(lambda: car.gamepad.throttle == pytest.approx(0.75, abs=0.01), "the pedal", 10)
        wait_for(lambda: not car.is_driven, "rest, since the wheel has gone", 10)
        code, output = ended(process)
    line = one_line(code, output)
    assert "was unplugged: plug it in and start again" in line
    assert output.count("the driver has taken over") == 2
    (saved,) = (tmp_path / "ac_telemetry_data").iterdir()
    manifest = Session.open(saved).manifest
    assert (manifest.state, manifest.ended_by) == ("complete", manifest.drive["ended_by"]), "whatever ended the drive"
    names = [name for _, name in manifest.drivers]
    assert names[-5:] == [HUMAN, NOBODY, "turned", HUMAN, NOBODY], "nobody after the end"
