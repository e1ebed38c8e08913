"""Sets everything up and runs one of the project's words: ``python make.py demo`` or ``python make.py test``.

``make`` and ``make.bat`` call this. It needs nothing but Python (3.11 or newer); on Debian and its relatives it
installs through apt-get what is missing of the system, where it may.
"""

from __future__ import annotations  # so that an old Python gets as far as the line that says so

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WINDOWS = sys.platform == "win32"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
LOCK = ROOT / "requirements.txt"

LEROBOT = ROOT / "tests" / "lerobot"
LEROBOT_VENV = ROOT / ".venv-lerobot"
TENSORFLOW = ROOT / "tests" / "tensorflow"
TENSORFLOW_VENV = ROOT / ".venv-tensorflow"
OBS_FOLDER = ROOT / ".obs"
OBS_RELEASES = ["trixie", "sid"]  # of Debian, with OBS 30.2 and (2026-12) 32.2
VM = ROOT / "tests" / "vm"
WINE = ROOT / "tests" / "wine"

# What each word needs of the system: a program or library that is looked for, and the Debian packages that bring it.
SCREEN = {
    "libxcb-render.so.0": ["libxcb-render0"],
    "libxcb-randr.so.0": ["libxcb-randr0"],
    "libxcb-shm.so.0": ["libxcb-shm0"],
    "libxcb-xfixes.so.0": ["libxcb-xfixes0"],
}
GAME = {"libGL.so.1": ["libgl1", "libgl1-mesa-dri"], "libEGL.so.1": ["libegl1"], **SCREEN}
DISPLAY = {"Xvfb": ["xvfb"]}
DESKTOP = {**DISPLAY, "openbox": ["openbox"]}
OBS = {"obs": ["obs-studio", "obs-plugins"], "dbus-run-session": ["dbus"]}
OBS_VERSIONS = {"debootstrap": ["debootstrap"]}
BROWSER = {"chromium": ["chromium"]}
WAYLAND = {"weston": ["weston"], "Xwayland": ["xwayland"]}
TESTING = {**GAME, **DESKTOP, **WAYLAND, **OBS, **BROWSER, "pkill": ["procps"], "unshare": ["util-linux"]}

MACHINE = {
    "qemu-system-x86_64": ["qemu-system-x86"],
    "busybox": ["busybox-static"],
    "/sbin/modprobe": ["kmod"],
    "cpio": ["cpio"],
    "libevdev.so.2": ["libevdev2"],
    "setpriv": ["util-linux"],
    **SCREEN,
    **DISPLAY,
}
WINDOWS_ON_LINUX = {"wine": ["wine", "wine64"], "x86_64-w64-mingw32-gcc": ["gcc-mingw-w64-x86-64"], **DESKTOP}
FFMPEG = {"ffmpeg": ["ffmpeg"]}  # whose libraries torchcodec loads

SLOWEST = ["--durations", "25", "--durations-min", "15"]  # tests are told: what to look at when they take too long

