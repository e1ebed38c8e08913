"""Work on several folders at once as tasks of Ray, on this machine or on a cluster."""

import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acpilot import __version__
from acpilot.commands import install_extra
from acpilot.dataset.engine import Work, WorkerLost, attempt
from acpilot.errors import AcpilotError

try:
    import ray
    import ray.exceptions
except ModuleNotFoundError as error:
    raise AcpilotError(f"--engine ray needs {error.name}, which is not installed: {install_extra('scale')}") from None

_MOMENT = 0.2  # seconds
_PATIENCE = 5.0  # seconds, to answer at all
_OBJECTS = 100 << 20  # bytes of memory for results, which are small


@dataclass(frozen=True)
class _Errand:
    """What the workers are to do with each folder."""

    work: Work[Any]
    threads: int
    started_in: Path
    """The folder in which the command was started."""
    version: str
    """Of acpilot."""


class RayTasks:
    """A task for each folder; they share the cluster's processors out among their threads."""

    def __init__(self, work: Work[Any], count: int, address: str | None) -> None:
        self._address = address
        _connect(address)
        processors = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        threads = max(1, min(max(processors), sum(processors) // count))
        self._errand = _Errand(work, threads, Path.cwd(), __version__)
        # Ray would try again without a word.
        self._task = ray.remote(num_cpus=threads, max_retries=0)(_run_errand)
        self._tasks: dict[Any, Path] = {}

    def start(self, folder: Path) -> None:  # noqa: D102 - as in Workers
        self._tasks[self._task.remote(self._errand, folder, folder.is_dir())] = folder

    def underway(self) -> float:  # noqa: D102
        return 0.0

    def ended(self) -> Iterator[tuple[Path, Any]]:  # noqa: D102
        for task in ray.wait(list(self._tasks), timeout=_MOMENT)[0]:
            folder = self._tasks.pop(task)
            try:
                result = ray.get(task)
            except ray.exceptions.RayTaskError as error:
                # A system error: the errand could not be read there.
                if not isinstance(error.cause, ImportError | ray.exceptions.RaySystemError):
                    raise
                raise AcpilotError(
                    f"the workers of Ray at {self._address} cannot run acpilot {__version__} "
                    f"({_first_line(error.cause)}): install it on every machine of the cluster, as it is here"
                ) from None
            except ray.exceptions.RayError as error:
                result = WorkerLost(_first_line(error))
            yield folder, result

    def close(self) -> None:  # noqa: D102
        ray.shutdown()


def _connect(address: str | None) -> None:
    """Start Ray on this machine, or join a cluster.

    Raises:
        AcpilotError: it does not answer.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # With its default, Ray tells of lost workers on the standard output, which is for results.
    ray._private.worker._worker_logs_enabled = False
    try:
        if address and address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()  # Ray would try for minutes
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address else False,
            object_store_memory=None if address else _OBJECTS,
        )
    except (OSError, OverflowError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        where = f"at {address}" if address else "on this machine"
        raise AcpilotError(
            f"Ray {where} does not answer ({_first_line(error)}): "
            + (
                "start it there (ray start --head) and here (ray start --address HOST:PORT); if it wants a "
                "token, set RAY_AUTH_MODE=token in the environment"
                if address
                else "run the same command with --engine local"
            )
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _run_errand(errand: _Errand, folder: Path, is_there: bool) -> Any:
    """Work on a folder in a worker of Ray's, as if it had been started where the command was.

    Args:
        errand: what to do.
        folder: absolute, or as seen from where the command was started.
        is_there: whether there is such a folder on the machine that the command was started on.
    """
    machine = socket.gethostname()
    if errand.version != __version__:
        return AcpilotError(
            f"{folder}: the Ray worker on {machine} has acpilot {__version__}, this machine {errand.version}: results "
            "could differ; install the same version on both"
        )
    whole = errand.started_in / folder
    if is_there and not whole.is_dir():
        return AcpilotError(
            f"{folder}: the Ray worker on {machine} does not see {whole}: put the sessions on a disk that all machines "
            "of the cluster have under the same path"
        )
    if errand.started_in.is_dir():
        os.chdir(errand.started_in)
    return attempt(errand.work, folder, lambda *_: None, errand.threads)
