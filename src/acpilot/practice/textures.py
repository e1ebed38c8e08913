"""The pictures on the scenery's surfaces, painted with numpy noise: uint8 (h, w, 3 or 4), sides powers of two."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from acpilot.practice.light import Light
from acpilot.practice.mesh import Array

Picture = NDArray[np.uint8]

CELLS = {
    name: (index % 4, index // 4)
    for index, name in enumerate(
        (
            *("conifer", "broadleaf", "poplar", "bush", "150", "100", "50", "chevron"),
            *("wall", "crowd", "banner", "banner right", "white", "roof", "rail", "tyres"),
        )
    )
}
"""Place (column, row from the top) of each picture in the atlas, which has four by four."""

_CELL = 128
_INK = (24, 26, 30)


def cell(name: str, cells: int = 1) -> tuple[float, float, float, float]:
    """Texture coordinates (left, bottom, right, top) of a picture of the atlas, a little inside its border."""
    column, row = CELLS[name]
    inset = 2 / _CELL
    return (column + inset) / 4, 1 - (row + 1 - inset) / 4, (column + cells - inset) / 4, 1 - (row + inset) / 4


def noise(shape: tuple[int, int], rng: np.random.Generator, scales: tuple[float, ...]) -> Array:
    """Periodic noise, mean 0 and deviation 1, (h, w): blurred white noise of several scales (pixels), summed."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    total = np.zeros(shape)
    for scale in scales:
        spectrum = np.fft.rfft2(rng.standard_normal(shape))
        blurred = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * scale) ** 2 * (rows**2 + columns**2)), shape)
        total += blurred / blurred.std()
    return np.asarray(total / total.std())


def _picture(values: Array) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def road(rng: np.random.Generator) -> Picture:
    """Asphalt (left three quarters), an edge line (next eighth) and a broken centre line (last eighth).

    The edge line is the same all along and the dashes are a few texels long, so that both stay sharp across the road at
    a distance without anisotropic filtering.
    """
    size = 256
    grain = noise((size, size), rng, (0.5, 1.2))
    patches = noise((size, size), rng, (14.0, 30.0))
    values = np.empty((size, size, 3))
    values[:] = np.array((104, 105, 109)) + (8.5 * grain + 4.5 * patches)[..., None]
    # The driven line is darker with rubber, the gutter beside it dusty.
    across = np.linspace(0, 1, 192)
    values[:, :192] *= (1 - 0.11 * np.exp(-(((across - 0.52) / 0.2) ** 2)))[None, :, None]
    for seam in (31, 158):
        values[seam : seam + 2, :192] *= 0.84
    line = np.clip(7.0 - np.abs(np.arange(32) - 12), 0, 1)[None, :, None]
    values[:, 192:224] = np.array((106, 106, 108)) * (1 - line) + np.array((238, 238, 232)) * line
    dash = np.clip(11.0 - np.abs(np.arange(32) - 15.5), 0, 1)[None, :, None] * (np.arange(size) % 10 < 4)[:, None, None]
    worn = np.array((99, 100, 104)) + 3 * noise((size, 32), rng, (0.5, 2.0))[..., None]
    values[:, 224:] = worn * (1 - dash) + np.array((226, 224, 212)) * dash
    return _picture(values)


def kerb(rng: np.random.Generator) -> Picture:
    """One red and one white block, a little worn."""
    values = np.empty((64, 32, 3))
    values[:32], values[32:] = (206, 34, 30), (240, 240, 236)
    values += 6 * noise((64, 32), rng, (1.0, 4.0))[..., None]
    values[:, :2] *= 0.75
    return _picture(values)


def ground(rng: np.random.Generator) -> Picture:
    """Light mottling that the colours of the ground shine through."""
    blades = noise((256, 256), rng, (0.6, 1.5))
    tufts = noise((256, 256), rng, (5.0, 12.0))
    return _picture(np.array((218, 218, 214)) + (17 * blades + 12 * tufts)[..., None])


