"""The car as its cameras see it: bonnet, dashboard, pillars and steering wheel, or all of it from behind, in its axes.

x forward, y left, z up from the point on the ground below the centre of gravity, metres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from acpilot.practice.mesh import Array, Mesh, box, lattice_triangles, merge, placed, quad, smooth_normals
from acpilot.practice.settings import CameraName


@dataclass(frozen=True)
class Camera:
    """Where a camera sits in the car and how it looks ahead."""

    position: tuple[float, float, float]
    pitch: float
    """Degrees upwards from the car's x axis."""
    field_of_view: float
    """Horizontal, degrees."""


CAMERAS: dict[CameraName, Camera] = {
    "bonnet": Camera((0.50, 0.0, 1.12), -2.0, 76.0),
    "cockpit": Camera((-0.30, 0.36, 1.13), -3.5, 80.0),
    "chase": Camera((-8.00, 0.0, 3.80), -2.0, 90.0),
}

WHEEL_POSITION = (0.28, 0.36, 0.80)
"""Middle of the steering wheel."""
WHEEL_TILT = 22.0
"""Degrees by which the steering wheel's axis rises towards the driver."""
WHEEL_TURN = 150.0
"""Degrees the steering wheel turns from the middle to full lock."""

DIAL_RADIUS = 0.058
"""Of the rev counter and the speedometer, metres."""
DIALS = {"x1000": ((0.475, 0.425, 0.825), 9, 1000.0), "km/h": ((0.475, 0.295, 0.825), 300, 1.0)}
"""Lettering of each dial: (position, figure at its end, value of one in its figures)."""
DIAL_SWEEP = 135.0
"""Degrees from upright to either end of a dial."""

_PAINT = np.array((0.62, 0.07, 0.07))
_TRIM = np.array((0.25, 0.25, 0.27))


def _surface(position: Array, color: ArrayLike) -> Mesh:
    """A smooth surface through a lattice of points (rows running forwards, columns to the left, 3)."""
    triangles = lattice_triangles(*position.shape[:2])
    flat = position.reshape(-1, 3)
    colors = np.broadcast_to(np.asarray(color), position.shape).reshape(-1, 3)
    return Mesh(flat, smooth_normals(flat, triangles), colors, np.zeros((len(flat), 2)), triangles)


def bonnet() -> Mesh:
    """The bonnet between the windscreen and the nose, with a bulge in the middle and raised wings."""
    along, across = np.linspace(0, 1, 13)[:, None], np.linspace(-1, 1, 41)[None]
    half = 0.84 - 0.16 * along**3
    x = 0.94 + 1.21 * along - 0.22 * across**2 * along
    y = half * across
    wings = 0.06 * np.exp(-(((np.abs(across) - 0.80) / 0.15) ** 2)) * (1 - 0.5 * along)
    bulge = 0.025 * np.exp(-((across / 0.45) ** 4)) * (1 - 0.6 * along)
    z = 0.80 - 0.12 * along - 0.16 * along**4 - 1.2 * np.clip(np.abs(across) - 0.86, 0, None) + wings + bulge
    return _surface(np.dstack(np.broadcast_arrays(x, y, z)), _PAINT)


def body() -> Mesh:
    """What is seen from behind, above the bonnet: shoulders, windows, roof, tail with its lamps, wheels and shadow."""
    tail, waist, top, lamp = -2.05, 0.82, 1.24, np.array((0.90, 0.05, 0.03))
    low = [(-1.70, -0.78), (0.94, -0.78), (0.94, 0.78), (-1.70, 0.78)]
    high = [(-1.05, -0.56), (0.10, -0.56), (0.10, 0.56), (-1.05, 0.56)]
    shoulders = [(tail, -0.86), (0.94, -0.86), (0.94, 0.86), (tail, 0.86)]
    shadow = [(tail, -0.95), (2.15, -0.95), (2.15, 0.95), (tail, 0.95)]
    flat = ((shoulders, waist, _PAINT), (high, top, _PAINT), (shadow, 0.02, _TRIM * 0.4))
    parts = [quad([[*at, z] for at in corners], color) for corners, z, color in flat]
    for i in range(4):
        (a, b), (c, d) = (low[i - 1], low[i]), (high[i - 1], high[i])
        parts.append(quad([[*a, waist], [*b, waist], [*d, top], [*c, top]], _TRIM * 0.3))
    for x, left, right, bottom, upper, color in (
        (tail, 0.86, -0.86, 0.28, waist, _PAINT * 0.8),
        (tail - 0.01, 0.80, 0.40, 0.60, 0.74, lamp),
        (tail - 0.01, -0.40, -0.80, 0.60, 0.74, lamp),
    ):
        parts.append(quad([[x, left, bottom], [x, right, bottom], [x, right, upper], [x, left, upper]], color))
    wheel = box((0.62, 0.24, 0.62), _TRIM * 0.2, (0, 0, 0, 0))
    return merge([*parts, *(placed(wheel, (-1.45, y, 0)) for y in (0.74, -0.74))])


