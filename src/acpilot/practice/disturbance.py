"""Pulls the expert's car away from its line and its speed from time to time, so that its drive shows the way back."""

import math
from random import Random

_REST = (3.0, 7.0)  # seconds undisturbed, from shortest to longest
_SPELL = (1.5, 3.5)  # seconds led aside
_LONG_SPELL = (2.0, 5.0)  # seconds slowed or pushed
_ASIDE = (1.0, 2.4)  # metres at full strength
_SLOWING = (4.0, 18.0)  # m/s² at full strength
_PUSHING = (0.3, 1.2)  # m/s² at full strength
_SLOWED = 0.75  # share of the spells along the road in which the car is slowed


class _Spells:
    """Smooth spells at times that chance decides, with quiet between them."""

    def __init__(self, random: Random, length: tuple[float, float]) -> None:
        self._random, self._lengths = random, length
        self._elapsed = self._length = self._rest = 0.0
        self.begin()

    def begin(self) -> None:
        """Begin a quiet stretch, with a new spell to follow."""
        self._elapsed = 0.0
        self._rest, self._length = self._random.uniform(*_REST), self._random.uniform(*self._lengths)
        self.size = self._random.random()
        """Of the spell: 0 least … 1 most."""
        self.side = self._random.random()
        """0 … 1, decides to which side it goes."""

    @property
    def active(self) -> bool:
        """Whether a spell is on."""
        return self._elapsed > self._rest

    def after(self, seconds: float) -> float:
        """Let time pass; how strong the spell is then, 0 … 1."""
        self._elapsed += seconds
        if self._elapsed > self._rest + self._length:
            self.begin()
        return math.sin(math.pi * (self._elapsed - self._rest) / self._length) ** 2 if self.active else 0.0


class Disturbance:
    """Spells of drifting to one side, and others of being slowed or pushed; the seed decides when and how much."""

    def __init__(self, seed: int, strength: float) -> None:
        """Start undisturbed.

        Args:
            seed: Decides everything.
            strength: 0 (never disturbed) to 1.
        """
        self._aside, self._along = _Spells(Random(seed), _SPELL), _Spells(Random(-seed - 1), _LONG_SPELL)
        self._strength = strength

    @property
    def active(self) -> bool:
        """Whether a spell is on."""
        return self._strength > 0 and (self._aside.active or self._along.active)

    def pause(self) -> None:
        """Begin an undisturbed stretch."""
        self._aside.begin()
        self._along.begin()

    def after(self, seconds: float) -> tuple[float, float]:
        """Let time pass: how far left of its line the car is then led, metres, and what pushes it forward, m/s²."""
        if not self._strength:
            return 0.0, 0.0
        aside, along = (spells.after(seconds) * self._strength for spells in (self._aside, self._along))
        shift = aside * _between(_ASIDE, self._aside.size)
        if self._along.side < _SLOWED:
            return math.copysign(shift, self._aside.side - 0.5), -along * _between(_SLOWING, self._along.size)
        return math.copysign(shift, self._aside.side - 0.5), along * _between(_PUSHING, self._along.size)


def _between(limits: tuple[float, float], part: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * part
