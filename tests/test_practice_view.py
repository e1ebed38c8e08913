import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import mss
import numpy as np
import pytest
from numpy.typing import NDArray
from panda3d.core import RenderState, TransformState
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest
from Xlib.protocol import event

from acpilot import clock_strip, panda_output
from acpilot.panda_output import RendererName
from acpilot.policy.preprocessing import Preprocessing
from acpilot.practice.landscape import Landscape
from acpilot.practice.mesh import Mesh, merge
from acpilot.practice.pose import Pose
from acpilot.practice.roadside import CLEAR, Roadside
from acpilot.practice.track import KERB_WIDTH, TRACK_NAMES, Track, make_track
from acpilot.practice.view import View, ViewOptions
from conftest import wait_for

RENDERERS: tuple[RendererName, ...] = ("opengl", "software")
INSTANT = 123_456_780_000


@cache
def track(name: str = "oval") -> Track:
    return make_track(name)


@cache
def landscape(name: str) -> Landscape:
    return Landscape(track(name))


def pose_at(course: Track, metres: float) -> Pose:
    sample = round(metres / course.spacing) % len(course.center)
    x, y, z = (float(value) for value in course.center[sample])
    return Pose(x, y, z, float(course.heading[sample]))


def picture(options: ViewOptions, metres: float = 30.0, name: str = "oval") -> NDArray[np.uint8]:
    with View(track(name), options) as view:
        view.draw(pose_at(track(name), metres), INSTANT)
        return view.pixels()


