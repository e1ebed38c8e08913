"""Panda3D's windows and off-screen pictures: with OpenGL or, for want of it, its own renderer; and their keys."""

import os
import sys
from functools import cache
from typing import Literal

from panda3d.core import (
    ButtonHandle,
    Camera,
    ConfigVariableString,
    DataGraphTraverser,
    FrameBufferProperties,
    GraphicsEngine,
    GraphicsOutput,
    GraphicsPipe,
    GraphicsPipeSelection,
    MouseAndKeyboard,
    MouseWatcher,
    NodePath,
    OrthographicLens,
    WindowProperties,
    load_prc_file_data,
)

RendererName = Literal["auto", "opengl", "software"]
"""``software`` is Panda3D's own renderer without OpenGL (and without fog); ``auto`` takes it for want of OpenGL."""

KEYS = (
    *"abcdefghijklmnopqrstuvwxyz0123456789",
    *("arrow_left", "arrow_right", "arrow_up", "arrow_down", "space", "enter", "escape", "tab", "backspace"),
    *("shift", "control", "alt", "page_up", "page_down", "home", "end", "f1", "f2", "f3", "f4", "f5"),
)
"""The keys that ``Keyboard.held`` can name."""

_SETTINGS = """
audio-library-name null
sync-video 0
garbage-collect-states 0
win-origin -2 -2
load-display p3tinydisplay
aux-display p3tinydisplay
notify-level-device fatal
notify-level-egldisplay error
"""
"""Panda3D's settings.

Of input devices only fatal errors: it reports a missing /dev/input as an error. States are freed when no longer used
instead of by a task of Panda3D's own main loop, which we do not run (24 states a frame would be kept for ever).
"""


@cache
def _configure() -> None:
    load_prc_file_data("acpilot", _SETTINGS)


def open_output(
    engine: GraphicsEngine,
    title: str,
    size: tuple[int, int],
    *,
    offscreen: bool = False,
    renderer: RendererName = "auto",
) -> tuple[GraphicsOutput, str, str]:
    """Open a window or an off-screen buffer: it, its renderer's name and, if another was wanted, why.

    Args:
        engine: which draws it.
        title: of the window.
        size: width and height of the picture, pixels.
        offscreen: without a window; needs no display.
        renderer: which to take.

    Raises:
        RuntimeError: there is no display, or the renderer cannot be had.
    """
    _configure()
    # Panda3D reads its environment when it is loaded; DISPLAY may have been set since.
    ConfigVariableString("display", "").set_value(os.environ.get("DISPLAY", ""))
    if renderer == "software":
        return _open_with(engine, title, size, offscreen, "software"), "software", ""
    try:
        return _open_with(engine, title, size, offscreen, "opengl"), "opengl", ""
    except RuntimeError as error:
        if renderer == "opengl":
            raise
        software = _open_with(engine, title, size, offscreen, "software")
        return software, "software", f"software instead of OpenGL: {error}"


def _open_with(
    engine: GraphicsEngine, title: str, size: tuple[int, int], offscreen: bool, renderer: str
) -> GraphicsOutput:
    display = os.environ.get("DISPLAY")
    # Without DISPLAY Panda3D would try display 0, which may be anyone's.
    pipe = None
    if offscreen or display or sys.platform != "linux":
        pipe = _pipe(renderer, offscreen)
    if pipe is None or not pipe.is_valid():
        kind = "off-screen picture" if offscreen else "window"
        where = "" if offscreen else f" on DISPLAY {display}" if display else " without DISPLAY"
        raise RuntimeError(f"no {renderer} {kind} can be had{where}")
    buffer = FrameBufferProperties()
    buffer.set_rgb_color(True)
    buffer.set_rgba_bits(8, 8, 8, 0)
    buffer.set_depth_bits(24)
    buffer.set_back_buffers(0 if offscreen else 1)
    window = WindowProperties.size(*size)
    window.set_title(title)
    window.set_fixed_size(True)
    flags = GraphicsPipe.BF_refuse_window if offscreen else GraphicsPipe.BF_require_window
    output = engine.make_output(pipe, title, 0, buffer, window, flags)
    if output is not None:
        engine.open_windows()
        if output.is_valid():
            return output
        engine.remove_all_windows()
    raise RuntimeError(f"{renderer} refused to open {size[0]} x {size[1]} pixels")


def _pipe(renderer: str, offscreen: bool) -> GraphicsPipe | None:
    """The way to a renderer: of OpenGL off-screen on Linux the one that needs no X server (EGL)."""
    selection = GraphicsPipeSelection.get_global_ptr()
    if renderer == "software":
        if offscreen:
            selection.load_aux_modules()
            return selection.make_pipe("TinyOffscreenGraphicsPipe")
        return selection.make_module_pipe("p3tinydisplay")
    return _headless_pipe() if offscreen and sys.platform == "linux" else selection.make_module_pipe("pandagl")


@cache
def _headless_pipe() -> GraphicsPipe | None:
    """The one EGL pipe of this process: a second one would, when it ends, take EGL from the first."""
    return GraphicsPipeSelection.get_global_ptr().make_module_pipe("p3headlessgl")


def overlay(output: GraphicsOutput) -> NodePath:
    """A layer over the whole picture, without depth: x from 0 (left) to 1 and z from 0 (bottom) to 1."""
    root = NodePath("overlay")
    root.set_depth_test(False)
    root.set_depth_write(False)
    lens = OrthographicLens()
    lens.set_film_size(1, 1)
    lens.set_film_offset(0.5, 0.5)
    lens.set_near_far(-1, 1)
    region = output.make_display_region()
    region.set_sort(10)
    region.set_camera(root.attach_new_node(Camera("overlay", lens)))
    return root


class Keyboard:
    """Which keys are held while the window has the focus."""

    def __init__(self, window: GraphicsOutput) -> None:
        self._root = NodePath("keyboard")
        self._watcher = MouseWatcher("keys")
        self._root.attach_new_node(MouseAndKeyboard(window, 0, "window")).attach_new_node(self._watcher)
        self._traverser = DataGraphTraverser()
        self._buttons = {name: ButtonHandle(name) for name in KEYS}

    def held(self) -> frozenset[str]:
        """Names of the keys held down now, of those in ``KEYS``."""
        self._traverser.traverse(self._root.node())
        return frozenset(name for name, button in self._buttons.items() if self._watcher.is_button_down(button))
