"""Figures of a report, each as an SVG in a data URI that is readable on light and on dark paper."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from acpilot.session.labels import Labels

_INK, _FAINT = "#1f2329", "#8b949f"
_PAPER = {_INK: ("--ink", "#e6e9ee"), _FAINT: ("--faint", "#5b6470")}
"""Colours that turn with the reader's light or dark: the SVG's variable, and what it is in the dark."""
BLUE, ORANGE, GREEN, RED, GRAY = "#3b82f6", "#e8790c", "#2da44e", "#e5484d", "#808890"
SPLITS = {"train": BLUE, "validation": ORANGE, "test": GREEN}
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True, "axes.edgecolor": _FAINT, "axes.facecolor": "none", "axes.grid": True,
    "axes.labelcolor": _INK, "axes.spines.right": False, "axes.spines.top": False, "figure.facecolor": "none",
    "font.size": 9.5, "grid.alpha": 0.35, "grid.color": _FAINT, "grid.linewidth": 0.6, "legend.frameon": False,
    "lines.linewidth": 1.1, "svg.hashsalt": "acpilot", "text.color": _INK, "xtick.color": _INK, "ytick.color": _INK,
}  # fmt: skip
"""Settings of Matplotlib for all figures of the house."""
_BINS = 1400
_DPI = 160
_WIDE, _HALF = 11.0, 5.4  # inches


@dataclass(frozen=True)
class Spells:
    """Stretches of the timeline of one kind."""

    name: str
    colour: str
    spans: Sequence[tuple[float, float]]
    """First and last second of each."""


@dataclass(frozen=True)
class Curves:
    """What is plotted over time; all arrays float64 (n,), NaN where nothing is known."""

    time: np.ndarray
    """Seconds, ascending."""
    speed_kmh: np.ndarray
    steering: np.ndarray
    """−1 full left … +1 full right."""
    throttle: np.ndarray
    brake: np.ndarray


def timeline(curves: Curves, spells: Sequence[Spells], borders: Sequence[float] = ()) -> str:
    """Speed, steering and pedals over time.

    Args:
        curves: of any length: thinned out to what can be seen.
        spells: shaded.
        borders: seconds at which one session ends and the next begins.
    """
    with mpl.rc_context(STYLE):
        figure, (speed, steering, pedals) = _figure(_WIDE, 5.6, rows=3)
        _line(speed, curves.time, curves.speed_kmh, BLUE)
        _line(steering, curves.time, curves.steering, ORANGE)
        _line(pedals, curves.time, curves.throttle, GREEN, "throttle")
        _line(pedals, curves.time, -curves.brake, RED, "brake")
        speed.set(ylabel="speed, km/h", ylim=(0, None))
        largest = 1.08 * float(np.nanmax(np.abs(curves.steering), initial=0.02))
        steering.set(ylabel="steering\nleft − … + right", ylim=(-largest, largest))
        pedals.set(ylabel="pedals\nbrake − … + throttle", ylim=(-1.08, 1.08), xlabel="time, minutes:seconds")
        pedals.legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.16))
        length = max(float(curves.time[-1] - curves.time[0]), 1e-3)
        for axes in (speed, steering, pedals):
            axes.set_xlim(curves.time[0], curves.time[-1])
            for spell in spells:
                _shade(axes, spell, length / 600)
            for border in borders:
                axes.axvline(border, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
        _minutes(pedals)
        if spells:
            patches = [Patch(color=spell.colour, alpha=0.35, label=spell.name) for spell in spells]
            speed.legend(handles=patches, loc="lower right", ncols=len(patches), bbox_to_anchor=(1, 0.98))
        return _data_uri(figure)


def steering_histogram(groups: Mapping[str, np.ndarray]) -> str:
    """How often which steering occurs, stacked by group (name → float64 (n,), −1..1)."""
    everything = np.concatenate(list(groups.values()))
    largest = 1.05 * max(0.05, float(np.abs(everything).max()))
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(_HALF, 3.8)
        weights = [np.full(len(values), 100 / len(everything)) for values in groups.values()]
        colours = [SPLITS.get(name, BLUE) for name in groups]
        axes.hist(
            list(groups.values()), list(np.linspace(-largest, largest, 62)), weights=weights, stacked=True,
            color=colours, label=list(groups),
        )  # fmt: skip
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.set(xlabel="steering: left − … + right", ylabel="% of the frames")
        if len(groups) > 1:
            axes.legend()
        return _data_uri(figure)


def speed_steering_map(steering: np.ndarray, speed_kmh: np.ndarray) -> str:
    """Which combinations of steering (−1..1) and speed occur how often; float64 (n,) each."""
    largest = 1.05 * max(0.05, float(np.abs(steering).max()))
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(_HALF, 3.8)
        fastest = 1.05 * max(1.0, float(speed_kmh.max()))
        counts, across, up = np.histogram2d(
            steering, speed_kmh, (np.linspace(-largest, largest, 56), np.linspace(0, fastest, 41))
        )
        shown = np.ma.masked_equal(counts.T, 0)
        image = axes.pcolormesh(
            across, up, shown, cmap=_heat(), norm=LogNorm(1, max(10.0, counts.max())), rasterized=True
        )
        figure.colorbar(image, label="frames", format=FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set(xlabel="steering: left − … + right", ylabel="speed, km/h")
        return _data_uri(figure)


def track_map(paths: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], title: str = "") -> str:
    """The car's way seen from above, coloured by speed, north of the game's map up.

    Args:
        paths: of each session (or part of one) the points float64 (n, 2), x and z in metres, their speed float64 (n,)
            in km/h, and bool (n,): which of them are learnt from; the others are drawn in gray.
        title: shown above.
    """
    points = np.concatenate([way for way, _, _ in paths])
    size = np.maximum(np.ptp(points, axis=0), 20.0)
    height = float(np.clip((_WIDE - 1.5) * size[1] / size[0], 3.6, 6.6))
    fastest = max(1.0, *(float(speed.max()) for _, speed, _ in paths))
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(_WIDE, height)
        lines = None
        for way, speed, learnt in paths:
            parts = np.stack([way[:-1], way[1:]], axis=1)
            # A reset puts the car elsewhere between two frames: no line is drawn over the jump.
            step = np.hypot(*(way[1:] - way[:-1]).T)
            joined = step <= 10 + 5 * np.median(step)
            gray, colour = joined & ~learnt[1:], joined & learnt[1:]
            axes.add_collection(LineCollection(list(parts[gray]), colors=GRAY, linewidths=1.4, rasterized=True))
            lines = LineCollection(list(parts[colour]), cmap=_heat(), linewidths=2.6, rasterized=True)
            lines.set(array=speed[1:][colour], clim=(0, fastest), capstyle="round")
            axes.add_collection(lines)
        start = paths[0][0][0]
        axes.plot(*start, marker="o", markersize=8, markerfacecolor="none", markeredgecolor=_INK, markeredgewidth=1.6)
        axes.annotate("start of the recording", start, (10, 8), textcoords="offset points", color=_INK)
        axes.set(xlabel="x, metres", ylabel="z, metres", title=title, aspect="equal")
        axes.margins(0.04)
        axes.autoscale_view()
        axes.invert_yaxis()  # as the game's own maps: x to the right, z downwards
        if lines is not None:
            figure.colorbar(lines, label="speed, km/h", shrink=0.8)
        return _data_uri(figure)


def alignment_of_frames(labels: Labels, fps: float, limit_ms: float) -> str:
    """When frames were taken: the time between them, and how far counting frames would be off.

    Args:
        labels: of all frames, two at least.
        fps: frames a second that were asked for.
        limit_ms: by how much a frame may be off to be labelled.
    """
    time, trusted, bound_ms = labels.timestamp, labels.trusted, labels.bound_ms
    between = np.diff(time) * 1000
    counted = (time - time[0] - labels.frame / fps) * 1000
    with mpl.rc_context(STYLE):
        figure, (upper, lower) = _figure(_WIDE, 4.6, rows=2)
        _dots(upper, time[1:], between, trusted[1:])
        upper.axhline(1000 / fps, color=_FAINT, linewidth=1)
        upper.set(ylabel="ms since the\nframe before", ylim=(0, 1.15 * max(2000 / fps, float(between.max(initial=0)))))
        centre = lower.axhspan(-limit_ms, limit_ms, color=GRAY, alpha=0.18, linewidth=0, label="what labels may be off")
        inner = lower.axhspan(-bound_ms, bound_ms, color=GREEN, alpha=0.5, linewidth=0, label="what labels can be off")
        _dots(lower, time, counted, trusted)
        lower.set(ylabel="ms off, had frames\nonly been counted", xlabel="time, minutes:seconds")
        lower.legend(handles=[centre, inner], loc="lower right", ncols=2, bbox_to_anchor=(1, 0.98))
        upper.set_xlim(time[0], time[-1])
        _minutes(lower)
        return _data_uri(figure)


def alignment_of_sessions(names: Sequence[str], bounds_ms: Sequence[float | None], limits_ms: Sequence[float]) -> str:
    """How far the labels of each session can be off, and how far they may be; None: nothing proves it."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(_WIDE, 1.1 + 0.3 * len(names))
        rows = np.arange(len(names))
        axes.barh(rows, limits_ms, color=GRAY, alpha=0.25, label="what labels may be off: half the time between frames")
        axes.barh(rows, [bound or 0 for bound in bounds_ms], 0.45, color=GREEN, label="what labels can be off")
        for row, bound in enumerate(bounds_ms):
            axes.annotate(
                "unknown" if bound is None else f"{bound:.1f}", (bound or 0, row), (4, 0), textcoords="offset points",
                va="center", color=RED if bound is None else _INK,
            )  # fmt: skip
        axes.set(xlabel="milliseconds", yticks=rows, yticklabels=names)
        axes.invert_yaxis()
        axes.legend(loc="lower right", ncols=2, bbox_to_anchor=(1, 1.0))
        return _data_uri(figure)


