"""Watches the game's pages in a thread of its own and logs every physics step that it can see."""

import queue
import threading
import time
from dataclasses import dataclass

import numpy as np

from acpilot.clock import NS, ask_for_punctuality, now
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status
from acpilot.telemetry.shared_memory import PageReader
from acpilot.threads import guarded_thread

_BATCH_SECONDS = 0.5
_BATCH_SAMPLES = 4096
_RETRY = 0.0003
_TORN_RETRY = 0.00005
_SHORTEST_STEP = 0.0005
_IDLE_POLL = 0.004
_IDLE_AFTER = NS // 5


@dataclass
class SamplerCounts:
    """What the sampler has seen."""

    samples: int = 0
    lost: int = 0
    """Physics steps that the packet counter says there were, but that were not seen."""
    torn: int = 0
    """Reads refused because the page was being written."""
    restarts: int = 0
    """Times the packet counter went back (a new session of the game)."""

    @property
    def seen_share(self) -> float:
        """Share of the game's physics steps that was logged, 0..1."""
        return self.samples / max(1, self.samples + self.lost)


class Sampler:
    """Logs each physics step once, stamped when it was read.

    The thread learns the game's step time and wakes when the next step is due, so that one or two looks per step are
    enough: looking at a fixed short period would cost several times as much. Conversion and disk are the business of
    a second thread.
    """

    def __init__(self, pages: PageReader, writer: TelemetryWriter) -> None:
        self.counts = SamplerCounts()
        self.status: int = Status.OFF
        self.last_change = now()
        """Instant at which the packet counter last moved."""
        self.last_sign_of_life = now()
        """Instant at which the packet counter or the status last changed."""
        self.failure: Exception | None = None
        """Why nothing is logged any more (a full disk), if so."""
        self._pages, self._writer = pages, writer
        self._stop = threading.Event()
        self._batches: queue.SimpleQueue[tuple[np.ndarray, bytes, bytes] | None] = queue.SimpleQueue()
        self._watching = guarded_thread(self, self._watch, "telemetry sampler")
        self._writing = guarded_thread(self, self._write, "telemetry writer")

    def start(self) -> None:
        """Start watching."""
        self._writing.start()
        self._watching.start()

    def stop(self) -> None:
        """Stop, write what is pending and close the log; may be called twice."""
        self._stop.set()
        if self._watching.is_alive():
            self._watching.join()
        self._batches.put(None)
        if self._writing.is_alive():
            self._writing.join()

    def _watch(self) -> None:
        ask_for_punctuality()
        instants = np.empty(_BATCH_SAMPLES, np.int64)
        physics: list[bytes] = []
        graphics: list[bytes] = []
        pages, counts, stopped = self._pages, self.counts, self._stop.is_set

        def hand_over() -> None:
            if physics:
                self._batches.put((instants[: len(physics)].copy(), b"".join(physics), b"".join(graphics)))
                physics.clear()
                graphics.clear()

        last_raw, last_id, last_status = b"", None, -1
        step = 0.003
        batch_end = now() + round(_BATCH_SECONDS * NS)
        while not stopped():
            raw = pages.packet_id()
            status = pages.status()
            instant = now()
            # A change of status is logged too (with the step that stood when it changed): so a pause is on record.
            if raw != last_raw or status != last_status:
                page = pages.physics()
                if page is None:
                    counts.torn += 1
                    time.sleep(_TORN_RETRY)
                    continue
                packet_id = int.from_bytes(page[:4], "little", signed=True)
                if last_id is not None:
                    if packet_id < last_id:
                        counts.restarts += 1
                    elif packet_id > last_id:
                        counts.lost += packet_id - last_id - 1
                        if instant - self.last_change < _IDLE_AFTER:
                            elapsed = (instant - self.last_change) / NS / (packet_id - last_id)
                            step = max(_SHORTEST_STEP, step + 0.02 * (elapsed - step))
                if packet_id != last_id:
                    self.last_change = instant
                    counts.samples += 1
                instants[len(physics)] = instant
                physics.append(page)
                graphics.append(pages.graphics())
                self.last_sign_of_life = instant
                self.status = status
                last_raw, last_id, last_status = page[:4], packet_id, status
                # A little early on purpose: the wake-up that comes too soon retries, one that comes late loses a step.
                wait = step - 0.0002
            else:
                wait = _RETRY if instant - self.last_change < _IDLE_AFTER else _IDLE_POLL
            if instant > batch_end or len(physics) == _BATCH_SAMPLES:
                batch_end = instant + round(_BATCH_SECONDS * NS)
                hand_over()
            time.sleep(wait)
        hand_over()

    def _write(self) -> None:
        try:
            while (batch := self._batches.get()) is not None:
                instants, physics, graphics = batch
                self._writer.write(instants, np.frombuffer(physics, PHYSICS), np.frombuffer(graphics, GRAPHICS))
        finally:
            self._writer.close()
