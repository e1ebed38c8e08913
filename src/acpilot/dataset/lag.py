"""How far a session's labels are from its pictures, told from the pictures alone.

When the car turns, all that is far away moves sideways in the picture by as much, whatever the game or the recorder.
The shifts between pictures 0.1 s apart are compared with the car's turns in the telemetry, moved in time by every lag
in question: at the right one they agree. The roll of the car moves the picture sideways too, above the horizon; it is
fitted along, since it runs ahead of the turn and would be taken for a lag of about 25 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from acpilot.clock import NS
from acpilot.dataset.image_motion import most_likely_shifts, read_rows, shift_evidence
from acpilot.progress import Progress
from acpilot.session.fingerprint import video_times
from acpilot.session.folder import Session
from acpilot.session.labels import session_labels
from acpilot.session.original import Inputs, read_inputs
from acpilot.telemetry.log import read_telemetry
from acpilot.telemetry.sample import are_numbers

RANGE_MS = 2000.0
"""Lags that are looked for, to either side."""
_APART = 0.1  # seconds between the pictures of a pair: enough of a turn to be measured, too little to lose sight
_MOST_PAIRS = 3000
_CHAIN = 300  # pairs in a row, when there are more than that
_FEWEST_PAIRS = 50
_COARSE_MS, _FINE_MS = 25.0, 4.0
_AROUND_MS = 120.0
_BLOCK = 20  # pairs: as far as the errors of neighbours hang together
_RESAMPLES = 300
_PIXELS = 3.0  # a first guess at how far a measured shift is off
_LEAST_TURN = 0.5  # pixels, in the root mean square: below that, what moves is noise
_SYSTEMATIC_MS = 12.0  # what practice sessions showed beyond the resampled spread
_SYSTEMATIC_STEERING_MS = 70.0
_WIDEST_MS = 200.0  # from the estimate to an end of the interval: beyond that, it says nothing
_DRAWING_MS = 20.0  # a picture shows the world of before it was drawn; no alignment can know how long before
_RESPONSE = 1 / 220  # s per m/s: a car follows its wheels by mass × speed / cornering stiffness
_UNDERSTEER = (0.0, 0.0005, 0.001, 0.002, 0.004)  # s²/m²


@dataclass(frozen=True)
class Lag:
    """How much later than its labels say a session's pictures were taken; negative: earlier."""

    milliseconds: float | None
    """What is to be added to the instants of all frames; None when the pictures cannot tell."""
    low: float
    high: float
    """The interval that holds the truth with a probability of 95 %, milliseconds."""
    pairs: int
    """Pairs of pictures that were compared."""
    basis: str
    """What of the telemetry the pictures were compared with."""
    reason: str = ""
    """Why they cannot tell."""

    def __str__(self) -> str:
        if self.milliseconds is None:
            return f"the pictures cannot tell: {self.reason}"
        way = "after" if self.milliseconds > 0 else "before"
        return (
            f"pictures were taken {abs(self.milliseconds):.0f} ms {way} the instants of their labels "
            f"({self.low:+.0f} … {self.high:+.0f} ms; {self.pairs} pairs of pictures, {self.basis})"
        )

    def is_met_by(self, session: Session) -> bool:
        """Whether a session's instants, corrected or as recorded, agree with what the pictures tell.

        Instants that an alignment proves may be off by its bound, and pictures be older by what the game takes to draw.
        """
        correction, proven = session.correction / 1e6, session.manifest.alignment
        early, late = (proven.error_bound_ms + _DRAWING_MS, proven.error_bound_ms) if proven else (0.0, 0.0)
        return self.milliseconds is None or (self.low <= correction + late and correction - early <= self.high)


@dataclass(frozen=True)
class _Turning:
    """What the telemetry says of how the picture must move: ``causes`` are angles over time that add up to it."""

    seconds: np.ndarray
    causes: list[np.ndarray]
    basis: str
    systematic_ms: float


