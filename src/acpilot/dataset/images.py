"""Frames of a video → the files of a dataset: cropped, resized, in true colours."""

import io
import threading
from collections.abc import Callable

import av
import av.filter
import numpy as np
import simplejpeg
from PIL import Image

from acpilot.dataset.settings import ConvertSettings
from acpilot.errors import AcpilotError

_MATRICES = {1: "bt709", 2: "smpte170m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m"}
"""FFmpeg's numbers of colour matrices → its names; a file that does not say (2) is taken for BT.601, as FFmpeg does."""
_FULL_RANGE = 2


def image_encoder(settings: ConvertSettings) -> Callable[[av.VideoFrame], bytes]:
    """What turns frames into the bytes of image files; safe to call from several threads.

    Raises (when called):
        AcpilotError: the crop reaches outside the picture.
    """
    own = threading.local()

    def encode(frame: av.VideoFrame) -> bytes:
        if settings.format == "jpg" and settings.crop is None and settings.size is None and _has_planes(frame):
            if not hasattr(own, "graphs"):
                own.graphs = {}
            data: bytes = simplejpeg.encode_jpeg_yuv_planes(*_planes(frame, own.graphs), settings.quality)
            return data
        # PyAV converts by the frame's own colour tags.
        return _encode_rgb(_shaped(frame.to_ndarray(format="rgb24"), settings), settings)

    return encode


def _has_planes(frame: av.VideoFrame) -> bool:
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return even and frame.format.name in ("yuv420p", "yuvj420p") and int(frame.colorspace) in _MATRICES


def _planes(frame: av.VideoFrame, graphs: dict[tuple[object, ...], av.filter.Graph]) -> list[np.ndarray]:
    """Y, U and V as JPEG means them, BT.601 in full range: uint8 (height, width) and twice (height/2, width/2).

    Without the way through RGB, this is half the work. Source of JPEG's colours: JFIF 1.02, page 3.
    """
    matrix = _MATRICES[int(frame.colorspace)]
    full = frame.format.name == "yuvj420p" or int(frame.color_range) == _FULL_RANGE
    if not (full and matrix in ("smpte170m", "bt470bg")):
        key = (frame.width, frame.height, frame.format.name, matrix, full)
        if key not in graphs:
            graphs[key] = _to_jpeg_colours(frame, matrix, full=full)
        graphs[key].push(frame)
        converted = graphs[key].pull()
        assert isinstance(converted, av.VideoFrame)
        frame = converted
    return [
        np.ascontiguousarray(
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        )
        for plane in frame.planes
    ]


def _to_jpeg_colours(frame: av.VideoFrame, matrix: str, *, full: bool) -> av.filter.Graph:
    graph = av.filter.Graph()
    span = "pc" if full else "tv"
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
        f":colorspace={matrix}:range={span}",
    )
    # Only the matrix and the range change: with the same primaries and curve on both sides, "fast" leaves those alone.
    convert = graph.add(
        "colorspace",
        f"ispace={matrix}:irange={span}:iprimaries=bt709:itrc=bt709:space=smpte170m:range=pc:primaries=bt709:trc=bt709"
        ":fast=1",
    )
    sink = graph.add("buffersink")
    source.link_to(convert)
    convert.link_to(sink)
    graph.configure()
    return graph


def _shaped(picture: np.ndarray, settings: ConvertSettings) -> np.ndarray:
    """Crop, then resize: uint8 (height, width, 3), RGB."""
    if settings.crop is not None:
        left, top, width, height = settings.crop
        if not (left >= 0 <= top and left + width <= picture.shape[1] and top + height <= picture.shape[0]):
            raise AcpilotError(
                f"--crop {left} {top} {width} {height} reaches outside the picture of {picture.shape[1]} × "
                f"{picture.shape[0]} pixels: LEFT TOP WIDTH HEIGHT must lie within it"
            )
        picture = picture[top : top + height, left : left + width]
    if settings.size is not None and (picture.shape[1], picture.shape[0]) != settings.size:
        # Box averages whole areas when it makes smaller: no shimmer from skipped pixels.
        smaller = settings.size[0] <= picture.shape[1] and settings.size[1] <= picture.shape[0]
        filter_ = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
        picture = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(settings.size, filter_))
    return np.ascontiguousarray(picture)


def _encode_rgb(picture: np.ndarray, settings: ConvertSettings) -> bytes:
    if settings.format == "jpg":
        data: bytes = simplejpeg.encode_jpeg(picture, settings.quality, "RGB", "420")
        return data
    file = io.BytesIO()
    if settings.format == "png":
        Image.fromarray(picture).save(file, "PNG", compress_level=1)
    else:
        Image.fromarray(picture).save(file, "WEBP", quality=settings.quality, method=2)
    return file.getvalue()
