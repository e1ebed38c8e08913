"""How true the labels' instants are: ``python benchmarks/alignment.py [--seconds 60] [--fps 10 30]``.

The practice game draws the instant of the physics step that each picture shows as a strip of cells (--burn-clock).
It is recorded through its real window, and the instant that the session gives each frame is compared with the one
burnt into it. The difference holds what the game takes to draw and show a picture, and the errors of the recorder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

from acpilot.demo import virtual_display
from acpilot.practice.clock_strip import decode
from acpilot.recording import record
from acpilot.session import Session
from acpilot.settings import RecordSettings
from acpilot.video.alignment import frame_times

PAGES = "acpilot_benchmark"


def differences(session: Session) -> tuple[np.ndarray, int]:
    """Session's instant minus burnt instant, ms, of each readable frame, and how many frames were not."""
    assert session.manifest.alignment is not None
    instants = session.manifest.alignment.instants(frame_times(session.video_file))
    found, unexplained = [], 0
    with av.open(str(session.video_file)) as container:
        for instant, frame in zip(instants, container.decode(video=0), strict=True):
            burnt = decode(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            if burnt is None:
                unexplained += 1
            else:
                found.append((int(instant) - burnt) / 1e6)
    return np.array(found), unexplained


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--fps", type=float, nargs="+", default=[10, 30])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--renderer", default="auto")
    arguments = parser.parse_args()
    os.environ.pop("DISPLAY", None)
    print("recorder  FPS  frames  unexplained  median |d|  p99 |d|  min d  max d  bound (all ms)   telemetry seen")
    for fps in arguments.fps:
        with virtual_display(), tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "acpilot", "practice", "--driver", "expert", "--burn-clock", "--pages", PAGES,
                "--title", PAGES, "--size", *arguments.size.split("x"), "--renderer", arguments.renderer,
            ]  # fmt: skip
            game = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                settings = RecordSettings(
                    fps=fps, duration=arguments.seconds, pages=PAGES, title=PAGES, output=Path(folder), wait=60
                )
                session = record(settings, lambda _: None).session
            finally:
                game.terminate()
                game.wait()
            found, unexplained = differences(session)
            counts, alignment = session.manifest.counts, session.manifest.alignment
            assert alignment is not None
            seen = counts.samples / (counts.samples + counts.lost_packets)
            print(
                f"screen    {fps:3g}  {counts.frames:6}  {unexplained:11}  {np.median(np.abs(found)):10.1f}  "
                f"{np.percentile(np.abs(found), 99):7.1f}  {found.min():5.1f}  {found.max():5.1f}  "
                f"{alignment.error_bound_ms:5.1f}            {100 * seen:.2f} %",
                flush=True,
            )
    print("targets: median 12 ms, p99 34 ms, none unexplained, at a 60 Hz display")


if __name__ == "__main__":
    main()
