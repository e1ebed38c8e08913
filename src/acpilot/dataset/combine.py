"""Sessions → one dataset: a table, images, splits, weights, provenance and a card."""

import csv
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acpilot import __version__
from acpilot.clock import NS
from acpilot.commands import command
from acpilot.dataset.convert import read_stamp
from acpilot.dataset.dataset import ADDED_SINCE, COLUMNS, FORMAT, Dataset
from acpilot.dataset.dataset_card import dataset_card
from acpilot.dataset.settings import CombineSettings
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, whole_folder, write_atomically
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.labels import LABELS_VERSION, driven_by_person
from acpilot.session.marks import read_marks

_BIN = 0.05  # of steering: frames as rare as each other
_TOLD_BY_THE_GAME = ("driver", "labels")
"""Who drove, and whose answers the labels are when not the driver's: only sessions of acpilot improve, and of acpilot
drive, say so."""
_NUMBERS = ("steering", "throttle", "brake", "speed", "timestamp", "lateral_acceleration")
_DEFAULTS: dict[str, Any] = {"split_by": "lap", "validation": 0.15, "test": 0.0}
Row = dict[str, str]


@dataclass(frozen=True)
class Combination:
    """What a combination made."""

    dataset: Dataset
    added: tuple[str, ...]
    """Names of the sessions that are new, or that were converted anew since."""
    rows: dict[str, int]
    """Rows of each split."""
    notes: tuple[str, ...]
    """What the user should know."""


def combine(sessions: Sequence[Session], settings: CombineSettings, progress: Progress) -> Combination:
    """Make a dataset of converted sessions, or add some to one; sessions that it holds unchanged are left as they are.

    Args:
        sessions: converted ones.
        settings: where to, and how to split.
        progress: told after each image.

    Raises:
        AcpilotError: a session is not converted, or has been marked since, or a policy alone drove it; two have one
            name; the settings are not those of the dataset; or the disk is full.
    """
    dataset = Dataset.open(settings.out) if Dataset.is_one(settings.out) else Dataset(settings.out)
    dataset.record["settings"] = _agreed(dataset, settings)
    known: dict[str, dict[str, Any]] = dataset.record["sessions"]
    rows = _rows_there(dataset)
    new: dict[str, dict[str, Any]] = {}
    for session in sessions:
        entry = _entry(session)
        name = session.folder.resolve().name
        other = new.get(name, known.get(name))
        if other is not None and other["folder"] != entry["folder"]:
            raise AcpilotError(
                f"two sessions are named {name}: {other['folder']} and {entry['folder']}; rename one of the folders"
            )
        if known.get(name) != entry or any(_without_a_number(row) for row in rows.get(name, ())):
            new[name] = entry
    try:
        _add_images(dataset, new, progress)
        for name, entry in new.items():
            rows[name] = _rows_of(Session.open(Path(entry["folder"])), name)
            known[name] = entry
        dataset.record["sessions"] = dict(sorted(known.items()))
        table = [row for name in dataset.record["sessions"] for row in rows[name]]
        _split(table, dataset.record)
        _weigh(table, dataset.record["settings"]["corrections_weight"])
        write_atomically(dataset.table_file, _csv(table))
        write_atomically(dataset.card_file, dataset_card(dataset.record, table))
        write_atomically(dataset.record_file, json.dumps({**dataset.record, "format": FORMAT}, indent=2) + "\n")
    except OSError as error:
        raise cannot_write(dataset.folder, error, "free some space") from None
    splits, counts = np.unique([row["split"] for row in table], return_counts=True)
    notes = tuple(
        f"{name}: {entry['frames']} rows are a driver's corrections; {entry['left_out']} are left out, no person drove"
        for name, entry in new.items()
        if "left_out" in entry
    )
    return Combination(dataset, tuple(new), dict(zip(splits.tolist(), counts.tolist(), strict=True)), notes)


