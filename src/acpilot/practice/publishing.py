"""The world as Assetto Corsa's memory pages.

The game's world has x east, y up and z south (its maps draw x to the right and z downwards); ours has x east, y north,
z up. Car vectors are x right, y up, z forward. The expert stands in for a human driver, so ``ai_controlled`` stays 0.
"""

import math

import numpy as np

from acpilot.practice.world import World
from acpilot.telemetry.pages import GRAPHICS, GRAVITY, PHYSICS, STATIC, Status, encode_text, lap_time_text
from acpilot.telemetry.shared_memory import PagePublisher

CAR = "practice_coupe"
"""Name of the practice game's only car."""
_GRAPHICS_EVERY = 5  # physics steps: 67 Hz, about what a screen asks for
_TYRE_RADIUS = 0.32


def _slot(page: "np.dtype[np.void]", name: str) -> int:
    """Index of a four-byte field in its page."""
    assert page.fields is not None
    return int(page.fields[name][1]) // 4


class WorldPublisher:
    """Writes the world into the pages at every physics step."""

    def __init__(self, world: World, publisher: PagePublisher) -> None:
        self._world, self._publisher = world, publisher
        self._physics = bytearray(PHYSICS.itemsize)
        # Plain memory views: assigning NumPy fields one by one would cost more than the physics.
        self._floats = memoryview(self._physics).cast("f")
        self._ints = memoryview(self._physics).cast("i")
        self._at = {name: _slot(PHYSICS, name) for name in PHYSICS.names or ()}
        self._graphics = np.zeros((), GRAPHICS)
        self._packet = 0
        self._graphics_packet = 0
        self._write_constants()
        publisher.publish_static(self._static().tobytes())

    def publish(self, *, paused: bool = False) -> None:
        """Publish the step that the world has just made; while paused only the status changes."""
        if not paused:
            self._packet += 1
            self._write_physics()
            self._publisher.publish_physics(self._physics)
        status = Status.PAUSE if paused else Status.LIVE
        if self._packet % _GRAPHICS_EVERY == 1 or self._graphics["status"] != status:
            self._graphics["status"] = status
            self._write_graphics()

    def end(self) -> None:
        """Say that the session is over."""
        self._graphics["status"] = Status.OFF
        self._publisher.publish_graphics(self._graphics.tobytes())

    def _write_constants(self) -> None:
        floats, at = self._floats, self._at
        for name, value in (
            ("fuel", 40.0), ("clutch", 1.0), ("cg_height", 0.46), ("air_density", 1.2), ("air_temperature", 22.0),
            ("road_temperature", 28.0), ("brake_bias", 0.71), ("traction_control", 0.1), ("abs", 0.1),
        ):  # fmt: skip
            floats[at[name]] = value
        for wheel in range(4):
            floats[at["tyre_pressure"] + wheel] = 26.0
            floats[at["tyre_core_temperature"] + wheel] = 80.0
        self._ints[at["auto_shifter"]] = 1

    def _write_physics(self) -> None:
        car, world, floats, ints, at = self._world.car, self._world, self._floats, self._ints, self._at
        cosine, sine = math.cos(car.heading), math.sin(car.heading)
        east, north = car.vx * cosine - car.vy * sine, car.vx * sine + car.vy * cosine
        ints[0] = self._packet
        floats[at["gas"]], floats[at["brake"]] = car.throttle, car.brake
        ints[at["gear"]], ints[at["rpm"]] = car.gear + 1, int(car.rpm)
        floats[at["steer_angle"]] = car.steering
        floats[at["speed_kmh"]] = car.speed * 3.6
        slot = at["velocity"]
        floats[slot], floats[slot + 1], floats[slot + 2] = east, car.vx * math.sin(car.pitch), -north
        slot = at["acceleration_g"]
        floats[slot], floats[slot + 2] = -car.ay / GRAVITY, car.ax / GRAVITY
        slot = at["local_velocity"]
        floats[slot], floats[slot + 2] = -car.vy, car.vx
        floats[at["local_angular_velocity"] + 1] = -car.yaw_rate
        floats[at["heading"]] = math.remainder(math.pi / 2 - car.heading, math.tau)
        floats[at["pitch"]], floats[at["roll"]] = car.pitch, car.roll
        for wheel in range(4):
            floats[at["wheel_slip"] + wheel] = car.slip[wheel]
            floats[at["wheel_load"] + wheel] = car.load[wheel]
            floats[at["wheel_angular_speed"] + wheel] = car.wheel_speed[wheel]
        ints[at["tyres_out"]] = world.tyres_out

    def _write_graphics(self) -> None:
        world, car, page = self._world, self._world.car, self._graphics
        self._graphics_packet += 1
        page["packet_id"] = self._graphics_packet
        page["completed_laps"], page["number_of_laps"], page["position"] = world.lap, 0, 1
        last, best = world.last_lap_time, world.best_lap_time
        times = {"current_time": world.lap_time, "last_time": last, "best_time": best}
        for name, seconds in times.items():
            page[name] = encode_text(lap_time_text(None if seconds is None else round(1000 * seconds)), 15)
        page["lap_time_ms"] = round(1000 * world.lap_time)
        page["last_lap_ms"], page["best_lap_ms"] = round(1000 * (last or 0)), round(1000 * (best or 0))
        page["normalized_position"] = world.progress
        page["distance_traveled"] = (world.lap + world.progress) * world.track.length
        page["position_m"] = (car.x, car.z, -car.y)
        page["surface_grip"] = 1.0
        page["sector"] = min(2, int(3 * world.progress))
        page["tyre_compound"] = encode_text("Semislicks", 33)
        self._publisher.publish_graphics(page.tobytes())

    def _static(self) -> np.ndarray:
        page, track = np.zeros((), STATIC), self._world.track
        for name, text in (
            ("shared_memory_version", "1.7"), ("game_version", "practice"), ("car", CAR),
            ("track", track.name.replace(":", "_")), ("player_name", "Practice"), ("player_nick", "practice"),
        ):  # fmt: skip
            assert STATIC.fields is not None
            page[name] = encode_text(text, STATIC.fields[name][0].shape[0])
        page["number_of_cars"], page["number_of_sessions"], page["sector_count"] = 1, 1, 3
        page["max_rpm"], page["max_fuel"] = 8000, 60.0
        page["tyre_radius"] = _TYRE_RADIUS
        page["aid_auto_clutch"], page["aid_stability"] = 1, 1.0
        page["track_length_m"] = track.length
        return page
