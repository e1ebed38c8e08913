"""The shape of road and ground: a ribbon along the track and, below its outer edge, a lattice of terrain.

The ribbon (road, kerbs, verges and the ground beside them) is one surface without gaps or overlaps; it ends where
another part of the track is nearer. The terrain lies lower than any road near it, so it can never cover the road.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acpilot.practice.mesh import Array, Indices, Mesh, lattice_triangles, merge, smooth_normals
from acpilot.practice.track import KERB_WIDTH, Track

Flags = NDArray[np.bool_]

VERGE = 4.5
"""Metres of level ground beyond the kerb: run-off or short grass."""
EDGE_STRIP = 0.6
"""Metres of road at each side that carry the edge line."""
DASH_STRIP = 0.14
"""Half the width of the strip in the middle that carries the centre line, metres."""
CELL = 12.0
"""Size of a cell of the terrain, metres."""
TILE = 12
"""Cells along each side of a tile of terrain."""
STRETCH = 110.0
"""Length of a stretch of the track that is drawn or culled as one, metres."""
KERB_REPEAT = 4.0
"""Metres of kerb from red to red in its texture."""
GROUND_REPEAT = 9.0
"""Metres of ground covered by its texture."""
START_LINE = 2.0
"""Width of the start line along the track, metres; it is the first cell of the ribbon."""
FAR = 1700.0
"""How far the ground reaches beyond the track, metres."""

_KERB_RISE = 0.05
_BEYOND = (0.0, KERB_WIDTH, KERB_WIDTH + VERGE, 10.0, 17.0, 27.0, 29.0)
"""Columns of the ribbon, metres beyond the road's edge; the last is the skirt that dips below the terrain."""
_ROAD_STRIP = len(_BEYOND) - 1
"""Index of the strip between the columns of the ribbon that is the road."""
_GRASS = (np.array((0.40, 0.56, 0.24)), np.array((0.52, 0.62, 0.28)), np.array((0.34, 0.50, 0.24)))
_SHORT_GRASS = np.array((0.50, 0.66, 0.30))
_GRAVEL = np.array((0.86, 0.76, 0.56))


@dataclass(frozen=True)
class Noise:
    """Smooth random values of the place, about -1..1: a sum of waves of many directions."""

    seed: int
    wavelength: float
    """Of the longest wave, metres."""

    def __call__(self, x: Array, y: Array) -> Array:
        """Values at the points, of the shape of x and y."""
        rng = np.random.default_rng(self.seed)
        value = np.zeros(np.shape(x))
        for _ in range(9):
            direction, phase, octave = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0, 1.6)
            wave = 2 * np.pi / self.wavelength * 2.0**octave
            value += 0.35 * np.sin(wave * (x * np.cos(direction) + y * np.sin(direction)) + phase)
        return value


@dataclass(frozen=True)
class Survey:
    """What is known of points of the ground."""

    clearance: Array
    """Metres from the nearest edge of the road (negative on the road), float64 (n,)."""
    height: Array
    """Metres, float64 (n,)."""
    lowest_road: Array
    """Height of the lowest road that a terrain cell at the point might touch, float64 (n,); inf where there is none."""


