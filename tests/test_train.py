"""Training: a policy learns what pictures tell, goes on after a kill, and refuses what cannot be learnt from."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from acpilot.commands import install_extra
from acpilot.dataset.dataset import COLUMNS, Dataset
from acpilot.errors import AcpilotError
from acpilot.learning import frames
from acpilot.learning.examples import read_examples
from acpilot.learning.frames import network_frames, open_picture
from acpilot.learning.network import PilotNet
from acpilot.learning.settings import TrainSettings
from acpilot.learning.training import train as learn
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.load import load
from acpilot.policy.onnx import OnnxPolicy
from acpilot.policy.preprocessing import Preprocessing
from conftest import acpilot, running, wait_for
from test_convert import one_line

ROWS, WIDTH, HEIGHT = 192, 160, 90
LEARNING = ("--epochs", "8", "--batch", "8", "--no-mirror", "--shift", "0", "--rotation", "0", "--no-brightness",
            "--no-shadow", "--no-blur", "--no-patches", "--no-noise", "--threads", "1", "--device", "cpu",
            "--speed-shift", "0")  # fmt: skip


def road(steering: float) -> np.ndarray:
    """A picture whose bright bar stands where the car has to steer to."""
    picture = np.full((HEIGHT, WIDTH, 3), (60, 90, 60), np.uint8)
    middle = round(WIDTH / 2 * (1 + 0.8 * steering))
    picture[30:80, max(0, middle - 6) : middle + 6] = 235
    return picture


def write_dataset(folder: Path) -> Dataset:
    """A dataset of three laps in which the driver steers towards the bar and goes full throttle when it is ahead."""
    dataset = Dataset(folder)
    (folder / "images" / "drive").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for i, steering in enumerate(random.uniform(-1, 1, ROWS).round(3)):
        name = f"images/drive/frame_{i:06d}.jpg"
        Image.fromarray(road(steering)).save(folder / name, quality=95)
        values = (name, steering, float(abs(steering) < 0.4), 0.0, 80 + i % 7, 3, "drive", i, i / 10, 0.0, i // 64)
        rows.append([*values, 0.0, 0.0, 0, "validation" if i >= 160 else "train", 1.0])
    write_rows(dataset, rows)
    entry = {"fps": 10.0, "car": "car", "track": "track", "error_bound_ms": 1.0, "conversion": {"fps": None}}
    dataset.record["sessions"]["drive"] = entry
    dataset.record_file.write_text(json.dumps(dataset.record))
    return dataset


def write_rows(dataset: Dataset, rows: list[list[object]]) -> None:
    with dataset.table_file.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def read_rows(dataset: Dataset) -> list[list[object]]:
    with dataset.table_file.open(encoding="utf-8", newline="") as file:
        rows: list[list[object]] = [list(row) for row in csv.reader(file)]
    return rows[1:]


def train(dataset: Path, out: Path, *flags: str) -> tuple[int, str]:
    return acpilot("train", str(dataset), "--out", str(out), *flags, folder=out.parent)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("learning") / "dataset").folder


@pytest.fixture(scope="module")
def trained(made: Path) -> PolicyFolder:
    code, output = train(made, made.parent / "best_save", *LEARNING)
    assert code == 0, output
    return PolicyFolder(made.parent / "best_save")


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Dataset:
    return Dataset.open(Path(shutil.copytree(made, tmp_path / "dataset")))


def test_it_learns_what_the_pictures_tell_and_drives_by_it(trained: PolicyFolder) -> None:
    record = json.loads(trained.record_file.read_text())
    assert record["epochs"][record["best_epoch"] - 1]["steering_error"] < 0.12
    assert {"losses.png", "predictions.png", "what_it_sees.png"} <= {path.name for path in trained.folder.iterdir()}
    policy = load(trained.folder)
    assert (policy.rate, policy.needs_speed) == (10.0, True)
    for wanted in (-0.8, -0.3, 0.3, 0.8):
        picture = np.repeat(np.repeat(road(wanted), 4, axis=0), 4, axis=1)  # of another size than those learnt from
        left, top, width, height = policy.band(picture.shape[1], picture.shape[0])
        throttles = []
        for speed in (80.0, -1.0, 0.0):  # known, not known, slower than any that was learnt from
            command = policy.drive(picture[top : top + height, left : left + width], speed)
            throttles.append(command.throttle)
            assert command.steering == pytest.approx(wanted, abs=0.25)
            if speed:  # a car that stands drives off with what the tyres bear
                assert (command.throttle > 0.5) == (abs(wanted) < 0.4), (wanted, speed)
            assert command.brake == pytest.approx(0, abs=0.05)
        assert throttles[2] >= throttles[0] - 0.05, "the slower, the more"


def test_it_learns_what_to_do_at_speeds_that_were_not_driven(made: Path, tmp_path: Path) -> None:
    assert train(made, tmp_path / "best_save", "--epochs", "16", *LEARNING[2:-1], "80")[0] == 0
    policy = load(tmp_path / "best_save")
    picture = np.repeat(np.repeat(road(0.6), 4, axis=0), 4, axis=1)
    left, top, width, height = policy.band(picture.shape[1], picture.shape[0])
    commands = [policy.drive(picture[top : top + height, left : left + width], speed) for speed in (30.0, 130.0)]
    slow, fast = (command.throttle - command.brake for command in commands)
    assert slow > 0.5, "all rows have 80 km/h, at which neither pedal is down"
    assert fast < slow - 0.5
    assert [command.steering for command in commands] == pytest.approx([0.6, 0.6], abs=0.25)


def test_pytorch_and_onnx_agree(trained: PolicyFolder, made: Path) -> None:
    policy = OnnxPolicy(trained.onnx_file)
    network = PilotNet(policy.preprocessing)
    network.load_state_dict(torch.load(trained.weights_file, weights_only=True))
    frames = np.load(next(Dataset.open(made).cache_folder.glob("*.npy")))
    speeds = np.linspace(-1, 200, len(frames))
    with torch.no_grad():
        expected = network(torch.from_numpy(frames), torch.from_numpy(speeds.astype(np.float32))[:, None])
    assert np.abs(policy.run(frames, speeds) - expected.numpy()).max() < 1e-5


def test_the_file_alone_says_what_it_was_made_of(trained: PolicyFolder) -> None:
    told = onnxruntime.InferenceSession(trained.onnx_file).get_modelmeta().custom_metadata_map
    assert json.loads(told["acpilot_preprocessing"])["outputs"] == ["steering", "throttle", "brake"]
    provenance = json.loads(told["acpilot_provenance"])
    assert provenance["rows"] == {"training": 160, "validation": 32}
    assert provenance["sessions"]["drive"]["track"] == "track"
    assert str(trained.folder.parent) not in str(told), "no folder of the user's is told"


def test_a_kill_and_another_run_end_with_the_same_weights(trained: PolicyFolder, made: Path, tmp_path: Path) -> None:
    out = PolicyFolder(tmp_path / "killed")
    command = ("train", str(made), "--out", str(out.folder), *LEARNING)
    with running(*command, folder=tmp_path) as process:
        wait_for(out.checkpoint_file.exists, "the first epoch", 60, step=0.001)
        process.kill()
        process.wait()
    assert not out.record_file.exists(), "it was quicker than the kill: the test has shown nothing"
    code, output = acpilot(*command, folder=tmp_path)
    assert code == 0, output
    assert "goes on after epoch" in output
    first, second = (torch.load(each.weights_file, weights_only=True) for each in (trained, out))
    assert all(torch.equal(first[name], second[name]) for name in first)
    curves = [json.loads(each.record_file.read_text())["epochs"] for each in (trained, out)]
    assert curves[0] == curves[1]
    assert out.onnx_file.read_bytes() == trained.onnx_file.read_bytes()
    assert {path.name for path in out.folder.iterdir()} == {path.name for path in trained.folder.iterdir()}


def test_a_finished_training_is_left_as_it_is(trained: PolicyFolder, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.folder.iterdir()}
    code, output = train(made, trained.folder, *LEARNING)
    assert code == 0
    assert "nothing to do" in output
    (note,) = [line for line in output.splitlines() if "model.ckpt" in line]
    assert "model.ckpt is left out: TensorFlow checkpoints need TensorFlow" in note
    assert note.endswith(f"{install_extra('tensorflow')}; then the same command writes it")
    line = one_line(*train(made, trained.folder, *LEARNING, "--seed", "1"))
    assert "trained with --seed 0, not 1: nothing is overwritten" in line
    assert {path: path.stat().st_mtime_ns for path in trained.folder.iterdir()} == before


def test_without_speed_and_with_earlier_pictures(made: Path, tmp_path: Path) -> None:
    flags = ("--no-speed", "--past-frames", "2", "--epochs", "1", "--threads", "1")
    code, output = train(made, tmp_path / "out", *flags)
    assert code == 0, output
    policy = load(tmp_path / "out" / "model.onnx")
    assert not policy.needs_speed
    bands = [road(steering)[36:77] for steering in (-0.9, 0.0, 0.9)]
    first = [policy.drive(band, 0.0) for band in bands]
    policy.reset()
    assert [policy.drive(band, 99.0) for band in bands] == first, "nothing is left of the drive before"
    assert policy.drive(bands[0], 0.0) != first[0], "earlier pictures count"


def refusal(dataset: Dataset, out: Path, **settings: Any) -> str:
    """What is said of a dataset that is not trained on; in this process, since loading PyTorch takes seconds."""
    with pytest.raises(AcpilotError) as fault:
        learn(Dataset.open(dataset.folder), TrainSettings(out=out, **settings), lambda *_: None, lambda _: None)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def _emptied(dataset: Dataset) -> None:
    write_rows(dataset, [])


def _straight(dataset: Dataset) -> None:
    write_rows(dataset, [[row[0], "0.001", *row[2:]] for row in read_rows(dataset)])


def _without_a_number(dataset: Dataset) -> None:
    rows = read_rows(dataset)
    rows[7][2] = "nan"
    write_rows(dataset, rows)


def _in_degrees(dataset: Dataset) -> None:
    write_rows(dataset, [[row[0], "-90", *row[2:]] for row in read_rows(dataset)])


def _with_a_broken_image(dataset: Dataset) -> None:
    (dataset.images_folder / "drive" / "frame_000009.jpg").write_bytes(b"no picture")


def _with_a_short_image(dataset: Dataset) -> None:
    path = dataset.images_folder / "drive" / "frame_000009.jpg"
    path.write_bytes(path.read_bytes()[:-300])


def _without_an_image(dataset: Dataset) -> None:
    (dataset.images_folder / "drive" / "frame_000009.jpg").unlink()


def _cropped(dataset: Dataset) -> None:
    dataset.record["sessions"]["drive"]["conversion"]["crop"] = [0, 0, 100, 60]
    dataset.record_file.write_text(json.dumps(dataset.record))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_emptied, "has no rows to train on"),
        (_straight, "there is nothing to learn from it; record laps with bends"),
        (_without_a_number, "throttle of images/drive/frame_000007.jpg is nan"),
        (_in_degrees, "steering of images/drive/frame_000000.jpg is -90, and 191 more are like it"),
        (_with_a_broken_image, "frame_000009.jpg cannot be read as an image"),
        (_with_a_short_image, "frame_000009.jpg cannot be read as an image"),
        (_without_an_image, "frame_000009.jpg is missing"),
        (_cropped, "the images of drive are parts of the game's picture"),
    ],
)
def test_what_cannot_be_learnt_from(
    dataset: Dataset, tmp_path: Path, spoil: Callable[[Dataset], None], message: str
) -> None:
    spoil(dataset)
    assert message in refusal(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_a_dataset_that_grew_only_new_images_are_decoded(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []

    def watched(path: Path) -> np.ndarray:
        decoded.append(path)
        return open_picture(path)

    monkeypatch.setattr(frames, "open_picture", watched)
    shutil.rmtree(dataset.cache_folder, ignore_errors=True)
    names = [str(row[0]) for row in read_rows(dataset)]
    whole, content = network_frames(dataset, names, Preprocessing(), lambda *_: None)
    expected = whole.copy()
    shutil.rmtree(dataset.cache_folder)
    network_frames(dataset, names[60:], Preprocessing(), lambda *_: None)
    decoded.clear()
    grown, same = network_frames(dataset, names, Preprocessing(), lambda *_: None)
    known = {dataset.image(name).read_bytes() for name in names[60:]}
    new = [dataset.image(name) for name in names[:60] if dataset.image(name).read_bytes() not in known]
    assert new
    assert sorted(decoded) == sorted(new)
    assert np.array_equal(grown, expected)
    assert same == content


def test_pictures_of_a_car_that_hardly_moves_are_not_learnt_from(dataset: Dataset, tmp_path: Path) -> None:
    before = read_examples(dataset, TrainSettings())[0].training
    rows = read_rows(dataset)
    for number in before[:10]:
        rows[number][COLUMNS.index("speed")] = "9.5"
    write_rows(dataset, rows)
    assert read_examples(dataset, TrainSettings())[0].training.tolist() == before[10:].tolist()
    assert len(read_examples(dataset, TrainSettings(slowest=0))[0].training) == len(before)
    assert "driven at 500 km/h (--slowest) or more" in refusal(dataset, tmp_path / "out", slowest=500)


def test_a_lower_pace_than_the_drivers_is_learnt_from_the_same_pictures(dataset: Dataset) -> None:
    as_driven, slower = (read_examples(dataset, TrainSettings(pace=pace))[0] for pace in (1.0, 0.9))
    assert slower.speed == pytest.approx(0.9 * as_driven.speed)
    assert (slower.wanted[:, 0] < as_driven.wanted[:, 0]).all()
    told = np.isfinite(slower.wanted[:, 1]) & np.isfinite(as_driven.wanted[:, 1])
    assert told.any()
    throttle = as_driven.labels[told, 1]
    limits = [each.wanted[told, 0] - 10 * throttle / (1 + throttle) for each in (slower, as_driven)]
    assert limits[0] == pytest.approx(0.9 * limits[1])
    assert np.array_equal(slower.labels, as_driven.labels)
    assert np.array_equal(slower.training, as_driven.training)


def test_an_experts_answers_hold_at_the_speed_that_they_were_given_at(dataset: Dataset) -> None:
    driven = read_examples(dataset, TrainSettings(pace=0.9))[0]
    dataset.record["sessions"]["drive"]["labels"] = "expert"
    answered = read_examples(dataset, TrainSettings(pace=0.9))[0]
    assert answered.speed == pytest.approx(driven.speed / 0.9), "the policy's own, at whatever pace it drove"


def test_the_speed_that_an_expert_would_have_is_wanted_exactly(dataset: Dataset) -> None:
    rows = read_rows(dataset)
    for number, row in enumerate(rows):
        row[COLUMNS.index("wanted_speed")] = (0.0, 50.0, 300.0)[number % 3]
    write_rows(dataset, rows)
    driven = read_examples(dataset, TrainSettings(pace=0.9))[0]
    dataset.record["sessions"]["drive"]["labels"] = "expert"
    answered = read_examples(dataset, TrainSettings(pace=0.9))[0]
    assert answered.wanted[1::3] == pytest.approx(50.0), "whatever the pedals say at the speed that the policy had"
    assert answered.wanted[2::3] == pytest.approx(np.array([[answered.speed.max(), np.inf]] * (ROWS // 3)))
    pressed = answered.labels[::3, 1] == 1
    assert (answered.wanted[::3][pressed, 1] == np.inf).all(), "where it said nothing, the throttle asks for any more"
    assert answered.wanted[::3][~pressed, 0] == pytest.approx(answered.speed[::3][~pressed])
    assert driven.wanted[1::3] != pytest.approx(50.0), "of a driver's own rows it says nothing"


def test_the_steering_is_learnt_from_who_drove_and_the_pedals_from_answers_to_others_too(dataset: Dataset) -> None:
    rows, sessions = read_rows(dataset), dataset.record["sessions"]
    for number, (name, driver) in enumerate((("met", "round_0/model.onnx"), ("shown", "expert"))):
        sessions[name] = {**sessions["drive"], "labels": "expert", "driver": driver}
        for row in rows[number::3]:
            row[COLUMNS.index("session")] = name
    dataset.record_file.write_text(json.dumps(dataset.record))

    def weights(column: str, session: str) -> dict[str, torch.Tensor]:
        """What is learnt when this column says the opposite in the rows of a session."""
        changed = [list(row) for row in rows]
        for row in changed:
            if row[COLUMNS.index("session")] == session:
                value = float(str(row[COLUMNS.index(column)]))
                row[COLUMNS.index(column)] = -value if column == "steering" else 1 - value
        write_rows(dataset, changed)
        out = dataset.folder.parent / f"{column}_{session}"
        settings = TrainSettings(out=out, epochs=1, speed=False, threads=1, device="cpu")
        learn(Dataset.open(dataset.folder), settings, lambda *_: None, lambda _: None)
        learnt: dict[str, torch.Tensor] = torch.load(PolicyFolder(out).weights_file, weights_only=True)
        return learnt

    as_told = weights("steering", "nobody")
    for column, session, same in (
        ("steering", "met", True),
        ("throttle", "met", False),
        ("steering", "shown", False),
        ("steering", "drive", False),
    ):
        learnt = weights(column, session)
        assert all(torch.equal(learnt[name], as_told[name]) for name in as_told) is same, (column, session)


def test_a_slide_leaves_little_of_the_pedals_though_the_wheel_is_straight(dataset: Dataset) -> None:
    gripping, preprocessing = read_examples(dataset, TrainSettings())
    rows = read_rows(dataset)
    for row in rows[::2]:
        row[COLUMNS.index("lateral_acceleration")] = -9.0
    write_rows(dataset, rows)
    sliding = read_examples(dataset, TrainSettings())[0]
    straight = np.zeros(ROWS, np.float32)
    brakes = [
        each.labels_at(np.arange(ROWS), each.speed, straight, preprocessing)[:, 2] for each in (gripping, sliding)
    ]
    assert (brakes[0] == 1).all()
    assert brakes[1][::2] == pytest.approx(0.15)
    assert (brakes[1][1::2] == 1).all()


def test_how_a_policy_slid_is_not_what_tyres_bear(dataset: Dataset) -> None:
    rows = read_rows(dataset)
    for row in rows[:80]:
        row[COLUMNS.index("session")] = "met"
        row[COLUMNS.index("lateral_acceleration")] = -12.0
    write_rows(dataset, rows)
    met = dataset.record["sessions"]["met"] = {**dataset.record["sessions"]["drive"], "labels": "expert"}
    assert read_examples(dataset, TrainSettings())[0].grip.lateral == 7
    del met["labels"]
    assert read_examples(dataset, TrainSettings())[0].grip.lateral == 12, "a driver's own it would be"


def test_two_processes_train_one_policy(trained: PolicyFolder, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "together"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "acpilot", "train"]
    result = subprocess.run(
        [*command, str(dataset.folder), "--out", str(out), *LEARNING], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("epoch   1/8") == 1, "one of them speaks"
    alone, together = (json.loads(each.record_file.read_text()) for each in (trained, PolicyFolder(out)))
    assert together["processes"] == 2
    last = [record["epochs"][-1] for record in (alone, together)]
    assert last[1]["validation"] < together["epochs"][0]["validation"] / 2
    assert last[1]["steering_error"] == pytest.approx(last[0]["steering_error"], abs=0.05), "it has learnt as much"
    assert load(out).rate == load(trained.folder).rate
    code, output = train(dataset.folder, out, *LEARNING)
    assert "trained by 2 processes together, not 1" in one_line(code, output)


def test_a_training_goes_on_from_the_weights_of_another(
    trained: PolicyFolder, dataset: Dataset, tmp_path: Path
) -> None:
    flags = (*LEARNING[2:], "--start-from", str(trained.weights_file), "--epochs", "1", "--learning-rate", "1e-9")
    code, output = train(dataset.folder, tmp_path / "on", *flags)
    assert code == 0, output
    first, second = (OnnxPolicy(folder.onnx_file) for folder in (trained, PolicyFolder(tmp_path / "on")))
    pictures = np.stack([np.full((66, 200, 3), gray, np.uint8) for gray in (0, 90, 200)])
    assert second.run(pictures, np.full(3, 82.0)) == pytest.approx(first.run(pictures, np.full(3, 82.0)), abs=1e-3)
    assert "that began with other weights" in refusal(dataset, tmp_path / "on", epochs=1, learning_rate=1e-9)
    assert "holds the weights of another network" in refusal(
        dataset, tmp_path / "out", start_from=trained.weights_file, past_frames=2
    )
    assert "there are no PyTorch weights at" in refusal(dataset, tmp_path / "out", start_from=tmp_path / "no.pt")


@pytest.mark.parametrize("name", ["model.onnx", "model.ckpt.index"])
def test_a_model_of_somebody_elses_is_not_overwritten(dataset: Dataset, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    assert "nothing is overwritten" in refusal(dataset, tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"
