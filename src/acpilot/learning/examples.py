"""A dataset's table → what is learnt: for each example its pictures, its speed and its labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acpilot.dataset.dataset import Dataset, by_another
from acpilot.dataset.episodes import find_runs
from acpilot.errors import AcpilotError
from acpilot.learning.grip import Grip
from acpilot.learning.settings import TrainSettings
from acpilot.learning.wanted_speed import PEDALS, fastest, wanted_speeds
from acpilot.policy.policy import LIMITS
from acpilot.policy.preprocessing import Preprocessing

_ALIKE = 0.02
"""Steering that varies less than this teaches nothing."""
_UNEVEN = 0.05
"""A recorder's rate is never quite the one that it was asked for."""
_ROLLING = 20.0
"""km/h, below which a measured acceleration says nothing of the bend."""
_TOLERANCE = 0.01
"""So far labels may be out of their range: of a calibrated steering wheel."""


@dataclass(frozen=True)
class Examples:
    """What is learnt from; arrays have one entry per example."""

    names: Sequence[str]
    """Of all images of the dataset's table, as they are there."""
    pictures: np.ndarray
    """int64 (n, 1 + past frames): which images it shows, the newest first."""
    labels: np.ndarray
    """float32 (n, 3), in the order of the policy's outputs."""
    speed: np.ndarray
    """float32 (n,), km/h, at which a policy is to do that: the driver's, or less (``--pace``)."""
    wanted: np.ndarray
    """float32 (n, 2), km/h: between which the speed lies at which the driver would have pressed neither pedal."""
    lateral: np.ndarray
    """float32 (n,), m/s²: the car's acceleration in a bend at that speed; 0 where it is not known."""
    grip: Grip
    """What the driver asked of the tyres."""
    steered: np.ndarray
    """bool (n,): the steering is learnt from it."""
    weight: np.ndarray
    """float64 (n,)."""
    training: np.ndarray
    """Numbers of the examples to learn from, int64."""
    validation: np.ndarray
    """Numbers of the examples held out, in the order of time, int64; may be none."""

    def labels_at(
        self, rows: np.ndarray, speed: np.ndarray, steering: np.ndarray, preprocessing: Preprocessing
    ) -> np.ndarray:
        """What is learnt of examples, shown at a speed and with a steering.

        Args:
            rows: their numbers, int64 (n,).
            speed: km/h, float32 (n,).
            steering: float32 (n,).
            preprocessing: says whether the speed is an input, and the order of the outputs.

        Returns:
            float32 (n, 3), NaN where nothing is learnt; of the pedals, where the speed is an input, the most that the
            tyres bear.
        """
        labels: np.ndarray = self.labels[rows]
        labels[:, preprocessing.outputs.index("steering")] = np.where(self.steered[rows], steering, np.nan)
        if preprocessing.speed:
            pedals = [preprocessing.outputs.index(name) for name in PEDALS]
            faster = speed / np.maximum(self.speed[rows], _ROLLING)
            lateral = self.lateral[rows] * np.square(faster)
            labels[:, pedals] = self.grip.most_pedals(
                labels[:, pedals], speed_kmh=speed, steering=steering, lateral=lateral
            )
        return labels


