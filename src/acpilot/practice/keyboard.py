"""Driving by keyboard: keys are on or off, so the steering moves smoothly, and less far at speed."""

_LEFT, _RIGHT = frozenset(("arrow_left", "a")), frozenset(("arrow_right", "d"))
_FORWARD, _BACK = frozenset(("arrow_up", "w")), frozenset(("arrow_down", "s", "space"))
_TURN_RATE, _RETURN_RATE, _PEDAL_RATE = 1.6, 3.0, 4.0  # full travels a second


class KeyboardDriver:
    """Turns held keys into smooth controls."""

    def __init__(self) -> None:
        self._steering = self._throttle = self._brake = 0.0

    def controls(self, keys: frozenset[str], speed_kmh: float, seconds: float) -> tuple[float, float, float]:
        """Steering −1..1, throttle and brake 0..1 after so many more seconds of these keys being held."""
        reach = 1 / (1 + (speed_kmh / 60) ** 1.5)
        target = reach * (bool(keys & _RIGHT) - bool(keys & _LEFT))
        rate = _TURN_RATE * reach if target else _RETURN_RATE * max(reach, 0.2)
        self._steering = _approach(self._steering, target, rate * seconds)
        self._throttle = _approach(self._throttle, float(bool(keys & _FORWARD)), _PEDAL_RATE * seconds)
        self._brake = _approach(self._brake, float(bool(keys & _BACK)), _PEDAL_RATE * seconds)
        return self._steering, self._throttle, self._brake


def _approach(value: float, target: float, step: float) -> float:
    return target if abs(target - value) <= step else value + step * (1 if target > value else -1)
