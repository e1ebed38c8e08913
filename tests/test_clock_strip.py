import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from acpilot import clock_strip

instants = st.integers(0, clock_strip.LIMIT_NS - 1)
Picture = NDArray[np.uint8]


def rounded(instant: int) -> int:
    return instant - instant % clock_strip.RESOLUTION_NS


def scene(width: int, height: int, seed: int) -> Picture:
    """A smooth coloured picture with some noise, as a game might show."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 37 + seed) * 60 + 120, np.cos(y / 29 + x / 91) * 70 + 110, (x + y + seed * 7) % 256]
    return np.clip(np.dstack(waves) + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


@given(instants, st.integers(320, 1920), st.integers(180, 1080), st.booleans())
def test_what_was_drawn_is_read_back_whatever_the_size(instant: int, width: int, height: int, grey: bool) -> None:
    picture = np.full((height, width) if grey else (height, width, 3), 97, dtype=np.uint8)
    clock_strip.draw(picture, instant)
    assert clock_strip.decode(picture) == rounded(instant)
    assert (picture[clock_strip.strip_height(height) :] == 97).all()


@given(instants, st.lists(st.integers(0, 59), min_size=1, max_size=3, unique=True))
def test_a_wrong_cell_is_refused(instant: int, wrong: list[int]) -> None:
    cells = clock_strip.encode(instant)
    for index in wrong:
        cells[2 + index] ^= 255
    assert clock_strip.decode(np.tile(cells.repeat(10), (360, 1))) is None


@given(instants, st.integers(2, 61))
def test_a_cell_that_is_neither_black_nor_white_is_refused(instant: int, index: int) -> None:
    cells = clock_strip.encode(instant)
    cells[index] = 127
    assert clock_strip.decode(np.tile(cells.repeat(10), (360, 1))) is None


@pytest.mark.parametrize("level", [0, 130, 255])
def test_a_plain_picture_has_no_instant(level: int) -> None:
    assert clock_strip.decode(np.full((360, 640, 3), level, dtype=np.uint8)) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_without_a_strip_has_no_instant(seed: int) -> None:
    assert clock_strip.decode(scene(640, 360, seed)) is None
    assert clock_strip.decode(np.random.default_rng(seed).integers(0, 256, (360, 640), dtype=np.uint8)) is None


@pytest.mark.parametrize("instant", [-1, clock_strip.LIMIT_NS])
def test_an_instant_out_of_range_is_an_error(instant: int) -> None:
    with pytest.raises(ValueError, match="carries instants from 0"):
        clock_strip.encode(instant)


def test_range_and_resolution() -> None:
    assert clock_strip.LIMIT_NS >= 2**44 * 1000
    assert clock_strip.RESOLUTION_NS <= 10_000
    assert [clock_strip.strip_height(height) for height in (180, 360, 720)] == [6, 12, 24]


@pytest.mark.parametrize("scaled", [None, (640, 360), (320, 180)])
@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
def test_survives_h264(size: tuple[int, int], scaled: tuple[int, int] | None) -> None:
    width, height = size
    sent = [7_000_000_000_000_000 + i * 33_330_000 for i in range(8)]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i, instant in enumerate(sent):
            picture = scene(width, height, i)
            clock_strip.draw(picture, instant)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    to_width, to_height = scaled or size
    with av.open(file, "r") as container:
        pictures = [frame.reformat(to_width, to_height, "rgb24").to_ndarray() for frame in container.decode(video=0)]
    assert [clock_strip.decode(picture.astype(np.uint8, copy=False)) for picture in pictures] == sent
