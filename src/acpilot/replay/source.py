"""What is replayed of a session: its samples, its static page, its frames' instants, and the span of time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from acpilot.clock import NS
from acpilot.errors import AcpilotError
from acpilot.replay.settings import ReplaySettings
from acpilot.session.fingerprint import video_times
from acpilot.session.folder import Session
from acpilot.session.labels import MAX_GAP, label_rows, recorded_instants
from acpilot.session.original import Inputs, read_inputs
from acpilot.telemetry.log import read_telemetry
from acpilot.telemetry.pages import STATIC, Status, encode_text
from acpilot.telemetry.sample import Samples
from acpilot.telemetry.steering import Steering

_STEP = NS * 3 // 1000
"""Time between the samples that are made of the original tool's rows: a physics step of the game."""


@dataclass(frozen=True)
class Timeline:
    """Which span of a session is replayed, and when; instants in ns."""

    begin: int
    """Instant of the session that is replayed first."""
    end: int
    """Instant of the session at which the replay is over, or begins anew."""
    speed: float
    """Seconds of the session in a second."""
    loop: bool
    start: int = 0
    """Instant at which ``begin`` is due."""

    def due(self, instant: int, turn: int) -> int:
        """When an instant of the session is due, the turns of a loop counted from 0."""
        return self.start + round((instant - self.begin + turn * (self.end - self.begin)) / self.speed)

    def turns(self) -> Iterator[int]:
        """The turns to make: one, or without end."""
        turn = 0
        yield turn
        while self.loop:
            turn += 1
            yield turn


@dataclass(frozen=True)
class Source:
    """What is replayed."""

    samples: Samples
    static: bytes
    """A page of type ``STATIC``."""
    frames: dict[int, int]
    """Number of each frame that is shown → its instant, ascending; empty when there is nothing to show."""
    timeline: Timeline
    notes: list[str]
    """What the user should know."""


def read_source(session: Session, settings: ReplaySettings) -> Source:
    """Read what is replayed of a session.

    With pictures the span is what both telemetry and video cover, so that no sample goes with a picture of another
    instant; without, all of the telemetry.

    Raises:
        AcpilotError: the telemetry is missing or damaged, or nothing lies between ``start`` and ``end``.
    """
    notes: list[str] = []
    inputs = read_inputs(session.inputs_file) if session.is_original else None
    samples = read_telemetry(session.telemetry_file) if inputs is None else _samples_of_rows(inputs)
    if inputs is not None:
        notes += inputs.notes
        notes.append(
            "a session of the original tool: only steering, throttle, brake, speed and gear are published, each row "
            "until the next; all else is zero, and packets are counted anew"
        )
    instants = samples["instant"]
    begin, end = int(instants[0]), int(instants[-1]) + _usual_step(instants)
    numbers = frames = np.array([], np.int64)
    if not settings.headless:
        try:
            numbers, frames = _frames(session, inputs, begin, end)
            begin, end = max(begin, int(frames[0])), min(end, int(frames[-1]) + _usual_step(frames))
        except AcpilotError as error:
            notes.append(f"telemetry alone, without pictures: {error}")
    timeline = _chosen(session, settings, begin, end)
    inside = (instants >= timeline.begin) & (instants < timeline.end)
    if not inside.any():
        raise AcpilotError(f"{session.folder} has no sample in that time: choose another --start and --end")
    shown = slice(
        # The frame that was on the screen when the span begins is the first one that is shown.
        max(0, int(np.searchsorted(frames, timeline.begin, side="right")) - 1),
        int(np.searchsorted(frames, timeline.end)),
    )
    return Source(
        {name: values[inside] for name, values in samples.items()},
        _static_page(session),
        dict(zip(numbers[shown].tolist(), frames[shown].tolist(), strict=True)),
        timeline,
        notes,
    )


def _chosen(session: Session, settings: ReplaySettings, begin: int, end: int) -> Timeline:
    """The part between ``start`` and ``end`` of a span."""
    zero = session.manifest.start
    first, last = begin, end
    if settings.start is not None:
        begin = max(begin, zero + round(settings.start * NS))
    if settings.end is not None:
        end = min(end, zero + round(settings.end * NS))
    if begin >= end:
        raise AcpilotError(
            f"nothing of {session.folder} lies between --start and --end: it reaches from {(first - zero) / NS:.1f} to "
            f"{(last - zero) / NS:.1f} s"
        )
    return Timeline(begin, end, settings.speed, settings.loop)


def _usual_step(instants: np.ndarray) -> int:
    """The median time between instants, ns; 1 ms for a single one."""
    return int(np.median(np.diff(instants))) if len(instants) > 1 else NS // 1000


def _samples_of_rows(inputs: Inputs) -> Samples:
    """A sample each physics step with the values of the row before, for as long as the next row may take."""
    rows = np.round(inputs.timestamp * NS).astype(np.int64)
    lasting = np.minimum(np.append(np.diff(rows), _usual_step(rows)), 2 * MAX_GAP)
    counts = -(-lasting // _STEP)
    row = np.repeat(np.arange(len(rows)), counts)
    step = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return {
        "instant": rows[row] + step * _STEP,
        "packet_id": np.arange(1, len(row) + 1),
        "steer_angle": inputs.steering[row],
        "throttle": inputs.throttle[row],
        "brake": inputs.brake[row],
        "speed_kmh": inputs.speed_kmh[row],
        "gear": inputs.gear[row],
        "status": np.full(len(row), Status.LIVE),
    }


def _frames(session: Session, inputs: Inputs | None, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and instants, int64 (n,), of a session's frames, in the order of their instants.

    Raises:
        AcpilotError: video or alignment are missing or damaged, or no frame lies within the telemetry's span.
    """
    if inputs is None:
        instants = recorded_instants(session)[0]
        numbers = np.arange(len(instants))
    else:
        # Only instants are wanted: whatever unit the steering is of will do.
        ratio = Steering("ratio", 1, "assumed", 1.0, 0.0, None, None)
        labels = label_rows(inputs, ratio, len(video_times(session)), session.correction)
        inside = (labels.frame >= inputs.frame[0]) & (labels.frame <= inputs.frame[-1])
        numbers, instants = labels.frame[inside], labels.instant[inside]
    if not ((instants >= begin) & (instants < end)).any():
        raise AcpilotError(f"no frame of {session.video_file} lies within the telemetry")
    # Of frames with one instant the last is seen.
    last = np.append(np.diff(instants) > 0, True)
    return numbers[last], instants[last]


def _static_page(session: Session) -> bytes:
    """The static page as far as the manifest has it."""
    page = np.zeros((), STATIC)
    assert STATIC.fields is not None
    try:
        for name, value in session.manifest.game.items():
            if name in STATIC.fields:
                kind = STATIC.fields[name][0]
                page[name] = encode_text(value, kind.shape[0]) if kind.shape else value
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise AcpilotError(
            f"{session.manifest_file} is damaged: what it says of the game is no text or number"
        ) from error
    return page.tobytes()
