"""Leads the expert away from its line from time to time, so that its drive shows how to come back."""

import math
from random import Random

_REST = (3.0, 7.0)  # seconds undisturbed, from shortest to longest
_SPELL = (1.5, 3.5)  # seconds disturbed
_WIDTH = (1.0, 2.4)  # metres at full strength


class Disturbance:
    """Spells of drifting to one side, smooth, at times and by amounts that the seed decides."""

    def __init__(self, seed: int, strength: float) -> None:
        """Start undisturbed.

        Args:
            seed: Decides everything.
            strength: 0 (never disturbed) to 1.
        """
        self._random = Random(seed)
        self._strength = strength
        self._elapsed = 0.0
        self._spell = 0.0
        self._width = 0.0
        self._rest = 0.0
        self.pause()

    @property
    def active(self) -> bool:
        """Whether a spell is on."""
        return self._strength > 0 and self._elapsed > self._rest

    def pause(self) -> None:
        """Begin an undisturbed stretch, with a new spell to follow."""
        self._elapsed = 0.0
        self._rest, self._spell, width = (self._between(*limits) for limits in (_REST, _SPELL, _WIDTH))
        self._width = math.copysign(width, self._random.random() - 0.5) * self._strength

    def shift(self, seconds: float) -> float:
        """Let time pass, and return how far left of its line the driver is now led, metres."""
        self._elapsed += seconds
        if self._elapsed > self._rest + self._spell:
            self.pause()
        if not self.active:
            return 0.0
        return self._width * math.sin(math.pi * (self._elapsed - self._rest) / self._spell) ** 2

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()
