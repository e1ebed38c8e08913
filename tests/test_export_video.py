"""Videos of a LeRobot export: true colours, and recordings copied without loss."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from test_combine import combine
from test_convert import COLOURS, FRAMES, convert, gray_of, write_session
from test_export import CAMERA, exported, info_of, pictures_of, times_of, write_drive


def planes_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_an_encoded_video_has_the_colours_of_the_images(tmp_path: Path) -> None:
    session = write_drive(tmp_path, "colours", laps=1, colours=True)
    assert combine([session.folder], tmp_path / "dataset")[0] == 0
    (video,) = exported(tmp_path / "dataset").rglob("*.mp4")
    for number, picture in enumerate(pictures_of(video)):
        assert np.abs(picture[91, 161].astype(int) - COLOURS[number % len(COLOURS)]).max() <= 5
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (6, 1), "BT.601, limited range"
        container.seek(0)
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys[0]
    assert all(key or after for key, after in pairwise(keys)), "a frame is at most one away from a key frame"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_copied_recording_is_the_same_to_the_bit(tmp_path: Path, codec: Literal["libx264", "libx265"]) -> None:
    """Also with B-frames, times that do not begin at zero, and a sound track beside the pictures."""
    session = write_session(tmp_path / "made")
    session.manifest.settings["fps"] = 10.0
    session.save()
    shades = np.random.default_rng(0).integers(0, 40, (182, 322, 3))
    with av.open(str(session.video_file), "w", format="matroska") as container:
        own = {"libx264": {"x264-params": "open-gop=1:b-adapt=0"}, "libx265": {"x265-params": "log-level=none"}}
        options = {"bf": "3", "g": "12", "preset": "superfast", **own[codec]}
        stream = container.add_stream(codec, rate=10, options=options)
        sound = container.add_stream("pcm_s16le", rate=8000)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.width, stream.height, stream.pix_fmt = 322, 182, "yuv420p"
        for i in range(FRAMES):
            picture = (gray_of(i) + np.roll(shades, 5 * i, axis=1)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 700 + 100 * i, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            noise.pts, noise.rate = 800 * i, 8000
            container.mux(sound.encode(noise))
        container.mux(stream.encode(None))
    with av.open(str(session.video_file)) as container:
        stamps = np.array([packet.pts for packet in container.demux(video=0) if packet.size], np.int64)
    assert (np.diff(stamps) < 0).any(), "the pictures are not stored in their order"
    assert convert(session)[0] == 0
    assert combine([session.folder], tmp_path / "dataset")[0] == 0
    out = exported(tmp_path / "dataset", "--video", "copy")
    (video,) = out.rglob("*.mp4")
    assert planes_of(video) == planes_of(session.video_file)
    with av.open(str(video)) as copy:
        assert copy.streams.video[0].average_rate == 10
    assert times_of(video) == [Fraction(i, 10) for i in range(FRAMES)]
    assert info_of(out)["features"][CAMERA]["info"]["video.codec"] == {"libx264": "h264", "libx265": "hevc"}[codec]
