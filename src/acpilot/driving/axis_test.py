"""Moves the axes of a gamepad, one at a time, so that they can be bound in the game and be seen to arrive."""

import math
from itertools import cycle

from acpilot.clock import NS, now
from acpilot.desktop.stopping import Stop
from acpilot.driving.gamepad import open_gamepad
from acpilot.driving.settings import GamepadTestSettings
from acpilot.policy.policy import REST, Command
from acpilot.progress import Say, Show

_SWEEP = 4.0
"""Seconds that an axis takes to go to its ends and back."""
_STEP = 1 / 60
_AXES = {
    "steering": "left, right, and back to the middle",
    "throttle": "pressed, and released",
    "brake": "pressed, and released",
}
_XBOX_AXES = {"steering": "left stick, sideways", "throttle": "right trigger", "brake": "left trigger"}


def move_axes(settings: GamepadTestSettings, say: Say, show: Show) -> str:
    """Move one axis after the other, or only the one asked for, until there is a reason to stop; that reason.

    Args:
        settings: which gamepad, and what to move.
        say: prints a line.
        show: shows where the axis that moves stands.

    Raises:
        AcpilotError: the gamepad cannot be had, or was disconnected.
    """
    wanted = list(_AXES) if settings.axis == "all" else [settings.axis]
    with Stop(settings.duration) as stop, open_gamepad(settings.gamepad, settings.pages) as gamepad:
        stop.start_duration()
        say(f"the {settings.gamepad} gamepad is connected; {' or '.join(stop.ways)} ends this")
        for count, axis in enumerate(cycle(wanted)):
            if count == 0 or len(wanted) > 1:
                where = f" ({_XBOX_AXES[axis]})" if settings.gamepad == "xbox" else ""
                say(f"{axis:9} {_AXES[axis]}{where}")
            start = now()
            while (passed := (now() - start) / NS) < _SWEEP:
                state = _state(axis, passed / _SWEEP)
                gamepad.set(*state)
                show(f"{axis} {getattr(state, axis):+.2f}")
                if stop.wait(_STEP):
                    return stop.reason or ""
    raise AssertionError("a cycle has no end")


def _state(axis: str, phase: float) -> Command:
    """The gamepad when one axis is so far (0..1) on its way to its ends and back."""
    turn = math.tau * phase
    return REST._replace(**{axis: -math.sin(turn) if axis == "steering" else (1 - math.cos(turn)) / 2})
