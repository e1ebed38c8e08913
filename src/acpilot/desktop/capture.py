"""Pictures of the game, each with the instant at which it was drawn: one protocol, backends by name.

Recording waits for the next picture and wants its instant (``next``); driving wants the newest one, or the part of it
that the policy looks at, at once (``grab``).
"""

import json
import platform
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import platformdirs

from acpilot.desktop.window import Area, Window
from acpilot.errors import AcpilotError
from acpilot.files import write_atomically
from acpilot.settings import CaptureName

Picture = np.ndarray
"""uint8 (height, width, 4), blue green red and one byte unused."""

_BACKENDS = {
    "x11": "acpilot.desktop.capture_x11:X11Capture",
    "wgc": "acpilot.desktop.capture_wgc:WgcCapture",
    "mss": "acpilot.desktop.capture_mss:MssCapture",
}


@dataclass(frozen=True)
class Shot:
    """A picture, and when it was drawn."""

    picture: Picture
    instant: int
    """ns, monotonic clock: when it was drawn."""
    error_ms: float
    """By how much that can be off; infinite when nothing bounds it."""
    repeats: bool = False
    """It is, to the last byte, the picture before."""
    flaw: str = ""
    """Why it is not to be learnt from, for people: part of it lies outside the screen, ..."""


class Capture(Protocol):
    """Takes pictures of a window's client area, or of a part of the screen. Use it in the thread that opened it."""

    name: str
    takes_screen: bool
    """Whether what lies in front of the window is in its pictures."""
    way: str
    """How it learns the instants, in a few words."""

    def grab(self, part: Area | None = None) -> Picture:
        """The newest picture.

        Args:
            part: of it, pixels from its left top corner; without it, all.

        Raises:
            AcpilotError: it cannot be taken: the window is minimised, or gone, ...
        """
        ...

    def next(self, patience: float) -> Shot:
        """The next picture that is drawn; the newest one when none is drawn within so many seconds.

        Raises:
            AcpilotError: as ``grab``.
        """
        ...

    def close(self) -> None:
        """Let go of the screen; may be called twice."""
        ...


def open_capture(name: CaptureName, target: Window | Area) -> tuple[Capture, str]:
    """What takes pictures, and why it is not a better one, if it is not the first choice here.

    Args:
        name: auto takes the window's own picture where the desktop gives it, else the screen where the window is.
        target: a window, or a part of the screen.

    Raises:
        AcpilotError: it cannot be used here; the message says what to do.
    """
    reason = ""
    names = _choice(target) if name == "auto" else [name]
    for each in names:
        module, kind = _BACKENDS[each].split(":")
        try:
            capture: Capture = getattr(import_module(module), kind)(target)
        except AcpilotError as fault:
            if each == names[-1]:
                raise
            reason = str(fault)
            continue
        return capture, reason
    raise AssertionError("the last backend of the list either opens or raises")


def _choice(target: Window | Area) -> list[str]:
    """Backends in the order of preference."""
    if isinstance(target, Area):
        return ["mss"]
    if sys.platform == "win32":
        return ["wgc", "mss"] if _is_proven("wgc") else ["mss"]
    return ["x11", "mss"]


def _proofs_file() -> Path:
    return platformdirs.user_state_path("acpilot", appauthor=False) / "proven_captures.json"


def _is_proven(name: str) -> bool:
    """Whether ``acpilot doctor --prove`` found a backend right on this machine, with this version of its system."""
    try:
        proofs = json.loads(_proofs_file().read_text(encoding="utf-8"))
        return bool(proofs[name]["right"]) and proofs[name]["system"] == platform.version()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def note_proof(name: str, *, right: bool) -> None:
    """Keep for this machine what a proof found of a backend."""
    path = _proofs_file()
    try:
        proofs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        proofs = {}
    proofs[name] = {"right": right, "system": platform.version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(proofs, indent=2) + "\n")


class Seen:
    """The last picture, and since when it can have been on the screen."""

    def __init__(self) -> None:
        self.picture: Picture | None = None
        self._since: int | None = None
        self._looked: int | None = None

    def add(self, picture: Picture, instant: int) -> tuple[bool, float]:
        """Take in the next picture.

        Args:
            picture: just taken.
            instant: when it was.

        Returns:
            Whether it repeats the one before; how old it can be, ms, if nobody saw it being drawn: infinite for the
            first.
        """
        repeats = self.picture is not None and np.array_equal(picture, self.picture)
        if not repeats:
            self._since = self._looked
        self.picture, self._looked = picture, instant
        return repeats, float("inf") if self._since is None else (instant - self._since) / 1e6
