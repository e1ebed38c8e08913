"""The shapes of things beside the road: meshes around the origin, textured by the atlas."""

from itertools import pairwise

import numpy as np

from acpilot.practice.mesh import Array, Indices, Mesh, box, merge, placed, quad
from acpilot.practice.textures import cell

WHITE = (0.97, 0.97, 0.95)
TREES = (
    ("conifer", 5.0, 11.0, 0.55),
    ("broadleaf", 5.5, 9.0, 0.95),
    ("poplar", 8.0, 13.0, 0.55),
    ("bush", 1.4, 2.6, 1.3),
)
"""Kinds of trees: picture, least and greatest height (metres), width as a part of the height."""


def gantry(reach: float) -> Mesh:
    """Two legs at +-reach metres along y and a banner between them, 5 m above the ground."""
    legs = [placed(box((0.5, 0.5, 7.0), (0.30, 0.32, 0.36), cell("white")), (0, y, -0.4)) for y in (reach, -reach)]
    banners, third = [], 2 * reach / 3
    for i in range(3):
        a, b = reach - i * third, reach - (i + 1) * third
        for x, (first, last) in ((-0.3, (a, b)), (0.3, (b, a))):
            corners = [[x, first, 5.0], [x, last, 5.0], [x, last, 6.6], [x, first, 6.6]]
            banners.append(quad(corners, WHITE, cell("banner", 2)))
    return merge([*legs, *banners])


def grandstand() -> Mesh:
    """A stand along x, open towards +y (the road on its left), 48 m long and 12 m deep."""
    long, parts = 8.0, []
    crowd, white = cell("crowd"), cell("white")
    for i in range(-3, 3):
        x = i * long
        parts.append(quad([[x + long, 5, 1.4], [x, 5, 1.4], [x, -4, 6.4], [x + long, -4, 6.4]], WHITE, crowd))
        parts.append(quad([[x + long, 5, -1], [x, 5, -1], [x, 5, 1.4], [x + long, 5, 1.4]], (0.22, 0.36, 0.66), white))
        parts.append(quad([[x, -4, -1], [x + long, -4, -1], [x + long, -4, 9.4], [x, -4, 9.4]], (0.7, 0.7, 0.7), white))
        parts.append(placed(box((0.25, 0.25, 9.2), (0.8, 0.8, 0.82), white), (x + 4, 3.0, 0)))
    half = 3 * long
    roof = [[-half, -5, 9.8], [half, -5, 9.8], [half, 4.5, 9.0], [-half, 4.5, 9.0]]
    gables = [[[x, 5, -1], [x, -4, -1], [x, -4, 6.4], [x, 5, 1.4]] for x in (-half, half)]
    return merge([*parts, *(quad(corners, (0.76, 0.78, 0.8), white) for corners in (roof, *gables))])


def pits() -> Mesh:
    """A low building of six boxes along x, 60 m long and 9 m deep."""
    parts = [placed(box((10, 9, 5.0), WHITE, cell("wall"), cell("white")), (10 * i + 5, 0, -0.6)) for i in range(-3, 3)]
    parts.append(placed(box((62, 11, 0.5), (0.82, 0.22, 0.18), cell("white")), (0, 0, 4.4)))
    return merge(parts)


def house(width: float, depth: float, color: Array) -> Mesh:
    """A house with a gabled roof, along x."""
    tall, ridge, x, y = 5.6, 8.4, width / 2 + 0.4, depth / 2 + 0.5
    parts = [placed(box((width, depth, tall + 1), color, cell("wall")), (0, 0, -1))]
    roof, white = cell("roof"), cell("white")
    for side in (1, -1):
        a, b = -side * x, side * x
        low, eaves = -side * y, tall - 0.3
        parts.append(quad([[a, low, eaves], [b, low, eaves], [b, 0, ridge], [a, 0, ridge]], WHITE, roof))
        gable = [[side * width / 2, -side * depth / 2, tall], [side * width / 2, side * depth / 2, tall]]
        top = [side * width / 2, 0, ridge - 0.2]
        parts.append(quad([*gable, top, top], color * 0.85, white))
    return merge(parts)


def post() -> Mesh:
    """A white post with a red band, 0.8 m high."""
    white = placed(box((0.14, 0.14, 1.0), WHITE, cell("white")), (0, 0, -0.2))
    return merge([white, placed(box((0.15, 0.15, 0.16), (0.85, 0.12, 0.10), cell("white")), (0, 0, 0.56))])


def sign(picture: str, size: float, low: float, *, mirrored: bool = False) -> Mesh:
    """A square board on two legs that faces -x, its lower edge at a height ``low``."""
    left, bottom, right, top = cell(picture)
    uv = (right, bottom, left, top) if mirrored else (left, bottom, right, top)
    half, high = size / 2, low + size
    face = quad([[0, half, low], [0, -half, low], [0, -half, high], [0, half, high]], WHITE, uv)
    x = 0.05
    back = quad([[x, -half, low], [x, half, low], [x, half, high], [x, -half, high]], (0.5, 0.5, 0.5), cell("white"))
    leg = box((0.08, 0.08, low + 0.6), (0.4, 0.4, 0.42), cell("white"))
    return merge([face, back, *(placed(leg, (0.03, y, -0.5)) for y in (half * 0.7, -half * 0.7))])


def fence(line: Array, picture: str, height: float) -> Mesh:
    """A wall along points on the ground (n, 3); the picture is repeated about every 4 metres."""
    parts, up = [], np.array([0.0, 0.0, height])
    for start, end in pairwise(line):
        count = max(1, round(float(np.hypot(*(end - start)[:2])) / 4.0))
        for a, b in pairwise(start + (end - start) * np.linspace(0, 1, count + 1)[:, None]):
            parts.append(quad([a - up * 0.1, b - up * 0.1, b + up, a + up], WHITE, cell(picture)))
    return merge(parts)


def trees(places: Array, turns: Array, sizes: Array, kinds: Indices, tints: Array) -> list[Mesh]:
    """Trees as two crossed pictures each, shaded as if their crowns were round.

    Args:
        places: Where they stand (n, 3).
        turns: Direction of the first picture (n,), radians.
        sizes: Height and half the width (n, 2), metres.
        kinds: Indices into ``TREES`` (n,).
        tints: Colours that the pictures are multiplied by (n, 3).
    """
    meshes = []
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    out, rise = np.array([-1, 1, 1, -1] * 2)[:, None], np.array([0, 0, 1, 1] * 2)[:, None]
    for place, turn, (height, radius), kind, tint in zip(places, turns, sizes, kinds, tints, strict=True):
        angle = np.repeat((turn, turn + np.pi / 2), 4)
        across = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(8)]) * out
        position = place + across * radius + np.array([0, 0, height]) * rise
        normal = across + np.array([0, 0, 1]) * (0.1 + 0.8 * rise)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        left, bottom, right, top = cell(TREES[kind][0])
        uv = np.column_stack([np.where(out < 0, left, right), np.where(rise > 0, top, bottom)])
        meshes.append(Mesh(position, normal, np.clip(tint * (0.72 + 0.28 * rise), 0, 1), uv, triangles))
    return meshes
