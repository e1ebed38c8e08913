"""A track from above, with the way that was driven and where the car was put back."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from acpilot.dataset.plots import BLUE, GRAY, ORANGE, RED, STYLE
from acpilot.evaluation.closed_loop import Drive
from acpilot.practice.racing_line import make_racing_line
from acpilot.practice.track import Track

_WIDTH = 12.0  # inches


def draw_track_map(track: Track, driven: Drive, path: Path) -> None:
    """Draw the road, the expert's line, the driven line and the interventions, numbered, as a PNG; north is up."""
    center, trace = track.center[:, :2], driven.trace
    normal = np.column_stack([-np.sin(track.heading), np.cos(track.heading)])
    size = np.ptp(center, axis=0)
    with mpl.rc_context(STYLE):
        figure = Figure((_WIDTH, float(np.clip(_WIDTH * size[1] / size[0], 4, 14))), layout="constrained")
        axes = figure.subplots()
        for side, label in ((1, "edges of the road"), (-1, "")):
            edge = _closed(center + side * track.half_width[:, None] * normal)
            axes.plot(*edge.T, color=GRAY, linewidth=0.8, label=label)
        axes.plot(*_closed(make_racing_line(track).points).T, color=BLUE, linewidth=0.8, label="the expert's line")
        # NaN between two points: no line is drawn from where the car left the road to where it was put back.
        way = np.column_stack([trace.x, trace.y])
        jumps = np.flatnonzero(trace.put_back)
        axes.plot(*np.insert(way, jumps, np.nan, axis=0).T, color=ORANGE, linewidth=1.0, label="driven")
        places = way[np.maximum(jumps - 1, 0)]
        if len(places):
            axes.plot(*places.T, color=RED, linestyle="", marker="x", markersize=7, label="put back")
        for number, place in enumerate(places, 1):
            axes.annotate(str(number), place, (5, 5), textcoords="offset points", color=RED)
        across = center[0] + np.outer([-1, 1], normal[0]) * track.half_width[0]
        axes.plot(*across.T, color="black", linewidth=2, label="start")
        title = f"{track.title}: autonomy {driven.autonomy:.1f} %, laps completed: {len(driven.lap_times)}"
        axes.set(xlabel="metres east", ylabel="metres north", title=title, aspect="equal")
        axes.legend(loc="best")
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


def _closed(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, points[:1]])
