"""The driver who knows the way: follows the racing line from wherever the car is.

The answer depends on the car's present state alone, so the expert can be asked what it would do in the middle of
somebody else's drive, beside the road or facing the wrong way.
"""

import math

import numpy as np

from acpilot.practice.car import (
    DRAG,
    GRAVITY,
    MASS,
    MAX_STEER,
    WHEELBASE,
    Car,
    Controls,
    full_throttle_force,
)
from acpilot.practice.closed_path import ClosedPath
from acpilot.practice.racing_line import SIDEWAYS, TRACTION, make_racing_line
from acpilot.practice.track import KERB_WIDTH, Track

_BASE_REACH, _REACH_TIME = 4.0, 0.35  # a place aside of the line is to be made good within 4 m and this time, s
_CORRECTION = 4.0  # m/s² of sideways acceleration for that, at most
_SLOW = 3.0  # m/s: no such care is needed below
_STEEPEST = 0.9  # rad, at most, between the way back to the line and the line
_MOST_SIDEWAYS = 9.0  # m/s²: all that is asked of the front tyres
_LEAD = 0.12  # s ahead at which the line's bend is read: the car takes that long to follow
_UNDERSTEER = 0.0015  # rad of lock per m/s² of sideways acceleration, beyond what a slow car would need
_SPEED_TIME = 0.3  # s in which it wants to have the speed planned for where it will then be
_CAUTION, _MOST_CAUTION = 0.05, 0.2  # part of the speed given up per metre away from the line in bends, and at most
_FORESIGHT = 50.0  # m before a bend from which that care is taken
_FULL_BRAKE = 10.5  # m/s² at full pedal
_OFF_ROAD_SPEED = 8.0  # m/s
_ROAD_KEPT = KERB_WIDTH + 1.2  # metres between the middle of a car led aside and the end of the kerb
_AHEAD = 0.8  # s ahead at which there must be room as well
_MOST_LOCK = 0.85  # of the steering: the expert never needs more


