"""Labels: the driver's inputs at each frame's instant, interpolated from the telemetry."""

import csv
import io
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from acpilot.clock import NS
from acpilot.commands import command
from acpilot.errors import AcpilotError
from acpilot.session.fingerprint import video_times
from acpilot.session.folder import Session
from acpilot.session.manifest import HUMAN
from acpilot.session.marks import marked, read_marks
from acpilot.session.original import Inputs, read_inputs
from acpilot.settings import error_limit_ms
from acpilot.telemetry.log import read_telemetry
from acpilot.telemetry.pages import GRAVITY, Status
from acpilot.telemetry.sample import Samples, are_numbers
from acpilot.telemetry.steering import Steering, Unit, find_steering
from acpilot.video.alignment import Alignment

LABELS_VERSION = 4
"""Counts changes to how labels are made, so that datasets made before are made anew."""
_LABEL_COLUMNS = (
    "instant", "status", "steer_angle", "throttle", "brake", "speed_kmh", "gear", "normalized_position",
    "completed_laps", "acceleration_g",
)  # fmt: skip
_NUMBERS = ("steer_angle", "throttle", "brake", "speed_kmh", "normalized_position", "acceleration_g")
MAX_GAP = NS // 10
"""Between samples farther apart than this nothing is interpolated."""


@dataclass(frozen=True)
class Labels:
    """What is known of every frame of a video; all arrays have one entry per frame, in display order."""

    frame: np.ndarray
    """Frame number, int64, from 0."""
    instant: np.ndarray
    """int64 ns, monotonic clock: when the picture was on the screen."""
    timestamp: np.ndarray
    """Seconds since the session's start, float64."""
    steering: np.ndarray
    """−1 full left … +1 full right."""
    throttle: np.ndarray
    """0..1."""
    brake: np.ndarray
    """0..1."""
    speed_kmh: np.ndarray
    gear: np.ndarray
    """−1 reverse, 0 neutral, 1 first."""
    normalized_position: np.ndarray
    """0..1 along the track."""
    lap: np.ndarray
    """Completed laps."""
    lateral_acceleration: np.ndarray
    """m/s², along the car's x axis; 0 where nothing tells."""
    paused: np.ndarray
    """The game was paused: the picture stands still."""
    known: np.ndarray
    """There is telemetry on both sides of the instant, in numbers, and the game was live."""
    error_ms: np.ndarray
    """By how much the instant may be off, float32; infinite where nothing bounds it, 0 where nothing is known of it."""
    trusted: np.ndarray
    """The instant is certain enough."""
    excluded: np.ndarray
    """Marked as not to be learnt from."""
    flawed: np.ndarray
    """The picture is not that of the game: something covered it, it was black, ..."""

    @property
    def unknown(self) -> np.ndarray:
        """Frames of which nothing is known, bool: no telemetry around them, and no pause either."""
        neither: np.ndarray = ~(self.known | self.paused)
        return neither

    @property
    def distrusted(self) -> np.ndarray:
        """Frames of a drive that would have a label if only their instant were certain, bool."""
        left_out: np.ndarray = self.known & ~self.trusted & ~self.excluded & ~self.flawed
        return left_out

    @property
    def bound_ms(self) -> float:
        """No frame whose instant is certain enough is known to be off by more than this, ms."""
        return float(np.max(self.error_ms[self.trusted], initial=0.0))

    def chosen(self, *, keep_paused: bool) -> np.ndarray:
        """Which frames are labelled, bool: known, trusted, not marked nor flawed; those of pauses when asked for."""
        drive = self.known & self.trusted
        chosen: np.ndarray = (drive | self.paused if keep_paused else drive) & ~self.excluded & ~self.flawed
        return chosen