@contextmanager
def without_display() -> Iterator[None]:
    before = os.environ.pop("DISPLAY", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["DISPLAY"] = before


# --- the shape of the scenery


def heights_over(mesh: Mesh, points: NDArray[np.float64], combine: np.ufunc, empty: float) -> NDArray[np.float64]:
    """The highest (np.maximum) or lowest (np.minimum) height of a mesh over points (n, 2)."""
    a, b, c = (mesh.position[mesh.triangles[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    solid = np.abs(area) > 1e-9
    a, b, c, area = a[solid], b[solid], c[solid], area[solid]
    found = np.full(len(points), empty)
    for i, (x, y) in enumerate(points):
        u = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
        v = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
        inside = (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6)
        if inside.any():
            z = a[:, 2] + u * (b[:, 2] - a[:, 2]) + v * (c[:, 2] - a[:, 2])
            found[i] = combine.reduce(z[inside])
    return found


def across_the_road(course: Track, offsets: tuple[float, ...], every: float) -> NDArray[np.float64]:
    """Points (n, 2) of the road at parts of its half width, -1..1."""
    samples = np.arange(0, len(course.center), round(every / course.spacing))
    left = np.stack([-np.sin(course.heading[samples]), np.cos(course.heading[samples])], axis=1)
    half = course.half_width[samples, None]
    return np.concatenate([course.center[samples, :2] + left * half * offset for offset in offsets])


@pytest.mark.parametrize("name", [*TRACK_NAMES, "random:1", "random:2"])
def test_no_ground_covers_the_road(name: str) -> None:
    land = landscape(name)
    points = across_the_road(track(name), (-0.97, 0.0, 0.97), every=20.0)
    road = heights_over(merge([*land.road(), land.start_line()]), points, np.maximum, -np.inf)
    assert np.isfinite(road).all(), "there is a hole in the road"
    for ground in (land.ground(), land.terrain()):
        above = heights_over(merge(ground), points, np.maximum, -np.inf) - road
        assert above.max() < 0.01, f"ground lies {above.max():.2f} m above the road at {points[above.argmax()]}"


@pytest.mark.parametrize("name", TRACK_NAMES)
def test_the_road_is_where_the_car_drives(name: str) -> None:
    course, land = track(name), landscape(name)
    samples = np.arange(0, len(course.center), 17)
    points = course.center[samples, :2]
    road = heights_over(merge([*land.road(), land.start_line()]), points, np.maximum, -np.inf)
    assert np.abs(road - course.center[samples, 2]).max() < 0.1


@pytest.mark.parametrize("name", [*TRACK_NAMES, "random:1", "random:2"])
def test_the_ribbon_meets_the_terrain_without_a_gap(name: str) -> None:
    land = landscape(name)
    edge = np.concatenate([land._section[::4, 0], land._section[::4, -1]])
    terrain = heights_over(merge(land.terrain()), edge[:, :2], np.maximum, -np.inf)
    assert (terrain > edge[:, 2] - 0.01).all()


@pytest.mark.parametrize("name", [*TRACK_NAMES, "random:1", "random:2"])
def test_nothing_stands_near_a_road(name: str) -> None:
    course = track(name)
    feet = np.concatenate(Roadside(landscape(name)).feet)
    assert len(feet) > 200
    nearest = np.full(len(feet), np.inf)
    for centre, half_width in zip(course.center[:, :2], course.half_width, strict=True):
        nearest = np.minimum(nearest, np.hypot(feet[:, 0] - centre[0], feet[:, 1] - centre[1]) - half_width)
    assert nearest.min() > KERB_WIDTH + 4.0 - 0.15
    assert CLEAR == KERB_WIDTH + 4.0


def test_scenery_is_decided_by_the_seed() -> None:
    first, second = (merge(Roadside(Landscape(course)).large) for course in (track(), make_track("oval")))
    assert np.array_equal(first.position, second.position)
    other = merge(Roadside(Landscape(replace(track(), seed=99))).large)
    assert other.position.shape != first.position.shape or not np.array_equal(other.position, first.position)


def test_normals_point_upwards() -> None:
    land = landscape("hills")
    for mesh in (*land.road(), *land.ground(), *land.terrain()):
        assert (mesh.normal[:, 2] > 0.5).all()
        corners = mesh.position[mesh.triangles]
        upwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
        assert (upwards > -0.1).all()  # but for slivers at the end of the room


# --- pictures


@pytest.mark.parametrize("renderer", RENDERERS)
def test_off_screen_needs_no_display_and_repeats_to_the_pixel(renderer: RendererName) -> None:
    options = ViewOptions(offscreen=True, renderer=renderer)
    with without_display():
        first, second = picture(options), picture(options)
    assert first.shape == (360, 640, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert np.array_equal(first, second)
    sky, road = first[20:60].mean(axis=(0, 1)), first[240:280, 300:340].mean(axis=(0, 1))
    assert sky[2] > sky[0] + 20, "the sky is not blue at the top"
    assert np.ptp(road) < 25, "the road is not grey in the middle"
    assert first[330:, 250:390, 0].mean() > first[330:, 250:390, 1].mean() + 60, "no red bonnet at the bottom"


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_frame_drawn_again_is_the_same(renderer: RendererName) -> None:
    course = track()
    with View(course, ViewOptions(offscreen=True, renderer=renderer, camera="cockpit")) as view:
        view.draw(pose_at(course, 100), 0)
        first = view.pixels()
        view.draw(pose_at(course, 400), 0)
        assert not np.array_equal(view.pixels(), first)
        view.draw(pose_at(course, 100), 0)
        assert np.array_equal(view.pixels(), first)


def test_lights_and_cameras_differ() -> None:
    options = ViewOptions(offscreen=True)
    noon, evening, overcast, cockpit, chase = (
        picture(change).astype(float)
        for change in (
            options,
            replace(options, light="evening"),
            replace(options, light="overcast"),
            replace(options, camera="cockpit"),
            replace(options, camera="chase"),
        )
    )
    for a, b in ((noon, evening), (noon, overcast), (evening, overcast), (noon, cockpit), (noon, chase)):
        assert np.abs(a - b).mean() > 15
    top = slice(0, 120)
    assert evening[top, :, 0].mean() > evening[top, :, 2].mean(), "the evening sky is not warm"
    assert np.ptp(overcast[top].mean(axis=(0, 1))) < 25, "the overcast sky is not grey"


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_chase_camera_sees_the_car_below_the_band_that_a_policy_looks_at(renderer: RendererName) -> None:
    seen = picture(ViewOptions(offscreen=True, renderer=renderer, camera="chase")).astype(int)
    left, top, width, height = Preprocessing().band(640, 360)
    middle = slice(left + width // 2 - 20, left + width // 2 + 20)
    road, roof, window = seen[top + height - 40 : top + height, middle], seen[274:280, middle], seen[294:312, middle]
    assert np.ptp(road.mean(axis=(0, 1))) < 25, "the road is not grey before the car"
    assert roof[..., 0].mean() > roof[..., 1].mean() + 60, "no red roof below it"
    assert window.mean() < 60, "no dark window below the roof"


def test_the_steering_wheel_and_dials_turn() -> None:
    course = track()
    pose = pose_at(course, 30)
    with View(course, ViewOptions(offscreen=True, camera="cockpit")) as view:
        shown = []
        for change in (pose, replace(pose, steering=0.5), replace(pose, rpm=6000.0), replace(pose, speed_kmh=200.0)):
            view.draw(change, 0)
            shown.append(view.pixels())
    for other in shown[1:]:
        changed = (shown[0] != other).any(axis=2)
        assert changed[180:].any()
        assert not changed[:180].any()


def test_the_nose_rises_and_the_car_leans_to_the_right() -> None:
    course = track()
    pose = pose_at(course, 30)

    def horizon(view: View, shown: Pose) -> tuple[float, float]:
        """Share of sky (bluer than red) in the left and right third."""
        view.draw(shown, 0)
        pixels = view.pixels().astype(int)
        blue = pixels[..., 2] > pixels[..., 1] + 6
        return float(blue[:, :200].mean()), float(blue[:, -200:].mean())

    with View(course, ViewOptions(offscreen=True)) as view:
        level, up = horizon(view, pose), horizon(view, replace(pose, pitch=0.08))
        left, right = horizon(view, replace(pose, roll=0.15))
    assert sum(up) > sum(level)
    # Leaning to the right, the driver sees the horizon fall to the left.
    assert left - level[0] > right - level[1]


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (854, 480)])
def test_the_clock_strip_is_exact(renderer: RendererName, size: tuple[int, int]) -> None:
    pixels = picture(ViewOptions(offscreen=True, renderer=renderer, burn_clock=True, size=size))
    expected = pixels.copy()
    clock_strip.draw(expected, INSTANT)
    assert clock_strip.decode(pixels) == INSTANT
    assert (pixels != expected).any(axis=(0, 2)).sum() <= (0 if size[0] % clock_strip.CELLS == 0 else clock_strip.CELLS)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_closing_one_view_leaves_another_alone(renderer: RendererName) -> None:
    course = track()
    options = ViewOptions(offscreen=True, renderer=renderer)
    first, second = View(course, options), View(course, options)
    for view in (first, second):
        view.draw(pose_at(course, 10), 0)
        assert view.renderer == renderer
        assert not view.closed
    before = second.pixels()
    first.close()
    first.close()
    assert first.closed
    with pytest.raises(RuntimeError, match="closed"):
        first.draw(pose_at(course, 20), 0)
    del first, view
    second.draw(pose_at(course, 20), 0)
    assert not np.array_equal(second.pixels(), before)
    second.draw(pose_at(course, 10), 0)
    assert np.array_equal(second.pixels(), before)
    second.close()


def test_auto_is_opengl_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with View(track(), ViewOptions(offscreen=True)) as view:
        assert (view.renderer, view.renderer_note) == ("opengl", "")
    real = panda_output._pipe
    monkeypatch.setattr(panda_output, "_pipe", lambda name, off: real(name, off) if name == "software" else None)
    with View(track(), ViewOptions(offscreen=True)) as view:
        assert view.renderer == "software"
        assert view.renderer_note == "software instead of OpenGL: no opengl off-screen picture can be had"
    with pytest.raises(RuntimeError, match="no opengl"):
        View(track(), ViewOptions(offscreen=True, renderer="opengl"))


def test_memory_is_freed() -> None:
    """Neither frames nor closed views leave states behind (with which Panda3D keeps textures and meshes)."""
    course = track()
    left = []
    for _ in range(3):
        with View(course, ViewOptions(offscreen=True, camera="cockpit")) as view:
            for metres in range(0, 300, 10):
                view.draw(replace(pose_at(course, metres), steering=metres / 300), 0)
        left.append((RenderState.get_num_states(), TransformState.get_num_states()))
    assert left[-1] == left[0]
    assert sum(left[-1]) < 200


def test_no_window_without_a_display() -> None:
    with without_display(), pytest.raises(RuntimeError, match="without DISPLAY"):
        View(track(), ViewOptions(renderer="opengl"))


# --- the window


@contextmanager
def window(display: str, options: ViewOptions) -> Iterator[tuple[View, xdisplay.Display, int]]:
    """A view, a connection to the X server and the view's X window."""
    connection = xdisplay.Display(display)
    with View(track(), options) as view:
        view.draw(pose_at(track(), 30), INSTANT)
        named = [
            child for child in connection.screen().root.query_tree().children if child.get_wm_name() == options.title
        ]
        assert len(named) == 1
        yield view, connection, named[0].id
    connection.close()


def eventually(view: View, condition: Callable[[], bool]) -> bool:
    """Draw until a condition holds, for two seconds at most."""
    end = time.monotonic() + 2
    while not condition() and time.monotonic() < end:
        if not view.closed:
            view.draw(pose_at(track(), 30), INSTANT)
        time.sleep(0.01)
    return condition()


@pytest.mark.real_time
@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_window_shows_what_was_drawn_last(display: str, renderer: RendererName) -> None:
    options = ViewOptions(title="acpilot view test", renderer=renderer, burn_clock=True)
    again = picture(replace(options, offscreen=True), metres=70).astype(int)
    with window(display, options) as (view, connection, ident), mss.MSS() as screen:
        found = connection.create_resource_object("window", ident)
        place = found.translate_coords(connection.screen().root, 0, 0)
        geometry = found.get_geometry()
        assert (geometry.width, geometry.height) == options.size
        area = {"left": -place.x, "top": -place.y, "width": 640, "height": 360}
        for step in range(5):
            view.draw(pose_at(track(), 30 + 10 * step), INSTANT + step * 3_000_000)
            shown = np.asarray(screen.grab(area))[..., 2::-1]
            assert clock_strip.decode(shown) == INSTANT + step * 3_000_000

        def shows_it() -> bool:  # the X server may still be at it, below the clock
            return bool(np.abs(np.asarray(screen.grab(area))[12:, :, 2::-1] - again[12:]).mean() < 1.0)

        wait_for(shows_it, "the picture drawn last", 5)


@pytest.mark.real_time
def test_keys_held_are_seen(display: str) -> None:
    with window(display, ViewOptions(title="acpilot keys test")) as (view, connection, ident):
        connection.create_resource_object("window", ident).set_input_focus(X.RevertToParent, X.CurrentTime)
        connection.sync()
        codes = {
            name: connection.keysym_to_keycode(XK.string_to_keysym(sym))
            for name, sym in (("arrow_left", "Left"), ("a", "a"))
        }
        assert view.keys() == frozenset()
        for code in codes.values():
            xtest.fake_input(connection, X.KeyPress, code)
        connection.sync()
        assert eventually(view, lambda: view.keys() == {"arrow_left", "a"})
        xtest.fake_input(connection, X.KeyRelease, codes["a"])
        connection.sync()
        assert eventually(view, lambda: view.keys() == {"arrow_left"})
        xtest.fake_input(connection, X.KeyRelease, codes["arrow_left"])
        connection.sync()
        assert eventually(view, lambda: view.keys() == frozenset())
        assert view.gamepad() is None


@pytest.mark.real_time
def test_closing_the_window_is_seen(display: str) -> None:
    with window(display, ViewOptions(title="acpilot close test")) as (view, connection, ident):
        assert not view.closed
        target = connection.create_resource_object("window", ident)
        protocols, delete = (connection.intern_atom(name) for name in ("WM_PROTOCOLS", "WM_DELETE_WINDOW"))
        message = event.ClientMessage(window=target, client_type=protocols, data=(32, [delete, X.CurrentTime, 0, 0, 0]))
        target.send_event(message)
        connection.sync()
        assert eventually(view, lambda: view.closed)
        assert view.keys() == frozenset()
