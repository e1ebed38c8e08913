"""Windows on X11, with python-xlib."""

import os
import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from Xlib import X, display, error
from Xlib.ext import composite, damage
from Xlib.protocol import request

from acpilot.clock import NS, now
from acpilot.desktop.window import Area, Candidate, choose
from acpilot.errors import AcpilotError

_ASK_EVERY = NS // 10
"""Where a window is, the server is asked when it tells of a change, and as often as this: for window managers that move
the frame and do not say so."""
_GONE = (error.XError, error.ConnectionClosedError)


def find(title: str) -> "X11Window":
    """See ``acpilot.desktop.window.find_window``."""
    if not os.environ.get("DISPLAY"):
        raise AcpilotError("there is no display: DISPLAY is not set, so no window can be seen")
    try:
        connection = display.Display()
    except (error.DisplayError, OSError) as problem:
        raise AcpilotError(f"the display {os.environ['DISPLAY']} does not answer: {problem}") from None
    connection.set_error_handler(lambda *_: None)  # a window that closes while we look is no news
    try:
        chosen = choose(title, _titled_windows(connection))
    except BaseException:
        connection.close()
        raise
    return X11Window(chosen.title, connection, chosen.handle)


def _title(connection: Any, window: Any) -> str:
    """A window's title; empty when it has none."""
    named = window.get_full_property(connection.get_atom("_NET_WM_NAME"), connection.get_atom("UTF8_STRING"))
    name = named.value.decode("utf-8", "replace") if named else window.get_wm_name()
    return name.decode("latin-1") if isinstance(name, bytes) else name or ""


def _titled_windows(connection: Any) -> list[Candidate[Any]]:
    """The windows that have a title; X11 does not tell of which program they are."""
    atom = connection.intern_atom
    root = connection.screen().root
    listed = root.get_full_property(atom("_NET_CLIENT_LIST"), X.AnyPropertyType)
    if listed is not None and len(listed.value):
        candidates = [connection.create_resource_object("window", identifier) for identifier in listed.value]
    else:  # no window manager: walk the tree
        candidates, pending = [], [root]
        while pending:
            try:
                children = pending.pop().query_tree().children
            except error.XError:
                continue
            candidates += children
            pending += children
    found = []
    for window in candidates:
        try:
            if name := _title(connection, window):
                size = window.get_geometry()
                found.append(Candidate(name, window, pixels=size.width * size.height))
        except error.XError:
            continue  # closed while we looked
    return found


