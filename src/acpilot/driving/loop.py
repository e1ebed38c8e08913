"""The driving loop: grab → policy → gamepad, at a steady rate; the newest picture or none."""

import traceback
from dataclasses import dataclass
from threading import Lock

import numpy as np

from acpilot.clock import NS, Lateness, Pacer, now
from acpilot.desktop.window import Area
from acpilot.driving.controls import Controls
from acpilot.driving.game import Game
from acpilot.driving.gamepad import Gamepad
from acpilot.driving.guard import Guard
from acpilot.driving.settings import DriveSettings
from acpilot.errors import AcpilotError
from acpilot.policy.policy import REST, Command, Policy, checked
from acpilot.session.manifest import HUMAN, NOBODY

LATE = "the policy has not answered in time"
_UNKNOWN_SPEED = -1.0


@dataclass(frozen=True)
class Cycle:
    """What one cycle did."""

    driver: str
    """Whose command it was: the policy's name, ``HUMAN`` or ``NOBODY``."""
    why_rest: str
    """Why nobody drove, for people; empty when somebody did."""
    instant: int
    """ns, monotonic clock: when the picture of the policy began to be taken, or since when somebody else drives."""
    latency: int
    """ns from then until the gamepad had the command; 0 when the policy did not drive."""
    command: Command
    """The policy's, or the driver's."""
    applied: Command
    """The gamepad's."""
    speed_kmh: float | None
    """None when it is not known."""
    picture: np.ndarray | None
    """What the policy saw, uint8 (h, w, 3), RGB; None when it did not look."""


class DrivingLoop:
    """Lets a policy drive, a cycle at a time.

    ``cycle`` is for the thread that the game was found in; ``take_over``, ``hand_back``, ``rest_if_late`` and
    ``let_go`` are for any other, so that the policy never has the gamepad to itself, not even when it hangs.
    """

    def __init__(self, policy: Policy, game: Game, gamepad: Gamepad, settings: DriveSettings) -> None:
        self.latency = Lateness()
        """From grab to gamepad, of all cycles in which the policy drove."""
        self.overruns = 0
        """Decisions that came too late to be used."""
        self.takeovers = 0
        """How often a driver took over."""
        self.taken_over: int | None = None
        """ns: since when a driver drives; None when none does."""
        self.let_go_at: int | None = None
        """ns: since when nobody moves the gamepad any more; None before the end."""
        self.applied = REST
        """Where the gamepad was moved to last."""
        self.began = 0
        """ns: when the cycle that is under way began; 0 between two."""
        self.game = game
        self.pacer = Pacer(settings.rate or policy.rate)
        self._policy, self._gamepad = policy, gamepad
        self._controls, self._guard = Controls(settings), Guard(game, settings)
        # Policies of acpilot's own take views; what a user's function makes of one is not known.
        self._takes_views = hasattr(policy, "preprocessing")
        self._late_after = round(NS / self.pacer.hz + settings.grace_ms * 1e6)
        self._shaped, self._drives = 0, False
        self._setting = Lock()
        self._handed_back: int | None = None

    def cycle(self) -> Cycle:
        """Wait for the next tick, look, decide, and move the gamepad.

        Raises:
            AcpilotError: the drive must end.
        """
        self.pacer.wait()
        self.began = now()
        try:
            return self._cycle()
        finally:
            self.began = 0

    def _cycle(self) -> Cycle:
        game = self.game
        game.look()
        band = Area(*self._policy.band(game.area.width, game.area.height))
        why = self._guard.why_rest(band)
        if (since := self.taken_over) is not None:
            return self._driven_by_human(since)
        if (since := self._handed_back) is not None:
            self._handed_back = None
            return self._rest("the driver has let go", since)
        if why:
            return self._rest(why, now())
        grabbed = now()
        picture = game.picture(band)
        self._guard.check_picture(picture)
        if not self._drives:
            self._policy.reset()
            self._drives = True
        command = self._decide(picture)
        if now() - self.began > self._late_after:
            self.overruns += 1
            return self._rest(LATE, now())
        applied = self._controls.shape(command, (grabbed - (self._shaped or grabbed)) / NS, game.speed_kmh)
        self._shaped = grabbed
        if (since := self._set(applied)) is not None:
            return self._driven_by_human(since)
        latency = now() - grabbed
        self.latency.add(latency)
        return Cycle(self._policy.name, "", grabbed, latency, command, applied, game.speed_kmh, picture)

    def _decide(self, picture: np.ndarray) -> Command:
        policy, speed = self._policy, self.game.speed_kmh
        when = f"{(now() - self.pacer.start) / NS:.1f} s after the start"
        band = picture if self._takes_views else np.ascontiguousarray(picture)
        try:
            command = policy.drive(band, _UNKNOWN_SPEED if speed is None else speed)
        except AcpilotError:
            raise
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise AcpilotError(
                f"{policy.name} failed {when}: {type(error).__name__}: {error} ({at.filename}, line {at.lineno})"
            ) from error
        return checked(command, policy.name, when)

    def _rest(self, why: str, since: int) -> Cycle:
        if (taken_over := self._set(REST)) is not None:
            return self._driven_by_human(taken_over)
        self.reset()
        return Cycle(NOBODY, why, since, 0, REST, REST, self.game.speed_kmh, None)

    def _driven_by_human(self, since: int) -> Cycle:
        self.reset()
        return Cycle(HUMAN, "", since, 0, self.applied, self.applied, self.game.speed_kmh, None)

    def reset(self) -> None:
        """What comes does not follow from what was: the policy has not driven, or the car was put somewhere else."""
        self._controls.reset()
        self._guard.reset()
        self._shaped, self._drives = 0, False

    def take_over(self, state: Command, instant: int) -> None:
        """A driver moves the gamepad there at this instant; the policy does not move it until it is handed back."""
        with self._setting:
            if self.taken_over is None:
                self.taken_over = instant
                self.takeovers += 1
            self._move(state)

    def hand_back(self, let_go: int) -> None:
        """Let the policy drive again, after a cycle at rest: the driver let go at this instant."""
        with self._setting:
            self.taken_over, self._handed_back = None, let_go

    def rest_if_late(self) -> float:
        """Bring the controls to rest when a cycle takes too long; for how many seconds it has then been under way.

        A driver who has taken over keeps them.
        """
        began = self.began
        taken = now() - began if began else 0
        if taken <= self._late_after:
            return 0.0
        self._set(REST)
        return taken / NS

    def let_go(self, brake: bool) -> None:
        """Bring the controls to rest, or brake; nobody moves them any more."""
        with self._setting:
            self.let_go_at = self.let_go_at or now()
            self._gamepad.set(0.0, 0.0, float(brake))

    def _set(self, command: Command) -> int | None:
        """Move the gamepad, unless a driver has taken over: then since when."""
        with self._setting:
            if self.taken_over is None:
                self._move(command)
            return self.taken_over

    def _move(self, command: Command) -> None:
        if self.let_go_at is None:
            self._gamepad.set(*command)
            self.applied = command