def atlas(rng: np.random.Generator) -> Picture:
    """All pictures of things beside the road, with transparency."""
    sheet = np.zeros((4 * _CELL, 4 * _CELL, 4), dtype=np.uint8)

    def put(name: str, picture: Picture) -> None:
        column, row = CELLS[name]
        height, width, channels = picture.shape
        target = sheet[row * _CELL : row * _CELL + height, column * _CELL : column * _CELL + width]
        target[..., 3] = 255
        target[..., :channels] = picture

    for name, green in (("conifer", (52, 84, 52)), ("broadleaf", (84, 120, 56)), ("poplar", (96, 126, 60))):
        put(name, _tree(name, green, rng))
    put("bush", _tree("bush", (88, 112, 58), rng))
    for name in ("150", "100", "50"):
        put(name, _board(name))
    put("chevron", _chevron())
    put("wall", _wall(rng))
    put("crowd", _crowd(rng))
    put("banner", _banner())
    put("white", _picture(236 + 5 * noise((_CELL, _CELL), rng, (1.0, 9.0))[..., None] * np.ones(3)))
    tiles = (np.arange(_CELL) % 16 < 2)[:, None, None] * -40
    put("roof", _picture(np.array((150, 84, 66)) + tiles + 9 * noise((_CELL, _CELL), rng, (1.0, 5.0))[..., None]))
    put("rail", _rail())
    put("tyres", _tyres(rng))
    return sheet


def _tree(kind: str, green: ArrayLike, rng: np.random.Generator) -> Picture:
    """A tree seen from the side, transparent around its crown; the colour runs on there so that edges stay green."""
    y, x = np.mgrid[0:_CELL, 0:_CELL] / _CELL
    y, x = 1 - y, (x - 0.5) * 2
    rough = noise((_CELL, _CELL), rng, (2.0, 5.0))
    if kind == "conifer":
        tiers = 0.10 * ((y * 7) % 1.0)
        inside = np.abs(x) + tiers < 0.86 * (1.0 - y) + 0.05 + 0.04 * rough
        inside &= y > 0.12
    elif kind == "bush":
        inside = (x / 0.95) ** 2 + (y / 0.86) ** 2 < 0.9 + 0.16 * rough
    elif kind == "poplar":
        inside = (x / 0.42) ** 2 + ((y - 0.55) / 0.44) ** 2 < 0.85 + 0.18 * rough
    else:
        inside = (x / 0.92) ** 2 + ((y - 0.62) / 0.37) ** 2 < 0.82 + 0.22 * rough
    trunk = (np.abs(x) < 0.055 + 0.03 * (1 - y)) & (y < 0.5) & (kind != "bush")
    clumps = noise((_CELL, _CELL), rng, (1.0, 2.5, 6.0))
    shade = 0.92 + 0.22 * clumps + 0.30 * (y - 0.5)
    values = np.empty((_CELL, _CELL, 4))
    values[..., :3] = np.asarray(green) * 1.35 * shade[..., None]
    only_trunk = trunk & ~inside
    values[only_trunk, :3] = (92, 72, 54)
    values[..., 3] = np.where(inside | trunk, 255, 0)
    values[0], values[:, 0], values[:, -1] = (*np.asarray(green), 0), (*np.asarray(green), 0), (*np.asarray(green), 0)
    return _picture(values)


def _lettering(
    text: str, size: tuple[int, int], points: int, ink: tuple[int, int, int], paper: tuple[int, int, int]
) -> Picture:
    image = Image.new("RGB", size, paper)
    font = ImageFont.load_default(size=points)
    ImageDraw.Draw(image).text((size[0] / 2, size[1] / 2), text, fill=ink, font=font, anchor="mm", stroke_width=2)
    return np.asarray(image, dtype=np.uint8)


