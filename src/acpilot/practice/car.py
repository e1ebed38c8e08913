"""A road-legal sports car with rear drive: an automatic gearbox, ABS, traction control and a stability program.

Axes: x forward, y left, z up; angles and yaw counter-clockwise. Wheels are in the order front left, front right, rear
left, rear right. Everything is plain Python floats: arrays of four would cost more than they save.

The tyres follow the "magic formula" with the slips along and across the wheel combined into one. Wheel speeds are
solved implicitly, so that stiff tyres stay stable at steps of 3 ms from standstill to top speed.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from math import atan, copysign, cos, sin, sqrt

GRAVITY = 9.81
MASS = 1250.0
YAW_INERTIA = 1700.0
"""About the vertical axis, kg m²."""
FRONT_AXLE, REAR_AXLE = 1.32, 1.28
"""From the centre of gravity to each axle, metres."""
WHEELBASE = FRONT_AXLE + REAR_AXLE
TRACK_WIDTH = 1.56
"""Between the left and the right wheels, metres."""
GRAVITY_HEIGHT = 0.46
TYRE_RADIUS = 0.32
MAX_STEER = 0.5
"""Angle of the front wheels at full lock, radians."""
DRAG = 0.44
"""Air drag, N / (m/s)²."""
MAX_RPM = 7800.0

WHEEL_X = (FRONT_AXLE, FRONT_AXLE, -REAR_AXLE, -REAR_AXLE)
WHEEL_Y = (TRACK_WIDTH / 2, -TRACK_WIDTH / 2, TRACK_WIDTH / 2, -TRACK_WIDTH / 2)

_STEER_RATE = 3.5  # of the command, 1/s
_DOWNFORCE = 0.25  # N / (m/s)²
_FRONT_ROLL_SHARE = 0.6  # part of the sideways load transfer that the front axle takes
_BODY_RATE, _BODY_DAMPING = 11.0, 0.7  # the springs: natural frequency rad/s, damping ratio
_ROLL_PER_ACCELERATION = math.radians(2.6) / GRAVITY
_PITCH_PER_ACCELERATION = math.radians(1.6) / GRAVITY

_SHAPE = 1.4  # of the magic formula, with the stiffness: most grip at a slip of 0.14 (8 degrees)
_STIFFNESS = (15.4, 15.4, 14.0, 14.0)  # per wheel; times grip about 16: turns in nearly neutral
_GRIP = (1.04, 1.04, 1.13, 1.13)  # friction coefficient per wheel; more behind keeps the car stable at the limit
_NOMINAL_LOAD, _LOAD_SENSITIVITY = 3100.0, 2.4e-5  # a tyre with more load grips a little less per newton
_LENGTHWAYS = 1.15  # a tyre is stiffer lengthways than sideways
_SLOW = 3.0  # m/s: below it slips are measured against this speed, which keeps them finite at rest
_WHEEL_INERTIA, _ENGINE_INERTIA = 1.3, 0.14  # kg m²
_DIFFERENTIAL = 45.0  # N m per rad/s of difference: a limited slip differential

_BRAKE_TORQUE = (2800.0, 2800.0, 1150.0, 1150.0)  # N m at full pedal; weak behind, where braking takes load away
_SLIDE = (0.09, 0.15)  # slip of the rear axle to the side at which the stability program begins, and does all it can
_FINAL_DRIVE = 4.0
_RATIOS = tuple(ratio * _FINAL_DRIVE for ratio in (3.3, 2.18, 1.6, 1.27, 1.06, 0.9))
_RPM = 30 / math.pi  # per rad/s
_IDLE = 900.0
_CLUTCH_RPM = 2600.0  # above idle: where the slipping clutch lets the engine turn when moving off at full throttle
_UPSHIFT, _DOWNSHIFT = (4000.0, 3300.0), (2500.0, 2200.0)  # rpm, and more of it for an eager driver
_SHIFT_TIME, _SHIFT_PAUSE = 0.12, 0.5  # s without drive; s until the next shift
_EFFICIENCY = 0.9
_TORQUE_POINTS = (
    (0, 170), (1000, 220), (2000, 290), (3500, 345), (5000, 365), (6000, 350), (7000, 305), (7600, 260), (7800, 0),
)  # fmt: skip


def _torque_table() -> tuple[float, ...]:
    """Full-throttle torque of the engine every 50 rpm up to 20 000, N m."""
    speeds, table = [rpm for rpm, _ in _TORQUE_POINTS], []
    for rpm in range(0, 20001, 50):
        after = bisect_right(speeds, rpm)
        if after == len(speeds):
            table.append(0.0)
            continue
        (low, torque), (high, next_torque) = _TORQUE_POINTS[after - 1], _TORQUE_POINTS[after]
        table.append(torque + (next_torque - torque) * (rpm - low) / (high - low))
    return tuple(table)


_TORQUE = _torque_table()


def full_throttle_force(speed: float, gear: int | None = None) -> float:
    """Force at the driven wheels at full throttle, N, in a gear or the one that suits full throttle (grip aside)."""
    wheel_rpm = speed / TYRE_RADIUS * _RPM
    if gear is None:
        gear = 1
        while gear < 6 and wheel_rpm * _RATIOS[gear - 1] > _UPSHIFT[0] + _UPSHIFT[1]:
            gear += 1
    ratio = _RATIOS[gear - 1]
    rpm = max(wheel_rpm * ratio, _IDLE + _CLUTCH_RPM if gear == 1 else _IDLE)
    return _TORQUE[min(400, int(rpm / 50))] * ratio * _EFFICIENCY / TYRE_RADIUS


@dataclass(slots=True)
class Controls:
    """What a driver commands."""

    steering: float = 0.0
    """-1 (full left) .. +1 (full right)."""
    throttle: float = 0.0
    """0..1."""
    brake: float = 0.0
    """0..1."""


@dataclass(slots=True)
class Surface:
    """The ground below the car at one instant."""

    height: float = 0.0
    """Metres."""
    grade: float = 0.0
    """Rise per metre in the direction the car faces."""
    grip: tuple[float, ...] | list[float] = (1.0, 1.0, 1.0, 1.0)
    """Per wheel, as a part of the grip on dry asphalt."""
    resistance: tuple[float, ...] | list[float] = (0.013, 0.013, 0.013, 0.013)
    """Per wheel, rolling resistance as a part of its load."""


class Car:
    """A car and its state; ``step`` moves it on."""

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, heading: float = 0.0, speed: float = 0.0):
        self.x, self.y, self.z, self.heading = x, y, z, heading
        """Reference point on the ground below the centre of gravity, metres; radians counter-clockwise from east."""
        self.pitch = self.roll = 0.0
        """Of the body, radians: positive nose up, positive leaning to the right."""
        self.vx, self.vy, self.yaw_rate = speed, 0.0, 0.0
        """Forward and left, m/s; rad/s counter-clockwise."""
        self.steering = self.throttle = self.brake = 0.0
        """What the wheels and pedals have now; the steering follows the command as fast as the mechanism can."""
        self.pull = 0.0
        """What turns the front wheels beyond that without the driver's doing, as ruts in the road do."""
        self.ax = self.ay = 0.0
        """Forward and left, m/s²."""
        self.gear, self.rpm = 1, _IDLE
        while self.gear < 6 and speed / TYRE_RADIUS * _RATIOS[self.gear - 1] * _RPM > 6000:
            self.gear += 1
        self.wheel_speed = [speed / TYRE_RADIUS] * 4
        """rad/s."""
        self.wheel_angle = [0.0] * 4
        """0 to a full turn, radians, for drawing."""
        self.slip = [0.0] * 4
        """Of each tyre, along and across combined; most grip at 0.14."""
        self.load = [MASS * GRAVITY / 4] * 4
        """N."""
        self._side_force = [0.0] * 4
        self._lean = self._lean_rate = self._dive = self._dive_rate = 0.0  # accelerations as the springs feel them
        self._eagerness = 0.0  # pedal use of the last seconds: how late the gearbox shifts
        self._since_shift = 1.0

    @property
    def speed(self) -> float:
        """m/s, whatever the direction."""
        return sqrt(self.vx * self.vx + self.vy * self.vy)

    def step(self, controls: Controls, dt: float, surface: Surface) -> None:
        """Move on by ``dt`` seconds (about 3 ms)."""
        # The constant comes first in min() and max() so that not even a NaN gets past them.
        wanted = max(-1.0, min(1.0, controls.steering)) - self.steering
        self.steering += max(-_STEER_RATE * dt, min(_STEER_RATE * dt, wanted))
        self.throttle = max(0.0, min(1.0, controls.throttle))
        self.brake = max(0.0, min(1.0, controls.brake))
        self.z = surface.height
        if self._stands(surface.grade):
            self._rest()
        else:
            torque, inertia = self._drive(dt)
            self._roll_on(self._tyre_forces(torque, inertia, dt, surface), dt, surface.grade)
        self._lean_body(dt, surface.grade)

    def _stands(self, grade: float) -> bool:
        """Whether the car is at rest and nothing moves it: then it stands exactly still."""
        if self.throttle > 0.01 or abs(self.vx) > 0.08 or abs(self.vy) > 0.08 or abs(self.yaw_rate) > 0.05:
            return False
        return self.brake > 0.02 or abs(grade) < 0.012

    def _rest(self) -> None:
        self.vx = self.vy = self.yaw_rate = self.ax = self.ay = 0.0
        self.gear, self.rpm = 1, _IDLE
        for wheel in range(4):
            self.wheel_speed[wheel] = self.slip[wheel] = self._side_force[wheel] = 0.0

    def _drive(self, dt: float) -> tuple[float, float]:
        """Torque at each driven wheel, N m, and the inertia of one with its half of the engine, kg m²."""
        throttle = self.throttle
        wish = max(throttle, self.brake) - self._eagerness
        self._eagerness += wish * dt * (3.0 if wish > 0 else 0.3)
        self._since_shift += dt
        ratio = _RATIOS[self.gear - 1]
        if self._since_shift > _SHIFT_PAUSE:
            road_rpm = self.vx / TYRE_RADIUS * ratio * _RPM
            if self.gear < 6 and road_rpm > _UPSHIFT[0] + _UPSHIFT[1] * self._eagerness:
                self.gear += 1
                self._since_shift = 0.0
            elif self.gear > 1 and road_rpm < _DOWNSHIFT[0] + _DOWNSHIFT[1] * self._eagerness:
                self.gear -= 1
                self._since_shift = 0.0
            ratio = _RATIOS[self.gear - 1]
        wheel_rpm = 0.5 * (self.wheel_speed[2] + self.wheel_speed[3]) * ratio * _RPM
        clutch_rpm = _IDLE + (_CLUTCH_RPM * throttle if self.gear == 1 else 0.0)  # it slips when moving off
        rpm = max(wheel_rpm, clutch_rpm)
        self.rpm += (min(rpm, MAX_RPM) - self.rpm) * min(1.0, 25 * dt)
        inertia = _WHEEL_INERTIA + 0.5 * _ENGINE_INERTIA * ratio * ratio
        if self._since_shift < _SHIFT_TIME:
            return 0.0, inertia
        engine_brake = (20 + 0.005 * rpm) * min(1.0, max(0.0, wheel_rpm - _IDLE) / 800)
        torque = throttle * _TORQUE[min(400, int(rpm * 0.02))] * _EFFICIENCY - (1 - throttle) * engine_brake
        return 0.5 * torque * ratio, inertia

    def _loads(self) -> list[float]:
        """Load of each wheel, N, with what acceleration, leaning and air move between them."""
        weight = MASS * GRAVITY
        down = _DOWNFORCE * self.vx * self.vx
        backwards = MASS * self._dive * GRAVITY_HEIGHT / WHEELBASE
        front = 0.5 * (weight * REAR_AXLE / WHEELBASE + 0.4 * down - backwards)
        rear = 0.5 * (weight * FRONT_AXLE / WHEELBASE + 0.6 * down + backwards)
        right = MASS * self._lean * GRAVITY_HEIGHT / TRACK_WIDTH
        right_front, right_rear = right * _FRONT_ROLL_SHARE, right * (1 - _FRONT_ROLL_SHARE)
        return [
            max(50.0, front - right_front), max(50.0, front + right_front),
            max(50.0, rear - right_rear), max(50.0, rear + right_rear),
        ]  # fmt: skip

    def _tyre_forces(
        self, torque: float, driven_inertia: float, dt: float, surface: Surface
    ) -> tuple[float, float, float]:
        """Turn the wheels, and return the sum of the tyres' forces: forward N, left N, and about the vertical N m."""
        vx, vy, yaw_rate = self.vx, self.vy, self.yaw_rate
        angle = -(self.steering + self.pull) * MAX_STEER
        cosine, sine = cos(angle), sin(angle)
        speeds, side_forces, grips, resistances = self.wheel_speed, self._side_force, surface.grip, surface.resistance
        self.load = loads = self._loads()
        locking = _DIFFERENTIAL * (speeds[3] - speeds[2])
        force_x = force_y = moment = 0.0
        eased, helper = self._stability_program()
        for i in range(4):
            x, y, load, speed = WHEEL_X[i], WHEEL_Y[i], loads[i], speeds[i]
            along, across = vx - yaw_rate * y, vy + yaw_rate * x
            if i < 2:
                along, across = along * cosine + across * sine, across * cosine - along * sine
            pace = max(_SLOW, abs(along))
            slip_x, slip_y = _LENGTHWAYS * (speed * TYRE_RADIUS - along) / pace, -across / pace
            slip = sqrt(slip_x * slip_x + slip_y * slip_y) + 1e-6
            most = load * _GRIP[i] * grips[i] * (1 - _LOAD_SENSITIVITY * (load - _NOMINAL_LOAD))
            per_slip = most * sin(_SHAPE * atan(_STIFFNESS[i] * slip)) / slip
            # ABS and traction control hand a tyre no more torque than it can pass on beside its sideways force.
            room = TYRE_RADIUS * sqrt(max(0.04 * most * most, most * most - side_forces[i] * side_forces[i]))
            drive, inertia = 0.0, _WHEEL_INERTIA
            brake = _BRAKE_TORQUE[i] * (max(self.brake, eased) if i == helper else self.brake * (1 - eased))
            if i > 1:
                inertia = driven_inertia
                drive = min(torque * (1 - eased), 0.97 * room) + (locking if i == 2 else -locking)
            stiffness = per_slip * _LENGTHWAYS / pace  # N per m/s of sliding
            gain = dt / inertia
            damping = 1 + stiffness * TYRE_RADIUS * TYRE_RADIUS * gain
            speed = (speed + (drive + stiffness * along * TYRE_RADIUS) * gain) / damping
            braking = min(brake, 0.97 * room) * gain / damping
            speed = 0.0 if abs(speed) <= braking else speed - copysign(braking, speed)
            speeds[i], self.slip[i] = speed, slip
            push = max(-most, min(most, stiffness * (speed * TYRE_RADIUS - along)))
            push -= resistances[i] * load * along / (abs(along) + 0.1)
            side_forces[i] = side = per_slip * slip_y
            if i < 2:
                push, side = push * cosine - side * sine, push * sine + side * cosine
            force_x += push
            force_y += side
            moment += x * side - y * push
        return force_x, force_y, moment

    def _stability_program(self) -> tuple[float, int]:
        """The share of the pedals that it takes away while the rear slides out, and the front wheel it brakes then."""
        if self.vx < _SLOW:
            return 0.0, 0
        outwards = (self.vy - self.yaw_rate * REAR_AXLE) / self.vx
        begin, end = _SLIDE
        return max(0.0, min(1.0, (abs(outwards) - begin) / (end - begin))), 0 if outwards > 0 else 1

    def _roll_on(self, forces: tuple[float, float, float], dt: float, grade: float) -> None:
        """Accelerate by the tyres' forces, the air and the slope, then move."""
        force_x, force_y, moment = forces
        vx, vy = self.vx, self.vy
        speed = sqrt(vx * vx + vy * vy)
        self.ax = (force_x - DRAG * speed * vx) / MASS - GRAVITY * grade
        self.ay = (force_y - DRAG * speed * vy) / MASS
        self.vx = vx = vx + (self.ax + self.yaw_rate * vy) * dt
        self.vy = vy = vy + (self.ay - self.yaw_rate * vx) * dt
        self.yaw_rate += moment / YAW_INERTIA * dt
        self.heading += self.yaw_rate * dt
        cosine, sine = cos(self.heading), sin(self.heading)
        self.x += (vx * cosine - vy * sine) * dt
        self.y += (vx * sine + vy * cosine) * dt
        angles = self.wheel_angle
        for i, speed in enumerate(self.wheel_speed):
            angles[i] = (angles[i] + speed * dt) % math.tau

    def _lean_body(self, dt: float, grade: float) -> None:
        """The springs: the body follows the accelerations a little later, with a small overshoot."""
        spring, damper = _BODY_RATE * _BODY_RATE, 2 * _BODY_DAMPING * _BODY_RATE
        self._lean_rate += (spring * (self.ay - self._lean) - damper * self._lean_rate) * dt
        self._lean += self._lean_rate * dt
        self._dive_rate += (spring * (self.ax - self._dive) - damper * self._dive_rate) * dt
        self._dive += self._dive_rate * dt
        self.roll = self._lean * _ROLL_PER_ACCELERATION
        self.pitch = self._dive * _PITCH_PER_ACCELERATION + atan(grade)
