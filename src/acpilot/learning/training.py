"""Dataset → policy: the training, top to bottom."""

import hashlib
import io
import json
import math
import os
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.commands import install_extra
from acpilot.dataset.dataset import Dataset
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, write_atomically
from acpilot.learning.settings import TrainSettings
from acpilot.policy.folder import PolicyFolder
from acpilot.progress import Progress, Show
from acpilot.session.manifest import environment, settings_record

try:
    import torch

    from acpilot.learning.batches import Batches
    from acpilot.learning.examples import Examples, read_examples
    from acpilot.learning.frames import network_frames, open_picture
    from acpilot.learning.learner import Learner
    from acpilot.learning.network import PilotNet
    from acpilot.learning.onnx_file import write_onnx
    from acpilot.learning.plots import draw_losses, draw_predictions
    from acpilot.learning.sight import draw_sight
    from acpilot.learning.team import Team
    from acpilot.learning.tensorflow_file import write_checkpoint
    from acpilot.policy.onnx import OnnxPolicy
    from acpilot.policy.preprocessing import Preprocessing
except ImportError as error:
    raise AcpilotError(
        f"training needs {error.name or error}, which is not installed: {install_extra('train')}"
    ) from None

FORMAT = 1
"""Version of ``training.json`` that this program writes."""
_VERSION = 11
"""Counts changes to what a training makes of the same dataset and settings."""
_NOT_LEARNT = {"out", "device", "threads", "start_from"}
"""Settings that do not say what is learnt; of the weights that it starts from, the content does."""


@dataclass(frozen=True)
class Training:
    """What a training made."""

    folder: PolicyFolder
    record: dict[str, Any]
    """``training.json``."""
    done_before: bool
    """It was finished already: at most a TensorFlow checkpoint that it lacked was written."""
    note: str
    """What the user should know, or nothing."""

    @property
    def best(self) -> dict[str, Any]:
        """Losses and errors of the epoch whose weights were kept."""
        entry: dict[str, Any] = self.record["epochs"][self.record["best_epoch"] - 1]
        return entry


def check(dataset: Dataset, settings: TrainSettings) -> None:
    """Look for what would keep a training from beginning, but for damaged images.

    Raises:
        AcpilotError: the dataset cannot be learnt from, or the weights to start from cannot be had.
    """
    examples, preprocessing = read_examples(dataset, settings)
    Learner(preprocessing, examples, settings, _device(settings, Team.alone()))


def train(dataset: Dataset, settings: TrainSettings, progress: Progress, tell: Show) -> Training:
    """Train a policy, go on with a training that was interrupted, or find that it is finished.

    Args:
        dataset: of ``acpilot combine``.
        settings: how.
        progress: told how many of how many images were looked at; then how many batches of all epochs are done.
        tell: given a line after each epoch.

    Raises:
        AcpilotError: the dataset cannot be learnt from, the folder holds another policy, or the disk is full.
    """
    team = Team.of_torchrun()
    device = _device(settings, team)
    with team.together(device):
        if team.first:
            return _train(dataset, settings, team, device, progress, tell)
        return _train(dataset, settings, team, device, lambda *_: None, lambda _: None)


