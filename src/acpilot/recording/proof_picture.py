"""A picture of how far the frames of each proof were off."""

from collections.abc import Sequence
from pathlib import Path

from acpilot.commands import install_extra
from acpilot.errors import AcpilotError
from acpilot.recording.proving import Proof

_BINS = 60


def draw_proofs(proofs: Sequence[Proof], path: Path) -> Path:
    """Draw a histogram of the errors of each proof that has any.

    Raises:
        AcpilotError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise AcpilotError(f"no picture of the errors without matplotlib: {install_extra('report')}") from None
    drawn = [proof for proof in proofs if proof.errors_ms]
    if not drawn:
        raise AcpilotError("no picture of the errors: there are none")
    figure = Figure(figsize=(8, 2.2 * len(drawn)), layout="constrained")
    for axes, proof in zip(figure.subplots(len(drawn), squeeze=False)[:, 0], drawn, strict=True):
        widest = max(proof.bound_ms, *map(abs, proof.errors_ms)) * 1.1
        axes.hist(proof.errors_ms, bins=_BINS, range=(-widest, widest), color="tab:red")
        axes.axvspan(-proof.bound_ms, proof.bound_ms, color="tab:green", alpha=0.2)
        axes.set(title=f"{proof.recorder}: {proof.verdict}", ylabel="frames")
    axes.set(xlabel="ms that a frame's instant lies outside the time its picture was shown; green: what was promised")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise AcpilotError(f"{path} cannot be written: {error.strerror}") from None
    return path
