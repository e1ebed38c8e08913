"""A window's own picture on X11 (also on XWayland, where the screen itself is black), whatever lies in front of it."""

import sys

import numpy as np
from mss.exception import ScreenShotError
from mss.linux.xcbgen import Drawable, Visualid
from mss.linux.xshmgetimage import MSSImplXShmGetImage

from acpilot.clock import now
from acpilot.desktop.capture import Picture, Seen, Shot
from acpilot.desktop.capture_mss import grabbing
from acpilot.desktop.window import Area, Window, visible_area
from acpilot.desktop.window_x11 import X11Window
from acpilot.errors import AcpilotError

assert sys.platform == "linux"


class X11Capture:
    """Takes a window's picture out of the X server's memory, right after a redraw, of which the DAMAGE extension tells.

    mss takes the picture, through shared memory; of its own it knows only the whole screen.
    """

    name = "x11"
    takes_screen = False
    way = "redraws of the window"

    def __init__(self, window: Window | Area) -> None:
        if not isinstance(window, X11Window):
            raise AcpilotError("a part of the screen is no window: leave --capture out, or give --capture mss")
        if not window.tells_redraws:
            raise AcpilotError("the X server has no DAMAGE extension, which tells when a window is redrawn")
        window.keep_its_own_picture()
        self._window = window
        self._seen = Seen()
        self._server = self._connect()

    def grab(self, part: Area | None = None) -> Picture:
        """See ``Capture``."""
        for remaining in (1, 0):
            area = visible_area(self._window)
            wanted = part or Area(0, 0, area.width, area.height)
            box = {"left": wanted.left, "top": wanted.top, "width": wanted.width, "height": wanted.height}
            try:
                with grabbing():
                    raw = self._server.grab(box)
            except AcpilotError:  # its size has just changed, or the screen's, on which mss bases its memory
                if not remaining:
                    raise
                self._window.forget_area()
                self._server.close()
                self._server = self._connect()
                continue
            return np.frombuffer(raw, np.uint8).reshape(wanted.height, wanted.width, 4)
        raise AssertionError("the last try returns or raises")

    def next(self, patience: float) -> Shot:
        """See ``Capture``."""
        redraw = self._window.wait_for_redraw(patience)
        begun = redraw or now()
        picture = self.grab()
        taken = (now() - begun) / 1e6
        repeats, age = self._seen.add(picture, begun)
        return Shot(picture, begun, taken + (0.0 if redraw else age), repeats)

    def close(self) -> None:
        """See ``Capture``."""
        self._server.close()

    def _connect(self) -> MSSImplXShmGetImage:
        with grabbing():
            server = MSSImplXShmGetImage()
            depth, visual = self._window.pixels()
            if depth not in (24, 32):
                server.close()
                raise ScreenShotError(f"the window has a colour depth of {depth}, not 24 or 32")
            server.drawable = Drawable(self._window.identifier)
            server.drawable_depth, server.drawable_visual_id = depth, Visualid(visual)
        return server
