"""A closed track: its centre line, width and height, sampled at equal distances."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from acpilot.practice.catalogue import PLANS, TrackPlan, random_plan

Array = NDArray[np.float64]

TRACK_NAMES: tuple[str, ...] = tuple(PLANS)
"""The named tracks; besides them, ``random:SEED`` names as many more as there are seeds."""

KERB_WIDTH = 1.2
"""Metres of kerb outside each edge of the road."""
MIN_RADIUS = 10.0
"""Tightest bend of a centre line, metres."""
MIN_CLEARANCE = 25.0
"""Least distance between two stretches of the centre line that are not neighbours, metres."""
MAX_SLOPE = 0.085
"""Steepest rise or fall, metres per metre."""

_FINE_STEP = 0.1
_SMOOTHING = 7.0


@dataclass(frozen=True, eq=False)
class Track:
    """A closed track, sampled every ``spacing`` metres along its centre line; sample 0 is the start line.

    World axes: x east, y north, z up, in metres. Headings are radians counter-clockwise from east.
    Distances along the track are measured in the plan (seen from above).
    """

    name: str
    title: str
    seed: int
    center: Array
    """Centre line, float64 (n, 3), metres; closed: sample n would be sample 0."""
    heading: Array
    """Direction of travel, float64 (n,), radians, unwrapped (continuous)."""
    curvature: Array
    """float64 (n,), 1/m, positive where the track bends to the left."""
    half_width: Array
    """From the centre line to the edge of the road (where the kerb begins), float64 (n,), metres."""
    spacing: float
    """Distance between samples along the centre line, metres (about 1)."""

    @property
    def length(self) -> float:
        """Length of the centre line, metres."""
        return len(self.center) * self.spacing

    @property
    def slope(self) -> Array:
        """Rise of the road in the direction of travel, float64 (n,), metres per metre."""
        z = self.center[:, 2]
        return np.asarray((np.roll(z, -1) - np.roll(z, 1)) / (2 * self.spacing))


@cache
def make_track(name: str) -> Track:
    """Build a track by its name; the same object each time.

    Args:
        name: One of ``TRACK_NAMES``, or ``random:SEED`` with a whole number >= 0.

    Raises:
        ValueError: The name is not known; the message lists the names.
    """
    if name in PLANS:
        return _build(PLANS[name])
    match = re.fullmatch(r"random:(\d{1,9})", name)
    if match is None:
        raise ValueError(f"no track is named {name!r}; there are {', '.join(TRACK_NAMES)}, and random:SEED (random:7)")
    attempt = 0
    while True:  # about every second draw is valid
        track = _build(random_plan(int(match[1]), attempt))
        if not faults(track):
            return track
        attempt += 1


def faults(track: Track) -> list[str]:
    """What is wrong with a track's shape, one sentence each; empty when it keeps all the rules."""
    found = []
    if not 1000 <= track.length <= 5000:
        found.append(f"it is {track.length:.0f} m long instead of 1000 to 5000 m")
    radius = 1 / float(np.abs(track.curvature).max())
    if radius < MIN_RADIUS:
        found.append(f"its tightest bend has a radius of {radius:.1f} m, less than {MIN_RADIUS} m")
    slope = float(np.abs(track.slope).max())
    if slope > 0.09:
        found.append(f"it is as steep as {slope:.1%}, more than 9 %")
    gap = clearance(track)
    if gap < MIN_CLEARANCE - 0.5:
        found.append(f"two of its roads come within {gap:.1f} m of each other, less than {MIN_CLEARANCE} m")
    return found


def clearance(track: Track) -> float:
    """Least distance between two points of the centre line more than 60 m apart along the track, metres."""
    every = 3
    points = track.center[::every, :2]
    count = len(points)
    squared = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
    apart = np.minimum(apart, count - apart) * every * track.spacing
    return float(np.sqrt(squared[apart > 60.0].min()))


