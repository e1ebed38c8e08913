"""Waits for the game: its pages move, and its window is there."""

from acpilot.clock import NS, now
from acpilot.desktop.stopping import Stop
from acpilot.desktop.window import WindowNotFoundError, find_window
from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.telemetry.shared_memory import PageReader

_LOOK = 0.25
_FRESH = 0.5


def live_pages(name: str) -> PageReader:
    """The pages of a game that is being driven.

    Raises:
        AcpilotError: there is none, or it stands still.
    """
    pages = PageReader.open(name)
    if pages is None:
        raise AcpilotError(
            "no game: Assetto Corsa's memory pages are not there. Start the game (on Linux its bridge too) and drive"
        )
    if not pages.is_live(_FRESH):
        pages.close()
        raise AcpilotError(
            "the game's memory pages are there but stand still: it is paused or in a menu, or they were left "
            "behind by a game that has gone. Get on the track"
        )
    return pages


def wait_for_game(name: str | None, title: str | None, patience: float, stop: Stop, show: Show) -> PageReader | None:
    """Wait until the game's pages move and its window is there.

    Args:
        name: of the pages; None to do without them.
        title: of the window; None to do without it.
        patience: seconds.
        stop: gives up.
        show: is told what is waited for.

    Returns:
        The pages, if they were asked for.

    Raises:
        AcpilotError: there was no game in this time, or the user gave up.
    """
    deadline = now() + round(patience * NS)
    problem = ""
    while True:
        try:
            pages = live_pages(name) if name is not None else None
        except AcpilotError as error:
            problem = str(error)
        else:
            try:
                if title is None:
                    return pages
                window = find_window(title)
                shown = window.client_area() is not None
                window.close()
                if shown:
                    return pages
                problem = f"the game's window {title!r} is minimised: put it on the screen"
            except WindowNotFoundError as error:
                problem = str(error)
            if pages is not None:
                pages.close()
        if now() > deadline:
            raise AcpilotError(f"{problem} (waited {patience:g} s)")
        show(f"waiting: {problem} ({' or '.join(stop.ways)} gives up)")
        if stop.wait(_LOOK):
            raise AcpilotError(f"stopped by {stop.reason} before the game was there: nothing was done")