def estimate_lag(session: Session, progress: Progress, range_ms: float = RANGE_MS) -> Lag:
    """Estimate the lag of a session against its instants as recorded: a correction that is there is not looked at.

    Args:
        session: of this tool, or of the original one.
        progress: told after each picture and each batch of pairs.
        range_ms: the largest lag that is looked for.

    Raises:
        AcpilotError: the session lacks what labels need.
    """
    if session.is_original:
        inputs = read_inputs(session.inputs_file)
        frames = len(video_times(session))
        usable = np.isin(np.arange(frames), inputs.frame)
        seconds = np.interp(np.arange(frames), inputs.frame, inputs.timestamp)
        options = [_turning_of_rows(inputs, understeer) for understeer in _UNDERSTEER]
    else:
        labels, _ = session_labels(session, "auto", None)
        usable = labels.trusted & ~labels.paused
        seconds = (labels.instant - session.correction - session.manifest.start) / NS
        options = [_turning_of_telemetry(session)]
    span = options[0].seconds
    if not len(span):
        return Lag(None, -range_ms, range_ms, 0, options[0].basis, "the telemetry does not tell where the car heads")
    inside = (seconds >= span[0]) & (seconds <= span[-1])
    chains = _chains(seconds, usable & inside)
    wanted = sorted({frame for chain in chains for frame in chain})
    basis = options[0].basis
    if sum(len(chain) - 1 for chain in chains) < _FEWEST_PAIRS:
        return Lag(None, -range_ms, range_ms, 0, basis, "there are too few pictures in a row")
    rows, seen = read_rows(session.video_file, wanted, progress)
    at = {frame: i for i, frame in enumerate(wanted)}
    pairs = np.array([(at[a], at[b]) for chain in chains for a, b in pairwise(chain)])
    pairs = pairs[seen[pairs].all(axis=1)]
    times = seconds[np.array(wanted)][pairs]
    range_s = min(range_ms / 1000, float(span[-1] - span[0]) / 8)
    ends = (times[:, 0] >= span[0] + range_s) & (times[:, 1] <= span[-1] - range_s)
    if ends.sum() < _FEWEST_PAIRS:
        return Lag(None, -range_ms, range_ms, int(ends.sum()), basis, "there are too few pictures in a row")
    pairs, times = pairs[ends], times[ends]
    return _compare(shift_evidence(rows, pairs, progress), times, options, range_s)


def _chains(seconds: np.ndarray, usable: np.ndarray) -> list[list[int]]:
    """Frames about 0.1 s apart, in chains without a gap; from all over the session when there are many."""
    chains: list[list[int]] = []
    last = -np.inf
    for frame in np.flatnonzero(usable):
        step = seconds[frame] - last
        if step < 0.8 * _APART:
            continue
        if step > 2.5 * _APART or len(chains[-1]) > _CHAIN:
            chains.append([])
        chains[-1].append(int(frame))
        last = seconds[frame]
    chains = [chain for chain in chains if len(chain) > 1]
    total = sum(len(chain) - 1 for chain in chains)
    if total <= _MOST_PAIRS:
        return chains
    share = _MOST_PAIRS / total
    return [chain for i, chain in enumerate(chains) if int((i + 1) * share) > int(i * share)]


def _turning_of_telemetry(session: Session) -> _Turning:
    samples = read_telemetry(session.telemetry_file, ("instant", "heading", "roll"))
    usable = are_numbers(samples, ("heading", "roll"))
    seconds = (samples["instant"][usable] - session.manifest.start) / NS
    angles = [np.unwrap(samples[name][usable].astype(np.float64)) for name in ("heading", "roll")]
    return _Turning(seconds, angles, "the car's yaw and roll", _SYSTEMATIC_MS)


def _turning_of_rows(inputs: Inputs, understeer: float) -> _Turning:
    """The original tool recorded no yaw: what the steering and the speed of a car lead to, after its response.

    Yaw rate in a steady bend: speed × steering / (1 + understeer × speed²) (the single-track model, Riekert and Schunck
    1940); the car follows with a delay that grows with its speed.
    """
    step = 0.01
    seconds = np.arange(inputs.timestamp[0], inputs.timestamp[-1] + step, step)
    speed = np.interp(seconds, inputs.timestamp, inputs.speed_kmh) / 3.6
    steady = speed * np.interp(seconds, inputs.timestamp, inputs.steering) / (1 + understeer * speed**2)
    kept = np.exp(-step / np.maximum(speed * _RESPONSE, 1e-3))
    rate = np.zeros(len(seconds))
    for i in range(1, len(seconds)):
        rate[i] = kept[i] * rate[i - 1] + (1 - kept[i]) * steady[i]
    basis = "what the steering and the speed make of the car's yaw"
    return _Turning(seconds, [np.cumsum(rate) * step], basis, _SYSTEMATIC_STEERING_MS)


