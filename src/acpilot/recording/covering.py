"""Notices what covers the game's window while the picture of the screen is recorded."""

from contextlib import suppress
from types import TracebackType
from typing import Self

from acpilot.clock import now
from acpilot.desktop.window import Window, find_window
from acpilot.errors import AcpilotError

_GRID = (0.04, 0.22, 0.41, 0.59, 0.78, 0.96)  # of the window's width and height
_STILL = 1 << 62  # the end of a spell that lasts: a recorder that is killed leaves it so


class CoverWatch:
    """Watches one window; a context manager, for one thread.

    A spell reaches from the last look that found the window free to the first one that finds it free again.
    """

    def __init__(self, title: str | None) -> None:
        """Begin to watch.

        Args:
            title: of the window; None where nothing that covers it comes into the picture.
        """
        self.spells: list[tuple[int, int, str]] = []
        """From and to which instant, ns, and the title of what covered it: ``Manifest.covered``."""
        self._window: Window | None = None
        self._free_at = 0
        if title is not None:
            with suppress(AcpilotError):  # it has just gone: the recorder tells
                self._window = find_window(title)

    def look(self) -> str | None:
        """The title of what covers the window now; None when it is free."""
        area = self._window.client_area() if self._window else None
        if self._window is None or area is None:
            return None
        begun = now()
        points = [(area.left + int(x * area.width), area.top + int(y * area.height)) for x in _GRID for y in _GRID]
        title = self._window.covered_by(points)
        lasting = bool(self.spells) and self.spells[-1][1] == _STILL
        if title is None:
            self._free_at = begun
            if lasting:
                self._end(now())
        elif not lasting:
            self.spells.append((self._free_at, _STILL, title))
        return title

    def _end(self, instant: int) -> None:
        first, last, title = self.spells[-1]
        self.spells[-1] = (first, min(last, instant), title)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.spells:
            self._end(now())
        if self._window is not None:
            self._window.close()
