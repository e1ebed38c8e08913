"""Moves a session's labels by its lag, and back."""

import json
from dataclasses import asdict

from acpilot import __version__
from acpilot.dataset.convert import convert, read_stamp, settings_as_converted
from acpilot.dataset.lag import Lag
from acpilot.errors import AcpilotError
from acpilot.files import cannot_write, copy_atomically, write_atomically
from acpilot.progress import Progress
from acpilot.session.folder import Session


def realign(session: Session, lag: Lag, progress: Progress) -> bool:
    """Correct the instants of all frames by a lag, and make the labels anew if there are any; whether that was needed.

    The labels that were there before the first correction are kept beside them. A correction that the pictures agree
    with is left as it is.

    Raises:
        AcpilotError: the pictures could not tell, or the disk is full.
    """
    if lag.milliseconds is None:
        raise AcpilotError(f"{session.folder} is left as it is: {lag}")
    needed = not lag.is_met_by(session)
    try:
        if needed:
            if not session.lag_file.exists():
                for now, before in session.labels_before_lag():
                    if now.exists():
                        copy_atomically(now, before)
            record = {"correction_ms": round(lag.milliseconds, 3), **asdict(lag), "acpilot": __version__}
            write_atomically(session.lag_file, json.dumps(record, indent=2) + "\n")
        _label_anew(session, progress)
    except OSError as error:
        raise cannot_write(session.folder, error, "free some space") from None
    return needed


def take_back(session: Session, progress: Progress) -> bool:
    """Take a correction back: labels are again as they were recorded; whether there was one.

    Raises:
        AcpilotError: the disk is full.
    """
    corrected = session.lag_file.exists()
    try:
        session.lag_file.unlink(missing_ok=True)
        _label_anew(session, progress)
        for _, before in session.labels_before_lag():
            before.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(session.folder, error, "free some space") from None
    return corrected


def _label_anew(session: Session, progress: Progress) -> None:
    if read_stamp(session):
        convert(session, settings_as_converted(session), progress)
