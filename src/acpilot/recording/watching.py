"""Notices when what is recorded is not the game: covered, black, or a picture that stands still while the car moves."""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np

from acpilot.clock import NS, now
from acpilot.desktop.window import Window, find_window
from acpilot.errors import AcpilotError

BLACK = "the picture is black"
STILL = "the picture stands still while the car moves"
REMEDIES = {
    BLACK: "set the game to a window or to borderless; under Wayland leave --region and --capture out",
    STILL: "set the game to a window or to borderless, or record with another recorder",
}
_GRID = (0.04, 0.22, 0.41, 0.59, 0.78, 0.96)  # of the window's width and height
_STILL_AFTER = 2 * NS
_BLACK_FROM_THE_START = 4 * NS
_DARKEST = 8  # of 255: what lies below is no picture of a game, by night neither
_MOVING_KMH = 5.0
_LASTS = 1 << 62  # the end of a spell that lasts: a recorder that is killed leaves it so


def is_black(picture: np.ndarray) -> bool:
    """Whether a picture, uint8 of any shape without a byte that is unused, shows nothing."""
    return picture.size > 0 and int(picture.max()) <= _DARKEST


class PictureWatch:
    """Watches one recording; a context manager, for one thread.

    A spell reaches from the last look that found nothing wrong to the first one that does so again.
    """

    def __init__(self, title: str | None, look: Callable[[], np.ndarray | None]) -> None:
        """Begin to watch.

        Args:
            title: of the window; None where nothing that covers it comes into the picture.
            look: gives what is being recorded: ``Recorder.look``.
        """
        self.spells: list[tuple[int, int, str]] = []
        """From and to which instant, ns, and what was wrong: ``Manifest.flaws``."""
        self._look = look
        self._window: Window | None = None
        self._begun = self._right_at = self._changed = now()
        self._pixels: bytes | None = None
        self._ever_right = False
        if title is not None:
            with suppress(AcpilotError):  # it has just gone: the recorder tells
                self._window = find_window(title)

    def look(self, speed_kmh: float) -> str | None:
        """What is wrong with the picture now; None when nothing is.

        Args:
            speed_kmh: of the car; 0 in a pause.

        Raises:
            AcpilotError: it has been black from the start: there is nothing to record.
        """
        begun = now()
        flaw, since = self._flaw(begun, speed_kmh)
        if flaw is None:
            self._right_at, self._ever_right = begun, self._ever_right or self._pixels is not None
        elif flaw == BLACK and not self._ever_right and begun - self._begun > _BLACK_FROM_THE_START:
            raise AcpilotError(f"{BLACK} from the start: {REMEDIES[BLACK]}")
        lasting = self.spells[-1][2] if self.spells and self.spells[-1][1] == _LASTS else None
        if flaw != lasting:
            if lasting is not None:
                self._end(now())
            if flaw is not None:
                self.spells.append((since, _LASTS, flaw))
        return flaw

    def _flaw(self, instant: int, speed_kmh: float) -> tuple[str | None, int]:
        """What is wrong, and since when it can have been."""
        picture = self._look()
        if picture is not None:
            if is_black(picture):
                return BLACK, self._right_at
            pixels = picture.tobytes()
            if pixels != self._pixels or speed_kmh < _MOVING_KMH:
                self._pixels, self._changed = pixels, instant
            elif instant - self._changed > _STILL_AFTER:
                return STILL, self._changed
        covering = self._covering()
        return None if covering is None else f"covered by {covering!r}", self._right_at

    def _covering(self) -> str | None:
        area = self._window.client_area() if self._window else None
        if self._window is None or area is None:
            return None
        points = [(area.left + int(x * area.width), area.top + int(y * area.height)) for x in _GRID for y in _GRID]
        return self._window.covered_by(points)

    def _end(self, instant: int) -> None:
        first, last, flaw = self.spells[-1]
        self.spells[-1] = (first, min(last, instant), flaw)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.spells:
            self._end(now())
        if self._window is not None:
            self._window.close()
