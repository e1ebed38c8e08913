"""A folder, whichever it is → its findings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from acpilot.dataset.dataset import Dataset
from acpilot.dataset.finding import Finding
from acpilot.dataset.quality import check_dataset, check_session, mark_spells
from acpilot.progress import Progress
from acpilot.session.folder import Session


def check_folder(folder: Path, progress: Progress, threads: int | None, *, mark: bool) -> list[Finding]:
    """Check a session or a dataset; the spells of a session are marked first, where asked for.

    Raises:
        AcpilotError: the folder is neither.
    """
    if Dataset.is_one(folder):
        return check_dataset(Dataset.open(folder), progress)
    session = Session.open(folder)
    if mark:
        mark_spells(session)
    return check_session(session, progress, threads)


def to_json(checks: Mapping[Path, Sequence[Finding]]) -> str:
    """Findings as indented JSON: a list of folders, each with ``fit`` and its ``findings``."""
    return json.dumps(
        [
            {
                "folder": str(folder),
                "fit": all(finding.verdict != "unfit" for finding in findings),
                "findings": [asdict(finding) for finding in findings],
            }
            for folder, findings in checks.items()
        ],
        indent=2,
    )
