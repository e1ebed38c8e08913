"""Why frames have no label, in words, and what would give them one."""

import numpy as np

from acpilot.commands import command
from acpilot.session.folder import Session
from acpilot.session.labels import Labels


def enough_error_ms(labels: Labels) -> float | None:
    """The error, whole ms, that would have to be accepted to label most of what is left out for it; None: none would.

    Nine in ten of those frames whose error is bounded at all.
    """
    left_out = labels.error_ms[labels.distrusted]
    bounded = left_out[np.isfinite(left_out)]
    return float(np.ceil(np.percentile(bounded, 90))) if len(bounded) else None


def why_no_label(session: Session, labels: Labels) -> str:
    """Why no frame has a label, when none has: the reason that most frames have, with the remedy."""
    enough = enough_error_ms(labels)
    mend = command("acpilot", "convert", "--max-error-ms", f"{enough:.0f}", session.folder) if enough else ""
    uncertain = f"if {enough:.0f} ms are good enough: {mend}" if enough else "nothing says by how much they may be off"
    reasons = {
        "the game was paused all the time: drive while it records, or take them with --keep-paused": labels.paused,
        "there is no telemetry around them: the game showed a replay or a menu, or its numbers were none; drive while "
        "it records": labels.unknown,
        f"the instants of all of them are less certain than was asked for; {uncertain}": labels.distrusted,
        f"their pictures do not show the game ({flaws_of(session)}): set it to a window or to borderless and keep it "
        "free, or record with another recorder": labels.flawed & labels.known,
        f"all of them are marked: {command('acpilot', 'mark', session.folder)} shows the marks": (
            labels.excluded & labels.known
        ),
    }
    return max(reasons, key=lambda reason: int(reasons[reason].sum()))


def flaws_of(session: Session) -> str:
    """What was wrong with the picture while it was recorded, for people."""
    return ", ".join(dict.fromkeys(flaw for _, _, flaw in session.manifest.flaws))
