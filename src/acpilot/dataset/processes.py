"""Work on several folders at once in processes of this machine, which end with the one that started them."""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from acpilot.dataset.engine import Work, WorkerLost, attempt

_MOMENT = 0.2  # seconds


class _Worker:
    """A process, the line to it (one kind on Windows, another elsewhere), and what it is at."""

    def __init__(self, process: BaseProcess, line: Any) -> None:
        self.process, self.line = process, line
        self.folder = Path()
        self.share = 0.0


class Processes:
    """As many processes as there are processors or folders; they share the processors out among their threads."""

    def __init__(self, work: Work[Any], count: int, _: str | None) -> None:
        processors = os.cpu_count() or 1
        self._most = min(count, processors)
        self._work, self._threads = work, processors // self._most
        self._context = multiprocessing.get_context("spawn")
        self._waiting: deque[Path] = deque()
        self._workers: list[_Worker] = []

    def start(self, folder: Path) -> None:  # noqa: D102 - as in Workers
        self._waiting.append(folder)

    def underway(self) -> float:  # noqa: D102
        return sum(worker.share for worker in self._workers)

    def ended(self) -> Iterator[tuple[Path, Any]]:  # noqa: D102
        while self._waiting and len(self._workers) < self._most:
            self._give_next(self._start_worker())
        ready = wait([worker.line for worker in self._workers], _MOMENT)
        for worker in [worker for worker in self._workers if worker.line in ready]:
            folder = worker.folder
            try:
                kind, value = worker.line.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                worker.line.close()
                worker.process.join()
                kind, value = "result", WorkerLost(f"the last one ended with code {worker.process.exitcode}")
            else:
                if kind == "result":
                    self._give_next(worker)
            if kind == "bug":
                raise RuntimeError(f"at work on {folder}:\n{value}")
            if kind == "share":
                worker.share = value
            else:
                yield folder, value

    def close(self) -> None:  # noqa: D102
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()

    def _start_worker(self) -> _Worker:
        line, far_end = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(far_end, self._work, self._threads), daemon=True)
        with _deaf_to_ctrl_c():
            process.start()
        far_end.close()  # so that the end of the process is the end of the line
        worker = _Worker(process, line)
        self._workers.append(worker)
        return worker

    def _give_next(self, worker: _Worker) -> None:
        """Hand a worker the next folder; without one it ends."""
        if not self._waiting:
            self._workers.remove(worker)
            worker.line.close()
            return
        worker.folder, worker.share = self._waiting.popleft(), 0.0
        with suppress(OSError):  # killed this instant: the line's end will tell
            worker.line.send(worker.folder)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C, which a terminal sends to all: this one ends them."""
    if sys.platform == "win32":  # they turn deaf by themselves, once they run
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(line: Any, work: Work[Any], threads: int) -> None:
    """Work on the folders that come down a line, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(done: int, total: int) -> None:
        line.send(("share", done / total if total else 1.0))

    while True:
        try:
            folder = line.recv()
        except EOFError:
            return
        try:
            answer = ("result", attempt(work, folder, tell, threads))
        except Exception:  # noqa: BLE001 - shown by the parent
            answer = ("bug", traceback.format_exc())
        line.send(answer)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not write on while the same command runs again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
