"""A session's video in a window: each frame at its instant."""

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
import numpy as np

from acpilot.clock import NS, Lateness, now, sleep_until
from acpilot.commands import install_extra
from acpilot.errors import AcpilotError
from acpilot.replay.settings import ReplaySettings
from acpilot.replay.source import Source, Timeline
from acpilot.threads import guarded_thread
from acpilot.video.decoding import decode

if TYPE_CHECKING:
    from acpilot.replay.picture_window import PictureWindow

_TICK = NS // 100


class _EndedError(Exception):
    """Nobody wants more pictures."""


@dataclass(frozen=True)
class _Picture:
    due: int
    replaced: int
    """Instants, ns, at which it and the one after it are due."""
    pixels: np.ndarray
    """uint8 (height, width, 3), blue green red."""


class Pictures:
    """Decodes in a thread of its own and shows in the caller's; a context manager that closes the window.

    One picture waits while the next one is decoded. A picture that the next one should have replaced already is left
    out.
    """

    def __init__(self, video: Path, source: Source, settings: ReplaySettings) -> None:
        """Open the window.

        Raises:
            AcpilotError: there is no display, or Panda3D is not installed.
        """
        self.lateness = Lateness()
        """Of each picture that was shown."""
        self.failure: Exception | None = None
        self._video, self._instants = video, source.frames
        instants = list(source.frames.values())
        self._replaced = dict(zip(source.frames, [*instants[1:], source.timeline.end], strict=True))
        self._size = _size(video)
        self._window = _open(settings, self._size)
        self.renderer, self.note = self._window.renderer, self._window.note
        self._ended = threading.Event()
        self._waiting: queue.Queue[_Picture] = queue.Queue(1)
        self._next: _Picture | None = None
        self._dropped_early = self._dropped_late = 0  # by the two threads
        self._drawing = 0  # ns that it took the last time
        self._decoding = guarded_thread(self, self._decode, "video decoder")

    def start(self, timeline: Timeline) -> None:
        """Show from the timeline's start on."""
        self._timeline = timeline
        self._decoding.start()

    @property
    def dropped(self) -> int:
        """Pictures that came too late to be shown."""
        return self._dropped_early + self._dropped_late

    def update(self) -> str:
        """Show the next picture if it is due soon, else rest for a moment; why the user wants to end, or nothing.

        Raises:
            AcpilotError: the video cannot be read any more.
        """
        if self.failure is not None:
            raise AcpilotError(f"{self._video} cannot be read any more: {self.failure}")
        wish = self._window.wish_to_end()
        if self._next is None:
            with suppress(queue.Empty):
                self._next = self._waiting.get_nowait()
        if self._next is None or self._next.due - now() > _TICK + self._drawing:
            sleep_until(now() + _TICK)
            return wish
        picture, self._next = self._next, None
        begun = now()
        if picture.replaced <= begun:
            self._dropped_late += 1
            return wish
        self._window.draw(picture.pixels)
        self._drawing = now() - begun
        sleep_until(picture.due)
        self._window.flip()
        self.lateness.add(now() - picture.due)
        return wish

    def _decode(self) -> None:
        with suppress(_EndedError):
            for turn in self._timeline.turns():
                # In one thread they come in order.
                if not decode(self._video, self._instants, partial(self._hand_over, turn), threads=1):
                    return

    def _hand_over(self, turn: int, number: int, frame: av.VideoFrame) -> None:
        if self._ended.is_set():
            raise _EndedError
        due, replaced = (self._timeline.due(at[number], turn) for at in (self._instants, self._replaced))
        if replaced <= now():
            self._dropped_early += 1
            return
        width, height = self._size
        # PyAV converts by the frame's own colour tags.
        picture = _Picture(due, replaced, frame.to_ndarray(format="bgr24", width=width, height=height))
        while True:
            try:
                self._waiting.put(picture, timeout=0.1)
                return
            except queue.Full:
                if self._ended.is_set():
                    raise _EndedError from None

    def close(self) -> None:
        """Close the window; may be called twice."""
        self._ended.set()
        if self._decoding.is_alive():
            self._decoding.join()
        self._window.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _size(video: Path) -> tuple[int, int]:
    """Width and height of a video's pictures, pixels."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def _open(settings: ReplaySettings, picture: tuple[int, int]) -> "PictureWindow":
    try:
        from acpilot.replay.picture_window import PictureWindow
    except ModuleNotFoundError as error:
        raise AcpilotError(
            f"the window needs {error.name}, which is not installed: {install_extra('practice')}; or publish the "
            "telemetry alone with --headless"
        ) from None
    try:
        return PictureWindow(settings.title, settings.size or picture, picture)
    except RuntimeError as error:
        raise AcpilotError(
            f"the pictures cannot be shown: {error}; without a display, --headless publishes the telemetry alone"
        ) from None
