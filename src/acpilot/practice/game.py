"""Plays the practice game: in real time with the physics in a process of its own, or as fast as the machine can."""

import gc
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from acpilot.clock import NS, Pacer, ask_for_punctuality, now
from acpilot.commands import install_extra
from acpilot.driving.keyboard import drive_by_keys
from acpilot.driving.virtual_gamepad import VirtualGamepadReader
from acpilot.errors import AcpilotError
from acpilot.policy.policy import Command
from acpilot.practice.car import Controls
from acpilot.practice.pose import Pose
from acpilot.practice.publishing import WorldPublisher
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import TRACK_NAMES, Track, make_track
from acpilot.practice.world import DT, World
from acpilot.progress import Say
from acpilot.telemetry.shared_memory import PagePublisher

_POSE_FIELDS = ("x", "y", "z", "heading", "pitch", "roll", "steering", "speed_kmh", "gear", "rpm")
_GEAR = _POSE_FIELDS.index("gear")
_WARM_UP = 5  # pictures: the first ones load textures and compile, which takes long enough to be seen as a stall
_MAX_CATCH_UP = 40  # physics steps: after a longer stall the game is slow for a moment rather than jumping


def play(settings: PracticeSettings, say: Say) -> None:
    """Play until the window is closed, Ctrl-C, or the duration or laps are over; ends by saying the rates achieved.

    Raises:
        AcpilotError: there is no such track, no display, or another game is running.
    """
    if settings.list_tracks:
        for name in TRACK_NAMES:
            track = make_track(name)
            say(f"{name:12} {track.length / 1000:.1f} km  {track.title}")
        say("random:SEED  one of your own, for any whole number SEED")
        return
    ensure_panda()
    track = track_named(settings.track)
    with _ended_by_signals():
        if settings.fast:
            _play_fast(settings, track, say)
        else:
            _play_in_real_time(settings, track, say)


def track_named(name: str) -> Track:
    """The track of that name.

    Raises:
        AcpilotError: there is none; the message lists them.
    """
    try:
        return make_track(name)
    except ValueError as error:
        raise AcpilotError(f"{error}; choose with --track") from None


