"""The plans of the practice game's tracks: corners as a road designer marks them, and how to draw new ones by lot."""

from dataclasses import dataclass

import numpy as np

Corner = tuple[float, float, float]
"""x and y of the point where two straights would meet, and the wanted radius of the bend there, metres."""


@dataclass(frozen=True)
class TrackPlan:
    """What a track is built from."""

    name: str
    title: str
    corners: tuple[Corner, ...]
    """In driving order; the start line is halfway between the last corner and the first."""
    half_width: float = 5.0
    """From the centre line to the edge of the road, metres."""
    relief: float = 6.0
    """Wanted difference between the highest and the lowest point of the road, metres; gives way to the slope limit."""
    seed: int = 0
    """Decides the lie of the hills (and, in the view, of the scenery)."""


_PLANS = (
    TrackPlan(
        "allround",
        "Mill Valley, a bit of everything",
        (
            (330, 0, 70), (430, 150, 35), (290, 220, 30), (360, 370, 60), (190, 480, 55), (40, 330, 26),
            (-90, 450, 45), (-330, 450, 90), (-420, 250, 26), (-260, 190, 22), (-300, 90, 40), (-460, 90, 22),
            (-450, 0, 40),
        ),
        half_width=5.5, relief=9.0, seed=3,
    ),
    TrackPlan(
        "fast",
        "Long Meadows, wide and flowing",
        (
            (-620, -20, 130), (-760, 110, 90), (-520, 240, 110), (-620, 480, 140), (-340, 660, 180), (110, 640, 150),
            (330, 400, 260), (700, 450, 200), (860, 230, 120), (620, 0, 160),
        ),
        half_width=7.0, relief=12.0, seed=5,
    ),
    TrackPlan(
        "twisty",
        "Ivy Lane, never straight for long",
        (
            (-190, 0, 45), (-330, 80, 26), (-230, 150, 22), (-340, 230, 26), (-250, 320, 24), (-160, 230, 20),
            (-80, 300, 24), (-20, 190, 20), (70, 250, 22), (60, 340, 22), (170, 350, 26), (210, 240, 28),
            (130, 160, 18), (250, 100, 24), (230, 0, 30),
        ),
        half_width=5.0, relief=7.0, seed=11,
    ),
    TrackPlan(
        "hairpins",
        "The Ladder, hairpin after hairpin",
        (
            (150, 0, 40), (330, 60, 14), (330, 92, 14), (70, 96, 14), (70, 128, 14), (350, 136, 14.5), (350, 170, 14.5),
            (120, 186, 14), (120, 220, 14), (300, 250, 30), (200, 340, 40), (-120, 330, 15), (-120, 298, 15),
            (20, 250, 13.5), (-10, 222, 13.5), (-240, 240, 40), (-290, 120, 40), (-190, 60, 13.5), (-202, 30, 13.5),
            (-330, 60, 16), (-330, 0, 16),
        ),
        half_width=4.5, relief=10.0, seed=7,
    ),
    TrackPlan(
        "hills",
        "Three Summits, up and down",
        (
            (-480, 0, 100), (-700, 180, 60), (-560, 330, 45), (-690, 520, 70), (-430, 660, 80), (-250, 480, 40),
            (-60, 640, 60), (240, 660, 90), (300, 420, 50), (560, 480, 60), (740, 300, 55), (560, 170, 35),
            (620, 0, 60),
        ),
        half_width=5.5, relief=40.0, seed=2,
    ),
    TrackPlan(
        "narrow",
        "Hedgerow, a lane between fields",
        (
            (-150, 0, 24), (-180, 90, 26), (-340, 60, 30), (-330, 190, 28), (-190, 220, 24), (-200, 350, 45),
            (-40, 380, 35), (80, 290, 22), (180, 400, 30), (330, 320, 40), (240, 210, 24), (310, 110, 30),
            (200, 0, 60),
        ),
        half_width=3.5, relief=8.0, seed=13,
    ),
    TrackPlan(
        "oval",
        "Little Oval, a lap in half a minute",
        ((190, 0, 80), (210, 187, 77), (10, 152, 130), (-200, 192, 77), (-200, 0, 80)),
        half_width=6.0, relief=3.0, seed=1,
    ),
)  # fmt: skip

PLANS: dict[str, TrackPlan] = {plan.name: plan for plan in _PLANS}


def random_plan(seed: int, attempt: int) -> TrackPlan:
    """Draw a plan by lot: corners around a middle, nearer to it and farther by turns, so that roads never cross.

    Args:
        seed: The number in the track's name.
        attempt: 0, 1, 2 ... when an earlier draw broke a rule.
    """
    rng = np.random.default_rng((seed, attempt))
    count = int(rng.integers(8, 17))
    angles = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * np.pi / count
    reach = rng.uniform(220, 520) * rng.uniform(0.4, 1.0, count)
    stretch = rng.uniform(0.7, 1.3)
    x, y = reach * np.cos(angles) * stretch, reach * np.sin(angles) / stretch
    order = np.arange(count) if rng.random() < 0.5 else np.arange(count)[::-1]
    radius = rng.uniform(16, 80, count)
    return TrackPlan(
        f"random:{seed}",
        f"Random track {seed}",
        tuple((float(x[i]), float(y[i]), float(radius[i])) for i in order),
        half_width=float(rng.uniform(4.0, 7.0)),
        relief=float(rng.uniform(2, 25)),
        seed=seed,
    )