class Landscape:
    """Road and ground of one track as meshes without light or textures."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self._left = np.stack([-np.sin(track.heading), np.cos(track.heading)], axis=1)
        step = max(1, round(2.0 / track.spacing))
        self._sparse = track.center[::step]
        self._sparse_width = track.half_width[::step]
        self._hills = Noise(track.seed + 1, 420.0)
        self._meadows = Noise(track.seed + 2, 130.0)
        self._level = float(track.center[:, 2].mean())

    def survey(self, points: Array) -> Survey:
        """Clearance and height of points (n, 2). On and beside the road the height is that of the road."""
        clearance, height, lowest = (np.empty(len(points)) for _ in range(3))
        reach = self._sparse_width.max() + KERB_WIDTH + VERGE + CELL * 1.5
        road = np.column_stack([self._sparse, self._sparse_width]).astype(np.float32)
        for start in range(0, len(points), 1024):
            part = slice(start, start + 1024)
            place = points[part].astype(np.float32)
            squared = (place[:, :1] - road[:, 0]) ** 2 + (place[:, 1:] - road[:, 1]) ** 2
            lowest[part] = np.where(squared < reach * reach, road[:, 2], np.float32(np.inf)).min(axis=1)
            nearest = squared.argmin(axis=1)
            clearance[part] = np.sqrt(squared.min(axis=1)) - road[nearest, 3]
            # Inverse distance weighting: near the road its height at the nearest point, far away a mean.
            weight = 1 / (squared + np.float32(0.5)) ** 2
            height[part] = (weight @ road[:, 2]) / weight.sum(axis=1)
        away = np.clip((clearance - 25) / 150, 0, 1)
        hills = 7 * self._hills(points[:, 0], points[:, 1]) + 4 + 0.03 * np.clip(clearance - 100, 0, 1000)
        height += away * away * (3 - 2 * away) * hills
        return Survey(clearance, height, lowest)

    @cached_property
    def rows(self) -> Indices:
        """Samples at which the ribbon has a row of vertices: close together where the road bends in plan or profile."""
        track = self.track
        slope = np.diff(track.center[:, 2], append=track.center[0, 2]) / track.spacing
        bend = np.abs(track.curvature) * track.spacing / np.radians(4.0)
        crest = np.abs(np.diff(slope, append=slope[0])) / 0.006
        cost = np.cumsum(np.maximum(bend, track.spacing / 8.0) + crest)
        count = int(np.ceil(cost[-1]))
        rows = np.searchsorted(cost, np.arange(count) * (cost[-1] / count))
        return np.unique(np.append(rows, round(START_LINE / track.spacing)))

    @cached_property
    def room(self) -> Array:
        """How far the ribbon may reach to the left and right of the centre line, float64 (rows, 2), metres.

        Beyond that distance another part of the track is nearer: the radius of the circle that touches the centre line
        here and somewhere else.
        """
        here = self.track.center[self.rows, :2]
        offset = self._sparse[None, :, :2] - here[:, None, :]
        squared = (offset**2).sum(axis=2)
        across = np.einsum("rsk,rk->rs", offset, self._left[self.rows])
        room = np.empty((len(here), 2))
        for side, sign in ((0, 1.0), (1, -1.0)):
            facing = (sign * across > 0.02) & (squared > 16.0)
            radius = np.divide(squared, 2 * sign * across, out=np.full_like(squared, np.inf), where=facing)
            room[:, side] = radius.min(axis=1)
        return room

    @cached_property
    def kerbed(self) -> Flags:
        """Where there are kerbs (where the road bends): bool (n,), for every sample."""
        return self._widened(np.abs(self.track.curvature) > 1 / 160, 14.0)

    @cached_property
    def gravel(self) -> Flags:
        """Where there is gravel beyond the kerb (outside tight bends): bool (n, 2), right and left."""
        bend = self.track.curvature
        return np.stack([self._widened(bend > 1 / 75, 18.0), self._widened(bend < -1 / 75, 18.0)], axis=1)

    def _widened(self, flags: Flags, by: float) -> Flags:
        """The flags, each stretched by some metres at both ends."""
        count = round(by / self.track.spacing)
        near = np.convolve(np.concatenate([flags[-count:], flags, flags[:count]]), np.ones(2 * count + 1), "valid")
        return np.asarray(near > 0.5)

    def beside(self, samples: Indices, offset: Array) -> Array:
        """Points (..., 2) at an offset (metres, positive to the left) from the centre line at samples."""
        return np.asarray(self.track.center[samples, :2] + self._left[samples] * offset[..., None])

    def road(self) -> list[Mesh]:
        """The road in stretches; texture coordinates as ``textures.road`` wants them."""
        rows, along = self._closed
        half = self.track.half_width[rows]
        offsets = np.stack([half, half - EDGE_STRIP, np.full_like(half, DASH_STRIP)], axis=1)
        offsets = np.concatenate([-offsets, offsets[:, ::-1]], axis=1)
        points = self.beside(rows[:, None], offsets)
        position = np.dstack([points, np.repeat(self.track.center[rows, 2:], 6, axis=1)])
        # Each strip has its own columns of the texture (asphalt, edge line, centre line) and metres a repeat.
        edge, asphalt, centre = (0.75, 0.875), (0.0, 0.75), (0.875, 1.0)
        strips = ((edge, 12.8), (asphalt, 12.8), (centre, 256.0), (asphalt[::-1], 12.8), (edge[::-1], 12.8))
        meshes = []
        for part in self._stretches():
            keep = np.arange(part.start, part.stop - 1) > 0
            lattices = []
            for column, (across, repeat) in enumerate(strips):
                uv = _ruled(across, along[part] / repeat)
                lattices.append(_lattice(position[part, column : column + 2], uv, np.ones(3), keep))
            meshes.append(merge(lattices))
        return meshes

    def start_line(self) -> Mesh:
        """The piece of road that is the start line; texture coordinates as ``textures.checkers`` wants them."""
        squares = float(np.round(self.track.half_width[0] / 2.0))
        columns = slice(_ROAD_STRIP, _ROAD_STRIP + 2)
        uv = np.array([[(0.0, 0.0), (squares, 0.0)], [(0.0, 1.0), (squares, 1.0)]])
        return _lattice(self._section[:2, columns], uv, np.ones(3))

    def kerbs(self) -> list[Mesh]:
        """Red and white kerbs, in stretches; texture coordinates as ``textures.kerb`` wants them."""
        rows, along = self._closed
        meshes = []
        for part in self._stretches():
            keep = self.kerbed[rows[part][:-1]]
            if keep.any():
                v = along[part] / KERB_REPEAT
                sides = (
                    (slice(_ROAD_STRIP - 1, _ROAD_STRIP + 1), (1.0, 0.0)),
                    (slice(_ROAD_STRIP + 1, _ROAD_STRIP + 3), (0.0, 1.0)),
                )
                meshes.append(
                    merge(_lattice(self._section[part, side], _ruled(u, v), np.ones(3), keep) for side, u in sides)
                )
        return meshes

    def ground(self) -> list[Mesh]:
        """Verges, run-off and the ground beside the road, in stretches."""
        rows, _ = self._closed
        color = self._grass(self._section[..., 0], self._section[..., 1])
        meshes = []
        for part in self._stretches():
            here = rows[part]
            lattices = []
            for strip in range(2 * len(_BEYOND) - 1):
                side, beyond = (0, _ROAD_STRIP - 1 - strip) if strip < _ROAD_STRIP else (1, strip - _ROAD_STRIP - 1)
                if strip == _ROAD_STRIP:
                    continue
                columns = slice(strip, strip + 2)
                paint, keep = color[part, columns].copy(), None
                if beyond == 0:
                    keep = ~self.kerbed[here[:-1]]
                if beyond <= 1:
                    gravel = self.gravel[here, side] & (beyond == 1)
                    paint[:] = np.where(gravel[:, None, None], _GRAVEL, 0.35 * paint + 0.65 * _SHORT_GRASS)
                position = self._section[part, columns]
                lattices.append(
                    _lattice(position, _planar(position), paint, keep, self._section_normals[part, columns])
                )
            meshes.append(merge(lattices))
        return meshes

    def terrain(self) -> list[Mesh]:
        """The ground further away, in tiles and, around them, rings that reach to the horizon."""
        low = self.track.center[:, :2].min(axis=0) - 160
        cells = np.ceil((self.track.center[:, :2].max(axis=0) + 160 - low) / CELL).astype(int)
        x, y = (low[axis] + np.arange(cells[axis] + 1) * CELL for axis in (0, 1))
        inner = np.stack(np.meshgrid(x, y, indexing="ij"), axis=2)
        lattice = self._terrain_heights(inner)
        triangles = lattice_triangles(*lattice.shape[:2])
        normals = smooth_normals(lattice.reshape(-1, 3), triangles).reshape(lattice.shape)
        paint = self._grass(lattice[..., 0], lattice[..., 1])
        meshes = []
        for i in range(0, len(x) - 1, TILE):
            for j in range(0, len(y) - 1, TILE):
                tile = np.s_[i : i + TILE + 1, j : j + TILE + 1]
                position = lattice[tile]
                meshes.append(_lattice(position, _planar(position), paint[tile], None, normals[tile]))
        return [*meshes, *self._rings(lattice)]

    def _rings(self, lattice: Array) -> list[Mesh]:
        """Ground from the border of the lattice to the horizon, in four sectors."""
        border = (lattice[:, 0], lattice[-1], lattice[::-1, -1], lattice[0, ::-1])
        middle = lattice.reshape(-1, 3)[:, :2].mean(axis=0)
        meshes = []
        for start in border:
            away = start[:, :2] - middle
            away /= np.linalg.norm(away, axis=1, keepdims=True)
            points = np.stack([start[:, :2] + away * distance for distance in (0, 60, 160, 360, 800, FAR)], axis=1)
            position = self._terrain_heights(points)
            position[:, 0] = start
            # Rows run counter-clockwise around the track and columns outwards, so the order of columns is reversed.
            position = position[:, ::-1]
            color = self._grass(position[..., 0], position[..., 1])
            meshes.append(_lattice(position, _planar(position), color))
        return meshes

    def _terrain_heights(self, points: Array) -> Array:
        """Points (..., 2) with their heights (..., 3), lowered where a road or its verges lie above."""
        survey = self.survey(points.reshape(-1, 2))
        beyond = survey.clearance - KERB_WIDTH - _BEYOND[-2]
        height = survey.height - np.clip((CELL - beyond) / CELL, 0, 1) * 1.2
        height = np.minimum(height, survey.lowest_road - 0.4)
        return np.dstack([points, height.reshape(points.shape[:2])])

    def _grass(self, x: Array, y: Array) -> Array:
        """Colour of the grass at places, (..., 3): patches of three kinds."""
        patch = self._meadows(x, y)[..., None]
        lush, dry, dark = _GRASS
        return np.asarray(lush + (dry - lush) * np.clip(patch, 0, 1) + (dark - lush) * np.clip(-patch, 0, 1))

    @cached_property
    def _closed(self) -> tuple[Indices, Array]:
        """The rows' samples with the first repeated at the end, and their distances along the track, metres."""
        along = np.append(self.rows * self.track.spacing, self.track.length)
        return np.append(self.rows, self.rows[0]), along

    def _stretches(self) -> list[slice]:
        """Rows of each stretch of the track of about STRETCH metres; neighbours share a row."""
        _, along = self._closed
        count = max(3, round(along[-1] / STRETCH))
        cuts = np.searchsorted(along, np.linspace(0, along[-1], count + 1))
        return [slice(int(first), int(last) + 1) for first, last in pairwise(cuts)]

    @cached_property
    def _section(self) -> Array:
        """The ribbon's vertices, (rows + 1, columns, 3): from the skirt on the right to the skirt on the left."""
        rows, _ = self._closed
        room = np.concatenate([self.room, self.room[:1]])
        half = self.track.half_width[rows]
        sides = []
        for side, sign in ((1, -1.0), (0, 1.0)):
            offset = np.minimum(half[:, None] + np.array(_BEYOND), room[:, side, None])
            points = self.beside(rows[:, None], sign * offset)
            z = np.repeat(self.track.center[rows, 2:], len(_BEYOND), axis=1)
            surveyed = self.survey(points[:, 3:].reshape(-1, 2)).height.reshape(len(rows), -1)
            z[:, 1] += np.where(self.kerbed[rows], _KERB_RISE, 0)
            z[:, 3:] = surveyed
            z[:, -1] -= 3.0
            sides.append(np.dstack([points, z]))
        return np.concatenate([sides[0][:, ::-1], sides[1]], axis=1)

    @cached_property
    def _section_normals(self) -> Array:
        """Normals of the ribbon's vertices; a skirt has those of the ground above it, so that it does not show."""
        shape = self._section.shape
        triangles = lattice_triangles(shape[0], shape[1] - 2)
        normals = smooth_normals(self._section[:, 1:-1].reshape(-1, 3), triangles).reshape(shape[0], -1, 3)
        normals[normals[..., 2] < 0.5] = (0.0, 0.0, 1.0)  # slivers where the ribbon has no more room
        return np.concatenate([normals[:, :1], normals, normals[:, -1:]], axis=1)