APT_GET = Lock()  # there can be one of them at a time


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run a command; end with its exit code when it fails."""
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=quiet)
    if result.returncode:
        if quiet:
            sys.stderr.buffer.write(result.stdout + result.stderr)
        sys.exit(result.returncode)


def install_packages(*packages: str) -> bool:
    """Install Debian packages, where this user may; whether it could be done."""
    if not shutil.which("apt-get"):
        return False
    may = [] if os.geteuid() == 0 else ["sudo", "-n"] if shutil.which("sudo") else None
    if may is None:
        return False
    with APT_GET:
        print(f"installing {' '.join(packages)} with apt-get ...", flush=True)
        quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [*may, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        for command in (install, [*may, "apt-get", "update", "-qq"], install):  # lists may be missing or old
            if (
                subprocess.run(command, check=False, capture_output=True, env=quietly).returncode == 0
                and command is install
            ):
                return True
        return False


def is_there(name: str) -> bool:
    """Whether a program, or a library (its name has ".so"), can be found."""
    if ".so" not in name:
        return shutil.which(name) is not None
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def need(wanted: dict[str, list[str]]) -> None:
    """See that programs and libraries are there (Linux only); end when they cannot be had."""
    if sys.platform != "linux":
        return
    missing = [name for name in wanted if not is_there(name)]
    packages = [package for name in missing for package in wanted[name]]
    if missing and not install_packages(*packages):
        command = f"sudo apt-get install {' '.join(packages)}"
        sys.exit(f"{', '.join(missing)} is missing: install it with '{command}', then try again")


def make_venv(folder: Path, wanted: bytes, *installs: list[str | Path]) -> Path:
    """Create a virtual environment with what pip is told to install, unless that is done; its Python."""
    python, stamp = folder / PYTHON.relative_to(VENV), folder / "installed.sha256"
    digest = hashlib.sha256(wanted).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"setting up {folder.name} (once) ...", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", folder], check=False, capture_output=True).returncode:
        # Debian's own Python comes without venv.
        install_packages(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
        run(sys.executable, "-m", "venv", "--clear", folder)
    os.environ["VGAMEPAD_SKIP_VIGEMBUS_INSTALL"] = "true"  # only driving needs it: acpilot doctor says how to get it
    for what in installs:
        # What of it is ever imported gets compiled then; the rest would take longer than all else here.
        run(python, "-m", "pip", "install", "-qq", "--no-compile", "--disable-pip-version-check", *what)
    stamp.write_text(digest)
    return python


def make_environment() -> None:
    """Create .venv and install the locked packages and acpilot into it, unless that is done."""
    wanted = LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    make_venv(VENV, wanted, ["-r", LOCK], ["--no-deps", "--editable", ROOT])


def demo() -> None:
    """Record the practice game's expert and convert it."""
    run(PYTHON, "-m", "acpilot", "demo")


def test() -> None:
    """Style, types and tests."""
    run(PYTHON, "-m", "ruff", "check")
    run(PYTHON, "-m", "ruff", "format", "--check")
    # Real-time tests leave half of the machine idle: what needs no clock runs beside them, and gives way to them.
    with TemporaryFile() as printed:
        untimed = start_behind(sys.executable, __file__, "test-untimed", *sys.argv[2:], printed=printed)
        try:
            command = [PYTHON, "-m", "pytest", "-m", "real_time", *SLOWEST, *sys.argv[2:]]
            timed = subprocess.run(command, cwd=ROOT, check=False)
            print("types, and the tests that need no clock ...", flush=True)
            untimed.wait()
        finally:
            if untimed.poll() is None:
                stop(untimed)
            printed.seek(0)
            shutil.copyfileobj(printed, sys.stdout.buffer)
            sys.stdout.flush()
    sys.exit(timed.returncode or untimed.returncode)


def test_untimed() -> None:
    """Types, and the tests that need no clock."""
    run(PYTHON, "-m", "mypy")
    run(PYTHON, "-m", "mypy", "--platform", "linux" if WINDOWS else "win32")
    # A file stays together, so that what its tests share is made once; tests/conftest.py puts the longest first.
    together = ["--dist", "loadfile", "--no-loadscope-reorder"]
    patience = ["--timeout", "1200"]  # they give way to others, for as long as that takes
    run(PYTHON, "-m", "pytest", "-m", "not real_time", "-n", "2", *together, *patience, *SLOWEST, *sys.argv[2:])