def _board(text: str) -> Picture:
    """A distance board: black figures on white with a red border."""
    board = _lettering(text, (_CELL, _CELL), 60 if len(text) > 2 else 78, _INK, (246, 246, 242)).copy()
    board[:8], board[-8:], board[:, :8], board[:, -8:] = ((204, 28, 28),) * 4
    return board


def _chevron() -> Picture:
    """An arrowhead to the right, white on red."""
    y, x = np.mgrid[0:_CELL, 0:_CELL]
    band = (x + np.abs(y - _CELL / 2) - 16) % _CELL
    white = (band > 24) & (band < 72)
    return np.where(white[..., None], np.array((244, 244, 240)), np.array((206, 26, 28))).astype(np.uint8)


def _wall(rng: np.random.Generator) -> Picture:
    """Two storeys of plastered wall with windows and a door line."""
    values = np.array((214, 204, 184)) + 5 * noise((_CELL, _CELL), rng, (1.0, 10.0))[..., None]
    for top in (18, 78):
        for left in (12, 54, 96):
            values[top - 2 : top + 32, left - 2 : left + 22] = (240, 238, 230)
            values[top : top + 30, left : left + 20] = (70, 84, 98)
            values[top : top + 12, left : left + 20] = (104, 124, 142)
            values[top : top + 30, left + 9 : left + 11] = (232, 230, 222)
    values[-6:] = (120, 112, 102)
    return _picture(values)


def _crowd(rng: np.random.Generator) -> Picture:
    """Rows of spectators in many colours."""
    values = np.empty((_CELL, _CELL, 3))
    values[:] = (96, 98, 106)
    palette = np.array([(210, 60, 50), (60, 90, 180), (232, 226, 214), (230, 190, 60), (70, 130, 80), (40, 40, 48)])
    for top in range(3, _CELL, 12):
        for left in range(1, _CELL - 5, 6):
            if rng.random() < 0.8:
                values[top + 4 : top + 9, left : left + 5] = palette[rng.integers(len(palette))]
                values[top : top + 4, left + 1 : left + 4] = (222, 178, 146)
    return _picture(values)


def _banner() -> Picture:
    """The banner over the start line, two cells wide: lettering between chequers."""
    banner = _lettering("START", (2 * _CELL, _CELL), 74, (250, 250, 250), (28, 52, 120)).copy()
    squares = (np.indices((8, 16)).sum(axis=0) % 2 * 230 + 12).astype(np.uint8)
    band = np.kron(squares[:1].repeat(2, axis=0) ^ np.array([[0], [254]], dtype=np.uint8), np.ones((10, 16), np.uint8))
    banner[:20], banner[-20:] = band[..., None], band[..., None]
    return banner


def _rail() -> Picture:
    """A steel guard rail: two ridges and a dark gap below."""
    y = np.linspace(1, 0, _CELL)
    steel = 150 + 55 * np.cos((y - 0.35) * 2 * np.pi / 0.32)
    values = np.repeat(np.where(y > 0.35, steel, 74)[:, None, None], _CELL, axis=1) * np.array((1.0, 1.01, 1.04))
    posts = np.arange(_CELL) % 64 < 8
    values[y <= 0.35] = np.where(posts[None, :, None], 120, 84)
    return _picture(values)


