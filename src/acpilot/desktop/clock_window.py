"""A window that shows the time in a form that a recording keeps: the truth for ``acpilot doctor --prove``.

Run as ``python -m acpilot.desktop.clock_window`` it prints "ready" when the window is there, and goes on until its
standard input is closed; then it writes what it showed, and when.
"""

import sys
import threading
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from acpilot import clock_strip
from acpilot.clock import NS, ask_for_punctuality, now, sleep_until
from acpilot.desktop.sdl import load_sdl
from acpilot.errors import AcpilotError

WIDTH, HEIGHT = 640, 360
_BAR = 40
_BACKGROUND, _BAR_COLOUR = (60, 90, 40, 255), (40, 60, 220, 255)


class ClockWindow:
    """Shows the strip of an instant, and a bar that moves when the car would."""

    def __init__(self, title: str) -> None:
        self._sdl = sdl = load_sdl()
        if sdl.SDL_Init(sdl.SDL_INIT_VIDEO):
            raise AcpilotError(f"the clock's window cannot be opened: {sdl.SDL_GetError().decode()}")
        flags = sdl.SDL_WINDOW_SHOWN | sdl.SDL_WINDOW_ALWAYS_ON_TOP
        self._window = sdl.SDL_CreateWindow(title.encode(), 60, 60, WIDTH, HEIGHT, flags)
        self._surface = sdl.SDL_GetWindowSurface(self._window) if self._window else None
        if not self._surface:
            raise AcpilotError(f"the clock's window cannot be opened: {sdl.SDL_GetError().decode()}")
        surface = self._surface.contents
        memory = (sdl.Uint8 * (surface.pitch * surface.h)).from_address(surface.pixels)
        rows = np.frombuffer(memory, np.uint8).reshape(surface.h, surface.pitch)
        self._pixels = rows[:, : 4 * surface.w].reshape(surface.h, surface.w, 4)
        self._pixels[:] = _BACKGROUND

    def show(self, instant: int, bar: int) -> None:
        """Show an instant, ns, and the bar so many pixels from the left."""
        pixels = self._pixels
        clock_strip.draw(pixels[..., :3], instant)
        lower = pixels[HEIGHT // 3 :]
        lower[:] = _BACKGROUND
        lower[:, bar : bar + _BAR] = _BAR_COLOUR
        self._sdl.SDL_UpdateWindowSurface(self._window)
        self._sdl.SDL_PumpEvents()

    def close(self) -> None:
        """Close it."""
        self._sdl.SDL_DestroyWindow(self._window)
        self._sdl.SDL_Quit()


def run(arguments: Namespace) -> None:
    """Show the time until standard input is closed, and write what was shown."""
    window = ClockWindow(arguments.title)
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    ask_for_punctuality()
    shown: list[tuple[int, int]] = []
    start = now()
    tick = 0
    while not ended.is_set():
        due = start + round(tick * NS / arguments.hz)
        sleep_until(due)
        seconds = (now() - start) / NS
        if arguments.hiccup_ms and arguments.hiccup_at <= seconds < arguments.hiccup_at + arguments.hiccup_ms / 1e3:
            tick += 1
            continue
        instant = now()
        travelled = max(0.0, seconds - arguments.rest)
        window.show(instant - round(arguments.behind_ms * 1e6), int(200 * travelled) % (WIDTH - _BAR))
        shown.append((instant, now()))
        if tick == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        tick = max(tick + 1, int((now() - start) * arguments.hz / NS))
    window.close()
    if arguments.log is not None:
        behind = round(arguments.behind_ms * 1e6)
        np.save(arguments.log, np.array([(begun - behind, begun, done) for begun, done in shown], np.int64))


def main() -> None:
    """Run as a program of its own, so that it draws on time whatever the recorder does."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True)
    parser.add_argument("--hz", type=float, default=120.0, help="redraws a second")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds before the bar moves")
    parser.add_argument("--hiccup-at", type=float, default=0.0, help="second at which nothing is drawn for --hiccup-ms")
    parser.add_argument("--hiccup-ms", type=float, default=0.0)
    parser.add_argument("--behind-ms", type=float, default=0.0, help="show the time so much too early: a known fault")
    parser.add_argument("--log", type=Path, help="file for int64 (n, 3): instant shown, drawn from, drawn to, ns")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
