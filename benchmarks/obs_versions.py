"""Does every start through OBS record what it should, and is it the user's own OBS again afterwards?

``python benchmarks/obs_versions.py [--first 20] [--further 10]`` does it with this machine's OBS;
``ACPILOT_OBS_ROOT=.obs/sid`` before it with another one, in a root folder that ``make test-obs`` has made.

A first-time start finds an OBS that has never seen acpilot, with a user's profile (44.1 kHz mono, 60 FPS, mp4) and
scenes; OBS is ended after it, and each file of the user's compared. Further ones go on in one OBS. The practice game
burns its clock into each picture, and a witness tells when each was on its window (see clock_truth.py).
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from acpilot.cli import faults_in_a_line
from acpilot.demo import virtual_display
from acpilot.errors import AcpilotError
from acpilot.recording.record import record
from acpilot.recording.settings import RecordSettings
from acpilot.video import obs_setup
from acpilot.video.obs_connection import Connection
from alignment import PAGES, practice_game
from clock_truth import Witness, truth_of

assert sys.platform != "win32", "obs_studio starts OBS as Linux does"
from obs_studio import ROOT, ObsStudio  # noqa: E402


def record_once(obs: ObsStudio, folder: Path, arguments: argparse.Namespace) -> tuple[list[str], float, float, float]:
    """Record; what is wrong, and the offset's error, the largest of a labelled frame and the bound, ms."""
    settings = RecordSettings(
        recorder="obs", fps=arguments.fps, duration=arguments.seconds, pages=PAGES, title=PAGES, output=folder, wait=60,
        obs_host="127.0.0.1", obs_port=obs.port,
    )  # fmt: skip
    try:
        with Witness(PAGES) as witness:
            ending = record(settings, lambda _: None)
    except AcpilotError as refused:
        return [f"refused: {refused}"], np.nan, np.nan, np.nan
    if ending.fault is not None:
        return [f"ended: {ending.fault}"], np.nan, np.nan, np.nan
    truth, alignment = truth_of(ending.session, witness), ending.session.manifest.alignment
    assert alignment is not None
    offset = max(0.0, abs(truth.offset_error()[0]) - truth.offset_error()[1])
    error = float(np.abs(truth.errors()[truth.labelled[truth.known]]).max())
    wrong = []
    if offset >= 500 / arguments.fps:
        wrong.append("wrong frame number")
    if error > alignment.error_bound_ms:
        wrong.append("bound broken")
    if truth.labelled.mean() < 0.5:
        wrong.append(f"only {truth.labelled.mean():.0%} labelled")
    if (truth.burnt > 0).mean() < 0.95:
        wrong.append("the picture is not the game's")
    with Connection(obs.address) as connection:
        if obs_setup.current(connection) != ("Mine", "Evening"):
            wrong.append(f"OBS is left with {obs_setup.current(connection)}")
    return wrong, offset, error, alignment.error_bound_ms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=20, help="starts of an OBS that has never seen acpilot")
    parser.add_argument("--further", type=int, default=10, help="recordings in one OBS")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--fps", type=float, default=10.0)
    arguments = parser.parse_args()
    os.environ.pop("DISPLAY", None)
    os.environ.update({"ACPILOT_PRACTICE_SIZE": "320 180", "ACPILOT_PRACTICE_RENDERER": "software"})
    with virtual_display(), tempfile.TemporaryDirectory() as name:
        obs = ObsStudio(Path(name) / "obs")
        os.environ.update(obs.environment)
        with obs.running():
            version = obs_version(obs)
            before = obs.settled_files()
        settled = Path(name) / "settled"
        shutil.copytree(obs.config, settled)
        arguments.size, arguments.renderer = "320x180", "software"
        results = []
        with practice_game(arguments):
            for number in range(arguments.first + 1):
                shutil.rmtree(obs.config)
                shutil.copytree(settled, obs.config)
                with obs.running():
                    if number == arguments.first:  # the further ones
                        results += [record_once(obs, Path(name) / "n", arguments) for _ in range(arguments.further)]
                    else:
                        results.append(record_once(obs, Path(name) / str(number), arguments))
                after = obs.user_files()
                results[-1][0].extend(
                    f"{name} changed" for name in before.keys() | after.keys() if before.get(name) != after.get(name)
                )
                if any(b"acpilot" in path.read_bytes() for path in obs.config.glob("basic/scenes/*")):
                    results[-1][0].append("acpilot in the scenes")
        faults = Counter(fault for wrong, *_ in results for fault in wrong)
        good = sum(not wrong for wrong, *_ in results)
        offsets, errors, bounds = np.nanmax(np.array([figures for _, *figures in results], float), axis=0)
        print(
            f"OBS {version} ({ROOT or 'of this machine'}): {good} of {len(results)} starts right; offset's error at "
            f"most {offsets:.2f} ms, of a labelled frame {errors:.2f} ms, largest bound {bounds:.1f} ms"
        )
        for fault, times in faults.items():
            print(f"  {times} x {fault}")


def obs_version(obs: ObsStudio) -> str:
    """As it says."""
    with Connection(obs.address) as connection:
        return str(connection.request("GetVersion")["obsVersion"])


if __name__ == "__main__":
    with faults_in_a_line():
        main()