def _tyres(rng: np.random.Generator) -> Picture:
    """A wall of tyres, painted red and white by turns."""
    y, x = np.mgrid[0:_CELL, 0:_CELL]
    rim = 0.68 + 0.32 * np.sin(y / _CELL * np.pi * 8) ** 2
    red = (x // 64) % 2 == 0
    values = np.where(red[..., None], np.array((198, 40, 36)), np.array((236, 234, 228))) * rim[..., None]
    return _picture(values + 4 * noise((_CELL, _CELL), rng, (1.0,))[..., None])


def checkers() -> Picture:
    """The start line."""
    squares = np.indices((4, 16)).sum(axis=0) % 2 * 220 + 18
    return np.kron(squares, np.ones((4, 4)))[..., None].repeat(3, axis=2).astype(np.uint8)


def dial(label: str, last: int, sweep: float) -> Picture:
    """A dial with figures from 0 to the last one, from ``sweep`` degrees left of upright to as much on the right."""
    size = _CELL
    image = Image.new("RGB", (size, size), (10, 10, 12))
    pen, middle = ImageDraw.Draw(image), size / 2
    pen.ellipse((1, 1, size - 2, size - 2), outline=(150, 154, 160), width=3)
    steps = 9 if last < 10 else 6
    font = ImageFont.load_default(size=15)
    for step in range(steps + 1):
        angle = np.radians((2 * step / steps - 1) * sweep)
        across, up = np.sin(angle), np.cos(angle)
        tick = [(middle + reach * across, middle - reach * up) for reach in (50, 58)]
        pen.line(tick, fill=(240, 240, 240), width=4)
        at = (middle + 39 * across, middle - 39 * up)
        pen.text(at, str(last * step // steps), fill=(240, 240, 240), font=font, anchor="mm")
    pen.text((middle, middle + 44), label, fill=(200, 200, 205), font=font, anchor="mm")
    return np.asarray(image, dtype=np.uint8)


def sky(light: Light, rng: np.random.Generator) -> Picture:
    """The sky all around (columns: azimuth from east counter-clockwise) and up to the zenith.

    Rows, from the top: elevation 90 degrees times the square of the height in the picture, so that most of them are
    near the horizon. Clouds lie in a plane, with hills below them.
    """
    rows, columns = 256, 1024
    azimuth = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    elevation = np.radians(90 * np.linspace(1, 0, rows) ** 2)[:, None]
    rise = (1 - np.exp(-elevation / 0.30)) / (1 - np.exp(-np.pi / 2 / 0.30))
    values = np.asarray(light.horizon) * (1 - rise[..., None]) + np.asarray(light.zenith) * rise[..., None]
    values = np.broadcast_to(values, (rows, columns, 3)).copy()

    sun_x, sun_y, sun_z = light.sun_direction
    toward = np.cos(elevation) * (np.cos(azimuth) * sun_x + np.sin(azimuth) * sun_y) + np.sin(elevation) * sun_z
    for width, strength in light.glow:
        values += np.asarray(light.glow_color) * (strength * np.exp((toward - 1) / width))[..., None]

    plane = noise((512, 512), rng, (5.0, 12.0, 26.0, 40.0))
    reach = 36 / (np.tan(elevation) + 0.10)
    sample_x, sample_y = reach * np.cos(azimuth), reach * np.sin(azimuth)
    density = plane[np.floor(sample_x).astype(int) % 512, np.floor(sample_y).astype(int) % 512]
    cover = (
        np.clip((density - light.cloud_threshold) / 0.9, 0, 1) * np.clip(elevation / 0.10, 0, 1) * light.cloud_opacity
    )
    cloud = np.asarray(light.cloud) + 10 * np.clip(-density, -2, 1)[..., None]
    values += (cloud - values) * cover[..., None]

    ridge = noise((1, columns), rng, (9.0, 24.0))[0]
    hills = np.radians(1.9 + 0.75 * ridge)[None]
    inside = np.clip((hills - elevation) / 0.004, 0, 1)[..., None]
    values += (np.asarray(light.fog) * 0.82 + np.asarray(light.hills) * 0.18 - values) * inside
    near = np.radians(1.0 + 0.5 * noise((1, columns), rng, (4.0, 12.0))[0])[None]
    inside = np.clip((near - elevation) / 0.004, 0, 1)[..., None]
    values += (np.asarray(light.fog) * 0.66 + np.asarray(light.hills) * 0.34 - values) * inside
    values[-1] = light.fog
    return _picture(values)
