"""The driver takes over from the policy with a device of their own, and hands back by leaving it alone."""

import threading
from contextlib import ExitStack
from typing import Protocol, Self

from acpilot.clock import NS, now
from acpilot.driving.arrow_keys import ArrowKeys
from acpilot.driving.loop import DrivingLoop
from acpilot.driving.settings import DriveSettings
from acpilot.driving.wheel import Axis, Wheel
from acpilot.policy.policy import Command
from acpilot.threads import guarded_thread

_EVERY = 0.01
"""Seconds between two looks at the devices: so fast does the gamepad follow them, whatever the policy's rate."""


class Device(Protocol):
    """Something that a driver drives with; a context manager. Use it in the thread that opened it."""

    name: str
    """For people."""

    def is_in_use(self) -> bool:
        """Whether the driver does something with it now; asked again and again.

        Raises:
            AcpilotError: it has gone.
        """
        ...

    def drive(self, last: Command, speed_kmh: float | None, seconds: float) -> Command:
        """Where it wants the controls.

        Args:
            last: where they stand.
            speed_kmh: of the car; None when it is not known.
            seconds: since they were moved there.

        Raises:
            AcpilotError: it has gone.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Takeover:
    """Watches the driver's devices in a thread of its own, and drives with them while they are used.

    A context manager. Open it before the gamepad: what is there then is the driver's.
    """

    def __init__(self, settings: DriveSettings) -> None:
        """Open the devices; nobody is taken over from before ``loop`` is set.

        Raises:
            AcpilotError: there is no such device, or it cannot be used.
        """
        self.failure: Exception | None = None
        """What has ended it, if it was not closed: the driver can no longer take over."""
        self.loop: DrivingLoop | None = None
        """Where the policy drives."""
        self.name = ""
        """Of the devices, for people."""
        self._settings = settings
        self._opened, self._closing = threading.Event(), threading.Event()
        self._thread = guarded_thread(self, self._watch, "takeover", self._opened)
        self._thread.start()
        self._opened.wait()
        if self.failure is not None:
            raise self.failure

    def _open(self, name: str) -> Device:
        settings = self._settings
        if name == "keys":
            return ArrowKeys(settings.title)
        axes = settings.wheel_axes
        return Wheel(None if axes is None else [Axis.parse(text) for text in axes], settings.wheel_threshold)

    def _watch(self) -> None:
        with ExitStack() as stack:
            devices = [stack.enter_context(self._open(name)) for name in dict.fromkeys(self._settings.takeover)]
            self.name = " or ".join(device.name for device in devices)
            self._opened.set()
            patience = round(self._settings.hand_back * NS)
            driver: Device | None = None
            used = looked = now()
            while not self._closing.wait(_EVERY):
                before, looked = looked, now()
                in_use = next((device for device in devices if device.is_in_use()), None)
                if self.loop is None:
                    continue
                if in_use is not None:
                    driver, used = in_use, looked
                elif driver is not None and patience and looked - used > patience:
                    self.loop.hand_back(used)
                    driver = None
                if driver is not None:
                    last, speed_kmh = self.loop.applied, self.loop.game.speed_kmh
                    self.loop.take_over(driver.drive(last, speed_kmh, (looked - before) / NS), looked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(1.0)
