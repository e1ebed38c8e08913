"""Spells of a drive that are not to be learnt from, found in its telemetry."""

import numpy as np

from acpilot.clock import NS
from acpilot.session.marks import Mark
from acpilot.telemetry.pages import Status
from acpilot.telemetry.sample import Samples
from acpilot.video.alignment import spans

_ALL_TYRES = 4
_MIN_JUMP = 3.0  # metres between two samples that the car's speed does not explain
_BEFORE_RESET, _AFTER_RESET = 3.0, 1.0  # seconds: what led to it, and until the car stands
_AROUND_OFF_TRACK = 1.0
_NEAR = 0.5  # seconds: spells closer together are one


def find_spells(samples: Samples, start: int, *, keep_before_resets: bool = False) -> list[Mark]:
    """Pauses, pits, resets, off-track and AI-driven spells, as marks by ``check`` in the order of time.

    Args:
        samples: the raw log.
        start: the instant, ns, that the marks' times count from.
        keep_before_resets: whether what led to a reset can be learnt from, because the labels are an expert's answer
            to it.
    """
    before_reset, after_reset = (0.0, 0.0) if keep_before_resets else (_BEFORE_RESET, _AFTER_RESET)
    seconds = (samples["instant"] - start) / NS
    live = samples["status"] == Status.LIVE
    found = [
        *_marks(seconds, samples["status"] == Status.PAUSE, "pause"),
        *_marks(seconds, live & ((samples["in_pit"] != 0) | (samples["in_pit_lane"] != 0)), "pits"),
        *_marks(seconds, live & (samples["ai_controlled"] != 0), "AI"),
        *_marks(seconds, live & _off_track(samples), "off-track", _AROUND_OFF_TRACK, _AROUND_OFF_TRACK),
        *_marks(seconds, live & _reset(samples, seconds), "reset", before_reset, after_reset),
    ]
    return sorted(found)


def _off_track(samples: Samples) -> np.ndarray:
    """All four tyres off the road, bool (n,).

    Some versions of the game publish the number of tyres that may be off instead; it never changes and tells nothing.
    """
    tyres = samples["tyres_out"]
    off: np.ndarray = (tyres >= _ALL_TYRES) & bool((tyres < _ALL_TYRES).any())
    return off


def _reset(samples: Samples, seconds: np.ndarray) -> np.ndarray:
    """The car was put somewhere else since the sample before, bool (n,)."""
    moved = np.linalg.norm(np.diff(samples["position"].astype(np.float64), axis=0), axis=1)
    speed = np.maximum(samples["speed_kmh"][:-1], samples["speed_kmh"][1:]) / 3.6
    jumped = moved > _MIN_JUMP + 1.5 * speed * np.diff(seconds)
    return np.concatenate([[False], jumped])


def _marks(seconds: np.ndarray, inside: np.ndarray, why: str, before: float = 0.0, after: float = 0.0) -> list[Mark]:
    marks: list[Mark] = []
    for first, last in spans(inside):
        begin, end = seconds[first] - before, seconds[min(last + 1, len(seconds) - 1)] + after
        if marks and begin - marks[-1].last < _NEAR:
            begin = marks.pop().first
        marks.append(Mark(round(float(begin), 3), round(float(end), 3), why, "check"))
    return marks
