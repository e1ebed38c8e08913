"""What drives: a picture and a speed go in, a command comes out."""

import math
from typing import Literal, NamedTuple, Protocol

import numpy as np

from acpilot.errors import AcpilotError

Device = Literal["auto", "cpu", "cuda", "directml"]
"""Where a policy is computed."""


LIMITS = {"steering": (-1.0, 1.0), "throttle": (0.0, 1.0), "brake": (0.0, 1.0)}
"""Least and most of each part of a command, in their order."""


class Command(NamedTuple):
    """Where wheel and pedals are to be: what a policy wants, what a driver does, where a gamepad stands."""

    steering: float
    """−1 full left … +1 full right."""
    throttle: float
    """0 … 1."""
    brake: float
    """0 … 1."""

    def limited(self) -> "Command":
        """The command nearest to this within its range; what is not a number stays so, for others to refuse."""
        return Command(*(min(max(value, low), high) for value, (low, high) in zip(self, LIMITS.values(), strict=True)))

    def with_one_pedal(self) -> "Command":
        """The same with the larger of the pedals alone, the brake if neither is: nobody drives with both."""
        if self.throttle > self.brake:
            return self._replace(brake=0.0)
        return self._replace(throttle=0.0)


REST = Command(0.0, 0.0, 0.0)


class Policy(Protocol):
    """Drives from pictures; may remember earlier ones, so one object drives one car."""

    name: str
    """Of its file, for people."""
    rate: float
    """Decisions a second that it was trained for."""
    needs_speed: bool
    """Whether ``speed_kmh`` matters to it."""

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of a picture of that size that it looks at: left, top, width, height, pixels."""
        ...

    def drive(self, band: np.ndarray, speed_kmh: float) -> Command:
        """Decide.

        Args:
            band: that part of the newest picture, uint8 (h, w, 3), RGB, in the picture's own resolution.
            speed_kmh: of the car; any number when the policy does not need it.
        """
        ...

    def reset(self) -> None:
        """Forget earlier pictures: the car was put somewhere else."""
        ...


def note_of(policy: Policy) -> str:
    """What is to be told of a policy before it drives; nothing of a user's own, which may mean anything by ``note``."""
    note = getattr(policy, "note", "")
    return note if isinstance(note, str) else ""


def checked(command: Command, name: str, when: str) -> Command:
    """What the policy of that name commanded, within its limits.

    Args:
        command: as the policy returned it.
        name: of the policy, for people.
        when: where and when it did, for people: "on oval, 1.2 s after the start".

    Raises:
        AcpilotError: it is not of three finite numbers.
    """
    values = tuple(float(value) for value in command)
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise AcpilotError(
            f"{name} returned {', '.join(f'{value:g}' for value in values)} for steering, throttle, brake {when}: it "
            "cannot drive; train it anew"
        )
    return Command(*values).limited()
