"""What stands beside the road, and where: trees, posts, rails, boards, houses, the start; all clear of every road."""

import numpy as np

from acpilot.practice import shapes
from acpilot.practice.landscape import Flags, Landscape, Noise
from acpilot.practice.mesh import Array, Mesh, placed
from acpilot.practice.track import KERB_WIDTH

CLEAR = KERB_WIDTH + 4.0
"""Nothing stands nearer to the edge of a road than this, metres."""

_COLORS = np.array([(0.98, 0.96, 0.90), (0.96, 0.86, 0.72), (0.86, 0.90, 0.94), (0.94, 0.78, 0.68)])


class Roadside:
    """Things beside the road as meshes textured by the atlas; the track's seed decides what stands where."""

    def __init__(self, landscape: Landscape) -> None:
        self.large: list[Mesh] = []
        """Seen from far away."""
        self.small: list[Mesh] = []
        """Too small to be seen from far away."""
        self.feet: list[Array] = []
        """Points (n, 2) where something stands, the outermost of each thing."""
        self._landscape = landscape
        self._track = landscape.track
        rng = np.random.default_rng(self._track.seed + 77)
        self._start()
        self._rails(rng)
        self._boards()
        self._posts()
        self._houses(rng)
        self._trees(rng)

    def _beside(self, sample: int, beyond: float, sign: float) -> Array:
        """A point (2,) beyond the edge of the road (metres) at a sample, on the left (sign +1) or right (-1)."""
        offset = sign * (float(self._track.half_width[sample]) + beyond)
        return self._landscape.beside(np.array(sample), np.array(offset))

    def _stand(self, thing: Mesh, at: Array, heading: float, *, small: bool = False) -> None:
        """Put a thing on the ground at a point (2,), unless a part of it would stand too near to a road."""
        height = float(self._landscape.survey(at[None]).height[0])
        mesh = placed(thing, [*at, height], heading)
        feet = mesh.position[:, :2]
        if self._landscape.survey(feet).clearance.min() >= CLEAR:
            (self.small if small else self.large).append(mesh)
            self.feet.append(feet)

    def _nearest(self, points: Array) -> Array:
        """Distances of points (n, 2) from what stands already, float64 (n,), metres."""
        occupied = np.concatenate(self.feet)
        return np.array([np.hypot(occupied[:, 0] - x, occupied[:, 1] - y).min() for x, y in points])

    def _start(self) -> None:
        """Gantry over the start line, a grandstand on its right and the pits on its left."""
        track = self._track
        reach = float(track.half_width[0]) + CLEAR + 0.4
        if reach < self._landscape.room[0].min():
            self.large.append(placed(shapes.gantry(reach), track.center[0], float(track.heading[0])))
            legs = np.array([reach - 0.25, 0.25 - reach])
            self.feet.append(self._landscape.beside(np.array([0, 0]), legs))
        for thing, along, beyond, sign in ((shapes.grandstand(), -32.0, 12.0, -1), (shapes.pits(), 0.0, 13.0, 1)):
            sample = round(along / track.spacing) % len(track.center)
            self._stand(thing, self._beside(sample, KERB_WIDTH + beyond, sign), float(track.heading[sample]))

    def _rails(self, rng: np.random.Generator) -> None:
        """Guard rails along parts of the road, tyre walls outside its tight bends."""
        track, rows = self._track, self._landscape.rows
        beyond = KERB_WIDTH + 6.2
        waves = max(3, round(track.length / 400))
        for side, sign in ((0, 1.0), (1, -1.0)):
            possible = self._landscape.room[:, side] > track.half_width[rows] + beyond + 2
            points = self._landscape.beside(rows, sign * (track.half_width[rows] + beyond))
            survey = self._landscape.survey(points)
            possible &= survey.clearance > CLEAR
            line = np.column_stack([points, survey.height])
            tyres = -sign * track.curvature[rows] > 1 / 50
            wanted = np.sin(rows / len(track.center) * 2 * np.pi * waves + rng.uniform(0, 2 * np.pi)) > 0.1
            for flags, picture, height in (
                (possible & wanted & ~tyres, "rail", 0.85),
                (possible & tyres, "tyres", 1.05),
            ):
                for run in _runs(flags):
                    self.large.append(shapes.fence(line[run], picture, height))
                    self.feet.append(points[run])

    def _boards(self) -> None:
        """Distance boards before tight bends, chevrons around the outside of them."""
        track = self._track
        count = len(track.center)
        tight = np.abs(track.curvature) > 1 / 70
        for entry in np.flatnonzero(tight & ~np.roll(tight, 1)).tolist():
            outside = -float(np.sign(track.curvature[entry]))
            for distance in (150, 100, 50):
                sample = (entry - round(distance / track.spacing)) % count
                between = np.arange(sample, sample + round((distance - 5) / track.spacing)) % count
                if np.abs(track.curvature[between]).max() < 1 / 90:
                    board = shapes.sign(str(distance), 1.6, 0.9)
                    self._stand(board, self._beside(sample, CLEAR + 1.0, outside), float(track.heading[sample]))
        for sample in range(0, count, max(1, round(9 / track.spacing))):
            bend = float(track.curvature[sample])
            if abs(bend) > 1 / 50:
                outside = -float(np.sign(bend))
                chevron = shapes.sign("chevron", 1.3, 1.1, mirrored=bend > 0)
                # Turned towards those who come into the bend.
                heading = float(track.heading[sample]) + outside * 0.7
                self._stand(chevron, self._beside(sample, KERB_WIDTH + 7.4, outside), heading)

    def _posts(self) -> None:
        """White posts along both sides of the road."""
        track, post = self._track, shapes.post()
        for sample in range(0, len(track.center), max(1, round(24 / track.spacing))):
            for sign in (1, -1):
                self._stand(post, self._beside(sample, CLEAR + 0.2, sign), float(track.heading[sample]), small=True)

    def _houses(self, rng: np.random.Generator) -> None:
        """Houses in loose groups, along the road at a distance."""
        track = self._track
        for _ in range(max(4, round(track.length / 220))):
            sample = int(rng.integers(len(track.center)))
            sign, beyond = rng.choice((-1.0, 1.0)), rng.uniform(20, 70)
            heading = float(track.heading[sample]) + rng.uniform(-0.4, 0.4)
            for _ in range(int(rng.integers(1, 4))):
                house = shapes.house(rng.uniform(10, 16), rng.uniform(8, 10), rng.choice(_COLORS))
                at = self._beside(sample, beyond, sign)
                if self._nearest(at[None])[0] > 13:
                    self._stand(house, at, heading + rng.choice((0, np.pi / 2)))
                sample = (sample + round(rng.uniform(20, 30) / track.spacing)) % len(track.center)

    def _trees(self, rng: np.random.Generator) -> None:
        """Woods and single trees, more of them where a slow noise says so."""
        track = self._track
        count = round(track.length / 1.6)
        samples = rng.integers(len(track.center), size=count)
        beyond = np.where(rng.random(count) < 0.6, rng.uniform(8, 55, count), rng.uniform(40, 190, count))
        at = self._landscape.beside(samples, rng.choice((-1.0, 1.0), count) * (track.half_width[samples] + beyond))
        woods, firs = (Noise(track.seed + i, 280.0)(at[:, 0], at[:, 1]) for i in (3, 4))
        kinds = np.where(firs > rng.normal(0, 0.4, count), 0, np.where(rng.random(count) < 0.12, 2, 1))
        kinds = np.where(rng.random(count) < 0.22, 3, kinds)
        least, most, broad = np.array([tree[1:] for tree in shapes.TREES])[kinds].T
        heights = rng.uniform(least, most)
        sizes = np.column_stack([heights, heights * broad / 2])
        turns = rng.uniform(0, np.pi, count)
        tints = rng.uniform(0.82, 1.0, (count, 1)) * (1 + rng.normal(0, 0.04, (count, 3)))
        survey = self._landscape.survey(at)
        keep = (woods > rng.normal(0.0, 0.55, count)) & (survey.clearance > CLEAR + sizes[:, 1])
        keep[keep] = self._nearest(at[keep]) > sizes[keep, 1] + 1.5
        places = np.column_stack([at, survey.height - 0.25])
        self.large.extend(shapes.trees(places[keep], turns[keep], sizes[keep], kinds[keep], tints[keep]))
        for spread in (sizes[keep, 1:], -sizes[keep, 1:]):
            self.feet.append(at[keep] + spread * np.stack([np.cos(turns[keep]), np.sin(turns[keep])], axis=1))


def _runs(flags: Flags) -> list[slice]:
    """The unbroken runs of flags of at least two, cut into slices of at most 13 that share their ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).tolist()
    return [
        slice(cut, min(cut + 13, last))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
        for cut in range(first, last - 1, 12)
    ]
