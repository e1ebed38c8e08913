"""A dataset of several sessions: its files and its table. The only code that knows a file name of it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.commands import command
from acpilot.errors import AcpilotError

FORMAT = 1
"""Version of the record that this program writes, and the newest that it reads."""
COLUMNS = (
    "image_name", "steering", "throttle", "brake", "speed", "gear", "session", "frame", "timestamp",
    "normalized_position", "lap", "lateral_acceleration", "wanted_speed", "correction", "split", "weight",
)  # fmt: skip
"""Columns of ``complete_dataset.csv``. Speed in km/h, timestamp in seconds since the session's start, acceleration in
m/s²; the wanted speed, km/h, is the one up to which an expert that gave the labels would not brake, else 0; correction
is 1 where a driver had taken over from a policy, else 0."""
ADDED_SINCE = {"lateral_acceleration": "0", "wanted_speed": "0", "correction": "0"}
"""Columns that tables of earlier versions lack, and what they stand for there."""
_NUMBERS = ("gear", "frame", "lap", "correction")
_KINDS = {"image_name": str, "session": str, "split": str, **dict.fromkeys(_NUMBERS, np.int64)}


def by_another(session: dict[str, Any]) -> bool:
    """Whether a session's labels are the answers of somebody who did not drive it, by its entry in ``dataset.json``."""
    return "labels" in session and session["labels"] != session.get("driver")


class Dataset:
    """A dataset folder, as ``acpilot combine`` makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "dataset.json"
        self.table_file = folder / "complete_dataset.csv"
        self.card_file = folder / "README.md"
        self.images_folder = folder / "images"
        self.report_file = folder / "dataset_report.html"
        self.cache_folder = folder / "cache"
        self.record: dict[str, Any] = {"format": FORMAT, "sessions": {}}
        """``dataset.json``. ``sessions``: name → folder (of the session), car, track, fps, error_bound_ms, …"""

    @classmethod
    def is_one(cls, folder: Path) -> bool:
        """Whether a folder is a dataset, and not a session."""
        return cls(folder).record_file.exists()

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Open a dataset folder.

        Raises:
            AcpilotError: it is none, or its record is damaged or of a newer version.
        """
        dataset = cls(folder)
        try:
            record = json.loads(dataset.record_file.read_text(encoding="utf-8"))
            number = record["format"]
            sessions = record["sessions"]
        except FileNotFoundError:
            raise AcpilotError(
                f"{folder} is not a dataset: make one: acpilot combine SESSIONS {command('--out', folder)}"
            ) from None
        except (OSError, ValueError, TypeError, KeyError):
            raise AcpilotError(
                f"{dataset.record_file} is damaged: make the dataset anew with acpilot combine"
            ) from None
        if not isinstance(number, int) or number > FORMAT or not isinstance(sessions, dict):
            raise AcpilotError(
                f"{dataset.record_file} has format {number}, this acpilot reads up to {FORMAT}: update acpilot"
            )
        dataset.record = record
        return dataset

    def table(self) -> dict[str, np.ndarray]:
        """The rows of ``complete_dataset.csv`` as columns of shape (n,): text, int64 or float64.

        Raises:
            AcpilotError: the file is missing or damaged.
        """
        try:
            with self.table_file.open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            columns = zip(*rows, strict=True) if rows else [()] * len(header)
            table: dict[str, np.ndarray] = {
                name: np.array(column, str).astype(_KINDS.get(name, np.float64))
                for name, column in zip(header, columns, strict=True)
            }
        except FileNotFoundError:
            raise AcpilotError(
                f"{self.table_file} is missing: {command('acpilot', 'combine', '--out', self.folder)} writes it again"
            ) from None
        except (OSError, ValueError) as error:
            raise AcpilotError(f"{self.table_file} is damaged: {error}") from None
        for name, value in ADDED_SINCE.items():
            table.setdefault(name, np.full(len(rows), value).astype(_KINDS.get(name, np.float64)))
        if not set(COLUMNS) <= set(table):
            raise AcpilotError(f"{self.table_file} lacks the columns {', '.join(set(COLUMNS) - set(table))}")
        return table

    def image(self, name: str) -> Path:
        """Path of an image, given its name in the table."""
        return self.folder / name
