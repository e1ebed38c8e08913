"""A network that learns: one step for each batch."""

import ctypes
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from acpilot.errors import AcpilotError
from acpilot.learning.batches import Batch
from acpilot.learning.examples import Examples
from acpilot.learning.network import PilotNet
from acpilot.learning.settings import TrainSettings
from acpilot.learning.team import Team
from acpilot.learning.wanted_speed import PEDALS, other_speeds
from acpilot.policy.preprocessing import Preprocessing

_LEAST_DEVIATION = 0.02
"""Of an output's labels, for the loss: errors of a pedal that is hardly used are not to count a hundredfold."""
_SMALL_SPEED = 15.0
"""km/h up to which errors of the speed that is wanted count by their square."""
_SMALL_PEDAL = 0.2
"""Of a pedal, up to which errors of what was usual count by their square."""
_SPEED_WEIGHT = 0.5
"""Of that speed in the loss, where a pedal has 1: with as much as both, a short training left the steering behind."""
_WEIGHT_DECAY = 1e-4
_RARE = 0.01
"""Share of the examples of which too few are alike to learn from: the slowest, and the fastest."""
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""What mallopt sets, numbered as in glibc's malloc.h."""


def read_weights(path: Path, preprocessing: Preprocessing) -> dict[str, Tensor]:
    """The weights that another training wrote, for a network with these inputs and outputs.

    Raises:
        AcpilotError: the file is missing or damaged, or they are those of another network.
    """
    if not path.exists():
        raise AcpilotError(f"there are no PyTorch weights at {path}: acpilot train writes them beside model.onnx")
    try:
        # Nothing but tensors is read: no code of the file runs.
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        PilotNet(preprocessing).load_state_dict(weights)
    except Exception:  # noqa: BLE001 - torch.load raises whatever a damaged file makes it stumble over
        raise AcpilotError(
            f"{path} is damaged, or holds the weights of another network: give the model.pt of a policy that was "
            "trained with the same --speed and --past-frames"
        ) from None
    return weights


class Learner:
    """A network, its optimizer and its loss, on the device that computes."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        examples: Examples,
        settings: TrainSettings,
        device: torch.device,
        team: Team | None = None,
    ) -> None:
        """Begin with the weights of another training, or with some that PyTorch's seed decides.

        Args:
            preprocessing: of the network's inputs; the order of its outputs.
            examples: what is learnt from.
            settings: how.
            device: that computes.
            team: that makes the same steps; without it, this process alone.

        Raises:
            AcpilotError: the weights to start from cannot be had.
        """
        self._team = team or Team.alone()
        self._pedals = [preprocessing.outputs.index(name) for name in PEDALS]
        learnt = examples.training
        speed = examples.speed[learnt]
        if preprocessing.speed:
            speed = other_speeds(speed, settings.speed_shift, np.random.default_rng(settings.seed))
        steering = examples.labels[learnt, preprocessing.outputs.index("steering")]
        labels = examples.labels_at(learnt, speed, steering, preprocessing)
        self.network = PilotNet(preprocessing, settings.dropout)
        self.network.mean.copy_(torch.from_numpy(np.nanmean(labels, axis=0)))
        self.network.deviation.copy_(torch.from_numpy(np.nanstd(labels, axis=0).clip(_LEAST_DEVIATION)))
        self.network.begin_with(float(examples.wanted[learnt, 0].clip(0).mean()))
        if settings.start_from:  # it keeps its units, but may drive as slowly and as fast as these examples
            self.network.load_state_dict(read_weights(settings.start_from, preprocessing))
        self.network.recovery.fill_(settings.speed_recovery)
        self.network.slowest.fill_(float(np.quantile(speed, _RARE)))
        self.network.fastest.fill_(float(np.quantile(speed, 1 - _RARE)))
        self.network.to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # PyTorch's hint lacks it
        self._optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=_WEIGHT_DECAY)
        weights = [1.0 if name == "steering" else settings.pedals_weight for name in preprocessing.outputs]
        self._weights = torch.tensor(weights, device=device)
        self._caution, self._speed_weight = settings.caution, _SPEED_WEIGHT * settings.pedals_weight
        self._device, self._mixed = device, _has_fast_bfloat16(device)
        _keep_memory()

    def step(self, batch: Batch, rate: float) -> float:
        """Learn from a batch, at this learning rate; the loss before."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            seen = self.network.see(batch.image, batch.brightness)
            outputs, place = self.network.standardized(seen, batch.speed), self.network.of_the_place(seen)
        loss = self._loss(outputs, place, batch)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._team.average_gradients(self.network)
        self._optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch]) -> tuple[float, dict[str, float]]:
        """The loss on batches, and the mean error of each output in its own units."""
        self.network.eval()
        count, loss, errors = 0, 0.0, torch.zeros(len(self.network.outputs), device=self._device)
        for batch in batches:
            seen = self.network.see(batch.image)
            outputs, place = self.network.standardized(seen, batch.speed), self.network.of_the_place(seen)
            loss += float(self._loss(outputs, place, batch)) * len(batch.image)
            errors += (self.network.decide(seen, batch.speed) - batch.driven).abs().sum(dim=0)
            count += len(batch.image)
        self.network.train()
        return loss / count, dict(zip(self.network.outputs, (errors / count).tolist(), strict=True))

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's state."""
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up the state of an earlier learner."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _loss(self, outputs: Tensor, place: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        """Of standardised outputs, and of what belongs to the place; too high a wanted speed counts more."""
        outputs, labels = outputs.float(), (batch.labels - self.network.mean) / self.network.deviation
        labels = torch.where(labels.isfinite(), labels, outputs)  # what is not learnt is no error
        loss = (functional.smooth_l1_loss(outputs, labels, reduction="none") * self._weights).mean(dim=0).sum()
        if not self.network.speed:
            return loss
        wanted, pedals = place
        error = (wanted - torch.clamp(wanted, batch.wanted[:, :1], batch.wanted[:, 1:])) / _SMALL_SPEED
        size = functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
        loss = loss + self._speed_weight * torch.where(error > 0, self._caution * size, size).mean()
        return loss + self._speed_weight * functional.smooth_l1_loss(
            pedals, batch.driven[:, self._pedals], beta=_SMALL_PEDAL
        )


def _keep_memory() -> None:
    """Let memory that is free again stay with this process: each step needs as much, and new pages are filled first."""
    with suppress(OSError, AttributeError, TypeError):  # another C library than glibc has no need or no way
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _has_fast_bfloat16(device: torch.device) -> bool:
    """Whether convolutions of bfloat16 are much faster there: NVIDIA's cards, and processors with AMX."""
    # Newer than the oldest PyTorch that will do.
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    return device.type == "cuda" or bool(capabilities().get("amx_bf16"))
