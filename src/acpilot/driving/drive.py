"""A policy drives the game: from waiting for it to a gamepad at rest, whatever happens in between."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acpilot.clock import NS, now
from acpilot.commands import install_extra
from acpilot.desktop.capture import open_capture
from acpilot.desktop.stopping import Stop
from acpilot.desktop.window import find_window
from acpilot.driving.debug_window import DebugWindow
from acpilot.driving.game import Game
from acpilot.driving.gamepad import Gamepad, open_gamepad
from acpilot.driving.loop import LATE, Cycle, DrivingLoop
from acpilot.driving.run_recorder import RunRecorder
from acpilot.driving.settings import DriveSettings
from acpilot.driving.takeover import Takeover
from acpilot.driving.telling import Telling
from acpilot.errors import AcpilotError
from acpilot.policy.load import open_policy
from acpilot.policy.policy import REST, Policy, note_of
from acpilot.progress import Say, Show
from acpilot.recording.record import undisturbed
from acpilot.recording.waiting import wait_for_game
from acpilot.session.folder import Session
from acpilot.session.manifest import HUMAN, NOBODY, settings_record
from acpilot.telemetry.pages import PHYSICS
from acpilot.telemetry.shared_memory import PageReader
from acpilot.threads import guarded_thread

_LOOK = 0.01
"""Seconds between two looks at the loop: Escape is heard within them."""
_HUNG = 2.0
"""Seconds after which a cycle that is still under way is taken for a hang."""
_BRAKING, _STANDING_KMH = 5.0, 1.0
_FASTEST = 240.0  # decisions a second


@dataclass
class DriveReport:
    """How a policy drove; its fields are what is stored and printed as JSON."""

    settings: dict[str, Any]
    policy: str
    gamepad: str
    capture: str = ""
    target_hz: float = 0.0
    achieved_hz: float = 0.0
    cycles: int = 0
    missed: int = 0
    """Ticks without a cycle, because an earlier one took too long."""
    overruns: int = 0
    """Decisions that came too late to be used."""
    takeovers: int = 0
    """How often a driver took over."""
    latency_ms: dict[str, float] = field(default_factory=dict)
    """From grab to gamepad: median, p99, worst."""
    ended_by: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"drove     {self.policy} with the gamepad {self.gamepad}, seen through {self.capture}"
        yield f"ended by  {self.ended_by}"
        yield (
            f"rate      {self.achieved_hz:.1f} of {self.target_hz:g} Hz, {self.cycles} cycles, {self.missed} missed, "
            f"{self.overruns} decisions too late"
        )
        if self.latency_ms:
            told = ", ".join(f"{name} {value:.1f}" for name, value in self.latency_ms.items())
            yield f"latency   {told} ms from grab to gamepad"
        if self.settings["takeover"]:
            yield f"takeovers {self.takeovers}"


@dataclass(frozen=True)
class DriveEnding:
    """How a drive ended."""

    report: DriveReport
    session: Session | None
    """The run, if it was saved."""
    fault: AcpilotError | None
    """What ended it, when that was not the user's wish."""


def drive(settings: DriveSettings, say: Say, show: Show) -> DriveEnding:
    """Let a policy drive until there is a reason to stop; the gamepad is at rest and released then.

    Args:
        settings: how.
        say: is told what stays: notes, and once a second how it goes.
        show: is told what is replaced by the next: how it goes now.

    Raises:
        AcpilotError: it could not be begun.
    """
    policy = open_policy(settings.model, settings.outputs, settings.device)
    _refuse_what_cannot_be(policy, settings)
    if note := note_of(policy):
        say(f"note  {note}")
    with ExitStack() as stack:
        # The driver's wheel comes before the gamepad, which could be taken for it; the gamepad before the game, since
        # games look for devices when they start.
        takeover = stack.enter_context(Takeover(settings)) if settings.takeover else None
        gamepad = stack.enter_context(open_gamepad(settings.gamepad, settings.pages))
        with Stop(escape=False) as stop:  # Escape leaves the game's own menus while somebody gets on the track
            name = settings.pages if settings.telemetry else None
            reader = wait_for_game(name, settings.title, settings.wait, stop, show)
        if reader is not None:
            stack.enter_context(reader)
        stop = stack.enter_context(Stop(settings.duration))
        if settings.stop_key and stop.ways == ["Ctrl-C"]:
            raise AcpilotError(
                "Escape cannot be heard here, only Ctrl-C: it is the key that stops the car (acpilot doctor says more; "
                f"on Wayland {install_extra('wayland')}); --no-stop-key drives all the same"
            )
        stack.enter_context(undisturbed())
        return _Drive(policy, gamepad, reader, takeover, settings, stop).run(say, show)


def _refuse_what_cannot_be(policy: Policy, settings: DriveSettings) -> None:
    if not 0 < policy.rate <= _FASTEST:
        raise AcpilotError(f"{policy.name} wants {policy.rate:g} decisions a second: it must be 0 to {_FASTEST:g}")
    if not settings.telemetry:
        wanted = {
            f"{policy.name} needs the speed": getattr(policy, "needs_speed", False),
            "--speed-limit needs the speed": settings.speed_limit is not None,
            "--save-run records the telemetry": settings.save_run,
        }
        if reasons := [reason for reason, holds in wanted.items() if holds]:
            raise AcpilotError(f"{reasons[0]}: leave --no-telemetry out")
    if policy.name in (NOBODY, HUMAN):
        raise AcpilotError(f"a policy cannot be named {policy.name!r}: that says that no policy drives; rename it")
    if settings.takeover and settings.assist != "both":
        raise AcpilotError(
            "--takeover gives the driver all controls, --assist leaves some to another device: leave one of them out"
        )
    preprocessing = getattr(policy, "preprocessing", None)
    if settings.rate not in (None, policy.rate) and preprocessing is not None and preprocessing.past_frames:
        raise AcpilotError(
            f"{policy.name} looks at earlier pictures too, at {policy.rate:g} a second as it was trained: leave --rate "
            "out"
        )