def _lattice(position: Array, uv: Array, color: Array, keep: Flags | None = None, normal: Array | None = None) -> Mesh:
    """Mesh of a lattice of vertices (rows, columns, 3) running forwards and to the left.

    ``keep`` (rows - 1,) names the rows of cells wanted (all if None); ``normal`` is computed if None.
    """
    rows, columns = position.shape[:2]
    triangles = lattice_triangles(rows, columns)
    flat = position.reshape(-1, 3)
    normals = smooth_normals(flat, triangles) if normal is None else normal.reshape(-1, 3)
    if keep is not None:
        triangles = triangles[np.tile(np.repeat(keep, columns - 1), 2)]
    colors = np.broadcast_to(color, position.shape).reshape(-1, 3)
    return Mesh(flat, normals, colors, uv.reshape(-1, 2), triangles)


def _ruled(across: tuple[float, float], along: Array) -> Array:
    """Texture coordinates (rows, 2, 2) of a strip: u across from right to left, v along, starting within 0..1."""
    v = along - np.floor(along[0])
    return np.stack([np.stack([np.full_like(v, u), v], axis=1) for u in across], axis=1)


def _planar(position: Array) -> Array:
    """Texture coordinates of ground (..., 2), seen from above, kept small for renderers of low precision."""
    uv = position[..., :2] / GROUND_REPEAT
    return np.asarray(uv - np.floor(uv.reshape(-1, 2).min(axis=0)))
