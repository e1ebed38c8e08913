"""What ends a recording or a drive: Escape wherever the focus is, Ctrl-C, a duration."""

import signal
import threading
from contextlib import ExitStack
from types import FrameType
from typing import Self

from acpilot.clock import NS, now
from acpilot.desktop import escape_key


class Stop:
    """Collects the reasons to stop; a context manager.

    Listens in every way that works here at once; ``ways`` tells which.
    """

    def __init__(self, duration: float | None = None, *, escape: bool = True) -> None:
        self.reason: str | None = None
        """Why to stop, once there is a reason."""
        self.ways: list[str] = []
        """How it can be stopped, for people: ["Escape", "Ctrl-C"]."""
        self._duration, self._escape = duration, escape
        self._deadline: int | None = None
        self._event = threading.Event()
        self._closing = threading.Event()
        self._exit = ExitStack()

    def start_duration(self) -> None:
        """Let the duration count from now."""
        if self._duration is not None:
            self._deadline = now() + round(self._duration * NS)

    def request(self, reason: str) -> None:
        """Ask to stop; the first reason stays."""
        self.reason = self.reason or reason
        self._event.set()

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds, or less when there is a reason to stop; whether there is one."""
        if self._deadline is not None:
            timeout = min(timeout, max(0.0, (self._deadline - now()) / NS))
        self._event.wait(timeout)
        if self._deadline is not None and now() >= self._deadline:
            self.request(f"the duration of {self._duration:g} s")
        return self.reason is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                if number := getattr(signal, name, None):
                    previous = signal.signal(number, self._on_signal)
                    self._exit.callback(signal.signal, number, previous)
        for watch in escape_key.WATCHES if self._escape else ():
            if way := watch(self._on_escape, self._closing, self._exit):
                self.ways.append(way)
        self.ways.append("Ctrl-C")
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._exit.close()

    def _on_escape(self) -> None:
        self.request("Escape")

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        # Not here: the thread that the signal interrupts may hold the event's lock, in the middle of a wait.
        threading.Thread(target=self.request, args=(reason,), daemon=True).start()
