"""The screen where the game is, through mss: works everywhere, and nothing tells when the picture was drawn.

So a thin band of it is watched: the picture was drawn between the last look at which the band was unchanged and the
end of the grab. The band lies where the picture changed most of late.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import mss
import numpy as np
from mss.exception import ScreenShotError

from acpilot.clock import NS, now
from acpilot.desktop.capture import Picture, Seen, Shot
from acpilot.desktop.window import Area, Window, visible_area
from acpilot.errors import AcpilotError

_LOOK_EVERY = 0.0005
_BAND = 0.05
"""Height of the band, as a share of the picture's."""
_ROWS = 4
"""Every so many rows are compared to choose it."""
_FIRST_LOOKS = NS // 4
_OPEN_ANEW = NS
"""How often the monitors are asked for: mss knows those that there were when it was opened."""


class MssCapture:
    """Takes pictures of the screen, with all that lies in front of the window."""

    name = "mss"
    takes_screen = True
    way = "a band of the picture, watched for changes"

    def __init__(self, target: Window | Area) -> None:
        self._target = target
        self._seen = Seen()
        self._opened = now()
        with grabbing():
            self._screen = mss.MSS()
        self._band: tuple[int, int] | None = None
        end = now() + _FIRST_LOOKS
        while self._band is None and now() < end:  # the first frame's instant is watched for, too
            self._look()
            time.sleep(_LOOK_EVERY)

    def grab(self, part: Area | None = None) -> Picture:
        """See ``Capture``."""
        return self._grab(part)[0]

    def next(self, patience: float) -> Shot:
        """See ``Capture``."""
        unchanged, changed = self._watch(patience)
        begun = changed or now()
        self._look()
        assert self._seen.picture is not None
        error = (now() - (unchanged if changed else begun)) / 1e6
        return Shot(self._seen.picture, begun, error + (0.0 if changed else self._age), self._repeats, self._flaw)

    def close(self) -> None:
        """See ``Capture``."""
        self._screen.close()

    def _look(self) -> None:
        """Take the whole picture, and choose the band by what is new in it."""
        begun, before = now(), self._seen.picture
        picture, self._flaw = self._grab(None)
        self._repeats, self._age = self._seen.add(picture, begun)
        if before is not None and before.shape == picture.shape and not self._repeats:
            self._band = _where_it_changes(before, picture)

    def _watch(self, patience: float) -> tuple[int, int | None]:
        """Look at the band until it changes.

        Returns:
            When the last look began at which it was unchanged; when it was seen to be changed, if it was.
        """
        end = now() + round(patience * NS)
        area = self._area()
        top, height = self._band or (area.height * 6 // 10, max(1, round(area.height * _BAND)))
        band = Area(0, min(top, area.height - 1), area.width, min(height, area.height - min(top, area.height - 1)))
        unchanged, first = now(), self._grab(band)[0]
        while True:
            begun = now()
            if not np.array_equal(self._grab(band)[0], first):
                return unchanged, now()
            unchanged = begun
            if now() > end:
                return unchanged, None
            time.sleep(_LOOK_EVERY)

    def _area(self) -> Area:
        return self._target if isinstance(self._target, Area) else visible_area(self._target)

    def _grab(self, part: Area | None) -> tuple[Picture, str]:
        area = self._area()
        if part is not None:
            area = Area(area.left + part.left, area.top + part.top, part.width, part.height)
        if now() - self._opened > _OPEN_ANEW:
            self._open()
        try:
            with grabbing():
                return grab_area(self._screen, area)
        except AcpilotError:  # the screen has just changed
            self._open()
            with grabbing():
                return grab_area(self._screen, area)

    def _open(self) -> None:
        with grabbing():
            self._screen.close()
            self._screen, self._opened = mss.MSS(), now()


def _where_it_changes(before: Picture, picture: Picture) -> tuple[int, int]:
    """Top and height, rows, of the band in which most pixels differ between two pictures of one size."""
    rows = picture.shape[0]
    height = max(_ROWS, round(rows * _BAND))
    changed = (before[::_ROWS, ::8, :3] != picture[::_ROWS, ::8, :3]).any(axis=2).sum(axis=1)
    summed = np.convolve(changed, np.ones(max(1, height // _ROWS)), "valid")
    top = int(np.argmax(summed)) * _ROWS
    return top, min(height, rows - top)


@contextmanager
def grabbing() -> Iterator[None]:
    """Use mss: what keeps it from grabbing is told with the remedy.

    Raises:
        AcpilotError: the screen cannot be grabbed.
    """
    try:
        yield
    except ScreenShotError as error:
        remedy = ""
        if "not found" in str(error):
            remedy = "; install libxcb-render0, libxcb-randr0 and libxcb-xfixes0"
        elif "depth" in str(error):
            remedy = "; set the desktop to 24 bits of colour (DefaultDepth 24 in Xorg's settings)"
        raise AcpilotError(f"the screen cannot be grabbed: {error}{remedy}") from None


def grab_area(screen: mss.MSS, area: Area) -> tuple[Picture, str]:
    """A picture of an area, black beyond the screen's edge; and what is wrong with it then, for people.

    Raises:
        AcpilotError: all of it lies outside the screen.
    """
    whole = screen.monitors[0]
    left, top = max(area.left, whole["left"]), max(area.top, whole["top"])
    right = min(area.left + area.width, whole["left"] + whole["width"])
    bottom = min(area.top + area.height, whole["top"] + whole["height"])
    if right <= left or bottom <= top:
        raise AcpilotError("the game's window lies outside the screen: move it back")
    shot = screen.grab({"left": left, "top": top, "width": right - left, "height": bottom - top})
    picture = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
    if (right - left, bottom - top) == (area.width, area.height):
        return picture, ""
    padded = np.zeros((area.height, area.width, 4), np.uint8)
    padded[top - area.top :, left - area.left :][: picture.shape[0], : picture.shape[1]] = picture
    return padded, "part of it lies outside the screen: move it back"
