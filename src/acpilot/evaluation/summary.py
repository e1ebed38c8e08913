"""An evaluation in lines for people."""

from collections.abc import Iterable, Iterator
from statistics import median

from acpilot.evaluation.evaluate import RECORD_NAME, Evaluation, TrackResult

_SHOWN = 10  # interventions of a track


def summary(evaluation: Evaluation) -> Iterator[str]:
    """The evaluation in lines for people: its interventions, then a table of the tracks with median and worst."""
    for result in evaluation.results:
        for each in result.interventions[:_SHOWN]:
            yield (
                f"{result.track:12} {each['reason']} in lap {each['lap']} at {each['metres']:.0f} m, "
                f"{each['time_s']:.1f} s, {each['speed_kmh']:.0f} km/h: {evaluation.folder / each['picture']}"
            )
        if more := len(result.interventions[_SHOWN:]):
            yield f"{result.track:12} and {more} more interventions: {evaluation.folder / RECORD_NAME}"
    rows = [_figures(result) for result in evaluation.results]
    yield _table_line("track", _COLUMNS)
    for result, row in zip(evaluation.results, rows, strict=True):
        yield _table_line(result.track, [_written(value, name) for value, name in zip(row, _COLUMNS, strict=True)])
    if len(rows) > 1:
        for title, choose in (("median", median), ("worst", None)):
            cells = []
            for name, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True):
                known = [value for value in column if value is not None]
                worst = min if name in _MORE_IS_BETTER else max
                cells.append(_written((choose or worst)(known) if known else None, name))
            yield _table_line(title, cells)
    for note in evaluation.notes:
        yield f"note  {note}"


_COLUMNS = {
    "autonomy": "{:.1f} %",
    "interventions": "{:g}",
    "laps": "{:g}",
    "time": "{:.1f} s",
    "to the expert's": "{:+.1%}",
    "off the line": "{:.2f} m",
    "at most": "{:.2f} m",
    "off track": "{:.1%}",
    "steering": "{:.3f}/s",
    "the expert's": "{:.3f}/s",
}
_MORE_IS_BETTER = ("autonomy", "laps")


def _figures(result: TrackResult) -> tuple[float | None, ...]:
    return (
        result.autonomy,
        len(result.interventions),
        result.laps,
        result.elapsed_s,
        None if result.lap_time_ratio is None else result.lap_time_ratio - 1,
        result.mean_distance_m,
        result.largest_distance_m,
        result.off_track_share,
        result.steering_change,
        result.expert_steering_change,
    )


def _written(value: float | None, column: str) -> str:
    return "-" if value is None else _COLUMNS[column].format(value)


def _table_line(first: str, cells: Iterable[str]) -> str:
    widths = [max(9, len(name) + 2) for name in _COLUMNS]
    return f"{first:13}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
