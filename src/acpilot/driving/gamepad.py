"""What every gamepad offers, and the table of them by name."""

import math
from importlib import import_module
from typing import Literal, NamedTuple, Protocol, Self

GamepadName = Literal["xbox", "virtual", "none"]

_GAMEPADS = {
    "xbox": "acpilot.driving.xbox_gamepad:XboxGamepad",
    "virtual": "acpilot.driving.virtual_gamepad:VirtualGamepad",
    "none": "acpilot.driving.gamepad:NoGamepad",
}


class GamepadState(NamedTuple):
    """Where the axes of a gamepad stand."""

    steering: float
    """−1 full left … +1 full right."""
    throttle: float
    """0 … 1."""
    brake: float
    """0 … 1."""

    @classmethod
    def clamped(cls, steering: float, throttle: float, brake: float) -> Self:
        """The state nearest to these values.

        Raises:
            ValueError: one of them is not a number, so that none is near.
        """
        if any(map(math.isnan, (steering, throttle, brake))):
            raise ValueError(f"no gamepad can be set to {steering}, {throttle}, {brake}")
        return cls(max(-1.0, min(1.0, steering)), max(0.0, min(1.0, throttle)), max(0.0, min(1.0, brake)))


AT_REST = GamepadState(0.0, 0.0, 0.0)


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


class NoGamepad:
    """Moves nothing: for a dry run."""

    def __init__(self, pages: str) -> None:
        """The names of the game's pages are of no use to it."""

    def set(self, steering: float, throttle: float, brake: float) -> None:
        """See ``Gamepad``."""
        GamepadState.clamped(steering, throttle, brake)

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
