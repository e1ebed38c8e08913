"""What every gamepad offers, and the table of them by name."""

import math
from importlib import import_module
from typing import Literal, Protocol, Self

from acpilot.policy.policy import Command

GamepadName = Literal["xbox", "virtual", "none"]

_GAMEPADS = {
    "xbox": "acpilot.driving.xbox_gamepad:XboxGamepad",
    "virtual": "acpilot.driving.virtual_gamepad:VirtualGamepad",
    "none": "acpilot.driving.gamepad:NoGamepad",
}


class Gamepad(Protocol):
    """A gamepad that is moved by a program; a context manager that leaves it at rest."""

    def set(self, steering: float, throttle: float, brake: float) -> None:
        """Move the axes: steering −1 (left) … +1, throttle and brake 0 … 1; values beyond are clamped.

        Raises:
            ValueError: one of them is not a number; the axes stay where they were.
        """
        ...

    def close(self) -> None:
        """Bring the axes to rest and disconnect; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def clamped(steering: float, throttle: float, brake: float) -> Command:
    """Where a gamepad stands that was set to these values: as near to them as it goes.

    Raises:
        ValueError: one of them is not a number, so that nothing is near.
    """
    if any(map(math.isnan, (steering, throttle, brake))):
        raise ValueError(f"no gamepad can be set to {steering}, {throttle}, {brake}")
    return Command(steering, throttle, brake).limited()


class NoGamepad:
    """Moves nothing: for a dry run."""

    def __init__(self, pages: str) -> None:
        """The names of the game's pages are of no use to it."""

    def set(self, steering: float, throttle: float, brake: float) -> None:
        """See ``Gamepad``."""
        clamped(steering, throttle, brake)

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def open_gamepad(name: GamepadName, pages: str) -> Gamepad:
    """Connect a gamepad, at rest.

    Args:
        name: xbox is one that every program takes for an Xbox 360 controller, virtual the practice game's own, none
            moves nothing.
        pages: names of the practice game's memory pages, by which it finds the virtual one.

    Raises:
        AcpilotError: a package, a driver or a permission is missing; the message says how to get it.
    """
    module, kind = _GAMEPADS[name].split(":")
    gamepad: Gamepad = getattr(import_module(module), kind)(pages)
    return gamepad
