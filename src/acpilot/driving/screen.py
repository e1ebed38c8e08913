"""What pictures are taken from the screen with, by name; one instance for a whole drive."""

import sys
import time
from typing import Any, Literal, Protocol

import mss

from acpilot.errors import AcpilotError
from acpilot.video.screen import Picture, grab_area, grabbing
from acpilot.window import Area


class Screen(Protocol):
    """Takes pictures of areas of the screen. Use it in the thread that opened it."""

    name: str

    def grab(self, area: Area) -> Picture:
        """The newest picture of an area.

        Raises:
            AcpilotError: it cannot be taken.
        """
        ...

    def close(self) -> None:
        """Let go of the screen; may be called twice."""
        ...


def open_screen(name: Literal["auto", "mss", "dxcam"], area: Area) -> tuple[Screen, str]:
    """What takes pictures, and why it is not dxcam where that could be expected.

    Args:
        name: auto takes dxcam on Windows where it is installed and sees the area.
        area: what is to be seen.

    Raises:
        AcpilotError: it cannot be used here; the message says what to do.
    """
    reason = ""
    if name == "dxcam" or (name == "auto" and sys.platform == "win32"):
        try:
            return DxcamScreen(area), ""
        except AcpilotError as error:
            if name == "dxcam":
                raise
            reason = str(error)
    return MssScreen(), reason


class MssScreen:
    """The screen through mss: works everywhere."""

    name = "mss"

    def __init__(self) -> None:
        with grabbing():
            self._screen = mss.MSS()

    def grab(self, area: Area) -> Picture:
        """See ``Screen``."""
        with grabbing():
            return grab_area(self._screen, area)

    def close(self) -> None:
        """See ``Screen``."""
        self._screen.close()


class DxcamScreen:
    """The main monitor through dxcam (Desktop Duplication), Windows only.

    It gives a picture only when there is a new one: the last one is then the newest.
    """

    name = "dxcam"

    def __init__(self, area: Area) -> None:
        try:
            import dxcam
        except (ImportError, OSError) as error:
            raise AcpilotError(f"dxcam cannot be used ({error}): on Windows, pip install dxcam") from None
        try:
            self._camera: Any = dxcam.create(output_color="BGRA")
        except Exception as error:  # noqa: BLE001 - errors of COM, of which each kind of failure has another class
            raise AcpilotError(f"dxcam cannot be used ({error}): give --screen mss") from None
        self._last: Picture | None = None
        self._seen: Area | None = None
        try:
            self._refuse_beyond(area)
        except AcpilotError:
            self.close()
            raise

    def grab(self, area: Area) -> Picture:
        """See ``Screen``."""
        self._refuse_beyond(area)
        if area != self._seen:
            self._last, self._seen = None, area
        region = (area.left, area.top, area.left + area.width, area.top + area.height)
        for _ in range(100):  # 0.1 s at least: after a change of area the next picture is waited for
            picture: Picture | None = self._camera.grab(region=region)
            self._last = picture if picture is not None else self._last
            if self._last is not None:
                return self._last
            time.sleep(0.001)
        raise AcpilotError("dxcam gives no picture: give --screen mss")

    def _refuse_beyond(self, area: Area) -> None:
        width, height = self._camera.width, self._camera.height
        if area.left < 0 or area.top < 0 or area.left + area.width > width or area.top + area.height > height:
            raise AcpilotError("dxcam sees the main monitor only: move the game's window there, or give --screen mss")

    def close(self) -> None:
        """See ``Screen``."""
        if self._camera is not None:
            self._camera.release()
            self._camera = None
