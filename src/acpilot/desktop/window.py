"""Find the game's window by its title, and where its client area (the picture without borders) is on the screen."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeVar

from acpilot.errors import AcpilotError

Handle = TypeVar("Handle")


@dataclass(frozen=True)
class Area:
    """A rectangle of the screen, pixels."""

    left: int
    top: int
    width: int
    height: int


class Window(Protocol):
    """A window of another program. Use it in the thread that found it."""

    title: str
    tells_redraws: bool
    """Whether ``wait_for_redraw`` can work here."""

    def exists(self) -> bool:
        """Whether the window is still there, visible or not."""
        ...

    def client_area(self) -> Area | None:
        """Its client area on the screen; None while it is minimised or gone."""
        ...

    def has_focus(self) -> bool:
        """Whether keys that are pressed now go to it."""
        ...

    def covered_by(self, points: Sequence[tuple[int, int]]) -> str | None:
        """Title of a window in front of it at one of these points, x and y of the screen, pixels; None without one.

        What lets clicks through, such as an overlay, does not count.
        """
        ...

    def wait_for_redraw(self, timeout: float) -> int | None:
        """Wait until its picture is drawn anew; the instant, or None when it was not within so many seconds.

        None at once where the desktop cannot tell.
        """
        ...

    def close(self) -> None:
        """Let go of it (the window itself stays)."""
        ...


class WindowNotFoundError(AcpilotError):
    """No window has the title asked for."""


def find_window(title: str) -> Window:
    """The largest window with this title (the whole title; capitals do not matter).

    Raises:
        WindowNotFoundError: there is none (the message names windows that look alike).
        AcpilotError: this desktop does not let its windows be seen.
    """
    backend = import_module(
        "acpilot.desktop.window_windows" if sys.platform == "win32" else "acpilot.desktop.window_x11"
    )
    window: Window = backend.find(title)
    return window


def visible_area(window: Window) -> Area:
    """The client area of a window that is being watched.

    Raises:
        AcpilotError: it is minimised, or gone.
    """
    area = window.client_area()
    if area is None or area.width < 16 or area.height < 16:
        what = "minimised" if window.exists() else "closed"
        remedy = ": keep it on the screen" if what == "minimised" else ""
        raise AcpilotError(f"the game's window {window.title!r} was {what}{remedy}")
    return area


def choose(title: str, found: list[tuple[str, int, Handle]]) -> tuple[str, Handle]:
    """Of (title, area, handle) the largest one whose title is the one wanted."""
    wanted = title.casefold()
    matching = [each for each in found if each[0].casefold() == wanted]
    if matching:
        name, _, handle = max(matching, key=lambda each: each[1])
        return name, handle
    alike = sorted({repr(each[0]) for each in found if wanted in each[0].casefold()})
    hint = f"; give one of these with --title: {', '.join(alike)}" if alike else ""
    raise WindowNotFoundError(f"no window is titled {title!r}{hint}")
