"""What drives: a picture and a speed go in, a command comes out."""

from typing import NamedTuple, Protocol

import numpy as np


class Command(NamedTuple):
    """What a policy wants the car to do."""

    steering: float
    """−1 full left … +1 full right."""
    throttle: float
    """0 … 1."""
    brake: float
    """0 … 1."""


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
