"""Read and publish memory pages: a Windows named mapping, or a file under /dev/shm as simshmbridge writes it."""

import ctypes
import mmap
import os
import sys
import time
from pathlib import Path
from typing import Self

import numpy as np

from acpilot.clock import NS, now
from acpilot.errors import AcpilotError
from acpilot.settings import DEFAULT_PAGES
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, Status

FILE_BYTES = 2048
"""What simshmbridge makes each file; a page's record is shorter."""
_SHARED_MEMORY = Path("/dev/shm")
_ID = slice(0, 4)
_OWN = 19161.0  # deprecated_2 of the static pages that acpilot publishes; deprecated_1 holds the process number
_SETTLING = 15_000  # ns: writing 580 bytes takes far less
_ACCESS_DENIED = 5  # ERROR_ACCESS_DENIED
_RUN_AS_ADMINISTRATOR = (
    "the game's memory pages may not be read: the game runs as administrator. Start the game (and the launcher that "
    "starts it) without, or start acpilot from a terminal that runs as administrator too"
)
_BEING_WRITTEN = 0x80  # the sign of the packet counter, in its last byte


def open_mapping(name: str, size: int) -> mmap.mmap | None:
    """Open another program's mapping for reading; None when nobody publishes it (yet)."""
    if sys.platform == "win32":
        # mmap would silently create a page of zeros when the game is absent, so ask first.
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenFileMappingW.restype = ctypes.c_void_p
        kernel.CloseHandle.argtypes = [ctypes.c_void_p]
        handle = kernel.OpenFileMappingW(0x0004, False, f"Local\\{name}")
        if not handle:
            if ctypes.get_last_error() == _ACCESS_DENIED:
                raise AcpilotError(_RUN_AS_ADMINISTRATOR)
            return None
        try:
            return mmap.mmap(-1, size, tagname=f"Local\\{name}", access=mmap.ACCESS_READ)
        except PermissionError:
            raise AcpilotError(_RUN_AS_ADMINISTRATOR) from None
        finally:
            kernel.CloseHandle(handle)
    try:
        with (_SHARED_MEMORY / name).open("rb") as file:
            if os.fstat(file.fileno()).st_size < size:
                return None
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise AcpilotError(
            f"{error.filename} belongs to another user: run acpilot as the user that runs the game"
        ) from None


def create_mapping(name: str, size: int) -> mmap.mmap:
    """Create (or take over) a mapping that other programs can open."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size, tagname=f"Local\\{name}")
    descriptor = os.open(_SHARED_MEMORY / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def remove_mapping(name: str) -> None:
    """Take a mapping's name away (Windows does that by itself when the last handle closes)."""
    if sys.platform != "win32":
        (_SHARED_MEMORY / name).unlink(missing_ok=True)


