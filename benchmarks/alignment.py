"""How true the labels' instants are: ``python benchmarks/alignment.py [--recorder obs] [--starts 10] [--fps 10 30]``.

The practice game draws the instant of the physics step that each picture shows as a strip of cells (--burn-clock).
It is recorded through its real window while a witness notes when each picture came and went (see clock_truth.py).
"error" is how far a frame's instant lies outside that time; "d" is the session's instant less the burnt one, which
holds what the game takes to draw and show a picture too. "naive" is index / fps counted from the reply to StartRecord.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.cli import faults_in_a_line
from acpilot.demo import virtual_display
from acpilot.recording.record import record
from acpilot.recording.settings import RecordSettings
from acpilot.telemetry.shared_memory import PageReader
from clock_truth import Witness, truth_of

PAGES = "acpilot_benchmark"


@contextmanager
def practice_game(arguments: argparse.Namespace) -> Iterator[None]:
    """The practice game with a burnt clock; at 59 pictures a second they meet all phases of a recorder's frames."""
    command = [
        sys.executable, "-m", "acpilot", "practice", "--driver", "expert", "--burn-clock", "--pages", PAGES, "--fps",
        "59", "--title", PAGES, "--size", *arguments.size.split("x"), "--renderer", arguments.renderer,
    ]  # fmt: skip
    game = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            pages = PageReader.open(PAGES)
            if pages is not None:
                with pages:
                    if pages.is_live(0.5):
                        break
            time.sleep(0.1)
        yield
    finally:
        game.terminate()
        game.wait()


@contextmanager
def recorder_settings(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """What a recorder needs: for OBS, a real one of its own."""
    if name != "obs":
        yield {}
        return
    if sys.platform == "win32":
        sys.exit("the OBS of this benchmark is started as Linux does")
    else:
        from obs_studio import ObsStudio

        studio = ObsStudio(folder / "obs")
        os.environ.update(studio.environment)
        with studio.running():
            yield {"obs_host": "127.0.0.1", "obs_port": studio.port}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorder", choices=["screen", "obs"], default="screen")
    parser.add_argument("--encoder", default="x264", help="of OBS: x264 or x264_lowcpu")
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--fps", type=float, nargs="+", default=[10, 30])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--renderer", default="auto")
    arguments = parser.parse_args()
    os.environ.pop("DISPLAY", None)
    print(
        "recorder  FPS  frames  left out  |offset| p95  |error| p99 / max (labelled)  bound  bound holds  median |d|  "
        "naive |error| median / max   (all ms)"
    )
    for fps in arguments.fps:
        with virtual_display(), tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            offsets, errors, differences, naive, bounds, holds, frames, left_out = [], [], [], [], [], True, 0, 0
            # The game comes last, so that its window is not behind that of OBS.
            with recorder_settings(arguments.recorder, folder) as more, practice_game(arguments):
                for _ in range(arguments.starts):
                    settings = RecordSettings(
                        recorder=arguments.recorder, fps=fps, duration=arguments.seconds, pages=PAGES, title=PAGES,
                        output=folder / "sessions", wait=60, obs_encoder=arguments.encoder, **more,
                    )  # fmt: skip
                    with Witness(PAGES) as witness:
                        session = record(settings, lambda _: None).session
                    truth, alignment = truth_of(session, witness), session.manifest.alignment
                    assert alignment is not None
                    labelled = np.abs(truth.errors()[truth.labelled[truth.known]])
                    offsets.append(abs(truth.offset_error()[0]))
                    errors.extend(labelled)
                    differences.extend(np.abs(truth.differences()))
                    bounds.append(alignment.error_bound_ms)
                    holds &= truth.bounds_hold()
                    frames += len(truth.instants)
                    left_out += int((~truth.labelled).sum())
                    if start := session.manifest.recorder.get("start_replied"):
                        by_index = start + np.arange(len(truth.instants)) * (1e9 / fps)
                        naive.extend(np.abs(truth.errors(by_index.astype(np.int64))))
            unaided = f"{np.median(naive):.1f} / {np.max(naive):.1f}" if naive else "-"
            print(
                f"{arguments.recorder:8}  {fps:3g}  {frames:6}  {left_out:8}  {np.percentile(offsets, 95):12.1f}  "
                f"{np.percentile(errors, 99):11.1f} / {np.max(errors):.1f}                {max(bounds):5.1f}  "
                f"{'always' if holds else 'NOT':>11}  {np.median(differences):10.1f}  {unaided:>22}",
                flush=True,
            )


if __name__ == "__main__":
    with faults_in_a_line():
        main()
