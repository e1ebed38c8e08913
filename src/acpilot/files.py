"""Files and folders that are there whole or not at all, whatever happens while they are written."""

import codecs
import errno
import os
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acpilot.errors import AcpilotError

_REPLACE_TRIES = 10 if sys.platform == "win32" else 1


def read_toml(path: Path) -> dict[str, Any]:
    """Read a settings file as people's editors leave it: in UTF-8 with or without a BOM, or in PowerShell's UTF-16.

    Raises:
        FileNotFoundError: there is none.
        AcpilotError: it cannot be read; the message names the line, but does not quote it: it may hold a password.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AcpilotError(f"{path} cannot be read: {error.strerror or error}") from None
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return tomllib.loads(content.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise AcpilotError(f"{path}, line {number}: a letter is not in UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+)", str(error))
        where = f"line {place[1]}" if place else "at its end"
        raise AcpilotError(
            f"{path}, {where}: not TOML; a line is name = value, text in double quotes, \\\\ for each \\ in it"
        ) from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new one; text as UTF-8, lines as they are."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def patiently(write: Callable[[], object], seconds: float = 10.0) -> None:
    """Write something that others, such as a virus scanner or a cloud's copier, may hold for seconds: until it works.

    Raises:
        OSError: the disk is full, or it did not work for so long.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            write()
            return
        except OSError as error:
            if is_full(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def is_full(error: OSError) -> bool:
    """Whether a disk, or a user's share of it, was full."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def replace(source: Path, target: Path) -> None:
    """Rename over an existing file; on Windows a virus scanner may hold a fresh file for a moment."""
    for remaining in reversed(range(_REPLACE_TRIES)):
        try:
            source.replace(target)
            return
        except PermissionError:
            if not remaining:
                raise
            time.sleep(0.05)


def cannot_write(where: Path, error: Exception, remedy: str) -> AcpilotError:
    """The line for a write that failed; where a program holds a file (Windows lets it), it names that file.

    Args:
        where: what was to be written.
        error: what happened.
        remedy: for all else, such as a full disk.
    """
    if isinstance(error, PermissionError) and (file := error.filename2 or error.filename):
        what, remedy = str(file).removesuffix(".part"), "close the program that holds it (Excel?), or make it writable"
    else:
        what = f"to {where}"
    why = getattr(error, "strerror", None) or error
    return AcpilotError(f"cannot write {what}: {why}; {remedy}, then run the same command again")


@contextmanager
def whole_folder(folder: Path, flag: str) -> Iterator[Path]:
    """Make a folder that is there whole or not at all: yields the one to write to, which takes its name at the end.

    Args:
        folder: must not be there yet.
        flag: with which the user chooses another one.

    Raises:
        AcpilotError: it is there already, or cannot be written.
    """
    if folder.exists():
        raise AcpilotError(f"{folder} is there already: choose another folder with {flag}, or delete it")
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(parents=True)
        yield part
        replace(part, folder)
    except OSError as error:
        raise AcpilotError(
            f"cannot write to {folder}: {error.strerror or error}; free some space, or choose another folder with "
            f"{flag}"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file so that its target is there whole or not at all.

    Raises:
        OSError: the source cannot be read, or the disk is full.
    """
    part = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, part)
        replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
