"""How a dataset is cut into episodes."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acpilot.dataset.episodes import find_episodes

FRAME = st.tuples(
    st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 40]), st.sampled_from([0] * 15 + [1]), st.floats(-0.01, 0.01)
)


@given(st.dictionaries(st.sampled_from("abc"), st.lists(FRAME, min_size=10, max_size=60), min_size=1))
def test_episodes_are_all_runs_of_a_second_and_no_frame_is_in_two(drives: dict[str, list[Any]]) -> None:
    """Frames with gaps and new laps here and there, and uneven times."""
    columns: dict[str, list[Any]] = {name: [] for name in ("session", "frame", "lap", "timestamp", "split")}
    for name, steps in drives.items():
        steps[:10] = [(1, 0, 0.0)] * 10  # there is an episode at least
        frame = np.cumsum([step for step, _, _ in steps])
        lap = np.cumsum([new for _, new, _ in steps])
        columns["session"] += [name] * len(steps)
        columns["frame"] += frame.tolist()
        columns["lap"] += lap.tolist()
        columns["timestamp"] += (frame / 10 + [shift for _, _, shift in steps]).tolist()
        columns["split"] += [("train", "validation", "test")[number % 3] for number in lap]
    table = {name: np.array(values) for name, values in columns.items()}
    sessions = {name: {"fps": 10.0, "conversion": {"fps": None}} for name in drives}
    episodes, _ = find_episodes(table, sessions, 10)
    places = [(name, frame) for name, frame in zip(table["session"], table["frame"], strict=True)]
    row_of = {place: row for row, place in enumerate(places)}
    for number, episode in enumerate(episodes):
        assert (episode.number, episode.start) == (number, sum(len(each.rows) for each in episodes[:number]))
        first, last = table["frame"][episode.rows[0]], table["frame"][episode.rows[-1]]
        assert table["frame"][episode.rows].tolist() == [*range(first, last + 1)]
        for name in ("session", "lap", "split"):
            assert set(table[name][episode.rows].tolist()) == {getattr(episode, name)}
        for beside in ((episode.session, first - 1), (episode.session, last + 1)):
            assert beside not in row_of or table["lap"][row_of[beside]] != episode.lap, "it might have been longer"
    taken = np.concatenate([episode.rows for episode in episodes])
    assert len(set(taken.tolist())) == len(taken)
    for row in set(range(len(places))) - set(taken.tolist()):  # a frame left out has no second of its lap around it
        name, frame = places[row]
        around = [frame]
        for step in (-1, 1):
            at = frame + step
            while (name, at) in row_of and table["lap"][row_of[name, at]] == table["lap"][row]:
                around.append(at)
                at += step
        assert len(around) < 10
    assert [e.split for e in episodes] == sorted((e.split for e in episodes), key=["train", "validation", "test"].index)
