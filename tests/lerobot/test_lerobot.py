"""The real lerobot package loads what acpilot exports: run with "make test-lerobot"."""

import csv
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from datasets import load_dataset
from lerobot.datasets.lerobot_dataset import LeRobotDataset

ROOT = Path(__file__).parents[2]
ACPILOT_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
CAMERA = "observation.images.front"
BACKENDS = ["pyav", *(["torchcodec"] if find_spec("torchcodec") else [])]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exports")
    subprocess.run([ACPILOT_PYTHON, Path(__file__).with_name("make_exports.py"), made], check=True)
    return made


@pytest.fixture(scope="session")
def rows(folder: Path) -> dict[tuple[str, int], dict[str, str]]:
    """Rows of the dataset that was exported, by session and frame."""
    with (folder / "dataset/complete_dataset.csv").open(encoding="utf-8", newline="") as file:
        return {(row["session"], int(row["frame"])): row for row in csv.DictReader(file)}


@pytest.fixture(params=["encode", "copy"])
def root(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / str(request.param)


def load(root: Path, **options: Any) -> Any:
    return LeRobotDataset("local/laps", root=root, **options)


def colours(picture: torch.Tensor) -> np.ndarray:
    """Of the middle of a picture (3, height, width) in 0..1: RGB, 0..255."""
    return (picture[:, 91, 161].numpy() * 255).round()


def image_of(folder: Path, row: dict[str, str]) -> np.ndarray:
    with Image.open(folder / "dataset" / row["image_name"]) as picture:
        return np.asarray(picture.convert("RGB"))[91, 161, :].astype(float)


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_frames_have_their_picture_and_action(root: Path, folder: Path, rows: Any, backend: str) -> None:
    dataset = load(root, video_backend=backend)
    assert len(dataset) == len(rows)
    for index in random.Random(1).sample(range(len(dataset)), 60):
        item = dataset[index]
        session = dataset.meta.episodes[int(item["episode_index"])]["session"]
        row = rows[session, int(item["session_frame"])]
        # LeRobot's pyav backend takes every file for BT.601, a copied recording's BT.709 too. Grays are 3 apart.
        if session == "first" or (root.name, backend) != ("copy", "pyav"):
            assert np.abs(colours(item[CAMERA]) - image_of(folder, row)).max() <= (5 if session == "second" else 1.4)
        assert item["action"].numpy() == pytest.approx(
            [float(row[name]) for name in ("steering", "throttle", "brake")], abs=1e-6
        )
        assert item["observation.state"].numpy() == pytest.approx([float(row["speed"]), float(row["gear"])], rel=1e-6)
        assert item["task"] == f"drive coupe around {session}"


def test_splits_are_ranges_of_episodes(root: Path, rows: Any) -> None:
    meta = load(root).meta
    for split in ("train", "validation"):
        first, last = map(int, meta.info["splits"][split].split(":"))
        dataset = load(root, episodes=[*range(first, last)])
        assert len(dataset) == sum(row["split"] == split for row in rows.values())


def test_one_episode_by_itself(root: Path, rows: Any) -> None:
    for number in range(load(root).num_episodes):
        dataset = load(root, episodes=[number])
        episode = dataset.meta.episodes[number]
        assert len(dataset) == episode["length"]
        for place in (0, len(dataset) - 1):
            item = dataset[place]
            assert int(item["episode_index"]) == number
            row = rows[episode["session"], int(item["session_frame"])]
            assert item["action"][0].item() == pytest.approx(float(row["steering"]), abs=1e-6)


def test_delta_timestamps_give_the_frames_around(root: Path, folder: Path, rows: Any) -> None:
    deltas = {CAMERA: [-0.2, 0.0], "action": [0.0, 0.1, 0.2]}
    dataset = load(root, delta_timestamps=deltas, video_backend=BACKENDS[-1])
    for index in range(0, len(dataset), 7):
        item = dataset[index]
        session = dataset.meta.episodes[int(item["episode_index"])]["session"]
        frame, length = int(item["session_frame"]), dataset.meta.episodes[int(item["episode_index"])]["length"]
        inside = [0 <= int(item["frame_index"]) + step < length for step in (0, 1, 2)]
        assert item["action_is_pad"].tolist() == [not each for each in inside]
        for step in (step for step in (0, 1, 2) if inside[step]):
            assert item["action"][step][0].item() == pytest.approx(float(rows[session, frame + step]["steering"]))
        if int(item["frame_index"]) >= 2:
            for picture, number in zip(item[CAMERA], (frame - 2, frame), strict=True):
                assert np.abs(colours(picture) - image_of(folder, rows[session, number])).max() <= 5


def test_a_data_loader_with_two_workers(root: Path) -> None:
    dataset = load(root)
    batches = list(torch.utils.data.DataLoader(dataset, batch_size=16, num_workers=2, shuffle=True))
    assert sorted(int(index) for batch in batches for index in batch["index"]) == [*range(len(dataset))]
    assert batches[0][CAMERA].shape == (16, 3, 182, 322)
    assert batches[0]["action"].shape == (16, 3)


def test_statistics_have_the_shapes_that_trainers_want(root: Path) -> None:
    stats = load(root).meta.stats
    assert stats[CAMERA]["mean"].shape == stats[CAMERA]["q99"].shape == (3, 1, 1)
    assert stats["action"]["std"].shape == (3,)


def test_parquet_loads_with_its_images(folder: Path, rows: Any) -> None:
    dataset = load_dataset(str(folder / "parquet"), cache_dir=str(folder / "cache"))
    assert set(dataset) == {"train", "validation"}
    for row in dataset["validation"]:
        wanted = rows[row["session"], row["frame"]]
        assert row["steering"] == float(wanted["steering"])
        assert np.asarray(row["image"])[91, 161] == pytest.approx(image_of(folder, wanted))