def pose_of(world: World) -> Pose:
    """What the view needs to know of a world."""
    car = world.car
    return Pose(car.x, car.y, car.z, car.heading, car.pitch, car.roll, car.steering, car.speed * 3.6, car.gear, car.rpm)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the game as Ctrl-C does, so that the pages are taken away (also where a shell ignores Ctrl-C)."""

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _make_world(settings: PracticeSettings, track: Track) -> World:
    return World(
        track,
        seed=settings.seed,
        expert=settings.driver == "expert",
        pace=settings.pace,
        disturbance=settings.disturbance,
    )


def _is_over(settings: PracticeSettings, world: World) -> bool:
    return (settings.duration is not None and world.time >= settings.duration) or (
        settings.laps is not None and world.lap >= settings.laps
    )


# As fast as the machine can -------------------------------------------------------------------------------------------


def _play_fast(settings: PracticeSettings, track: Track, say: Say) -> None:
    if settings.duration is None and settings.laps is None:
        raise AcpilotError("--fast needs an end: give --duration or --laps")
    if settings.driver in ("keyboard", "gamepad"):
        raise AcpilotError("--fast has nobody at the wheel: give --driver expert or virtual")
    world, gamepad = _make_world(settings, track), VirtualGamepadReader(settings.pages)
    with PagePublisher(settings.pages) as publisher, ExitStack() as stack:
        pages = WorldPublisher(world, publisher)
        view = open_view(settings, track, stack, offscreen=True)
        say(f"{track.title}, {track.length / 1000:.1f} km; drawn by {view.renderer}")
        start, frames = now(), 0
        while not _is_over(settings, world):
            frames += 1
            due = round(frames / settings.fps / DT)
            while world.steps < due:
                world.step(_driven_by_gamepad(settings, gamepad))
                pages.publish()
            view.draw(pose_of(world), round(world.time * NS))
            view.pixels()
        elapsed = (now() - start) / NS
        pages.end()
    say(
        f"{world.time:.1f} s of game in {elapsed:.1f} s: {world.time / elapsed:.1f} times real time; "
        f"{frames / elapsed:.1f} frames and {world.steps / elapsed:.0f} physics steps a second; "
        f"{world.lap} laps, {world.resets} resets"
    )


def _driven_by_gamepad(settings: PracticeSettings, gamepad: VirtualGamepadReader) -> Controls | None:
    return None if settings.driver == "expert" else Controls(*gamepad.read())


def open_view(settings: PracticeSettings, track: Track, stack: ExitStack, *, offscreen: bool) -> Any:
    """Open a window on a track, or a picture of it off-screen: a ``View``, which the stack closes.

    Raises:
        AcpilotError: it cannot be drawn here.
    """
    from acpilot.practice.view import View, ViewOptions

    options = ViewOptions(
        title=settings.title, size=settings.size, offscreen=offscreen, renderer=settings.renderer,
        camera=settings.camera, light=settings.light, burn_clock=settings.burn_clock,
    )  # fmt: skip
    try:
        return stack.enter_context(View(track, options))
    except RuntimeError as error:
        remedy = "" if offscreen else "; without a display, --headless draws off-screen"
        raise AcpilotError(f"the practice game cannot be drawn: {error}{remedy}") from None


# In real time ---------------------------------------------------------------------------------------------------------


class _Link:
    """What the two processes of a game share: the pose, the controls and a few switches."""

    def __init__(self, context: Any) -> None:
        self._pose = context.RawArray("d", len(_POSE_FIELDS))
        self._instant: Synchronized[int] = context.RawValue("q", 0)
        self._sequence: Synchronized[int] = context.RawValue("q", 0)
        self.controls = context.RawArray("d", 3)
        self.paused: Synchronized[int] = context.RawValue("b", 0)
        self.resets: Synchronized[int] = context.RawValue("q", 0)
        self.ended = context.Event()
        self.ready = context.Event()
        self.failure = context.Array("c", 512)
        self.steps: Synchronized[int] = context.RawValue("q", 0)
        self.laps: Synchronized[int] = context.RawValue("q", 0)
        self.seconds: Synchronized[float] = context.RawValue("d", 0.0)

    def put_pose(self, pose: Pose, instant: int) -> None:
        """Store the newest pose; the sequence number is odd meanwhile."""
        self._sequence.value += 1
        for slot, name in enumerate(_POSE_FIELDS):
            self._pose[slot] = getattr(pose, name)
        self._instant.value = instant
        self._sequence.value += 1

    def get_pose(self) -> tuple[Pose, int]:
        """The newest whole pose and the instant of its physics step."""
        for _ in range(100_000):  # a writer that was killed half-way leaves an odd number for ever
            before = self._sequence.value
            values: list[Any] = list(self._pose)
            instant = self._instant.value
            if before == self._sequence.value and before % 2 == 0:
                values[_GEAR] = int(values[_GEAR])
                return Pose(*values), instant
        raise AcpilotError("the physics of the practice game has ended unexpectedly")


def _play_in_real_time(settings: PracticeSettings, track: Track, say: Say) -> None:
    context = multiprocessing.get_context("spawn")
    link = _Link(context)
    physics = context.Process(target=_run_physics, args=(settings, link), daemon=True, name="acpilot practice physics")
    with ExitStack() as stack:
        view = open_view(settings, track, stack, offscreen=settings.headless)
        start = pose_of(World(track))
        for _ in range(_WARM_UP):
            view.draw(start, now())
        physics.start()
        stack.callback(physics.join, 10.0)
        stack.callback(link.ended.set)
        while not link.ready.wait(0.2):
            if not physics.is_alive():
                raise AcpilotError("the physics of the practice game did not start")
        if link.failure.value:
            raise AcpilotError(link.failure.value.decode())
        say(f"{track.title}, {track.length / 1000:.1f} km; drawn by {view.renderer}; pages {settings.pages}_*")
        if view.renderer_note:
            say(view.renderer_note)
        if settings.driver == "gamepad" and view.gamepad() is None:
            say("no gamepad is connected: the car waits for one")
        pacer = Pacer(settings.fps)
        try:
            _show(settings, view, link, physics, pacer)
        finally:
            seconds = max(link.seconds.value, 1e-9)
            rate = link.steps.value / seconds
            say(f"frames: {pacer.report()}")
            say(f"physics: {rate:.1f} of {1 / DT:.1f} Hz over {seconds:.1f} s; {link.laps.value} laps")


def _show(settings: PracticeSettings, view: Any, link: _Link, physics: Any, pacer: Pacer) -> None:
    """Draw the newest pose at a steady rate and pass on what the player does, until the game ends."""
    held: frozenset[str] = frozenset()
    while not link.ended.is_set() and not view.closed:
        if not physics.is_alive():
            raise AcpilotError("the physics of the practice game has ended unexpectedly")
        pacer.wait()
        pose, instant = link.get_pose()
        view.draw(pose, instant)
        if settings.headless:
            view.pixels()
            continue
        keys = view.keys()
        if "p" in keys - held:
            link.paused.value = 1 - link.paused.value
        if "r" in keys - held:
            link.resets.value += 1
        held = keys
        if settings.driver == "keyboard":
            link.controls[:] = drive_by_keys(keys, Command(*link.controls), pose.speed_kmh, 1 / settings.fps)
        elif settings.driver == "gamepad":
            link.controls[:] = view.gamepad() or (0.0, 0.0, 0.0)


def _run_physics(settings: PracticeSettings, link: _Link) -> None:
    """The physics process: steps the world on time and publishes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the window's process, which ends this one
    try:
        publisher = PagePublisher(settings.pages)
    except AcpilotError as error:
        link.failure.value = str(error).encode()[:511]
        link.ready.set()
        return
    with publisher:
        world = _make_world(settings, make_track(settings.track))
        pages, gamepad = WorldPublisher(world, publisher), VirtualGamepadReader(settings.pages)
        pages.publish()
        link.put_pose(pose_of(world), now())
        link.ready.set()
        ask_for_punctuality()
        gc.collect()
        gc.freeze()
        gc.disable()  # the physics makes no cycles; a collection would cost a step
        _step_on_time(settings, link, world, pages, gamepad)
        pages.end()
        link.ended.set()