def copy_dataset(dataset: Dataset, folder: Path) -> Dataset:
    """The same dataset in another folder, which must not be there yet; images take no room twice.

    Raises:
        AcpilotError: the folder is there already or cannot be written, or an image is missing.
    """
    copy, names = Dataset(folder), dataset.table()["image_name"].tolist()
    if strange := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise AcpilotError(f"{dataset.table_file} names an image outside of the dataset: {strange[0]}")
    with whole_folder(folder, "--out") as part:
        for name in names:
            image = part / name
            image.parent.mkdir(parents=True, exist_ok=True)
            _link(dataset.image(name), image)
        for file in (dataset.record_file, dataset.table_file, dataset.card_file):
            if file.exists():
                shutil.copyfile(file, part / file.name)
        if dataset.cache_folder.is_dir():
            (part / copy.cache_folder.name).mkdir()
            for file in dataset.cache_folder.iterdir():
                if file.suffix != ".part":
                    _link(file, part / copy.cache_folder.name / file.name)
    return Dataset.open(folder)


def _agreed(dataset: Dataset, settings: CombineSettings) -> dict[str, Any]:
    """The settings of the dataset, which those given must not contradict: old rows keep their split."""
    there: dict[str, Any] = dataset.record.get("settings", {})
    agreed = {}
    for name, default in _DEFAULTS.items():
        given = getattr(settings, name)
        agreed[name] = there.get(name, default) if given is None else given
        if name in there and agreed[name] != there[name]:
            raise AcpilotError(
                f"{dataset.folder} was made with --{name.replace('_', '-')} {there[name]}, not {given}: leave the flag "
                "out, or choose another --out"
            )
    # Weights are made anew each time: these may be others than those of the dataset.
    agreed["corrections_weight"] = settings.corrections_weight or there.get("corrections_weight", 1.0)
    if agreed["validation"] + agreed["test"] >= 1:
        raise AcpilotError("--validation and --test together leave nothing to train on: they must add to less than 1")
    return agreed


def _entry(session: Session) -> dict[str, Any]:
    """What the dataset records of a session; equal entries mean that nothing has changed."""
    stamp = read_stamp(session)
    if not stamp or not session.labels_file.exists():
        raise AcpilotError(f"{session.folder} has not been converted: {command('acpilot', 'convert', session.folder)}")
    if stamp["labels"]["marks"] != [asdict(mark) for mark in read_marks(session)] or (
        stamp["labels"]["correction"] != session.correction
    ):
        raise AcpilotError(
            f"{session.folder} was marked or re-aligned after it was converted: "
            f"{command('acpilot', 'convert', session.folder)}"
        )
    game, alignment = session.manifest.game, session.manifest.alignment
    labels = session.labels_file.read_bytes()
    all_rows = _rows(labels)
    for number, row in enumerate(all_rows, 2):
        if bad := _without_a_number(row):
            edited = stamp["labels"].get("version") == LABELS_VERSION
            raise AcpilotError(
                f"{session.labels_file}, line {number}: {bad} is {row[bad]}, which is no number; "
                + ("delete the file and make it anew" if edited else "make the labels anew")
                + f": acpilot convert {session.folder}"
            )
    rows = _driven_by_person(session, all_rows)
    if not rows:
        raise AcpilotError(f"no person drove in {session.folder}: there is nothing to learn from; leave it out")
    seconds = np.array([float(row["timestamp"]) for row in rows])
    measured = round(1 / float(np.median(np.diff(seconds))), 2) if len(rows) > 1 else 0.0
    return {
        "folder": str(session.folder.resolve()),
        "car": str(game.get("car", "")),
        "track": str(game.get("track", "")),
        "track_configuration": str(game.get("track_configuration", "")),
        "fps": float(stamp["labels"]["settings"]["fps"] or session.manifest.settings.get("fps") or measured),
        "frames": len(rows),
        "alignment": alignment.method if alignment else "frame numbers",
        "error_bound_ms": alignment.error_bound_ms if alignment else None,
        "correction_ms": session.correction / 1e6,
        "original": session.is_original,
        "created": session.manifest.created,
        "acpilot": __version__,
        "conversion": {**stamp["images"], **stamp["labels"]["settings"]},
        "labels_sha256": hashlib.sha256(labels).hexdigest(),
        **({"left_out": len(all_rows) - len(rows)} if session.manifest.drivers else {}),
        **{key: str(game[key]) for key in _TOLD_BY_THE_GAME if key in game},
    }


def _rows_there(dataset: Dataset) -> dict[str, list[Row]]:
    """The rows of the sessions that the dataset holds, which may be gone from where they were recorded."""
    rows: dict[str, list[Row]] = {name: [] for name in dataset.record["sessions"]}
    if rows:
        dataset.table()  # refuses a damaged one
        for row in _read(dataset.table_file):
            rows.setdefault(row["session"], []).append({**ADDED_SINCE, **row})
    return rows


