"""A window's own picture on Windows, with the time at which it was composed: Windows Graphics Capture (WGC).

The compositor hands over a frame whenever it has drawn the window anew, with the time of that on the clock of
``time.perf_counter`` (``SystemRelativeTime``, since the start of QueryPerformanceCounter). It may do so without the
game having drawn, so each frame is compared with the one before: a picture was presented between the last frame without
it and the first that shows it.
"""

import sys
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import numpy as np

from acpilot.clock import NS, now
from acpilot.commands import install_packages
from acpilot.desktop.capture import Picture, Shot
from acpilot.desktop.window import Area, Window, visible_area
from acpilot.errors import AcpilotError

if sys.platform == "win32":
    from acpilot.desktop.d3d11 import Device, release
    from acpilot.desktop.window_windows import Win32Window

assert sys.platform == "win32"

_BUFFERS = 3
"""One that is read, one that is the newest, one to draw into."""
_FIRST = 2.0  # seconds, until the first picture
_STILL = NS // 2
_TRIES, _RESIZING = 10, 0.1
_ROUNDING_MS = 0.5
_BORDERLESS = "minimised, or in exclusive full screen, of which it has none; set the game to borderless"


class WgcCapture:
    """Takes the window's picture from the compositor, whatever lies in front of it."""

    name = "wgc"
    takes_screen = False
    way = "the compositor's own times"

    def __init__(self, window: Window | Area) -> None:
        if not isinstance(window, Win32Window):
            raise AcpilotError("a part of the screen is no window: leave --capture out, or give --capture mss")
        self._window = window
        self._frames: _Frames | None = None
        self._device = Device() if _is_supported() else None
        if self._device is None:
            raise AcpilotError("Windows Graphics Capture is not there (Windows 10 1903 brings it): give --capture mss")
        self._picture: Picture | None = None
        self._shown = self._since = 0
        try:
            visible_area(window)
            self._frames = _Frames(self._device, window.identifier)
            self._wait_for_the_first()
        except BaseException:
            self.close()
            raise

    def grab(self, part: Area | None = None) -> Picture:
        """See ``Capture``."""
        self._advance(0.0)
        return self._read(part)

    def next(self, patience: float) -> Shot:
        """See ``Capture``: looks at each frame that comes until one differs."""
        end = now() + round(patience * NS)
        before = self._picture
        picture = self._read(None) if self._advance(0.0) or before is None else before
        if before is None or not np.array_equal(picture, before):
            self._since, before = self._shown, picture
        unchanged = self._shown
        while (remaining := end - now()) > 0 and self._advance(remaining / NS):
            picture = self._read(None)
            if not np.array_equal(picture, before):
                self._picture, self._since = picture, self._shown
                return Shot(picture, self._shown, (self._shown - unchanged) / 1e6 + _ROUNDING_MS)
            unchanged = self._shown
        # None is drawn: this one can have been drawn anew, alike, at any time since it was first shown.
        instant = now()
        still = instant - self._shown > _STILL
        flaw = f"Windows has given no new picture for 0.5 s: the game is at rest, or {_BORDERLESS}" if still else ""
        repeats, self._picture = self._picture is not None and np.array_equal(picture, self._picture), picture
        return Shot(picture, instant, (instant - self._since) / 1e6 + _ROUNDING_MS, repeats, flaw)

    def close(self) -> None:
        """See ``Capture``."""
        if self._frames is not None:
            self._frames.close()
        self._frames = None
        if self._device is not None:
            self._device.close()
        self._device = None

    def _wait_for_the_first(self) -> None:
        if not self._advance(_FIRST):
            raise AcpilotError(f"Windows gives no picture of the game's window: it is {_BORDERLESS}")

    def _advance(self, patience: float) -> bool:
        """Take the newest frame that was not taken yet, waiting so many seconds for one; whether there was one."""
        visible_area(self._window)  # raises when it is minimised, or gone
        assert self._frames is not None
        instant = self._frames.take(patience)
        if instant is None:
            return False
        self._shown = instant
        return True

    def _read(self, part: Area | None) -> Picture:
        """Pixels of the frame taken last: a part of the window's client area, or all of it."""
        assert self._frames is not None
        assert self._device is not None
        for _ in range(_TRIES):
            area, size = visible_area(self._window), self._frames.size
            wanted = part or Area(0, 0, area.width, area.height)
            left, top = offset_in(size, area, self._window.frames())
            left, top = left + wanted.left, top + wanted.top
            if left + wanted.width <= size[0] and top + wanted.height <= size[1]:
                return self._device.read(self._frames.surface, left, top, wanted.width, wanted.height)
            self._advance(_RESIZING)  # the window has grown since
        raise AcpilotError(
            f"Windows gives a picture of the game's window of another size, {size[0]}x{size[1]}: give --capture mss"
        )


def offset_in(size: tuple[int, int], client: Area, frames: list[Area]) -> tuple[int, int]:
    """Where the client area lies in the captured picture, pixels.

    Args:
        size: of the picture: width and height, pixels.
        client: the window's client area on the screen.
        frames: what the picture can be of: the window as it is seen, or with the border that is there for the mouse.
    """
    fitting = [frame for frame in frames if (frame.width, frame.height) == size]
    frame = fitting[0] if fitting else frames[0]
    return max(0, client.left - frame.left), max(0, client.top - frame.top)


