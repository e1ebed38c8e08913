"""A little of Direct3D 11 through ctypes: pixels out of textures that live on the graphics card.

The numbers are those of Microsoft's headers d3d11.h, d3d11_4.h and dxgi.h: places of methods in their tables,
identifiers, flags.
"""

import ctypes
import sys
from collections.abc import Callable
from ctypes import byref, c_int, c_ubyte, c_uint, c_void_p
from typing import Any
from uuid import UUID

import numpy as np

from acpilot.errors import AcpilotError

assert sys.platform == "win32"

_HARDWARE, _BGRA_SUPPORT, _SDK_VERSION = 1, 0x20, 7
_B8G8R8A8_UNORM = 87
_STAGING, _CPU_READ, _MAP_READ = 3, 0x20000, 1
_TEXTURE_2D = UUID("6f15aaf2-d208-4e89-9ab4-489535d34f9c")
_DXGI_DEVICE = UUID("54ec77fa-1377-44e6-8c32-88fd5f44c84c")
_MULTITHREAD = UUID("9b7e4e00-342c-4106-a19f-4f2704f689f0")

# Places in the tables of methods.
_QUERY_INTERFACE, _RELEASE = 0, 2
_SET_MULTITHREAD_PROTECTED = 5
_CREATE_TEXTURE_2D = 5
_MAP, _UNMAP, _COPY_SUBRESOURCE_REGION = 14, 15, 46


class _TextureDescription(ctypes.Structure):
    _fields_ = [
        (name, c_uint)
        for name in (
            "width", "height", "mip_levels", "array_size", "format", "samples", "sample_quality", "usage",
            "bind_flags", "cpu_access", "misc_flags",
        )
    ]  # fmt: skip


class _Mapped(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("row_pitch", c_uint), ("depth_pitch", c_uint)]


class _Box(ctypes.Structure):
    _fields_ = [(name, c_uint) for name in ("left", "top", "front", "right", "bottom", "back")]


def call(pointer: int, place: int, *arguments: Any, result: Any = c_int) -> Any:
    """Call a method of a COM object.

    Args:
        pointer: to the object.
        place: of the method in its table.
        arguments: ctypes' values.
        result: type of what it returns; None for nothing.
    """
    table = ctypes.cast(ctypes.cast(pointer, ctypes.POINTER(c_void_p))[0] or 0, ctypes.POINTER(c_void_p))
    types = [type(each) if isinstance(each, ctypes._SimpleCData) else c_void_p for each in arguments]
    method: Callable[..., Any] = ctypes.WINFUNCTYPE(result, c_void_p, *types)(table[place] or 0)
    return method(pointer, *arguments)


def release(pointer: int) -> int:
    """Give up a reference to a COM object; how many are left."""
    return int(call(pointer, _RELEASE, result=c_uint))


def query(pointer: int, interface: UUID) -> int:
    """The same object by another of its interfaces: a reference of its own, to be released.

    Raises:
        AcpilotError: it has no such interface.
    """
    found = c_void_p()
    identifier = (c_ubyte * 16).from_buffer_copy(interface.bytes_le)
    _check(call(pointer, _QUERY_INTERFACE, byref(identifier), byref(found)), "a part of Direct3D 11")
    return found.value or 0


def _check(result: int, what: str) -> None:
    if result < 0:
        raise AcpilotError(f"Direct3D cannot give {what} (error {result & 0xFFFFFFFF:#010x}): give --capture mss")


class Device:
    """The graphics card, and one texture in main memory through which pixels are read. Use it in one thread."""

    def __init__(self, driver: int = _HARDWARE) -> None:
        """Open it.

        Args:
            driver: D3D_DRIVER_TYPE: 1 for the graphics card, 5 for Windows' own renderer.

        Raises:
            AcpilotError: there is no Direct3D 11.
        """
        self._device, self._context, self._staging = 0, 0, 0
        self._size = (0, 0)
        device, context = c_void_p(), c_void_p()
        try:
            create = ctypes.WinDLL("d3d11").D3D11CreateDevice
        except OSError as error:
            raise AcpilotError(f"Direct3D 11 is not there ({error}): give --capture mss") from None
        _check(
            create(
                None, c_int(driver), None, c_uint(_BGRA_SUPPORT), None, c_uint(0), c_uint(_SDK_VERSION),
                byref(device), None, byref(context),
            ),
            "a device",
        )  # fmt: skip
        self._device, self._context = device.value or 0, context.value or 0
        protection = query(self._context, _MULTITHREAD)  # the compositor's threads use the device too
        call(protection, _SET_MULTITHREAD_PROTECTED, c_int(1))
        release(protection)

    def dxgi(self) -> int:
        """An ``IDXGIDevice*``, to be released."""
        return query(self._device, _DXGI_DEVICE)

    def create_texture(self, width: int, height: int, *, staging: bool = False, pixels: bytes | None = None) -> int:
        """A texture of BGRA pixels, uint8: an ``ID3D11Texture2D*``, to be released.

        Args:
            width: pixels.
            height: pixels.
            staging: whether it is one that can be read.
            pixels: what it holds, row by row.

        Raises:
            AcpilotError: it cannot be had.
        """
        described = _TextureDescription(width, height, 1, 1, _B8G8R8A8_UNORM, 1, 0)
        if staging:
            described.usage, described.cpu_access = _STAGING, _CPU_READ
        initial = None
        if pixels is not None:
            held = ctypes.create_string_buffer(pixels, len(pixels))
            initial = byref(_Mapped(ctypes.addressof(held), width * 4, 0))
        texture = c_void_p()
        _check(
            call(self._device, _CREATE_TEXTURE_2D, byref(described), initial, byref(texture)), "memory for a picture"
        )
        return texture.value or 0

    def read(self, surface: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """A part of a texture, which is left as it is.

        Args:
            surface: an ``IDXGISurface*`` or ``ID3D11Texture2D*`` of this device.
            left: first column of the part, pixels.
            top: first row.
            width: columns, all of them inside the texture.
            height: rows.

        Returns:
            uint8 (height, width, 4), blue green red alpha; a copy.

        Raises:
            AcpilotError: the graphics card does not give it.
        """
        if width > self._size[0] or height > self._size[1]:
            self._forget_staging()
            self._size = (max(width, self._size[0]), max(height, self._size[1]))
            self._staging = self.create_texture(*self._size, staging=True)
        texture = query(surface, _TEXTURE_2D)
        try:
            box, zero = _Box(left, top, 0, left + width, top + height, 1), c_uint(0)
            call(
                self._context, _COPY_SUBRESOURCE_REGION, c_void_p(self._staging), zero, zero, zero, zero,
                c_void_p(texture), zero, byref(box), result=None,
            )  # fmt: skip
            mapped = _Mapped()
            staging = c_void_p(self._staging)
            _check(call(self._context, _MAP, staging, zero, c_uint(_MAP_READ), zero, byref(mapped)), "its pixels")
            try:
                data = (c_ubyte * (mapped.row_pitch * height)).from_address(mapped.data)
                rows = np.frombuffer(data, np.uint8).reshape(height, mapped.row_pitch)
                return rows[:, : width * 4].reshape(height, width, 4).copy()
            finally:
                call(self._context, _UNMAP, staging, zero, result=None)
        finally:
            release(texture)

    def close(self) -> None:
        """Let go of it; may be called twice."""
        self._forget_staging()
        for pointer in (self._context, self._device):
            if pointer:
                release(pointer)
        self._context = self._device = 0

    def _forget_staging(self) -> None:
        if self._staging:
            release(self._staging)
        self._staging = 0
