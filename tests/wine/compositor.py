"""Stands in for Windows' compositor, which Wine lacks: those of PyWinRT's modules that acpilot calls, on real textures.

Runs an acpilot command with them: python compositor.py record ...

A frame is the whole window, with its borders, 60 times a second: the pixels are what the screen shows there. Every
texture that is handed out is counted, and at the end what is left of the counts is printed.
"""

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from ctypes import wintypes
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from uuid import UUID

import mss
import numpy as np

if sys.platform == "win32":
    from acpilot.desktop.d3d11 import Device, query, release

assert sys.platform == "win32"

USER = ctypes.WinDLL("user32")
DEVICE = UUID("db6f6ddb-ac77-4e88-8253-819df9bbf140")  # ID3D11Device
SURFACE = UUID("cafcb56c-6ac3-4889-bf47-9e23bbd260ec")  # IDXGISurface
LEFT_OVER: list[int] = []


class Item:
    def __init__(self, window: int) -> None:
        self.window = window

    def place(self) -> dict[str, int]:
        box = wintypes.RECT()
        USER.GetWindowRect(ctypes.c_void_p(self.window), ctypes.byref(box))
        return {"left": box.left, "top": box.top, "width": box.right - box.left, "height": box.bottom - box.top}

    @property
    def size(self) -> SimpleNamespace:
        place = self.place()
        return SimpleNamespace(width=place["width"], height=place["height"])


class Frame:
    def __init__(self, device: Device, pixels: np.ndarray, instant: int) -> None:
        height, width = pixels.shape[:2]
        self.content_size = SimpleNamespace(width=width, height=height)
        self.system_relative_time = timedelta(microseconds=instant // 1000)
        self.surface = device.create_texture(width, height, pixels=pixels.tobytes())
        self.closed = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            LEFT_OVER.append(release(self.surface))


class Pool:
    def __init__(self, device: Device, buffers: int) -> None:
        self.device, self.buffers = device, buffers
        self.frames: list[Frame] = []
        self.handed_out: list[Frame] = []
        self.lock = threading.Lock()
        self.handler: Callable[[Pool, None], None] | None = None
        self.ended = threading.Event()

    @classmethod
    def create_free_threaded(cls, device: Device, pixel_format: int, buffers: int, size: SimpleNamespace) -> "Pool":
        assert pixel_format == 87
        assert size.width > 0
        return cls(device, buffers)

    def create_capture_session(self, item: Item) -> "Session":
        return Session(self, item)

    def recreate(self, device: Device, pixel_format: int, buffers: int, size: tuple[int, int]) -> None:
        assert (device, pixel_format, buffers) == (self.device, 87, self.buffers)
        assert len(size) == 2

    def add_frame_arrived(self, handler: "Callable[[Pool, None], None]") -> int:
        self.handler = handler
        return 1

    def remove_frame_arrived(self, token: int) -> None:
        assert token == 1
        self.handler = None

    def try_get_next_frame(self) -> Frame | None:
        with self.lock:
            if not self.frames:
                return None
            self.handed_out.append(self.frames[0])
            return self.frames.pop(0)

    def compose(self, item: Item) -> None:
        with mss.MSS() as screen:
            while not self.ended.wait(1 / 60):
                self.handed_out = [frame for frame in self.handed_out if not frame.closed]
                if len(self.handed_out) + len(self.frames) >= self.buffers or not item.size.width:
                    continue  # as the real one: who keeps all buffers gets no more pictures
                instant = time.perf_counter_ns()
                shot = screen.grab(item.place())
                pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
                with self.lock:
                    self.frames.append(Frame(self.device, pixels, instant))
                if self.handler is not None:
                    self.handler(self, None)

    def close(self) -> None:
        self.ended.set()
        for frame in self.frames:
            frame.close()


class Session:
    def __init__(self, pool: Pool, item: Item) -> None:
        self.pool, self.item = pool, item
        self.composing = threading.Thread(target=pool.compose, args=(item,), daemon=True)

    @staticmethod
    def is_supported() -> bool:
        return True

    @property
    def min_update_interval(self) -> timedelta:
        raise AttributeError("this Windows has none")

    def start_capture(self) -> None:
        self.composing.start()

    def close(self) -> None:
        self.pool.ended.set()
        self.composing.join()


def device_of(dxgi: int) -> Device:
    device = Device.__new__(Device)
    device._device, device._context, device._staging = query(dxgi, DEVICE), 0, 0
    return device


def stand_in(name: str, **members: object) -> None:
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(members)


def main() -> None:
    """Run an acpilot command on top of this."""
    for name in ("winrt", "winrt.windows", "winrt.windows.graphics", "winrt.windows.graphics.directx.direct3d11"):
        stand_in(name, __path__=[])
    capture = "winrt.windows.graphics.capture"
    stand_in(capture, GraphicsCaptureSession=Session, Direct3D11CaptureFramePool=Pool, __path__=[])
    stand_in(f"{capture}.interop", create_for_window=Item)
    stand_in(
        "winrt.windows.graphics.directx",
        DirectXPixelFormat=SimpleNamespace(B8_G8_R8_A8_UINT_NORMALIZED=87),
        __path__=[],
    )
    stand_in(
        "winrt.windows.graphics.directx.direct3d11.interop",
        create_direct3d11_device_from_dxgi_device=device_of,
        get_dxgi_surface_from_object=lambda surface: query(surface, SURFACE),  # a reference of the caller's, as in 3.2
    )
    from acpilot.cli import main as acpilot

    try:
        acpilot()
    finally:
        sys.stdout.write(f"textures {len(LEFT_OVER)}, held {sum(map(bool, LEFT_OVER))}\n")


if __name__ == "__main__":
    main()
