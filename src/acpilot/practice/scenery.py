"""A track's scenery as a Panda3D scene: road, ground, things beside it, sky and fog; and the car's inside."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from panda3d.core import (
    AmbientLight,
    DirectionalLight,
    Fog,
    Geom,
    GeomNode,
    GeomTriangles,
    GeomVertexData,
    GeomVertexFormat,
    LODNode,
    LVector3,
    NodePath,
    SamplerState,
    Texture,
    TransparencyAttrib,
)

from acpilot.practice import cabin, textures
from acpilot.practice.landscape import FAR, Landscape
from acpilot.practice.light import LIGHTS, Light
from acpilot.practice.mesh import Array, Mesh, lattice_triangles, merge
from acpilot.practice.pose import Pose
from acpilot.practice.roadside import Roadside
from acpilot.practice.settings import CameraName, LightName
from acpilot.practice.track import Track

SKY_RADIUS = 0.95 * FAR
"""Radius of the sky dome, metres; it moves with the camera."""

_TILE = 150.0
_SMALL_SEEN = 170.0

# Bins in drawing order: what is near first and the sky last, so that hidden pixels are not painted.
BIN_CAR, BIN_SCENE, BIN_SKY = 10, 20, 30


@dataclass(frozen=True)
class Scenery:
    """The scene's root and the parts that move."""

    root: NodePath
    sky: NodePath
    """To be put where the camera is."""


def build(track: Track, light_name: LightName) -> Scenery:
    """Build the scene of a track in a light; the same for the same track and light, down to the pixel."""
    light = LIGHTS[light_name]
    rng = np.random.default_rng(track.seed)
    landscape = Landscape(track)
    roadside = Roadside(landscape)
    root = NodePath("scenery")

    for name, meshes, picture in (
        ("road", landscape.road(), textures.road(rng)),
        ("start line", [landscape.start_line()], textures.checkers()),
        ("kerbs", landscape.kerbs(), textures.kerb(rng)),
        ("ground", landscape.ground() + landscape.terrain(), textures.ground(rng)),
    ):
        part = root.attach_new_node(name)
        part.set_texture(make_texture(picture))
        for mesh in meshes:
            part.attach_new_node(make_node(mesh, light.shade(mesh)))
        part.set_bin("fixed", BIN_SCENE)

    things = root.attach_new_node("things")
    things.set_texture(make_texture(textures.atlas(rng)))
    things.set_two_sided(True)
    things.set_transparency(TransparencyAttrib.M_binary)
    things.set_bin("fixed", BIN_SCENE)
    for mesh in _tiles(roadside.large):
        things.attach_new_node(make_node(mesh, light.shade(mesh)))
    for mesh in _tiles(roadside.small):
        detail = LODNode("small things")
        middle = mesh.position.mean(axis=0)
        detail.set_center(LVector3(*middle))
        detail.add_switch(_SMALL_SEEN, 0)
        things.attach_new_node(detail).attach_new_node(make_node(mesh, light.shade(mesh)))

    fog = Fog("haze")
    fog.set_color(*(channel / 255 for channel in light.fog))
    fog.set_exp_density(light.fog_density)
    root.set_fog(fog)
    return Scenery(root, _sky(light, root, rng))


def _tiles(meshes: Iterable[Mesh]) -> list[Mesh]:
    """Meshes merged by the square of the map in which they stand."""
    tiles: dict[tuple[int, int], list[Mesh]] = {}
    for mesh in meshes:
        x, y = np.floor(mesh.position[0, :2] / _TILE).astype(int)
        tiles.setdefault((int(x), int(y)), []).append(mesh)
    return [merge(tiles[key]) for key in sorted(tiles)]


def _sky(light: Light, root: NodePath, rng: np.random.Generator) -> NodePath:
    """The sky: a dome of 48 sectors that reaches below the horizon."""
    elevation = np.radians(np.array([-30.0, 0.0, 1.0, 2.5, 5, 9, 15, 24, 36, 52, 70, 90]))[None]
    azimuth = np.linspace(0, 2 * np.pi, 49)[:, None]
    position = SKY_RADIUS * np.dstack(
        np.broadcast_arrays(np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation))
    )
    v = np.sqrt(np.clip(elevation, 0, None) / (np.pi / 2))
    uv = np.dstack(np.broadcast_arrays(azimuth / (2 * np.pi), 0.002 + 0.996 * v))
    flat = position.reshape(-1, 3)
    # Columns of the lattice run upwards instead of to the left, so its front faces inwards.
    mesh = Mesh(flat, -flat / SKY_RADIUS, np.ones_like(flat), uv.reshape(-1, 2), lattice_triangles(*position.shape[:2]))
    sky = root.attach_new_node(make_node(mesh, mesh.color))
    sky.set_two_sided(True)
    sky.set_texture(make_texture(textures.sky(light, rng), clamped_v=True, mipmaps=False))
    sky.set_fog_off()
    sky.set_depth_write(False)
    sky.set_bin("fixed", BIN_SKY)
    return sky


