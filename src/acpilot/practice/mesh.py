"""Triangle meshes as numpy arrays, and the few shapes from which the scenery is made."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles (counter-clockwise seen from their front) with one material."""

    position: Array
    """float64 (n, 3), metres."""
    normal: Array
    """float64 (n, 3), unit length."""
    color: Array
    """float64 (n, 3), 0..1, before lighting; multiplies the texture."""
    uv: Array
    """float64 (n, 2), texture coordinates; v upwards."""
    triangles: Indices
    """int64 (m, 3), indices into the vertices."""


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of many."""
    parts = list(meshes)
    starts = np.cumsum([0, *(len(part.position) for part in parts[:-1])])
    return Mesh(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.normal for part in parts]),
        np.concatenate([part.color for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
    )


def smooth_normals(position: Array, triangles: Indices) -> Array:
    """Vertex normals, float64 (n, 3): means of the adjoining triangles' normals, weighted by area."""
    corners = position[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(position)
    for axis in range(3):
        weights = np.repeat(face[:, axis], 3)
        normal[:, axis] = np.bincount(triangles.ravel(), weights, minlength=len(position))
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9))


def lattice_triangles(rows: int, columns: int) -> Indices:
    """Triangles of a lattice of rows x columns vertices, front side up when rows run along +x and columns along +y."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    first = np.stack([corner, corner + columns, corner + columns + 1], axis=1)
    second = np.stack([corner, corner + columns + 1, corner + 1], axis=1)
    return np.concatenate([first, second])


def quad(corners: ArrayLike, color: ArrayLike, uv: tuple[float, float, float, float] = (0, 0, 0, 0)) -> Mesh:
    """A flat quadrangle: corners (4, 3) counter-clockwise from its lower left; uv = (left, bottom, right, top)."""
    position = np.asarray(corners, dtype=np.float64)
    normal = np.cross(position[1] - position[0], position[3] - position[0])
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    left, bottom, right, top = uv
    return Mesh(
        position,
        np.repeat(normal[None], 4, axis=0),
        np.broadcast_to(np.asarray(color, dtype=np.float64), (4, 3)).copy(),
        np.array([[left, bottom], [right, bottom], [right, top], [left, top]], dtype=np.float64),
        np.array([[0, 1, 2], [0, 2, 3]]),
    )


def box(
    size: tuple[float, float, float],
    color: ArrayLike,
    uv: tuple[float, float, float, float],
    roof_uv: tuple[float, float, float, float] | None = None,
) -> Mesh:
    """A box of size (x, y, z) on z = 0, centred in x and y, without a floor; sides and roof textured by uv."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    ring = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    sides = []
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        sides.append(quad([[*a, 0], [*b, 0], [*b, z], [*a, z]], color, uv))
    roof = quad([[*corner, z] for corner in ring], color, roof_uv or uv)
    return merge([*sides, roof])


def placed(mesh: Mesh, at: ArrayLike, heading: float = 0.0, scale: float = 1.0) -> Mesh:
    """A copy of a mesh scaled, turned counter-clockwise by heading (radians) and moved to a point (3,)."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return Mesh(
        mesh.position @ turn * scale + np.asarray(at, dtype=np.float64),
        mesh.normal @ turn,
        mesh.color,
        mesh.uv,
        mesh.triangles,
    )
