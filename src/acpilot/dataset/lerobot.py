"""A dataset → LeRobotDataset v3.0.

Source of the format: the package ``lerobot``, 0.4.4 and 0.6.1, which load what is written here (make test-lerobot).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from acpilot.dataset.dataset import Dataset
from acpilot.dataset.episodes import Episode, find_episodes, whole_rate
from acpilot.dataset.lerobot_video import Videos
from acpilot.dataset.settings import ExportSettings
from acpilot.dataset.statistics import ImageStatistics, Statistics, value_statistics
from acpilot.progress import Progress

_CAMERA = "observation.images.front"
_VECTORS = {"observation.state": ["speed_kmh", "gear"], "action": ["steering", "throttle", "brake"]}
_FILES_A_CHUNK = 1000
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_PLACE = {"chunk_index": 0, "file_index": 0}
Columns = dict[str, np.ndarray]
"""Name of a feature → its values, (frames,) or (frames, entries)."""


def write_lerobot(
    dataset: Dataset, table: Mapping[str, np.ndarray], settings: ExportSettings, folder: Path, progress: Progress
) -> tuple[str, list[str]]:
    """Write the export into a folder; what it holds, and what the user should know of it.

    Raises:
        AcpilotError: the sessions' rates are not one whole number, or their images or recordings do not make a video.
        OSError: the disk is full.
    """
    sessions = dataset.record["sessions"]
    fps = whole_rate(sessions)
    episodes, notes = find_episodes(table, sessions, fps)
    places = {
        name: dict(zip(_PLACE, divmod(number, _FILES_A_CHUNK), strict=True))
        for number, name in enumerate(sorted({episode.session for episode in episodes}))
    }
    paths = {name: folder / _VIDEO.format(video_key=_CAMERA, **place) for name, place in places.items()}
    videos = Videos(dataset, table, episodes, paths, fps=fps, progress=progress)
    if settings.video == "copy":
        videos.copy()
        notes.append(
            "load it with LeRobot's torchcodec (the usual one): its pyav backend takes every recording for BT.601, and "
            "shows the colours of others, OBS's among them, a little wrong"
        )
    else:
        videos.encode()

    task_of = {name: _task(sessions[name]) for name in places}
    tasks = list(dict.fromkeys(task_of[episode.session] for episode in episodes))
    data = [_columns(table, episode, fps, tasks.index(task_of[episode.session])) for episode in episodes]
    rows = []
    for episode, columns in zip(episodes, data, strict=True):
        place, first = places[episode.session], videos.first[episode.number]
        rows.append(
            {
                "episode_index": episode.number,
                "tasks": [task_of[episode.session]],
                "length": len(episode.rows),
                **{f"data/{name}": number for name, number in _PLACE.items()},
                "dataset_from_index": episode.start,
                "dataset_to_index": episode.start + len(episode.rows),
                **{f"videos/{_CAMERA}/{name}": number for name, number in place.items()},
                f"videos/{_CAMERA}/from_timestamp": first / fps,
                f"videos/{_CAMERA}/to_timestamp": (first + len(episode.rows)) / fps,
                **_flat(_statistics(columns, videos.seen[episode.number])),
                **{f"meta/episodes/{name}": number for name, number in _PLACE.items()},
                "session": episode.session,
                "lap": episode.lap,
                "split": episode.split,
            }
        )
    everything = {name: np.concatenate([columns[name] for columns in data]) for name in data[0]}
    pictures = ImageStatistics()
    for episode in episodes:
        pictures.add_all(videos.seen[episode.number], len(episode.rows))

    for path in ("meta", _EPISODES.format(**_PLACE), _DATA.format(**_PLACE)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(folder / _DATA.format(**_PLACE), _frame_table(data[0]).schema) as writer:
        for columns in data:
            writer.write_table(_frame_table(columns))
    pq.write_table(pa.Table.from_pylist(rows), folder / _EPISODES.format(**_PLACE))
    pq.write_table(_task_table(tasks), folder / "meta/tasks.parquet")
    _write_json(folder / "meta/stats.json", _statistics(everything, pictures))
    _write_json(folder / "meta/info.json", _info(episodes, everything, len(tasks), fps, videos))
    (folder / "README.md").write_text(_card(episodes, fps), encoding="utf-8", newline="\n")
    held = f"{len(episodes)} episodes of {len(everything['index'])} frames, {fps} a second"
    return f"{held}; image statistics from {pictures.count} of them", notes


def _task(entry: Mapping[str, Any]) -> str:
    """What is done in a session, in words."""
    track = " ".join(part for part in (entry["track"], entry["track_configuration"]) if part)
    return f"drive {entry['car'] or 'the car'} around {track or 'the track'}"


def _columns(table: Mapping[str, np.ndarray], episode: Episode, fps: int, task: int) -> Columns:
    rows, count = episode.rows, len(episode.rows)
    frame = np.arange(count)
    return {
        "observation.state": np.stack([table["speed"][rows], table["gear"][rows]], axis=1).astype(np.float32),
        "action": np.stack([table[name][rows] for name in _VECTORS["action"]], axis=1).astype(np.float32),
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(count, episode.number),
        "index": episode.start + frame,
        "task_index": np.full(count, task),
        # Ours: where a frame comes from, and what the dataset knows of it beyond what a policy is given.
        "session_timestamp": table["timestamp"][rows],
        "session_frame": table["frame"][rows],
        "normalized_position": table["normalized_position"][rows].astype(np.float32),
        "weight": table["weight"][rows].astype(np.float32),
    }


def _frame_table(columns: Columns) -> pa.Table:
    return pa.table(
        {
            name: pa.array(values)
            if values.ndim == 1
            else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
            for name, values in columns.items()
        }
    )


def _task_table(tasks: Sequence[str]) -> pa.Table:
    """As pandas writes a frame whose index is the task: LeRobot looks tasks up by that index."""
    columns = [("task_index", "int64", "int64"), ("task", "unicode", "object")]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_kind, "metadata": None}
            for name, kind, numpy_kind in columns
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _statistics(columns: Columns, pictures: ImageStatistics) -> dict[str, Statistics]:
    return {_CAMERA: pictures.statistics(), **{name: value_statistics(values) for name, values in columns.items()}}


def _flat(statistics: Mapping[str, Statistics]) -> dict[str, list[Any]]:
    return {f"stats/{name}/{kind}": numbers for name, found in statistics.items() for kind, numbers in found.items()}


def _info(episodes: Sequence[Episode], columns: Columns, tasks: int, fps: int, videos: Videos) -> dict[str, Any]:
    splits: dict[str, str] = {}
    for split in dict.fromkeys(episode.split for episode in episodes):
        numbers = [episode.number for episode in episodes if episode.split == split]
        splits[split] = f"{numbers[0]}:{numbers[-1] + 1}"
    camera = {
        "dtype": "video",
        "shape": [videos.height, videos.width, 3],
        "names": ["height", "width", "channels"],
        "info": videos.info,
    }
    features = {
        name: {"dtype": str(values.dtype), "shape": list(values.shape[1:]) or [1], "names": _VECTORS.get(name)}
        for name, values in columns.items()
    }
    return {
        "codebase_version": "v3.0",
        "robot_type": "assetto_corsa",
        "total_episodes": len(episodes),
        "total_frames": len(columns["index"]),
        "total_tasks": tasks,
        "chunks_size": _FILES_A_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": splits,
        "data_path": _DATA,
        "video_path": _VIDEO,
        "features": {_CAMERA: camera, **features},
    }


def _card(episodes: Sequence[Episode], fps: int) -> str:
    frames = dict.fromkeys(dict.fromkeys(episode.split for episode in episodes), 0)
    for episode in episodes:
        frames[episode.split] += len(episode.rows)
    lines = [
        "---", "pretty_name: Laps driven in Assetto Corsa", "task_categories: [robotics]",
        "tags: [LeRobot, imitation-learning, autonomous-driving, assetto-corsa]",
        "configs: [{config_name: default, data_files: data/*/*.parquet}]", "---", "",
        "# Laps driven in Assetto Corsa", "",
        f"A LeRobotDataset v3.0 of {len(episodes)} episodes at {fps} frames a second, made by acpilot. An episode is "
        "a run of a lap without a gap; train, validation and test are ranges of episodes (`meta/info.json`).", "",
        "| split | frames |", "|---|---|", *(f"| {split} | {count} |" for split, count in frames.items()), "",
        "| feature | meaning |", "|---|---|",
        f"| `{_CAMERA}` | the picture |",
        "| `observation.state` | speed in km/h; gear: −1 reverse, 0 neutral, 1 first, … |",
        "| `action` | steering −1 full left … +1 full right; throttle and brake 0 … 1 |",
        "| `session_timestamp` | seconds since the session's start: the instant the picture was on the screen |",
        "| `session_frame` | number of the frame in the video of its session, which `meta/episodes` names |",
        "| `normalized_position` | 0 … 1 along the track |",
        "| `weight` | rare steering counts more; mean 1 over the dataset |", "",
        "```python", "from lerobot.datasets.lerobot_dataset import LeRobotDataset", "",
        'dataset = LeRobotDataset("local/laps", root="this folder")',
        f'picture, action = dataset[0]["{_CAMERA}"], dataset[0]["action"]', "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
