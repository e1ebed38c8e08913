"""acpilot improve: policy and expert drive, the expert says what is to be done, the policy learns it; and again.

DAgger (Ross, Gordon and Bagnell, arXiv 1011.0686): a drive is the policy's or the expert's as a whole. Of the policy's
drives training learns the speed, of the expert's the steering too (see ``read_examples``). Each step finds what an
interrupted run has left of it, so that the same command goes on where it was.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from acpilot.dataset.combine import combine, copy_dataset
from acpilot.dataset.convert import convert
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.engine import run_here
from acpilot.dataset.settings import CombineSettings, ConvertSettings
from acpilot.errors import AcpilotError
from acpilot.evaluation.collect import collect
from acpilot.evaluation.drivers import Demonstrator, PolicyDriver
from acpilot.evaluation.evaluate import RECORD_NAME, evaluate, practice_settings
from acpilot.evaluation.settings import EvaluateSettings, ImproveSettings
from acpilot.files import cannot_write, write_atomically
from acpilot.learning.settings import TrainSettings
from acpilot.learning.training import check, train
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.load import load
from acpilot.practice.game import ensure_panda, track_named
from acpilot.practice.settings import PracticeSettings
from acpilot.progress import Progress, Show
from acpilot.session.folder import Session
from acpilot.session.manifest import settings_record

Who = Literal["policy", "expert"]
"""At the wheel of a drive."""
FORMAT = 1
"""Version of ``improve.json`` that this program writes."""
_NEW_TRACKS = 16
"""Tracks that are driven in a round when the user names none."""
_DISTURBANCE = 0.8
"""Of the expert, as in the recordings of docs/learning.md."""
_ONE_IN_TWENTY = 1.64
"""Standard deviations that chance exceeds to one side in a twentieth of all cases."""


class ImprovedFolder:
    """What ``acpilot improve`` writes. The only code that knows a file name of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = PolicyFolder(folder)
        """The one that was kept of all rounds."""
        self.record_file = folder / "improve.json"
        """What it was made of, and what came of each round."""
        self.dataset_folder = folder / "dataset"
        """The dataset given, and all that was collected."""

    def round(self, number: int) -> PolicyFolder:
        """The policy that a round made; 0 is the one given."""
        return PolicyFolder(self.folder / f"round_{number}")

    def evaluation(self, number: int) -> Path:
        """The evaluation of that policy."""
        return self.round(number).folder / "evaluation"

    def session(self, number: int, track: str, who: Who) -> Path:
        """The session of a drive on a track; its name tells it apart in any dataset."""
        name = f"{self.folder.resolve().name}_{number}_{track.replace(':', '_')}_{who}"
        return self.folder / "sessions" / name


@dataclass(frozen=True)
class Improvement:
    """What all rounds came to."""

    folder: ImprovedFolder
    rounds: Sequence[dict[str, Any]]
    """Of ``improve.json``, the policy given first."""
    done_before: bool
    """All rounds were done already."""

    @property
    def best(self) -> int:
        """The round whose policy was kept."""
        return _best(self.rounds)


def improve(policy: Path, dataset: Dataset, settings: ImproveSettings, progress: Progress, tell: Show) -> Improvement:
    """Improve a policy, go on where an interrupted run was, or find that all is done.

    Args:
        policy: folder of ``acpilot train``, or the file in it that drives; left as it is.
        dataset: of ``acpilot combine``; left as it is.
        settings: how.
        progress: told of what is being done, how much of it is.
        tell: given a line after each epoch, and one after each round.

    Raises:
        AcpilotError: the policy or dataset cannot be improved on, there is no such track, the folder holds something
            else, or the disk is full.
    """
    ensure_panda()
    start, folder = PolicyFolder(policy.parent if policy.is_file() else policy), ImprovedFolder(settings.out)
    for track in (*settings.track, *settings.test_track):
        track_named(track)
    notes = PolicyDriver(load(start.onnx_file)).notes(settings.camera)
    training = replace(_settings_of(start), start_from=start.weights_file)
    check(dataset, training)
    if known := [s.name for s in _sessions(folder, settings, settings.rounds) if s.name in dataset.record["sessions"]]:
        raise AcpilotError(f"{dataset.folder} holds a session {known[0]} already: give --out another name")
    made_of = _made_of(start, dataset, settings)
    rounds = _rounds_there(folder, made_of)
    done_before = len(rounds) > settings.rounds
    for note in notes:
        tell(f"note  {note}")
    for entry in rounds:
        tell(told(entry))
    for number in range(len(rounds), settings.rounds + 1):
        try:
            if number == 0:
                start.copy_to(folder.round(0))
            else:
                _collect(folder, number, dataset, settings, progress)
                _train(folder, number, training, settings, progress, tell)
            rounds.append(_measure(folder, number, settings, progress))
            if _best(rounds) == number:
                folder.round(number).copy_to(folder.policy)
            write_atomically(folder.record_file, json.dumps({**made_of, "rounds": rounds}, indent=2) + "\n")
        except OSError as error:
            raise cannot_write(folder.folder, error, "free some space") from None
        tell(told(rounds[-1]))
    return Improvement(folder, rounds, done_before)


