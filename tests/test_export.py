"""Exports of datasets: files as other tools read them, the right picture with the right action, and what is refused."""

import csv
import json
import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from acpilot.session.folder import Session
from acpilot.session.marks import Mark, write_marks
from conftest import acpilot, running, wait_for
from test_combine import combine, contents, table_of
from test_convert import FRAMES, convert, gray_of, one_line, rows_of, write_session

CAMERA = "observation.images.front"
NUMBERS = ("min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99")


def write_drive(folder: Path, name: str, *flags: str, laps: int = 2, colours: bool = False) -> Session:
    """A converted session: its grays tell its frames, its inputs too, and it goes over some laps."""
    session = write_session(folder / "made", colours=colours)
    session = Session.open(Path(shutil.move(session.folder, folder / name)))
    session.manifest.settings["fps"] = 10.0
    session.manifest.game = {"car": "coupe", "track": name, "track_configuration": ""}
    session.save()
    relabel(session, laps, *flags)
    return session


def relabel(session: Session, laps: int, *flags: str) -> None:
    code, output = convert(session, *flags)
    assert code == 0, output
    rows = rows_of(session)
    for row in rows:
        frame = int(row["frame"])
        row |= {"lap": str(frame * laps // FRAMES), "steering": str(frame / 100), "throttle": str(1 - frame / 100)}
    with session.labels_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions and their dataset; the first has a marked spell, so that it lacks frames 12 to 20."""
    folder = tmp_path_factory.mktemp("made")
    first = write_drive(folder, "first")
    times = [float(row["timestamp"]) for row in rows_of(first)]
    write_marks(first, [Mark(times[12], times[20], "spin")])
    relabel(first, 2)
    second = write_drive(folder, "second")
    code, output = combine([first.folder, second.folder], folder / "dataset", "--validation", "0.3")
    assert code == 0, output
    return folder


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    """One that a test may change; the sessions of it are those of the module."""
    return Path(shutil.copytree(made / "dataset", tmp_path / "dataset"))


def export(dataset: Path, *flags: str) -> tuple[int, str]:
    return acpilot("export", str(dataset), *flags, folder=dataset.parent)


def exported(dataset: Path, *flags: str) -> Path:
    out = dataset.parent / f"out{len(list(dataset.parent.glob('out*')))}"
    code, output = export(dataset, "--out", str(out), *flags)
    assert code == 0, output
    return out


@pytest.fixture(scope="module")
def encoded(made: Path) -> Path:
    return exported(made / "dataset")


@pytest.fixture(scope="module")
def copied(made: Path) -> Path:
    return exported(made / "dataset", "--video", "copy")


@pytest.fixture(params=["encoded", "copied"])
def lerobot(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def keep_lines(dataset: Path, count: int) -> None:
    """Cut the table of a dataset off after so many lines, the header among them."""
    table = dataset / "complete_dataset.csv"
    table.write_text("".join(table.read_text(encoding="utf-8").splitlines(keepends=True)[:count]), encoding="utf-8")


def times_of(path: Path) -> list[Fraction]:
    """When each picture of a video is shown, exactly, s."""
    times = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(frame.pts * frame.time_base)
    return times


def pictures_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def info_of(out: Path) -> dict[str, Any]:
    info: dict[str, Any] = json.loads((out / "meta/info.json").read_text(encoding="utf-8"))
    return info


def episodes_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    return rows


def frames_of(out: Path) -> pa.Table:
    return pq.read_table(out / "data/chunk-000/file-000.parquet")


def test_info_tells_what_is_there(lerobot: Path) -> None:
    info, episodes, frames = info_of(lerobot), episodes_of(lerobot), frames_of(lerobot)
    assert (info["codebase_version"], info["fps"], info["chunks_size"]) == ("v3.0", 10, 1000)
    assert info["total_episodes"] == len(episodes)
    assert info["total_frames"] == len(frames) == sum(episode["length"] for episode in episodes)
    assert info["features"][CAMERA]["shape"] == [182, 322, 3]
    assert info["features"][CAMERA]["info"]["video.codec"] == "h264"
    assert info["features"]["action"] == {
        "dtype": "float32", "shape": [3], "names": ["steering", "throttle", "brake"],
    }  # fmt: skip
    for name, feature in info["features"].items():
        assert "/" not in name
        if feature["dtype"] != "video":
            kind = pa.from_numpy_dtype(feature["dtype"])
            size = feature["shape"][0]
            assert frames.schema.field(name).type == (kind if size == 1 else pa.list_(kind, size))
    assert set(frames.column_names) == set(info["features"]) - {CAMERA}
    for episode in episodes:
        for template in (info["data_path"], info["video_path"]):
            kind = "data" if template == info["data_path"] else f"videos/{CAMERA}"
            place = {key: episode[f"{kind}/{key}"] for key in ("chunk_index", "file_index")}
            assert (lerobot / template.format(video_key=CAMERA, **place)).exists()


def test_episodes_are_runs_of_a_lap_in_the_order_of_the_splits(lerobot: Path, made: Path) -> None:
    episodes = episodes_of(lerobot)
    table = {(row["session"], int(row["frame"])): row for row in table_of(made / "dataset")}
    frames = frames_of(lerobot).to_pylist()
    runs = sorted(
        (episode["session"], [frame["session_frame"] for frame in frames if frame["episode_index"] == number])
        for number, episode in enumerate(episodes)
    )
    assert runs == [
        ("first", [*range(12)]),
        ("first", [*range(30, 60)]),
        ("second", [*range(30)]),
        ("second", [*range(30, 60)]),
    ], "frames 21 to 29 are no second"
    at = 0
    for number, episode in enumerate(episodes):
        assert (episode["episode_index"], episode["dataset_from_index"]) == (number, at)
        at += episode["length"]
        assert episode["dataset_to_index"] == at
        for frame in frames[episode["dataset_from_index"] : at]:
            row = table[episode["session"], frame["session_frame"]]
            assert (row["split"], int(row["lap"])) == (episode["split"], episode["lap"])
    splits = [episode["split"] for episode in episodes]
    assert splits == sorted(splits)
    ranges = {name: [*map(int, span.split(":"))] for name, span in info_of(lerobot)["splits"].items()}
    assert {name: set(splits[first:last]) for name, (first, last) in ranges.items()} == {
        "train": {"train"}, "validation": {"validation"},
    }  # fmt: skip
    assert [number for first, last in ranges.values() for number in range(first, last)] == [*range(len(episodes))]


def test_each_frame_has_the_numbers_of_its_row(lerobot: Path, made: Path) -> None:
    table = {(row["session"], int(row["frame"])): row for row in table_of(made / "dataset")}
    episodes = episodes_of(lerobot)
    tasks = pq.read_table(lerobot / "meta/tasks.parquet").to_pylist()
    for index, frame in enumerate(frames_of(lerobot).to_pylist()):
        episode = episodes[frame["episode_index"]]
        row = table[episode["session"], frame["session_frame"]]
        assert frame["index"] == index == episode["dataset_from_index"] + frame["frame_index"]
        assert frame["timestamp"] == pytest.approx(frame["frame_index"] / 10, abs=1e-6)
        assert frame["action"] == pytest.approx([float(row[k]) for k in ("steering", "throttle", "brake")], abs=1e-6)
        assert frame["observation.state"] == pytest.approx([float(row["speed"]), float(row["gear"])], rel=1e-6)
        assert frame["session_timestamp"] == float(row["timestamp"])
        assert episode["tasks"] == [tasks[frame["task_index"]]["task"]] == [f"drive coupe around {row['session']}"]


def test_videos_show_frame_n_at_exactly_n_over_the_rate(lerobot: Path) -> None:
    for path in lerobot.rglob("*.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == stream.guessed_rate == 10
        times = times_of(path)
        assert times == [Fraction(number, 10) for number in range(len(times))]


def test_an_episode_shows_its_frames(lerobot: Path) -> None:
    videos = [pictures_of(path) for path in sorted(lerobot.rglob("*.mp4"))]
    frames = frames_of(lerobot).to_pylist()
    for frame in random.Random(0).sample(frames, 60):
        episode = episodes_of(lerobot)[frame["episode_index"]]
        at = episode[f"videos/{CAMERA}/from_timestamp"] + frame["timestamp"]
        assert at < episode[f"videos/{CAMERA}/to_timestamp"]
        picture = videos[episode[f"videos/{CAMERA}/file_index"]][round(10 * at)]
        assert picture.mean() == pytest.approx(gray_of(frame["session_frame"]), abs=1.5)
        assert frame["action"][0] == pytest.approx(frame["session_frame"] / 100)


def test_tasks_come_back_from_pandas_with_the_task_as_index(lerobot: Path) -> None:
    table = pq.read_table(lerobot / "meta/tasks.parquet")
    assert table.column_names == ["task_index", "task"]
    pandas = json.loads(table.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]
    assert [(column["name"], column["pandas_type"]) for column in pandas["columns"]] == [
        ("task_index", "int64"), ("task", "unicode"),
    ]  # fmt: skip
    assert table["task_index"].to_pylist() == [0, 1]


def test_statistics_are_those_of_the_frames(lerobot: Path) -> None:
    everything = json.loads((lerobot / "meta/stats.json").read_text(encoding="utf-8"))
    frames, episodes = frames_of(lerobot), episodes_of(lerobot)
    assert set(everything) == set(info_of(lerobot)["features"])
    for rows, found in [
        (frames, everything),
        *(
            (
                frames.slice(episode["dataset_from_index"], episode["length"]),
                {name: {k: episode[f"stats/{name}/{k}"] for k in (*NUMBERS, "count")} for name in everything},
            )
            for episode in episodes
        ),
    ]:
        actions = np.array(rows["action"].to_pylist())
        assert found["action"]["count"] == [len(rows)]
        assert found["action"]["mean"] == pytest.approx(actions.mean(axis=0))
        assert found["action"]["std"] == pytest.approx(actions.std(axis=0), abs=1e-7)
        assert found["action"]["q10"] == pytest.approx(np.quantile(actions, 0.1, axis=0))
        grays = np.array([gray_of(number) / 255 for number in rows["session_frame"].to_pylist()])
        image = {kind: np.array(found[CAMERA][kind]) for kind in NUMBERS}
        assert {kind: numbers.shape for kind, numbers in image.items()} == dict.fromkeys(NUMBERS, (3, 1, 1))
        assert found[CAMERA]["count"] == [len(rows)]
        for kind, value in {
            "mean": grays.mean(), "std": grays.std(), "min": grays.min(), "max": grays.max(),
            "q50": np.quantile(grays, 0.5, method="inverted_cdf"),
        }.items():  # fmt: skip
            assert image[kind] == pytest.approx(np.full((3, 1, 1), value), abs=2 / 255)


def test_parquet_has_a_file_for_each_split_with_the_images_in_it(dataset: Path) -> None:
    out = exported(dataset, "--to", "parquet")
    for split in ("train", "validation"):
        rows = [row for row in table_of(dataset) if row["split"] == split]
        file = pq.ParquetFile(out / f"data/{split}-00000-of-00001.parquet")
        features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
        assert features["image"] == {"_type": "Image"}
        assert features["steering"] == {"_type": "Value", "dtype": "float64"}
        assert features["session"] == {"_type": "Value", "dtype": "string"}
        assert list(features) == file.schema_arrow.names
        assert all(file.metadata.row_group(k).num_rows <= 100 for k in range(file.num_row_groups))
        table = file.read().to_pylist()
        assert [(row["session"], row["frame"]) for row in table] == [(r["session"], int(r["frame"])) for r in rows]
        for row, wanted in zip(table, rows, strict=True):
            assert row["image"] == {
                "bytes": (dataset / wanted["image_name"]).read_bytes(), "path": wanted["image_name"],
            }  # fmt: skip
            assert row["steering"] == float(wanted["steering"])
    assert "| train |" in (out / "README.md").read_text(encoding="utf-8")


def test_parquet_may_name_the_images_only(dataset: Path) -> None:
    out = exported(dataset, "--to", "parquet", "--images", "paths")
    for row in pq.read_table(out / "data/train-00000-of-00001.parquet").to_pylist():
        with Image.open(dataset / row["image_name"]) as picture:
            assert np.asarray(picture).mean() == pytest.approx(gray_of(row["frame"]), abs=1.5)


def test_a_second_run_does_nothing_and_a_changed_dataset_is_exported_anew(dataset: Path) -> None:
    flags = ("--to", "parquet", "--images", "paths")
    code, output = export(dataset, *flags)
    assert code == 0, output
    out = dataset.with_name("dataset_parquet")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert "nothing to do" in export(dataset, *flags)[1]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    keep_lines(dataset, 51)
    assert export(dataset, *flags)[0] == 0
    assert sum(len(pq.read_table(path)) for path in out.glob("data/*.parquet")) == 50
    assert {path.name for path in dataset.parent.iterdir()} == {"dataset", "dataset_parquet"}


@pytest.mark.parametrize("moment", ["*.mp4", "stats.json"])
def test_a_kill_and_another_run_end_the_same(dataset: Path, encoded: Path, moment: str) -> None:
    out = dataset.parent / "export"
    assert export(dataset, "--out", str(out), "--to", "parquet")[0] == 0
    before = contents(out)
    with running("export", str(dataset), "--out", str(out), folder=dataset.parent) as process:
        wait_for(
            lambda: any(dataset.parent.glob(f"export.new.part/**/{moment}")) or process.poll() is not None,
            moment,
            step=0.0005,
        )
        process.kill()
        process.wait()
    assert contents(out) in (before, contents(encoded), {}), "the old one, the new one, or between the two renames"
    code, output = export(dataset, "--out", str(out))
    assert code == 0, output
    assert contents(out) == contents(encoded)
    assert not list(dataset.parent.glob("*.part"))


def test_a_kill_between_the_two_renames_loses_nothing(dataset: Path) -> None:
    out = exported(dataset, "--to", "parquet")
    before = contents(out)
    out.rename(out.with_name(f"{out.name}.before.part"))
    (dataset / "images/first/frame_000003.jpg").unlink()
    assert export(dataset, "--out", str(out))[0] == 1
    assert contents(out) == before


def test_a_folder_of_something_else_is_left_alone(dataset: Path) -> None:
    (dataset.parent / "mine").mkdir()
    (dataset.parent / "mine" / "notes.txt").write_text("mine")
    line = one_line(*export(dataset, "--out", str(dataset.parent / "mine")))
    assert "mine is there and no export of acpilot's" in line
    assert contents(dataset.parent / "mine") == {"notes.txt": b"mine"}
    assert "is there and no export" in one_line(*export(dataset, "--out", str(dataset)))


def test_short_runs_are_left_out_and_told(dataset: Path) -> None:
    code, output = export(dataset)
    assert code == 0
    assert "9 rows left out: they are in 1 runs shorter than a second" in output


def _other_rate(dataset: Path) -> None:
    _change(dataset, lambda entry: entry.update(fps=9.5))


def _other_pace(dataset: Path) -> None:
    _change(dataset, lambda entry: entry.update(fps=8.0), everywhere=True)


def _without_an_image(dataset: Path) -> None:
    (dataset / "images/second/frame_000003.jpg").unlink()


def _with_a_broken_image(dataset: Path) -> None:
    (dataset / "images/second/frame_000003.jpg").unlink()  # may be a second name of the session's
    (dataset / "images/second/frame_000003.jpg").write_bytes(b"no picture")


def _with_another_size(dataset: Path) -> None:
    path = dataset / "images/second/frame_000000.jpg"
    with Image.open(path) as picture:
        smaller = picture.resize((160, 90))
    path.unlink()
    smaller.save(path)


def _with_short_runs(dataset: Path) -> None:
    keep_lines(dataset, 6)


def _without_rows(dataset: Path) -> None:
    keep_lines(dataset, 1)


def _cropped(dataset: Path) -> None:
    _change(dataset, lambda entry: entry["conversion"].update(crop=[0, 0, 322, 182], fps=10))


def _without_recording(dataset: Path) -> None:
    _change(dataset, lambda entry: entry.update(folder=str(dataset / "gone")))


def _with_another_recording(dataset: Path) -> None:
    _change(dataset, lambda entry: entry["conversion"].update(video_bytes=5))


def _change(dataset: Path, change: Callable[[dict[str, Any]], object], *, everywhere: bool = False) -> None:
    record = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    for name, entry in record["sessions"].items():
        if everywhere or name == "second":
            change(entry)
    (dataset / "dataset.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        (_other_rate, [], "one whole number of frames a second, the sessions have first 10, second 9.5"),
        (_other_pace, [], "the frames of first come 10 times a second, not 8"),
        (_without_an_image, [], "frame_000003.jpg is missing"),
        (_without_an_image, ["--to", "parquet"], "frame_000003.jpg is missing"),
        (_with_a_broken_image, [], "frame_000003.jpg is damaged"),
        (_with_another_size, [], "frame_000000.jpg is 160 × 90 pixels, others are 322 × 182"),
        (_with_short_runs, [], "no run of the dataset's 5 rows is as long as a second"),
        (_without_rows, ["--to", "parquet"], "holds no rows"),
        (_cropped, ["--video", "copy"], "its images were made with --crop and --fps"),
        (_without_recording, ["--video", "copy"], "session_recording.mkv is missing, so it cannot be copied"),
        (_with_another_recording, ["--video", "copy"], "is not the recording any more that the images were made of"),
    ],
)
def test_what_cannot_be_exported(dataset: Path, spoil: Callable[[Path], None], flags: list[str], message: str) -> None:
    spoil(dataset)
    assert message in one_line(*export(dataset, "--out", str(dataset.parent / "export"), *flags))
    assert not list(dataset.parent.glob("export*")), "nothing half-made is left"


def test_odd_sizes_make_no_video(tmp_path: Path) -> None:
    session = write_drive(tmp_path, "odd", "--size", "81", "45")
    assert combine([session.folder], tmp_path / "dataset")[0] == 0
    assert "convert the sessions with --size 80 44" in one_line(*export(tmp_path / "dataset"))