def _add_images(dataset: Dataset, new: dict[str, dict[str, Any]], progress: Progress) -> None:
    total, done = sum(entry["frames"] for entry in new.values()), 0
    dataset.images_folder.mkdir(parents=True, exist_ok=True)
    for name, entry in new.items():
        session = Session.open(Path(entry["folder"]))
        part = dataset.images_folder / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for row in _driven_by_person(session, _read(session.labels_file)):
            _link(session.images_folder / row["image_name"], part / row["image_name"])
            done += 1
            progress(done, total)
        shutil.rmtree(dataset.images_folder / name, ignore_errors=True)
        part.rename(dataset.images_folder / name)


def _link(source: Path, target: Path) -> None:
    """The same file under a second name, so that it takes no room; a copy where the disk cannot."""
    if not source.exists():
        raise AcpilotError(f"{source} is missing: {command('acpilot', 'convert', source.parent.parent)}")
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _read(path: Path) -> list[Row]:
    return _rows(path.read_bytes())


def _rows(table: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8"), newline="")))


def _without_a_number(row: Row) -> str:
    """The first column of a row that should hold a number and does not; empty when all do."""
    for name in _NUMBERS:
        try:
            if not math.isfinite(float(row.get(name, "0"))):
                return name
        except (TypeError, ValueError):
            return name
    return ""


def _driven_by_person(session: Session, rows: list[Row]) -> list[Row]:
    """The rows to learn from: what a policy did is what it has learnt already, its mistakes with it."""
    instants = np.array([session.manifest.start + round(float(row["timestamp"]) * NS) for row in rows], np.int64)
    return [row for row, by_person in zip(rows, driven_by_person(session, instants), strict=True) if by_person]


def _rows_of(session: Session, name: str) -> list[Row]:
    # Where a policy drove, a person only did after taking over.
    added = {"session": name, "correction": str(int(bool(session.manifest.drivers))), "split": "", "weight": ""}
    rows = _driven_by_person(session, _read(session.labels_file))
    if session.wanted_speed_file.exists():
        try:
            wanted = np.load(session.wanted_speed_file)
            rows = [{**row, "wanted_speed": f"{wanted[int(row['frame'])]:.3f}"} for row in rows]
        except (OSError, EOFError, ValueError, IndexError, TypeError):
            raise AcpilotError(f"{session.wanted_speed_file} is damaged: delete it to do without it") from None
    return [{**ADDED_SINCE, **row, "image_name": f"images/{name}/{row['image_name']}", **added} for row in rows]


def _split(table: list[Row], record: dict[str, Any]) -> None:
    """Give each group of rows without a split to the one that lacks most of its share; others keep theirs.

    A group is a session or a lap: neighbouring frames look alike, so a split by frame would test on what was learnt.
    What a policy met, labelled with another's answers or corrected by a driver, is always learnt from and has no part
    in the shares: the validation loss goes on meaning the same.
    """
    settings, sessions = record["settings"], record["sessions"]
    shares = {
        "train": 1 - settings["validation"] - settings["test"],
        **{k: settings[k] for k in ("validation", "test")},
    }
    shares = {split: share for split, share in shares.items() if share > 0}
    held = dict.fromkeys(shares, 0)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in table:
        if "labels" in sessions[row["session"]] or row["correction"] == "1":
            row["split"] = "train"
        elif row["split"]:
            held[row["split"]] += 1
        else:
            groups.setdefault((row["session"], row["lap"] if settings["split_by"] == "lap" else ""), []).append(row)
    for group in groups.values():
        split = min(shares, key=lambda name: held[name] / shares[name])
        held[split] += len(group)
        for row in group:
            row["split"] = split


def _weigh(table: list[Row], corrections: float) -> None:
    """Weigh rare steering more, 1 / √(rows that steer alike), corrections by a factor, with a mean of 1 over the table.

    The root, since a full balance would make of a handful of corrections half of what is learnt.
    """
    bins = np.rint(np.array([float(row["steering"]) for row in table]) / _BIN).astype(int)
    _, of, counts = np.unique(bins, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[of])
    weights[[row["correction"] == "1" for row in table]] *= corrections
    for row, weight in zip(table, weights / weights.mean(), strict=True):
        row["weight"] = f"{weight:.4f}"


def _csv(table: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
