"""The driver's own wheel or gamepad, read through SDL: whoever takes over from a policy drives with it."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from acpilot.driving.gamepad import clamped
from acpilot.errors import AcpilotError
from acpilot.policy.policy import Command

_FULL = 32767
_HINTS = {
    b"SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": b"1",  # the game has the focus
    b"SDL_JOYSTICK_THREAD": b"1",  # Windows tells of some devices only in a window's messages: SDL makes one for it
    b"SDL_NO_SIGNAL_HANDLERS": b"1",  # Ctrl-C is acpilot's
}


class Axis(NamedTuple):
    """An axis of a wheel as SDL counts them, and whether its value falls when it is moved right or pressed."""

    number: int
    falls: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an axis as a user writes it: 2, or 2- when its value falls.

        Raises:
            AcpilotError: it is no axis.
        """
        found = re.fullmatch(r"(\d{1,2})(-?)", text)
        if found is None:
            raise AcpilotError(f"{text!r} is no axis of a wheel: give its number, and - behind it if its value falls")
        return cls(int(found[1]), bool(found[2]))


class Wheel:
    """See ``Device``: the first wheel or gamepad that is plugged in.

    Open it before a gamepad of acpilot's own: whatever is there then is not ours.
    """

    def __init__(self, axes: Sequence[Axis] | None = None, threshold: float = 0.05) -> None:
        """Open it.

        Args:
            axes: steering, throttle and brake. Gamepads need none, SDL knows theirs; those of wheels differ.
            threshold: what is moved by less, as steering −1..1 and pedals 0..1, does not tell of the driver.

        Raises:
            AcpilotError: there is none, its axes are not known, or a package is missing.
        """
        self._sdl: Any = _load_sdl()
        self._axes, self._threshold = axes, threshold
        self._joystick: Any = None
        self._controller: Any = None
        for hint, value in _HINTS.items():
            self._sdl.SDL_SetHint(hint, value)
        if self._sdl.SDL_Init(self._sdl.SDL_INIT_GAMECONTROLLER):
            raise AcpilotError(f"SDL cannot look for wheels: {self._sdl.SDL_GetError().decode()}")
        try:
            self._open()
            self._left_at = self.read().steering
        except AcpilotError:
            self.close()
            raise

    def _open(self) -> None:
        sdl = self._sdl
        found = range(sdl.SDL_NumJoysticks())
        known = [index for index in found if self._axes or sdl.SDL_IsGameController(index)]
        index = next(iter(known or found), None)
        if index is None:
            raise AcpilotError("there is no wheel or gamepad: plug it in (on Linux you need the right to read it)")
        self.name = sdl.SDL_JoystickNameForIndex(index).decode()
        if self._axes is None and known:
            self._controller = sdl.SDL_GameControllerOpen(index)
            self._joystick = sdl.SDL_GameControllerGetJoystick(self._controller)
            return
        self._joystick = sdl.SDL_JoystickOpen(index)
        count = sdl.SDL_JoystickNumAxes(self._joystick)
        if self._axes is None or max(axis.number for axis in self._axes) >= count:
            sdl.SDL_JoystickUpdate()
            stand = ", ".join(f"{number}: {self._value(Axis(number, falls=False)):+.2f}" for number in range(count))
            raise AcpilotError(
                f"which axes of {self.name} are steering, throttle and brake? They stand at {stand}: look again with "
                "one of them moved, then name all three, such as 0 2- 3-"
            )

    def read(self) -> Command:
        """Where its axes stand now.

        Raises:
            AcpilotError: it was unplugged.
        """
        sdl = self._sdl
        sdl.SDL_JoystickUpdate()
        if not sdl.SDL_JoystickGetAttached(self._joystick):
            raise AcpilotError(f"{self.name} was unplugged: plug it in and start again")
        if self._axes is not None:
            steering, throttle, brake = map(self._value, self._axes)
            return clamped(steering, (1 + throttle) / 2, (1 + brake) / 2)
        names = ("SDL_CONTROLLER_AXIS_LEFTX", "SDL_CONTROLLER_AXIS_TRIGGERRIGHT", "SDL_CONTROLLER_AXIS_TRIGGERLEFT")
        values = (sdl.SDL_GameControllerGetAxis(self._controller, getattr(sdl, name)) / _FULL for name in names)
        return clamped(*values)

    def _value(self, axis: Axis) -> float:
        value: float = self._sdl.SDL_JoystickGetAxis(self._joystick, axis.number) / _FULL
        return -value if axis.falls else value

    def is_in_use(self) -> bool:
        """See ``Device``: a pedal is pressed, or the steering was moved since it was last found moved."""
        steering, throttle, brake = self.read()
        if moved := abs(steering - self._left_at) > self._threshold:
            self._left_at = steering
        return moved or max(throttle, brake) > self._threshold

    def drive(self, *_: object) -> Command:
        """See ``Device``: where it stands."""
        return self.read()

    def close(self) -> None:
        """Let go of it; may be called twice."""
        if self._sdl is None:
            return
        if self._controller:
            self._sdl.SDL_GameControllerClose(self._controller)
        elif self._joystick:
            self._sdl.SDL_JoystickClose(self._joystick)
        self._sdl.SDL_QuitSubSystem(self._sdl.SDL_INIT_GAMECONTROLLER)
        self._sdl = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _load_sdl() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells which SDL it loads
            import sdl2
    except ImportError as error:
        raise AcpilotError(f"SDL is missing, which reads wheels ({error}): pip install 'acpilot[drive]'") from None
    return sdl2
