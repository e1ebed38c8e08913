"""Spells of a drive that are not to be learnt from, found in its telemetry."""

import numpy as np

from acpilot.clock import NS
from acpilot.session.marks import Mark
from acpilot.telemetry.game_time import game_seconds
from acpilot.telemetry.pages import Status
from acpilot.telemetry.sample import Samples, are_numbers
from acpilot.video.alignment import spans

_ALL_TYRES = 4
_MIN_JUMP = 3.0  # metres between two places that the car's speed does not explain
_LONGEST_STALL = 2.0  # seconds that can pass in the game between two places that it tells
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
        *_marks(seconds, _reset(samples, live), "reset", before_reset, after_reset),
    ]
    return sorted(found)


def _off_track(samples: Samples) -> np.ndarray:
    """All four tyres off the road, bool (n,).

    Some versions of the game publish the number of tyres that may be off instead; it never changes and tells nothing.
    """
    tyres = samples["tyres_out"]
    off: np.ndarray = (tyres >= _ALL_TYRES) & bool((tyres < _ALL_TYRES).any())
    return off


def _reset(samples: Samples, live: np.ndarray) -> np.ndarray:
    """The car was put somewhere else since the game last told its place, bool (n,).

    The time for the way between is the game's own: after a stall it makes many steps at once, and in a pause none.
    """
    usable = np.flatnonzero(live & are_numbers(samples, ("position", "speed_kmh")))
    jumped = np.zeros(len(live), bool)
    if not len(usable):
        return jumped
    position, speed = samples["position"][usable].astype(np.float64), samples["speed_kmh"][usable] / 3.6
    told = np.concatenate([[0], 1 + np.flatnonzero((np.diff(position, axis=0) != 0).any(axis=1))])
    moved = np.linalg.norm(np.diff(position[told], axis=0), axis=1)
    fastest = np.maximum(np.maximum.reduceat(speed, told)[:-1], speed[told[1:]])
    elapsed = np.minimum(np.diff(game_seconds(samples)[usable[told]]), _LONGEST_STALL)
    jumped[usable[told[1:]]] = moved > _MIN_JUMP + 1.5 * fastest * elapsed
    return jumped


def _marks(seconds: np.ndarray, inside: np.ndarray, why: str, before: float = 0.0, after: float = 0.0) -> list[Mark]:
    marks: list[Mark] = []
    for first, last in spans(inside):
        begin, end = seconds[first] - before, seconds[min(last + 1, len(seconds) - 1)] + after
        if marks and begin - marks[-1].last < _NEAR:
            begin = marks.pop().first
        marks.append(Mark(round(float(begin), 3), round(float(end), 3), why, "check"))
    return marks
