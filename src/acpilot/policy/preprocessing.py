"""Picture → network input: the only definition, which travels with the policy.

Training builds its frames with it, the policy's file carries it, and whatever drives or evaluates reads it from there.
"""

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.policy.policy import LIMITS, Command
from acpilot.policy.scaling import area_means

FORMAT = 1
"""Version of the description that this program writes, and the newest that it reads."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a policy looks at, and what its numbers mean."""

    crop: tuple[float, float, float, float] = (0.0, 0.42, 1.0, 0.3)
    """The band that is looked at: left, top, width, height as shares of the picture.

    The default is the road from a little above the horizon to a few metres before the car: of a taller band, less of
    the network's rows show the road far ahead, by which a driver brakes."""
    size: tuple[int, int] = (200, 66)
    """Width and height of the network's pictures, pixels."""
    colours: Literal["RGB", "BGR"] = "RGB"
    """Order of the colours in the network's pictures."""
    scale: float = 1 / 127.5
    offset: float = -1.0
    """The network's first step makes value · scale + offset of each uint8 value."""
    speed: bool = True
    """Whether the speed is an input: km/h, negative when it is not known."""
    past_frames: int = 0
    """How many earlier pictures are looked at as well."""
    spacing: int = 1
    """So many decisions lie between the pictures looked at."""
    outputs: tuple[str, ...] = tuple(LIMITS)
    """Order of the outputs."""
    rate: float = 10.0
    """Decisions a second."""

    def __post_init__(self) -> None:
        left, top, width, height = self.crop
        inside = min(self.crop) >= 0 and left + width <= 1 + 1e-6 and top + height <= 1 + 1e-6
        if not (inside and width > 0 and height > 0):
            raise AcpilotError(
                f"the crop {self.crop} reaches outside the picture: left, top, width, height are shares of it, 0 to 1"
            )
        whole = min(self.size) > 0 and 0 <= self.past_frames <= 16 and 1 <= self.spacing <= 600
        numbers = all(map(math.isfinite, (self.scale, self.offset, self.rate))) and self.rate > 0
        known = sorted(self.outputs) == sorted(LIMITS) and self.colours in ("RGB", "BGR")
        if not (whole and numbers and known):
            raise AcpilotError(f"no policy can have this preprocessing: {self}")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of one network input: height, width, channels; 3 channels a picture, the newest first."""
        return self.size[1], self.size[0], 3 * (1 + self.past_frames)

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of a picture of that size that is looked at: left, top, width, height, pixels."""
        left, top = round(self.crop[0] * width), round(self.crop[1] * height)
        right = round((self.crop[0] + self.crop[2]) * width)
        bottom = round((self.crop[1] + self.crop[3]) * height)
        left, top = min(left, width - 1), min(top, height - 1)
        return left, top, max(1, min(right, width) - left), max(1, min(bottom, height) - top)

    def prepare(self, band: np.ndarray) -> np.ndarray:
        """A band, uint8 (h, w, 3), RGB, as the network sees it: uint8 (66, 200, 3).

        Every pixel is the mean of the area that it covers: no shimmer from skipped pixels. A band that is a view of a
        screen's pixels (blue, green, red and one byte) is scaled as it stands: to put it in order first takes several
        times as long.
        """
        pixels = _as_on_the_screen(band)
        given = "RGB" if pixels is None else "BGR"
        channels = (0, 1, 2) if self.colours == given else (2, 1, 0)
        return area_means(band if pixels is None else pixels, *self.size, channels)

    def command(self, outputs: Sequence[float]) -> Command:
        """The network's outputs, in its own order, as a command within its range; what is not a number stays so."""
        return Command(**dict(zip(self.outputs, map(float, outputs), strict=True))).limited()

    def to_json(self) -> str:
        """As text, to be stored in a policy's file."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """Read what ``to_json`` wrote.

        Raises:
            AcpilotError: the text is something else, or of a newer version.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            number = raw.pop("format")
            if not isinstance(number, int) or number > FORMAT:
                raise AcpilotError(f"its preprocessing has format {number}, this acpilot reads up to {FORMAT}")
            for name in ("crop", "size", "outputs"):
                raw[name] = tuple(raw[name])
            return cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise AcpilotError("its preprocessing is damaged") from None


def _as_on_the_screen(band: np.ndarray) -> np.ndarray | None:
    """The screen's pixels, uint8 (h, w, 4), that a band, uint8 (h, w, 3), RGB, is a view of, whole rows; else None."""
    height, width, _ = band.shape
    first = band[..., ::-1]
    whole = band.base
    if band.strides != (4 * width, 4, -1) or not isinstance(whole, np.ndarray):
        return None
    begin = first.__array_interface__["data"][0]
    if begin + 4 * width * height > whole.__array_interface__["data"][0] + whole.nbytes:
        return None
    return np.lib.stride_tricks.as_strided(first, (height, width, 4), (4 * width, 4, 1))


class Memory:
    """The pictures that a driving policy still needs."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._spacing = preprocessing.spacing
        self._kept: deque[np.ndarray] = deque(maxlen=preprocessing.past_frames * preprocessing.spacing + 1)

    def add(self, picture: np.ndarray) -> np.ndarray:
        """Take in the newest picture, uint8 (66, 200, 3), and return the network's input, uint8 (66, 200, channels).

        The earliest picture stands for those before it.
        """
        if not self._kept:
            self._kept.extend([picture] * (self._kept.maxlen or 1))
        self._kept.append(picture)
        return np.concatenate([*self._kept][:: -self._spacing], axis=2)

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
