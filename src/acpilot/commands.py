"""Commands that a message tells people to type: they can be typed as they stand, in cmd.exe and PowerShell too."""

import ctypes
import os
import re
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def command(*words: str | Path) -> str:
    """A command of these words, in double quotes where a word needs them: single ones mean nothing to cmd.exe."""
    return " ".join(f'"{word}"' if re.search(r"[^\w.:=+/\\~-]", str(word)) else str(word) for word in words)


def install_extra(extra: str) -> str:
    """The command that installs what one of acpilot's extras asks for, such as "drive".

    It names the packages, since uv takes ``acpilot[drive]`` from an index alone, where acpilot is not.
    """
    try:
        wanted = _requirements(metadata.requires("acpilot") or [], extra)
    except metadata.PackageNotFoundError:  # run from its source
        wanted = [f"{Path(__file__).parents[2]}[{extra}]"]
    return install_packages(*wanted)


def install_packages(*requirements: str) -> str:
    """The command that installs packages: with pip, or with uv, whose environments have no pip."""
    python = _python()
    tool = [python, "-m", "pip", "install"] if find_spec("pip") else ["uv", "pip", "install", "--python", python]
    return command(*tool, *requirements)


def _requirements(lines: list[str], extra: str) -> list[str]:
    """Of a package's requirements, as its metadata lists them, those of an extra on this system."""
    wanted = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        systems = re.findall(r"sys_platform == '(\w+)'", marker)
        if marker.endswith(f"extra == '{extra}'") and (not systems or sys.platform in systems):
            wanted.append(requirement.strip())
    return wanted


def _python() -> str:
    """This Python as it is typed: by name where that means it, else its path."""
    for name in ("python", "python3"):
        if (found := shutil.which(name)) and os.path.normcase(found) == os.path.normcase(sys.executable):
            return name
    if sys.platform != "win32" or " " not in sys.executable:
        return sys.executable
    # PowerShell takes a command in quotes for a text: the short form of a path, where the disk keeps one, needs none.
    short = ctypes.create_unicode_buffer(1024)
    ctypes.windll.kernel32.GetShortPathNameW(sys.executable, short, len(short))
    return short.value or sys.executable
