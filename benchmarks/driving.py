"""How well does a policy drive tracks that it has never seen?

The walk of docs/learning.md, command by command: the practice game's expert is recorded through the real window on
four tracks, the recordings become a dataset, a policy is trained on it and evaluated on tracks whose seeds are drawn at
random now; then it is improved (DAgger), and evaluated on tracks drawn anew. A draw is four tracks of two laps each,
and its autonomy is that of all their time together.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from acpilot.cli import faults_in_a_line
from acpilot.demo import practice_game, virtual_display
from acpilot.evaluation.improve import ImprovedFolder
from acpilot.practice.settings import CameraName

TRACKS = ("random:463", "random:179", "random:156", "random:484")
"""Recorded on, of the first 600: two wide and two narrow ones that are fast (167 to 211 km/h) and have hairpins too, of
which few tracks have many. Draws are of other seeds."""
STARTS = 3
"""Sessions of each track, each from a standing start and longer than a lap."""
PACE, DISTURBANCE = "0.98", "0.8"
"""Of the expert in the recordings, for what docs/learning.md says. Lap times are told beside its own at full pace."""
LEARNT_PACE = "0.93"
"""Of that, what is learnt."""
CAMERA: CameraName = "chase"
"""Bends are seen far earlier from behind and above the car than from its bonnet."""
PLACE = ("--camera-height", "3.8", "--camera-behind", "8", "--field-of-view", "90", "--horizon", "0.47")
"""Of that camera, for training."""
DRAWN_FROM = range(1_000, 1_000_000)
TRACKS_OF_A_DRAW = 4
PAGES = "acpilot_driving"


def acpilot(*words: object) -> str:
    """Run a command of acpilot's and return what it printed; its progress is shown."""
    command = [sys.executable, "-m", "acpilot", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode:
        sys.exit(f"{done.stdout}{' '.join(command)}: exit code {done.returncode}, for the reason told above")
    return done.stdout


def record(folder: Path, minutes: float, fps: float) -> list[Path]:
    """Record the sessions of all tracks through the window, those that are not there yet."""
    sessions = []
    with virtual_display():
        for number, track in enumerate(TRACKS * STARTS):
            place = folder / "recorded" / f"{number:02}_{track.replace(':', '_')}"
            flags = (
                "--track", track, "--driver", "expert", "--pace", PACE, "--disturbance", DISTURBANCE,
                "--seed", str(number), "--camera", CAMERA, "--fps", "60", "--pages", PAGES, "--title", PAGES,
                "--renderer", "software",
            )  # fmt: skip
            if not place.exists():
                part = place.with_name(f"{place.name}.part")
                with practice_game(*flags):
                    acpilot(
                        "record", "--recorder", "screen", "--fps", fps, "--pages", PAGES, "--title", PAGES,
                        "--duration", 60 * minutes / STARTS / len(TRACKS), "--output", part,
                    )  # fmt: skip
                (made,) = part.iterdir()
                made.rename(place)
                part.rmdir()
            sessions.append(place)
    return sessions


def evaluate(policy: Path, draws: int, laps: int, out: Path) -> None:
    """Drive and print: median and worst of the draws."""
    autonomies, ratios = [], []
    for draw in range(draws):
        seeds = random.sample(DRAWN_FROM, TRACKS_OF_A_DRAW)
        tracks = [word for seed in seeds for word in ("--track", f"random:{seed}")]
        place = out / f"{int(time.time())}_{draw}"
        told = acpilot("evaluate", policy, *tracks, "--laps", laps, "--camera", CAMERA, "--renderer", "software",
                       "--out", place, "--json")  # fmt: skip
        results: list[dict[str, Any]] = json.loads(told)["tracks"]
        interventions = sum(len(each["interventions"]) for each in results)
        autonomies.append(max(0.0, 100 * (1 - 6 * interventions / sum(each["elapsed_s"] for each in results))))
        times = [each["lap_time_ratio"] for each in results]
        ratios += [each for each in times if each is not None]
        print(
            f"  seeds {', '.join(map(str, seeds))}: autonomy {autonomies[-1]:.1f} %, {interventions} interventions, "
            f"lap times {', '.join('-' if each is None else f'{each:.3f}' for each in times)} of the expert's; {place}",
            flush=True,
        )
    print(
        f"{policy}: autonomy median {median(autonomies):.1f} %, worst {min(autonomies):.1f} % of {draws} draws of "
        f"{TRACKS_OF_A_DRAW} tracks; lap times {median(ratios):.3f} of the expert's, at most {max(ratios):.3f}",
        flush=True,
    )


def main() -> None:
    """Record, train, evaluate, improve, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="of driving that are recorded in all")
    parser.add_argument("--fps", type=float, default=20)
    parser.add_argument("--epochs", type=int, default=18, help="of the training; with AMX, 36 take as long")
    parser.add_argument("--draws", type=int, default=3, help="of four test tracks, before and after improve")
    parser.add_argument("--laps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1, help="of improve")
    parser.add_argument(
        "--folder", type=Path, default=Path("driving"), help="what is made is kept there and used again"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    dataset, policy, improved = folder / "dataset", folder / "best_save", ImprovedFolder(folder / "improved")
    sessions = record(folder, arguments.minutes, arguments.fps)
    acpilot("convert", *sessions)
    # Nothing is held out: what the policy is worth, driving tells.
    acpilot("combine", *sessions, "--out", dataset, "--validation", 0)
    start = time.monotonic()
    acpilot("train", dataset, "--out", policy, "--epochs", arguments.epochs, "--label-shift", 0.5 / arguments.fps,
            "--pace", LEARNT_PACE, *PLACE)  # fmt: skip
    print(f"trained in {(time.monotonic() - start) / 60:.1f} min on {os.cpu_count()} cores", flush=True)
    evaluate(policy / "model.onnx", arguments.draws, arguments.laps, folder / "evaluations")
    start = time.monotonic()
    told = acpilot("improve", policy, dataset, "--out", improved.folder, "--rounds", arguments.rounds,
                   "--camera", CAMERA, "--renderer", "software")  # fmt: skip
    print(f"{told}improved in {(time.monotonic() - start) / 60:.1f} min", flush=True)
    evaluate(improved.policy.onnx_file, arguments.draws, arguments.laps, folder / "evaluations")


if __name__ == "__main__":
    with faults_in_a_line():
        main()
