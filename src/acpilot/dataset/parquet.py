"""A dataset → Parquet files, one for each split, as the ``datasets`` library and every data frame read them.

Source of the format: the library's own files, in which an image is a struct of its bytes and its path, and the schema's
metadata ``huggingface`` names each column's feature.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from acpilot.dataset.dataset import COLUMNS, Dataset
from acpilot.dataset.dataset_card import COLUMN_TABLE
from acpilot.dataset.settings import ExportSettings
from acpilot.errors import AcpilotError
from acpilot.progress import Progress

_ROWS = 100
"""To a row group: so many images are held at once, and read to get at one of them."""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_parquet(
    dataset: Dataset, table: Mapping[str, np.ndarray], settings: ExportSettings, folder: Path, progress: Progress
) -> tuple[str, list[str]]:
    """Write the export into a folder; what it holds, and what the user should know of it.

    Raises:
        AcpilotError: an image is missing.
        OSError: the disk is full.
    """
    embed = settings.images == "embed"
    columns = [name for name in COLUMNS if name not in ("image_name", "split")]
    schema = pa.schema(
        [
            ("image", _IMAGE) if embed else ("image_name", pa.string()),
            *((name, pa.array(table[name][:1]).type) for name in columns),
        ]
    )
    if embed:
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": _features(schema)}})})
    splits, counts = np.unique(table["split"], return_counts=True)
    (folder / "data").mkdir()
    done = 0
    for split in splits:
        rows = np.flatnonzero(table["split"] == split)
        with pq.ParquetWriter(
            folder / "data" / f"{split}-00000-of-00001.parquet", schema, use_dictionary=["session"]
        ) as writer:
            for group in np.array_split(rows, -(-len(rows) // _ROWS)):
                names = table["image_name"][group].tolist()
                images = pa.array(_embedded(dataset, names), _IMAGE) if embed else pa.array(names)
                writer.write_table(pa.table([images, *(pa.array(table[name][group]) for name in columns)], schema))
                done += len(group)
                progress(done, len(table["split"]))
    held = dict(zip(splits.tolist(), counts.tolist(), strict=True))
    (folder / "README.md").write_text(_card(held, embed=embed), encoding="utf-8", newline="\n")
    return f"{', '.join(f'{rows} {split}' for split, rows in held.items())} rows", []


def _embedded(dataset: Dataset, names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        path = dataset.image(name)
        try:
            yield {"bytes": path.read_bytes(), "path": name}
        except FileNotFoundError:
            raise AcpilotError(f"{path} is missing: make the dataset anew with acpilot combine") from None


def _features(schema: pa.Schema) -> dict[str, dict[str, str]]:
    kinds = {"double": "float64"}
    return {
        field.name: {"_type": "Image"}
        if field.name == "image"
        else {"dtype": kinds.get(str(field.type), str(field.type)), "_type": "Value"}
        for field in schema
    }


def _card(rows: Mapping[str, int], *, embed: bool) -> str:
    image = "`image` | the picture, as its file" if embed else "`image_name` | path of the picture, from the dataset"
    head, line, *meanings = COLUMN_TABLE.splitlines()
    lines = [
        "---", "pretty_name: Laps driven in Assetto Corsa", "task_categories: [robotics]",
        "tags: [imitation-learning, autonomous-driving, assetto-corsa]",
        "configs:", "- config_name: default", "  data_files:",
        *(f"  - {{split: {split}, path: data/{split}-*.parquet}}" for split in rows), "---", "",
        "# Laps driven in Assetto Corsa", "", "Pictures with the driver's inputs, made by acpilot.", "",
        "| split | rows |", "|---|---|", *(f"| {split} | {count} |" for split, count in rows.items()), "",
        head, line, f"| {image} |",
        *(meaning for meaning in meanings if not meaning.startswith(("| `image_name`", "| `split`"))), "",
        "```python", "from datasets import load_dataset", "",
        'train = load_dataset("parquet", data_files="data/train-*.parquet", split="train")', "```", "",
    ]  # fmt: skip
    return "\n".join(lines)
