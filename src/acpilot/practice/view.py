"""The practice game's window or off-screen picture: draws a track as seen from the car, reads keys and gamepad."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from panda3d.core import (
    ButtonHandle,
    Camera,
    GamepadButton,
    GraphicsEngine,
    GraphicsOutput,
    InputDevice,
    InputDeviceManager,
    NodePath,
    PerspectiveLens,
    RenderState,
    Texture,
    TransformState,
)

from acpilot import clock_strip
from acpilot.panda_output import Keyboard, RendererName, open_output, overlay
from acpilot.practice import cabin, scenery
from acpilot.practice.light import LIGHTS
from acpilot.practice.mesh import merge, quad
from acpilot.practice.pose import Pose
from acpilot.practice.settings import CameraName, LightName
from acpilot.practice.track import Track

_NEAR, _FAR = 0.2, scenery.SKY_RADIUS * 1.1


@dataclass(frozen=True)
class ViewOptions:
    """How a track is shown."""

    title: str = "Assetto Corsa"
    size: tuple[int, int] = (640, 360)
    """Width and height of the picture, pixels."""
    offscreen: bool = False
    """Without a window; needs no display."""
    renderer: RendererName = "auto"
    camera: CameraName = "bonnet"
    light: LightName = "noon"
    burn_clock: bool = False
    """Whether the instant drawn is shown as a strip of cells along the upper edge (see ``clock_strip``)."""


class View:
    """A picture of a track as seen from a car. Several can be opened, one after another or at once."""

    def __init__(self, track: Track, options: ViewOptions) -> None:
        self.options = options
        self._closed = False
        self._keyboard: Keyboard | None = None
        self._engine = GraphicsEngine()
        self._engine.set_auto_flip(True)
        self._output, self.renderer, self.renderer_note = open_output(
            self._engine, options.title, options.size, offscreen=options.offscreen, renderer=options.renderer
        )
        light = LIGHTS[options.light]
        self._scene = scenery.build(track, options.light)
        software = self.renderer == "software"
        self._car = scenery.CarInside(self._scene.root, options.camera, light, software=software)
        self._camera = self._add_camera(cabin.CAMERAS[options.camera])
        self._clock = _ClockStrip(self._output, options.size, software) if options.burn_clock else None
        self._output.set_clear_color((*(channel / 255 for channel in light.fog), 1))
        self._output.set_clear_color_active(True)
        self._output.set_clear_depth_active(True)
        self._picture: Texture | None = None
        if options.offscreen:
            self._picture = Texture()
            self._output.add_render_texture(self._picture, GraphicsOutput.RTM_copy_ram)
        else:
            self._keyboard = Keyboard(self._output)

    def _add_camera(self, place: cabin.Camera) -> NodePath:
        width, height = self.options.size
        lens = PerspectiveLens()
        lens.set_aspect_ratio(width / height)
        lens.set_fov(place.field_of_view)
        lens.set_near_far(_NEAR, _FAR)
        camera = self._car.node.attach_new_node(Camera("camera", lens))
        camera.set_pos(*place.position)
        camera.set_hpr(-90, place.pitch, 0)  # Panda3D's cameras look along +y, the car's nose points along +x
        self._output.make_display_region().set_camera(camera)
        return camera

    def draw(self, pose: Pose, instant: int) -> None:
        """Draw one frame.

        Args:
            pose: The car at that instant.
            instant: Instant of the physics step drawn, ns; goes into the clock strip if there is one.
        """
        if self._closed:
            raise RuntimeError("the view has been closed")
        node = self._car.node
        node.set_pos(pose.x, pose.y, pose.z)
        # Panda3D turns around y first, then x, then z, all right-handed; the nose rises by a negative turn around y.
        node.set_hpr(math.degrees(pose.heading), math.degrees(pose.roll), -math.degrees(pose.pitch))
        self._car.show(pose)
        self._scene.sky.set_pos(self._camera.get_pos(self._scene.root))
        if self._clock is not None:
            self._clock.show(instant)
        self._engine.render_frame()

    def pixels(self) -> NDArray[np.uint8]:
        """The last frame, RGB from the top left, uint8 (height, width, 3); only off-screen."""
        if self._picture is None:
            raise RuntimeError("pixels can be read back only from an off-screen view")
        image = self._picture.get_ram_image()
        if not image:
            raise RuntimeError("nothing has been drawn yet")
        width, height = self.options.size
        rows = np.frombuffer(image, dtype=np.uint8).reshape(height, width, -1)
        # NumPy moves whole planes far more quickly than reversed pixels.
        return np.stack([rows[::-1, :, channel] for channel in (2, 1, 0)], axis=-1)

    @property
    def closed(self) -> bool:
        """Whether the view is closed, by the user or by ``close``."""
        return self._closed or (not self.options.offscreen and self._output.is_closed())

    def keys(self) -> frozenset[str]:
        """Names of the keys held down now, of those in ``KEYS`` of ``panda_output``; none off-screen."""
        return self._keyboard.held() if self._keyboard is not None and not self.closed else frozenset()

    def gamepad(self) -> tuple[float, float, float] | None:
        """Steering (-1..+1), throttle and brake (0..1) of the first gamepad; None without one."""
        return _read_gamepad()

    def close(self) -> None:
        """Close the window and free its memory; closing twice does no harm."""
        if self._closed:
            return
        self._closed = True
        self._keyboard = None
        self._output.clear_render_textures()
        self._output.remove_all_display_regions()
        self._engine.remove_all_windows()
        # The car's state holds its lights, which hold the scene, which holds the car: parted, all can be freed.
        self._car.node.clear_light()
        self._scene.root.remove_node()
        # Panda3D remembers how states were combined, and so everything of the scene.
        RenderState.clear_cache()
        TransformState.clear_cache()

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _ClockStrip:
    """The clock strip as a card over the scene: no light, fog or texture, so that its pixels are exact."""

    def __init__(self, output: GraphicsOutput, size: tuple[int, int], software: bool) -> None:
        height = clock_strip.strip_height(size[1]) / size[1]
        # A quarter of a pixel to the right, for exact pixel borders may be rounded either way; and the software
        # renderer maps the picture's width to half a pixel less.
        width = size[0] - 0.5 if software else size[0]
        edges = (np.arange(clock_strip.CELLS + 1) / clock_strip.CELLS * size[0] + 0.25) / width
        cells = [
            quad([[a, 0, 1 - height], [b, 0, 1 - height], [b, 0, 1], [a, 0, 1]], (1, 1, 1)) for a, b in pairwise(edges)
        ]
        self._mesh = merge(cells)
        self._node = scenery.make_node(self._mesh, self._mesh.color)
        overlay(output).attach_new_node(self._node)

    def show(self, instant: int) -> None:
        colors = np.repeat(clock_strip.encode(instant) / 255, 4)[:, None] * np.ones(3)
        self._node.remove_all_geoms()
        self._node.add_geoms_from(scenery.make_node(self._mesh, colors))


def _read_gamepad() -> tuple[float, float, float] | None:
    manager = InputDeviceManager.get_global_ptr()
    manager.update()
    pads = [pad for pad in manager.get_devices(InputDevice.DeviceClass.gamepad) if pad.connected]
    if not pads:
        return None
    pad = pads[0]
    pad.poll()

    def pedal(axis: InputDevice.Axis, button: ButtonHandle) -> float:
        """Triggers are axes on some gamepads and buttons on others."""
        state = pad.find_axis(axis)
        if state:
            return min(max(float(state.value), 0.0), 1.0)
        return float(bool((found := pad.find_button(button)) and found.pressed))

    stick = pad.find_axis(InputDevice.Axis.left_x)
    steering = min(max(float(stick.value), -1.0), 1.0) if stick else 0.0
    throttle = pedal(InputDevice.Axis.right_trigger, GamepadButton.rtrigger())
    return steering, throttle, pedal(InputDevice.Axis.left_trigger, GamepadButton.ltrigger())
