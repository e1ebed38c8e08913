"""Driving by keyboard: keys are on or off, so the steering moves smoothly, and less far at speed."""

from acpilot.driving.controls import towards
from acpilot.policy.policy import Command

_LEFT, _RIGHT = frozenset(("arrow_left", "a")), frozenset(("arrow_right", "d"))
_FORWARD, _BACK = frozenset(("arrow_up", "w")), frozenset(("arrow_down", "s", "space"))
_TURN_RATE, _RETURN_RATE, _PEDAL_RATE = 1.6, 3.0, 4.0  # full travels a second


def drive_by_keys(keys: frozenset[str], last: Command, speed_kmh: float, seconds: float) -> Command:
    """Where the controls go from where they stand when these keys are held for so many more seconds."""
    reach = 1 / (1 + (speed_kmh / 60) ** 1.5)
    target = reach * (bool(keys & _RIGHT) - bool(keys & _LEFT))
    rate = _TURN_RATE * reach if target else _RETURN_RATE * max(reach, 0.2)
    return Command(
        towards(last.steering, target, rate * seconds),
        towards(last.throttle, float(bool(keys & _FORWARD)), _PEDAL_RATE * seconds),
        towards(last.brake, float(bool(keys & _BACK)), _PEDAL_RATE * seconds),
    )
