"""Windows of other programs, with and without a window manager."""

import gc
import shutil
import threading
from collections.abc import Iterator

import pytest
from Xlib import X
from Xlib import display as xdisplay
from Xlib.protocol.event import ClientMessage

from acpilot.clock import now
from acpilot.desktop.window import Area, WindowNotFoundError, find_window
from acpilot.errors import AcpilotError
from conftest import wait_for, window_manager

pytestmark = pytest.mark.real_time

ICONIC = 3


class Shown:
    """A plain window, shown."""

    def __init__(self, display: str, title: str, size: tuple[int, int] = (320, 200)) -> None:
        self.connection = xdisplay.Display(display)
        screen = self.connection.screen()
        self.root = screen.root
        self.window = screen.root.create_window(
            40, 50, *size, 0, screen.root_depth, background_pixel=screen.black_pixel
        )
        self.window.set_wm_name(title)
        self.map()

    def map(self) -> None:
        """Ask to be shown; a window manager that is just starting may miss it."""
        self.window.map()
        self.connection.sync()

    def draw(self) -> None:
        self.window.clear_area(0, 0, 10, 10)
        self.connection.sync()

    def iconify(self) -> None:
        message = ClientMessage(
            window=self.window,
            client_type=self.connection.intern_atom("WM_CHANGE_STATE"),
            data=(32, [ICONIC, 0, 0, 0, 0]),
        )
        self.root.send_event(message, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask)
        self.connection.sync()


@pytest.fixture
def shown(display: str) -> Iterator[Shown]:
    window = Shown(display, "A Test Of Windows")
    yield window
    window.connection.close()


@pytest.fixture
def managed(display: str) -> Iterator[None]:
    with window_manager(display):
        yield


def test_a_window_is_found_by_its_whole_title_and_followed(shown: Shown) -> None:
    window = find_window("a test of windows")
    assert window.client_area() == Area(40, 50, 320, 200)
    shown.window.configure(x=100, y=7, width=300)
    shown.connection.sync()
    assert window.client_area() == Area(100, 7, 300, 200)
    shown.window.unmap()
    shown.connection.sync()
    assert window.client_area() is None
    assert window.exists()
    shown.window.destroy()
    shown.connection.sync()
    assert not window.exists()
    window.close()


@pytest.mark.usefixtures("managed")
def test_a_window_manager_changes_nothing(shown: Shown) -> None:
    found = []

    def find() -> bool:
        try:
            found.append(find_window("A Test Of Windows"))
        except WindowNotFoundError:
            return False
        return True

    wait_for(find, "the window")
    window = found[0]

    def is_shown() -> bool:
        shown.map()
        return window.client_area() is not None

    wait_for(is_shown, "the window being shown")
    area = window.client_area()
    assert area is not None
    assert (area.width, area.height) == (320, 200), "without the frame"
    shown.iconify()
    wait_for(lambda: window.client_area() is None, "the window being minimised")
    assert window.exists()
    window.close()


def test_redraws_are_told(shown: Shown) -> None:
    window = find_window("A Test Of Windows")
    assert window.wait_for_redraw(0.05) is None, "nothing is drawn"
    before = now()
    drawing = threading.Timer(0.05, shown.draw)
    drawing.start()
    instant = window.wait_for_redraw(5.0)
    drawing.join()
    assert instant is not None
    assert before + 50_000_000 <= instant <= now()
    window.close()


@pytest.mark.usefixtures("shown")
def test_no_such_window_names_those_that_look_alike() -> None:
    with pytest.raises(WindowNotFoundError, match="A Test Of Windows"):
        find_window("test of")
    with pytest.raises(WindowNotFoundError, match="no window is titled 'Nothing like it'"):
        find_window("Nothing like it")


# python-xlib leaves its socket to the collector when a display does not answer.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(AcpilotError, match="there is no display"):
        find_window("Assetto Corsa")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(AcpilotError, match="display :987 does not answer"):
        find_window("Assetto Corsa")
    gc.collect()


def test_the_programs_that_the_tests_need_are_there() -> None:
    assert all(shutil.which(name) for name in ("Xvfb", "openbox", "unshare"))
