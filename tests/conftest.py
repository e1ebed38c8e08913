"""Real things for the tests: a display of their own, and the practice game running on it."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings

from acpilot.demo import virtual_display
from acpilot.telemetry.shared_memory import PageReader

if sys.platform != "linux":
    # These use X11, /dev/shm and Linux' tools. What they test of the package beyond that, the others test too.
    collect_ignore = [
        "test_capture.py", "test_demo.py", "test_doctor.py", "test_drive.py", "test_engine.py",
        "test_evaluate_real_time.py", "test_gamepad.py", "test_obs.py", "test_obs_faults.py", "test_obs_screens.py",
        "test_practice_game.py", "test_practice_view.py", "test_record.py", "test_record_troubles.py", "test_replay.py",
        "test_report_in_browser.py", "test_stopping.py", "test_takeover.py", "test_window.py",
    ]  # fmt: skip

LONGEST = ("test_improve.py", "test_learning_to_drive.py", "test_train.py")

settings.register_profile("acpilot", deadline=None)  # a slow machine is no fault
settings.load_profile("acpilot")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: one of them at the end would keep the other processor idle for minutes."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0, step: float = 0.01) -> None:
    """Wait until a condition holds; fail after a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(step)


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen of the tests' own, whatever display there is."""
    before = os.environ.pop("DISPLAY", None)
    with virtual_display():
        yield os.environ["DISPLAY"]
    if before is not None:
        os.environ["DISPLAY"] = before


@pytest.fixture
def screen(display: str) -> Iterator[Any]:
    """A connection to that screen, to press keys and move windows: an ``Xlib.display.Display``."""
    from Xlib.display import Display

    connection = Display(display)
    yield connection
    connection.close()


@contextmanager
def window_manager(name: str) -> Iterator[None]:
    """A desktop's window manager on a display."""
    from Xlib import X
    from Xlib.display import Display

    process = subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL, env={"DISPLAY": name, "PATH": "/usr/bin:/bin"})
    connection = Display(name)
    supported = connection.intern_atom("_NET_SUPPORTING_WM_CHECK")
    root = connection.screen().root
    wait_for(lambda: root.get_full_property(supported, X.AnyPropertyType), "the window manager")
    yield
    process.terminate()
    process.wait()
    root.delete_property(connection.intern_atom("_NET_ACTIVE_WINDOW"))  # which it leaves, and which nobody updates now
    connection.sync()
    connection.close()


@pytest.fixture
def pages() -> str:
    """Names for memory pages that no other test uses."""
    return f"acpilot_test_{uuid.uuid4().hex[:12]}"


class Game:
    """The practice game in a process of its own.

    Unless flags say otherwise its picture is small and drawn without OpenGL: one of 640 × 360 takes a whole processor
    to draw, which recorder and OBS then lack.
    """

    PICTURE: ClassVar = {"ACPILOT_PRACTICE_SIZE": "320 180", "ACPILOT_PRACTICE_RENDERER": "software"}

    def __init__(self, pages: str, *flags: str) -> None:
        self.pages = self.title = pages
        command = [sys.executable, "-m", "acpilot", "practice", "--pages", pages, "--title", pages, *flags]
        self.process = subprocess.Popen(
            command, env={**os.environ, **self.PICTURE}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait_until_live(self) -> None:
        wait_for(self._live, "the practice game", 60)

    def _live(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[0]
        reader = PageReader.open(self.pages)
        if reader is None:
            return False
        with reader:
            return reader.is_live(0.5)

    def end(self) -> str:
        """End it like Ctrl-C and return what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[0]


@pytest.fixture
def start_game(pages: str) -> Iterator[Callable[..., Game]]:
    """Starts practice games that are ended with the test."""
    games: list[Game] = []

    def start(*flags: str) -> Game:
        game = Game(pages, *flags)
        games.append(game)
        game.wait_until_live()
        return game

    yield start
    for game in games:
        game.end()


@contextmanager
def running(*command: str, folder: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """An acpilot command in a process of its own, killed at the end if need be."""
    process = subprocess.Popen(
        [sys.executable, "-m", "acpilot", *command],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1", "PYTHONWARNINGS": "error", **(environment or {})},
    )  # fmt: skip
    with killed_in_the_end(process):
        yield process


@contextmanager
def killed_in_the_end(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Leave no process behind, nor its pipes open."""
    with process:  # which closes its pipes
        try:
            yield
        finally:
            if process.poll() is None:
                process.kill()


def acpilot(*command: str, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run an acpilot command to its end: exit code and all that it printed."""
    with running(*command, folder=folder, environment=environment) as process:
        output = process.communicate()[0]
        return process.returncode, output


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: it would hide a program that is missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
