"""The report of a session or a dataset: one self-contained HTML page with plots, contact sheet and checks."""

import base64
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.commands import command, install_extra
from acpilot.dataset import page
from acpilot.dataset.car_path import car_path
from acpilot.dataset.contact_sheet import draw_sheet
from acpilot.dataset.convert import labels_as_converted
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.finding import counted
from acpilot.dataset.quality import check_dataset, check_session
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, write_atomically
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.labels import Labels
from acpilot.session.left_out import enough_error_ms
from acpilot.session.marks import Mark, read_marks
from acpilot.settings import error_limit_ms
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import spans

try:
    from acpilot.dataset import plots
except ModuleNotFoundError as error:
    raise AcpilotError(f"a report needs {error.name}, which is not installed: {install_extra('report')}") from None

_SHEET_QUALITY = 82
_NEARLY_STRAIGHT = 0.02
_MAPS = 6
"""Of so many tracks of a dataset a map is drawn: each is a picture."""
_PURPLE, _YELLOW = "#a05ce6", "#c9a227"
_TIMELINE = "Each curve is drawn from its lowest and highest value at each place, so that no short peak is lost."
_MAP = (
    "The car's own coordinates, seen from above and coloured by speed, as the game's maps are drawn: bends must be "
    "slower than straights, and laps must lie on each other."
)


def report(folder: Path, progress: Progress) -> Path:
    """Write the report of a session or of a dataset; its path.

    Raises:
        AcpilotError: the folder is neither, it lacks what labels need, or the disk is full.
    """
    if Dataset.is_one(folder):
        dataset = Dataset.open(folder)
        text, path = _dataset_page(dataset, progress), dataset.report_file
    else:
        session = Session.open(folder)
        text, path = _session_page(session, progress), session.report_file
    try:
        write_atomically(path, text)
    except OSError as error:
        raise cannot_write(path, error, "free some space") from None
    return path


def _session_page(session: Session, progress: Progress) -> str:
    labels, chosen, steering = labels_as_converted(session)
    marks = read_marks(session)
    findings = check_session(session, progress)
    game = session.manifest.game
    track = _track_of(game)
    name = session.folder.resolve().name
    title = f"{game.get('car') or 'unknown car'} on {track or 'unknown track'}" if game else name
    sections = [
        page.verdicts(findings),
        page.facts("Session", _facts(session, labels, chosen, steering, track)),
        *_problems(session),
        _session_timeline(labels, marks),
        *_distributions({"labelled frames": labels.steering[chosen]}, labels.speed_kmh[chosen]),
        _session_track(session, labels, chosen),
        *_alignment(session, labels),
        _session_sheet(session, chosen),
    ]
    return page.page(title, f"session {name}", findings, sections)


def _facts(session: Session, labels: Labels, chosen: np.ndarray, steering: Steering, track: str) -> dict[str, str]:
    manifest = session.manifest
    counts, recorder, alignment = manifest.counts, manifest.recorder, manifest.alignment
    left_out = {
        "paused": labels.paused, "marked": labels.excluded, "of uncertain instant": labels.distrusted,
        "without telemetry": labels.unknown,
    }  # fmt: skip
    why = ", ".join(f"{int(which.sum())} {name}" for name, which in left_out.items() if which.any())
    if session.is_original:
        bound = "unknown, the original tool left no evidence"
    else:
        bound = f"{labels.bound_ms:.1f} ms at most, by {alignment.method}" if alignment else "none"
        if not labels.trusted.any() and (enough := enough_error_ms(labels)):
            bound = f"too much: {enough:.0f} ms would have to be accepted"
    return {
        "car": str(manifest.game.get("car", "")),
        "track": track,
        "recorded": manifest.created.replace("T", " ") or "unknown",
        "length": _clock(float(labels.timestamp[-1] - labels.timestamp[0])),
        "frames": f"{len(labels.frame)}, {int(chosen.sum())} of them labelled" + (f" ({why})" if why else ""),
        "labels can be off by": bound,
        "correction of the lag": f"{session.correction / 1e6:+.1f} ms" if session.correction else "",
        "steering": f"{steering.unit} ({steering.certainty}), largest {steering.largest:.3g}",
        "recorder": "the original tool" if session.is_original else str(recorder.get("name", "unknown")),
        "pace": str(recorder.get("pace", "")),
        "telemetry": f"{counts.samples} samples, {counts.lost_packets} lost" if counts.samples else "",
        "ended by": manifest.ended_by,
        "recorded on": str(manifest.environment.get("platform", "")),
    }