class X11Window:
    """A window on X11, with a connection of its own."""

    def __init__(self, title: str, connection: Any, handle: Any) -> None:
        self.title = title
        self.tells_redraws = bool(connection.has_extension(damage.extname))
        self.identifier: int = handle.id
        self._connection, self._handle = connection, handle
        self._root = connection.screen().root
        self._damage: int | None = None
        self._area: Area | None = None
        self._asked: int | None = None
        """When the server was asked where the window is; None when that is no longer so."""
        handle.change_attributes(event_mask=X.StructureNotifyMask | X.PropertyChangeMask)
        self._state = connection.intern_atom("_NET_WM_STATE")
        self._hidden = connection.intern_atom("_NET_WM_STATE_HIDDEN")
        self._active = connection.intern_atom("_NET_ACTIVE_WINDOW")

    def exists(self) -> bool:
        """Whether the window is still there."""
        try:
            self._handle.get_attributes()
        except _GONE:
            return False
        return True

    def client_area(self) -> Area | None:
        """Its client area on the screen; None while minimised or gone."""
        try:
            self._redraws()
        except _GONE:
            return None
        if self._asked is None or now() - self._asked >= _ASK_EVERY:
            self._asked, self._area = now(), self._ask_for_area()
        return self._area

    def _ask_for_area(self) -> Area | None:
        asked: dict[str, Any] = {"display": self._connection.display, "defer": True}
        window = self.identifier
        try:
            # All is asked before the first answer is waited for.
            attributes = request.GetWindowAttributes(**asked, window=window)
            state = request.GetProperty(
                **asked, delete=False, window=window, property=self._state, type=X.AnyPropertyType,
                long_offset=0, long_length=64,
            )  # fmt: skip
            size = request.GetGeometry(**asked, drawable=window)
            origin = request.TranslateCoords(**asked, src_wid=window, dst_wid=self._root.id, src_x=0, src_y=0)
            for answer in (attributes, state, size, origin):
                answer.reply()
        except _GONE:
            return None
        if attributes.map_state != X.IsViewable or (state.property_type and self._hidden in state.value[1]):
            return None
        return Area(origin.x, origin.y, size.width, size.height)

    def has_focus(self) -> bool:
        """Whether the window manager calls it active; without one, whether the server gives it the keys."""
        try:
            active = self._root.get_full_property(self._active, X.AnyPropertyType)
            if active is not None and len(active.value):
                return bool(active.value[0] == self.identifier)
            focus = self._connection.get_input_focus().focus
            return focus in (X.PointerRoot, self._handle, self._frame())
        except _GONE:
            return False

    def covered_by(self, points: Sequence[tuple[int, int]]) -> str | None:
        """Title of a window in front of it at one of these points; the server passes over what lets clicks through."""
        try:
            frame, root = self._frame(), self._root.id
            asked = [
                request.TranslateCoords(
                    display=self._connection.display, defer=True, src_wid=root, dst_wid=root, src_x=x, src_y=y
                )
                for x, y in points
            ]
            for answer in asked:  # of which none was waited for before all were asked
                answer.reply()
                if answer.child not in (X.NONE, frame):
                    return self._title_within(answer.child) or "another window"
        except _GONE:
            pass
        return None

    def _frame(self) -> Any:
        """The window itself, or what the window manager has put around it: the one below the root."""
        frame = self._handle
        while (parent := frame.query_tree().parent) not in (X.NONE, self._root):
            frame = parent
        return frame

    def _title_within(self, frame: Any) -> str:
        """The title of a window, or of one that a window manager has put into this frame."""
        inside = [frame, *frame.query_tree().children]
        return next(filter(None, (_title(self._connection, window) for window in inside)), "")

    def wait_for_redraw(self, timeout: float) -> int | None:
        """Wait for the next change of its picture, which the DAMAGE extension reports."""
        try:
            if not self.tells_redraws:
                return None
            if self._damage is None:
                self._damage = self._watch_redraws()
            deadline = now() + round(timeout * NS)
            self._redraws()
            self._connection.damage_subtract(self._damage)
            self._connection.flush()
            while (remaining := deadline - now()) > 0:
                if select.select([self._connection], [], [], remaining / NS)[0]:
                    instant = now()
                    if self._redraws():
                        return instant
        except _GONE:
            pass
        return None

    def _watch_redraws(self) -> int:
        """The identifier of a new watch."""
        self._connection.damage_query_version()
        watch = int(self._handle.damage_create(damage.DamageReportNonEmpty))
        self._connection.sync()  # a new watch may begin with an event that is no redraw: it is discarded with the rest
        return watch

    def _redraws(self) -> int:
        """Read what the server has told since; how many redraws were among it."""
        count = 0
        while self._connection.pending_events():
            event = self._connection.next_event()
            if self.tells_redraws and event.type == self._connection.extension_event.DamageNotify:
                count += 1
            else:
                self._asked = None
        return count

    def keep_its_own_picture(self) -> None:
        """Have the server keep the window's picture whole, also where others lie in front, while this is open.

        Raises:
            AcpilotError: the server cannot, or the window is gone.
        """
        if not self._connection.has_extension(composite.extname):
            raise AcpilotError("the X server has no Composite extension, which keeps a window's picture whole")
        try:
            self._connection.composite_query_version()
            self._handle.composite_redirect_window(composite.RedirectAutomatic)
            self._connection.sync()
        except _GONE:
            raise AcpilotError(f"the game's window {self.title!r} was closed") from None

    def pixels(self) -> tuple[int, int]:
        """Depth (bits) and visual (the server's number) of its pixels.

        Raises:
            AcpilotError: the window is gone.
        """
        try:
            return int(self._handle.get_geometry().depth), int(self._handle.get_attributes().visual)
        except _GONE:
            raise AcpilotError(f"the game's window {self.title!r} was closed") from None

    def forget_area(self) -> None:
        """Ask the server anew where it is at the next look."""
        self._asked = None

    def close(self) -> None:
        """Close the connection."""
        with suppress(*_GONE):  # the display may have gone first
            self._connection.close()
