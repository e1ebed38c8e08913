"""Find the game's window by its title, and where its client area (the picture without borders) is on the screen."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Generic, Protocol, TypeVar

from acpilot.errors import AcpilotError

Handle = TypeVar("Handle")
_PROGRAMS = {"assetto corsa": "acs.exe"}
"""The program that shows the game's window, by its title; on Windows it can be told."""
_NEVER_THE_GAME = {"assettocorsa.exe", "explorer.exe"}
"""The launcher, whose window has the game's title, and Explorer, whose folders can."""
_NAMED = 8
_LONGEST_TITLE = 60


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
    """The game's window, by this title: see ``choose``.

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


@dataclass(frozen=True)
class Candidate(Generic[Handle]):
    """A window that could be the game's."""

    title: str
    handle: Handle
    """What its finder knows it by."""
    program: str = ""
    """File name of the program that shows it, such as acs.exe; empty where that is not known."""
    pixels: int = 0
    """Of its client area."""


def choose(title: str, found: Sequence[Candidate[Handle]]) -> Candidate[Handle]:
    """The window that is meant: the rule for every way of finding one.

    Its title is the one wanted, to the last letter (capitals do not matter). Of several, one of the game's own program
    comes first, then the largest; a folder of Explorer and the game's launcher are never the game.

    Raises:
        WindowNotFoundError: there is none (the message names windows that look alike, or those that are there).
    """
    wanted = title.casefold()
    own = _PROGRAMS.get(wanted)
    matching = [
        each for each in found if each.title.casefold() == wanted and each.program.casefold() not in _NEVER_THE_GAME
    ]
    if matching:
        return max(matching, key=lambda each: (each.program.casefold() == own, each.pixels))
    there = [each.title for each in sorted(found, key=lambda each: -each.pixels) if each.title.casefold() != wanted]
    alike = [text for text in there if wanted in text.casefold()]
    names = list(dict.fromkeys(repr(_shortened(text)) for text in alike or there))
    more = ", ..." if len(names) > _NAMED else ""
    what = "give one of these with --title" if alike else "there are"
    hint = f"; {what}: {', '.join(names[:_NAMED])}{more}" if names else ""
    raise WindowNotFoundError(f"no window is titled {title!r}{hint}")


def _shortened(text: str) -> str:
    """A title as --title takes it, unless it is longer than anybody types."""
    return text if len(text) <= _LONGEST_TITLE else f"{text[:_LONGEST_TITLE]}..."