def _problems(session: Session) -> Iterator[str]:
    if problems := session.manifest.problems:
        yield page.card("Said while recording", page.table(["problem"], [[problem] for problem in problems]))


def _session_timeline(labels: Labels, marks: Sequence[Mark]) -> str:
    title = "Speed and inputs over time"
    if len(labels.frame) < 2:
        return page.card(title, "", "Left out: there is only one frame.")
    time = labels.timestamp
    blank = np.where(labels.known | labels.paused, 0.0, np.nan)
    curves = plots.Curves(
        time, labels.speed_kmh + blank, labels.steering + blank, labels.throttle + blank, labels.brake + blank
    )
    seen = [(max(mark.first, float(time[0])), min(mark.last, float(time[-1]))) for mark in marks]
    kinds = [
        plots.Spells("marked", plots.RED, [(first, last) for first, last in seen if first <= last]),
        plots.Spells("paused", plots.GRAY, _seconds(time, labels.paused)),
        plots.Spells("instant not certain", _PURPLE, _seconds(time, labels.distrusted)),
        plots.Spells("no telemetry", _YELLOW, _seconds(time, labels.unknown)),
    ]
    shown = [kind for kind in kinds if kind.spans]
    left_out = "Shaded spells are left out of the dataset." if shown else "Nothing is left out of the dataset."
    caption = f"The labels of the frames. {left_out} {_TIMELINE}"
    rows = [[_clock(mark.first), _clock(mark.last), mark.why, mark.by] for mark in marks]
    below = page.table(["marked from", "to", "why", "by"], rows) if rows else ""
    return page.figure(title, plots.timeline(curves, shown), caption, below=below)


def _distributions(steering: Mapping[str, np.ndarray], speed: np.ndarray) -> Iterator[str]:
    everything = np.concatenate(list(steering.values()))
    if not len(everything):
        yield page.card("Steering and speed", "", "Left out: no frame is labelled.")
        return
    left, right = np.mean(everything < -_NEARLY_STRAIGHT), np.mean(everything > _NEARLY_STRAIGHT)
    yield page.figure(
        "How often which steering occurs",
        plots.steering_histogram(steering),
        f"{left:.0%} of the frames steer left, {right:.0%} right, {1 - left - right:.0%} nearly straight on (up to "
        f"{_NEARLY_STRAIGHT:g}). A driver learns best what it sees often: both sides should be there.",
        half=True,
    )
    yield page.figure(
        "Which steering at which speed",
        plots.speed_steering_map(everything, speed),
        "Frames for each pair of steering and speed; empty places were never driven, and nothing can be learnt there.",
        half=True,
    )


def _session_track(session: Session, labels: Labels, chosen: np.ndarray) -> str:
    if session.is_original:
        return page.card("Track", "", "Left out: the original tool did not record the car's coordinates.")
    inside = labels.known | labels.paused
    path = car_path(session, labels.timestamp[inside])
    if path is None:
        return page.card("Track", "", "Left out: the game published no coordinates of the car, or it stood still.")
    uri = plots.track_map([(path, labels.speed_kmh[inside], chosen[inside])])
    return page.figure("Track", uri, _MAP + ("" if chosen[inside].all() else " Gray: frames that are left out."))


