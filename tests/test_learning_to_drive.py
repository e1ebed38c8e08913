"""The walk of docs/learning.md in small: from the expert's laps to a policy that drives where no recording was made."""

import json
from pathlib import Path

from conftest import acpilot
from driving import CAMERA, PLACE
from practice_session import make_session

RECORDED = ("random:1", "random:2", "random:3")
NEVER_SEEN = ("random:4321", "random:8765")
SEEN_AS_RECORDED = ("--size", "320", "180", "--renderer", "software", "--camera", CAMERA)


def test_a_policy_drives_tracks_that_it_has_never_seen(tmp_path: Path) -> None:
    for seed, track in enumerate(RECORDED):
        make_session(
            tmp_path / f"drive_{seed}",
            track=track,
            seconds=40,
            seed=seed,
            pace=0.98,
            disturbance=0.8,
            camera=CAMERA,
            renderer="software",
        )
    sessions = [str(next(place.iterdir())) for place in sorted(tmp_path.glob("drive_*"))]
    tracks = [word for track in NEVER_SEEN for word in ("--track", track)]
    for command in (
        ("convert", *sessions),
        ("combine", *sessions, "--out", "dataset"),
        ("train", "dataset", "--epochs", "10", "--label-shift", "0.05", *PLACE),
        ("evaluate", "best_save", *tracks, "--laps", "1", *SEEN_AS_RECORDED, "--out", "seen"),
    ):
        code, output = acpilot(*command, folder=tmp_path)
        assert code == 0, output
    results = json.loads((tmp_path / "seen" / "evaluation.json").read_text())["tracks"]
    assert [result["laps"] for result in results] == [1, 1]
    assert min(result["autonomy"] for result in results) > 50, "one that stands, or leaves the road at each bend, has 0"
    for result in results:
        assert 1 < result["lap_time_ratio"] < 1.6
