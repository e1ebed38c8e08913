"""How well the built-in recorder knows when its pictures were drawn, on a window with a clock: at several rates.

The window's picture stands still but for the clock for two seconds, then a bar moves; once nothing is drawn for 60 ms.

    python benchmarks/capture.py                    through the screen, as on Windows: nothing tells of redraws
    python benchmarks/capture.py --capture x11      through the window, whose redraws X11 tells
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from acpilot.cli import faults_in_a_line
from acpilot.demo import virtual_display
from acpilot.recording.proving import TITLE, Truth, shown_by_the_clock
from acpilot.recording.record import undisturbed
from acpilot.settings import error_limit_ms
from acpilot.video.recorder import start_recorder
from acpilot.video.settings import VideoSettings

REGION = (60, 60, 640, 360)
"""Where the clock's window is on a screen without a window manager."""
HICCUP_AT, HICCUP_MS, REST = 4.0, 60.0, 2.0


@contextmanager
def clock(hz: float, log: Path) -> Iterator[None]:
    """A window with a clock, and a log of what it showed, complete at the end."""
    command = [
        sys.executable, "-m", "acpilot.desktop.clock_window", "--title", TITLE, "--hz", str(hz), "--rest", str(REST),
        "--hiccup-at", str(HICCUP_AT), "--hiccup-ms", str(HICCUP_MS), "--log", str(log),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate()


def measure(settings: VideoSettings, hz: float, seconds: float) -> Truth:
    """Record a clock that redraws so often a second."""
    with tempfile.TemporaryDirectory() as folder:
        log, video = Path(folder) / "clock.npy", Path(folder) / "clock.mkv"
        with clock(hz, log), undisturbed():
            recorder = start_recorder(settings, video, lambda _: None)
            end = time.monotonic() + seconds
            while time.monotonic() < end and recorder.failure is None:
                time.sleep(0.05)
            recorder.stop()
        if recorder.failure is not None:
            raise recorder.failure
        alignment = recorder.alignment()
        assert alignment is not None
        return Truth.of(video, alignment, error_limit_ms(None, settings.fps), *shown_by_the_clock(log))


def main() -> None:
    """Print a line for each rate of window and recorder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capture", choices=("mss", "x11"), default="mss")
    parser.add_argument("--hz", type=float, nargs="+", default=[60.0, 144.0, 240.0])
    parser.add_argument("--fps", type=float, nargs="+", default=[10.0, 20.0, 30.0])
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    region = REGION if arguments.capture == "mss" else None
    print("redraws/s  FPS  frames  labelled  bound median / max  |error| max  each within its bound   (ms)")
    for hz in arguments.hz:
        for fps in arguments.fps:
            settings = VideoSettings(
                recorder="screen", capture=arguments.capture, region=region, title=TITLE, fps=fps
            )  # fmt: skip
            with virtual_display():
                truth = measure(settings, hz, arguments.seconds)
            bounds = truth.bounds[truth.labelled]
            errors = np.abs(truth.errors()[truth.labelled[truth.known]])
            print(
                f"{hz:9g}  {fps:3g}  {len(truth.instants):6}  {truth.labelled.mean():7.1%}  "
                f"{np.median(bounds):11.1f} / {bounds.max():4.1f}  {errors.max():11.2f}  "
                f"{'yes' if truth.bounds_hold() else 'NO'}",
                flush=True,
            )


if __name__ == "__main__":
    with faults_in_a_line():
        main()
