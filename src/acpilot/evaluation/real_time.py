"""A policy at the wheel of the practice game in real time: through its window, its pages and the virtual gamepad."""

import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import numpy as np

from acpilot.clock import NS, now
from acpilot.demo import practice_game, virtual_display
from acpilot.desktop.capture import open_capture
from acpilot.desktop.window import Window, WindowNotFoundError, find_window
from acpilot.driving.game import Game
from acpilot.driving.loop import DrivingLoop
from acpilot.driving.settings import DriveSettings
from acpilot.driving.virtual_gamepad import VirtualGamepad
from acpilot.errors import AcpilotError
from acpilot.evaluation.closed_loop import Drive, Intervention, Observer, Trace, Watch
from acpilot.policy.policy import REST, Policy
from acpilot.practice.closed_path import ClosedPath
from acpilot.practice.racing_line import make_racing_line
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import Track
from acpilot.progress import Progress
from acpilot.telemetry.pages import GRAPHICS
from acpilot.telemetry.shared_memory import PageReader

Found = TypeVar("Found")

_START_SECONDS, _PUT_BACK_SECONDS = 60.0, 5.0


class _Car:
    """The car as its memory pages tell of it."""

    def __init__(self, game: Game, track: Track) -> None:
        self._game, self._track = game, track
        self._center = ClosedPath(track.center[:, :2])
        self._line = ClosedPath(make_racing_line(track).points)
        self.update()

    def update(self) -> None:
        """What the game's last look tells."""
        game = self._game
        assert game.reader is not None
        self.physics, self.speed_kmh = game.physics, float(game.physics["speed_kmh"])
        self.graphics = np.frombuffer(game.reader.graphics(), GRAPHICS)[0]
        # The game's z is south; its heading is measured clockwise from north.
        self.x, self.y = float(self.graphics["position_m"][0]), -float(self.graphics["position_m"][2])
        position, lateral = self._center.project(self.x, self.y, self._center.nearest(self.x, self.y))
        self.metres = position * self._track.spacing
        self.beyond_edge = abs(lateral) - float(self._track.half_width[int(position)])
        heading = math.pi / 2 - float(self.physics["heading"])
        self.turned = math.remainder(heading - float(self._track.heading[int(position)]), math.tau)
        self.aside = self._line.project(self.x, self.y, self._line.nearest(self.x, self.y))[1]
        self.laps = int(self.graphics["completed_laps"])


def drive_in_real_time(  # noqa: PLR0913, PLR0917
    policy: Policy,
    track: Track,
    settings: PracticeSettings,
    observer: Observer,
    laps: int,
    limit: float,
    progress: Progress,
) -> tuple[Drive, str]:
    """Start the practice game in a window and drive it; returns the drive, and how steadily decisions were made.

    The rules are those of ``drive``, but that the car is put back in the middle of the road, at rest, as the game
    does it.

    Args:
        policy: decides at its rate on what the screen shows then.
        track: where.
        settings: how the game is drawn, and its track's name.
        observer: is told of interventions.
        laps: how many.
        limit: seconds after which the drive ends in any case.
        progress: told of the thousandths of the way.

    Raises:
        AcpilotError: the game or its window cannot be had, or the policy cannot drive.
    """
    name = f"acpilot_evaluate_{os.getpid()}"
    flags = {
        "driver": "virtual", "track": track.name, "title": name, "pages": name, "camera": settings.camera,
        "light": settings.light, "renderer": settings.renderer,
    }  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(virtual_display())
        process = stack.enter_context(
            practice_game(*(word for flag, value in flags.items() for word in (f"--{flag}", value)), "--size",
                          *map(str, settings.size))
        )  # fmt: skip

        def alive() -> None:
            if process.poll() is not None:
                raise AcpilotError("it ended by itself")

        reader = stack.enter_context(_until(lambda: _live(name), _START_SECONDS, "did not start", alive))
        window = _until(lambda: _window(name), _START_SECONDS, "has no window", alive)
        stack.callback(window.close)
        capture, _ = open_capture("auto", window)
        stack.callback(capture.close)
        gamepad = stack.enter_context(VirtualGamepad(name))
        game = Game(window, capture, reader)
        loop = DrivingLoop(policy, game, gamepad, DriveSettings())
        car, watch = _Car(game, track), Watch()
        rows, interventions, lap_times = list[tuple[float, ...]](), list[Intervention](), list[float]()
        start, elapsed, put_back = now(), 0.0, False
        while car.laps < laps and elapsed < limit:
            alive()
            cycle = loop.cycle()
            car.update()
            elapsed = (now() - start) / NS
            rows.append((car.x, car.y, car.aside, car.speed_kmh, cycle.applied.steering,
                         float(car.physics["tyres_out"]), put_back))  # fmt: skip
            put_back = False
            if car.laps > len(lap_times):
                lap_times.append(float(car.graphics["last_lap_ms"]) / 1000)
            progress(round(1000 * (car.laps + float(car.graphics["normalized_position"]))), 1000 * laps)
            if reason := watch.reason(elapsed, car.speed_kmh / 3.6, car.beyond_edge, car.turned):
                put_back = True
                interventions.append(Intervention(elapsed, car.laps + 1, car.metres, reason, car.speed_kmh))
                observer.intervened(interventions[-1], game.picture, cycle.applied)
                _put_back(gamepad, game, car, alive)
                loop.reset()
        x, y, aside, speed_kmh, steering, tyres_out, moved = np.array(rows).T
        trace = Trace(x, y, aside, speed_kmh, steering, tyres_out.astype(np.int64), moved.astype(bool))
        return Drive(elapsed, tuple(lap_times), tuple(interventions), trace), f"decisions: {loop.pacer.report()}"


def _put_back(gamepad: VirtualGamepad, game: Game, car: _Car, alive: Callable[[], None]) -> None:
    """Have the game put the car back, and wait until it stands."""
    gamepad.set(*REST)
    gamepad.put_back()

    def stands() -> bool | None:
        game.look()
        car.update()
        return (car.speed_kmh < 1 and car.beyond_edge < 0) or None

    _until(stands, _PUT_BACK_SECONDS, "does not put the car back", alive)


def _until(find: Callable[[], Found | None], seconds: float, otherwise: str, alive: Callable[[], None]) -> Found:
    deadline = now() + round(seconds * NS)
    while (found := find()) is None:
        alive()
        if now() > deadline:
            raise AcpilotError(f"the practice game {otherwise} within {seconds:g} s: try acpilot practice by hand")
        time.sleep(0.005)
    return found


def _live(pages: str) -> PageReader | None:
    reader = PageReader.open(pages)
    if reader is None or reader.is_live(0.5):
        return reader
    reader.close()
    return None


def _window(title: str) -> Window | None:
    try:
        return find_window(title)
    except WindowNotFoundError:
        return None
