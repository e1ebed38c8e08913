"""The driving loop: grab → policy → gamepad, at a steady rate; the newest picture or none."""

import traceback
from dataclasses import dataclass
from threading import Lock

import numpy as np

from acpilot.clock import NS, Lateness, Pacer, now
from acpilot.driving.controls import Controls
from acpilot.driving.game import Game
from acpilot.driving.gamepad import Gamepad
from acpilot.driving.guard import Guard
from acpilot.errors import AcpilotError
from acpilot.policy.policy import REST, Command, Policy, checked
from acpilot.settings import DriveSettings

NOBODY = ""
"""Drives while the controls are at rest."""
LATE = "the policy has not answered in time"
_UNKNOWN_SPEED = -1.0


@dataclass(frozen=True)
class Cycle:
    """What one cycle did."""

    driver: str
    """Whose command it was: the policy's name, or nobody's."""
    why_rest: str
    """Why nobody drove, for people; empty when somebody did."""
    grabbed: int
    """ns, monotonic clock: when the picture began to be taken."""
    latency: int
    """ns from then until the gamepad had the command; 0 when nobody drove."""
    command: Command
    """The policy's."""
    applied: Command
    """The gamepad's."""
    speed_kmh: float | None
    """None when it is not known."""
    picture: np.ndarray | None
    """What the policy saw, uint8 (h, w, 3), RGB; None when it did not look."""


class DrivingLoop:
    """Lets a policy drive, a cycle at a time.

    ``cycle`` is for the thread that the game was found in; ``rest_if_late`` and ``let_go`` are for any other, so that
    the gamepad comes to rest even when the policy hangs.
    """

    def __init__(self, policy: Policy, game: Game, gamepad: Gamepad, settings: DriveSettings) -> None:
        self.latency = Lateness()
        """From grab to gamepad, of all cycles in which somebody drove."""
        self.overruns = 0
        """Decisions that came too late to be used."""
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
        self._setting, self._released = Lock(), False

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
        area = game.part(*self._policy.band(game.area.width, game.area.height))
        if why := self._guard.why_rest(area):
            return self._rest(why)
        grabbed = now()
        picture = game.picture(area)
        self._guard.check_picture(picture)
        if not self._drives:
            self._policy.reset()
            self._drives = True
        command = self._decide(picture)
        if now() - self.began > self._late_after:
            self.overruns += 1
            return self._rest(LATE)
        applied = self._controls.shape(command, (grabbed - (self._shaped or grabbed)) / NS, game.speed_kmh)
        self._shaped = grabbed
        self._set(applied)
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

    def _rest(self, why: str) -> Cycle:
        self._set(REST)
        self.reset()
        return Cycle(NOBODY, why, now(), 0, REST, REST, self.game.speed_kmh, None)

    def reset(self) -> None:
        """What comes does not follow from what was: the controls are at rest, or the car was put somewhere else."""
        self._controls.reset()
        self._guard.reset()
        self._shaped, self._drives = 0, False

    def rest_if_late(self) -> float:
        """Bring the controls to rest when a cycle takes too long; for how many seconds it has then been under way."""
        began = self.began
        taken = now() - began if began else 0
        if taken <= self._late_after:
            return 0.0
        self._set(REST)
        return taken / NS

    def let_go(self, brake: bool) -> None:
        """Bring the controls to rest, or brake; no cycle moves them any more."""
        with self._setting:
            self._released = True
            self._gamepad.set(0.0, 0.0, float(brake))

    def _set(self, command: Command) -> None:
        with self._setting:
            if not self._released:
                self._gamepad.set(*command)
