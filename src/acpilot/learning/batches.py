"""Examples and frames → the batches that a network learns from."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from acpilot.learning.augment import Augmentation
from acpilot.learning.examples import Examples
from acpilot.learning.settings import TrainSettings
from acpilot.learning.team import Team
from acpilot.learning.wanted_speed import other_speeds
from acpilot.policy.preprocessing import Preprocessing

_AT_ONCE = 256
"""Pictures that are looked at together when nothing is learnt."""


class Batch(NamedTuple):
    """Examples on the device that computes."""

    image: Tensor
    """uint8 (n, height, width, channels)."""
    brightness: Tensor
    """float32 (n, 1, 1, 1), what the pixels of each are multiplied by."""
    speed: Tensor
    """float32 (n, 1), km/h, negative where it is not to be known."""
    labels: Tensor
    """float32 (n, 3), NaN where nothing is learnt; of the pedals, where the speed is an input, the most that the tyres
    bear."""
    wanted: Tensor
    """float32 (n, 2), km/h: between which the speed lies at which neither pedal is pressed."""
    driven: Tensor
    """float32 (n, 3), what the driver did where the picture was taken."""


class Batches:
    """Makes batches; the seed and the number of the epoch alone decide which, and how their pictures are changed."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        examples: Examples,
        frames: np.ndarray,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        aspect: float,
        team: Team | None = None,
    ) -> None:
        """Prepare.

        Args:
            examples: of the dataset.
            frames: uint8 (images, height, width, 3), of all its images.
            preprocessing: of the frames.
            settings: how to train.
            aspect: width by height of the pictures before preprocessing.
            team: whose share of each batch is made; without it, all of it.
        """
        self._team = team or Team.alone()
        self._examples, self._frames, self.preprocessing = examples, np.asarray(frames), preprocessing
        self._settings, self._aspect = settings, aspect
        self._steering = preprocessing.outputs.index("steering")
        self.per_epoch = -(-len(examples.training) // settings.batch)

    def training(self, epoch: int, device: torch.device) -> Iterator[Batch]:
        """As many examples as there are to learn from, in batches; of each this process's share."""
        settings, examples, team = self._settings, self._examples, self._team
        random = np.random.default_rng([settings.seed, epoch])
        order = random.permutation(examples.training)
        if settings.balance:
            weight = examples.weight[examples.training]
            order = random.choice(examples.training, len(order), p=weight / weight.sum())
        if team.size > 1:  # the same order for all, but not the same changes
            random = np.random.default_rng([settings.seed, epoch, team.rank])
        change = self.augmentation(random)

        def make(first: int) -> Batch:
            rows = order[first : first + settings.batch]
            rows = rows[team.rank % len(rows) :: team.size]  # never none: each takes part in every step
            return self._batch(rows, self._changed(rows, change, random), device)

        if device.type == "cpu":  # learning takes all cores: a thread beside it makes each of them wait for the others
            yield from map(make, range(0, len(order), settings.batch))
            return
        # One thread makes the next batch while this one is learnt from; only one, so that chance falls the same way.
        with ThreadPoolExecutor(1, "batches") as pool:
            coming = pool.submit(make, 0)
            for first in range(settings.batch, len(order), settings.batch):
                ready, coming = coming, pool.submit(make, first)
                yield ready.result()
            yield coming.result()

    def _changed(
        self, rows: np.ndarray, change: Augmentation, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Examples, changed at random: pictures, their brightness, speeds (−1 where not to be known) and labels."""
        settings, examples = self._settings, self._examples
        speed = examples.speed[rows]
        if self.preprocessing.speed:
            speed = other_speeds(speed, settings.speed_shift, random)
        steering = examples.labels[rows, self._steering]
        pictures, steering, brightness = change.change([self.picture(row) for row in rows], steering, speed)
        known = random.random(len(rows)) >= settings.speed_dropout
        labels = examples.labels_at(rows, speed, steering, self.preprocessing)
        speed[~known] = -1
        return pictures, brightness, speed, labels

    def unchanged(self, rows: np.ndarray, device: torch.device) -> Iterator[Batch]:
        """Examples of these numbers as they are, in their order."""
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            speed, steering = self._examples.speed[some], self._examples.labels[some, self._steering]
            labels = self._examples.labels_at(some, speed, steering, self.preprocessing)
            pictures = np.stack([self.picture(row) for row in some])
            yield self._batch(some, (pictures, np.ones(len(some), np.float32), speed, labels), device)

    def augmentation(self, random: np.random.Generator) -> Augmentation:
        """What changes the pictures of an epoch."""
        return Augmentation(self._settings, self.preprocessing, self._aspect, random)

    def picture(self, row: int) -> np.ndarray:
        """Network input of an example: uint8 (height, width, channels)."""
        numbers = self._examples.pictures[row]
        if len(numbers) == 1:  # a view, where a list of numbers makes a copy
            newest: np.ndarray = self._frames[numbers[0]]
            return newest
        shown = self._frames[numbers]  # (pictures, height, width, 3)
        _, height, width, _ = shown.shape
        picture: np.ndarray = shown.transpose(1, 2, 0, 3).reshape(height, width, -1)
        return picture

    def _batch(
        self, rows: np.ndarray, shown: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], device: torch.device
    ) -> Batch:
        pictures, brightness, speed, labels = shown
        wanted, driven = self._examples.wanted[rows], self._examples.labels[rows]
        arrays = (pictures, brightness[:, None, None, None], speed[:, None], labels, wanted, driven)
        return Batch(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))
