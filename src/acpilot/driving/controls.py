"""What a policy commands → what the gamepad is given: within range, never both pedals, as fast as it may move."""

import math

from acpilot.driving.settings import DriveSettings
from acpilot.policy.policy import REST, Command

_FADE = 5.0
"""km/h below the speed limit within which the throttle fades to nothing."""


class Controls:
    """Shapes commands one after the other; with the settings' defaults they pass as they are, but for both pedals.

    Steering goes through neutral offset, dead zone, gamma, gain, range and rate, in this order; the pedals through
    the larger of the two, rate and speed limit. What is not assisted stays at rest.
    """

    def __init__(self, settings: DriveSettings) -> None:
        self._settings = settings
        self._last = REST

    def shape(self, command: Command, seconds: float, speed_kmh: float | None) -> Command:
        """The next command for the gamepad.

        Args:
            command: the policy's, of finite numbers.
            seconds: since the one before.
            speed_kmh: of the car; None when it is not known, which a speed limit does not bear.
        """
        settings = self._settings
        steering = pedal = 0.0
        if settings.assist != "pedals":
            steering = self._steering(command.steering)
            if settings.steering_rate is not None:
                steering = towards(self._last.steering, steering, settings.steering_rate * seconds)
        if settings.assist != "steering":
            # One number for both, so that they are never down together, however slowly they move.
            one = command.with_one_pedal()
            pedal = max(-1.0, min(1.0, one.throttle - one.brake))
            if settings.pedal_rate is not None:
                pedal = towards(self._last.throttle - self._last.brake, pedal, settings.pedal_rate * seconds)
            if settings.speed_limit is not None:
                room = -1.0 if speed_kmh is None else (settings.speed_limit - speed_kmh) / _FADE
                pedal = min(pedal, max(0.0, room))
        self._last = Command(steering, max(0.0, pedal), max(0.0, -pedal))
        return self._last

    def reset(self) -> None:
        """The gamepad was brought to rest."""
        self._last = REST

    def _steering(self, wanted: float) -> float:
        settings = self._settings
        value = max(-1.0, min(1.0, wanted + settings.steering_offset))
        beyond = max(0.0, abs(value) - settings.dead_zone) / (1 - settings.dead_zone)
        return max(-1.0, min(1.0, math.copysign(settings.steering_gain * beyond**settings.steering_gamma, value)))


def towards(last: float, wanted: float, step: float) -> float:
    """As far from the last value towards the wanted one as a step goes."""
    return max(last - step, min(last + step, wanted))
