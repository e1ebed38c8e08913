"""What the user may choose of training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Part = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a policy is trained."""

    out: Path = Path("best_save")
    """Folder of the policy."""
    crop: Annotated[tuple[Part, Part, Part, Part], Parameter(negative="")] = (0.0, 0.42, 1.0, 0.3)
    """The band of the picture to look at: LEFT TOP WIDTH HEIGHT, shares of it; look at what_it_sees.png."""
    speed: bool = True
    """Let the policy know the speed: from one picture alone it cannot tell when to brake."""
    speed_shift: Annotated[float, Parameter(validator=Number(gte=0, lte=200))] = 60.0
    """Learn from speeds up to so many km/h below and above the real one, so that a policy does not tell the place from
    the speed; 0 for none."""
    speed_recovery: Annotated[float, Parameter(validator=Number(gt=0, lte=200))] = 10.0
    """So many km/h below the speed that it wants, a policy presses the throttle fully; so many above it, the brake."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.5, lte=1))] = 1.0
    """Learn to drive at this share of the speeds that were driven: a policy needs room for its errors."""
    speed_dropout: Part = 0.1
    """Share of the pictures that are learnt without the speed: standing still must not mean staying so."""
    dropout: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.3
    """Hide this share of what the network finds in a picture while it learns: it then knows unseen roads better."""
    past_frames: Annotated[int, Parameter(validator=Number(gte=0, lte=8))] = 0
    """How many earlier pictures the policy looks at as well."""
    spacing: Annotated[int, Parameter(validator=Number(gte=1, lte=60))] = 1
    """So many frames lie between the pictures that it looks at."""
    label_shift: Annotated[float, Parameter(validator=Number(gte=-2, lte=2))] = 0.0
    """Learn what the driver did so many seconds after each picture: makes up for the delay of driver and car."""
    slowest: Annotated[float, Parameter(validator=Number(gte=0, lte=1000))] = 10.0
    """Leave out what was driven more slowly than so many km/h: of a car that hardly moves the wheel says nothing of the
    road. The policy drives off as the slowest that it has learnt from."""
    balance: bool = True
    """Show pictures with rare steering more often, by the dataset's weights."""
    epochs: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 50
    """Epochs at most; in each as many pictures are learnt from as there are."""
    patience: Annotated[int, Parameter(validator=Number(gte=1))] = 15
    """Stop when the validation loss was not bettered in so many epochs."""
    batch: Annotated[int, Parameter(validator=Number(gte=1, lte=4096))] = 64
    """Pictures learnt from at once."""
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 0.001
    """Of AdamW at the start; it falls to nothing along half a cosine."""
    pedals_weight: Annotated[float, Parameter(validator=Number(gte=0, lte=100))] = 0.6
    """Weight of throttle and of brake in the loss, where steering has 1; the speed that is wanted has half of it."""
    caution: Annotated[float, Parameter(validator=Number(gte=1, lte=10))] = 2.0
    """To want too high a speed counts so many times as much as to want too low a one."""
    mirror: bool = True
    """Learn from mirrored pictures too, with mirrored steering."""
    shift: Annotated[float, Parameter(validator=Number(gte=0, lte=3))] = 2.5
    """Learn from views up to so many metres beside the real one, with the steering that leads back; 0 for none."""
    rotation: Annotated[float, Parameter(validator=Number(gte=0, lte=20))] = 15.0
    """Learn from views turned by up to so many degrees, by few more often than by many, with the steering that leads
    back; 0 for none."""
    recovery: Annotated[float, Parameter(validator=Number(gt=0, lte=10))] = 0.5
    """The steering leads back to a point of the line so many seconds (and 4 m) ahead."""
    turning_radius: Annotated[float, Parameter(validator=Number(gt=0, lte=100))] = 5.0
    """Metres: of the car's turn at full steering."""
    horizon: Part = 0.46
    """Height of the horizon in the picture, as a share from its top."""
    camera_height: Annotated[float, Parameter(validator=Number(gt=0, lte=10))] = 1.1
    """Metres above the road."""
    camera_behind: Annotated[float, Parameter(validator=Number(gte=-5, lte=20))] = 0.0
    """Metres behind the car's middle: a view that is turned there is one of a car that is led aside, too."""
    field_of_view: Annotated[float, Parameter(validator=Number(gte=10, lte=160))] = 76.0
    """Of the game's camera, degrees from side to side."""
    brightness: bool = True
    """Learn from brighter and darker pictures too."""
    shadow: bool = True
    """Learn from pictures with shadows across them too."""
    blur: bool = True
    """Learn from blurred pictures too."""
    patches: bool = True
    """Learn from pictures with parts covered too: a policy that has more than one sign of a bend knows more of them."""
    noise: bool = True
    """Learn from noisy pictures too."""
    start_from: Path | None = None
    """Go on from the weights of another training, a model.pt, rather than from none: what acpilot improve does."""
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0
    """The same seed gives the same weights, on a processor with the same number of threads."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it is computed; auto takes an NVIDIA card when there is one."""
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Processor threads to compute with; without it, all."""