def interior() -> Mesh:
    """Dashboard with a binnacle for the dials, doors, pillars, roof edge and mirror."""
    across = np.linspace(-0.86, 0.86, 41)[None]
    depth, drop = np.linspace(0, 1, 7)[:, None], np.linspace(1, 0, 5)[:, None]
    hood = 0.085 * np.exp(-(((across - 0.36) / 0.21) ** 4))
    top = np.broadcast_arrays(0.48 + 0.45 * depth, across, 0.82 + hood * (1 - depth) ** 2 + 0.02 * depth)
    front = np.broadcast_arrays(0.52 - 0.04 * (1 - drop), across, (0.82 + hood) * (1 - drop) + drop * 0.40)
    parts = [_surface(np.dstack(top), _TRIM), _surface(np.dstack(front), _TRIM * 0.7)]
    for side in (1, -1):
        parts.append(_beam((0.98, side * 0.82, 0.80), (0.16, side * 0.64, 1.45), 0.07, _TRIM * 0.8))
        door = np.array([[0.98, 0.86, 0.82], [-1.0, 0.86, 0.86], [-1.0, 0.84, 0.2], [0.98, 0.84, 0.2]])
        parts.append(quad(door * (1, side, 1), _TRIM * 0.8))
    parts.append(_beam((0.16, 0.72, 1.46), (0.16, -0.72, 1.46), 0.10, _TRIM * 0.8))
    parts.append(placed(box((0.03, 0.22, 0.055), _TRIM * 0.6, (0, 0, 0, 0)), (0.36, -0.02, 1.32)))
    glass = [[0.342, 0.08, 1.326], [0.342, -0.12, 1.326], [0.342, -0.12, 1.369], [0.342, 0.08, 1.369]]
    parts.append(quad(glass, (0.42, 0.48, 0.54)))
    return merge(parts)


def dial_face() -> Mesh:
    """A round dial around the origin that faces -x, as wide and high as its picture."""
    r = DIAL_RADIUS
    return quad([[0, r, -r], [0, -r, -r], [0, -r, r], [0, r, r]], (1, 1, 1), (0, 0, 1, 1))


def needle() -> Mesh:
    """The hand of a dial, pointing upwards."""
    long, wide = 0.82 * DIAL_RADIUS, 0.07 * DIAL_RADIUS
    corners = [
        [-0.004, wide, -0.2 * long],
        [-0.004, -wide, -0.2 * long],
        [-0.004, -wide / 2, long],
        [-0.004, wide / 2, long],
    ]
    return quad(corners, (1.0, 0.35, 0.15))


def steering_wheel() -> Mesh:
    """The steering wheel around the x axis, its face towards -x; a mark at the top shows how far it is turned."""
    radius, thick = 0.175, 0.017
    around, tube = np.linspace(0, 2 * np.pi, 41)[:, None], np.linspace(0, 2 * np.pi, 9)[None]
    reach = radius + thick * np.cos(tube)
    position = np.dstack(np.broadcast_arrays(-thick * np.sin(tube), reach * np.sin(around), reach * np.cos(around)))
    top = (np.abs(np.angle(np.exp(1j * around))) < 0.12)[..., None] & np.ones((1, 9, 1), dtype=bool)
    parts = [_surface(position, np.where(top, np.array((0.95, 0.80, 0.10)), np.array((0.17, 0.17, 0.18))))]
    for angle in (np.pi / 2, -np.pi / 2, np.pi):
        rim = (0.005, radius * np.sin(angle), radius * np.cos(angle))
        parts.append(_beam((0.012, 0.0, 0.0), rim, 0.032, np.array((0.52, 0.53, 0.55))))
    parts.append(placed(box((0.04, 0.10, 0.085), _TRIM, (0, 0, 0, 0)), (0.0, 0.0, -0.045)))
    return merge(parts)


def _beam(start: ArrayLike, end: ArrayLike, thick: float, color: ArrayLike) -> Mesh:
    """A straight square bar between two points."""
    begin, finish = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    along = (finish - begin) / np.linalg.norm(finish - begin)
    side = np.cross(along, (0, 0, 1) if abs(along[2]) < 0.9 else (1, 0, 0))
    side *= thick / 2 / np.linalg.norm(side)
    up = np.cross(side, along)
    ring = [side + up, up - side, -side - up, side - up]
    quads = []
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        quads.append(quad([begin + a, begin + b, finish + b, finish + a], color))
    quads.append(quad([begin + corner for corner in reversed(ring)], color))
    quads.append(quad([finish + corner for corner in ring], color))
    return merge(quads)
