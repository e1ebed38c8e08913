"""Pulls the expert's car away from its line and its speed from time to time, so that its drive shows the way back."""

import math
from random import Random

_ASIDE_REST, _ASIDE_SPELL = (3.0, 7.0), (1.5, 3.5)  # seconds, from shortest to longest
_ASIDE = (1.0, 2.4)  # metres at full strength
_ALONG_REST, _ALONG_SPELL = (2.0, 5.0), (3.0, 7.0)  # seconds
_SHARE = (0.1, 1.05)  # of the planned speed at full strength


class _Spells:
    """Spells at times that chance decides, with quiet between them."""

    def __init__(self, random: Random, rest: tuple[float, float], length: tuple[float, float]) -> None:
        self._random, self._rests, self._lengths = random, rest, length
        self._elapsed = self._rest = self._length = 0.0
        self.begin()

    def begin(self) -> None:
        """Begin a quiet stretch, with a new spell to follow."""
        self._elapsed = 0.0
        self._rest, self._length = self._random.uniform(*self._rests), self._random.uniform(*self._lengths)
        self.size, self.side = self._random.random(), self._random.random()
        """Of the spell, 0 … 1 each."""

    @property
    def active(self) -> bool:
        """Whether a spell is on."""
        return self._elapsed > self._rest

    @property
    def passed(self) -> float:
        """Part of the spell that is over, 0 … 1."""
        return (self._elapsed - self._rest) / self._length

    def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds
        if self._elapsed > self._rest + self._length:
            self.begin()


class Disturbance:
    """Spells of drifting to one side, and others of being held at another speed; the seed decides when and how much."""

    def __init__(self, seed: int, strength: float) -> None:
        """Start undisturbed.

        Args:
            seed: Decides everything.
            strength: 0 (never disturbed) to 1.
        """
        self._aside = _Spells(Random(seed), _ASIDE_REST, _ASIDE_SPELL)
        self._along = _Spells(Random(-seed - 1), _ALONG_REST, _ALONG_SPELL)
        self._strength = strength

    @property
    def active(self) -> bool:
        """Whether a spell is on."""
        return self._strength > 0 and (self._aside.active or self._along.active)

    def pause(self) -> None:
        """Begin an undisturbed stretch."""
        self._aside.begin()
        self._along.begin()

    def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        self._aside.let_pass(seconds)
        self._along.let_pass(seconds)

    @property
    def shift(self) -> float:
        """How far left of its line the car is led now, metres; comes and goes smoothly."""
        if not self._strength or not self._aside.active:
            return 0.0
        width = _between(_ASIDE, self._aside.size) * math.sin(math.pi * self._aside.passed) ** 2
        return math.copysign(width * self._strength, self._aside.side - 0.5)

    @property
    def pace(self) -> float | None:
        """The share of its planned speed at which the car is held now; None while it is not."""
        if not self._strength or not self._along.active:
            return None
        return 1 - self._strength * (1 - _between(_SHARE, self._along.size))


def _between(limits: tuple[float, float], part: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * part