def label_frames(  # noqa: PLR0913, PLR0917
    samples: Samples,
    steering: Steering,
    instants: np.ndarray,
    start: int,
    errors_ms: np.ndarray | None = None,
    limit_ms: float = 0.0,
) -> Labels:
    """Interpolate samples at the frames' instants.

    Args:
        samples: columns of the raw log, in the order of their instants.
        steering: how the published steering becomes −1..1.
        instants: int64 (n,) ns.
        start: the instant that timestamps count from.
        errors_ms: float (n,), by how much the instants may be off; not at all when not given.
        limit_ms: by how much they may be, to be certain enough.
    """
    errors = np.zeros(len(instants), np.float32) if errors_ms is None else errors_ms
    known_at = samples["instant"]
    before = np.clip(np.searchsorted(known_at, instants, side="right") - 1, 0, len(known_at) - 1)
    after = np.minimum(before + 1, len(known_at) - 1)
    # The sample before says what state the game was in from then on.
    status = samples["status"][before]
    inside = (instants >= known_at[0]) & (instants <= known_at[-1])
    numbers = are_numbers(samples, _NUMBERS)
    numbers = numbers[before] & numbers[after]
    paused = (instants >= known_at[0]) & (status == Status.PAUSE) & numbers
    known = inside & (status == Status.LIVE) & (known_at[after] - known_at[before] <= MAX_GAP) & numbers
    # The step at which a replay begins, or ends, may be that of the replay.
    known &= np.isin(samples["status"][after], (Status.LIVE, Status.PAUSE))

    wanted, grid = instants.astype(np.float64), known_at.astype(np.float64)

    def at(values: np.ndarray) -> np.ndarray:
        interpolated: np.ndarray = np.interp(wanted, grid, values)
        return interpolated

    return Labels(
        frame=np.arange(len(instants)),
        instant=instants,
        timestamp=(instants - start) / NS,
        steering=at(steering.normalized(samples["steer_angle"])),
        throttle=at(samples["throttle"]),
        brake=at(samples["brake"]),
        speed_kmh=at(samples["speed_kmh"]),
        gear=samples["gear"][before],
        normalized_position=samples["normalized_position"][before],
        lap=samples["completed_laps"][before],
        lateral_acceleration=at(GRAVITY * samples["acceleration_g"][:, 0]),
        paused=paused,
        known=known,
        error_ms=errors,
        trusted=np.isfinite(errors) & (errors <= limit_ms),
        excluded=np.zeros(len(instants), bool),
        flawed=np.zeros(len(instants), bool),
    )


def driven_by_person(session: Session, instants: np.ndarray) -> np.ndarray:
    """At which instants, int64 (n,) ns, a person drove, not a policy nor nobody: bool (n,)."""
    drivers = session.manifest.drivers
    begun = np.searchsorted([instant for instant, _ in drivers], instants, side="right")
    by_person: np.ndarray = np.array([True, *(name == HUMAN for _, name in drivers)])[begun]
    return by_person


def label_rows(inputs: Inputs, steering: Steering, frames: int, correction: int) -> Labels:
    """Label the frames of the original tool's sessions: frame n belongs to the row that names it.

    Args:
        inputs: the rows; a row's time is taken for the instant of its frame.
        steering: how the published steering becomes −1..1.
        frames: how many the video holds; a frame without a row is unknown.
        correction: ns added to all instants; with 0 a label is its row, otherwise interpolated between rows.
    """
    frame = np.arange(frames)
    row = np.searchsorted(inputs.frame, frame)
    known = np.isin(frame, inputs.frame)
    timestamp = np.interp(frame, inputs.frame, inputs.timestamp)
    wanted = timestamp + correction / NS
    known &= (wanted >= inputs.timestamp[0]) & (wanted <= inputs.timestamp[-1])
    before = np.clip(np.searchsorted(inputs.timestamp, wanted, side="right") - 1, 0, len(inputs.frame) - 1)
    if not correction:  # rows may share a time
        before = np.minimum(row, len(inputs.frame) - 1)

    def at(values: np.ndarray) -> np.ndarray:
        taken: np.ndarray = np.interp(wanted, inputs.timestamp, values) if correction else values[before]
        return taken

    return Labels(
        frame=frame,
        instant=np.round(wanted * NS).astype(np.int64),
        timestamp=wanted,
        steering=at(steering.normalized(inputs.steering)),
        throttle=at(inputs.throttle),
        brake=at(inputs.brake),
        speed_kmh=at(inputs.speed_kmh),
        gear=inputs.gear[before],
        normalized_position=np.zeros(frames),
        lap=np.zeros(frames, np.int64),
        lateral_acceleration=np.zeros(frames),
        paused=np.zeros(frames, bool),
        known=known,
        error_ms=np.zeros(frames, np.float32),
        trusted=np.ones(frames, bool),
        excluded=np.zeros(frames, bool),
        flawed=np.zeros(frames, bool),
    )


def session_labels(
    session: Session, unit: Unit | Literal["auto"], lock_degrees: float | None, max_error_ms: float | None = None
) -> tuple[Labels, Steering]:
    """Labels of all frames of a session's video, whatever state its recording ended in, and the steering behind them.

    Args:
        session: a session with telemetry, video and alignment.
        unit: the steering's unit; auto takes what the recording found, or finds it if the recording did not get so far.
        lock_degrees: the steering wheel's angle at full lock, when the user gives it.
        max_error_ms: by how much the instant of a labelled frame may be off; None takes what the session was recorded
            with, or half the time between frames.

    Raises:
        AcpilotError: video, telemetry or alignment are missing or damaged, or the error bound is too wide.
    """
    labels, steering = (_original_labels if session.is_original else _recorded_labels)(
        session, unit, lock_degrees, max_error_ms
    )
    return replace(labels, excluded=marked(read_marks(session), labels.timestamp)), steering


