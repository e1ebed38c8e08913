"""Figures of a training, as PNG files."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from acpilot.dataset.plots import BLUE, GRAY, GREEN, ORANGE, RED, SPLITS, STYLE
from acpilot.files import write_atomically

_COLOURS = {"steering": ORANGE, "throttle": GREEN, "brake": RED}
_STRETCH = 600
"""Pictures whose steering is drawn along the time."""


def draw_losses(epochs: Sequence[Mapping[str, float]], best: int, path: Path) -> None:
    """Draw the losses of all epochs, and the errors on what was held out.

    Args:
        epochs: as ``training.json`` holds them.
        best: number of the epoch whose weights were kept, from 1.
        path: the PNG.
    """
    shown = {name: f"{name}_error" for name in _COLOURS if f"{name}_error" in epochs[0]}
    numbers = range(1, len(epochs) + 1)
    with mpl.rc_context(STYLE):
        figure = Figure((11 if shown else 6, 3.8), layout="constrained", facecolor="white")
        losses, *others = figure.subplots(1, 2 if shown else 1, squeeze=False)[0]
        for name, split in (("training", "train"), ("validation", "validation")):
            if name in epochs[0]:
                losses.plot(numbers, [epoch[name] for epoch in epochs], color=SPLITS[split], label=name)
        losses.set(
            xlabel="epoch", ylabel="loss", yscale="log", title="the lower the better; training is on changed pictures"
        )
        for errors in others:
            for name, key in shown.items():
                errors.plot(numbers, [epoch[key] for epoch in epochs], color=_COLOURS[name], label=name)
            errors.set(xlabel="epoch", ylabel="mean error where held out", yscale="log")
        for axes in (losses, *others):
            axes.legend()
            axes.axvline(best, color=GRAY, linestyle=":", linewidth=1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _save(figure, path)


def draw_predictions(names: Sequence[str], labels: np.ndarray, outputs: np.ndarray, split: str, path: Path) -> None:
    """Draw what the policy would do against what the driver did.

    Args:
        names: of the outputs.
        labels: float32 (n, outputs), in the order of time.
        outputs: of the policy, like ``labels``.
        split: which pictures they are of, in words.
        path: the PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((11, 6.6), layout="constrained", facecolor="white")
        grid = figure.add_gridspec(2, len(names))
        for column, name in enumerate(names):
            axes = figure.add_subplot(grid[0, column])
            driver, policy = labels[:, column], outputs[:, column]
            low, high = min(driver.min(), policy.min()) - 0.02, max(driver.max(), policy.max()) + 0.02
            axes.plot([low, high], [low, high], color=GRAY, linewidth=0.8)
            axes.plot(driver, policy, ".", color=_COLOURS[name], markersize=3, alpha=0.35, markeredgewidth=0)
            axes.set(xlabel=f"driver's {name}", ylabel="policy's", xlim=(low, high), ylim=(low, high))
        axes = figure.add_subplot(grid[1, :])
        steering = names.index("steering")
        axes.plot(labels[:_STRETCH, steering], color=BLUE, label="driver")
        axes.plot(outputs[:_STRETCH, steering], color=ORANGE, label="policy")
        axes.set(xlabel=f"pictures of {split}, in the order of time", ylabel="steering\nleft − … + right")
        axes.legend(ncols=2)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=110, metadata={"Software": None})
    write_atomically(path, raw.getvalue())
