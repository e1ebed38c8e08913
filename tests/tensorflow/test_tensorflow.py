"""TensorFlow checkpoints, written and read, with TensorFlow itself: run with "make test-tensorflow"."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from acpilot.errors import AcpilotError
from acpilot.evaluation.closed_loop import Camera
from acpilot.evaluation.evaluate import practice_settings
from acpilot.evaluation.settings import EvaluateSettings
from acpilot.learning.network import PilotNet
from acpilot.learning.settings import TrainSettings
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.load import load
from acpilot.policy.onnx import OnnxPolicy
from acpilot.policy.tensorflow_checkpoint import TensorflowPolicy
from acpilot.practice.track import make_track
from acpilot.practice.world import World
from conftest import acpilot
from test_train import LEARNING, write_dataset

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
SMALL = ("--size", "128", "72", "--renderer", "software", "--track", "oval", "--laps", "1")
SPEEDS = np.linspace(-1, 200, 12)
RESTORE = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
from best_save import create_model

tf.disable_v2_behavior()
images = np.load("images.npy")
x = tf.placeholder(tf.float32, [None, *images.shape[1:]])
keep_prob = tf.placeholder(tf.float32)
steering, throttle, brake = create_model(x, keep_prob)
session = tf.Session()
tf.train.Saver().restore(session, sys.argv[1])
assert "torch" not in sys.modules
values = session.run([steering, throttle, brake], {x: images / 255.0, keep_prob: 1.0})
np.save("restored.npy", np.concatenate(values, axis=1))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("learning") / "dataset").folder


@pytest.fixture(scope="module", params=[(), ("--no-speed", "--past-frames", "2")], ids=["speed", "past frames"])
def trained(request: pytest.FixtureRequest, made: Path) -> PolicyFolder:
    out = made.parent / f"best_save_{len(request.param)}"
    code, output = acpilot("train", str(made), "--out", str(out), *LEARNING, *request.param, folder=out.parent)
    assert code == 0, output
    assert "left out" not in output
    return PolicyFolder(out)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Of the practice game, uint8 (n, 360, 640, 3): real frames."""
    world = World(make_track("oval"), expert=True)
    taken = []
    with Camera(world, practice_settings(EvaluateSettings(renderer="software"))) as camera:
        for _ in SPEEDS:
            for _ in range(300):
                assert world.expert is not None
                world.step(world.expert.controls(world.car))
            taken.append(camera.look().copy())
    return np.stack(taken)


def foreign(folder: Path, kind: str) -> Path:
    folder.mkdir()
    subprocess.run([sys.executable, HERE / "original_style.py", folder, kind], check=True, cwd=folder)
    return folder / "model.ckpt"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of somebody else's that gives steering, brake and throttle."""
    return foreign(tmp_path_factory.mktemp("foreign") / "best_save", "three tensors")


def test_onnx_pytorch_and_tensorflow_agree(trained: PolicyFolder, pictures: np.ndarray, tmp_path: Path) -> None:
    ours = TensorflowPolicy(trained.tensorflow_checkpoint.path)
    onnx = OnnxPolicy(trained.onnx_file)
    assert ours.preprocessing == onnx.preprocessing
    assert (ours.rate, ours.needs_speed, ours.note) == (onnx.rate, onnx.needs_speed, "")
    assert ours.camera_height == onnx.camera_height == TrainSettings().camera_height
    left, top, width, height = ours.band(640, 360)
    seen = [onnx.preprocessing.prepare(picture[top : top + height, left : left + width]) for picture in pictures]
    shown = onnx.preprocessing.past_frames
    images = np.stack([np.concatenate([seen[i - k] for k in range(1 + shown)], axis=2) for i in range(len(seen))])
    network = PilotNet(onnx.preprocessing)
    network.load_state_dict(torch.load(trained.weights_file, weights_only=True))
    for speeds in (SPEEDS, np.full(len(images), -1.0)):
        with torch.no_grad():
            expected = network(torch.from_numpy(images), torch.from_numpy(speeds.astype(np.float32))[:, None]).numpy()
        assert np.ptp(expected, axis=0).max() > 0.01, "they are not all alike"
        differences = [np.abs(each.run(images, speeds) - expected).max() for each in (ours, onnx)]
        print("largest differences from PyTorch: TensorFlow {:.1e}, ONNX {:.1e}".format(*differences))
        assert max(differences) < 1e-5

    # A plain script of the original's users, which knows no speed.
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", RESTORE, str(trained.tensorflow_checkpoint.path)]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SCRIPTS)})
    assert np.abs(np.load(tmp_path / "restored.npy") - expected).max() < 1e-5


def test_it_drives_as_the_onnx_file_does(trained: PolicyFolder, pictures: np.ndarray) -> None:
    policies = [load(trained.onnx_file), *(load(file) for file in trained.tensorflow_checkpoint.files)]
    left, top, width, height = policies[0].band(640, 360)
    for picture, speed in zip(pictures, SPEEDS, strict=True):
        band = picture[top : top + height, left : left + width]
        first, *others = (policy.drive(band, float(speed)) for policy in policies)
        for other in others:
            assert other == pytest.approx(first, abs=1e-5)


