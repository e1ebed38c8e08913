"""A dataset → the format of other tools, in a folder that is there whole or not at all."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from acpilot.dataset.dataset import Dataset
from acpilot.dataset.lerobot import write_lerobot
from acpilot.dataset.parquet import write_parquet
from acpilot.dataset.settings import ExportSettings
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, replace
from acpilot.progress import Progress

_VERSION = 1
"""Counts changes to how exports are made, so that those made before are made anew."""
_STAMP = "acpilot_export.json"
"""In the export's folder: what it was made of. Folders without it are not ours."""


@dataclass(frozen=True)
class Export:
    """What an export made."""

    folder: Path
    held: str
    """What it holds, in words; empty when nothing was done, as the export of the same data was there."""
    notes: list[str]
    """What the user should know."""


def export(dataset: Dataset, settings: ExportSettings, progress: Progress) -> Export:
    """Export a dataset; an older export of acpilot's in the same folder is replaced once the new one is whole.

    Args:
        dataset: of ``acpilot combine``.
        settings: to what, and where.
        progress: told how many of how many pictures are done.

    Raises:
        AcpilotError: the folder is something else, the dataset does not fit the format, or the disk is full.
    """
    source = dataset.folder.resolve()
    out = settings.out.resolve() if settings.out else source.with_name(f"{source.name}_{settings.to}")
    table = dataset.table()
    if not len(table["split"]):
        raise AcpilotError(f"{dataset.folder} holds no rows: add sessions with acpilot combine")
    stamp = _stamp(dataset, settings)
    part, before = (out.with_name(f"{out.name}.{state}.part") for state in ("new", "before"))
    try:
        if before.exists() and not out.exists():  # killed in between
            replace(before, out)
        there = _stamp_of(out)
        if there is None and out.exists():
            raise AcpilotError(
                f"{out} is there and no export of acpilot's: nothing is overwritten, choose another folder with --out"
            )
        for leftover in (part, before):  # of a run that was killed, the last one at the very end
            shutil.rmtree(leftover, ignore_errors=True)
        if there == stamp:
            return Export(out, "", [])
        part.mkdir(parents=True)
        write = write_lerobot if settings.to == "lerobot" else write_parquet
        held, notes = write(dataset, table, settings, part, progress)
        (part / _STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8", newline="\n")
        if there is not None:
            replace(out, before)
        replace(part, out)
        shutil.rmtree(before, ignore_errors=True)
    except (OSError, av.FFmpegError) as error:
        raise cannot_write(out, error, "free some space, or choose another folder with --out") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Export(out, held, notes)


def _stamp(dataset: Dataset, settings: ExportSettings) -> dict[str, Any]:
    """What decides the result: the same stamp means the same export."""
    digest = hashlib.sha256(dataset.record_file.read_bytes() + dataset.table_file.read_bytes())
    choice = {"video": settings.video} if settings.to == "lerobot" else {"images": settings.images}
    return {"version": _VERSION, "to": settings.to, **choice, "dataset_sha256": digest.hexdigest()}


def _stamp_of(folder: Path) -> Any:
    """The stamp of an export; None when the folder is none."""
    try:
        return json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
