"""Several sessions at once, in processes of this machine and on Ray: the same files, whatever dies meanwhile."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from acpilot.commands import install_extra
from acpilot.session.folder import Session
from conftest import acpilot, running, wait_for
from test_convert import files_of, one_line, write_session
from test_report import write_drive

assert sys.platform != "win32", "this looks at processes as Linux shows them"

SLOW = ("--format", "webp", "--size", "480", "270")
"""A conversion that takes long enough to be met at it."""
Alone = Callable[..., dict[str, dict[str, bytes]]]
WORKERS = {"local": "multiprocessing.spawn", "ray": "ray::_run_errand"}
HIDDEN = "hidden"
"""In this folder the workers of the cluster see nothing."""


def processes() -> dict[int, tuple[int, str]]:
    """All processes: their parent and command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, UnicodeDecodeError):
            continue
    return found


def workers(engine: str, owner: int) -> list[int]:
    """Processes of an engine that are at work, children of a command or of a cluster's raylet."""
    return [number for number, (parent, line) in processes().items() if parent == owner and WORKERS[engine] in line]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three sessions by name: two that tell frames apart by their gray, and one in colours."""
    folder = tmp_path_factory.mktemp("sessions")
    sessions = [write_session(folder, colours=colours) for colours in (False, True, False)]
    return {name: session.folder for name, session in zip(("first", "second", "third"), sessions, strict=True)}


@pytest.fixture
def folders(made: dict[str, Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(folder, tmp_path / name)) for name, folder in made.items()]


def contents(folders: list[Path]) -> dict[str, dict[str, bytes]]:
    return {folder.name: files_of(Session(folder)) for folder in folders}


@pytest.fixture(scope="module")
def alone(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """Tells what conversions one after the other make of the sessions, with some flags."""

    @cache
    def convert(*flags: str) -> dict[str, dict[str, bytes]]:
        folder = tmp_path_factory.mktemp("alone")
        copies = [Path(shutil.copytree(session, folder / name)) for name, session in made.items()]
        for copy in copies:
            assert acpilot("convert", str(copy), *flags, folder=folder)[0] == 0
        return contents(copies)

    return convert


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Ray cluster of one machine that is not the command's own: its address, and the environment to reach it."""
    hidden = tmp_path_factory.getbasetemp() / HIDDEN
    hidden.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    place = tempfile.mkdtemp(prefix="ray")  # its sockets' paths must be short
    environment = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": place, "RAY_USAGE_STATS_ENABLED": "0"}
    ray = Path(sys.executable).with_name("ray")
    start = (
        f'mount -t tmpfs none "{hidden}" && cd / && exec "{ray}" start --head --block '
        f"--node-ip-address=127.0.0.1 --port={address.rpartition(':')[2]} --num-cpus=2 --include-dashboard=false"
    )
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    with subprocess.Popen(
        ["unshare", "--mount", *as_root, "sh", "-c", start],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as head:  # fmt: skip
        assert head.stdout is not None
        said = []
        for line in head.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            pytest.fail("".join(said))
        yield {"address": address, **environment}
        head.terminate()
        head.communicate(timeout=30)
    shutil.rmtree(place, ignore_errors=True)


def reach(cluster: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Flags and environment to work on a cluster."""
    environment = dict(cluster)
    return ["--address", environment.pop("address")], environment


def test_here_sessions_give_the_same_files_together_as_alone(alone: Alone, folders: list[Path], tmp_path: Path) -> None:
    line = one_line(*acpilot("convert", *map(str, [*folders[:2], "nowhere", *folders]), folder=tmp_path))
    assert "nowhere is not a folder" in line, "the others are converted nevertheless"
    assert contents(folders) == alone()


def test_on_ray_of_its_own_they_do_too_and_nothing_is_left_running(
    alone: Alone, folders: list[Path], tmp_path: Path
) -> None:
    place = tempfile.mkdtemp(prefix="ray")
    named = [folder.name for folder in folders]  # as seen from the command's folder
    environment = {"HOME": str(tmp_path), "RAY_TMPDIR": place}
    code, output = acpilot("convert", *named, "--engine", "ray", folder=tmp_path, environment=environment)
    assert code == 0, output
    assert "INFO" not in output
    assert "WARNING" not in output
    assert len(output.splitlines()) == 2 * len(folders), "Ray says nothing of its own"
    assert contents(folders) == alone()
    assert not [line for _, line in processes().values() if place in line]
    shutil.rmtree(place)


def test_check_finds_the_same_on_ray(cluster: dict[str, str], tmp_path: Path) -> None:
    flags, environment = reach(cluster)
    drives = [write_drive(tmp_path, frames=frames).folder.name for frames in (60, 80)]
    code, here = acpilot("check", *drives, "--json", folder=tmp_path)
    assert code == 0, here
    assert acpilot("check", *drives, "--json", *flags, folder=tmp_path, environment=environment) == (0, here)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_lost_worker_is_told_and_its_session_given_to_another(
    engine: str, alone: Alone, folders: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    flags, environment = reach(request.getfixturevalue("cluster")) if engine == "ray" else ([], {})
    command = ["convert", *map(str, folders), *SLOW, *flags]
    with running(*command, folder=tmp_path, environment=environment) as process:
        wait_for(lambda: len(list(tmp_path.glob("*/processed_images/*.webp"))) > 5, "the first images", 60)
        raylets = [number for number, (_, line) in processes().items() if environment.get("RAY_TMPDIR", "-") in line]
        victims = [victim for owner in (process.pid, *raylets) for victim in workers(engine, owner)]
        os.kill(victims[0], signal.SIGKILL)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert output.count("was retried: its worker was lost") == 1
    assert contents(folders) == alone(*SLOW)


def test_a_session_whose_workers_always_die_is_given_up(folders: list[Path], tmp_path: Path) -> None:
    with running("convert", *map(str, folders[:2]), *SLOW, folder=tmp_path) as process:
        while process.poll() is None:
            for worker in workers("local", process.pid):
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(worker, signal.SIGKILL)
        output = process.communicate(timeout=30)[0]
    assert "4 workers were lost one after the other (the last one ended with code -9)" in one_line(
        process.returncode, output
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_end_with_the_command_and_the_next_run_ends_the_same(
    how: signal.Signals, alone: Alone, folders: list[Path], tmp_path: Path
) -> None:
    command = ["convert", *map(str, folders), *SLOW]
    with running(*command, folder=tmp_path) as process:
        wait_for(lambda: len(list(tmp_path.glob("*/processed_images/*.webp"))) > 5, "the first images")
        mine = workers("local", process.pid)
        assert mine
        for number in [process.pid, *(mine if how == signal.SIGINT else [])]:  # a terminal's Ctrl-C goes to all
            os.kill(number, how)
        output = process.communicate(timeout=30)[0]
    assert "Traceback" not in output
    wait_for(lambda: not set(mine) & set(processes()), "the end of the workers")
    code, output = acpilot(*command, folder=tmp_path)
    assert code == 0, output
    assert contents(folders) == alone(*SLOW)


def test_two_commands_do_not_convert_one_session_at_a_time(folders: list[Path], tmp_path: Path) -> None:
    session = Session(folders[0])
    with running("convert", str(session.folder), *SLOW, folder=tmp_path) as process:
        wait_for(lambda: len(list(session.images())) > 1, "the first images")
        process.send_signal(signal.SIGSTOP)
        line = one_line(*acpilot("convert", str(session.folder), folder=tmp_path))
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    assert "first is being converted by another acpilot" in line
    assert not session.lock_file.exists()


def test_what_the_workers_of_a_cluster_do_not_see(
    cluster: dict[str, str], folders: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    flags, environment = reach(cluster)
    there = Path(shutil.copytree(folders[0], tmp_path_factory.getbasetemp() / HIDDEN / "session"))
    line = one_line(*acpilot("check", str(there), *flags, folder=there, environment=environment))
    assert f"does not see {there}: put the sessions on a disk that all machines of the cluster have" in line


def test_a_cluster_that_does_not_answer(folders: list[Path], tmp_path: Path) -> None:
    line = one_line(*acpilot("check", str(folders[0]), "--address", "127.0.0.1:1", folder=tmp_path))
    assert "Ray at 127.0.0.1:1 does not answer" in line
    assert "ray start --head" in line


@pytest.mark.parametrize("command", ["convert", "check"])
@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_without_ray_it_says_what_to_install(command: str, where: str, folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('not there', name='ray')")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    flags = ["--engine", "ray"] if where == "flag" else []
    if where == "environment":
        environment[f"ACPILOT_{command.upper()}_ENGINE"] = "ray"
    if where == "file":
        (tmp_path / "acpilot.toml").write_text(f'[{command}]\nengine = "ray"\n')
    line = one_line(*acpilot(command, str(folders[0]), *flags, folder=tmp_path, environment=environment))
    assert f"--engine ray needs ray, which is not installed: {install_extra('scale')}" in line