def _build(plan: TrackPlan) -> Track:
    """Straights and arcs through the plan's corners, made smooth, then sampled about every metre."""
    outline = _outline(np.array(plan.corners, dtype=np.float64))
    along = np.append(0.0, np.cumsum(np.hypot(*np.diff(outline, axis=0).T)))
    count = round(along[-1] / _FINE_STEP)
    step = along[-1] / count
    even = np.arange(count) * step
    rough = np.interp(even, along, outline[:, 0]) + 1j * np.interp(even, along, outline[:, 1])
    # A Gaussian blur along the line turns the sudden curvature of the arcs into transitions, smooth to every order.
    wave = 2j * np.pi * np.fft.fftfreq(count, step)
    spectrum = np.fft.fft(rough) * np.exp(0.5 * (wave.real**2 - wave.imag**2) * _SMOOTHING**2)
    point, first, second = (np.fft.ifft(spectrum * wave**order) for order in range(3))
    curvature = (first.conj() * second).imag / np.abs(first) ** 3

    closed = np.append(point, point[0])
    along = np.append(0.0, np.cumsum(np.abs(np.diff(closed))))
    samples = round(along[-1])
    spacing = float(along[-1]) / samples
    at = np.arange(samples) * spacing

    def sampled(values: Array) -> Array:
        # Rounding hides the last bits, in which numpy's sine and FFT may differ between processors.
        return np.asarray(np.round(np.interp(at, along, np.append(values, values[0])), 9))

    x, y = sampled(point.real), sampled(point.imag)
    heading = np.unwrap(np.arctan2(sampled(first.imag), sampled(first.real)))
    return Track(
        name=plan.name,
        title=plan.title,
        seed=plan.seed,
        center=np.column_stack([x, y, _heights(x, y, spacing, plan)]),
        heading=np.asarray(np.round(heading, 9), dtype=np.float64),
        curvature=sampled(curvature),
        half_width=np.full(samples, plan.half_width),
        spacing=spacing,
    )


def _outline(corners: Array) -> Array:
    """Closed polyline (m, 2) of straights and arcs, from the middle of the straight before the first corner."""
    points, radii = corners[:, :2], corners[:, 2]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    shortest = np.minimum(np.hypot(*before.T), np.hypot(*after.T))
    start = points[0] - before[0] / 2
    parts = [start[None, :]]
    for point, wanted, into, out, room in zip(points, radii, before, after, shortest, strict=True):
        turn = np.arctan2(into[0] * out[1] - into[1] * out[0], into @ out)
        steepness = np.tan(abs(turn) / 2)
        tangent = min(wanted * steepness, 0.5 * room)  # a bend may use half of each straight
        radius = tangent / max(steepness, 1e-9)
        direction = np.arctan2(into[1], into[0])
        arc = direction + np.linspace(0, turn, max(2, round(abs(turn) * radius / _FINE_STEP)))
        side = np.sign(turn) * radius
        begin = point - tangent * np.array([np.cos(direction), np.sin(direction)])
        middle = begin + side * np.array([-np.sin(direction), np.cos(direction)])
        parts.append(middle + side * np.column_stack([np.sin(arc), -np.cos(arc)]))
    return np.concatenate([*parts, start[None, :]])


def _heights(x: Array, y: Array, spacing: float, plan: TrackPlan) -> Array:
    """Height of the road, float64 (n,), metres, from hills that depend on the place alone.

    Two roads side by side therefore lie at about the same height, and the ground between them can be even.
    """
    rng = np.random.default_rng(plan.seed + 1000)
    extent = max(np.ptp(x), np.ptp(y))
    z = np.zeros(len(x))
    for size in (1.6, 0.9, 0.6):  # wavelengths as parts of the track's extent; the longer the higher
        direction, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = 2 * np.pi / (size * extent)
        z += size**1.5 * np.sin(wave * (x * np.cos(direction) + y * np.sin(direction)) + phase)
    steepest = np.abs(np.roll(z, -1) - np.roll(z, 1)).max() / (2 * spacing)
    z *= min(plan.relief / np.ptp(z), MAX_SLOPE / steepest)
    return np.asarray(np.round(z - z.min(), 9))
