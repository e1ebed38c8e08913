"""The line the expert takes around a track, and how fast it goes there."""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from acpilot.practice.car import DRAG, GRAVITY, MASS, full_throttle_force
from acpilot.practice.track import Array, Track

MARGIN = 1.6
"""Metres between the line and the edge of the road: half a car (0.9 m) and room for error."""
SIDEWAYS, BRAKING, TRACTION = 8.2, 8.2, 5.2
"""Accelerations the expert plans with, m/s²: about 85 % of what the tyres can do, and what two driven ones can."""
TOP_SPEED = 65.0
"""m/s."""

_EVENNESS = 5.0  # metres over which the offset is blurred, so that the line's curvature has no sudden changes
_ROUNDS = 600  # more shorten no lap by half a per cent


@dataclass(frozen=True, eq=False)
class RacingLine:
    """A line within the road, sampled at the track's samples."""

    offset: Array
    """How far left of the centre line it runs, float64 (n,), metres."""
    points: Array
    """x and y, float64 (n, 2), metres."""
    heading: Array
    """Its direction, float64 (n,), radians."""
    curvature: Array
    """float64 (n,), 1/m, positive to the left."""
    limit: Array
    """The highest speed there from which brakes and bends allow to go on, float64 (n,), m/s."""
    speed: Array
    """What the expert drives there, float64 (n,), m/s: no more than the engine gives."""


def make_racing_line(track: Track) -> RacingLine:
    """Find a line of little curvature within the road and the speeds at which the car holds it."""
    offset = _flattest_offset(track)
    normal = np.column_stack([-np.sin(track.heading), np.cos(track.heading)])
    points = track.center[:, :2] + offset[:, None] * normal
    step = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    curvature = _curvature(points)
    chord = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    heading = np.arctan2(chord[:, 1], chord[:, 0])
    return RacingLine(offset, points, heading, curvature, *_speeds(track, curvature, step))


def _flattest_offset(track: Track) -> Array:
    """Offset (n,) whose curvature, squared and summed, is least within the road.

    An offset e bends the line by e'' on top of the track's own curvature. The alternating direction method of
    multipliers takes turns between the best curve (a division of spectra, the line being closed) and the road's limits.
    """
    room = np.maximum(track.half_width - MARGIN, 0.3)
    count = len(room)
    bend = (2 * np.cos(2 * np.pi * np.arange(count // 2 + 1) / count) - 2) / track.spacing**2  # spectrum of e''
    penalty = 5e-5  # decides only how fast the rounds get there
    pull = bend * np.fft.rfft(track.curvature)
    inside, excess = np.zeros(count), np.zeros(count)
    curve = inside
    for _ in range(_ROUNDS):
        curve = np.fft.irfft((penalty * np.fft.rfft(inside - excess) - pull) / (bend**2 + penalty), count)
        inside = np.clip(curve + excess, -room, room)
        excess += curve - inside
    blur = np.exp(-0.5 * (2 * np.pi * np.fft.rfftfreq(count, track.spacing) * _EVENNESS) ** 2)
    even = np.fft.irfft(blur * np.fft.rfft(np.clip(curve, -room, room)), count)
    return np.asarray(np.round(even, 6))


def _curvature(points: Array) -> Array:
    """Curvature (n,) of a closed line of points, evened out over some metres."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(axis=1))
    curvature = turn / (0.5 * (np.hypot(*before.T) + np.hypot(*after.T)))
    for _ in range(4):
        curvature = 0.25 * (np.roll(curvature, 1) + 2 * curvature + np.roll(curvature, -1))
    return np.asarray(curvature)


def _speeds(track: Track, curvature: Array, step: Array) -> tuple[Array, Array]:
    """Fastest speed (n,) that corners and brakes allow, and with the engine too; directions share each tyre's grip."""
    count = len(curvature)
    bends, steps, slopes = np.abs(curvature).tolist(), step.tolist(), track.slope.tolist()
    squared = np.minimum(SIDEWAYS / np.maximum(np.abs(curvature), 1e-6), TOP_SPEED**2).tolist()
    slowest = int(np.argmin(squared))
    forward = [(slowest + i) % count for i in range(count + 1)]

    def spare(i: int) -> float:
        return sqrt(max(0.0, 1 - (squared[i] * bends[i] / SIDEWAYS) ** 2))

    for there, here in pairwise(reversed(forward)):
        slowing = BRAKING * spare(there) + GRAVITY * slopes[there] + DRAG * squared[there] / MASS
        squared[here] = min(squared[here], squared[there] + 2 * steps[here] * max(0.5, slowing))
    limit = np.sqrt(squared)
    for here, there in pairwise(forward):
        push = min(full_throttle_force(sqrt(squared[here])) / MASS, TRACTION * spare(here))
        gain = push - DRAG * squared[here] / MASS - GRAVITY * slopes[here] - 0.13
        squared[there] = min(squared[there], squared[here] + 2 * steps[here] * gain)
    return limit, np.sqrt(squared)