def read_examples(dataset: Dataset, settings: TrainSettings) -> tuple[Examples, Preprocessing]:
    """Read the examples of a dataset, and how a policy that is trained on it sees the world.

    Raises:
        AcpilotError: there is nothing to learn from it, or nothing that could be driven with.
    """
    table, sessions = dataset.table(), dataset.record["sessions"]
    _refuse_bad_numbers(dataset, table)
    if strange := set(table["session"].tolist()) - set(sessions):
        raise AcpilotError(f"{dataset.record_file} does not know the sessions {', '.join(strange)}: combine them again")
    fps = np.array([float(sessions[name]["fps"]) for name in table["session"]])
    runs = find_runs(table, sessions, fps, ("session", "split")) if len(fps) else []
    preprocessing = Preprocessing(
        crop=settings.crop,
        speed=settings.speed,
        past_frames=settings.past_frames,
        spacing=settings.spacing,
        rate=round(float(np.median(fps)), 3) if len(fps) else 10.0,
    )
    _refuse_other_pictures(dataset, preprocessing)
    labels = np.stack([table[name] for name in preprocessing.outputs], axis=1)
    pictures = np.repeat(np.arange(len(fps))[:, None], 1 + settings.past_frames, axis=1)
    lateral, known = table["lateral_acceleration"].copy(), np.ones(len(fps), bool)
    for run in runs:
        for past in range(1, 1 + settings.past_frames):
            pictures[run, past] = run[np.maximum(0, np.arange(len(run)) - past * settings.spacing)]
        time = table["timestamp"][run]
        wanted = time + settings.label_shift
        known[run] = (wanted >= time[0]) & (wanted <= time[-1])
        labels[run] = np.stack([np.interp(wanted, time, column) for column in labels[run].T], axis=1)
        lateral[run] = np.interp(wanted, time, lateral[run])
    known &= table["speed"] >= settings.slowest
    training = np.flatnonzero(known & (table["split"] == "train"))
    ordered = np.concatenate(runs) if runs else np.zeros(0, np.int64)
    validation = ordered[known[ordered] & (table["split"][ordered] == "validation")]
    _refuse_too_little(dataset, labels[training, preprocessing.outputs.index("steering")], settings.slowest)
    # Of what acpilot improve collects, the expert says itself which speed it wants, and that is not one to drive at a
    # share of; what a policy asked of the tyres may have been too much.
    answered = np.array(["labels" in sessions[name] for name in table["session"]], bool)
    own = training[~answered[training]]
    # Where a policy is beside the driver's line, it was not seen in the picture: to answer with the way back to it
    # teaches no more of where it is, and spoils what is known of it.
    others = np.array([by_another(sessions[name]) for name in table["session"]], bool)
    steered = ~others if not others[training].all() else np.ones(len(fps), bool)
    own = own if len(own) else training
    steering, throttle = (labels[own, preprocessing.outputs.index(name)] for name in ("steering", "throttle"))
    grip = Grip.of(
        speed_kmh=table["speed"][own],
        steering=steering,
        throttle=throttle,
        lateral=lateral[own],
        turning_radius=settings.turning_radius,
    )
    limit = fastest(runs, table["timestamp"], table["speed"], labels, grip)
    told = answered & (table["wanted_speed"] > 0)
    limit[answered] = np.nan
    limit[told] = table["wanted_speed"][told]
    pace = np.where(answered, 1.0, settings.pace)
    pedals = np.where(told[:, None], 0, labels[:, [preprocessing.outputs.index(name) for name in PEDALS]])
    speed = pace * table["speed"]
    limits = np.array([LIMITS[name] for name in preprocessing.outputs])
    return Examples(
        names=table["image_name"].tolist(),
        pictures=pictures,
        labels=np.clip(labels, limits[:, 0], limits[:, 1]).astype(np.float32),
        speed=speed.astype(np.float32),
        wanted=wanted_speeds(speed, pace * limit, pedals, settings.speed_recovery).astype(np.float32),
        lateral=(np.square(pace) * lateral).astype(np.float32),
        grip=grip,
        steered=steered,
        weight=table["weight"],
        training=training,
        validation=validation,
    ), preprocessing


def _refuse_bad_numbers(dataset: Dataset, table: dict[str, np.ndarray]) -> None:
    for name in (*LIMITS, "speed", "lateral_acceleration", "wanted_speed", "weight", "timestamp"):
        low, high = LIMITS.get(name, (-np.inf, np.inf))
        values = table[name]
        bad = np.flatnonzero(~np.isfinite(values) | (values < low - _TOLERANCE) | (values > high + _TOLERANCE))
        if len(bad):
            raise AcpilotError(
                f"{dataset.table_file}: {name} of {table['image_name'][bad[0]]} is {values[bad[0]]:g}"
                + (f", and {len(bad) - 1} more are like it" if len(bad) > 1 else "")
                + (f"; it must lie within {low:g} and {high:g}" if name in LIMITS else "")
                + _made_anew(dataset, str(table["session"][bad[0]]))
            )
    if len(table["weight"]) and not (table["weight"] >= 0).all():
        raise AcpilotError(f"{dataset.table_file} has weights below 0: combine the sessions again")


def _made_anew(dataset: Dataset, name: str) -> str:
    """The remedy for a session's bad rows."""
    folder = dataset.record["sessions"].get(name, {}).get("folder", name)
    return f"; make its rows anew: acpilot convert {folder}, then acpilot combine {folder} --out {dataset.folder}"


def _refuse_other_pictures(dataset: Dataset, preprocessing: Preprocessing) -> None:
    for name, entry in dataset.record["sessions"].items():
        if entry["conversion"].get("crop"):
            raise AcpilotError(
                f"the images of {name} are parts of the game's picture: a policy could not tell which; convert it "
                "without --crop (acpilot train --crop chooses what is looked at), then combine it again"
            )
        if preprocessing.past_frames and abs(entry["fps"] / preprocessing.rate - 1) > _UNEVEN:
            raise AcpilotError(
                f"{name} has {entry['fps']:g} frames a second, others {preprocessing.rate:g}: earlier pictures must be "
                "equally far apart; convert all sessions with one --fps, then combine them again, or train without "
                "--past-frames"
            )


def _refuse_too_little(dataset: Dataset, steering: np.ndarray, slowest: float) -> None:
    if not len(steering):
        raise AcpilotError(
            f"{dataset.folder} has no rows to train on that were driven at {slowest:g} km/h (--slowest) or more: add "
            "sessions with acpilot combine"
        )
    if np.ptp(steering) < _ALIKE:
        raise AcpilotError(
            f"the steering of all {len(steering)} training rows of {dataset.folder} is between {steering.min():.3f} "
            f"and {steering.max():.3f}: there is nothing to learn from it; record laps with bends to both sides"
        )
