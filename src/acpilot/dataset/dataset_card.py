"""The card of a dataset: what is in it, where it comes from, how to read it. For people, and for dataset hubs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from acpilot.dataset.dataset import by_another
from acpilot.dataset.finding import counted

COLUMN_TABLE = """\
| column | meaning |
|---|---|
| `image_name` | path of the image, from this folder |
| `steering` | −1 full left … +1 full right |
| `throttle`, `brake` | 0 … 1 |
| `speed` | km/h |
| `gear` | −1 reverse, 0 neutral, 1 first, … |
| `session`, `frame` | where the row comes from: the session, and the number of the frame in its video |
| `timestamp` | seconds since the session's start: the instant the picture was on the screen |
| `normalized_position` | 0 … 1 along the track |
| `lap` | completed laps |
| `lateral_acceleration` | m/s², along the car's x axis; 0 where the session does not tell |
| `wanted_speed` | km/h up to which the practice game's expert would not have braked there; 0 where it did not answer |
| `correction` | 1 where a driver had taken over from a policy, else 0 |
| `split` | train, validation or test; never within a group (see below) |
| `weight` | 1 / √(number of rows with like steering), mean 1: rare steering counts more; corrections times a factor |
"""
"""What the columns of ``complete_dataset.csv`` mean, as Markdown."""


def dataset_card(record: dict[str, Any], table: Sequence[dict[str, str]]) -> str:
    """The card as Markdown, with a head of YAML.

    Args:
        record: ``dataset.json``.
        table: rows of ``complete_dataset.csv``.
    """
    splits, rows = Counter(row["split"] for row in table), Counter(row["session"] for row in table)
    laps = {(row["session"], row["lap"]) for row in table}
    settings = record["settings"]
    lines = [
        "---", "pretty_name: Laps driven in Assetto Corsa", "task_categories: [robotics]",
        "tags: [imitation-learning, autonomous-driving, assetto-corsa]", "---", "",
        "# Laps driven in Assetto Corsa", "",
        f"{counted(len(table), 'image')} with the driver's inputs, from {counted(len(rows), 'session')} and "
        f"{counted(len(laps), 'lap')}. Made by "
        "acpilot; the table is `complete_dataset.csv`, the provenance of each session is in `dataset.json`.", "",
        "## Sessions", "", "| session | car | track | rows | frames a second | labels are right to |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, entry in record["sessions"].items():
        track = " ".join(part for part in (entry["track"], entry["track_configuration"]) if part)
        bound = entry["error_bound_ms"]
        right = "unproven (frame numbers)" if bound is None else f"±{bound:.1f} ms ({entry['alignment']})"
        lines.append(f"| {name} | {entry['car'] or '?'} | {track or '?'} | {rows[name]} | {entry['fps']:g} | {right} |")
    shown = [name for name, entry in record["sessions"].items() if "labels" in entry and not by_another(entry)]
    met = [name for name, entry in record["sessions"].items() if by_another(entry)]
    if shown:
        lines += ["", f"The practice game's expert drove {', '.join(shown)}. They are all in train."]
    if met:
        lines += [
            "",
            f"A policy drove {', '.join(met)}: the images show what it met, the labels are what the practice game's "
            "expert would have done there. They are all in train.",
        ]
    corrected = {name: entry["frames"] for name, entry in record["sessions"].items() if "left_out" in entry}
    if corrected:
        told = ", ".join(f"{name} ({frames} rows)" for name, frames in corrected.items())
        lines += [
            "",
            f"A driver corrected a policy in {told}: only those moments are here. They are all in train, and weigh "
            f"{settings['corrections_weight']:g} times as much as other rows.",
        ]
    lines += [
        "",
        "## Splits",
        "",
        f"By {settings['split_by']}: a {settings['split_by']} is in one split as a whole.",
        "",
    ]
    lines += ["| split | rows |", "|---|---|", *(f"| {split} | {count} |" for split, count in sorted(splits.items()))]
    lines += ["", "## Columns", "", COLUMN_TABLE]
    lines += ["## Reading it", "", "```python", "import csv", "from PIL import Image", ""]
    lines += ['for row in csv.DictReader(open("complete_dataset.csv", encoding="utf-8")):']
    lines += ['    picture, steering = Image.open(row["image_name"]), float(row["steering"])', "```", ""]
    return "\n".join(lines)
