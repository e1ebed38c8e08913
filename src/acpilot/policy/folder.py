"""The folder of a trained policy: its files. The only code that knows a file name of it."""

import re
from pathlib import Path

from acpilot.files import copy_atomically


class PolicyFolder:
    """What ``acpilot train`` writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.onnx_file = folder / "model.onnx"
        """All that is needed to drive."""
        self.weights_file = folder / "model.pt"
        """The same weights as a PyTorch state dict."""
        self.tensorflow_checkpoint = TensorflowCheckpoint(folder / "model.ckpt")
        """The same weights for TensorFlow, if it was there."""
        self.record_file = folder / "training.json"
        """Settings, versions, data and losses of the training; once it is there, the training is finished."""
        self.checkpoint_file = folder / "training.checkpoint.pt"
        """Where a training that was interrupted goes on; gone once it is finished."""
        self.losses_file = folder / "losses.png"
        self.predictions_file = folder / "predictions.png"
        self.sight_file = folder / "what_it_sees.png"

    def copy_to(self, other: "PolicyFolder") -> None:
        """Copy a finished policy, the record last, since it says that the rest is whole.

        Raises:
            OSError: it cannot be read, or the disk is full.
        """
        other.folder.mkdir(parents=True, exist_ok=True)
        beside = (self.losses_file, self.predictions_file, self.sight_file, *self.tensorflow_checkpoint.files)
        for file in (self.onnx_file, self.weights_file, *filter(Path.exists, beside), self.record_file):
            copy_atomically(file, other.folder / file.name)


class TensorflowCheckpoint:
    """The three files of a TensorFlow checkpoint, which go by what their names have in common."""

    def __init__(self, path: Path) -> None:
        """Name it: by the common part of the names, such as ``best_save/model.ckpt``, or by one of the files."""
        self.path = path.with_name(re.sub(r"\.(meta|index|data-\d{5}-of-\d{5})$", "", path.name))
        self.graph_file = self.path.with_name(self.path.name + ".meta")
        """The network's operations."""
        self.index_file = self.path.with_name(self.path.name + ".index")
        self.data_file = self.path.with_name(self.path.name + ".data-00000-of-00001")
        """The weights, and where each stands."""
        self.files = (self.data_file, self.index_file, self.graph_file)

    @property
    def missing(self) -> list[Path]:
        """Its files that are not there."""
        return [file for file in self.files if not file.is_file()]