def _train(  # noqa: PLR0913, PLR0915, PLR0917 - reads top to bottom
    dataset: Dataset, settings: TrainSettings, team: Team, device: torch.device, progress: Progress, tell: Show
) -> Training:
    examples, preprocessing = read_examples(dataset, settings)
    torch.manual_seed(settings.seed)
    learner = Learner(preprocessing, examples, settings, device, team)
    with team.one_ahead():
        frames, content = network_frames(dataset, examples.names, preprocessing, progress)
    made_of = _made_of(dataset, settings, content, team)
    folder = PolicyFolder(settings.out)
    record = team.told(_finished(folder, made_of) if team.first else None)
    if record is not None:
        return _completed(folder, record, preprocessing, team, done_before=True)
    resumed = team.told(_resumed(folder, made_of) if team.first else None)

    threads = resumed["threads"] if resumed else settings.threads or max(1, (os.cpu_count() or 1) // team.beside)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=device.type == "cpu")
    # Nothing here reads what it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # a property of the module
    first_picture = open_picture(dataset.image(examples.names[0]))
    aspect = first_picture.shape[1] / first_picture.shape[0]
    batches = Batches(examples, frames, preprocessing, settings, aspect, team)
    epochs: list[dict[str, float]] = []
    best = learner.weights()
    if resumed:
        learner.go_on(resumed)
        epochs, best = resumed["epochs"], resumed["best"]
        tell(f"goes on after epoch {len(epochs)}")

    steps = settings.epochs * batches.per_epoch
    try:
        if team.first:
            folder.folder.mkdir(parents=True, exist_ok=True)
            draw_sight(dataset, examples, batches, settings.seed, folder.sight_file)
        while not _is_over(epochs, settings):
            began, total, count = time.perf_counter(), 0.0, 0
            # Whatever the network hides is the same after a kill.
            torch.manual_seed(int(np.random.SeedSequence([settings.seed, len(epochs), team.rank]).generate_state(1)[0]))
            for number, batch in enumerate(batches.training(len(epochs), device)):
                step = len(epochs) * batches.per_epoch + number
                falling = 0.5 * (1 + math.cos(math.pi * step / steps))
                total += learner.step(batch, settings.learning_rate * falling) * len(batch.image)
                count += len(batch.image)
                progress(step + 1, steps)
            speed = len(examples.training) / (time.perf_counter() - began)
            entry = {"training": total / count}
            if team.first and len(examples.validation):
                entry["validation"], errors = learner.measure(batches.unchanged(examples.validation, device))
                entry |= {f"{name}_error": error for name, error in errors.items()}
            epochs.append(team.told(entry))
            if _best(epochs) == len(epochs):
                best = learner.weights()
            if team.first:
                state = {"made_of": json.dumps(made_of), "threads": threads, "epochs": epochs, "best": best}
                _save(learner.state() | state, folder.checkpoint_file)
            tell(_told(epochs, settings, speed))

        network = learner.network.cpu()
        network.load_state_dict(best)
        record = {**made_of, **_origin(dataset, examples), "device": device.type, "threads": threads}
        record |= {"best_epoch": _best(epochs), "epochs": epochs}
        if team.first:
            _write(folder, network, batches, examples, record)
    except OSError as error:
        raise cannot_write(folder.folder, error, "free some space") from None
    return _completed(folder, record, preprocessing, team, done_before=False)


def _origin(dataset: Dataset, examples: Examples) -> dict[str, Any]:
    """What a policy was trained on and with; no folder of the user's is told."""
    told = ("car", "track", "fps", "error_bound_ms", "driver", "labels")
    return {
        "dataset": dataset.folder.resolve().name,
        "sessions": {
            name: {key: entry[key] for key in told if key in entry}
            for name, entry in dataset.record["sessions"].items()
        },
        "rows": {"training": len(examples.training), "validation": len(examples.validation)},
        "environment": {**environment(), **{name: version(name) for name in ("torch", "onnx", "onnxruntime")}},
    }


def _device(settings: TrainSettings, team: Team) -> torch.device:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise AcpilotError(
            "--device cuda: PyTorch finds no NVIDIA card here; leave the flag out, or install its driver"
        )
    cuda = settings.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", team.number_here) if cuda else torch.device("cpu")


def _made_of(dataset: Dataset, settings: TrainSettings, images: str, team: Team) -> dict[str, Any]:
    """What decides the weights: the same means the same training."""
    digest = hashlib.sha256(dataset.record_file.read_bytes() + dataset.table_file.read_bytes())
    chosen = {name: value for name, value in settings_record(settings).items() if name not in _NOT_LEARNT}
    start = settings.start_from and hashlib.sha256(settings.start_from.read_bytes()).hexdigest()
    made_of = {
        "format": FORMAT,
        "version": _VERSION,
        "settings": chosen,
        "dataset_sha256": digest.hexdigest(),
        "images_sha256": images,
        "start_sha256": start,
        "processes": team.size,
    }
    plain: dict[str, Any] = json.loads(json.dumps(made_of))
    return plain


def _finished(folder: PolicyFolder, made_of: dict[str, Any]) -> dict[str, Any] | None:
    """The record of this very training, if it is finished.

    Raises:
        AcpilotError: another policy is in the folder.
    """
    try:
        record: dict[str, Any] = json.loads(folder.record_file.read_text(encoding="utf-8"))
        _refuse_another(folder, record, made_of)
    except FileNotFoundError:
        ours = (folder.onnx_file, folder.weights_file, *folder.tensorflow_checkpoint.files)
        others = [path for path in ours if path.exists()]
        if others and not folder.checkpoint_file.exists():
            raise AcpilotError(
                f"{others[0]} is there and no training of acpilot's: nothing is overwritten, choose another --out"
            ) from None
        return None
    except (OSError, ValueError, TypeError, AttributeError):
        raise AcpilotError(f"{folder.record_file} is damaged: choose another --out, or move the folder away") from None
    return record


def _resumed(folder: PolicyFolder, made_of: dict[str, Any]) -> dict[str, Any] | None:
    """The state in which this very training was interrupted.

    Raises:
        AcpilotError: it is that of another training, or damaged.
    """
    if not folder.checkpoint_file.exists():
        return None
    try:
        # Nothing but tensors, numbers and text is read: no code of the file runs.
        state: dict[str, Any] = torch.load(folder.checkpoint_file, map_location="cpu", weights_only=True)
        other = json.loads(state["made_of"])
    except Exception:  # noqa: BLE001 - torch.load raises whatever a damaged file makes it stumble over
        raise AcpilotError(
            f"{folder.checkpoint_file} is damaged: delete it to begin this training anew, or choose another --out"
        ) from None
    _refuse_another(folder, other, made_of)
    return state


def _refuse_another(folder: PolicyFolder, there: dict[str, Any], made_of: dict[str, Any]) -> None:
    old, new = (
        {**{name: value for name, value in each.items() if name in made_of}, **each.get("settings", {})}
        for each in (there, made_of)
    )
    old.pop("settings", None)
    new.pop("settings")
    differing = [name for name in new if old.get(name) != new[name]]
    if differing:
        name = differing[0]
        told = {
            "format": "made by another version of acpilot",
            "version": "made by another version of acpilot",
            "dataset_sha256": "trained on another dataset, or on this one before it changed",
            "images_sha256": "trained on other images",
            "start_sha256": "that began with other weights",
            "processes": f"trained by {old.get(name)} processes together, not {new[name]}",
        }.get(name, f"trained with --{name.replace('_', '-')} {old.get(name)}, not {new[name]}")
        raise AcpilotError(
            f"{folder.folder} holds a policy {told}: nothing is overwritten, choose another --out, or move it away"
        )


def _is_over(epochs: list[dict[str, float]], settings: TrainSettings) -> bool:
    waited = len(epochs) - _best(epochs)
    return len(epochs) >= settings.epochs or waited >= settings.patience


def _best(epochs: list[dict[str, float]]) -> int:
    """Number of the epoch whose weights are kept, from 1: the least validation loss, or the last without any."""
    if not epochs or "validation" not in epochs[-1]:
        return len(epochs)
    return 1 + min(range(len(epochs)), key=lambda i: epochs[i]["validation"])


def _told(epochs: list[dict[str, float]], settings: TrainSettings, speed: float) -> str:
    last = epochs[-1]
    text = f"epoch {len(epochs):3}/{settings.epochs}  training loss {last['training']:.4f}"
    if "validation" in last:
        text += (
            f"  validation {last['validation']:.4f}  off by: steering {last['steering_error']:.4f}"
            f"  throttle {last['throttle_error']:.3f}  brake {last['brake_error']:.3f}"
        )
    return f"{text}  {speed:.0f} images/s{'  best' if _best(epochs) == len(epochs) else ''}"


def _save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values; through memory, since PyTorch has words of its own for a full disk."""
    raw = io.BytesIO()
    torch.save(state, raw)
    write_atomically(path, raw.getvalue())


def _provenance(record: dict[str, Any]) -> dict[str, Any]:
    """What the policy's files say of the training."""
    told = {name: value for name, value in record.items() if name != "epochs"}
    return {**told, "validation": record["epochs"][record["best_epoch"] - 1]}


def _write(
    folder: PolicyFolder, network: PilotNet, batches: Batches, examples: Examples, record: dict[str, Any]
) -> None:
    """Write all that a policy is; the record last, since it says that the training is finished."""
    cpu = torch.device("cpu")
    _save(network.state_dict(), folder.weights_file)
    write_onnx(network, batches.preprocessing, _provenance(record), folder.onnx_file)
    policy = OnnxPolicy(folder.onnx_file)  # refuses what could not be driven with
    rows = examples.validation if len(examples.validation) else examples.training
    outputs, difference = [], 0.0
    for batch in batches.unchanged(rows, cpu):
        outputs.append(policy.run(batch.image.numpy(), batch.speed.numpy()[:, 0]))
        with torch.no_grad():
            expected = network(batch.image, batch.speed if batches.preprocessing.speed else None).numpy()
        difference = max(difference, float(np.abs(outputs[-1] - expected).max()))
    record["onnx_difference"] = difference
    split = "validation" if len(examples.validation) else "training (nothing is held out)"
    draw_losses(record["epochs"], record["best_epoch"], folder.losses_file)
    draw_predictions(network.outputs, examples.labels[rows], np.concatenate(outputs), split, folder.predictions_file)
    write_atomically(folder.record_file, json.dumps(record, indent=2) + "\n")
    folder.checkpoint_file.unlink(missing_ok=True)


def _completed(
    folder: PolicyFolder, record: dict[str, Any], preprocessing: Preprocessing, team: Team, *, done_before: bool
) -> Training:
    """Write a finished training's TensorFlow checkpoint, unless it is there; a policy without it drives as well."""
    note = ""
    if team.first and folder.tensorflow_checkpoint.missing:
        try:
            network = _network(folder, preprocessing)
            write_checkpoint(network, preprocessing, _provenance(record), folder.tensorflow_checkpoint)
        except (AcpilotError, OSError) as error:
            note = f"{folder.tensorflow_checkpoint.path} is left out: {error}; then the same command writes it"
    return Training(folder, record, done_before, note)


def _network(folder: PolicyFolder, preprocessing: Preprocessing) -> PilotNet:
    """A finished training's network.

    Raises:
        AcpilotError: its weights are missing or damaged.
    """
    network = PilotNet(preprocessing)
    try:
        network.load_state_dict(torch.load(folder.weights_file, map_location="cpu", weights_only=True))
    except Exception:  # noqa: BLE001 - as above
        raise AcpilotError(f"{folder.weights_file} is missing or damaged: train it again with another --out") from None
    return network
