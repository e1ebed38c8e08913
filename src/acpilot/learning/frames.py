"""A dataset's images as a network sees them, decoded once and kept in the dataset's folder."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from acpilot.dataset.dataset import Dataset
from acpilot.errors import AcpilotError
from acpilot.files import replace, write_atomically
from acpilot.policy.preprocessing import Preprocessing
from acpilot.progress import Progress

S = TypeVar("S")
T = TypeVar("T")
_VERSION = 2
"""Counts changes to how frames are made, so that caches made before are made anew."""
_INDEX = ".index"
"""Of a file beside the cache: the digest of how its images are seen, then of each image."""
_DIGEST = hashlib.sha256().digest_size


def open_picture(path: Path) -> np.ndarray:
    """An image file, uint8 (height, width, 3), RGB.

    Raises:
        AcpilotError: it is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AcpilotError(
            f"{path} cannot be read as an image ({error}): convert its session again, then combine it again"
        ) from None


def look_at(preprocessing: Preprocessing, picture: np.ndarray) -> np.ndarray:
    """What the network sees of a picture, uint8 (height, width, 3)."""
    left, top, width, height = preprocessing.band(picture.shape[1], picture.shape[0])
    return preprocessing.prepare(picture[top : top + height, left : left + width])


def network_frames(
    dataset: Dataset, names: Sequence[str], preprocessing: Preprocessing, progress: Progress
) -> tuple[np.ndarray, str]:
    """The network's view of images, from the dataset's cache, which is built when there is none of just these images.

    Only images that the cache of before did not hold are decoded: a dataset that grows is soon ready again.

    Args:
        dataset: whose folder holds images and cache.
        names: of the images, as in the dataset's table.
        preprocessing: its band, size and order of colours.
        progress: told after each image that was checked, then after each that was decoded.

    Returns:
        A memory map, uint8 (n, height, width, 3), and the SHA-256 of the images and of how they are seen.

    Raises:
        AcpilotError: an image is missing or damaged, or the disk is full.
    """
    paths = [dataset.image(name) for name in names]
    how = repr((_VERSION, preprocessing.crop, preprocessing.size, preprocessing.colours)).encode()
    images = list(_each(_digest, paths, progress))
    content = hashlib.sha256(how + b"".join(images)).hexdigest()
    file = dataset.cache_folder / f"frames_{content[:24]}.npy"
    shape = (len(paths), preprocessing.size[1], preprocessing.size[0], 3)
    with contextlib.suppress(OSError, ValueError):  # none, or damaged: it is built
        frames: np.ndarray = np.load(file, mmap_mode="r")
        if frames.shape == shape:
            return frames, content
    index = hashlib.sha256(how).digest() + b"".join(images)
    part = file.with_name(file.name + ".part")
    try:
        dataset.cache_folder.mkdir(exist_ok=True)
        known = _known(dataset.cache_folder, index[:_DIGEST], shape[1:])

        def view(image: tuple[Path, bytes]) -> np.ndarray:
            path, digest = image
            return known[digest] if digest in known else look_at(preprocessing, open_picture(path))

        with part.open("wb") as out:  # not through a memory map: on a full disk that ends the process
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for seen in _each(view, list(zip(paths, images, strict=True)), progress):
                out.write(seen.tobytes())
            out.flush()
            os.fsync(out.fileno())
        replace(part, file)
        write_atomically(file.with_suffix(_INDEX), index)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise AcpilotError(
            f"cannot write {file}: {error.strerror or error}; it needs {np.prod(shape) >> 20} MB, free some space"
        ) from None
    for old in dataset.cache_folder.glob("frames_*"):
        if old.stem != file.stem:
            with contextlib.suppress(OSError):  # on Windows, another training may have it open
                old.unlink()
    return np.load(file, mmap_mode="r"), content


def _known(folder: Path, how: bytes, shape: tuple[int, ...]) -> dict[bytes, np.ndarray]:
    """What a cache holds already: the digest of an image → how the network sees it, uint8 (height, width, 3)."""
    known: dict[bytes, np.ndarray] = {}
    for file in folder.glob(f"frames_*{_INDEX}"):
        with contextlib.suppress(OSError, ValueError):  # damaged: what it holds is decoded
            index, frames = file.read_bytes(), np.load(file.with_suffix(".npy"), mmap_mode="r")
            if index[:_DIGEST] == how and frames.shape == (len(index) // _DIGEST - 1, *shape):
                digests = (index[at : at + _DIGEST] for at in range(_DIGEST, len(index), _DIGEST))
                known |= dict(zip(digests, frames, strict=True))
    return known


def _each(work: Callable[[S], T], items: Sequence[S], progress: Progress) -> Iterator[T]:
    """What the work makes of each item, in order; all processors take part, and few results wait at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(items), 256):
            some = items[first : first + 256]
            for done, result in enumerate(pool.map(work, some), first + 1):
                yield result
                progress(done, len(items))


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        raise _missing(path) from None


def _missing(path: Path) -> AcpilotError:
    return AcpilotError(f"{path} is missing: convert its session again, then combine it again")
