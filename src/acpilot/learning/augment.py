"""What is done to pictures so that a network learns the road and not the recordings.

Geometry works on rows of pixels, light on the values; both on whole batches of uint8, at a small part of what the
network itself costs.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from acpilot.policy.preprocessing import Preprocessing
from acpilot.settings import TrainSettings

_REACH = 4.0  # metres that it takes to come back to the line however slow the car
_BRIGHTNESS = (0.6, 1.4)
_SHADOW = (0.45, 0.85)  # brightness in it
_SHADOWED, _BLURRED, _NOISY = 0.3, 0.1, 0.2  # share of the pictures
_PATCHED, _PATCHES, _COVERED = 0.5, 3, 2 / 3  # share of the pictures, patches of each at most, share of these
_NOISE = 12  # grey levels, at most
_NOISE_BANK = 1 << 21
_TILE = 16  # pixels that are put beside a picture at a time


class Augmentation:
    """Changes batches of pictures at random; the seed and the number of the epoch decide how.

    A view from ``d`` metres right of where the picture was taken is made by moving every row of the road by
    d · y / camera height pixels to the left, y being its distance below the horizon; a view turned right by an angle θ
    by moving all rows by θ · focal length. The steering is corrected by what makes that good as a driver does, who
    aims at the line L = 4 m + recovery · speed ahead: a curvature of 2 / L · (d / L + θ) to the left, which takes so
    much of the turn at full lock, whose radius is known.
    """

    def __init__(
        self, settings: TrainSettings, preprocessing: Preprocessing, aspect: float, random: np.random.Generator
    ) -> None:
        """Prepare.

        Args:
            settings: what is done, and how much.
            preprocessing: of the pictures.
            aspect: width by height of the pictures before preprocessing.
            random: decides.
        """
        self._settings, self._random = settings, random
        width, height = preprocessing.size
        _, top, wide, high = preprocessing.crop
        tangent = 2 * math.tan(math.radians(settings.field_of_view) / 2)
        self._focal = width / wide / tangent
        rows = top + high * (np.arange(height) + 0.5) / height
        # How far below the horizon each row looks, as a slope; rows above it are far away.
        self._slope = np.maximum(0.0, rows - settings.horizon) * tangent / aspect
        farthest = self._shifts(np.array([settings.shift]), np.radians([settings.rotation]))
        self._margin = -(-math.ceil(farthest.max()) // _TILE) * _TILE
        self._noise = random.integers(-_NOISE, _NOISE + 1, _NOISE_BANK, np.int16)
        self._across, self._down = np.meshgrid(
            np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
        )

    def change(
        self, pictures: np.ndarray, steering: np.ndarray, speed_kmh: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change a batch.

        Args:
            pictures: uint8 (n, height, width, channels); written to.
            steering: float32 (n,), −1 full left … +1 full right.
            speed_kmh: float32 (n,).

        Returns:
            Pictures and steering, changed.
        """
        settings, random, n = self._settings, self._random, len(pictures)
        if settings.mirror:
            some = random.random(n) < 0.5
            pixels = _pixels(pictures)
            pixels[some] = pixels[some, :, ::-1]
            steering = np.where(some, -steering, steering)
        if self._margin:
            aside = random.uniform(-settings.shift, settings.shift, n)
            angle = np.radians(random.uniform(-settings.rotation, settings.rotation, n))
            pictures = self.moved(pictures, aside, angle)
            steering = np.clip(steering + self.correction(aside, angle, speed_kmh), -1, 1)
        if settings.blur:
            some = random.random(n) < _BLURRED
            pictures[some] = _blurred(pictures[some])
        if settings.brightness or settings.shadow:
            pictures = self._relit(pictures)
        if settings.patches:
            pictures = self._patched(pictures)
        if settings.noise:
            for i in np.flatnonzero(random.random(n) < _NOISY):
                pictures[i] = self._noisy(pictures[i])
        return pictures, steering.astype(np.float32)

    def correction(self, aside: np.ndarray, angle: np.ndarray, speed_kmh: np.ndarray) -> np.ndarray:
        """Steering to be added when the view is moved right by metres and turned right by radians, (n,) each."""
        reach = _REACH + self._settings.recovery * speed_kmh / 3.6
        curvature = 2 / reach * (aside / reach + angle)
        corrected: np.ndarray = -curvature * self._settings.turning_radius
        return corrected

    def moved(self, pictures: np.ndarray, aside: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """The view from metres to the right and turned right by radians, (n,) each; uint8 like ``pictures``."""
        n, height, width, channels = pictures.shape
        margin = self._margin
        padded = np.empty((n, height, width + 2 * margin, channels), np.uint8)
        padded[:, :, margin:-margin] = pictures
        rows, tile = padded.reshape(n, height, -1), f"V{_TILE * channels}"
        for side, edge in ((np.s_[: margin * channels], np.s_[:1]), (np.s_[-margin * channels :], np.s_[-1:])):
            repeated = np.repeat(pictures[:, :, edge], _TILE, axis=2).reshape(n, height, -1)
            rows[:, :, side].view(tile)[:] = repeated.view(tile)
        # Every place at which a row can be cut out of the padded one, without a copy.
        image, row, pixel, value = padded.strides
        every = (n, height, 2 * margin + 1, width * channels)
        cuts = as_strided(padded, every, (image, row, pixel, value), writeable=False)
        start = margin + np.rint(self._shifts(aside, angle)).astype(np.int64)
        taken: np.ndarray = cuts[np.arange(n)[:, None], np.arange(height)[None, :], start]
        return taken.reshape(pictures.shape)

    def _shifts(self, aside: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """By how many pixels each row's cut moves right, float64 (n, height)."""
        shifts: np.ndarray = self._focal * (
            aside[:, None] * self._slope / self._settings.camera_height + np.tan(angle)[:, None]
        )
        return shifts

    def _relit(self, pictures: np.ndarray) -> np.ndarray:
        """Brighter or darker as a whole, and some of them in the shadow on one side of a line."""
        random, n = self._random, len(pictures)
        bright = random.uniform(*_BRIGHTNESS, n) if self._settings.brightness else np.ones(n)
        shadowed = random.random(n) < _SHADOWED if self._settings.shadow else np.zeros(n, bool)
        for picture, brightness, has_shadow in zip(pictures, bright, shadowed, strict=True):
            picture[:] = _lit(picture, brightness)
            if has_shadow:
                angle, place = random.uniform(0, 2 * math.pi), random.uniform(-0.7, 0.7)
                inside = math.cos(angle) * self._across + math.sin(angle) * self._down > place
                np.copyto(_pixels(picture), _pixels(_lit(picture, random.uniform(*_SHADOW))), where=inside)
        return pictures

    def _patched(self, pictures: np.ndarray) -> np.ndarray:
        """Parts of some of them covered, as in "Random Erasing Data Augmentation" (Zhong et al., arXiv 1708.04896)."""
        (n, height, width, channels), random = pictures.shape, self._random
        some = np.repeat(np.flatnonzero(random.random(n) < _PATCHED), _PATCHES)
        some = some[random.random(len(some)) < _COVERED]
        size = random.integers((height // 16, width // 25), (height // 2, width // 3), (len(some), 2))
        place = (random.random((len(some), 2)) * ((height, width) - size)).astype(np.int64)
        colours = random.integers(0, 256, (len(some), channels), np.uint8)
        for i, (top, left), (bottom, right), colour in zip(some, place, place + size, colours, strict=True):
            pictures[i, top:bottom, left:right] = colour
        return pictures

    def _noisy(self, picture: np.ndarray) -> np.ndarray:
        start = self._random.integers(0, len(self._noise) - picture.size)
        noise = self._noise[start : start + picture.size].reshape(picture.shape)
        noisy: np.ndarray = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return noisy


def _pixels(pictures: np.ndarray) -> np.ndarray:
    """A view, (...), of pictures, uint8 (..., channels), with a value a pixel: NumPy moves these much more quickly."""
    return pictures.view(f"V{pictures.shape[-1]}")[..., 0]


def _lit(picture: np.ndarray, brightness: float) -> np.ndarray:
    """A picture, uint8, brighter or darker; the table look-up of bytes is several times as quick as NumPy's."""
    table = np.minimum(np.arange(256) * brightness, 255).astype(np.uint8).tobytes()
    return np.frombuffer(picture.tobytes().translate(table), np.uint8).reshape(picture.shape)


def _blurred(pictures: np.ndarray) -> np.ndarray:
    """Each pixel as the mean of nine; the outermost stay as they are."""
    height, width = pictures.shape[1:3]
    sums = np.zeros((len(pictures), height - 2, width, pictures.shape[3]), np.uint16)
    for row in range(3):
        sums += pictures[:, row : row + height - 2]
    total = sums[:, :, :-2] + sums[:, :, 1:-1] + sums[:, :, 2:]
    blurred = pictures.copy()
    blurred[:, 1:-1, 1:-1] = total // 9
    return blurred
