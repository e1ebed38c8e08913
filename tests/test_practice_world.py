import hashlib
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acpilot.practice.car import Car, Controls
from acpilot.practice.closed_path import ClosedPath
from acpilot.practice.expert import Expert
from acpilot.practice.racing_line import MARGIN, make_racing_line
from acpilot.practice.track import KERB_WIDTH, TRACK_NAMES, Track, clearance, faults, make_track
from acpilot.practice.world import DT, EXPERT_EVERY, World


@pytest.fixture(scope="module")
def oval() -> Track:
    return make_track("oval")


def put(world: World, index: int, left: float = 0.0, turned: float = 0.0, speed: float = 0.0) -> None:
    """Put the world's car beside a sample of the centre line, and let the world notice."""
    track = world.track
    heading = float(track.heading[index])
    x, y, z = track.center[index].tolist()
    world.car = Car(x - left * math.sin(heading), y + left * math.cos(heading), z, heading + turned, speed)
    for _ in range(len(track.center) // 40):  # the search walks some 50 m a step
        world._locate()


# Tracks ---------------------------------------------------------------------------------------------------------------


def check_shape(track: Track) -> None:
    assert faults(track) == []
    count = len(track.center)
    assert track.length == pytest.approx(count * track.spacing)
    assert 0.95 < track.spacing < 1.05
    step = np.roll(track.center, -1, axis=0) - track.center
    assert np.hypot(step[:, 0], step[:, 1]) == pytest.approx(track.spacing, rel=0.01)  # closed, and evenly sampled
    assert 1 / np.abs(track.curvature).max() >= 10
    assert np.abs(track.slope).max() <= 0.09
    assert clearance(track) >= 24.5
    turn = track.heading[-1] - track.heading[0] + track.curvature[-1] * track.spacing
    assert abs(turn) == pytest.approx(2 * math.pi, abs=0.02)  # once round: no figure of eight
    assert np.diff(track.heading) == pytest.approx(track.curvature[:-1] * track.spacing, abs=0.01)
    assert np.abs(np.diff(track.curvature)).max() < 0.01  # no sudden bends
    along = np.column_stack([np.cos(track.heading), np.sin(track.heading)])
    assert (along * step[:, :2]).sum(axis=1) == pytest.approx(track.spacing, rel=0.01)


@pytest.mark.parametrize("name", TRACK_NAMES)
def test_named_tracks_keep_the_rules(name: str) -> None:
    track = make_track(name)
    check_shape(track)
    assert track.name == name


def test_named_tracks_differ_in_character() -> None:
    tracks = {name: make_track(name) for name in TRACK_NAMES}
    assert len(tracks) >= 7
    assert tracks["oval"].length < 1100
    assert tracks["narrow"].half_width.max() == 3.5
    assert 20 <= np.ptp(tracks["hills"].center[:, 2]) <= 40
    assert 1 / np.abs(tracks["hairpins"].curvature).max() < 15
    assert 1 / np.abs(tracks["fast"].curvature).max() > 60
    turns = {np.sign(track.heading[-1] - track.heading[0]) for track in tracks.values()}
    assert turns == {-1.0, 1.0}  # some are driven clockwise


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_random_tracks_keep_the_rules(seed: int) -> None:
    check_shape(make_track(f"random:{seed}"))


def test_random_tracks_are_repeatable_and_different() -> None:
    assert make_track("random:4").center.tobytes() == make_track("random:4").center.tobytes()
    assert make_track("random:4").length != make_track("random:5").length


@pytest.mark.parametrize("name", ["monza", "random:", "random:-1", "random:x", ""])
def test_unknown_tracks_are_refused_with_the_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"oval.*random:SEED"):
        make_track(name)


# Finding the place ----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.floats(0, 0.999), st.floats(-10, 10), st.integers(-30, 30))
def test_projection_finds_place_and_offset_from_any_hint_nearby(part: float, left: float, hint: int) -> None:
    track = make_track("oval")
    count, position = len(track.center), part * len(track.center)
    index = int(position)
    heading = track.heading[index] + (position - index) * track.spacing * track.curvature[index]
    between = track.center[index] + (position - index) * (track.center[(index + 1) % count] - track.center[index])
    x, y = float(between[0] - left * math.sin(heading)), float(between[1] + left * math.cos(heading))
    found, aside = ClosedPath(track.center[:, :2]).project(x, y, (index + hint) % count)
    assert abs((found - position + count / 2) % count - count / 2) < 0.2
    assert aside == pytest.approx(left, abs=0.02)