def _alignment(session: Session, labels: Labels) -> Iterator[str]:
    alignment, settings = session.manifest.alignment, session.manifest.settings
    title = "Evidence of the alignment"
    if session.is_original or alignment is None:
        yield page.card(
            title, "",
            "Left out: the original tool wrote a row per frame, and nothing that proves which instant a frame shows. "
            "The labels are as good as its count of frames; acpilot lag compares the pictures with the inputs.",
        )  # fmt: skip
        return
    if len(labels.frame) > 1:
        fps = settings.get("fps", 10.0)
        limit = error_limit_ms(settings.get("max_error_ms"), fps)
        uri = plots.alignment_of_frames(labels, fps, limit)
        yield page.figure(
            title, uri,
            "Above: the time between pictures as it was measured; steady is good, a gap is a lost frame. Below: how "
            f"far labels would be off, had frames only been counted ({fps:g} a second). The green band is what the "
            f"labels of this session can be off, ±{labels.bound_ms:.1f} ms; the gray one what they may be."
            + ("" if labels.trusted.all() else " Orange: frames whose instant is not certain; they get no label."),
        )  # fmt: skip
    figures = {"how": alignment.method, "error bound, ms": round(labels.bound_ms, 3), "drift, ppm": alignment.drift_ppm}
    figures |= {name.replace("_", " "): value for name, value in alignment.evidence.items() if value is not None}
    yield page.facts("Figures behind the alignment", {name: _number(value) for name, value in figures.items()})


def _session_sheet(session: Session, chosen: np.ndarray) -> str:
    hint = f"Left out: the images are not there; make them with: {command('acpilot', 'convert', session.folder)}"
    try:
        with session.labels_file.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if chosen[int(row["frame"])]]
        return _sheet(rows, session.images_folder) if rows else page.card("Contact sheet", "", hint)
    except FileNotFoundError:
        return page.card("Contact sheet", "", hint)


def _sheet(rows: Sequence[Mapping[str, Any]], folder: Path) -> str:
    raw = io.BytesIO()
    draw_sheet(rows, folder).save(raw, "JPEG", quality=_SHEET_QUALITY)
    return page.figure(
        "Contact sheet",
        "data:image/jpeg;base64," + base64.b64encode(raw.getvalue()).decode(),
        "Images with their own labels: the yellow arrow leans the way the wheel is turned (three times as far), green "
        "is throttle, red is brake. The arrows must lean into the bends.",
    )


def _dataset_page(dataset: Dataset, progress: Progress) -> str:
    table = dataset.table()
    sessions: dict[str, dict[str, Any]] = dataset.record["sessions"]
    findings = check_dataset(dataset, progress)
    splits = {name: table["split"] == name for name in plots.SPLITS}
    groups = {name: table["steering"][which] for name, which in splits.items() if which.any()}
    counts = ", ".join(f"{int(which.sum())} {name}" for name, which in splits.items())
    rows = [
        [name, entry.get("car") or "–", _track_of(entry) or "–", f"{entry.get('fps', 0):g}", f"{entry['frames']}",
         _bound_of(entry), *(f"{int((which & (table['session'] == name)).sum())}" for which in splits.values())]
        for name, entry in sessions.items()
    ]  # fmt: skip
    header = ["session", "car", "track", "frames/s", "frames", "off by at most", *splits]
    sections = [page.verdicts(findings), page.card("Sessions", page.table(header, rows))]
    if len(table["frame"]):
        speed = np.concatenate([table["speed"][splits[name]] for name in groups])
        sections += [
            _dataset_timeline(table, splits),
            *_distributions(groups, speed),
            *_dataset_tracks(dataset, table),
            _dataset_alignment(sessions),
            _dataset_sheet(dataset, table),
        ]
    name = dataset.folder.resolve().name
    under = f"{counted(len(sessions), 'session')}, {counted(len(table['frame']), 'frame')}: {counts}"
    return page.page(f"Dataset {name}", under, findings, sections)