def _step_on_time(
    settings: PracticeSettings, link: _Link, world: World, pages: WorldPublisher, gamepad: VirtualGamepadReader
) -> None:
    parent = multiprocessing.parent_process()
    pacer = Pacer(1 / DT)
    resets, presses, done, driven = 0, 0, -1, 0
    while not link.ended.is_set() and not _is_over(settings, world):
        tick = pacer.wait()
        if tick % 100 == 0 and parent is not None and not parent.is_alive():
            return
        if link.resets.value != resets:
            resets = link.resets.value
            world.reset()
        if link.paused.value:
            pages.publish(paused=True)
            done = tick
            continue
        for _ in range(min(tick - done, _MAX_CATCH_UP)):
            controls = None
            if settings.driver == "virtual":
                controls = Controls(*gamepad.read())
                if gamepad.presses > presses:
                    world.reset()
                presses = gamepad.presses
            elif settings.driver != "expert":
                controls = Controls(*link.controls)
            world.step(controls)
            pages.publish()
        driven += tick - done
        done = tick
        link.put_pose(pose_of(world), now())
        link.steps.value, link.laps.value, link.seconds.value = world.steps, world.lap, driven * DT


def ensure_panda() -> None:
    """Raise one clear line when the practice game's extra is not installed."""
    try:
        import panda3d  # noqa: F401
    except ImportError:
        raise AcpilotError(
            f"the practice game needs Panda3D, which is not installed: {install_extra('practice')}"
        ) from None
