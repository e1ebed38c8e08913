"""A gamepad that every program takes for an Xbox 360 controller: through ViGEmBus on Windows, uinput on Linux."""

import errno
import importlib.util
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from acpilot.commands import command, install_extra
from acpilot.driving.gamepad import clamped
from acpilot.errors import AcpilotError
from acpilot.policy.policy import REST

_UINPUT = Path("/dev/uinput")
_RULE = 'KERNEL=="uinput", SUBSYSTEM=="misc", TAG+="uaccess", OPTIONS+="static_node=uinput"'
_NOTICED = 0.05
"""Seconds in which a game sees the axes at rest: one that only sees the gamepad go may keep the last values."""
_INSTALLER = "win/vigem/install/x64/ViGEmBusSetup_x64.msi"


def load_vgamepad() -> Any:
    """The package that makes the gamepad, when all that it needs is there; nothing is connected yet.

    Raises:
        AcpilotError: a package, a driver or a permission is missing.
    """
    package = importlib.util.find_spec("vgamepad")
    if package is None:
        raise AcpilotError(f"vgamepad is not installed, which makes the xbox gamepad: {install_extra('drive')}")
    if sys.platform != "win32":
        _open_uinput()
    try:
        import vgamepad
    except (RuntimeError, OSError, ValueError) as error:  # it connects to the driver, or loads libevdev, right away
        if sys.platform != "win32":
            raise AcpilotError(f"vgamepad cannot be used ({error}): sudo apt install libevdev2") from None
        installer = Path(*(package.submodule_search_locations or ())) / _INSTALLER
        raise AcpilotError(
            f"the driver ViGEmBus does not answer ({error}): restart Windows after you have installed it: "
            f"{command('msiexec', '/i', installer)}"
        ) from None
    return vgamepad


def _open_uinput() -> None:
    try:
        _UINPUT.open("r+b", buffering=0).close()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise AcpilotError(
                f"{_UINPUT} is not there, through which Linux makes gamepads: sudo modprobe uinput "
                "(in a container: on its host, and give it the device)"
            ) from None
        raise AcpilotError(
            f"{_UINPUT} cannot be opened ({error.strerror}): echo '{_RULE}' | sudo tee "
            "/etc/udev/rules.d/60-acpilot.rules && sudo udevadm control --reload && sudo udevadm trigger -n uinput"
        ) from None


class XboxGamepad:
    """See ``Gamepad``: steering is the left stick, throttle the right trigger, brake the left one.

    The system takes it away with this process, however that ends: the handle by which it is held closes then.
    """

    def __init__(self, pages: str) -> None:  # noqa: ARG002 - not only the practice game sees it
        """Connect it.

        Raises:
            AcpilotError: a package, a driver or a permission is missing.
        """
        vgamepad = load_vgamepad()
        try:
            self._pad: Any = vgamepad.VX360Gamepad()
        except (RuntimeError, OSError) as error:
            raise AcpilotError(f"the xbox gamepad cannot be connected ({error}): unplug other gamepads") from None

    def set(self, steering: float, throttle: float, brake: float) -> None:
        """See ``Gamepad``.

        Raises:
            AcpilotError: the driver has gone.
            ValueError: see ``Gamepad``.
        """
        state = clamped(steering, throttle, brake)
        self._pad.left_joystick_float(state.steering, 0.0)
        self._pad.right_trigger_float(state.throttle)
        self._pad.left_trigger_float(state.brake)
        try:
            self._pad.update()
        except (RuntimeError, OSError) as error:
            raise AcpilotError(f"the xbox gamepad was disconnected ({error}): start again") from None

    def close(self) -> None:
        """See ``Gamepad``."""
        if self._pad is not None:
            with suppress(AcpilotError):  # then there is nothing left to be brought to rest
                self.set(*REST)
                time.sleep(_NOTICED)
            self._pad = None  # vgamepad disconnects it when nobody holds it any more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
