"""The driver's own wheel or gamepad, read through SDL: whoever takes over from a policy drives with it."""

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from acpilot.commands import install_extra
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
    """An axis as SDL counts devices and their axes, and whether its value falls when it is moved right or pressed."""

    device: int
    number: int
    falls: bool = False

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return (f"{self.device}:" if self.device else "") + str(self.number) + ("-" if self.falls else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an axis as a user writes it: 2, or 2- when its value falls, or 1:2- of another device than the first.

        Raises:
            AcpilotError: it is no axis.
        """
        found = re.fullmatch(r"(?:(\d{1,2}):)?(\d{1,2})(-?)", text, re.ASCII)
        if found is None:
            raise AcpilotError(
                f"{text!r} is no axis of a wheel: give its number, and - behind it if its value falls, such as 2-; of "
                "pedals that are a device of their own 1:2-"
            )
        return cls(int(found[1] or 0), int(found[2]), bool(found[3]))


class Wheel:
    """See ``Device``: the first wheel or gamepad that is plugged in, or those whose axes are named.

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
        self._joysticks: dict[int, Any] = {}
        """Those that are read, by their number."""
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
        sdl, axes = self._sdl, self._axes
        found = range(sdl.SDL_NumJoysticks())
        if not found:
            raise AcpilotError("there is no wheel or gamepad: plug it in (on Linux you need the right to read it)")
        pad = next((device for device in found if axes is None and sdl.SDL_IsGameController(device)), None)
        if pad is not None:
            self._controller = sdl.SDL_GameControllerOpen(pad)
            self._joysticks = {pad: sdl.SDL_GameControllerGetJoystick(self._controller)}
        else:
            self._joysticks = {device: sdl.SDL_JoystickOpen(device) for device in found}
            there = [
                Axis(device, number)
                for device, joystick in self._joysticks.items()
                for number in range(sdl.SDL_JoystickNumAxes(joystick))
            ]
            if axes is None or not {axis._replace(falls=False) for axis in axes} <= set(there):
                sdl.SDL_JoystickUpdate()
                stand = ", ".join(f"{axis}: {self._value(axis):+.2f}" for axis in there)
                raise AcpilotError(
                    f"which axes of {self._names(found)} are steering, throttle and brake? They stand at {stand}: look "
                    "again with one of them moved, then name all three, such as 0 2- 3-"
                )
            for device in set(found) - {axis.device for axis in axes}:
                sdl.SDL_JoystickClose(self._joysticks.pop(device))
        self.name = self._names(self._joysticks)

    def _names(self, devices: Iterable[int]) -> str:
        return " and ".join(self._sdl.SDL_JoystickNameForIndex(device).decode() for device in devices)

    def read(self) -> Command:
        """Where its axes stand now.

        Raises:
            AcpilotError: it was unplugged.
        """
        sdl = self._sdl
        sdl.SDL_JoystickUpdate()
        if not all(map(sdl.SDL_JoystickGetAttached, self._joysticks.values())):
            raise AcpilotError(f"{self.name} was unplugged: plug it in and start again")
        if self._axes is not None:
            steering, throttle, brake = map(self._value, self._axes)
            return clamped(steering, (1 + throttle) / 2, (1 + brake) / 2)
        names = ("SDL_CONTROLLER_AXIS_LEFTX", "SDL_CONTROLLER_AXIS_TRIGGERRIGHT", "SDL_CONTROLLER_AXIS_TRIGGERLEFT")
        values = (sdl.SDL_GameControllerGetAxis(self._controller, getattr(sdl, name)) / _FULL for name in names)
        return clamped(*values)

    def _value(self, axis: Axis) -> float:
        value: float = self._sdl.SDL_JoystickGetAxis(self._joysticks[axis.device], axis.number) / _FULL
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
        else:
            for joystick in self._joysticks.values():
                self._sdl.SDL_JoystickClose(joystick)
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
        raise AcpilotError(f"SDL is missing, which reads wheels ({error}): {install_extra('drive')}") from None
    return sdl2