class CarInside:
    """What the camera sees of the car: lit by real lights, for it turns with the car."""

    def __init__(self, root: NodePath, camera: CameraName, light: Light, *, software: bool) -> None:
        # Panda3D's software renderer multiplies lit surfaces by their vertex colours twice.
        self._exponent = 0.5 if software else 1.0
        self.node = root.attach_new_node("car")
        self.node.set_fog_off()
        self.node.set_two_sided(True)
        self.node.set_bin("fixed", BIN_CAR)
        self._wheel: NodePath | None = None
        self._needles: dict[str, NodePath] = {}
        self._attach(self.node, cabin.bonnet())
        if camera == "cockpit":
            self._furnish()
        elif camera == "chase":
            self._attach(self.node, cabin.body())
        sun = DirectionalLight("sun")
        sun.set_color((*light.sun, 1))
        sun.set_direction(-LVector3(*light.sun_direction))
        ambient = AmbientLight("ambient")
        ambient.set_color((*light.ambient, 1))
        for lamp in (sun, ambient):
            self.node.set_light(root.attach_new_node(lamp))

    def _attach(self, parent: NodePath, mesh: Mesh) -> NodePath:
        return parent.attach_new_node(make_node(mesh, mesh.color**self._exponent))

    def _furnish(self) -> None:
        """Put in what only the cockpit camera sees."""
        self._attach(self.node, cabin.interior())
        column = self.node.attach_new_node("steering column")
        column.set_pos(*cabin.WHEEL_POSITION)
        column.set_r(cabin.WHEEL_TILT)
        self._wheel = self._attach(column, cabin.steering_wheel())
        for label, (position, last, _) in cabin.DIALS.items():
            dial = self.node.attach_new_node("dial")
            dial.set_pos(*position)
            dial.set_light_off()  # lit from within
            face = dial.attach_new_node(make_node(cabin.dial_face(), np.ones((4, 3))))
            face.set_texture(make_texture(textures.dial(label, last, cabin.DIAL_SWEEP)))
            needle = cabin.needle()
            self._needles[label] = dial.attach_new_node(make_node(needle, needle.color))

    def show(self, pose: Pose) -> None:
        """Turn the steering wheel and the needles of the dials."""
        if self._wheel is None:
            return
        self._wheel.set_p(pose.steering * cabin.WHEEL_TURN)
        for label, value in (("x1000", pose.rpm), ("km/h", pose.speed_kmh)):
            _, last, unit = cabin.DIALS[label]
            share = min(max(value / (last * unit), 0.0), 1.0)
            self._needles[label].set_p((2 * share - 1) * cabin.DIAL_SWEEP)


def make_node(mesh: Mesh, colors: Array) -> GeomNode:
    """A mesh as a node of Panda3D, with the given vertex colours (n, 3), 0..1."""
    count = len(mesh.position)
    vertices = np.zeros(
        count, dtype=[("position", "<f4", 3), ("normal", "<f4", 3), ("color", "u1", 4), ("uv", "<f4", 2)]
    )
    vertices["position"], vertices["normal"], vertices["uv"] = mesh.position, mesh.normal, mesh.uv
    vertices["color"][:, :3] = np.round(np.clip(colors, 0, 1) * 255)
    vertices["color"][:, 3] = 255
    data = GeomVertexData("mesh", GeomVertexFormat.get_v3n3c4t2(), Geom.UH_static)
    data.unclean_set_num_rows(count)
    memoryview(data.modify_array(0)).cast("B")[:] = vertices.tobytes()
    triangles = GeomTriangles(Geom.UH_static)
    wide = count > 0xFFFF
    triangles.set_index_type(Geom.NT_uint32 if wide else Geom.NT_uint16)
    indices = mesh.triangles.astype("<u4" if wide else "<u2")
    array = triangles.modify_vertices()
    array.unclean_set_num_rows(indices.size)
    memoryview(array).cast("B")[:] = indices.tobytes()
    geom = Geom(data)
    geom.add_primitive(triangles)
    node = GeomNode("mesh")
    node.add_geom(geom)
    return node


def make_texture(
    picture: textures.Picture, *, clamped_v: bool = False, mipmaps: bool = True, sharp: bool = False
) -> Texture:
    """A picture (h, w, 3 or 4) as a texture; ``sharp``: not filtered at all."""
    height, width, channels = picture.shape
    texture = Texture()
    kind = Texture.F_rgba if channels == 4 else Texture.F_rgb
    texture.setup_2d_texture(width, height, Texture.T_unsigned_byte, kind)
    order = [2, 1, 0, 3][:channels]
    texture.set_ram_image(np.ascontiguousarray(picture[::-1][..., order]).tobytes())
    if sharp:
        texture.set_minfilter(SamplerState.FT_nearest)
        texture.set_magfilter(SamplerState.FT_nearest)
    else:
        texture.set_magfilter(SamplerState.FT_linear)
        texture.set_minfilter(SamplerState.FT_linear_mipmap_linear if mipmaps else SamplerState.FT_linear)
    texture.set_wrap_u(SamplerState.WM_repeat)
    texture.set_wrap_v(SamplerState.WM_clamp if clamped_v else SamplerState.WM_repeat)
    # More than 1 stalls software OpenGL (Mesa's llvmpipe) for half a second a frame.
    texture.set_anisotropic_degree(1)
    return texture