def test_a_finished_training_gets_the_checkpoint_that_it_lacks(
    trained: PolicyFolder, made: Path, tmp_path: Path
) -> None:
    folder = PolicyFolder(Path(shutil.copytree(trained.folder, tmp_path / "out")))
    settings = json.loads(folder.record_file.read_text())["settings"]
    flags = () if settings["speed"] else ("--no-speed", "--past-frames", "2")
    folder.tensorflow_checkpoint.index_file.unlink()
    before = folder.onnx_file.stat().st_mtime_ns
    code, output = acpilot("train", str(made), "--out", str(folder.folder), *LEARNING, *flags, folder=tmp_path)
    assert code == 0, output
    assert "nothing to do" in output
    assert folder.onnx_file.stat().st_mtime_ns == before
    policy = load(folder.folder)
    assert isinstance(policy, OnnxPolicy)
    images = np.random.default_rng(0).integers(0, 256, (4, *policy.preprocessing.input_shape), np.uint8)
    checkpoints = [TensorflowPolicy(each.tensorflow_checkpoint.path) for each in (folder, trained)]
    written, known = (each.run(images, np.zeros(4)) for each in checkpoints)
    assert np.array_equal(written, known)
    assert not [path for path in folder.folder.iterdir() if path.name.startswith(".")]


def test_a_checkpoint_in_the_originals_style_drives(three: Path) -> None:
    policy = TensorflowPolicy(three, "steering,brake,throttle")
    images, expected = np.load(three.parent / "pictures.npy"), np.load(three.parent / "outputs.npy")
    assert np.abs(policy.run(images, np.zeros(len(images))) - expected).max() < 1e-6
    left, top, width, height = policy.band(1280, 720)
    assert (left, top, width, height) == (0, 570, 1280, 150)
    band = np.kron(images[0][..., ::-1], np.ones((1, 2, 1), np.uint8))  # RGB, twice as wide
    steering, brake, throttle = expected[0]
    assert policy.drive(band, 30.0) == pytest.approx((steering, throttle, brake), abs=1e-6)

    flags = ("--outputs", "steering,brake,throttle", "--out", "evaluation")
    code, output = acpilot("evaluate", "best_save/model.ckpt", *flags, *SMALL, folder=three.parents[1])
    assert code == 0, output
    assert "the lowest 150 rows, BGR, 0 to 1; its outputs are taken for steering, brake, throttle" in output
    (result,) = json.loads((three.parents[1] / "evaluation" / "evaluation.json").read_text())["tracks"]
    assert result["elapsed_s"] > 10
    assert load(three.parent / "model.ckpt.index", "steering,brake,throttle").name == "model.ckpt"


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [
        ("one tensor", "steering,brake,throttle"),
        ("steering", None),
        ("steering", "steering"),
        ("dropout last", None),
        ("original", None),
        ("original", "steering,speed,throttle,brake"),
    ],
)
def test_other_outputs(tmp_path: Path, kind: str, outputs: str | None) -> None:
    path = foreign(tmp_path / "best_save", kind)
    policy = TensorflowPolicy(path, outputs)
    images, expected = np.load(path.parent / "pictures.npy"), np.load(path.parent / "outputs.npy")
    assert np.abs(policy.run(images, np.zeros(len(images))) - expected).max() < 1e-6
    if kind == "original":
        steering, _, throttle, brake = expected[0]
        band = np.kron(images[0][..., ::-1], np.ones((1, 2, 1), np.uint8))  # RGB, twice as wide
        assert policy.drive(band, 30.0) == pytest.approx((steering, throttle, brake), abs=1e-6)
    if kind == "steering":
        assert policy.needs_speed
        throttles = [policy.drive(images[0], speed).throttle for speed in (0.0, 45.0, 60.0, -1.0)]
        assert throttles == [1.0, 0.5, 0.0, 0.0]


def test_tensors_by_name(three: Path) -> None:
    with pytest.raises(AcpilotError, match=r"what it gives is not clear, it has (.*): name all of it") as fault:
        load(three)
    names = str(fault.value).partition("it has ")[2].partition(": name all")[0].split(", ")
    assert len(names) == 3
    policy = TensorflowPolicy(three, f"throttle={names[2]},steering={names[0]}")
    images, expected = np.load(three.parent / "pictures.npy"), np.load(three.parent / "outputs.npy")
    assert np.abs(policy.run(images, np.zeros(len(images))) - expected[:, [2, 0]]).max() < 1e-6


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("steering,brake", "--outputs names 2 of the 3 numbers that it gives"),
        ("brake,throttle", "it must name steering"),
        ("steering,steering,brake", "it must name steering"),
        ("steering,brake,clutch", "it must name steering"),
        ("steering=nowhere", "its graph has no tensor nowhere:0"),
    ],
)
def test_outputs_that_it_does_not_give(three: Path, outputs: str, message: str) -> None:
    with pytest.raises(AcpilotError, match=message) as fault:
        load(three, outputs)
    assert "\n" not in str(fault.value)


def test_ours_says_itself_what_it_gives(trained: PolicyFolder) -> None:
    with pytest.raises(AcpilotError, match="leave --outputs out"):
        load(trained.tensorflow_checkpoint.path, "steering,brake,throttle")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("python", r"its graph calls Python functions \(.*PyFunc"), ("file", "acpilot does not run .*ReadFile")],
)
def test_a_graph_that_does_more_than_to_compute_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    path = foreign(tmp_path / "best_save", kind)
    for outputs in (None, "steering,brake,throttle"):
        with pytest.raises(AcpilotError, match=message) as fault:
            load(path, outputs)
        assert "\n" not in str(fault.value)
    assert not (path.parent / "executed").exists()


@pytest.mark.parametrize("damage", [b"this is no checkpoint\n" * 99, b""])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_file(three: Path, tmp_path: Path, which: int, damage: bytes) -> None:
    folder = PolicyFolder(Path(shutil.copytree(three.parent, tmp_path / "out")))
    folder.tensorflow_checkpoint.files[which].write_bytes(damage)
    with pytest.raises(
        AcpilotError, match=r"model\.ckpt (is damaged or no TensorFlow checkpoint|cannot be used)"
    ) as fault:
        load(folder.tensorflow_checkpoint.path, "steering,brake,throttle")
    assert "\n" not in str(fault.value)
