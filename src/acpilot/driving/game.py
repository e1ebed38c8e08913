"""The game as a driving loop meets it: its window, its picture, its numbers."""

import numpy as np

from acpilot.clock import now
from acpilot.desktop.capture import Capture
from acpilot.desktop.window import Area, Window, visible_area
from acpilot.telemetry.pages import PHYSICS, Status
from acpilot.telemetry.shared_memory import PageReader


class Game:
    """What is known of the game. Use it in the thread that found the window and opened the capture."""

    def __init__(self, window: Window, capture: Capture, reader: PageReader | None) -> None:
        """Look at it once.

        Args:
            window: the game's.
            capture: what takes its pictures.
            reader: the game's pages; without them there is no speed, and nothing tells of pauses.

        Raises:
            AcpilotError: the window is minimised, or gone.
        """
        self.window, self.capture, self.reader = window, capture, reader
        self.physics = np.zeros(1, PHYSICS)[0]
        self.status: int = Status.LIVE
        self.moved = now()
        """Instant at which the physics last went on, or need not have."""
        self.look()

    def look(self) -> None:
        """Look where the window is and what the pages say now.

        Raises:
            AcpilotError: the window is minimised, or gone.
        """
        self.area: Area = visible_area(self.window)
        if self.reader is None:
            return
        self.status = self.reader.status()
        page = self.reader.physics()
        if page is not None:  # otherwise it was being written: the last one will do
            physics = np.frombuffer(page, PHYSICS)[0]
            if physics["packet_id"] != self.physics["packet_id"]:
                self.moved = now()
            self.physics = physics
        if self.status != Status.LIVE:
            self.moved = now()

    @property
    def speed_kmh(self) -> float | None:
        """None without pages."""
        return None if self.reader is None else float(self.physics["speed_kmh"])

    def picture(self, part: Area | None = None) -> np.ndarray:
        """What the window shows now, or a part of that: uint8 (h, w, 3), RGB, a view of the capture's own pixels.

        Raises:
            AcpilotError: it cannot be taken.
        """
        picture: np.ndarray = self.capture.grab(part)[..., 2::-1]
        return picture