class Expert:
    """Drives a track."""

    def __init__(self, track: Track, pace: float = 1.0) -> None:
        """Plan the drive.

        Args:
            track: Where.
            pace: Share of the speed that the tyres allow, above 0 to 1.
        """
        self._pace = pace
        self.line = make_racing_line(track)
        self._path = ClosedPath(self.line.points)
        self._spacing = track.spacing
        self._heading: list[float] = self.line.heading.tolist()
        self._curvature: list[float] = self.line.curvature.tolist()
        self._speed: list[float] = (pace * self.line.speed).tolist()
        self._limit: list[float] = (pace * self.line.limit).tolist()
        sideways = np.minimum(1.0, np.abs(self.line.curvature) * self.line.speed**2 / SIDEWAYS)
        ahead = range(math.ceil(_FORESIGHT / track.spacing) + 1)
        self._bend: list[float] = np.max([np.roll(sideways, -step) for step in ahead], axis=0).tolist()
        self._slope: list[float] = track.slope.tolist()
        self._left: list[float] = (track.half_width + KERB_WIDTH - self.line.offset).tolist()
        self._right: list[float] = (-track.half_width - KERB_WIDTH - self.line.offset).tolist()

    def controls(self, car: Car, index: int | None = None) -> Controls:
        """What the expert would command in the car's place.

        Args:
            car: Any state of the car.
            index: A track sample near the car, which saves a search of the whole line.
        """
        position, aside = self.place(car, index)
        curvature = self._curvature_to_line(car, position, aside)
        throttle, brake = self._pedals(car, position, aside, curvature)
        return Controls(max(-_MOST_LOCK, min(_MOST_LOCK, _steering(curvature, car.vx))), throttle, brake)

    def wanted_speed(self, car: Car) -> float:
        """The speed, m/s, up to which the bends ahead would not make it brake in the car's place."""
        return self._planned(self._limit, car, *self.place(car))

    def place(self, car: Car, index: int | None = None) -> tuple[float, float]:
        """Where along the expert's line the car is, in samples, and how far left of it, metres.

        Args:
            car: Any state of the car.
            index: A track sample near the car, which saves a search of the whole line.
        """
        return self._path.project(car.x, car.y, self._path.nearest(car.x, car.y) if index is None else index)

    def steering_aside(self, shift: float, speed: float, index: int) -> float:
        """Steering that, added to the expert's, leads the car ``shift`` metres left of its line, but not off the road.

        Args:
            shift: Metres, to the left.
            speed: Of the car, m/s.
            index: The track sample near the car.
        """
        soon = (index + int(speed * _AHEAD / self._spacing)) % len(self._left)
        left = min(self._left[index], self._left[soon]) - _ROAD_KEPT
        right = max(self._right[index], self._right[soon]) + _ROAD_KEPT
        bend = max(abs(self._curvature[index]), abs(self._curvature[soon]))
        spare = max(0.3, 1 - bend * speed * speed / SIDEWAYS)  # less where the tyres have little left to come back with
        shift = max(right, min(left, shift * spare))
        reach = _BASE_REACH + _REACH_TIME * speed
        return _steering(2 / reach * _way_back(-shift, reach, speed), speed)

    def _at(self, values: list[float], position: float) -> float:
        """Value between two samples."""
        index = int(position)
        part = position - index
        index %= len(values)
        here = values[index]
        return here + part * (values[index + 1 - len(values)] - here)

    def _curvature_to_line(self, car: Car, position: float, aside: float) -> float:
        """Curvature that follows the line and turns towards it from beside it, 1/m."""
        index, speed = int(position), abs(car.vx)
        reach = _BASE_REACH + _REACH_TIME * speed
        line_heading = self._heading[index] + (position - index) * self._spacing * self._curvature[index]
        turned = math.remainder(car.heading - line_heading, math.tau) - _way_back(aside, reach, speed)
        correction = -2 / reach * math.sin(max(-math.pi / 2, min(math.pi / 2, turned)))
        curvature = self._at(self._curvature, position + _LEAD * speed / self._spacing) + correction
        most = _MOST_SIDEWAYS / max(speed * speed, 1.0)
        return max(-most, min(most, curvature))

    def _planned(self, plan: list[float], car: Car, position: float, aside: float) -> float:
        """Of a plan of speeds, m/s, the one to have in a moment: less beside the line, much less off the road."""
        index = int(position)
        planned = self._at(plan, position + _SPEED_TIME * abs(car.vx) / self._spacing)
        planned *= 1 - self._bend[index] * min(_MOST_CAUTION, _CAUTION * abs(aside))
        return planned if self._right[index] < aside < self._left[index] else min(planned, _OFF_ROAD_SPEED)

    def _pedals(self, car: Car, position: float, aside: float, curvature: float) -> tuple[float, float]:
        """Throttle and brake, one of them zero."""
        speed = car.vx
        bend_speed = self._pace * math.sqrt(1.1 * SIDEWAYS / max(abs(curvature), 1e-4))
        wanted = min(self._planned(self._speed, car, position, aside), bend_speed)
        wish = (wanted - speed) / _SPEED_TIME  # away from the line the way back decides
        resistance = DRAG * speed * speed / MASS + GRAVITY * self._slope[int(position)] + 0.13
        used = min(1.0, abs(car.ay) / _MOST_SIDEWAYS)
        spare = math.sqrt(1 - used * used)
        if wish + resistance < -0.5:
            return 0.0, min((-wish - resistance) / _FULL_BRAKE, 0.15 + 0.85 * spare)
        grip = TRACTION * spare
        # A sliding rear axle gets less throttle, long before it would spin the car.
        slide = max(car.slip[2], car.slip[3]) - 0.1
        if slide > 0:
            grip *= max(0.0, 1 - slide / 0.1)
        push = min(wish + resistance, max(grip, 0.3))
        return max(0.0, min(1.0, push * MASS / full_throttle_force(max(speed, 0.0), car.gear))), 0.0


def _way_back(aside: float, reach: float, speed: float) -> float:
    """Angle to the line, radians, at which to drive when ``aside`` metres left of it."""
    beyond = max(0.1, speed - _SLOW)
    steepest = min(_STEEPEST, _CORRECTION * reach / (2 * beyond * beyond))
    return max(-steepest, min(steepest, -aside / reach))


def _steering(curvature: float, speed: float) -> float:
    """Steering command for a curvature."""
    return -curvature * (WHEELBASE + _UNDERSTEER * speed * speed) / MAX_STEER
