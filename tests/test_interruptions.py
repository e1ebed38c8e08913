"""kill -9 at any point of a command for datasets, and the same command again: the same files as without the kill."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acpilot.session.folder import Session
from acpilot.session.marks import Mark, write_marks
from conftest import acpilot, running
from practice_session import make_session, shifted
from test_check import with_spells
from test_report import write_drive
from test_view import content

# Python runs this as it starts: it kills its own process before the nth change to a file or folder in a place. A file
# that is opened to be written anew is left empty, as it is before the first byte arrives.
KILLER = """
import itertools, os, signal, sys

place, last = os.environ["KILL_IN"], int(os.environ["KILL_AT"])
numbers = itertools.count(1)
changes = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}

def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event in changes:
        path, flags = arguments[0], 0
    else:
        return
    if not isinstance(path, int) and os.path.abspath(os.fsdecode(path)).startswith(place):
        number = next(numbers)
        if number == last:
            if flags & os.O_TRUNC:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if not last:
            with open(os.environ["KILL_COUNT"], "w") as file:
                file.write(str(number))

sys.addaudithook(watch)
"""
if sys.platform == "win32":
    KILLED: int = signal.SIGTERM
else:
    KILLED = -signal.SIGKILL


def drive(place: Path, name: str = "first", frames: int = 5) -> Session:
    made = write_drive(place / "made", frames=frames)
    return Session.open(Path(shutil.move(made.folder, place / name)))


def run(place: Path, *command: str) -> None:
    code, output = acpilot(*command, folder=place)
    assert code == 0, output


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two converted sessions, first and second, and one whose labels are late."""
    place = tmp_path_factory.mktemp("stock")
    shifted(make_session(place / "made", track="twisty", seconds=20, renderer="software"), 200, place / "late")
    run(place, "convert", "late", "--size", "32", "18", "--fps", "2")
    drive(place, "first")
    drive(place, "second")
    run(place, "convert", "first", "second")
    return place


# What prepares a folder, given that of the converted sessions.


def recorded(place: Path, _: Path) -> None:
    drive(place)


def driven_badly(place: Path, _: Path) -> None:
    with_spells(drive(place, frames=200))


def marked(place: Path, _: Path) -> None:
    write_marks(drive(place), [Mark(0.0, 0.1, "spin"), Mark(0.2, 0.3, "traffic"), Mark(0.3, 0.4, "spin")])


def converted(place: Path, stock: Path) -> None:
    for name in ("first", "second"):
        shutil.copytree(stock / name, place / name)


def marked_since(place: Path, stock: Path) -> None:
    converted(place, stock)
    write_marks(Session.open(place / "first"), [Mark(0.1, 0.2, "spin")])


def combined(place: Path, stock: Path) -> None:
    converted(place, stock)
    run(place, "combine", "first", "--out", "dataset")


def converted_since(place: Path, stock: Path) -> None:
    combined(place, stock)
    run(place, "convert", "first", "--size", "32", "32")


def late(place: Path, stock: Path) -> None:
    shutil.copytree(stock / "late", place / "late")


def corrected(place: Path, stock: Path) -> None:
    late(place, stock)
    run(place, "lag", "late", "--fix")


def saved(place: Path, stock: Path) -> None:
    converted(place, stock)
    (place / "first.rrd").write_text("an older one")


COMBINE = ("combine", "first", "second", "--out", "dataset")
CASES: dict[str, tuple[Callable[[Path, Path], None], tuple[str, ...]]] = {
    "convert": (recorded, ("convert", "first")),
    "convert anew": (converted, ("convert", "first", "--quality", "20", "--fps", "5")),
    "convert after marks": (marked_since, ("convert", "first")),
    "check": (driven_badly, ("check", "first")),
    "mark": (marked, ("mark", "first", "--exclude", "0.05-0.15", "--why", "menu")),
    "take a mark back": (marked, ("mark", "first", "--remove", "0.2-0.3")),
    "combine": (converted, COMBINE),
    "add to a dataset": (combined, COMBINE),
    "replace in a dataset": (converted_since, COMBINE),
    "lag": (late, ("lag", "late", "--fix")),
    "take a lag back": (corrected, ("lag", "late", "--undo")),
    "report": (converted, ("report", "first")),
    "view": (saved, ("view", "first", "--save", "first.rrd")),
}
WORKING = ("convert", "check", "combine", "view")
"""Cases that are also killed at any time: they work long between two changes to files, or change them elsewhere."""


class Bench:
    """A place in which a command is run again and again from the same beginning."""

    def __init__(self, name: str, stock: Path, folder: Path) -> None:
        prepare, self.command = CASES[name]
        self.place, self._prepared, self._count = folder / "place", folder / "prepared", folder / "count"
        self.place.mkdir()
        prepare(self.place, stock)
        self.place.rename(self._prepared)
        (folder / "sitecustomize.py").write_text(KILLER)
        self._environment = {
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
            "KILL_IN": str(self.place), "KILL_COUNT": str(self._count), "KILL_AT": "0",
        }  # fmt: skip
        self.restore()
        began = time.monotonic()
        code, output = acpilot(*self.command, folder=self.place, environment=self._environment)
        self.seconds = time.monotonic() - began
        self.expected = (code, self.files())
        assert "Traceback" not in output
        self.changes = int(self._count.read_text())
        """How many times an undisturbed run changes a file or folder."""

    def restore(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self._prepared, self.place)

    def kill_before_change(self, number: int) -> None:
        environment = {**self._environment, "KILL_AT": str(number)}
        code, output = acpilot(*self.command, folder=self.place, environment=environment)
        assert code == KILLED, output

    def kill_after(self, seconds: float) -> None:
        with running(*self.command, folder=self.place) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()

    def run_again(self, after: str) -> None:
        code, output = acpilot(*self.command, folder=self.place)
        files = self.files()
        assert not [name for name in files if name.endswith(".part")], after
        assert (code, files) == self.expected, f"{after}: {output}"

    def files(self) -> dict[str, Any]:
        """All files and folders, with their content: that of the viewer's files is read, as they hold random names."""
        found: dict[str, Any] = {}
        for path in sorted(self.place.rglob("*")):
            name = str(path.relative_to(self.place))
            if path.suffix == ".rrd":
                found[name] = repr(content(path))
            else:
                found[name] = path.read_bytes() if path.is_file() else "folder"
        return found


@pytest.mark.parametrize("name", CASES)
def test_a_kill_and_another_run_end_as_an_undisturbed_run(name: str, stock: Path, tmp_path: Path) -> None:
    bench = Bench(name, stock, tmp_path)
    dice = random.Random(name)
    for number in dice.sample(range(1, bench.changes + 1), 2 if bench.changes > 10 else 1):
        bench.restore()
        bench.kill_before_change(number)
        bench.run_again(f"a kill before change {number} of {bench.changes}")
    if name in WORKING:
        seconds = dice.uniform(0.5, 1) * bench.seconds
        bench.restore()
        bench.kill_after(seconds)
        bench.run_again(f"a kill after {seconds:.3f} s")
