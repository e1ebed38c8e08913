"""acpilot improve: rounds of driving, the expert's answers and training, by one command that may be killed."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acpilot.dataset.combine import combine
from acpilot.dataset.convert import convert
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.settings import CombineSettings, ConvertSettings
from acpilot.errors import AcpilotError
from acpilot.evaluation.closed_loop import Camera, Observer, drive
from acpilot.evaluation.collect import collect
from acpilot.evaluation.drivers import ExpertDriver, PolicyDriver, expert_controls, expert_speed_kmh
from acpilot.evaluation.evaluate import RECORD_NAME
from acpilot.evaluation.improve import ImprovedFolder, Improvement
from acpilot.evaluation.improve import improve as improve_policy
from acpilot.evaluation.settings import ImproveSettings
from acpilot.learning.settings import TrainSettings
from acpilot.learning.training import train
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.load import load
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import make_track
from acpilot.practice.world import World
from acpilot.session.folder import Session
from conftest import acpilot, running, wait_for
from test_convert import one_line

SEEN = PracticeSettings(track="oval", size=(128, 72), renderer="software")
FLAGS = ("--track", "oval", "--test-track", "oval", "--epochs", "2", "--size", "128", "72", "--renderer", "software")
COMMAND = ("improve", "best_save", "dataset", *FLAGS, "--rounds")


def nothing(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of an ordinary session, and a policy that has learnt from it for a moment."""
    place = tmp_path_factory.mktemp("improve")
    session, _ = collect(ExpertDriver(), PracticeSettings(**{**vars(SEEN), "laps": 2}), place / "drive", nothing, 5.0)
    del session.manifest.game["labels"], session.manifest.game["driver"]
    session.save()
    convert(session, ConvertSettings(), nothing)
    dataset = combine([session], CombineSettings(out=place / "dataset"), nothing).dataset
    train(dataset, TrainSettings(out=place / "best_save", epochs=3, device="cpu"), nothing, nothing)
    return place


def files(*folders: Path) -> dict[Path, bytes]:
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in found if path.suffix not in (".npy", ".index")}


@pytest.fixture(scope="module")
def improved(place: Path) -> tuple[ImprovedFolder, str]:
    before = files(place / "dataset", place / "best_save", place / "drive")
    code, output = acpilot(*COMMAND, "2", folder=place)
    assert code == 0, output
    assert files(place / "dataset", place / "best_save", place / "drive") == before, "what was given is left as it is"
    return ImprovedFolder(place / "improved"), output


def record_of(folder: ImprovedFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.record_file.read_text())
    return found


def rows_of(dataset: Dataset) -> list[dict[str, str]]:
    with dataset.table_file.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("interventions", "kept"),
    [((4, 2, 0), 2), ((0, 1), 1), ((2, 3, 3), 2), ((0, 3), 0), ((20, 3, 11), 1), ((3, 9, 3, 8), 3), ((5, 5, 12), 1)],
)
def test_the_last_round_is_kept_unless_it_is_worse_by_more_than_chance(
    interventions: tuple[int, ...], kept: int, tmp_path: Path
) -> None:
    rounds = [{"interventions": count} for count in interventions]
    assert Improvement(ImprovedFolder(tmp_path), rounds, done_before=False).best == kept


def test_the_autonomy_after_each_round_is_told_and_one_policy_is_kept(improved: tuple[ImprovedFolder, str]) -> None:
    folder, output = improved
    rounds = record_of(folder)["rounds"]
    assert [entry["round"] for entry in rounds] == [0, 1, 2]
    for number, entry in enumerate(rounds):
        evaluation = json.loads((folder.evaluation(number) / RECORD_NAME).read_text())
        assert entry["autonomy"] == pytest.approx(evaluation["tracks"][0]["autonomy"], abs=1e-3)
        assert entry["interventions"] == len(evaluation["tracks"][0]["interventions"])
        assert f"round {number}: autonomy {entry['autonomy']:.1f} %" in output
    assert rounds[0]["rows"] < rounds[1]["rows"] < rounds[2]["rows"]
    best = Improvement(folder, rounds, done_before=True).best
    assert f"the policy of round {best}" in output
    kept, of_round = folder.policy, folder.round(best)
    assert kept.onnx_file.read_bytes() == of_round.onnx_file.read_bytes()
    assert kept.weights_file.read_bytes() == of_round.weights_file.read_bytes()
    assert kept.record_file.read_bytes() == of_round.record_file.read_bytes()
    weights = [torch.load(folder.round(number).weights_file, weights_only=True) for number in (0, 1)]
    assert not torch.equal(weights[0]["features.weight"], weights[1]["features.weight"]), "it has learnt"
    assert torch.equal(weights[0]["mean"], weights[1]["mean"]), "it went on from the weights of before"


