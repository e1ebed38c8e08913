"""The virtual gamepad: a memory page through which another program drives the practice game."""

import struct
import threading
from typing import Self

from acpilot.clock import NS, now
from acpilot.driving.gamepad import clamped
from acpilot.policy.policy import REST, Command
from acpilot.settings import DEFAULT_PAGES
from acpilot.telemetry.shared_memory import create_mapping, open_mapping, remove_mapping

_LAYOUT = struct.Struct("<i3fiqi")
"""Sequence number (odd while being written), steering −1..1, throttle 0..1, brake 0..1, connected 0/1, heartbeat ns,
how often the button that puts the car back was pressed."""
_HEARTBEAT = 0.1
_DEAD_AFTER = NS // 2


def _name(pages: str) -> str:
    return f"{pages}_gamepad"


class VirtualGamepad:
    """The driver's end; a context manager that leaves the gamepad at rest.

    A thread keeps its heart beating, so that the game lets go of the controls when this process is killed.
    """

    def __init__(self, pages: str = DEFAULT_PAGES) -> None:
        self._name = _name(pages)
        self._mapping = create_mapping(self._name, _LAYOUT.size)
        self._sequence = 0
        self._state = REST
        self._presses = 0
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._write(1)
        self._heart = threading.Thread(target=self._beat, name="virtual gamepad", daemon=True)
        self._heart.start()

    def set(self, steering: float, throttle: float, brake: float) -> None:
        """See ``Gamepad``."""
        self._state = clamped(steering, throttle, brake)
        self._write(1)

    def put_back(self) -> None:
        """Press the button that puts the car back onto the middle of the road, at rest."""
        self._presses += 1
        self._write(1)

    def _beat(self) -> None:
        while not self._closing.wait(_HEARTBEAT):
            self._write(1)

    def _write(self, connected: int) -> None:
        with self._writing:
            self._sequence += 2
            self._mapping[:4] = (self._sequence - 1).to_bytes(4, "little")
            self._mapping[4:] = _LAYOUT.pack(0, *self._state, connected, now(), self._presses)[4:]
            self._mapping[:4] = self._sequence.to_bytes(4, "little")

    def close(self) -> None:
        """Bring the axes to rest and disconnect; may be called twice."""
        if not self._mapping.closed:
            self._closing.set()
            self._heart.join()
            self._state = REST
            self._write(0)
            self._mapping.close()
            remove_mapping(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VirtualGamepadReader:
    """The game's end: finds the gamepad whenever it is connected."""

    def __init__(self, pages: str = DEFAULT_PAGES) -> None:
        self._name = _name(pages)
        self._mapping = open_mapping(self._name, _LAYOUT.size)
        self.presses = 0
        """How often the button that puts the car back was pressed, as of the last ``read``; a new gamepad begins at 0.

        Kept when the gamepad is lost for a moment: coming back it must not look as if the button were pressed.
        """

    def read(self) -> Command:
        """The axes now; at rest without a gamepad, or when its owner has died."""
        if self._mapping is None:
            self._mapping = open_mapping(self._name, _LAYOUT.size)
        if self._mapping is not None:
            for _ in range(100):  # an owner that died while writing leaves an odd number for ever
                raw = self._mapping[: _LAYOUT.size]
                sequence, steering, throttle, brake, connected, heartbeat, presses = _LAYOUT.unpack(raw)
                if sequence % 2 == 0 and raw == self._mapping[: _LAYOUT.size]:
                    if connected and now() - heartbeat < _DEAD_AFTER:
                        self.presses = presses
                        return Command(steering, throttle, brake)
                    break
            self.close()
        return REST

    def close(self) -> None:
        """Let go of the mapping; may be called twice."""
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None