def told(entry: dict[str, Any]) -> str:
    """A round in a line for people."""
    ratio = entry["lap_time_ratio"]
    return (
        f"round {entry['round']}: autonomy {entry['autonomy']:.1f} %, at worst {entry['worst']:.1f} %, "
        f"{entry['interventions']} interventions, {entry['laps']} laps"
        + ("" if ratio is None else f" at {ratio - 1:+.1%} of the expert's time")
        + f", learnt from {entry['rows']} images"
    )


def _settings_of(policy: PolicyFolder) -> TrainSettings:
    """What a policy was trained with."""
    try:
        made: dict[str, Any] = json.loads(policy.record_file.read_text(encoding="utf-8"))["settings"]
        known = {each.name for each in fields(TrainSettings)}
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in made.items() if k in known}
        return TrainSettings(**plain)
    except FileNotFoundError:
        raise AcpilotError(
            f"{policy.record_file} is missing, which says how the policy was trained: only policies of acpilot train "
            "can be improved"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise AcpilotError(f"{policy.record_file} is damaged: train the policy again") from None


def _made_of(start: PolicyFolder, dataset: Dataset, settings: ImproveSettings) -> dict[str, Any]:
    """What decides each round: the same means the same policies."""
    chosen = {name: value for name, value in settings_record(settings).items() if name not in ("out", "rounds")}
    made_of = {
        "format": FORMAT,
        "settings": chosen,
        "policy_sha256": _digest(start.onnx_file, start.weights_file, start.record_file),
        "dataset_sha256": _digest(dataset.record_file, dataset.table_file),
    }
    plain: dict[str, Any] = json.loads(json.dumps(made_of))
    return plain


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _rounds_there(folder: ImprovedFolder, made_of: dict[str, Any]) -> list[dict[str, Any]]:
    """The rounds of this very improvement that are done; none in a new folder, which is begun.

    Raises:
        AcpilotError: something else is in the folder, or it cannot be written.
    """
    try:
        record = json.loads(folder.record_file.read_text(encoding="utf-8"))
        rounds: list[dict[str, Any]] = record["rounds"]
        old, new = ({**each, **each["settings"]} for each in (record, made_of))
    except FileNotFoundError:
        try:
            folder.folder.mkdir(parents=True, exist_ok=True)
            if any(path.suffix != ".part" for path in folder.folder.iterdir()):
                raise AcpilotError(
                    f"{folder.folder} holds something else: nothing is overwritten, choose another --out"
                ) from None
            write_atomically(folder.record_file, json.dumps({**made_of, "rounds": []}, indent=2) + "\n")
        except OSError as error:
            raise AcpilotError(
                f"cannot write to {folder.folder}: {error.strerror or error}; choose another --out"
            ) from None
        return []
    except (OSError, ValueError, TypeError, KeyError):
        raise AcpilotError(f"{folder.record_file} is damaged: choose another --out, or move the folder away") from None
    differing = [name for name in new if name != "settings" and old.get(name) != new[name]]
    if differing:
        name = differing[0]
        what = {
            "format": "made by another version of acpilot",
            "policy_sha256": "that began with another policy",
            "dataset_sha256": "that began with another dataset, or with this one before it changed",
        }.get(name, f"made with --{name.replace('_', '-')} {old.get(name)}, not {new[name]}")
        raise AcpilotError(f"{folder.folder} holds an improvement {what}: nothing is overwritten, choose another --out")
    return rounds


def _tracks(settings: ImproveSettings, number: int) -> Sequence[str]:
    """Where the policy drives in a round."""
    first = 691 + 20 * number
    return list(dict.fromkeys(settings.track)) or [f"random:{seed}" for seed in range(first, first + _NEW_TRACKS)]


def _sessions(folder: ImprovedFolder, settings: ImproveSettings, rounds: int) -> list[Path]:
    """The sessions of so many rounds."""
    return [place for number in range(1, rounds + 1) for place in _drives(folder, settings, number)]


def _drives(folder: ImprovedFolder, settings: ImproveSettings, number: int) -> dict[Path, tuple[str, Who]]:
    """The sessions of a round: their tracks, and who drives."""
    return {
        folder.session(number, track, who): (track, who)
        for track in _tracks(settings, number)
        for who in ("policy", "expert")
    }


def _evaluation_settings(settings: ImproveSettings) -> EvaluateSettings:
    return EvaluateSettings(
        track=settings.test_track,
        laps=settings.laps,
        size=settings.size,
        camera=settings.camera,
        light=settings.light,
        renderer=settings.renderer,
    )


def _collect(
    folder: ImprovedFolder, number: int, dataset: Dataset, settings: ImproveSettings, progress: Progress
) -> None:
    """Let the policy of the round before and the expert drive, and add what they met to the dataset."""
    practice = replace(practice_settings(_evaluation_settings(settings)), laps=settings.laps, pace=settings.pace)
    practices = {"policy": practice, "expert": replace(practice, disturbance=_DISTURBANCE, seed=number)}
    drives = _drives(folder, settings, number)
    work = partial(
        _meet,
        policy=folder.round(number - 1),
        drives={place.name: (replace(practices[who], track=track), who) for place, (track, who) in drives.items()},
    )
    missing = [place for place in drives if not place.exists()]
    run_here(work, missing, progress)
    sessions = [Session.open(place) for place in drives]
    for session in sessions:
        convert(session, ConvertSettings(), progress)
    if not Dataset.is_one(folder.dataset_folder):
        copy_dataset(dataset, folder.dataset_folder)
    combine(sessions, CombineSettings(out=folder.dataset_folder), progress)


def _meet(
    place: Path,
    progress: Progress,
    threads: int | None,  # noqa: ARG001
    *,
    policy: PolicyFolder,
    drives: dict[str, tuple[PracticeSettings, Who]],
) -> None:
    """Let a policy or the expert drive, and keep what they meet as a session there."""
    practice, who = drives[place.name]
    driver = PolicyDriver(load(policy.onnx_file))
    driver.name = f"{policy.folder.name}/{policy.onnx_file.name}"
    collect(Demonstrator() if who == "expert" else driver, practice, place, progress, driver.rate)


def _train(  # noqa: PLR0913, PLR0917
    folder: ImprovedFolder,
    number: int,
    training: TrainSettings,
    settings: ImproveSettings,
    progress: Progress,
    tell: Show,
) -> None:
    """Go on from the weights of the round before, with all that there is to learn from now."""
    chosen = replace(
        training,
        out=folder.round(number).folder,
        start_from=folder.round(number - 1).weights_file,
        epochs=settings.epochs,
        dropout=settings.dropout,
        learning_rate=settings.learning_rate,
        seed=training.seed + number,  # not the same chance in each round
    )
    train(Dataset.open(folder.dataset_folder), chosen, progress, tell)


def _measure(folder: ImprovedFolder, number: int, settings: ImproveSettings, progress: Progress) -> dict[str, Any]:
    """Evaluate the policy of a round, unless that is done; what came of it."""
    place, policy = folder.evaluation(number), folder.round(number)
    if not place.exists():
        evaluate(str(policy.onnx_file), replace(_evaluation_settings(settings), out=place), progress)
    results = json.loads((place / RECORD_NAME).read_text(encoding="utf-8"))["tracks"]
    record = json.loads(policy.record_file.read_text(encoding="utf-8"))
    interventions = sum(len(each["interventions"]) for each in results)
    elapsed = sum(each["elapsed_s"] for each in results)
    expert = sum(sum(each["expert_lap_times_s"][: each["laps"]]) for each in results)
    return {
        "round": number,
        "autonomy": round(max(0.0, 100 * (1 - 6 * interventions / elapsed)), 3),
        "worst": min(each["autonomy"] for each in results),
        "interventions": interventions,
        "laps": sum(each["laps"] for each in results),
        "lap_time_ratio": round(sum(sum(each["lap_times_s"]) for each in results) / expert, 4) if expert else None,
        "learnt_from": list(_tracks(settings, number)) if number else [],
        "rows": record["rows"]["training"],
        "tracks": {each["track"]: {name: each[name] for name in _TOLD} for each in results},
    }


_TOLD = ("autonomy", "elapsed_s", "laps", "lap_time_ratio", "largest_distance_m", "off_track_share")


def _best(rounds: Sequence[dict[str, Any]]) -> int:
    """The last round that chance may have kept from being the best: it has learnt most.

    Interventions are few, and fall as chance has it: a difference of two such counts has their sum as its variance. One
    round counts as worse than another only when it would seem so by chance in one of twenty cases.
    """
    counts = [int(entry["interventions"]) for entry in rounds]
    fewest = min(counts)
    return max(i for i, count in enumerate(counts) if count - fewest <= _ONE_IN_TWENTY * math.sqrt(count + fewest))