def _original_labels(
    session: Session, unit: Unit | Literal["auto"], lock_degrees: float | None, _: float | None
) -> tuple[Labels, Steering]:
    inputs = read_inputs(session.inputs_file)
    steering = _steering_of_rows(session, inputs, unit, lock_degrees)
    return label_rows(inputs, steering, len(video_times(session)), session.correction), steering


def recorded_instants(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """When each frame of a recorded session's video was on the screen, and by how much that may be off.

    Returns:
        Instants, int64 (n,) ns of the monotonic clock, in display order, and ms, float32 (n,), infinite where nothing
        bounds it.

    Raises:
        AcpilotError: video or alignment are missing or damaged.
    """
    alignment: Alignment | None = session.manifest.alignment
    if alignment is None:
        raise AcpilotError(
            f"{session.folder} has no alignment: the recording ended before its first frame; record the session again"
        )
    written = session.manifest.recorder.get("video")
    if written and not session.video_file.exists():
        raise AcpilotError(
            f"the video of {session.folder} is still where OBS wrote it, on {session.manifest.recorder.get('host')}: "
            f"{written}; copy it here, then: {command('acpilot', 'attach', session.folder)} VIDEO"
        )
    times = video_times(session)
    return alignment.instants(times) + session.correction, alignment.errors(times)


def _recorded_labels(
    session: Session, unit: Unit | Literal["auto"], lock_degrees: float | None, max_error_ms: float | None
) -> tuple[Labels, Steering]:
    instants, errors = recorded_instants(session)
    recorded = session.manifest.steering
    found = recorded is not None and unit == "auto" and lock_degrees is None
    samples = read_telemetry(session.telemetry_file, _LABEL_COLUMNS if found else ())
    if recorded is None or not found:
        recorded = find_steering(samples, None if unit == "auto" else unit, lock_degrees)
    settings = session.manifest.settings
    limit = error_limit_ms(max_error_ms or settings.get("max_error_ms"), settings.get("fps", 10.0))
    labels = label_frames(samples, recorded, instants, session.manifest.start, errors, limit)
    return replace(labels, flawed=_flawed(session, instants - session.correction)), recorded


def _flawed(session: Session, instants: np.ndarray) -> np.ndarray:
    """At which instants, int64 (n,) ns, the picture was not that of the game: bool (n,)."""
    flawed = np.zeros(len(instants), bool)
    for first, last, _ in session.manifest.flaws:
        flawed |= (instants >= first) & (instants <= last)
    return flawed


def _steering_of_rows(session: Session, inputs: Inputs, unit: Unit | Literal["auto"], lock: float | None) -> Steering:
    """The original tool's rows hold no path to find the unit from: only a ratio is taken without being told."""
    largest = float(np.abs(inputs.steering).max())
    if unit == "auto" or unit == "ratio":  # noqa: PLR1714 - mypy follows this one
        if largest > 1.05:
            raise AcpilotError(
                f"the steering in {session.inputs_file} reaches {largest:g}, so it is no ratio −1..1: say what it is "
                "with --steering-unit degrees (or radians) and --steering-lock"
            )
        return Steering("ratio", 1, "assumed" if unit == "auto" else "given", 1.0, largest, None, None)
    if lock is not None and unit == "radians":
        lock = float(np.radians(lock))
    return Steering(unit, 1, "given", lock, largest, None, None)


def inputs_csv(labels: Labels, *, keep_paused: bool) -> str:
    """The original tool's ``inputs.csv``: exactly its six columns, a row per frame of the video.

    The inputs of a frame without a label are left empty: it keeps its row, so that row n stays frame n.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Timestamp", "Frame", "Steering", "Throttle", "Brake", "SpeedKmh"])
    chosen = labels.chosen(keep_paused=keep_paused)
    for i, frame in enumerate(labels.frame):
        inputs = [
            f"{labels.steering[i]:.6f}",
            f"{labels.throttle[i]:.6f}",
            f"{labels.brake[i]:.6f}",
            f"{labels.speed_kmh[i]:.3f}",
        ]
        writer.writerow([f"{labels.timestamp[i]:.6f}", frame, *(inputs if chosen[i] else [""] * len(inputs))])
    return text.getvalue()
