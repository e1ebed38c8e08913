"""What is done to pictures, and what is learnt from them: views from beside the line, labels from later, the cache."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from acpilot.dataset.dataset import Dataset
from acpilot.learning.augment import Augmentation
from acpilot.learning.batches import Batches
from acpilot.learning.examples import read_examples
from acpilot.learning.frames import network_frames
from acpilot.learning.settings import TrainSettings
from acpilot.policy.preprocessing import Preprocessing
from test_train import read_rows, write_dataset, write_rows

NOTHING = TrainSettings(
    mirror=False, shift=0, rotation=0, brightness=False, shadow=False, blur=False, patches=False, noise=False
)
ASPECT = 16 / 9


def augmentation(settings: TrainSettings) -> Augmentation:
    return Augmentation(settings, Preprocessing(), ASPECT, np.random.default_rng(0))


def column_of(pictures: np.ndarray, row: int) -> np.ndarray:
    """Where the white line of each picture is in a row."""
    columns: np.ndarray = pictures[:, row, :, 0].argmax(axis=1)
    return columns


@pytest.fixture
def straight() -> np.ndarray:
    """Three pictures of a white line in the middle."""
    pictures = np.zeros((3, 66, 200, 3), np.uint8)
    pictures[:, :, 100] = 255
    return pictures


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "dataset")


def test_a_view_from_beside_is_that_of_a_camera_there(straight: np.ndarray) -> None:
    settings = TrainSettings(horizon=0.45, camera_height=1.2, field_of_view=90, shift=1.0)
    seen = augmentation(settings).moved(list(straight), np.array([-0.5, 0.0, 0.5]), np.zeros(3), np.zeros(3, bool))
    for row in (10, 30, 65):
        # A point of the road at slope s below the horizon is 1.2 m / s away: half a metre is 0.5 · s / 1.2 of the
        # focal length, which is 100 pixels at 90 degrees.
        below = max(0.0, 0.42 + 0.3 * (row + 0.5) / 66 - 0.45) / 0.5 * 9 / 16
        expected = 100 * 0.5 * below / 1.2
        assert column_of(seen, row) - 100 == pytest.approx([expected, 0, -expected], abs=0.51)
    assert (column_of(seen, 0) == 100).all(), "what is far away stays"


def test_a_turned_view_moves_all_rows_alike(straight: np.ndarray) -> None:
    settings = TrainSettings(field_of_view=90, rotation=10)
    seen = augmentation(settings).moved(list(straight), np.zeros(3), np.radians([-5, 0, 5]), np.zeros(3, bool))
    for row in (0, 65):
        assert column_of(seen, row) - 100 == pytest.approx([8.75, 0, -8.75], abs=0.51)


def test_views_are_turned_as_far_as_asked_and_more_often_by_little() -> None:
    pictures = np.zeros((400, 66, 200, 3), np.uint8)
    pictures[:, :, 100] = 255
    settings = replace(NOTHING, rotation=15, field_of_view=90)
    still = np.zeros(400, np.float32)
    seen, steering, _ = augmentation(settings).change(list(pictures), still, still)
    to_the_right = np.degrees(np.arctan((100 - column_of(seen, 0)) / 100))
    assert 12 < np.abs(to_the_right).max() < 15.5
    assert (np.abs(to_the_right) < 5).mean() == pytest.approx(5 / 9, abs=0.1)
    assert (np.sign(steering) == -np.sign(to_the_right))[np.abs(to_the_right) > 1].all()


def test_the_steering_leads_back_the_slower_the_more() -> None:
    change = augmentation(TrainSettings(recovery=0.5, turning_radius=5))
    # 1 m to the right of the line: 4 m + 0.5 s ahead is the place to aim at.
    assert change.correction(np.ones(2), np.zeros(2), np.array([0.0, 72.0])) == pytest.approx([-10 / 16, -10 / 14**2])
    assert change.correction(np.zeros(1), np.array([-0.1]), np.zeros(1)) == pytest.approx([0.25])
    # Seen from 5 m behind it, the car stands 0.5 m further left, too.
    change = augmentation(TrainSettings(recovery=0.5, turning_radius=5, camera_behind=5))
    assert change.correction(np.zeros(1), np.array([-0.1]), np.zeros(1)) == pytest.approx([0.25 + 5 / 16], abs=1e-3)


def test_pictures_are_mirrored_with_their_steering() -> None:
    pictures = np.zeros((64, 66, 200, 3), np.uint8)
    pictures[:, :, 20] = 255
    settings = replace(NOTHING, mirror=True)
    seen, steering, _ = augmentation(settings).change(
        list(pictures), np.full(64, -0.4, np.float32), np.zeros(64, np.float32)
    )
    mirrored = column_of(seen, 30) == 179
    assert 10 < mirrored.sum() < 54
    assert (column_of(seen, 30)[~mirrored] == 20).all()
    assert (steering == np.where(mirrored, np.float32(0.4), np.float32(-0.4))).all()


@pytest.mark.parametrize("name", ["brightness", "shadow", "blur", "noise"])
def test_light_changes_some_pictures_and_no_steering(name: str) -> None:
    random = np.random.default_rng(1)
    pictures = random.integers(60, 180, (64, 66, 200, 3), np.uint8)
    steering = random.uniform(-1, 1, 64).astype(np.float32)
    asked: dict[str, Any] = {name: True}
    change = augmentation(replace(NOTHING, **asked)).change
    seen, after, brightness = change(list(pictures), steering, np.zeros(64, np.float32))
    seen = seen * brightness[:, None, None, None]
    changed = (seen != pictures).any(axis=(1, 2, 3))
    assert 0 < changed.sum() <= 64
    assert (after == steering).all()
    close = np.abs(seen.astype(float) - pictures).mean(axis=(1, 2, 3))
    assert close.max() < 70, "still the same picture"
    if name == "shadow":
        assert (seen <= pictures).all()


def test_parts_of_some_pictures_are_covered_and_the_rest_is_as_it_was() -> None:
    random = np.random.default_rng(1)
    pictures = random.integers(60, 180, (64, 66, 200, 3), np.uint8)
    steering = np.zeros(64, np.float32)
    seen, _, _ = augmentation(replace(NOTHING, patches=True)).change(list(pictures), steering, steering)
    covered = (seen != pictures).any(axis=3).mean(axis=(1, 2))
    assert 15 < (covered > 0).sum() < 49, "about half of them"
    assert covered.max() < 0.6, "the road can still be seen"
    assert len({tuple(colour) for colour in seen[(seen != pictures).any(axis=3)]}) > 15, "in any colour"


def test_nothing_is_changed_where_nothing_is_asked_for(straight: np.ndarray) -> None:
    change = augmentation(NOTHING).change
    seen, steering, brightness = change(list(straight), np.full(3, 0.3, np.float32), np.zeros(3, np.float32))
    assert (brightness == 1).all()
    assert (seen == straight).all()
    assert (steering == np.float32(0.3)).all()


def test_labels_are_taken_from_later_within_the_same_run(dataset: Dataset) -> None:
    rows = read_rows(dataset)
    for i, row in enumerate(rows):
        row[1] = str(i / 1000)  # steering, ten frames a second
    del rows[100:105]  # a gap
    write_rows(dataset, rows)
    examples, _ = read_examples(dataset, TrainSettings(label_shift=0.25))
    frames = np.array([int(name[-10:-4]) for name in examples.names])
    kept = examples.training
    assert examples.labels[kept, 0] == pytest.approx(frames[kept] / 1000 + 0.0025, abs=1e-6)
    assert set(frames[kept]) == {*range(97), *range(105, 157)}, "nothing is known of what comes after a run"
    assert (examples.speed[kept] == 80 + frames[kept] % 7).all(), "the speed is the one that is seen"


def test_rare_steering_is_seen_more_often_by_its_weight(dataset: Dataset) -> None:
    write_rows(dataset, [[*row[:-1], "9" if i % 10 == 0 else "1"] for i, row in enumerate(read_rows(dataset))])
    weighty = []
    for balance in (True, False):
        settings = TrainSettings(**{**vars(NOTHING), "balance": balance, "speed_dropout": 0.0})
        examples, preprocessing = read_examples(dataset, settings)
        frames = np.zeros((len(examples.names), 66, 200, 3), np.uint8)
        frames[::10] = 1
        batches = Batches(examples, frames, preprocessing, settings, ASPECT)
        seen = [batch for epoch in range(4) for batch in batches.training(epoch, torch.device("cpu"))]
        weighty.append(float(torch.cat([batch.image[:, 0, 0, 0] for batch in seen]).float().mean()))
    assert weighty == [pytest.approx(0.5, abs=0.08), pytest.approx(0.1)]


def test_the_speed_is_hidden_at_times(dataset: Dataset) -> None:
    examples, preprocessing = read_examples(dataset, TrainSettings())
    frames = np.zeros((len(examples.names), 66, 200, 3), np.uint8)
    batches = Batches(examples, frames, preprocessing, TrainSettings(speed_dropout=0.3), ASPECT)
    speeds = torch.cat([batch.speed for epoch in range(5) for batch in batches.training(epoch, torch.device("cpu"))])
    assert float((speeds == -1).float().mean()) == pytest.approx(0.3, abs=0.06)
    shown = torch.cat([batch.speed for batch in batches.unchanged(examples.validation, torch.device("cpu"))])
    assert (shown >= 80).all()


def test_frames_are_decoded_once_and_again_when_an_image_has_changed(dataset: Dataset) -> None:
    names = dataset.table()["image_name"].tolist()
    told: list[tuple[int, int]] = []

    def frames(preprocessing: Preprocessing) -> tuple[np.ndarray, str]:
        told.clear()
        return network_frames(dataset, names, preprocessing, lambda done, total: told.append((done, total)))

    first, content = frames(Preprocessing())
    assert first.shape == (len(names), 66, 200, 3)
    assert len(told) == 2 * len(names)
    with Image.open(dataset.image(names[5])) as image:
        whole = np.asarray(image)
    assert (first[5] == Preprocessing().prepare(whole[36:76])).all()
    assert frames(Preprocessing(speed=False, rate=30.0))[1] == content
    assert len(told) == len(names), "checked, not decoded"

    path = dataset.image(names[5])
    shutil.copy(dataset.image(names[6]), path)
    again, other = frames(Preprocessing())
    assert other != content
    assert (again[5] == again[6]).all()
    assert len(list(dataset.cache_folder.glob("*.npy"))) == 1, "the old one is gone"
    assert (frames(Preprocessing(crop=(0, 0, 1, 1)))[0][7] != again[7]).any()
