"""A window that shows what the network sees with the controls drawn on it: in a process of its own."""

import multiprocessing
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
from PIL import Image

from acpilot.clock import NS, now
from acpilot.driving.loop import Cycle
from acpilot.errors import AcpilotError
from acpilot.policy.policy import Policy

TITLE = "acpilot: what the network sees"
_EVERY = NS // 15
_SCALE = 3
_WIDTH = 200  # of pictures whose policy does not say how it prepares them


class DebugWindow:
    """Shows the newest cycle; a context manager that closes it.

    The picture goes through shared memory that nobody waits for: the loop's process never does more than copy a small
    one, 15 times a second.
    """

    def __init__(self, policy: Policy) -> None:
        """Nothing is shown before the first cycle.

        Raises:
            AcpilotError: Tk is missing.
        """
        if find_spec("_tkinter") is None:
            raise AcpilotError("--debug-window needs Python's Tk: on Debian sudo apt-get install python3-tk")
        self._preprocessing: Any = getattr(policy, "preprocessing", None)
        self._shown = 0
        self._process: Any = None
        self._pixels: np.ndarray = np.empty(0)
        self._state: Any = None

    def show(self, cycle: Cycle) -> None:
        """Show a cycle, unless the last one was shown just now."""
        if now() - self._shown < _EVERY or (cycle.picture is None and self._process is None):
            return
        self._shown = now()
        if cycle.picture is not None:
            picture = self._seen(cycle.picture)
            if self._process is None:
                self._open(picture)
            if picture.shape == self._pixels.shape:
                self._pixels[:] = picture
        self._state[:] = [*cycle.applied, -1.0 if cycle.speed_kmh is None else cycle.speed_kmh]

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        """What the network sees of a band, uint8 (h, w, 3), RGB."""
        if self._preprocessing is not None:
            prepared: np.ndarray = self._preprocessing.prepare(picture)
            return prepared[..., :: 1 if self._preprocessing.colours == "RGB" else -1]
        height = self._pixels.shape[0] if self._pixels.ndim > 1 else _WIDTH * picture.shape[0] // picture.shape[1]
        image = Image.fromarray(np.ascontiguousarray(picture))
        return np.array(image.resize((_WIDTH, max(1, height)), Image.Resampling.BOX))

    def _open(self, picture: np.ndarray) -> None:
        context = multiprocessing.get_context("spawn")
        memory, self._state = context.RawArray("B", picture.size), context.RawArray("d", 4)
        self._pixels = np.frombuffer(memory, np.uint8).reshape(picture.shape)
        self._process = context.Process(target=_run, args=(memory, self._state, picture.shape), daemon=True)
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()


def _run(memory: Any, state: Any, shape: tuple[int, int, int]) -> None:
    """The window's process, which ends with its parent, or when the window is closed."""
    import signal
    import tkinter as tk

    from PIL import ImageTk

    from acpilot.dataset.contact_sheet import draw_inputs

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the drive
    parent = multiprocessing.parent_process()
    pixels = np.frombuffer(memory, np.uint8).reshape(shape)
    root = tk.Tk()
    root.title(TITLE)
    root.geometry("-0-0")  # in a corner, so as not to stand in front of what the policy looks at
    root.resizable(width=False, height=False)
    label = tk.Label(root, borderwidth=0)
    label.pack()

    def draw() -> None:
        if parent is None or not parent.is_alive():
            root.destroy()
            return
        steering, throttle, brake, speed = state
        image = Image.fromarray(pixels).resize((shape[1] * _SCALE, shape[0] * _SCALE), Image.Resampling.NEAREST)
        caption = f"steering {steering:+.3f}   " + ("" if speed < 0 else f"{speed:.0f} km/h")
        draw_inputs(image, caption, steering, throttle, brake)
        photo = ImageTk.PhotoImage(image)
        label.configure(image=photo)
        label.photo = photo  # type: ignore[attr-defined] # Tk itself does not keep it
        root.after(1000 * _EVERY // NS, draw)

    draw()
    root.mainloop()
