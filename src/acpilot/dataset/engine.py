"""The same work on several folders at once: on this machine's processes, or on Ray."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from acpilot.dataset.settings import EngineSettings
from acpilot.errors import AcpilotError
from acpilot.progress import Progress

T = TypeVar("T")
Work = Callable[[Path, Progress, int | None], T]
"""What is done with a folder: it tells of its progress, and takes so many threads (None: one for each processor).

It must be importable by its name, and its result must pickle: it may run in another process, or on another machine.
"""
_RETRIES = 3
_ENGINES = {
    "local": ("acpilot.dataset.processes", "Processes"),
    "ray": ("acpilot.dataset.ray_tasks", "RayTasks"),
}


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a folder."""

    folder: Path
    result: T | AcpilotError
    lost: int
    """How many workers were lost at work on it."""


@dataclass(frozen=True)
class WorkerLost:
    """In place of a result: the process that worked on it was killed, or its machine is gone."""

    why: str


class Workers(Protocol):
    """Processes somewhere; made with the work, how many folders there are, and an address."""

    def start(self, folder: Path) -> None:
        """Have a folder worked on, as soon as there is a worker for it."""

    def ended(self) -> Iterator[tuple[Path, Any]]:
        """Wait a moment; the folders that have ended since, each with its result, AcpilotError or WorkerLost."""

    def underway(self) -> float:
        """Sum of the shares done, each 0 to 1, of the folders at work, as far as it is known."""

    def close(self) -> None:
        """End the workers, whatever they do."""


def run(
    work: Work[T], folders: Iterable[Path], settings: EngineSettings, progress: Progress
) -> Generator[Outcome[T], None, None]:
    """Work on folders; a fault of one does not stop the others.

    Args:
        work: what to do with each.
        folders: one that is named twice is worked on once.
        settings: where. A single folder is worked on in this process, unless Ray is asked for.
        progress: told of all folders together; of a single one's own steps.

    Yields:
        What became of each folder, as they end. A folder whose worker is lost is given to another one, three times.

    Raises:
        AcpilotError: the engine is not installed, or does not answer.
    """
    named: dict[Path, Path] = {}
    for folder in folders:
        named.setdefault(folder.resolve(), folder)
    if not named:
        return
    engine = settings.engine or ("ray" if settings.address else "local")
    if engine == "local" and len(named) == 1:
        (folder,) = named.values()
        yield Outcome(folder, attempt(work, folder, progress, None), 0)
        return
    module, name = _ENGINES[engine]
    workers: Workers = getattr(import_module(module), name)(work, len(named), settings.address)
    with closing(workers):
        for folder in named.values():
            workers.start(folder)
        done, lost = 0, Counter[Path]()
        while done < len(named):
            for folder, result in workers.ended():
                if isinstance(result, WorkerLost):
                    lost[folder] += 1
                    if lost[folder] <= _RETRIES:
                        workers.start(folder)
                        continue
                    result = AcpilotError(  # noqa: PLW2901
                        f"{folder}: {lost[folder]} workers were lost one after the other ({result.why}): is there "
                        "memory enough? Run the same command again with fewer sessions"
                    )
                done += 1
                yield Outcome(folder, result, lost[folder])
            if share := done + workers.underway():
                progress(round(1000 * share), 1000 * len(named))


def run_here(work: Work[T], folders: Iterable[Path], progress: Progress) -> dict[Path, T]:
    """Work on folders in this machine's processes; what came of each, by its name as it was given.

    Raises:
        AcpilotError: of the first folder that has a fault; work on the others is ended.
    """
    done: dict[Path, T] = {}
    with closing(run(work, folders, EngineSettings(engine="local"), progress)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome.result, AcpilotError):
                raise outcome.result
            done[outcome.folder] = outcome.result
    return done


def attempt(work: Work[T], folder: Path, progress: Progress, threads: int | None) -> T | AcpilotError:
    """Do the work; a fault of the user's is handed back, so that it comes whole through any kind of worker."""
    try:
        return work(folder, progress, threads)
    except AcpilotError as error:
        return error
