"""Datasets of several sessions: what is in them, what adding does, and what a kill leaves behind."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acpilot.clock import NS
from acpilot.dataset.dataset import Dataset
from acpilot.session.folder import Session
from acpilot.session.manifest import HUMAN
from conftest import acpilot, running, wait_for
from test_convert import FRAMES, gray_of, one_line, rows_of, write_session


def write_laps(folder: Path, name: str, laps: int = 3) -> Session:
    """A converted session in a folder of that name, its images spread over some laps."""
    session = write_session(folder / "made")
    session = Session.open(Path(shutil.move(session.folder, folder / name)))
    assert acpilot("convert", str(session.folder), folder=folder)[0] == 0
    rows = rows_of(session)
    for i, row in enumerate(rows):
        row["lap"] = str(i * laps // len(rows))
        row["steering"] = str(round(0.5 * (i % 10 == 0), 6))
    with session.labels_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return session


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    return [write_laps(folder, name).folder for name in ("first", "second", "third")]


@pytest.fixture
def sessions(made: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in made]


def combine(sessions: list[Path], out: Path, *flags: str) -> tuple[int, str]:
    return acpilot("combine", *map(str, sessions), "--out", str(out), *flags, folder=out.parent)


def table_of(out: Path) -> list[dict[str, str]]:
    with (out / "complete_dataset.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def leave_out(file: Path, columns: Sequence[str]) -> None:
    with file.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    kept = [name for name in rows[0] if name not in columns]
    with file.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, kept, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_each_row_has_its_image_its_origin_and_a_split(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    code, output = combine(sessions, out)
    assert code == 0, output
    table = table_of(out)
    assert list(table[0])[:6] == ["image_name", "steering", "throttle", "brake", "speed", "gear"]
    assert len(table) == 3 * FRAMES
    for row in table:
        with Image.open(out / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(int(row["frame"])), abs=1.5)
    groups: dict[tuple[str, str], set[str]] = {}
    for row in table:
        groups.setdefault((row["session"], row["lap"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in groups.values()), "never divided"
    held_out = sum(row["split"] == "validation" for row in table)
    assert 0 < held_out < len(table) / 3
    record = json.loads((out / "dataset.json").read_text())
    assert set(record["sessions"]) == {"first", "second", "third"}
    assert "±0.5 ms" in (out / "README.md").read_text(encoding="utf-8")


def test_rare_steering_weighs_more_and_the_mean_is_one(sessions: list[Path], tmp_path: Path) -> None:
    assert combine(sessions, tmp_path / "dataset")[0] == 0
    table = table_of(tmp_path / "dataset")
    weights = np.array([float(row["weight"]) for row in table])
    steering = np.array([float(row["steering"]) for row in table])
    assert weights.mean() == pytest.approx(1, abs=1e-3)
    assert weights[steering == 0.5].mean() == pytest.approx(3 * weights[steering == 0].mean(), rel=1e-2)


def test_whole_sessions_can_be_held_out(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions, out, "--split-by", "session", "--validation", "0.3", "--test", "0.3")[0] == 0
    splits = {row["session"]: row["split"] for row in table_of(out)}
    assert sorted(splits.values()) == ["test", "train", "validation"]


def test_a_session_added_later_touches_only_what_is_new(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions[:2], out)[0] == 0
    before = table_of(out)
    images = {path: path.stat().st_ino for path in out.rglob("*.jpg")}
    shutil.rmtree(sessions[0])  # archived meanwhile
    code, output = combine(sessions[2:], out)
    assert code == 0, output
    assert "new       third" in output
    after = table_of(out)
    assert len(after) == 3 * FRAMES
    kept = [{**row, "weight": ""} for row in after if row["session"] != "third"]
    assert kept == [{**row, "weight": ""} for row in before]
    assert {path: path.stat().st_ino for path in images if path.exists()} == images


def test_what_a_policy_drove_is_told_apart_and_never_held_out(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions[1:], out)[0] == 0
    before = {row["image_name"]: row["split"] for row in table_of(out)}
    driven = Session.open(sessions[0])
    driven.manifest.game |= {"driver": "model.onnx", "labels": "expert"}
    driven.save()
    code, output = combine(sessions[:1], out)
    assert code == 0, output
    table = table_of(out)
    assert {row["split"] for row in table if row["session"] == "first"} == {"train"}
    assert {row["image_name"]: row["split"] for row in table if row["session"] != "first"} == before
    entries = json.loads((out / "dataset.json").read_text())["sessions"]
    assert (entries["first"]["driver"], entries["first"]["labels"]) == ("model.onnx", "expert")
    assert "labels" not in entries["second"]
    assert "A policy drove first:" in (out / "README.md").read_text(encoding="utf-8")


def corrected(folder: Path, *drivers: tuple[float, str]) -> Session:
    """A session that a policy drove, told who drove from which second on."""
    session = Session.open(folder)
    session.manifest.drivers = [(session.manifest.start + round(seconds * NS), name) for seconds, name in drivers]
    session.save()
    return session


def test_a_drivers_corrections_are_marked_weighed_and_never_held_out(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions[1:], out)[0] == 0
    before = {row["image_name"]: row["split"] for row in table_of(out)}
    assert all(row["correction"] == "0" for row in table_of(out))
    session = corrected(sessions[0], (-9, ""), (0.5, "small.onnx"), (2, HUMAN), (3, ""), (3.5, "small.onnx"))
    wanted = [row["frame"] for row in rows_of(session) if 2 <= float(row["timestamp"]) < 3]
    code, output = combine(sessions[:1], out, "--corrections-weight", "4")
    told = f"first: {len(wanted)} rows are a driver's corrections; {FRAMES - len(wanted)} are left out"
    assert (code, told in output) == (0, True), output
    table = table_of(out)
    mine = [row for row in table if row["session"] == "first"]
    assert [row["frame"] for row in mine] == wanted
    assert len(list((out / "images" / "first").iterdir())) == len(wanted)
    assert {(row["correction"], row["split"]) for row in mine} == {("1", "train")}
    assert {row["image_name"]: row["split"] for row in table if row["session"] != "first"} == before

    def weight(correction: str) -> float:
        (found,) = {row["weight"] for row in table if row["correction"] == correction and float(row["steering"]) == 0}
        return float(found)

    assert weight("1") == pytest.approx(4 * weight("0"), rel=1e-3)
    assert np.mean([float(row["weight"]) for row in table]) == pytest.approx(1, abs=1e-3)
    assert "weigh 4 times as much" in (out / "README.md").read_text(encoding="utf-8")
    before_again = contents(out)
    assert combine(sessions, out)[0] == 0
    assert contents(out) == before_again, "the factor is kept"
    assert combine(sessions, out, "--corrections-weight", "1")[0] == 0
    table = table_of(out)
    assert weight("1") == weight("0")


def test_what_a_policy_drove_alone_is_nothing_to_learn_from(sessions: list[Path], tmp_path: Path) -> None:
    corrected(sessions[0], (-9, ""), (0.0, "small.onnx"))
    assert "no person drove in" in one_line(*combine(sessions, tmp_path / "dataset"))


def test_a_dataset_of_before_corrections_can_be_added_to(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions, out)[0] == 0
    now, rows = contents(out), len(table_of(out))
    leave_out(out / "complete_dataset.csv", ["correction"])
    assert Dataset.open(out).table()["correction"].tolist() == [0] * rows
    assert combine(sessions, out)[0] == 0
    assert contents(out) == now


def test_sessions_and_datasets_of_earlier_versions_go_together(sessions: list[Path], tmp_path: Path) -> None:
    out, since = tmp_path / "dataset", ("correction", "lateral_acceleration", "wanted_speed")
    assert combine(sessions[:2], out)[0] == 0
    table = table_of(out)
    leave_out(out / "complete_dataset.csv", since)
    for name in since:
        assert Dataset.open(out).table()[name].tolist() == [0] * len(table)
    leave_out(Session.open(sessions[2]).labels_file, since)
    assert combine(sessions, out)[0] == 0
    for name in since:
        assert {row[name] for row in table_of(out)} == {"0"}


def test_a_session_converted_anew_replaces_its_rows(sessions: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions, out)[0] == 0
    assert "nothing: all sessions were there" in combine(sessions, out)[1]
    assert acpilot("convert", str(sessions[1]), "--size", "80", "45", folder=tmp_path)[0] == 0
    assert "new       second" in combine(sessions, out)[1]
    with Image.open(out / "images" / "second" / "frame_000003.jpg") as picture:
        assert picture.size == (80, 45)
    assert len(table_of(out)) == 3 * FRAMES


@pytest.mark.parametrize("moment", ["images", "complete_dataset.csv", "README.md"])
def test_a_kill_and_another_run_end_the_same(sessions: list[Path], tmp_path: Path, moment: str) -> None:
    out = tmp_path / "dataset"
    assert combine(sessions[:1], out)[0] == 0
    undisturbed = Path(shutil.copytree(out, tmp_path / "undisturbed"))
    assert combine(sessions, undisturbed)[0] == 0
    before = (out / moment).stat().st_mtime_ns
    with running("combine", *map(str, sessions), "--out", str(out), folder=tmp_path) as process:
        wait_for(lambda: (out / moment).stat().st_mtime_ns != before, moment, step=0.0005)
        process.kill()
        process.wait()
    code, output = combine(sessions, out)
    assert code == 0, output
    assert contents(out) == contents(undisturbed)


def _unconverted(sessions: list[Path]) -> None:
    (sessions[1] / "processed_data.csv").unlink()


def _marked_since(sessions: list[Path]) -> None:
    (sessions[1] / "marks.json").write_text('[{"first": 1, "last": 2, "why": "spin", "by": "user"}]')


def _without_an_image(sessions: list[Path]) -> None:
    (sessions[1] / "processed_images" / "frame_000003.jpg").unlink()


def _of_one_name(sessions: list[Path]) -> None:
    (sessions[0].parent / "elsewhere").mkdir()
    sessions[1] = Path(shutil.move(sessions[1], sessions[0].parent / "elsewhere" / "first"))


def _with_damaged_answers(sessions: list[Path]) -> None:
    Session.open(sessions[1]).wanted_speed_file.write_bytes(b"")


def _with_two_answers_a_frame(sessions: list[Path]) -> None:
    np.save(Session.open(sessions[1]).wanted_speed_file, np.ones((1000, 2)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_with_damaged_answers, "wanted_speed.npy is damaged"),
        (_with_two_answers_a_frame, "wanted_speed.npy is damaged"),
        (_unconverted, "second has not been converted: acpilot convert"),
        (_marked_since, "second was marked or re-aligned after it was converted"),
        (_without_an_image, "frame_000003.jpg is missing"),
        (_of_one_name, "two sessions are named first"),
    ],
)
def test_what_cannot_be_combined(
    sessions: list[Path], tmp_path: Path, spoil: Callable[[list[Path]], None], message: str
) -> None:
    spoil(sessions)
    assert message in one_line(*combine(sessions, tmp_path / "dataset"))
    assert not (tmp_path / "dataset" / "complete_dataset.csv").exists()


def test_a_dataset_keeps_its_way_of_splitting(sessions: list[Path], tmp_path: Path) -> None:
    assert combine(sessions[:2], tmp_path / "dataset")[0] == 0
    line = one_line(*combine(sessions, tmp_path / "dataset", "--split-by", "session"))
    assert "was made with --split-by lap" in line


def _in_a_column(file: Path, column: str, value: str) -> None:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    rows[7][column] = value
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("version", ["earlier", "this"])
def test_labels_that_are_no_numbers_are_refused_with_a_remedy_that_works(
    version: str, sessions: list[Path], tmp_path: Path
) -> None:
    session = Session.open(sessions[0])
    _in_a_column(session.labels_file, "steering", "nan")
    if version == "earlier":  # which labelled what the telemetry had no number for
        stamp = json.loads(session.conversion_file.read_text())
        stamp["labels"]["version"] = 3
        session.conversion_file.write_text(json.dumps(stamp))
    line = one_line(*combine(sessions[:1], tmp_path / "out"))
    assert "line 9: steering is nan" in line
    remedy, command = line.rsplit(": acpilot ", 1)
    assert remedy.endswith("delete the file and make it anew") == (version == "this")
    if version == "this":
        session.labels_file.unlink()
    assert acpilot(*command.split(), folder=tmp_path)[0] == 0
    assert combine(sessions[:1], tmp_path / "out")[0] == 0


def test_a_dataset_with_labels_that_are_no_numbers_is_mended_by_what_train_says(
    sessions: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert combine(sessions[:1], out)[0] == 0
    before = table_of(out)
    _in_a_column(out / "complete_dataset.csv", "steering", "nan")
    line = one_line(*acpilot("train", str(out), "--out", str(tmp_path / "policy"), folder=tmp_path))
    commands = line.split("make its rows anew: ", 1)[1].split(", then ")
    assert len(commands) == 2
    for command in commands:
        assert acpilot(*command.split()[1:], folder=tmp_path)[0] == 0
    assert table_of(out) == before
