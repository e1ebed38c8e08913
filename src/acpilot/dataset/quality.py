"""Whether a session or a dataset is fit to be learnt from: one finding per thing that was looked at."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from acpilot.clock import NS
from acpilot.commands import command
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.finding import Finding, Verdict, counted
from acpilot.dataset.lag import estimate_lag
from acpilot.dataset.picture_faults import picture_faults
from acpilot.dataset.spells import find_spells
from acpilot.errors import AcpilotError
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.labels import MAX_GAP, Labels, driven_by_person, session_labels
from acpilot.session.marks import Mark, marked, read_marks, write_marks
from acpilot.session.original import read_inputs
from acpilot.telemetry.log import read_telemetry
from acpilot.telemetry.pages import Status
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import repeated_frames, spans

_MIN_FRAMES = 50
_STRAIGHT = 0.05
_STUCK = 10.0  # seconds
_MOVING = 20.0  # km/h


def check_session(session: Session, progress: Progress, threads: int | None = None) -> list[Finding]:
    """Look at a session; changes nothing.

    Args:
        session: of this tool or the original one, converted or not.
        progress: told after each picture.
        threads: how many decode; as many as there are processors when not given.
    """
    try:
        labels, steering = session_labels(session, "auto", None)
    except AcpilotError as error:
        return [
            Finding("labels", "unfit", str(error), "acpilot convert says the same, and takes the settings that help")
        ]
    found = [
        _frames(session, labels),
        _alignment(session, labels),
        _lag(session, labels, progress),
        *_gaps(session, labels),
        _steering_unit(steering),
    ]
    found += [*_inputs(labels), _balance(labels.steering[labels.chosen(keep_paused=False)])]
    found += [*_spells(session), _marks(session, labels)]
    repeated = int(repeated_frames(session.video_file).sum())
    found.append(
        Finding(
            "repeated frames",
            _graded(repeated / len(labels.frame), 0.02, 0.2),
            f"{repeated} of {len(labels.frame)} frames repeat the one before",
            "the game or the recorder could not keep up: lower the game's settings or record at a lower --fps"
            if repeated
            else "",
            {"frames": repeated},
        )
    )
    found += picture_faults(session.video_file, labels, progress, threads)
    return found


def mark_spells(session: Session) -> list[Mark]:
    """Mark the spells that the telemetry tells of; marks of an earlier check are replaced, the user's stay.

    Returns:
        The marks that were set.
    """
    if session.is_original:
        return []
    marks = _spells_of(session)
    there = read_marks(session)
    wanted = sorted([*(mark for mark in there if mark.by == "user"), *marks])
    if wanted != there:
        write_marks(session, wanted)
    return marks


def check_dataset(dataset: Dataset, progress: Progress) -> list[Finding]:
    """Look at a dataset; changes nothing."""
    table = dataset.table()
    names = table["image_name"]
    missing = []
    for i, name in enumerate(names):
        if not dataset.image(str(name)).is_file():
            missing.append(str(name))
        progress(i + 1, len(names))
    sessions = dataset.record["sessions"]
    splits = {
        str(split): int(count) for split, count in zip(*np.unique(table["split"], return_counts=True), strict=True)
    }
    bounds = [entry["error_bound_ms"] for entry in sessions.values()]
    unproven = [name for name, entry in sessions.items() if entry["error_bound_ms"] is None]
    rates = sorted({entry["fps"] for entry in sessions.values()})
    shapes = {str(entry["conversion"]) for entry in sessions.values()}
    numbers = np.stack([table[name] for name in ("steering", "throttle", "brake", "speed", "weight")])

    def finding(subject: str, fault: Verdict | None, text: str, remedy: str, **figures: Any) -> Finding:
        return Finding(subject, fault or "ok", text, remedy if fault else "", figures)

    size = f"{counted(len(names), 'row')} of {counted(len(sessions), 'session')}"
    few, bad = len(names) < _MIN_FRAMES, int((~np.isfinite(numbers)).any(axis=0).sum())
    return [
        finding("rows", "unfit" if few else None, size, "record more"),
        finding(
            "images",
            "unfit" if missing else None,
            f"{len(missing)} images are missing, the first is {missing[0]}" if missing else "all images are there",
            f"convert the sessions again, then acpilot combine SESSIONS --out {dataset.folder}",
            missing=len(missing),
        ),
        finding(
            "numbers", "unfit" if bad else None, f"{bad} rows hold no number", "convert and combine anew", rows=bad
        ),
        finding(
            "alignment",
            "warning" if unproven else None,
            f"unproven for {', '.join(unproven)}" if unproven else f"no label is off by more than {max(bounds):.1f} ms",
            "acpilot lag SESSION --fix, then convert and combine again",
        ),
        finding(
            "splits",
            None if splits.get("train") and splits.get("validation") else "warning",
            ", ".join(f"{count} {split}" for split, count in splits.items()),
            "add a session or a lap: one split is empty",
            **splits,
        ),
        finding(
            "rates",
            "note" if len(rates) > 1 else None,
            f"{', '.join(f'{rate:g}' for rate in rates)} frames a second",
            "for sequences, and for acpilot export, convert all sessions with one --fps",
        ),
        finding(
            "pictures",
            "warning" if len(shapes) > 1 else None,
            f"{len(shapes)} ways of conversion",
            "convert all sessions with the same --crop, --size and --format",
        ),
        _balance(table["steering"]),
    ]


def _graded(share: float, warning: float, unfit: float = 2.0) -> Verdict:
    return "unfit" if share >= unfit else "warning" if share >= warning else "note" if share > 0 else "ok"


def _frames(session: Session, labels: Labels) -> Finding:
    count, total = int(labels.chosen(keep_paused=False).sum()), len(labels.frame)
    text = f"{count} of {total} frames have a label"
    # A driver's corrections of a policy are few, and are added to other sessions.
    if count < (1 if session.manifest.drivers else _MIN_FRAMES):
        return Finding("frames", "unfit", text, "drive longer, and with the game live, not paused", {"labelled": count})
    verdict: Verdict = "ok" if count > total / 2 else "warning"
    return Finding("frames", verdict, text, "" if verdict == "ok" else "see the lines below", {"labelled": count})


def _alignment(session: Session, labels: Labels) -> Finding:
    alignment = session.manifest.alignment
    if alignment is None:
        return Finding(
            "alignment", "warning", "unproven: frame n is taken to belong to row n, as the original tool did",
            command("acpilot", "lag", session.folder),
        )  # fmt: skip
    frame_ms = float(np.median(np.diff(labels.instant))) / 1e6 if len(labels.instant) > 1 else 0.0
    wide = labels.bound_ms > frame_ms / 2
    return Finding(
        "alignment",
        "warning" if wide else "ok",
        f"no label is off by more than {labels.bound_ms:.1f} ms ({alignment.method})",
        "more than half a frame: see docs/recording.md" if wide else "",
        {"error_bound_ms": round(labels.bound_ms, 3)},
    )


def _lag(session: Session, labels: Labels, progress: Progress) -> Finding:
    lag = estimate_lag(session, progress)
    figures = {"lag_ms": lag.milliseconds, "low_ms": lag.low, "high_ms": lag.high, "pairs": lag.pairs}
    if lag.milliseconds is None:
        return Finding("lag", "note", str(lag), "", figures)
    if lag.is_met_by(session):
        corrected = f", corrected by {session.correction / 1e6:+.0f} ms" if session.correction else ""
        return Finding("lag", "ok", f"the pictures agree with the labels: {lag}{corrected}", "", figures)
    frame_ms = float(np.median(np.diff(labels.instant))) / 1e6
    verdict: Verdict = "warning" if abs(lag.milliseconds - session.correction / 1e6) > frame_ms / 2 else "note"
    return Finding("lag", verdict, str(lag), command("acpilot", "lag", "--fix", session.folder), figures)


def _gaps(session: Session, labels: Labels) -> Iterator[Finding]:
    steps = np.diff(labels.instant) / NS
    usual = float(np.median(steps)) if len(steps) else 0.0
    wide = np.flatnonzero(steps > 1.8 * usual)
    dropped = session.manifest.counts.dropped_frames
    lacking = int(np.rint(steps[wide] / usual - 1).sum()) if usual else 0
    text = f"{lacking} frames are missing between others, {dropped} dropped by the recorder"
    if len(wide):
        longest = wide[steps[wide].argmax()]
        text += f"; the longest gap is {steps[longest]:.2f} s at {labels.timestamp[longest]:.1f} s"
    verdict = _graded((lacking + dropped) / max(len(labels.frame), 1), 0.02, 0.5)
    remedy = "labels stay right; record with a lighter --preset or a lower --fps" if verdict != "ok" else ""
    yield Finding("frame gaps", verdict, text, remedy, {"missing": lacking, "dropped": dropped})
    if session.is_original:
        times = read_inputs(session.inputs_file).timestamp * NS
        live = np.ones(len(times), bool)
    else:
        samples = read_telemetry(session.telemetry_file, ("instant", "status"))
        times, live = samples["instant"], samples["status"] == Status.LIVE
    limit = MAX_GAP if not session.is_original else 0.25 * NS
    steps = np.diff(times)
    holes = np.flatnonzero((steps > limit) & live[:-1])
    text = f"a sample every {np.median(steps) / 1e6:.1f} ms" if len(steps) else "a single sample"
    text += f", {len(holes)} gaps of more than {limit / 1e6:.0f} ms"
    lost = int((labels.unknown & (labels.instant > times[0]) & (labels.instant < times[-1])).sum())
    verdict = _graded(lost / max(len(labels.frame), 1) if lost else len(holes) * 1e-9, 0.02, 0.5)
    remedy = f"{lost} frames in them have no label; close other programs while recording" if len(holes) else ""
    yield Finding("sample gaps", verdict, text, remedy, {"gaps": len(holes), "frames": lost})


def _steering_unit(steering: Steering) -> Finding:
    text = f"{steering.unit} ({steering.certainty}), largest {steering.largest:.3g}"
    if steering.certainty == "assumed":
        return Finding(
            "steering unit", "note", text, "drive some bends, or give --steering-unit", {"unit": steering.unit}
        )
    return Finding("steering unit", "ok", text, "", {"unit": steering.unit})


def _inputs(labels: Labels) -> Iterator[Finding]:
    driven = labels.chosen(keep_paused=False)
    moving = driven & (labels.speed_kmh > _MOVING)
    for name, values in (("steering", labels.steering), ("throttle", labels.throttle), ("brake", labels.brake)):
        mine = values[moving]
        if not len(mine):
            continue
        still = np.concatenate([[False], np.diff(values) == 0]) & moving
        spells = [
            (labels.timestamp[first - 1], labels.timestamp[last])
            for first, last in spans(still)
            # A pedal rests at its ends; a steering wheel does not even rest in the middle.
            if name == "steering" or 0.01 < values[first] < 0.99
        ]
        longest = max(spells, key=lambda spell: spell[1] - spell[0], default=(0.0, 0.0))
        seconds = float(longest[1] - longest[0])
        figures = {"stuck_s": round(seconds, 2), "smallest": float(mine.min()), "largest": float(mine.max())}
        clipped = float((np.abs(mine) >= 0.999).mean()) if name == "steering" else 0.0
        if np.ptp(mine) < 1e-4 and name != "brake":
            yield Finding(name, "unfit" if name == "steering" else "warning", f"never moves: {mine[0]:.3f} throughout",
                          "check the wheel, and the car in session.json", figures)  # fmt: skip
        elif seconds > _STUCK:
            yield Finding(name, "warning", f"stuck at one value from {longest[0]:.1f} to {longest[1]:.1f} s",
                          f"acpilot mark --exclude {longest[0]:.1f}-{longest[1]:.1f} --why stuck", figures)  # fmt: skip
        elif clipped > 0.02:
            yield Finding(name, "warning", f"clipped at full lock in {clipped:.1%} of the frames",
                          "if the wheel was not turned so far, give the right --steering-lock", figures)  # fmt: skip
        else:
            yield Finding(name, "ok", f"{mine.min():.2f} to {mine.max():.2f}", "", figures)


def _balance(steering: np.ndarray) -> Finding:
    if not len(steering):
        return Finding("balance", "unfit", "no frame has a label", "see the lines above")
    straight = float((np.abs(steering) < _STRAIGHT).mean())
    left, right = float((steering < -_STRAIGHT).mean()), float((steering > _STRAIGHT).mean())
    text = f"{left:.0%} left, {straight:.0%} straight, {right:.0%} right"
    figures = {"left": left, "straight": straight, "right": right}
    if straight == 1:
        return Finding("balance", "unfit", text, "nothing but straight driving: drive some bends", figures)
    if straight > 0.9:
        return Finding(
            "balance", "warning", text, "drive more bends, or train with the weights of acpilot combine", figures
        )
    if min(left, right) * 4 < max(left, right):
        return Finding(
            "balance", "warning", text, "drive a track the other way round, or train with mirroring", figures
        )
    return Finding("balance", "ok", text, "", figures)


def _spells_of(session: Session) -> list[Mark]:
    labelled_by_expert = session.manifest.game.get("labels") == "expert"
    samples = read_telemetry(session.telemetry_file)
    samples["ai_controlled"] = samples["ai_controlled"] | ~driven_by_person(session, samples["instant"])
    return find_spells(samples, session.manifest.start, keep_before_resets=labelled_by_expert)


def _spells(session: Session) -> Iterator[Finding]:
    if session.is_original:
        yield Finding("spells", "note", "the original tool did not record pauses, pits, resets or tyres off the road",
                      "look at the video, and mark such spells with acpilot mark")  # fmt: skip
        return
    marks = _spells_of(session)
    for why in ("pause", "pits", "reset", "off-track", "AI"):
        mine = [mark for mark in marks if mark.why == why]
        seconds = sum(mark.last - mark.first for mark in mine)
        if mine:
            where = ", ".join(f"{mark.first:.1f}-{mark.last:.1f}" for mark in mine[:5]) + (" ..." if mine[5:] else "")
            yield Finding(why, "note", f"{len(mine)} spells, {seconds:.1f} s: {where}",
                          "left out once marked", {"spells": len(mine), "seconds": round(seconds, 3)})  # fmt: skip
        else:
            yield Finding(why, "ok", "none", "", {"spells": 0, "seconds": 0.0})


def _marks(session: Session, labels: Labels) -> Finding:
    marks = read_marks(session)
    excluded = int(labels.excluded.sum())
    by_user = sum(mark.by == "user" for mark in marks)
    text = f"frames left out by marks: {excluded}; marks: {len(marks)}, of them by hand {by_user}"
    empty = [f"{mark.first:.3f}-{mark.last:.3f}" for mark in marks if not marked([mark], labels.timestamp).any()]
    figures = {"marks": len(marks), "frames": excluded}
    if not empty:
        return Finding("marks", "ok", text, "", figures)
    remedy = command("acpilot", "mark", session.folder, "--remove", str(empty[0]))
    return Finding("marks", "note", f"{text}; no frame lies in {', '.join(empty)}", remedy, figures)
