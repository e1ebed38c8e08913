"""What a view needs to know of the car to draw one frame."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pose:
    """The car at one instant; axes and signs as in the world: x east, y north, z up, headings counter-clockwise."""

    x: float
    y: float
    z: float
    """Reference point on the ground below the centre of gravity, metres."""
    heading: float
    """Radians counter-clockwise from east."""
    pitch: float = 0.0
    """Radians, positive nose up."""
    roll: float = 0.0
    """Radians, positive leaning to the right."""
    steering: float = 0.0
    """-1 (full left) .. +1 (full right)."""
    speed_kmh: float = 0.0
    gear: int = 0
    """-1 reverse, 0 neutral, 1..6."""
    rpm: float = 0.0
    """Engine speed, 1/min."""
