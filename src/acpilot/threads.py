"""Threads whose failure is their owner's to report."""

import threading
from collections.abc import Callable
from typing import Protocol


class CanFail(Protocol):
    """Owns threads."""

    failure: Exception | None
    """What ended one of them, once something has; the first one stays."""


def guarded_thread(
    owner: CanFail, work: Callable[[], None], name: str, ended: threading.Event | None = None
) -> threading.Thread:
    """A thread, not started yet, that hands what ends it to its owner.

    Args:
        owner: whose thread it is.
        work: what it does.
        name: of the thread.
        ended: set when the work has ended, after its failure is known.
    """

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever ends a thread is its owner's to report
            owner.failure = owner.failure or error
        finally:
            if ended is not None:
                ended.set()

    return threading.Thread(target=run, name=name, daemon=True)