def _compare(evidence: np.ndarray, times: np.ndarray, options: Sequence[_Turning], range_s: float) -> Lag:
    """Find the lag at which the turns of the telemetry explain the shifts of the pictures."""
    coarse = np.arange(-range_s, range_s + 1e-9, _COARSE_MS / 1000)
    shift, weight = most_likely_shifts(evidence.sum(axis=1))
    turning, (fits, scale) = min(
        ((option, _fit_all(option, times, shift, weight, coarse)) for option in options), key=lambda found: found[1][1]
    )
    best = int(_costs(fits, weight, scale).argmin())
    # Rows that do not follow the turn (road, bonnet, a mirror) count less from here on.
    predicted = np.clip(np.rint(shift - fits[best]) + evidence.shape[2] // 2, 0, evidence.shape[2] - 1).astype(int)
    follows = evidence[np.arange(len(shift)), :, predicted].mean(axis=0) / (evidence.mean(axis=(0, 2)) + 1e-9)
    shift, weight = most_likely_shifts(np.tensordot(np.maximum(follows - 1, 0), evidence, (0, 1)))

    fits, scale = _fit_all(turning, times, shift, weight, coarse)
    blocks, draws = _resampled(len(shift))
    profiles = draws @ np.add.reduceat(_cost_terms(fits, weight, scale), blocks, axis=1).T
    overall = _costs(fits, weight, scale)
    best = int(overall.argmin())

    def cannot(reason: str) -> Lag:
        return Lag(None, -1000 * range_s, 1000 * range_s, len(shift), turning.basis, reason)

    explained = shift - fits[best]
    if np.sqrt(np.mean((explained - explained.mean()) ** 2)) < _LEAST_TURN:
        return cannot("the car hardly turns; drive some bends")
    apart = 1000 * np.abs(coarse[profiles.argmin(axis=1)] - coarse[best])
    if np.mean(apart > _WIDEST_MS) > 0.025:
        return cannot("their motion agrees with the telemetry at several lags; drive more bends")
    if best in (0, len(coarse) - 1):
        return cannot(
            f"they are off by more than the {1000 * range_s:.0f} ms that were looked at, or not of this drive"
        )

    fine = coarse[best] + np.arange(-_AROUND_MS, _AROUND_MS + 1e-9, _FINE_MS) / 1000
    fits, scale = _fit_all(turning, times, shift, weight, fine)
    profiles = draws @ np.add.reduceat(_cost_terms(fits, weight, scale), blocks, axis=1).T
    lag = _lowest(fine, _costs(fits, weight, scale))
    spread = np.quantile([_lowest(fine, profile) for profile in profiles], (0.025, 0.975))
    low, high = (
        lag - np.hypot(lag - spread[0], turning.systematic_ms / 1000),
        lag + np.hypot(spread[1] - lag, turning.systematic_ms / 1000),
    )
    if max(lag - low, high - lag) > _WIDEST_MS / 1000:
        return cannot("what moves in them is too uncertain; drive more bends")
    return Lag(1000 * lag, 1000 * low, 1000 * high, len(shift), turning.basis)


def _fit_all(
    turning: _Turning, times: np.ndarray, shift: np.ndarray, weight: np.ndarray, lags: np.ndarray
) -> tuple[np.ndarray, float]:
    """What is left of the shifts, pixels (lags, p), when the turns at each lag have explained what they can.

    Also: how large that is at the best lag, by which outliers are told.
    """
    scale = _PIXELS
    for _ in range(2):
        left = np.stack([_left(turning, times + lag, shift, weight, scale) for lag in lags])
        best = int(_costs(left, weight, scale).argmin())
        scale = 1.5 * float(np.median(np.abs(left[best]))) + 0.05
    return np.stack([_left(turning, times + lag, shift, weight, scale) for lag in lags]), scale


def _left(turning: _Turning, times: np.ndarray, shift: np.ndarray, weight: np.ndarray, scale: float) -> np.ndarray:
    """Robust regression (Cauchy's weights) of the shifts on the turns; a constant takes the camera's mounting."""
    turns = [np.diff(np.interp(times, turning.seconds, cause), axis=1)[:, 0] for cause in turning.causes]
    causes = np.stack([*turns, np.ones(len(shift))], axis=1)
    now = weight
    left = shift
    for _ in range(8):
        weighted = causes * now[:, None]
        left = shift - causes @ np.linalg.lstsq(weighted.T @ causes, weighted.T @ shift, rcond=None)[0]
        now = weight / (1 + (left / scale) ** 2)
    return left


def _cost_terms(left: np.ndarray, weight: np.ndarray, scale: float) -> np.ndarray:
    terms: np.ndarray = weight * np.log1p((left / scale) ** 2)
    return terms


def _costs(left: np.ndarray, weight: np.ndarray, scale: float) -> np.ndarray:
    costs: np.ndarray = _cost_terms(left, weight, scale).sum(axis=1)
    return costs


def _resampled(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """First pair of each block, and how often each draw with replacement takes each block (block bootstrap)."""
    blocks = np.arange(0, pairs, _BLOCK)
    draws = np.random.default_rng(0).multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), _RESAMPLES)
    return blocks, draws.astype(np.float64)


def _lowest(lags: np.ndarray, costs: np.ndarray) -> float:
    """Where a parabola through the lowest cost and its neighbours is lowest."""
    i = int(np.clip(costs.argmin(), 1, len(costs) - 2))
    before, lowest, after = costs[i - 1 : i + 2]
    bend = before - 2 * lowest + after
    between = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(lags[i] + np.clip(between, -1, 1) * (lags[1] - lags[0]))
