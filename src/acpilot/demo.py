"""The whole walk without the game: the practice game's expert drives, a session is recorded and converted."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from acpilot.dataset.convert import convert
from acpilot.dataset.settings import ConvertSettings
from acpilot.errors import AcpilotError
from acpilot.progress import progress_bar, status_line
from acpilot.recording.record import record
from acpilot.recording.settings import DemoSettings, RecordSettings
from acpilot.recording.telling import report

_TITLE = "acpilot demo"
_PAGES = "acpilot_demo"
# Ctrl-C is for the recording; the game and the display end with it, not before it.
_OWN_GROUP: dict[str, Any] = {"creationflags": 0x00000200} if sys.platform == "win32" else {"start_new_session": True}


def run_demo(settings: DemoSettings, console: Console, say: Callable[[str], None]) -> None:
    """Record, convert, and say what to look at and what to type next.

    Raises:
        AcpilotError: there is no display and none could be started, or the practice game did not start.
    """
    flags = (
        "--driver",
        "expert",
        "--disturbance",
        "0.6",
        "--track",
        settings.track,
        "--title",
        _TITLE,
        "--pages",
        _PAGES,
    )
    with virtual_display() as note, practice_game(*flags) as game:
        if note:
            say(note)
        recording = RecordSettings(
            recorder="screen", duration=settings.duration, output=settings.output, title=_TITLE, pages=_PAGES, wait=60.0
        )
        with status_line(console, "starting the practice game ...") as show_line:

            def show(line: str) -> None:
                if game.poll() is not None:
                    raise AcpilotError("it ended by itself")
                show_line(line)

            ending = record(recording, show)
        if ending.fault and game.poll() is not None:
            raise ending.fault
    for line in report(ending.session):
        say(line)
    if ending.fault:
        raise ending.fault
    with progress_bar(console, "converting") as progress:
        result = convert(ending.session, ConvertSettings(), progress)
    say(f"\n{result.images} labelled images  {ending.session.images_folder}")
    say(f"their labels         {ending.session.labels_file}")
    say(f"look at them         {ending.session.contact_sheet_file}")
    say("next                 with Assetto Corsa running: acpilot record")


@contextmanager
def virtual_display() -> Iterator[str]:
    """Start a screen of its own (Xvfb) where there is none; yields a line that says so, or nothing.

    Raises:
        AcpilotError: there is no display, and no Xvfb.
    """
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        yield ""
        return
    if not shutil.which("Xvfb"):
        raise AcpilotError("there is no display: install one that needs no screen: sudo apt-get install xvfb")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x720x24", "-noreset", "-nolisten", "tcp"],
        pass_fds=(writer,),
        stderr=subprocess.DEVNULL,
        **_OWN_GROUP,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        if not number:
            raise AcpilotError("Xvfb did not start: run it by hand, 'Xvfb :9', to see why")
        os.environ["DISPLAY"] = f":{number}"
        yield f"no display here: a virtual one is used (Xvfb :{number})"
    finally:
        os.environ.pop("DISPLAY", None)
        server.terminate()
        server.wait()


@contextmanager
def practice_game(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run the practice game with these flags of ``acpilot practice`` in a process that ends with this context.

    Raises:
        AcpilotError: the game has ended by itself when the body raises one; it then says what the game said last.
    """
    command = [sys.executable, "-m", "acpilot", "practice", *flags]
    game = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **_OWN_GROUP)
    try:
        yield game
    except AcpilotError as error:
        if game.poll() is None:
            raise
        said = (game.stdout.read() if game.stdout else "").strip().splitlines()
        raise AcpilotError(
            f"the practice game did not run: {said[-1].removeprefix('acpilot: ') if said else error}"
        ) from None
    finally:
        game.terminate()
        game.communicate()