class _Drive:
    """One drive: the loop in a thread of its own, watched over by the thread that runs it."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        policy: Policy,
        gamepad: Gamepad,
        reader: PageReader | None,
        takeover: Takeover | None,
        settings: DriveSettings,
        stop: Stop,
    ) -> None:
        self.failure: Exception | None = None
        self._policy, self._gamepad, self._reader, self._takeover = policy, gamepad, reader, takeover
        self._settings, self._stop = settings, stop
        self._loop: DrivingLoop | None = None
        self._run: RunRecorder | None = None
        self._cycles: deque[Cycle] = deque(maxlen=1000)
        self._notes: deque[str] = deque()
        self._ending, self._ended = threading.Event(), threading.Event()
        self._thread = guarded_thread(self, self._drive, "driving loop", self._ended)
        device = getattr(policy, "device", None)
        told = policy.name if device is None else f"{policy.name} ({device})"
        self._report = DriveReport(settings_record(settings), told, settings.gamepad)

    def run(self, say: Say, show: Show) -> DriveEnding:
        """Drive until there is a reason to stop."""
        settings, report, stop = self._settings, self._report, self._stop
        fault: AcpilotError | None = None
        with ExitStack() as stack:
            window = stack.enter_context(DebugWindow(self._policy)) if settings.debug_window else None
            run = RunRecorder(settings, self._policy.name, self._policy.rate) if settings.save_run else None
            self._run = run
            stop.start_duration()
            self._thread.start()
            try:
                say(f"{self._policy.name} drives; {' or '.join(stop.ways)} stops")
                if self._takeover is not None:
                    again = f"; {settings.hand_back:g} s after its last use the policy drives again"
                    how_long = again if settings.hand_back else " until the drive ends"
                    say(f"who uses {self._takeover.name} takes over{how_long}")
                fault = self._watch_over(Telling(say, show, run, window))
            finally:
                self._ending.set()
                self._let_go(settings.brake_on_stop)
                report.ended_by = str(fault or stop.reason or "an error of acpilot's own")
                self._take_figures()
                if settings.brake_on_stop:
                    self._stand_still()
                self._thread.join(1.0)
                if run is not None:
                    show("finishing the session of the run ...")
                    lost = run.finish(report.ended_by, vars(report))
                    fault = fault or lost
        return DriveEnding(report, run.session if run is not None else None, fault)

    def _drive(self) -> None:
        """The loop's thread."""
        settings = self._settings
        with ExitStack() as stack:
            window = find_window(settings.title)
            stack.callback(window.close)
            capture, why = open_capture(settings.capture, window)
            stack.callback(capture.close)
            if why:
                self._notes.append(f"pictures are taken with {capture.name}: {why}")
            self._report.capture = capture.name
            loop = DrivingLoop(self._policy, Game(window, capture, self._reader), self._gamepad, settings)
            self._loop = loop
            if self._takeover is not None:
                self._takeover.loop = loop
            try:
                # Here too, since a terminal can hold up the thread that watches over this one while it prints.
                while self._stop.reason is None and not self._ending.is_set():
                    cycle = loop.cycle()
                    self._cycles.append(cycle)
                    if self._run is not None:
                        self._run.drives(cycle.driver, cycle.instant)
            finally:
                loop.let_go(self._settings.brake_on_stop)
                if self._run is not None and loop.let_go_at is not None:
                    self._run.drives(NOBODY, loop.let_go_at)

    def _watch_over(self, telling: Telling) -> AcpilotError | None:
        """Look at the loop until there is a reason to stop; the fault that was the reason, if one was."""
        while not self._stop.wait(_LOOK):
            ended = self._ended.is_set()
            while self._notes:
                telling.note(self._notes.popleft())
            while self._cycles:
                telling.add(self._cycles.popleft())
            failure = self.failure or (self._takeover.failure if self._takeover is not None else None)
            if ended or failure is not None:
                if failure is None or isinstance(failure, AcpilotError):
                    return failure
                raise failure
            if self._loop is not None:
                late = self._loop.rest_if_late()
                if late > _HUNG:
                    return AcpilotError(f"{self._policy.name} has not answered for {_HUNG:g} s: the drive ends")
                if late and self._loop.taken_over is None:
                    telling.rest(LATE)
                telling.tell(self._loop.game.area)
        return None

    def _let_go(self, brake: bool) -> None:
        if self._loop is None:
            self._gamepad.set(*REST)
        else:
            self._loop.let_go(brake)

    def _stand_still(self) -> None:
        """Wait until the car stands, which brakes, then let go of the brake."""
        deadline = now() + round(_BRAKING * NS)
        while now() < deadline:
            page = self._reader.physics() if self._reader is not None else None
            if page is not None and np.frombuffer(page, PHYSICS)[0]["speed_kmh"] < _STANDING_KMH:
                break
            time.sleep(_LOOK)
        self._let_go(False)

    def _take_figures(self) -> None:
        report, loop = self._report, self._loop
        if loop is None:
            return
        pace, latency = loop.pacer.report(), loop.latency
        report.target_hz, report.achieved_hz = pace.target_hz, round(pace.achieved_hz, 2)
        report.cycles, report.missed = pace.cycles, pace.missed
        report.overruns, report.takeovers = loop.overruns, loop.takeovers
        if latency.events:
            shares = {"median": 0.5, "p99": 0.99, "worst": 1.0}
            report.latency_ms = {name: latency.percentile_ms(share) for name, share in shares.items()}
