"""What pictures are taken from the screen with, by name; one instance for a whole drive."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import mss
import numpy as np
from mss.exception import ScreenShotError

from acpilot.desktop.window import Area
from acpilot.errors import AcpilotError

Picture = np.ndarray
"""uint8 (height, width, 4), blue green red and one byte unused."""


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


@contextmanager
def grabbing() -> Iterator[None]:
    """Use mss: what keeps it from grabbing is told with the remedy.

    Raises:
        AcpilotError: the screen cannot be grabbed.
    """
    try:
        yield
    except ScreenShotError as error:
        missing = "; install libxcb-render0, libxcb-randr0 and libxcb-xfixes0" if "not found" in str(error) else ""
        raise AcpilotError(f"the screen cannot be grabbed: {error}{missing}") from None


def grab_area(screen: mss.MSS, area: Area) -> Picture:
    """A picture of an area; what lies beyond the screen's edge is black."""
    whole = screen.monitors[0]
    left, top = max(area.left, whole["left"]), max(area.top, whole["top"])
    right = min(area.left + area.width, whole["left"] + whole["width"])
    bottom = min(area.top + area.height, whole["top"] + whole["height"])
    if right <= left or bottom <= top:
        raise AcpilotError("the game's window lies outside the screen: move it back")
    shot = screen.grab({"left": left, "top": top, "width": right - left, "height": bottom - top})
    picture = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
    if (right - left, bottom - top) == (area.width, area.height):
        return picture
    padded = np.zeros((area.height, area.width, 4), np.uint8)
    padded[top - area.top :, left - area.left :][: picture.shape[0], : picture.shape[1]] = picture
    return padded
