"""The truth about a recording of the practice game: what its window showed, and when.

The game burns the instant of the physics step shown into each picture (--burn-clock). A witness reads that strip off
the window at each of its redraws, so that for every picture it is known from when to when it stood on the screen. A
frame that shows a picture was taken within that time: how far its session's instant lies outside is an error that
neither the game's drawing nor the display's refresh explains.
"""

import select
import threading
from types import TracebackType
from typing import Any, Self

import mss
import numpy as np
from Xlib import X, display
from Xlib.ext import damage

from acpilot.clock import NS, ask_for_punctuality, now
from acpilot.clock_strip import decode, strip_height
from acpilot.desktop.window import Window, find_window
from acpilot.desktop.window_x11 import X11Window
from acpilot.recording.proving import Truth
from acpilot.session.folder import Session
from acpilot.settings import error_limit_ms

_MILLISECOND = NS // 1000


class Witness:
    """Watches a window with a burnt clock in a thread of its own; a context manager."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        _put_on_top(self._title)
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """Burnt instants, and the instants at which their pictures were drawn, ns, int64, ascending.

        The display says when, in whole milliseconds (rounded down), however late the witness comes to look.
        """
        burnt = sorted(self._seen)
        return np.array(burnt, np.int64), np.array([self._seen[each] for each in burnt], np.int64)

    def _watch(self) -> None:
        ask_for_punctuality()
        window = find_window(self._title)
        connection = display.Display()
        try:
            connection.damage_query_version()
            watch = _resource(window, connection).damage_create(damage.DamageReportNonEmpty)
            connection.sync()
            with mss.MSS() as screen:
                while not self._stop.is_set():
                    if not connection.pending_events() and not select.select([connection], [], [], 0.1)[0]:
                        continue
                    redraws = [connection.next_event() for _ in range(connection.pending_events())]
                    connection.damage_subtract(watch)  # what is drawn from here on is told anew
                    connection.flush()
                    area = window.client_area()
                    if not redraws or area is None:
                        continue
                    band = {
                        "left": area.left, "top": area.top,
                        "width": area.width, "height": strip_height(area.height),
                    }  # fmt: skip
                    shot = screen.grab(band)
                    strip = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)[..., :3]
                    # The decoder takes the strip's height from the picture's.
                    picture = np.zeros((area.height, area.width, 3), np.uint8)
                    picture[: shot.height] = strip
                    burnt = decode(picture)
                    if burnt is not None:
                        self._seen.setdefault(burnt, _instant(redraws[0].timestamp))
        finally:
            connection.close()
            window.close()


def _instant(timestamp: int) -> int:
    """The instant of one of the display's timestamps: 32 bits of milliseconds of the same clock."""
    present = now() // _MILLISECOND
    return (present - (present - timestamp) % 2**32) * _MILLISECOND


def _put_on_top(title: str) -> None:
    """Without a window manager the window that came last covers the others: that may be the one of OBS."""
    window, connection = find_window(title), display.Display()
    _resource(window, connection).configure(stack_mode=X.Above)
    connection.sync()
    connection.close()
    window.close()


def _resource(window: Window, connection: Any) -> Any:
    assert isinstance(window, X11Window)
    return connection.create_resource_object("window", window.identifier)


def truth_of(session: Session, witness: Witness) -> Truth:
    """Compare a session with what the witness saw."""
    alignment = session.manifest.alignment
    assert alignment is not None
    limit_ms = error_limit_ms(session.manifest.settings["max_error_ms"], session.manifest.settings["fps"])
    clocks, shown = witness.shown()
    replaced = np.append(shown[1:] + _MILLISECOND, 0)
    return Truth.of(session.video_file, alignment, limit_ms, clocks, shown, replaced)
