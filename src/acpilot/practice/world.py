"""The practice game's world: a car on a track, its laps, and the expert when nobody else drives."""

import math

from acpilot.practice.car import WHEEL_X, WHEEL_Y, Car, Controls, Surface
from acpilot.practice.closed_path import ClosedPath
from acpilot.practice.disturbance import Disturbance
from acpilot.practice.expert import Expert
from acpilot.practice.track import KERB_WIDTH, Track

DT = 0.003
"""Seconds a physics step takes: 333.3 Hz, as in Assetto Corsa."""
EXPERT_EVERY = 4
"""Steps between the expert's decisions: 83 a second."""

_LOST = 15.0  # metres beyond the road's edge after which the car may be nearer to another part of the track
_PATIENCE = 5.0  # seconds off the road or stuck before the expert's car is put back

_ROAD, _KERB, _GRASS = (1.0, 0.013), (0.95, 0.015), (0.6, 0.09)  # grip, rolling resistance
_ROAD_GRIP, _ROAD_RESISTANCE = (_ROAD[0],) * 4, (_ROAD[1],) * 4
_REACH = 1.6  # metres no tyre is farther from the car's middle than


class World:
    """A car on a track. The same track, seed and controls give the same drive to the last bit."""

    def __init__(
        self, track: Track, *, seed: int = 0, expert: bool = False, pace: float = 1.0, disturbance: float = 0.0
    ) -> None:
        """Put the car on the start line, at rest.

        Args:
            track: Where to drive.
            seed: Decides when and how the expert is disturbed.
            expert: Whether the expert drives when ``step`` is given no controls.
            pace: The expert's, as a share of the speed that the tyres allow.
            disturbance: 0 (none) to 1: how far the expert is led away from its line from time to time.
        """
        self.track = track
        self.expert_drives = expert
        self.expert = Expert(track, pace) if expert else None
        self.controls = Controls()
        """What the car was given in the last step."""
        self.steps = 0
        self.progress = 0.0
        """Along the centre line, 0 <= progress < 1."""
        self.lateral = 0.0
        """Metres left of the centre line."""
        self.lap = 0
        """Completed laps."""
        self.last_lap_time: float | None = None
        self.best_lap_time: float | None = None
        self.tyres_out = 0
        """Tyres beyond the kerb."""
        self.resets = 0
        self._disturbance = Disturbance(seed, disturbance)
        self._lap_start = 0.0
        self._distance = 0.0  # along the centre line since the start, backwards counting down, metres
        self._trouble = 0.0  # seconds the expert has been off the road or stuck
        self._surface = Surface()
        self._path = ClosedPath(track.center[:, :2])
        self._height: list[float] = track.center[:, 2].tolist()
        self._slope: list[float] = track.slope.tolist()
        self._heading: list[float] = track.heading.tolist()
        self._curvature: list[float] = track.curvature.tolist()
        self._half_width: list[float] = track.half_width.tolist()
        self._position = 0.0  # along the centre line, in samples
        self.car = self._car_at(0)
        self._locate()

    @property
    def time(self) -> float:
        """Seconds of game since the start."""
        return self.steps * DT

    @property
    def lap_time(self) -> float:
        """Seconds of the present lap."""
        return self.time - self._lap_start

    @property
    def off_track(self) -> bool:
        """Whether all four tyres are off the road."""
        return self.tyres_out == 4

    @property
    def beyond_edge(self) -> float:
        """How far the car's middle is beyond the edge of the road, metres; negative on the road."""
        return abs(self.lateral) - self._half_width[int(self._position)]

    @property
    def turned(self) -> float:
        """Angle between the car and the direction of travel, −π .. π radians, counter-clockwise."""
        return math.remainder(self.car.heading - self._heading[int(self._position)], math.tau)

    @property
    def disturbed(self) -> bool:
        """Whether the car is being pulled away from the expert's line."""
        return self.expert_drives and self._disturbance.active

    def step(self, controls: Controls | None = None) -> None:
        """Move on by one physics step.

        Args:
            controls: What the driver commands; None lets the expert drive, or keeps the last ones when there is none.
        """
        if controls is not None:
            self.controls.steering, self.controls.throttle, self.controls.brake = (
                controls.steering, controls.throttle, controls.brake,
            )  # fmt: skip
        elif self.expert is not None and self.steps % EXPERT_EVERY == 0:
            self._let_expert_decide(self.expert)
        self.car.step(self.controls, DT, self._surface)
        self.steps += 1
        self._locate()

    def reset(self) -> None:
        """Put the car back on the centre line where it is, at rest, facing forward."""
        self._put(self._car_at(int(self._position)), Controls())

    def put_on_line(self, share: float) -> None:
        """Put the car on the expert's line beside where it is, with the expert's controls.

        Args:
            share: Of the expert's speed there, 0 .. 1.
        """
        assert self.expert is not None, "there is no expert in this world"
        index = int(self._position)
        line = self.expert.line
        x, y = line.points[index].tolist()
        car = Car(x, y, self._height[index], float(line.heading[index]), share * float(line.speed[index]))
        self._put(car, self.expert.controls(car, index))

    def _put(self, car: Car, controls: Controls) -> None:
        self.resets += 1
        self._trouble = 0.0
        self.car, self.controls = car, controls
        self._disturbance.pause()
        self._locate()

    def _car_at(self, index: int) -> Car:
        return Car(self._path.x[index], self._path.y[index], self._height[index], self._heading[index])

    def _let_expert_decide(self, expert: Expert) -> None:
        """The expert's answer, and what pulls the car away meanwhile.

        It is the car that is disturbed, not its inputs: what is recorded is at all times the right answer, as in
        Laskey et al., "DART: Noise Injection for Robust Imitation Learning" (arXiv 1703.09327).
        """
        seconds = EXPERT_EVERY * DT
        self._put_back_if_stuck(seconds)
        self.controls = expert.controls(self.car, int(self._position))
        self.disturb(seconds)

    def disturb(self, seconds: float) -> None:
        """Let time pass for what pulls the car away from the expert's line."""
        assert self.expert is not None, "there is no expert in this world"
        shift = self._disturbance.shift(seconds)
        self.car.pull = self.expert.steering_aside(shift, self.car.speed, int(self._position)) if shift else 0.0

    def _put_back_if_stuck(self, seconds: float) -> None:
        """Put the expert's car back when it has not got back by itself for some time."""
        astray = self.off_track or abs(self.turned) > math.pi / 2 or self.car.speed < 0.5
        self._trouble = self._trouble + seconds if astray else 0.0
        if self._trouble > _PATIENCE:
            self.reset()

    def _locate(self) -> None:
        """Find the car on the track, count laps, and feel the ground below it."""
        car, path, count = self.car, self._path, len(self._height)
        position, lateral = path.project(car.x, car.y, int(self._position))
        if abs(lateral) > self._half_width[int(position)] + _LOST:
            position, lateral = path.project(car.x, car.y, path.nearest(car.x, car.y))
        moved = position - self._position
        if moved > count / 2:
            moved -= count
        elif moved < -count / 2:
            moved += count
        self._position, self.lateral, self.progress = position, lateral, position / count
        self._count_lap(moved * self.track.spacing)

        index = int(position)
        part, after = position - index, index + 1 if index + 1 < count else 0
        height, slope = self._height[index], self._slope[index]
        turned = car.heading - self._heading[index]
        cosine, surface = math.cos(turned), self._surface
        surface.height = height + part * (self._height[after] - height)
        surface.grade = (slope + part * (self._slope[after] - slope)) * cosine
        if abs(lateral) < self._half_width[index] - _REACH:
            surface.grip, surface.resistance, self.tyres_out = _ROAD_GRIP, _ROAD_RESISTANCE, 0
        else:
            self._feel_each_tyre(index, cosine, math.sin(turned))

    def _feel_each_tyre(self, index: int, cosine: float, sine: float) -> None:
        """What each tyre stands on when not all of them are surely on the road."""
        half_width, bend = self._half_width[index], 0.5 * self._curvature[index]
        grip, resistance, out = [], [], 0
        for x, y in zip(WHEEL_X, WHEEL_Y, strict=True):
            along = x * cosine - y * sine
            aside = abs(self.lateral + x * sine + y * cosine - bend * along * along)
            out += aside > half_width + KERB_WIDTH
            ground = _ROAD if aside <= half_width else _KERB if aside <= half_width + KERB_WIDTH else _GRASS
            grip.append(ground[0])
            resistance.append(ground[1])
        self._surface.grip, self._surface.resistance, self.tyres_out = grip, resistance, out

    def _count_lap(self, moved: float) -> None:
        """Add up the way; each further length of the track completes a lap, at an instant within the step."""
        self._distance += moved
        beyond = self._distance - (self.lap + 1) * self.track.length
        if beyond < 0:
            return
        crossed = self.time - DT * min(1.0, beyond / max(moved, 1e-9))
        self.last_lap_time = crossed - self._lap_start
        self.best_lap_time = min(self.last_lap_time, self.best_lap_time or math.inf)
        self._lap_start = crossed
        self.lap += 1
