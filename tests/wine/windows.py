"""acpilot's commands and the stand-in game, as Windows programs under Wine."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from Xlib import XK, X
from Xlib import display as xdisplay

from acpilot.desktop.window import find_window
from acpilot.desktop.window_x11 import X11Window
from conftest import killed_in_the_end
from set_up import ENVIRONMENT, GAME, OTHER, PYTHON
from test_stopping import tap

TITLE = "Assetto Corsa"


def on_windows(path: Path) -> str:
    """What a Windows program calls this file."""
    return f"Z:{path}"


@contextmanager
def wine(*command: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A Windows program; its standard streams are pipes, since nothing else works under Wine."""
    process = subprocess.Popen(
        ["wine", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="cp1252",
        env={**os.environ, **ENVIRONMENT, "COLUMNS": "400", "NO_COLOR": "1", **environment},
    )  # fmt: skip
    with killed_in_the_end(process):
        yield process


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """An acpilot command."""
    with wine(PYTHON, "-B", "-m", "acpilot", *command, **environment) as process:
        yield process


def acpilot(*command: str, **environment: str) -> tuple[int, str]:
    """Run an acpilot command to its end: exit code and all that it printed."""
    with running(*command, **environment) as process:
        output = process.communicate(timeout=120)[0]
        return process.returncode, output


class Game:
    """The stand-in game, which obeys a command a line (game.c)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, command: str) -> None:
        """Have it do something; returns when it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def game(*title: str) -> Iterator[Game]:
    """The stand-in game with its window on the screen; with a title, a window of another program that has it."""
    with wine(OTHER if title else GAME, *title) as process:
        started = Game(process)
        started.tell("go")
        yield started
        process.communicate(timeout=10)


def press_in_the_game(name: str, how: Callable[[xdisplay.Display, int], None] = tap, key: int = XK.XK_Escape) -> None:
    """Press a key on the display, with the game's window in front."""
    screen = xdisplay.Display(name)
    window = find_window(TITLE)
    assert isinstance(window, X11Window)
    screen.create_resource_object("window", window.identifier).set_input_focus(X.RevertToParent, X.CurrentTime)
    how(screen, key)
    window.close()
    screen.close()