class _Answers(Observer):
    """What the expert would have done at each decision."""

    def __init__(self) -> None:
        self.given: list[tuple[float, float, float, float]] = []

    def decided(self, world: World, *_: object) -> None:
        answer = expert_controls(world)
        self.given.append((answer.steering, answer.throttle, answer.brake, expert_speed_kmh(world)))


def test_the_dataset_grows_by_what_the_policy_met_with_the_experts_answers(
    improved: tuple[ImprovedFolder, str], place: Path
) -> None:
    folder, _ = improved
    dataset = Dataset.open(folder.dataset_folder)
    rows = rows_of(dataset)
    first = [row for row in rows if row["session"] == "improved_1_oval_policy"]
    assert {row["split"] for row in rows if row["session"] != "drive"} == {"train"}
    old = [{**row, "weight": ""} for row in rows if row["session"] == "drive"]
    assert old == [{**row, "weight": ""} for row in rows_of(Dataset.open(place / "dataset"))]

    world, answers = World(make_track("oval"), expert=True, pace=ImproveSettings().pace), _Answers()
    world.put_on_line(ImproveSettings().pace)
    driver = PolicyDriver(load(place / "best_save"))
    with Camera(world, SEEN) as camera:
        drive(driver, world, answers, laps=1, limit=1000, look=camera.look)
    names = ("steering", "throttle", "brake", "wanted_speed")
    labels = np.array([[float(row[name]) for name in names] for row in first])
    given = np.array(answers.given)[[int(row["frame"]) for row in first]]
    assert labels[:, :3] == pytest.approx(given[:, :3], abs=2e-6)
    assert labels[:, 3] == pytest.approx(given[:, 3], abs=1e-3)
    assert len(labels) > 0.9 * len(answers.given)

    drives = {
        f"improved_{number}_oval_{who}": driver
        for number in (1, 2)
        for who, driver in (("policy", f"round_{number - 1}/model.onnx"), ("expert", "expert"))
    }
    for entries in (dataset.record["sessions"], json.loads(folder.round(2).record_file.read_text())["sessions"]):
        assert "labels" not in entries.pop("drive")
        assert {name: (entry["labels"], entry["driver"]) for name, entry in entries.items()} == {
            name: ("expert", driver) for name, driver in drives.items()
        }
    card = dataset.card_file.read_text()
    assert "expert drove improved_1_oval_expert, improved_2_oval_expert." in card
    assert "A policy drove improved_1_oval_policy, improved_2_oval_policy:" in card


def test_drives_begin_as_fast_as_later_laps_do(improved: tuple[ImprovedFolder, str]) -> None:
    rows = rows_of(Dataset.open(improved[0].dataset_folder))
    for who in ("policy", "expert"):
        first = next(row for row in rows if row["session"] == improved[0].session(1, "oval", who).name)
        assert float(first["speed"]) > 60


def test_the_expert_shows_each_track_and_how_to_come_back_to_its_line(improved: tuple[ImprovedFolder, str]) -> None:
    folder, _ = improved
    policy, expert = (Session.open(folder.session(1, "oval", who)) for who in ("policy", "expert"))
    assert (policy.manifest.game["driver"], expert.manifest.game["driver"]) == ("round_0/model.onnx", "expert")
    assert policy.manifest.settings["fps"] == expert.manifest.settings["fps"] == pytest.approx(5)
    rows = rows_of(Dataset.open(folder.dataset_folder))
    labels = np.array([float(row["steering"]) for row in rows if row["session"] == expert.folder.name])
    assert (labels > 0.02).any(), "on the oval, which turns left, it steers right only from beside its line"
    assert (labels < -0.02).any()


def test_killed_at_any_point_it_goes_on_and_ends_the_same(
    improved: tuple[ImprovedFolder, str], place: Path, tmp_path: Path
) -> None:
    for name in ("dataset", "best_save"):
        shutil.copytree(place / name, tmp_path / name)
    folder, command = ImprovedFolder(tmp_path / "improved"), (*COMMAND, "1")
    session = folder.session(1, "oval", "policy")
    moments: dict[str, Callable[[], object]] = {
        "it drives": session.with_name(session.name + ".part").exists,
        "it learns": folder.round(1).checkpoint_file.exists,
        "it is measured": folder.evaluation(1).with_name("evaluation.part").exists,
    }
    for what, moment in moments.items():
        with running(*command, folder=tmp_path) as process:
            wait_for(moment, what, 300, step=0.001)
            process.kill()
            process.wait()
    assert len(record_of(folder)["rounds"]) == 1
    code, output = acpilot(*command, folder=tmp_path)
    assert code == 0, output
    undisturbed = record_of(improved[0])
    assert record_of(folder) == {**undisturbed, "rounds": undisturbed["rounds"][:2]}
    first, second = (torch.load(each.round(1).weights_file, weights_only=True) for each in (improved[0], folder))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("round_0", "round_1", "sessions/improved_1_oval_policy", "sessions/improved_1_oval_expert"):
        there = [
            {path.relative_to(each.folder) for path in files(each.folder / name)} for each in (improved[0], folder)
        ]
        assert there[0] == there[1]


