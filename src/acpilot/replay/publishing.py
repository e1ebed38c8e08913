"""A session's samples as live memory pages, from a process of its own: neither pictures nor terminal hold them up."""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from acpilot.clock import NS, Lateness, ask_for_punctuality, now, sleep_until
from acpilot.errors import AcpilotError
from acpilot.replay.source import Source, Timeline
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status, encode_text, lap_time_text
from acpilot.telemetry.sample import Samples, pages_of
from acpilot.telemetry.shared_memory import PagePublisher

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Link
else:
    from multiprocessing.connection import Connection as Link

_BLOCK = 256  # samples that are made pages of at a time: takes less than the time between two of them
_LONG = NS // 50
_PATIENCE = 10.0  # seconds


@dataclass
class Published:
    """What the publishing process did."""

    lateness: Lateness = field(default_factory=Lateness)
    """Of each sample."""
    first: int = 0
    last: int = 0
    """Instants, ns, at which the first and the last sample were published."""

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return (self.lateness.events - 1) * NS / (self.last - self.first) if self.last > self.first else 0.0


class Publisher:
    """The process that publishes the pages; a context manager that ends it and takes the pages away."""

    def __init__(self, source: Source, pages: str) -> None:
        """Start the process.

        Raises:
            AcpilotError: another game is publishing under these names, or may be.
        """
        context = multiprocessing.get_context("spawn")
        self._link, link = context.Pipe()
        self._process = context.Process(
            target=_publish, args=(source.samples, source.static, pages, link), daemon=True, name="acpilot replay"
        )
        try:
            self._process.start()
            link.close()
            self._receive()
        except BaseException:
            self.close()
            raise

    def start(self, timeline: Timeline) -> None:
        """Publish from the timeline's start on."""
        self._send(timeline)

    @property
    def ended(self) -> bool:
        """Whether all samples have been published (or the process has died)."""
        return _readable(self._link)

    def finish(self) -> Published:
        """End the process, if it has not ended by itself; what it did.

        Raises:
            AcpilotError: it has died.
        """
        if not self.ended:
            self._send(None)
        published = self._receive()
        assert isinstance(published, Published)
        return published

    def _send(self, what: Timeline | None) -> None:
        with suppress(OSError):  # it has died: ``finish`` tells
            self._link.send(what)

    def _receive(self) -> Published | None:
        try:
            answer: Published | AcpilotError | None = self._link.recv()
        except (EOFError, OSError):
            raise AcpilotError("the process that publishes the memory pages has ended unexpectedly") from None
        if isinstance(answer, AcpilotError):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if nothing else has; may be called twice."""
        self._link.close()
        if self._process.pid is not None:
            self._process.join(_PATIENCE)


def _publish(samples: Samples, static: bytes, pages: str, link: "Link[Any, Any]") -> None:
    """The publishing process: sends None when it is ready, receives its timeline, sends what it did at the end."""
    # Both reach all of a terminal's or a service's processes: the first one tells this one to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        publisher = PagePublisher(pages)
    except AcpilotError as error:
        link.send(error)
        return
    with suppress(EOFError, OSError):  # the first process was killed, or has given up
        with publisher:
            publisher.publish_static(static)
            link.send(None)
            timeline = link.recv()
            ask_for_punctuality()
            gc.collect()
            gc.freeze()
            gc.disable()  # nothing here makes cycles; a collection would delay a sample
            published = _publish_samples(publisher, samples, timeline, link)
        link.send(published)


def _publish_samples(
    publisher: PagePublisher, samples: Samples, timeline: Timeline, link: "Link[Any, Any]"
) -> Published:
    published = Published()
    last_physics = last_graphics = b""
    packet = 0
    graphics_page = np.zeros((), GRAPHICS)
    for turn in timeline.turns():
        for instant, physics, graphics in _pages(samples):
            due = timeline.due(instant, turn)
            if graphics != last_graphics:
                packet += 1
                graphics_page = _with_texts(graphics, packet)
            if _told_to_end(link, due):
                break
            # The graphics page goes first: whoever waits for the next packet finds both.
            if graphics != last_graphics:
                publisher.publish_graphics(graphics_page.tobytes())
            if physics != last_physics:
                publisher.publish_physics(physics)
            published.last = now()
            published.first = published.first or published.last
            published.lateness.add(published.last - due)
            last_physics, last_graphics = physics, graphics
        else:
            if not _told_to_end(link, timeline.due(timeline.end, turn)):
                continue
        break
    graphics_page["status"] = Status.OFF
    publisher.publish_graphics(graphics_page.tobytes())
    return published


def _pages(samples: Samples) -> Iterator[tuple[int, bytes, bytes]]:
    """Instant, physics page and graphics page of each sample."""
    for first in range(0, len(samples["instant"]), _BLOCK):
        block = {name: values[first : first + _BLOCK] for name, values in samples.items()}
        physics, graphics = (page.tobytes() for page in pages_of(block))
        instants = block["instant"].tolist()
        for i, instant in enumerate(instants):
            yield (
                instant,
                physics[i * PHYSICS.itemsize : (i + 1) * PHYSICS.itemsize],
                graphics[i * GRAPHICS.itemsize : (i + 1) * GRAPHICS.itemsize],
            )


def _with_texts(page: bytes, packet: int) -> np.ndarray:
    """A graphics page with what the samples do not hold: its packet counter, and lap times as texts."""
    record = np.frombuffer(bytearray(page), GRAPHICS).reshape(())
    record["packet_id"] = packet
    for name, milliseconds in (
        ("current_time", int(record["lap_time_ms"])),
        ("last_time", int(record["last_lap_ms"]) or None),
        ("best_time", None),
    ):
        record[name] = encode_text(lap_time_text(milliseconds), 15)
    return record


def _told_to_end(link: "Link[Any, Any]", due: int) -> bool:
    """Wait until an instant, or until the first process says to end or is gone; whether it was the latter."""
    while (remaining := due - now()) > _LONG:
        if _readable(link, (remaining - _LONG // 2) / NS):
            return True
    if _readable(link):
        return True
    sleep_until(due)
    return False


def _readable(link: "Link[Any, Any]", timeout: float = 0.0) -> bool:
    """Whether something was sent within so many seconds, or the other end is gone."""
    try:
        return link.poll(timeout)
    except OSError:  # how Windows tells the latter
        return True
