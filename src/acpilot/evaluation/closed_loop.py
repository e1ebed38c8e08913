"""A policy at the wheel of the practice game, off-screen and as fast as the machine can; the same drive every time."""

import math
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self

import numpy as np

from acpilot.clock import NS
from acpilot.evaluation.drivers import Driver, ExpertDriver, Look
from acpilot.policy.policy import Command, checked
from acpilot.practice.car import Controls
from acpilot.practice.game import open_view, pose_of
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import Track
from acpilot.practice.world import DT, EXPERT_EVERY, World
from acpilot.progress import Progress

Reason = Literal["left the road", "facing backwards", "stuck"]

PUT_BACK_SPEED = 0.7
"""Share of the expert's speed at which the car is put back: room for a policy that enters bends more slowly."""
PATIENCE = 4.0
"""Times the expert's time, after which a drive ends with the laps that there are."""
_STUCK_SPEED, _STUCK_SECONDS = 2.0, 5.0  # m/s
_PERMILLE = 1000


class Camera:
    """The view from a car; opened only when somebody looks."""

    def __init__(self, world: World, settings: PracticeSettings) -> None:
        self._world, self._settings = world, settings
        self._stack = ExitStack()
        self._view: Any = None
        self._drawn = (-1, -1)
        self._picture = np.empty(0)

    @property
    def renderer(self) -> str | None:
        """What draws the pictures; None when nobody has looked."""
        return self._view.renderer if self._view else None

    def look(self) -> np.ndarray:
        """The world's picture now, uint8 (h, w, 3), RGB.

        Raises:
            AcpilotError: it cannot be drawn here.
        """
        world = self._world
        if self._view is None:
            self._view = open_view(self._settings, world.track, self._stack, offscreen=True)
        moment = (world.steps, world.resets)
        if moment != self._drawn:
            self._view.draw(pose_of(world), round(world.time * NS))
            self._picture, self._drawn = self._view.pixels(), moment
        return self._picture

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@dataclass(frozen=True)
class Intervention:
    """A moment at which the car had to be put back."""

    time: float
    """Seconds since the start."""
    lap: int
    """From 1."""
    metres: float
    """Along the centre line from the start line."""
    reason: Reason
    speed_kmh: float


class Observer:
    """Is told of a drive as it goes on; each method may be left as it is."""

    def at_step(self, world: World) -> None:
        """The world before the first step, and after each."""

    def decided(self, world: World, look: Look, command: Command) -> None:
        """The driver has decided on what it sees now."""

    def intervened(self, intervention: Intervention, look: Look, command: Command) -> None:
        """The car is about to be put back; ``command`` is what moved it last."""


@dataclass(frozen=True)
class Trace:
    """Where the car was and what it was given, at even times (off-screen every 12 ms); all arrays have shape (n,)."""

    x: np.ndarray
    """float64 metres, x east, y north."""
    y: np.ndarray
    aside: np.ndarray
    """float64 metres left of the expert's line."""
    speed_kmh: np.ndarray
    steering: np.ndarray
    """float64, the command in effect: −1 full left … +1 full right."""
    tyres_out: np.ndarray
    """int64, tyres beyond the kerb: 0 … 4."""
    put_back: np.ndarray
    """bool, the car was put back since the moment before."""


@dataclass(frozen=True)
class Drive:
    """What a drive was like."""

    elapsed: float
    """Seconds of the game."""
    lap_times: tuple[float, ...]
    """Seconds of each completed lap, the first from rest."""
    interventions: tuple[Intervention, ...]
    trace: Trace

    @property
    def autonomy(self) -> float:
        """Percent: (1 − interventions × 6 s / elapsed time) × 100, and not below 0.

        As in NVIDIA's "End to End Learning for Self-Driving Cars" (arXiv 1604.07316, section 7.1), where six seconds
        are what a human takes to take over, re-centre the car and hand it back.
        """
        return max(0.0, 100 * (1 - 6 * len(self.interventions) / self.elapsed))

    @property
    def steering_change(self) -> float:
        """Mean absolute change of the steering command per second; the less, the smoother."""
        change = np.abs(np.diff(self.trace.steering))[~self.trace.put_back[1:]]
        return float(change.sum()) / self.elapsed