def test_a_camera_that_the_policy_does_not_know_is_told(
    improved: tuple[ImprovedFolder, str], place: Path, tmp_path: Path
) -> None:
    unknown = "model.onnx was trained for a camera 1.1 m above the road (acpilot train --camera-height); --camera chase"
    seen = ("--track", "oval", "--size", "128", "72", "--renderer", "software", "--camera", "chase")
    code, output = acpilot("evaluate", "best_save", *seen, "--out", str(tmp_path / "seen"), folder=place)
    assert code == 0, output
    assert unknown in " ".join(output.split())
    assert any(unknown in note for note in json.loads((tmp_path / "seen" / RECORD_NAME).read_text())["notes"])

    def stop(line: str) -> None:
        raise RuntimeError(line)

    settings = ImproveSettings(out=tmp_path / "improved", track=("oval",), test_track=("oval",), camera="chase")
    with pytest.raises(RuntimeError, match=re.escape(unknown)):
        improve_policy(place / "best_save", Dataset.open(place / "dataset"), settings, nothing, stop)
    assert not (tmp_path / "improved" / "round_0").exists(), "before the work begins"
    assert "was trained for a camera" not in improved[1], "the bonnet is one that it knows"


def test_what_is_done_is_left_as_it_is(improved: tuple[ImprovedFolder, str], place: Path) -> None:
    before = files(improved[0].folder)
    code, output = acpilot(*COMMAND, "2", folder=place)
    assert code == 0, output
    assert "nothing to do" in output
    settings = ImproveSettings(out=improved[0].folder, epochs=3)
    with pytest.raises(AcpilotError, match="holds an improvement made with --track"):
        improve_policy(place / "best_save", Dataset.open(place / "dataset"), settings, nothing, nothing)
    assert files(improved[0].folder) == before


def _without_a_policy(place: Path) -> None:
    (place / "best_save" / "model.onnx").unlink()


def _without_weights(place: Path) -> None:
    (place / "best_save" / "model.pt").unlink()


def _with_damaged_weights(place: Path) -> None:
    (place / "best_save" / "model.pt").write_bytes(b"no weights")


def _without_its_settings(place: Path) -> None:
    (place / "best_save" / "training.json").unlink()


def _without_rows(place: Path) -> None:
    dataset = Dataset(place / "dataset")
    dataset.table_file.write_text(dataset.table_file.read_text().splitlines(keepends=True)[0])


def _into_another_folder(place: Path) -> None:
    (place / "improved").mkdir()
    (place / "improved" / "model.onnx").write_text("mine")


def _with_a_session_of_that_name(place: Path) -> None:
    dataset = Dataset.open(place / "dataset")
    dataset.record["sessions"]["improved_2_oval_expert"] = dataset.record["sessions"]["drive"]
    dataset.record_file.write_text(json.dumps(dataset.record))


def _nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "track", "message"),
    [
        (_nothing, "nowhere", "no track is named 'nowhere'"),
        (_without_a_policy, "oval", "there is no policy at"),
        (_without_weights, "oval", "there are no PyTorch weights at"),
        (_with_damaged_weights, "oval", "model.pt is damaged"),
        (_without_its_settings, "oval", "training.json is missing"),
        (_without_rows, "oval", "has no rows to train on"),
        (_into_another_folder, "oval", "holds something else: nothing is overwritten"),
        (_with_a_session_of_that_name, "oval", "holds a session improved_2_oval_expert already"),
    ],
)
def test_what_cannot_be_improved(
    place: Path, tmp_path: Path, spoil: Callable[[Path], None], track: str, message: str
) -> None:
    for name in ("dataset", "best_save"):
        shutil.copytree(place / name, tmp_path / name)
    spoil(tmp_path)
    before = files(tmp_path)
    settings = ImproveSettings(out=tmp_path / "improved", track=(track,), test_track=("oval",))
    with pytest.raises(AcpilotError) as fault:
        improve_policy(tmp_path / "best_save", Dataset.open(tmp_path / "dataset"), settings, nothing, nothing)
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)
    assert files(tmp_path) == before, "nothing was begun"


def test_a_dataset_that_is_not_there_is_one_line(place: Path) -> None:
    assert "is not a dataset" in one_line(*acpilot("improve", "best_save", "absent", folder=place))
    assert PolicyFolder(place / "best_save").onnx_file.exists()
