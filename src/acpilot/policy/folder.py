"""The folder of a trained policy: its files. The only code that knows a file name of it."""

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
        shown = (self.losses_file, self.predictions_file, self.sight_file)
        for file in (self.onnx_file, self.weights_file, *filter(Path.exists, shown), self.record_file):
            copy_atomically(file, other.folder / file.name)
