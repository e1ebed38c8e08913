"""A window that shows one picture after another, pixel for pixel, each when it is told to."""

from typing import Self

import numpy as np
from panda3d.core import CardMaker, GraphicsEngine, SamplerState, Texture

from acpilot.panda_output import Keyboard, open_output, overlay

_WARM_UP = 5  # pictures: the first ones are lost while the window comes up


class PictureWindow:
    """A window of the system; a context manager that closes it."""

    def __init__(self, title: str, size: tuple[int, int], picture: tuple[int, int]) -> None:
        """Open it, black.

        Args:
            title: of the window.
            size: its width and height, pixels.
            picture: width and height of the pictures, pixels; they are scaled to the window's.

        Raises:
            RuntimeError: there is no display.
        """
        self._engine = GraphicsEngine()
        self._engine.set_auto_flip(False)
        self._output, self.renderer, self.note = open_output(self._engine, title, size)
        self._output.set_clear_color((0, 0, 0, 1))
        self._output.set_clear_color_active(True)
        self._keyboard = Keyboard(self._output)
        self._width, self._height = picture
        # Panda3D's own renderer wants powers of two (and leaves the window's last row and column black).
        software = self.renderer == "software"
        shape = [1 << (side - 1).bit_length() if software else side for side in picture]
        self._memory = np.zeros((shape[1], shape[0], 3), np.uint8)
        self._texture = _texture(*shape, smooth=size != picture)
        card = CardMaker("picture")
        card.set_frame(0, 1, 0, 1)
        # Textures begin at the bottom, pictures at the top.
        card.set_uv_range((0, self._height / shape[1]), (self._width / shape[0], 0))
        overlay(self._output).attach_new_node(card.generate()).set_texture(self._texture)
        for _ in range(_WARM_UP):
            self.draw(self._memory[: self._height, : self._width])
            self.flip()

    def draw(self, picture: np.ndarray) -> None:
        """Draw a picture, uint8 (height, width, 3), blue green red; ``flip`` shows it."""
        self._memory[: self._height, : self._width] = picture
        self._texture.set_ram_image(self._memory)
        self._output.set_active(True)
        self._engine.render_frame()

    def flip(self) -> None:
        """Show what was drawn."""
        self._engine.flip_frame()

    def wish_to_end(self) -> str:
        """How the user has ended the show since it began, for people; empty if not."""
        self._output.set_active(False)  # the window's events are read, and nothing is drawn
        self._engine.render_frame()
        if self._output.is_closed():
            return "the window was closed"
        return "Escape in the window" if "escape" in self._keyboard.held() else ""

    def close(self) -> None:
        """Close the window; may be called twice."""
        self._output.remove_all_display_regions()
        self._engine.remove_all_windows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _texture(width: int, height: int, *, smooth: bool) -> Texture:
    texture = Texture()
    texture.setup_2d_texture(width, height, Texture.T_unsigned_byte, Texture.F_rgb)
    look = SamplerState.FT_linear if smooth else SamplerState.FT_nearest
    texture.set_minfilter(look)
    texture.set_magfilter(look)
    texture.set_wrap_u(SamplerState.WM_clamp)
    texture.set_wrap_v(SamplerState.WM_clamp)
    return texture
