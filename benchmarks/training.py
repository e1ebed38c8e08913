"""How fast is acpilot train? Against the same network on random tensors in memory, and against decoding for each batch.

The second is what a plain PyTorch program does: a DataLoader with two workers that reads the 1280×720 pictures and
makes the network's view of them for each batch. All use the same network, optimizer and batch. Random tensors take
turns with acpilot's batches, one by one, since a shared machine's speed changes within seconds; the DataLoader cannot:
its workers would go on in the others' turns.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from acpilot.dataset.combine import combine
from acpilot.dataset.convert import convert
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.settings import CombineSettings, ConvertSettings
from acpilot.learning.batches import Batch, Batches
from acpilot.learning.examples import Examples, read_examples
from acpilot.learning.frames import look_at, network_frames, open_picture
from acpilot.learning.learner import Learner
from acpilot.learning.settings import TrainSettings
from acpilot.policy.preprocessing import Preprocessing
from practice_session import make_session

_CPU = torch.device("cpu")
_WARM_UP = 5  # batches


class Pictures(TorchDataset[tuple[np.ndarray, ...]]):
    """Decodes a picture each time that it is asked for."""

    def __init__(self, dataset: Dataset, examples: Examples, preprocessing: Preprocessing) -> None:
        self.dataset, self.examples, self.preprocessing = dataset, examples, preprocessing

    def __len__(self) -> int:
        return len(self.examples.training)

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        row = self.examples.training[number]
        picture = open_picture(self.dataset.image(self.examples.names[row]))
        examples, labels = self.examples, self.examples.labels[row]
        seen = look_at(self.preprocessing, picture)
        bright = np.ones((1, 1, 1), np.float32)
        return seen, bright, examples.speed[row : row + 1], labels, examples.wanted[row], labels


def make_dataset(folder: Path, seconds: float) -> Dataset:
    """A dataset of 1280×720 pictures of the practice game."""
    session = make_session(folder / "sessions", seconds=seconds, size=(1280, 720))
    convert(session, ConvertSettings(), lambda *_: None)
    return combine([session], CombineSettings(out=folder / "dataset", validation=0.0), lambda *_: None).dataset


def speeds(learner: Learner, ways: Sequence[Iterator[Batch]], count: int) -> list[float]:
    """Images a second that are learnt from, of each of the ways; they take turns."""
    taken, images = [0.0] * len(ways), [0] * len(ways)
    for turn in range(_WARM_UP + count):
        for way, batches in enumerate(ways):
            start = time.perf_counter()
            batch = next(batches)
            learner.step(batch, 1e-4)
            if turn >= _WARM_UP:
                taken[way] += time.perf_counter() - start
                images[way] += len(batch.image)
    return [shown / seconds for shown, seconds in zip(images, taken, strict=True)]


def endless(make: Callable[[int], Iterator[Batch]]) -> Iterator[Batch]:
    """One epoch after another."""
    epoch = 0
    while True:
        yield from make(epoch)
        epoch += 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--folder", type=Path, help="where the dataset is made, or was made before")
    arguments = parser.parse_args()
    settings = TrainSettings()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = arguments.folder or Path(name)
        made = folder / "dataset"
        dataset = Dataset.open(made) if Dataset.is_one(made) else make_dataset(folder, arguments.seconds)
        examples, preprocessing = read_examples(dataset, settings)
        start = time.perf_counter()
        frames, _ = network_frames(dataset, examples.names, preprocessing, lambda *_: None)
        building = time.perf_counter() - start
        with Image.open(dataset.image(examples.names[0])) as first:
            size, aspect = first.size, first.width / first.height
        batches = Batches(examples, frames, preprocessing, settings, aspect)
        batch = next(batches.training(0, _CPU))
        fixed = batch._replace(image=torch.randint(0, 256, batch.image.shape, dtype=torch.uint8))
        loader = DataLoader(
            Pictures(dataset, examples, preprocessing), settings.batch, shuffle=True, num_workers=2, drop_last=True
        )
        ways: dict[str, Callable[[], Iterator[Batch]]] = {
            "acpilot train": lambda: endless(lambda epoch: batches.training(epoch, _CPU)),
            "random tensors": lambda: iter(lambda: fixed, None),
            "DataLoader": lambda: endless(lambda _: (Batch(*each) for each in loader)),
        }
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.runs):
            for together in (("acpilot train", "random tensors"), ("DataLoader",)):
                learner = Learner(preprocessing, examples, settings, _CPU)
                measured = speeds(learner, [ways[way]() for way in together], arguments.batches)
                for way, images in zip(together, measured, strict=True):
                    found[way].append(images)
        print(
            f"{len(frames)} images of {size[0]} × {size[1]}, batches of {settings.batch}, {os.cpu_count()} cores; "
            f"medians of {arguments.runs} runs"
        )
        print(f"checking and building the cache: {building:.1f} s")
        for way, runs in found.items():
            print(f"{way:16} {median(runs):6.0f} images/s ({min(runs):.0f} to {max(runs):.0f})")
        for way in ("random tensors", "DataLoader"):
            ratios = [mine / other for mine, other in zip(found["acpilot train"], found[way], strict=True)]
            print(f"{median(ratios):.2f} × the speed of {way}")


if __name__ == "__main__":
    main()