class Watch:
    """Tells when the car must be put back."""

    def __init__(self) -> None:
        self._moved = 0.0

    def reason(self, time: float, speed: float, beyond_edge: float, turned: float) -> Reason | None:
        """Why it must be put back now; None when it need not.

        Args:
            time: seconds since the start.
            speed: m/s.
            beyond_edge: metres from the edge of the road out to the car's middle.
            turned: radians between the car and the direction of travel.
        """
        if speed >= _STUCK_SPEED:
            self._moved = time
        reason: Reason | None = None
        if beyond_edge > 0:
            reason = "left the road"
        elif abs(turned) > math.pi / 2:
            reason = "facing backwards"
        elif time - self._moved > _STUCK_SECONDS:
            reason = "stuck"
        if reason:
            self._moved = time
        return reason


def is_due(number: int, rate: float, world: World) -> bool:
    """Whether it is time for the one with this number, from 0, of what comes so many times a second."""
    return world.steps >= round(number / rate / DT)


@cache
def expert_drive(track: Track, laps: int) -> Drive:
    """The expert's own drive from the same start, without pictures; driven once, since it is the same each time."""
    return drive(ExpertDriver(), World(track, expert=True), Observer(), laps=laps, limit=math.inf)


def drive(  # noqa: PLR0913
    driver: Driver,
    world: World,
    observer: Observer,
    *,
    laps: int,
    limit: float,
    look: Look | None = None,
    delay_ms: float = 0.0,
    progress: Progress | None = None,
) -> Drive:
    """Drive from rest at the start line until the laps are complete.

    When the car's middle is beyond the edge of the road, the car faces backwards, or it has been slower than 2 m/s for
    5 s, it is put back on the expert's line beside that place, at 70 % of the expert's speed there.

    Args:
        driver: decides at its rate; a command holds until the next. Of two pedals the larger counts, as in acpilot
            drive.
        world: a new one, with an expert.
        observer: is told of everything.
        laps: how many.
        limit: seconds of the game after which the drive ends in any case.
        look: the picture; only needed by drivers and observers that look.
        delay_ms: so much later than decided a command takes effect.
        progress: told of the thousandths of the way.

    Raises:
        AcpilotError: a command is not of three finite numbers.
    """
    see = look or _blind
    watch, interventions, rows, lap_times = Watch(), list[Intervention](), list[tuple[float, ...]](), list[float]()
    pending: deque[tuple[int, Controls]] = deque()
    delay, decisions, put_back = round(delay_ms / 1000 / DT), 0, False
    driver.reset()
    observer.at_step(world)
    while world.lap < laps and world.time < limit:
        if is_due(decisions, driver.rate, world):
            when = f"on {world.track.name}, {world.time:.1f} s after the start"
            command = checked(driver.decide(world, see), driver.name, when)
            decisions += 1
            pending.append((world.steps + delay, Controls(*command.with_one_pedal())))
            observer.decided(world, see, command)
        while pending and pending[0][0] <= world.steps:
            world.controls = pending.popleft()[1]
        if world.steps % EXPERT_EVERY == 0:
            rows.append(_row(world, put_back))
            put_back = False
            if progress:
                progress(round(_PERMILLE * (world.lap + world.progress)), _PERMILLE * laps)
        world.step(world.controls)
        if world.lap > len(lap_times) and world.last_lap_time is not None:
            lap_times.append(world.last_lap_time)
        if reason := watch.reason(world.time, world.car.speed, world.beyond_edge, world.turned):
            put_back = True
            metres, speed = world.progress * world.track.length, world.car.speed * 3.6
            interventions.append(Intervention(world.time, world.lap + 1, metres, reason, speed))
            given = world.controls
            observer.intervened(interventions[-1], see, Command(given.steering, given.throttle, given.brake))
            world.put_on_line(PUT_BACK_SPEED)
            pending.clear()  # they were meant for another place
            driver.reset()
        observer.at_step(world)
    x, y, aside, speed_kmh, steering, tyres_out, moved = np.array(rows).T
    trace = Trace(x, y, aside, speed_kmh, steering, tyres_out.astype(np.int64), moved.astype(bool))
    return Drive(world.time, tuple(lap_times), tuple(interventions), trace)


def _blind() -> np.ndarray:
    raise AssertionError("this drive has no picture")


def _row(world: World, put_back: bool) -> tuple[float, ...]:
    assert world.expert is not None
    car = world.car
    aside = world.expert.place(car)[1]
    return car.x, car.y, aside, car.speed * 3.6, world.controls.steering, world.tyres_out, put_back
