"""What is done to pictures so that a network learns the road and not the recordings.

Each picture is changed by itself, since one fits into the processor's cache and a batch does not: that costs a small
part of what the network itself does.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided

from acpilot.learning.settings import TrainSettings
from acpilot.policy.preprocessing import Preprocessing

_REACH = 4.0  # metres that it takes to come back to the line however slow the car
_BRIGHTNESS = (0.6, 1.4)
_SHADOW = (0.45, 0.85)  # brightness in it
_SHADOWED, _BLURRED, _NOISY = 0.3, 0.1, 0.2  # share of the pictures
_PATCHED, _PATCHES, _COVERED = 0.5, 3, 2 / 3  # share of the pictures, patches of each at most, share of these
_NOISE = 12  # grey levels, at most
_NOISE_BANK = 4  # pictures of noise, of which each noisy one gets what begins somewhere: more do not fit into caches


class Augmentation:
    """Changes batches of pictures at random; the seed and the number of the epoch decide how.

    A view from ``d`` metres right of where the picture was taken is made by moving every row of the road by
    d · y / camera height pixels to the left, y being its distance below the horizon; a view turned right by an angle θ
    by moving all rows by θ · focal length. The steering is corrected by what makes that good as a driver does, who
    aims at the line L = 4 m + recovery · speed ahead: a curvature of 2 / L · (d / L + θ) to the left, which takes so
    much of the turn at full lock, whose radius is known. A camera behind the car's middle by b has it b · sin θ further
    right.
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
        self._margin = math.ceil(farthest.max())
        channels = preprocessing.input_shape[2]
        noise = random.integers(-_NOISE, _NOISE + 1, _NOISE_BANK * height * width * channels, np.int16)
        self._brighter, self._darker = np.maximum(noise, 0).astype(np.uint8), np.maximum(-noise, 0).astype(np.uint8)
        self._down = np.linspace(-1, 1, height)
        self._column = np.repeat(np.arange(width, dtype=np.int16), channels)  # of each byte of a row

    def change(
        self, pictures: Sequence[np.ndarray], steering: np.ndarray, speed_kmh: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Change a batch.

        Args:
            pictures: n, uint8 (height, width, channels) each.
            steering: float32 (n,), −1 full left … +1 full right.
            speed_kmh: float32 (n,).

        Returns:
            Pictures, uint8 (n, height, width, channels), and steering, changed, and the brightness of each picture as a
            whole, float32 (n,): the network multiplies pixels anyway.
        """
        settings, random, n = self._settings, self._random, len(pictures)
        mirrored = random.random(n) < (0.5 if settings.mirror else 0)
        aside = random.uniform(-settings.shift, settings.shift, n)
        # A policy that runs wide crosses the road at angles that no driver shows; smaller ones are met more often.
        angle = np.radians(settings.rotation * (random.random(n) - random.random(n)))
        changed = self.moved(pictures, aside, angle, mirrored)
        steering = np.where(mirrored, -steering, steering) + self.correction(aside, angle, speed_kmh)
        if settings.blur:
            for i in np.flatnonzero(random.random(n) < _BLURRED):
                _blur(changed[i])
        brightness = random.uniform(*_BRIGHTNESS, n) if settings.brightness else np.ones(n)
        if settings.shadow:
            self._shadow(changed, np.flatnonzero(random.random(n) < _SHADOWED))
        if settings.patches:
            self._patch(changed)
        if settings.noise:
            for i in np.flatnonzero(random.random(n) < _NOISY):
                self._noise(changed[i])
        return changed, np.clip(steering, -1, 1).astype(np.float32), brightness.astype(np.float32)

    def correction(self, aside: np.ndarray, angle: np.ndarray, speed_kmh: np.ndarray) -> np.ndarray:
        """Steering to be added when the view is moved right by metres and turned right by radians, (n,) each."""
        reach = _REACH + self._settings.recovery * speed_kmh / 3.6
        beside = aside + self._settings.camera_behind * np.sin(angle)
        curvature = 2 / reach * (beside / reach + angle)
        corrected: np.ndarray = -curvature * self._settings.turning_radius
        return corrected

    def moved(
        self, pictures: Sequence[np.ndarray], aside: np.ndarray, angle: np.ndarray, mirrored: np.ndarray
    ) -> np.ndarray:
        """The view from metres to the right and turned right by radians, (n,) each; uint8 (n, height, width, channels).

        Those that are ``mirrored``, bool (n,), are so before.
        """
        height, width, channels = pictures[0].shape
        margin, every = self._margin, np.arange(height)
        # A picture with room on both sides for what its edges are continued by.
        padded = np.empty((height, width + 2 * margin, channels), np.uint8)
        pixels = _pixels(padded)
        # Every place at which a row can be cut out of it, without a copy.
        row, pixel, value = padded.strides
        cuts = as_strided(padded, (height, 2 * margin + 1, width * channels), (row, pixel, value), writeable=False)
        moved = np.empty((len(pictures), height, width * channels), np.uint8)
        views = torch.from_numpy(moved.reshape(-1, height, width, channels))
        # To move a picture that was mirrored is to move it the other way, and to mirror it then.
        starts = np.rint(self._shifts(aside, angle)).astype(np.int64)
        starts = margin + np.where(mirrored[:, None], -starts, starts)
        firsts, lasts = starts.min(1).tolist(), (starts.max(1) + width).tolist()
        for i, (picture, start, first, last) in enumerate(zip(pictures, starts, firsts, lasts, strict=True)):
            padded[:, margin : margin + width] = picture
            if first < margin:
                pixels[:, first:margin] = pixels[:, margin : margin + 1]
            if last > margin + width:
                pixels[:, margin + width : last] = pixels[:, margin + width - 1 : margin + width]
            moved[i] = cuts[every, start]
            if mirrored[i]:
                views[i].copy_(views[i].flip(1))  # four times as quick as NumPy
        return moved.reshape(-1, height, width, channels)

    def _shifts(self, aside: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """By how many pixels each row's cut moves right, float64 (n, height)."""
        shifts: np.ndarray = self._focal * (
            aside[:, None] * self._slope / self._settings.camera_height + np.tan(angle)[:, None]
        )
        return shifts

    def _shadow(self, pictures: np.ndarray, some: np.ndarray) -> None:
        """Darken one side of a line in pictures of these numbers."""
        random, (_, height, width, _) = self._random, pictures.shape
        angle, place = random.uniform(0, 2 * math.pi, len(some)), random.uniform(-0.7, 0.7, len(some))
        shares = (256 * random.uniform(*_SHADOW, len(some))).astype(np.uint16)
        # The line crosses every row somewhere: there, or far beside the picture.
        across = (place[:, None] - np.sin(angle)[:, None] * self._down) / np.cos(angle)[:, None]
        crossing = np.clip((across + 1) / 2 * (width - 1), -1, width).astype(np.int16)[..., None]
        for i, share, crossed, right in zip(some, shares, crossing, np.cos(angle) > 0, strict=True):
            inside = self._column > crossed if right else self._column <= crossed
            rows = pictures[i].reshape(height, -1)
            np.copyto(rows, (rows.astype(np.uint16) * share >> 8).astype(np.uint8), where=inside)

    def _patch(self, pictures: np.ndarray) -> None:
        """Cover parts of some of them, as in "Random Erasing Data Augmentation" (Zhong et al., arXiv 1708.04896)."""
        (n, height, width, channels), random = pictures.shape, self._random
        some = np.repeat(np.flatnonzero(random.random(n) < _PATCHED), _PATCHES)
        some = some[random.random(len(some)) < _COVERED]
        size = random.integers((height // 16, width // 25), (height // 2, width // 3), (len(some), 2))
        place = (random.random((len(some), 2)) * ((height, width) - size)).astype(np.int64)
        colours, pixels = _pixels(random.integers(0, 256, (len(some), channels), np.uint8)), _pixels(pictures)
        sides = np.hstack((some[:, None], place, place + size)).tolist()
        for (i, top, left, bottom, right), colour in zip(sides, colours, strict=True):
            pixels[i, top:bottom, left:right] = colour

    def _noise(self, picture: np.ndarray) -> None:
        """Make pixels brighter or darker, each by itself."""
        start, values = self._random.integers(0, len(self._darker) - picture.size), picture.reshape(-1)
        up, down = (each[start : start + picture.size] for each in (self._brighter, self._darker))
        np.minimum(values, 255 - up, out=values)
        values += up
        np.maximum(values, down, out=values)
        values -= down


def _pixels(pictures: np.ndarray) -> np.ndarray:
    """A view, (...), of pictures, uint8 (..., channels), with a value a pixel: NumPy moves these much more quickly."""
    return pictures.view(f"V{pictures.shape[-1]}")[..., 0]


def _blur(picture: np.ndarray) -> None:
    """Make each pixel the mean of nine; the outermost stay as they are."""
    wide = picture.astype(np.uint16)
    sums = wide[:-2] + wide[1:-1] + wide[2:]
    picture[1:-1, 1:-1] = (sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]) // 9