class PageReader:
    """The game's pages, opened for reading; a context manager."""

    def __init__(self, physics: mmap.mmap, graphics: mmap.mmap, static: mmap.mmap) -> None:
        self._physics, self._graphics, self._static = physics, graphics, static
        self._last_graphics = graphics[: GRAPHICS.itemsize]

    @classmethod
    def open(cls, pages: str = DEFAULT_PAGES) -> Self | None:
        """Open the pages; None when the game does not publish them (yet)."""
        mappings: list[mmap.mmap] = []
        for name, record in (("physics", PHYSICS), ("graphics", GRAPHICS), ("static", STATIC)):
            mapping = open_mapping(f"{pages}_{name}", record.itemsize)
            if mapping is None:
                for opened in mappings:
                    opened.close()
                return None
            mappings.append(mapping)
        return cls(*mappings)

    def packet_id(self) -> bytes:
        """The physics page's packet counter as it stands in memory (four bytes)."""
        return self._physics[_ID]

    def physics(self) -> bytes | None:
        """A whole physics page (580 bytes), or None when it was being written just now.

        The game offers no lock. Two copies, taken farther apart than it takes to write a page, must be equal to the
        last byte, with the packet counter before the first and after the second equal to the one inside: the counter
        alone misses a copy that overtakes the writer.
        """
        before = self._physics[_ID]
        first = self._physics[: PHYSICS.itemsize]
        settled = now() + _SETTLING
        while now() < settled:
            pass
        second = self._physics[: PHYSICS.itemsize]
        if first != second or before != first[_ID] or self._physics[_ID] != before or before[3] & _BEING_WRITTEN:
            return None
        return first

    def graphics(self) -> bytes:
        """The last whole graphics page (296 bytes)."""
        first = self._graphics[: GRAPHICS.itemsize]
        if first == self._graphics[: GRAPHICS.itemsize] and not first[3] & _BEING_WRITTEN:
            self._last_graphics = first
        return self._last_graphics

    def status(self) -> int:
        """``Status`` of the game."""
        return int.from_bytes(self._graphics[4:8], "little", signed=True)

    def static(self) -> np.void:
        """The static page as a record of type ``STATIC``."""
        record: np.void = np.frombuffer(self._static[: STATIC.itemsize], STATIC)[0]
        return record

    def is_live(self, patience: float) -> bool:
        """Whether the packet counter moves within so many seconds: a file left behind by a dead game does not."""
        before, deadline = self.packet_id(), now() + round(patience * NS)
        while self.packet_id() == before:
            if now() > deadline:
                return False
            time.sleep(0.002)
        return True

    def close(self) -> None:
        """Close the mappings; may be called twice."""
        for mapping in (self._physics, self._graphics, self._static):
            mapping.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_if_taken(pages: str) -> None:
    reader = PageReader.open(pages)
    if reader is None:
        return
    with reader:
        if reader.is_live(0.1) or (reader.status() != Status.OFF and not _owner_is_gone(reader)):
            left = "" if sys.platform == "win32" else f", delete {_SHARED_MEMORY}/{pages}_* if it left them behind"
            raise AcpilotError(
                f"another game is already publishing the memory pages {pages}_* (it may be paused): close it{left}, "
                "or choose other names with --pages"
            )


def _owner_is_gone(reader: PageReader) -> bool:
    """Whether acpilot made the pages, in a process that was killed: it leaves its number in the static page."""
    static = reader.static()
    owner = int(static["deprecated_1"]) if static["deprecated_2"] == _OWN else 0
    if sys.platform == "win32" or owner <= 0:
        return False  # Windows takes the pages away with their last owner
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return False


class PagePublisher:
    """Publishes the pages of a game; a context manager that takes the names away at the end."""

    def __init__(self, pages: str = DEFAULT_PAGES) -> None:
        """Create the pages, zeroed.

        Raises:
            AcpilotError: another game is publishing under these names, or may be.
        """
        _refuse_if_taken(pages)
        self._names = [f"{pages}_{name}" for name in ("physics", "graphics", "static")]
        self._physics, self._graphics, self._static = (create_mapping(name, FILE_BYTES) for name in self._names)
        for mapping in (self._physics, self._graphics, self._static):
            mapping[:] = bytes(FILE_BYTES)

    def publish_physics(self, page: bytes | bytearray) -> None:
        """Publish a page of type ``PHYSICS``."""
        self._publish(self._physics, page)

    def publish_graphics(self, page: bytes | bytearray) -> None:
        """Publish a page of type ``GRAPHICS``."""
        self._publish(self._graphics, page)

    def publish_static(self, page: bytes | bytearray) -> None:
        """Publish a page of type ``STATIC``; two unused fields of it are filled in, by which its owner is known."""
        record = np.frombuffer(bytearray(page), STATIC)
        record["deprecated_1"], record["deprecated_2"] = os.getpid(), _OWN
        self._static[: STATIC.itemsize] = record.tobytes()

    @staticmethod
    def _publish(mapping: mmap.mmap, page: bytes | bytearray) -> None:
        # The packet counter is negative while the rest is written and takes its value last, so that a writer that
        # the system stops half-way cannot be taken for one that has finished.
        mapping[3] = _BEING_WRITTEN
        mapping[4 : len(page)] = page[4:]
        mapping[_ID] = page[_ID]

    def close(self) -> None:
        """Close the pages and remove their names; may be called twice."""
        for mapping in (self._physics, self._graphics, self._static):
            mapping.close()
        for name in self._names:
            remove_mapping(name)
        self._names = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