def _is_supported() -> bool:
    """Whether this Windows has it. That must be asked before all else: without it, other calls end the process.

    Raises:
        AcpilotError: the packages are not installed.
    """
    try:
        from winrt.windows.graphics.capture import GraphicsCaptureSession

        return bool(GraphicsCaptureSession.is_supported())
    except ImportError as error:
        packages = [f"winrt-{name}>=3.2,<4" for name in PACKAGES]
        raise AcpilotError(
            f"Windows Graphics Capture needs {error.name or error}, which is not installed: "
            f"{install_packages(*packages)}; or give --capture mss"
        ) from None
    except OSError:  # the class is not registered: an old Windows, Wine
        return False


PACKAGES = (
    "runtime", "Windows.Foundation", "Windows.Foundation.Collections", "Windows.Graphics", "Windows.Graphics.Capture",
    "Windows.Graphics.Capture.Interop", "Windows.Graphics.DirectX", "Windows.Graphics.DirectX.Direct3D11",
    "Windows.Graphics.DirectX.Direct3D11.Interop",
)  # fmt: skip
"""Of PyWinRT, winrt-NAME each."""


class _Frames:
    """The frames of a window as the compositor hands them over, in a thread of its own; the newest is kept."""

    def __init__(self, device: Device, handle: int) -> None:
        from winrt.windows.graphics.capture import Direct3D11CaptureFramePool
        from winrt.windows.graphics.capture.interop import create_for_window
        from winrt.windows.graphics.directx import DirectXPixelFormat
        from winrt.windows.graphics.directx.direct3d11.interop import (
            create_direct3d11_device_from_dxgi_device,
            get_dxgi_surface_from_object,
        )

        self._surface_of = get_dxgi_surface_from_object
        self._format = DirectXPixelFormat.B8_G8_R8_A8_UINT_NORMALIZED
        self._lock, self._arrived = threading.Lock(), threading.Event()
        self._newest: Any = None
        self._taken: Any = None
        self._failure: Exception | None = None
        self.surface = 0
        """``IDXGISurface*`` of the frame taken last; stays until the next is taken."""
        self.size = (0, 0)
        """Of that frame: width and height, pixels."""
        try:
            dxgi = device.dxgi()
            self._device: Any = create_direct3d11_device_from_dxgi_device(dxgi)
            release(dxgi)
            self._item: Any = create_for_window(handle)
            self._size = _size(self._item.size)
            self._pool: Any = Direct3D11CaptureFramePool.create_free_threaded(
                self._device, self._format, _BUFFERS, self._item.size
            )
            self._session: Any = self._pool.create_capture_session(self._item)
            _prefer(self._session)
            self._token = self._pool.add_frame_arrived(self._on_frame)
            self._session.start_capture()
        except OSError as error:
            raise AcpilotError(f"Windows does not give the window's picture ({error}): give --capture mss") from None

    def take(self, patience: float) -> int | None:
        """Take the newest frame, waiting so many seconds for one; when it was composed, ns on our clock."""
        if not self._arrived.wait(patience):
            return None
        with self._lock:
            frame, self._newest = self._newest, None
            self._arrived.clear()
            failure = self._failure
        if failure is not None:
            raise AcpilotError(f"Windows gives no more pictures ({failure}): give --capture mss") from None
        if frame is None:
            return None
        self._give_back()
        self._taken = frame
        self.size = _size(frame.content_size)
        self.surface = self._surface_of(frame.surface)  # a reference of ours
        return nanoseconds(frame.system_relative_time)

    def close(self) -> None:
        """End the capture."""
        with suppress(OSError):
            self._pool.remove_frame_arrived(self._token)
        self._give_back()
        for each in (self._newest, self._session, self._pool):
            with suppress(OSError, AttributeError):
                each.close()
        self._newest = None

    def _give_back(self) -> None:
        """Let the compositor draw into the frame taken last."""
        if self.surface:
            release(self.surface)
            self.surface = 0
        if self._taken is not None:
            self._taken.close()
            self._taken = None

    def _on_frame(self, pool: Any, _: object) -> None:
        """Keep the newest frame; called by the compositor, in its own thread."""
        try:
            while (frame := pool.try_get_next_frame()) is not None:
                size = _size(frame.content_size)
                if size != self._size:  # what it holds is cut, or filled up
                    frame.close()
                    self._size = size
                    pool.recreate(self._device, self._format, _BUFFERS, size)
                    continue
                with self._lock:
                    before, self._newest = self._newest, frame
                    self._arrived.set()
                if before is not None:
                    before.close()
        except Exception as error:  # noqa: BLE001 - what is raised here would be lost in the compositor's thread
            with self._lock:
                self._failure = error
                self._arrived.set()


def _prefer(session: Any) -> None:
    """Neither cursor nor yellow border, and each frame: where this Windows can."""
    for name, value in (
        ("is_cursor_capture_enabled", False),  # from Windows 10 2004
        ("is_border_required", False),  # from Windows 11
        ("min_update_interval", timedelta(milliseconds=1)),  # from Windows 11 24H2, which else gives 60 a second
    ):
        with suppress(OSError, AttributeError):
            setattr(session, name, value)


def _size(told: Any) -> tuple[int, int]:
    return int(told.width), int(told.height)


def nanoseconds(told: timedelta) -> int:
    """A ``TimeSpan`` of Windows, whose 100 ns PyWinRT rounds to microseconds."""
    return told // timedelta(microseconds=1) * 1000