def _figure(width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure((width, height), layout="constrained")
    return figure, list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])


def _line(axes: Axes, time: np.ndarray, values: np.ndarray, colour: str, label: str = "") -> None:
    axes.plot(*thinned(time, values, _BINS), color=colour, label=label)


def thinned(time: np.ndarray, values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """A curve, float64 (n,) each, as at most two points a bin: its lowest and its highest, so that no peak is lost."""
    if len(time) <= 2 * bins:
        return time, values
    firsts = np.linspace(0, len(time), bins, endpoint=False).astype(np.int64)
    low, high = np.fmin.reduceat(values, firsts), np.fmax.reduceat(values, firsts)
    return np.repeat(time[firsts], 2), np.stack([low, high], axis=1).ravel()


def _shade(axes: Axes, spell: Spells, at_least: float) -> None:
    bars = [(first, max(last - first, at_least)) for first, last in spell.spans]
    axes.broken_barh(
        bars, (0, 1), transform=axes.get_xaxis_transform(), facecolor=spell.colour, alpha=0.35, linewidth=0, zorder=0.5
    )


def _dots(axes: Axes, time: np.ndarray, values: np.ndarray, trusted: np.ndarray) -> None:
    for wanted, colour, size in ((trusted, BLUE, 2.2), (~trusted, ORANGE, 4.0)):
        if wanted.any():
            axes.plot(
                time[wanted], values[wanted], linestyle="", marker="o", markersize=size, color=colour,
                markeredgewidth=0, rasterized=True,
            )  # fmt: skip


def _minutes(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: f"{int(second) // 60}:{second % 60:02.0f}"))


def _heat() -> Colormap:
    # The ends of the map are left out: one vanishes on dark paper, the other on light.
    return LinearSegmentedColormap.from_list("heat", mpl.colormaps["plasma"](np.linspace(0.12, 0.86, 64)))


def _data_uri(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", dpi=_DPI, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    light = "".join(f"{name}:{colour};" for colour, (name, _) in _PAPER.items())
    dark = "".join(f"{name}:{colour};" for name, colour in _PAPER.values())
    for colour, (name, _) in _PAPER.items():
        svg = svg.replace(colour, f"var({name})")
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}</style>"
    svg = svg[svg.index("<svg") :].replace("<defs>", f"{style}<defs>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
