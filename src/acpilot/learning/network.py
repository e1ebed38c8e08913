"""PilotNet, the network that NVIDIA drove a car with (arXiv 1604.07316, figure 4)."""

import torch
from torch import Tensor, nn

from acpilot.learning.wanted_speed import PEDALS
from acpilot.policy.policy import LIMITS
from acpilot.policy.preprocessing import Preprocessing

_SPEED_SCALE = 40.0  # km/h


class PilotNet(nn.Module):
    """Five convolutions and four dense layers, 250,000 weights, as published.

    The paper does not say what follows each layer: here rectifiers follow the convolutions, and ELUs the dense layers,
    since of ten rectifiers some are soon dead, and with them an output. What the paper does not have: the speed, if it
    is an input, joins the features before the second dense layer, and there are three outputs. The network works with
    outputs of mean 0 and deviation 1; ``forward`` gives them in their own units.

    With the speed, the pedals follow from the difference to a speed that is wanted, which the features tell without
    knowing it; the outputs are then the most that is pressed. A network that has to find that difference by itself
    presses either pedal a little wherever it cannot tell the speed to the last km/h. Where the speed is not known, the
    features tell the pedals that were usual there.
    """

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor
    recovery: Tensor
    slowest: Tensor
    fastest: Tensor

    def __init__(self, preprocessing: Preprocessing, dropout: float = 0.0) -> None:
        """Begin with random weights.

        Args:
            preprocessing: of its inputs; the order of its outputs.
            dropout: share of what the convolutions give that is hidden while learning, and of what the first dense
                layer gives half that share.
        """
        super().__init__()
        height, width, channels = preprocessing.input_shape
        self.outputs = preprocessing.outputs
        self.scale, self.offset, self.speed = preprocessing.scale, preprocessing.offset, preprocessing.speed
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 24, 5, 2), nn.ReLU(),
            nn.Conv2d(24, 36, 5, 2), nn.ReLU(),
            nn.Conv2d(36, 48, 5, 2), nn.ReLU(),
            nn.Conv2d(48, 64, 3), nn.ReLU(),
            nn.Conv2d(64, 64, 3), nn.ReLU(),
        )  # fmt: skip
        with torch.no_grad():
            features = self.convolutions(torch.zeros(1, channels, height, width))[0]
        self.shape_of_features = tuple(features.shape)
        """Channels, rows, columns of what the convolutions give."""
        self.hide, self.hide_half = nn.Dropout(dropout), nn.Dropout(dropout / 2)
        self.features = nn.Linear(features.numel(), 100)
        self.head = nn.Sequential(
            nn.Linear(100 + 2 * self.speed, 50),
            nn.ELU(), nn.Linear(50, 10),
            nn.ELU(), nn.Linear(10, len(preprocessing.outputs)),
        )  # fmt: skip
        self.place = nn.Linear(100, 3)
        for value in self.parameters():
            # PyTorch's own first weights are so small that nine layers let hardly anything through.
            if value.dim() > 1:
                nn.init.kaiming_uniform_(value, nonlinearity="relu")
            else:
                nn.init.zeros_(value)
        limits = torch.tensor([LIMITS[name] for name in preprocessing.outputs])
        self.register_buffer("low", limits[:, 0].clone())
        self.register_buffer("high", limits[:, 1].clone())
        self.register_buffer("recovery", torch.ones(1))
        self.register_buffer("slowest", torch.zeros(1))
        self.register_buffer("fastest", torch.full((1,), torch.inf))
        self.register_buffer("mean", torch.zeros(len(limits)))
        self.register_buffer("deviation", torch.ones(len(limits)))

    def forward(self, image: Tensor, speed: Tensor | None = None) -> Tensor:
        """Outputs in their own units and ranges, float32 (n, 3).

        Args:
            image: uint8 (n, height, width, channels).
            speed: float32 (n, 1), km/h, negative where it is not known.
        """
        return self.decide(self.see(image), speed)

    def decide(self, seen: Tensor, speed: Tensor | None = None) -> Tensor:
        """Outputs in their own units and ranges for what is seen, float32 (n, 3)."""
        outputs = self.standardized(seen, speed) * self.deviation + self.mean
        if self.speed:
            assert speed is not None
            wanted, usual = self.of_the_place(seen)
            push = (wanted - speed) / self.recovery
            columns = [outputs[:, i : i + 1] for i in range(len(self.outputs))]
            for i, asked in enumerate((push, -push)):
                column = self.outputs.index(PEDALS[i])
                most = torch.minimum(columns[column], asked.clamp(min=0))
                columns[column] = torch.where(speed >= 0, most, usual[:, i : i + 1])
            outputs = torch.cat(columns, 1)
        return torch.minimum(torch.maximum(outputs, self.low), self.high)

    def begin_with(self, wanted: float) -> None:
        """Want that speed, km/h, of every picture, and neither pedal without it, before anything is learnt."""
        nn.init.zeros_(self.place.weight)
        self.place.bias.data.copy_(torch.tensor([wanted / _SPEED_SCALE, 0.0, 0.0]))

    def of_the_place(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What does not depend on the speed, for what is seen.

        Returns:
            The speed at which neither pedal would be pressed, km/h, float32 (n, 1), and the throttle and brake that
            were usual there, float32 (n, 2).
        """
        place = self.place(seen).float()
        return _SPEED_SCALE * place[:, :1], place[:, 1:]

    def see(self, image: Tensor, brightness: Tensor | None = None) -> Tensor:
        """What is seen in pictures, float32 (n, 100); they may be made brighter or darker, by float32 (n, 1, 1, 1)."""
        scale = self.scale if brightness is None else self.scale * brightness
        # Pixels in memory stay as they are: channels last is what the convolutions are quickest with.
        pixels = image.permute(0, 3, 1, 2).float() * scale + self.offset
        seen: Tensor = nn.functional.elu(self.hide_half(self.features(self.hide(self.convolutions(pixels).flatten(1)))))
        return seen

    def standardized(self, seen: Tensor, speed: Tensor | None = None) -> Tensor:
        """Outputs less their mean, by their deviation, without limits: what the loss is taken of; float32 (n, 3)."""
        if self.speed:
            assert speed is not None
            known = (speed >= 0).float()
            # Nothing was learnt of a car that stands when none stood: it is driven as the slowest one was.
            within = torch.minimum(torch.maximum(speed, self.slowest), self.fastest)
            seen = torch.cat([seen, within * known / _SPEED_SCALE, known], 1)
        outputs: Tensor = self.head(seen)
        return outputs