def start_behind(*command: str | Path, printed: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command that gives way to everything else, in a session of its own."""
    if sys.platform == "win32":
        flags = subprocess.IDLE_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, creationflags=flags)
    process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
    with suppress(OSError):
        # Linux weighs sessions against one another before it looks at the processes in them: sched(7), "autogroup".
        Path(f"/proc/{process.pid}/autogroup").write_text("19")
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started behind all others, and those that it started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], check=False, capture_output=True)
    else:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def test_lerobot() -> None:
    """Load exports with the real lerobot package, in an environment of its own: 8 GB, so not part of "test"."""
    packages = LEROBOT / "requirements.txt"
    python = make_venv(LEROBOT_VENV, packages.read_bytes(), ["-r", packages])
    run(python, "-m", "pytest", LEROBOT, *sys.argv[2:])


def test_tensorflow() -> None:
    """Write and load TensorFlow checkpoints, in an environment that has TensorFlow too: 4 GB, so not part of "test"."""
    packages = TENSORFLOW / "requirements.txt"
    wanted = LOCK.read_bytes() + packages.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    python = make_venv(TENSORFLOW_VENV, wanted, ["-r", LOCK, "-r", packages], ["--no-deps", "--editable", ROOT])
    run(python, "-m", "pytest", TENSORFLOW, *sys.argv[2:])


def test_obs() -> None:
    """Record through this machine's OBS Studio, 30 and 32: 2.5 GB of other Debians, so not part of "test".

    Words that name one of those releases ("sid") leave it at that; what else is given is for pytest.
    """
    named = [word for word in sys.argv[2:] if word in OBS_RELEASES]
    for_pytest = [word for word in sys.argv[2:] if word not in OBS_RELEASES]
    releases = named or OBS_RELEASES
    run(PYTHON, ROOT / "benchmarks" / "obs_roots.py", *releases)
    files = sorted((ROOT / "tests").glob("test_obs*.py"))
    roots = [str(OBS_FOLDER / release) for release in releases]
    failed = []
    for root in roots if named else ["", *roots]:
        print(f"OBS of {root or 'this machine'} ...", flush=True)
        command = [PYTHON, "-m", "pytest", *SLOWEST, *files, *for_pytest]
        if subprocess.run(command, cwd=ROOT, env={**os.environ, "ACPILOT_OBS_ROOT": root}, check=False).returncode:
            failed.append(root or "this machine's OBS")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def test_vm() -> None:
    """Move a real gamepad of the kernel's, in a virtual machine: downloads 70 MB once."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian keeps modprobe: not in everybody's PATH
    run(PYTHON, VM / "machine.py", PYTHON, "-m", "pytest", VM, *sys.argv[2:])


def test_wine() -> None:
    """Run the commands in Python for Windows, under Wine: 700 MB of Debian's packages, so not part of "test"."""
    run(PYTHON, WINE / "set_up.py")
    run(PYTHON, "-m", "pytest", WINE, *sys.argv[2:])


def lock() -> None:
    """Write requirements.txt anew from pyproject.toml, without the gigabytes that torch needs for NVIDIA cards.

    Whoever trains on one has them from "pip install torch".
    """
    command: list[str | Path] = [
        VENV / PYTHON.parent / "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--extra", "all",
        "--group", "test", "--no-header", "--quiet", "--upgrade", "pyproject.toml",
    ]  # fmt: skip
    all_of_them = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [line.split("==")[0] for line in all_of_them.splitlines() if "==" in line and not line.startswith(" ")]
    without = [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]
    run(*command, *(word for name in without for word in ("--no-emit-package", name)), "-o", LOCK)


def main() -> None:
    """Run the word given on the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever types "make" may have an older one
        sys.exit(f"acpilot needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    words = {
        "demo": (demo, GAME if os.environ.get("DISPLAY") else GAME | DISPLAY),
        "test": (test, TESTING),
        "test-untimed": (test_untimed, {}),
        "test-lerobot": (test_lerobot, FFMPEG),
        "test-tensorflow": (test_tensorflow, GAME),
        "test-obs": (test_obs, {**TESTING, **OBS_VERSIONS}),
        "test-vm": (test_vm, MACHINE),
        "test-wine": (test_wine, WINDOWS_ON_LINUX),
        "lock": (lock, {}),
        "setup": (lambda: None, {}),
    }
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word not in words:
        sys.exit(f"usage: python make.py {{{'|'.join(words)}}}")
    command, wanted = words[word]
    # Where it is set, hundreds of processes would compile PyTorch and all else anew, each for seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with ThreadPoolExecutor() as beside:  # apt-get and pip need not wait for each other
        packages = beside.submit(need, wanted)
        make_environment()
        packages.result()
    command()


if __name__ == "__main__":
    main()