def test_tyres_out_counts_from_the_end_of_the_kerb(oval: Track) -> None:
    world, edge = World(oval), 6.0 + KERB_WIDTH
    for left, out in ((0.0, 0), (edge - 0.9, 0), (edge, 2), (-edge, 2), (edge + 0.9, 4), (-edge - 3, 4)):
        put(world, 20, left)
        assert world.tyres_out == out
        assert world.off_track == (out == 4)
        assert world.lateral == pytest.approx(left, abs=0.01)
    put(world, 20, edge - 0.75, turned=0.3)
    assert world.tyres_out in (1, 2)


def test_grass_is_slower_and_slipperier_than_the_road(oval: Track) -> None:
    speeds = []
    for left in (0.0, 15.0):
        world = World(oval)
        put(world, 20, left, speed=20.0)
        for _ in range(300):
            world.step(Controls())
        speeds.append(world.car.vx)
    assert speeds[1] < speeds[0] - 0.5


def test_car_follows_the_height_of_the_road() -> None:
    track = make_track("hills")
    world = World(track)
    index = int(np.argmax(track.slope))
    put(world, index)
    assert world.car.z == pytest.approx(track.center[index, 2])
    world.step(Controls(brake=1.0))
    assert world.car.pitch == pytest.approx(track.slope[index], abs=0.003)
    assert world.car.vx == 0.0
    put(world, index, turned=math.pi)
    world.step(Controls(brake=1.0))
    assert world.car.pitch == pytest.approx(-track.slope[index], abs=0.003)


# Laps and resets ------------------------------------------------------------------------------------------------------


def test_a_lap_is_timed_to_a_part_of_a_step(oval: Track) -> None:
    world = World(oval, expert=True)
    while world.lap < 2:
        before = world.time
        world.step()
    assert world.last_lap_time is not None
    assert world.best_lap_time == world.last_lap_time
    crossed = world.time - world.lap_time
    assert before < crossed <= world.time
    beyond = world.progress * oval.length  # what the car has driven since, at its speed
    assert world.time - crossed == pytest.approx(beyond / world.car.speed, abs=DT / 20)


def test_no_lap_for_driving_to_and_fro_over_the_line(oval: Track) -> None:
    world = World(oval)
    for backwards in (True, False, True, False):
        put(world, 0, turned=math.pi if backwards else 0.0, speed=10.0)
        for _ in range(700):
            world.step(Controls())
    assert world.lap == 0
    assert world.last_lap_time is None


def test_reset_puts_the_car_back_where_it_is(oval: Track) -> None:
    world = World(oval)
    put(world, 100, left=9.0, turned=2.0, speed=15.0)
    world.reset()
    assert world.resets == 1
    assert world.car.speed == 0
    assert world.car.heading == pytest.approx(oval.heading[100], abs=0.05)
    assert abs(world.lateral) < 0.01
    assert world.progress * len(oval.center) == pytest.approx(100, abs=2)


def test_controls_stay_until_new_ones_come(oval: Track) -> None:
    world = World(oval)
    world.step(Controls(throttle=0.5))
    world.step()
    assert world.car.throttle == 0.5
    assert world.time == 2 * DT


# The expert -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["twisty", "hairpins", "random:3"])
def test_racing_line_stays_on_the_road_and_is_flatter_than_its_middle(name: str) -> None:
    track = make_track(name)
    line = make_racing_line(track)
    assert np.all(np.abs(line.offset) <= track.half_width - MARGIN + 1e-6)
    assert np.abs(line.curvature).max() < np.abs(track.curvature).max()
    assert np.all(line.speed**2 * np.abs(line.curvature) < 8.5)
    assert line.speed.min() > 8


@pytest.mark.parametrize("name", [*TRACK_NAMES, "random:0", "random:7"])
def test_expert_stays_on_every_track(name: str) -> None:
    world = World(make_track(name), expert=True)
    line = world.expert.line if world.expert else None
    assert line is not None
    while world.lap < 1:
        world.step()
        assert world.tyres_out == 0
        assert world.controls.throttle == 0 or world.controls.brake == 0
        assert world.time < 200
    assert world.resets == 0
    planned = float((world.track.spacing / line.speed).sum())
    assert world.last_lap_time is not None
    assert world.last_lap_time < planned + 12  # a standing start costs some eight seconds


def test_a_calmer_expert_takes_longer_in_proportion(oval: Track) -> None:
    times = []
    for pace in (1.0, 0.85):
        world = World(oval, expert=True, pace=pace)
        while world.lap < 2:
            world.step()
        assert world.resets == 0
        assert world.last_lap_time is not None
        times.append(world.last_lap_time)  # of a flying lap
    assert times[1] / times[0] == pytest.approx(1 / 0.85, rel=0.05)


