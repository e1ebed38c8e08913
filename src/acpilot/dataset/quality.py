"""What of a session or dataset is fit to be learnt from."""

from dataclasses import dataclass, field
from typing import Any, Literal

from acpilot.dataset.dataset import Dataset
from acpilot.progress import Progress
from acpilot.session import Session

Verdict = Literal["ok", "note", "warning", "unfit"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def check_session(session: Session, progress: Progress) -> list[Finding]:
    """Look at a session."""
    progress(1, 1)
    alignment = session.manifest.alignment
    if alignment is None:
        return [Finding("alignment", "warning", "nothing proves which frame belongs to which inputs")]
    return [Finding("alignment", "ok", f"no frame is off by more than {alignment.error_bound_ms:.1f} ms")]


def check_dataset(dataset: Dataset, progress: Progress) -> list[Finding]:
    """Look at a dataset."""
    progress(1, 1)
    return [Finding("sessions", "ok", f"{len(dataset.record['sessions'])} sessions")]
