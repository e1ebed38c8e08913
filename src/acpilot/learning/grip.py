"""What tyres bear: pedals that are made up for other speeds must not ask more of them.

Taught that a car which is slow in a bend wants full throttle, a policy spins there: the tyres that turn a car have
little left to push it. How much they bear is learnt from what the driver asked of them.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

SIDEWAYS = 7.0
"""m/s² that any car on a dry road bears in a bend; where more was driven, that counts."""
KMH = 3.6
"""In a metre per second."""
_MOST = 0.98
"""Share of the examples that ask at most as much as the tyres bear; the others were slides."""
_BIN = 10.0
"""km/h, of the speeds that are looked at together."""
_ENOUGH = 20
"""Examples of such speeds, to tell how much throttle the tyres bear there."""
_ALWAYS = 0.15
"""Of the brake pedal, in whatever bend."""


@dataclass(frozen=True)
class Grip:
    """How much can be asked of the tyres."""

    sideways: float
    """m/s² in a bend, as the square of the speed by the radius that the steering wheel asks for."""
    lateral: float
    """m/s² in a bend, as measured: less, for tyres slip."""
    throttle: np.ndarray
    """The most throttle on a straight, at 5 km/h, 15 km/h and so on, float64; never less at a higher speed."""
    turning_radius: float
    """Metres, at full steering."""

    @classmethod
    def of(
        cls,
        *,
        speed_kmh: np.ndarray,
        steering: np.ndarray,
        throttle: np.ndarray,
        lateral: np.ndarray,
        turning_radius: float,
    ) -> Self:
        """What a driver asked of the tyres, from at least one example.

        Args:
            speed_kmh: (n,).
            steering: (n,), −1 full left … +1 full right.
            throttle: (n,), 0 … 1.
            lateral: the car's acceleration in a bend, m/s², (n,); 0 where it is not known.
            turning_radius: metres, at full steering.
        """
        sideways = np.quantile((speed_kmh / KMH) ** 2 * np.abs(steering) / turning_radius, _MOST)
        place = (speed_kmh / _BIN).astype(np.int64)
        given = np.array(
            [
                np.quantile(some, _MOST) if len(some := throttle[place == i]) >= _ENOUGH else 0.0
                for i in range(place.max() + 1)
            ]
        )
        if given.any():  # of speeds below the slowest known, nothing is known
            given[: np.flatnonzero(given)[0]] = given[np.flatnonzero(given)[0]]
        else:
            given[:] = throttle.max()
        borne = max(SIDEWAYS, float(np.quantile(np.abs(lateral), _MOST)))
        return cls(max(SIDEWAYS, float(sideways)), borne, np.maximum.accumulate(given), turning_radius)

    def most_steering(self, speed_kmh: np.ndarray) -> np.ndarray:
        """The steering that asks all of the tyres, above 0, (n,)."""
        most: np.ndarray = self.sideways * self.turning_radius / np.maximum(speed_kmh / KMH, 0.1) ** 2
        return most

    def most_pedals(
        self, driven: np.ndarray, *, speed_kmh: np.ndarray, steering: np.ndarray, lateral: np.ndarray
    ) -> np.ndarray:
        """The most throttle and brake that leave the tyres what they need in the bend; never less than was driven.

        What a tyre gives in all directions together is a circle: a share u across leaves √(1 − u²) along the road. The
        steering tells u before the car turns, and the car itself in a slide, where the wheel is turned back.

        Args:
            driven: throttle and brake that the driver gave there, float32 (n, 2).
            speed_kmh: (n,).
            steering: (n,), −1 full left … +1 full right.
            lateral: the car's acceleration in a bend at that speed, m/s², (n,); 0 where it is not known.

        Returns:
            float32 (n, 2).
        """
        asked = np.abs(steering) / self.most_steering(speed_kmh)
        used = np.minimum(np.maximum(asked, np.abs(lateral) / self.lateral), 1)
        spare = np.sqrt(1 - used**2)
        straight = np.interp(speed_kmh, _BIN * (np.arange(len(self.throttle)) + 0.5), self.throttle)
        throttle = np.maximum(spare * straight, np.minimum(driven[:, 0], straight))
        brake = np.maximum(_ALWAYS + (1 - _ALWAYS) * spare, driven[:, 1])
        return np.stack([throttle, brake], axis=1).astype(np.float32)