@pytest.mark.parametrize(("name", "seed"), [("allround", 0), ("narrow", 1)])
def test_disturbed_expert_wanders_and_returns(name: str, seed: int) -> None:
    world = World(make_track(name), expert=True, disturbance=1.0, seed=seed)
    assert world.expert is not None
    offset = world.expert.line.offset
    count = len(offset)
    spells, aside = 0, []
    before = False
    while world.time < 60:
        world.step()
        assert not world.off_track
        spells += world.disturbed and not before
        before = world.disturbed
        if world.steps % EXPERT_EVERY == 1:
            right = world.expert.controls(world.car)
            assert abs(world.controls.steering - right.steering) < 0.1, "the inputs are the expert's right answer"
        aside.append(world.lateral - offset[int(world.progress * count)])
    assert 5 <= spells <= 20
    assert 0.5 < np.abs(aside[5000:]).max() < 5
    assert world.resets == 0


@pytest.mark.parametrize(
    ("left", "turned", "speed"),
    [(0, 0, 0), (0, 1.05, 0), (3, -1.05, 5), (-9, 0.5, 8), (12, 1.0, 0), (-4, -0.2, 15), (0, 3.1, 0)],
)
def test_expert_comes_back_from_anywhere(oval: Track, left: float, turned: float, speed: float) -> None:
    world = World(oval, expert=True)
    put(world, 20, left, turned, speed)
    for _ in range(round(20 / DT)):
        world.step()
    assert world.expert is not None
    index = int(world.progress * len(oval.center))
    assert abs(world.lateral - world.expert.line.offset[index]) < 0.6
    assert world.tyres_out == 0
    assert world.car.speed > 15
    assert world.resets == 0


def test_expert_answers_by_the_state_alone(oval: Track) -> None:
    expert, (x, y, z) = Expert(oval), oval.center[50].tolist()
    car = Car(x, y, z, float(oval.heading[50]) + 0.1, 20.0)
    first = expert.controls(car)
    expert.controls(Car())
    assert expert.controls(car) == first
    hinted = expert.controls(car, 45)  # inside a bend two segments are as near, and the hint decides between them
    assert (hinted.steering, hinted.brake) == pytest.approx((first.steering, first.brake), abs=0.002)
    assert hinted.throttle == pytest.approx(first.throttle, abs=0.002)


def test_beside_its_line_the_expert_slows_down_for_bends_alone() -> None:
    track = make_track("allround")
    expert = Expert(track)
    line, ahead = expert.line, range(round(60 / track.spacing))
    sideways = np.abs(line.curvature) * line.speed**2
    soon = np.max([np.roll(sideways, -step) for step in ahead], axis=0)
    brakes = []
    for index in (int(soon.argmin()), int(sideways.argmax())):
        heading = float(line.heading[index])
        aside = np.array([-math.sin(heading), math.cos(heading)]) * math.copysign(3, -line.offset[index])
        x, y = (line.points[index] + aside).tolist()
        brakes.append(expert.controls(Car(x, y, 0.0, heading, float(line.speed[index]))).brake)
    assert brakes[0] == 0
    assert brakes[1] > 0.1


def test_up_to_the_speed_that_it_wants_the_expert_does_not_brake_for_a_bend() -> None:
    track = make_track("allround")
    expert = Expert(track)
    line = expert.line
    soon = np.roll(line.limit, -10)
    before_bends = np.flatnonzero((soon < 0.9 * line.limit) & (line.limit < 50))
    assert len(before_bends) > 10
    for index in before_bends.tolist():
        x, y = line.points[index].tolist()
        limit, heading = float(line.limit[index]), float(line.heading[index])
        slower, faster = (Car(x, y, 0.0, heading, share * limit) for share in (0.6, 1.1))
        assert slower.vx < expert.wanted_speed(slower)
        assert expert.controls(slower).brake == 0
        assert faster.vx > expert.wanted_speed(faster)
        assert expert.controls(faster).brake > 0.1
    assert (line.limit >= line.speed - 1e-9).all()
    assert (line.limit > line.speed + 5).any(), "out of bends the engine takes time"


def test_a_lost_expert_is_put_back(oval: Track) -> None:
    world = World(oval, expert=True)
    put(world, 20, left=60.0, turned=1.5, speed=20.0)
    while world.resets == 0 and world.time < 10:
        world.step()
    assert 4.9 < world.time < 6.0
    assert world.tyres_out == 0


# The same drive every time --------------------------------------------------------------------------------------------


def digest(name: str, seconds: float) -> str:
    """Fingerprint of a disturbed drive."""
    world = World(make_track(name), expert=True, seed=3, disturbance=1.0)
    sha = hashlib.sha256()
    while world.time < seconds:
        world.step()
        car = world.car
        sha.update(struct.pack("<6d", car.x, car.y, car.heading, car.vx, car.rpm, world.controls.steering))
    return sha.hexdigest()


def test_the_same_seed_gives_the_same_drive_in_any_process() -> None:
    here = digest("random:9", 15)
    assert digest("random:9", 15) == here
    code = "from test_practice_world import digest; print(digest('random:9', 15))"
    folder = Path(__file__).parent
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    there = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