def _dataset_timeline(table: Mapping[str, np.ndarray], splits: Mapping[str, np.ndarray]) -> str:
    title = "Speed and inputs over time"
    time = table["timestamp"]
    if len(time) < 2:
        return page.card(title, "", "Left out: there is only one frame.")
    # The sessions one after the other, each from its own first frame on.
    step = np.diff(time)
    first = np.flatnonzero(table["session"][1:] != table["session"][:-1])
    step[first] = 0
    time = np.concatenate([[0.0], np.cumsum(step)])
    curves = plots.Curves(time, table["speed"], table["steering"], table["throttle"], table["brake"])
    shades = [
        plots.Spells(name, plots.SPLITS[name], _seconds(time, splits[name]))
        for name in ("validation", "test") if splits[name].any()
    ]  # fmt: skip
    return page.figure(
        title, plots.timeline(curves, shades, [float(time[i]) for i in first]),
        f"The sessions one after the other; dashed lines part them, shaded spells are not trained on. {_TIMELINE}",
    )  # fmt: skip


def _dataset_tracks(dataset: Dataset, table: Mapping[str, np.ndarray]) -> Iterator[str]:
    paths: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    missing = []
    for name, entry in dataset.record["sessions"].items():
        rows = np.flatnonzero(table["session"] == name)
        try:
            session = Session.open(Path(entry["folder"]))
            path = car_path(session, table["timestamp"][rows])
        except AcpilotError:
            path = None
        if path is None:
            missing.append(name)
        else:
            paths.setdefault(_track_of(entry), []).append((path, table["speed"][rows], np.ones(len(rows), bool)))
    for track, ways in sorted(paths.items(), key=lambda item: -len(item[1]))[:_MAPS]:
        yield page.figure(f"Track {track or 'unknown'}", plots.track_map(ways), _MAP)
    lines = []
    if missing:
        lines.append(f"no coordinates of {', '.join(missing)}: the original tool recorded none, or the session is gone")
    if len(paths) > _MAPS:
        lines.append(f"{len(paths) - _MAPS} more tracks, with the fewest sessions")
    if lines:
        yield page.card("Tracks", "", f"Left out: {'; '.join(lines)}.")


def _dataset_alignment(sessions: Mapping[str, Mapping[str, Any]]) -> str:
    bounds = [entry.get("error_bound_ms") for entry in sessions.values()]
    limits = [500 / (entry.get("fps") or 10.0) for entry in sessions.values()]
    return page.figure(
        "Evidence of the alignment",
        plots.alignment_of_sessions(list(sessions), bounds, limits),
        "How far the labels of each session can be off. Unknown: the original tool left nothing that proves it. The "
        "report of a session shows what its figure rests on.",
    )


def _dataset_sheet(dataset: Dataset, table: Mapping[str, np.ndarray]) -> str:
    names = ("image_name", "steering", "throttle", "brake", "speed", "frame")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(table[name] for name in names), strict=True)]
    try:
        return _sheet(rows, dataset.folder)
    except FileNotFoundError as missing:
        hint = f"Left out: {missing.filename} is not there; make it with: "
        hint += command("acpilot", "combine", "--out", dataset.folder)
        return page.card("Contact sheet", "", hint)


def _track_of(entry: Mapping[str, Any]) -> str:
    """Track and its configuration, as one name."""
    return " ".join(filter(None, (entry.get("track"), entry.get("track_configuration"))))


def _bound_of(entry: Mapping[str, Any]) -> str:
    bound = entry.get("error_bound_ms")
    return "unknown" if bound is None else f"{bound:.1f} ms"


def _seconds(time: np.ndarray, which: np.ndarray) -> list[tuple[float, float]]:
    """First and last second of each run of True in bool (n,)."""
    return [(float(time[first]), float(time[last])) for first, last in spans(which)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
