"""acpilot evaluate: policies at the wheel of the practice game, and what is said of them."""

import csv
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from acpilot.evaluation.closed_loop import Observer, drive
from acpilot.evaluation.collect import collect
from acpilot.evaluation.drivers import PolicyDriver, expert_controls
from acpilot.policy.policy import Command
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import make_track
from acpilot.practice.world import World
from conftest import acpilot, running, wait_for
from test_convert import one_line

SMALL = ("--size", "128", "72", "--renderer", "software", "--track", "oval", "--laps", "1")
DARK = np.zeros((72, 128, 3), np.uint8)
POLICIES = '''
from pathlib import Path
from acpilot.policy.policy import Command

class Always:
    """The same command always; notes what it is shown."""

    needs_speed = True

    def __init__(self, name, *command, rate=10.0):
        self.name, self.rate, self.command = name, rate, Command(*command)
        self.notes = Path(name + ".txt")
        self.notes.write_text("")

    def note(self, *words):
        with self.notes.open("a") as file:
            print(*words, file=file)

    def band(self, width, height):
        return width // 4, height // 2, width // 2, height // 4

    def drive(self, band, speed_kmh):
        self.note(*band.shape, band.dtype, repr(speed_kmh))
        return self.command

    def reset(self):
        self.note("reset")

def left(): return Always("left", -0.3, 0.4, 0.0)
def standing(): return Always("standing", 0.0, 0.0, 1.0, rate=2.0)
def unsure(): return Always("unsure", float("nan"), 0.0, 0.0)
def hasty(): return Always("hasty", 0.0, 0.0, 0.0, rate=1000.0)
def nothing(): return None
'''


class AlwaysLeft:
    name, rate, needs_speed = "always left", 10.0, False

    def __init__(self, throttle: float = 0.4, brake: float = 0.0) -> None:
        self.speeds: list[float] = []
        self._pedals = throttle, brake

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        return 0, 0, width, height

    def drive(self, _: np.ndarray, speed_kmh: float) -> Command:
        self.speeds.append(speed_kmh)
        return Command(-0.3, *self._pedals)

    def reset(self) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "policies.py").write_text(POLICIES, encoding="utf-8")
    (folder / "text.onnx").write_text("no network", encoding="utf-8")
    return folder


def evaluate(folder: Path, *flags: str) -> str:
    code, output = acpilot("evaluate", *flags, folder=folder)
    assert code == 0, output
    return output


def figures(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return found


def shown(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def left(folder: Path) -> Path:
    """The evaluation of a policy that steers left all the time."""
    output = evaluate(folder, "policies:left", *SMALL, "--video")
    assert "left the road in lap 1 at" in output
    assert "look at   " in output
    return folder / "evaluation" / "left_1"


def test_the_expert_is_its_own_measure_on_every_track(folder: Path) -> None:
    output = evaluate(folder, "expert", "--track", "oval", "--track", "random:4", "--laps", "1", "--out", "expert")
    lines = {line.split()[0]: line for line in output.splitlines()}
    for name in ("oval", "random:4", "median", "worst"):
        assert "100.0 %" in lines[name]
        assert "+0.0%" in lines[name]
    oval, other = figures(folder / "expert")["tracks"]
    assert (oval["track"], other["track"]) == ("oval", "random:4")
    for result in (oval, other):
        assert result["interventions"] == []
        assert result["lap_times_s"] == result["expert_lap_times_s"]
        assert len(result["lap_times_s"]) == 1
        assert result["mean_distance_m"] < 0.3
        assert result["off_track_share"] == 0
    with Image.open(folder / "expert" / "random_4" / "track_map.png") as picture:
        assert picture.width > 1000


def test_tracks_that_are_driven_at_once_have_the_figures_of_each_alone(left: Path, tmp_path: Path) -> None:
    (tmp_path / "policies.py").write_text(POLICIES, encoding="utf-8")
    evaluate(tmp_path, "policies:left", *SMALL, "--track", "random:4", "--out", "together")
    first, second = figures(tmp_path / "together")["tracks"]
    assert first == figures(left)["tracks"][0]
    assert second["track"] == "random:4"
    assert (tmp_path / "together" / second["interventions"][0]["picture"]).exists()


def test_each_time_the_car_leaves_the_road_is_told_with_place_and_picture(left: Path) -> None:
    (result,) = figures(left)["tracks"]
    moments = result["interventions"]
    assert len(moments) > 10
    assert [moment["time_s"] for moment in moments] == sorted(moment["time_s"] for moment in moments)
    assert {moment["reason"] for moment in moments} == {"left the road"}
    assert all(0 <= moment["metres"] <= result["length_m"] for moment in moments)
    pictures = [left / moment["picture"] for moment in moments]
    assert len(set(pictures)) == len(pictures)
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (128, 72)
    assert result["autonomy"] == pytest.approx(max(0, 100 * (1 - 6 * len(moments) / result["elapsed_s"])), abs=1e-3)
    assert result["laps"] == 1, "it is put back and goes on"
    assert result["largest_distance_m"] > 3


def test_the_policy_sees_its_band_and_is_told_when_it_is_put_back(left: Path) -> None:
    notes = shown(left.parents[1], "left")
    assert notes.count("reset") == 1 + len(figures(left)["tracks"][0]["interventions"])
    assert {note.rsplit(" ", 1)[0] for note in notes if note != "reset"} == {"18 64 3 uint8"}
    speeds = [float(note.split()[-1]) for note in notes if note != "reset"]
    assert speeds[0] == 0
    assert max(speeds) > 40


def test_the_video_shows_the_whole_drive(left: Path) -> None:
    with av.open(str(left / "oval" / "drive.mkv")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[-1] == pytest.approx(figures(left)["tracks"][0]["elapsed_s"], abs=0.1)
    assert np.diff(times).max() < 0.11, "a picture of each decision"


def test_a_killed_run_leaves_nothing_and_the_next_has_the_same_figures(left: Path, folder: Path) -> None:
    flags = ("policies:left", *SMALL, "--out", "again")
    with running("evaluate", *flags, folder=folder) as process:
        wait_for((folder / "again.part" / "oval" / "intervention_01.png").exists, "the first intervention", 60)
        process.kill()
        process.wait()
    assert not (folder / "again").exists()
    printed = evaluate(folder, *flags, "--json")
    assert not (folder / "again.part").exists()
    record = (folder / "again" / "evaluation.json").read_text(encoding="utf-8")
    assert record == printed
    assert record == (left / "evaluation.json").read_text(encoding="utf-8")
    assert "again is there already" in one_line(*acpilot("evaluate", *flags, folder=folder))


def test_a_delayed_command_takes_effect_exactly_so_much_later() -> None:
    seen = []
    for delay_ms in (0, 300):  # at 10 decisions a second this is a whole number of physics steps
        policy = AlwaysLeft()
        world = World(make_track("oval"), expert=True)
        drive(PolicyDriver(policy), world, Observer(), laps=1, limit=3.0, look=lambda: DARK, delay_ms=delay_ms)
        seen.append(policy.speeds)
    assert seen[1][:4] == [0, 0, 0, 0]
    assert seen[1][3:] == seen[0][: len(seen[1]) - 3]
    assert seen[0][-1] > 10


def test_of_two_pedals_the_larger_counts_as_when_the_game_is_driven() -> None:
    seen = []
    for pedals in ((0.4, 0.0), (0.4, 0.3), (0.4, 0.5)):
        policy = AlwaysLeft(*pedals)
        drive(
            PolicyDriver(policy),
            World(make_track("oval"), expert=True),
            Observer(),
            laps=1,
            limit=2.0,
            look=lambda: DARK,
        )
        seen.append(policy.speeds)
    assert seen[0] == seen[1]
    assert seen[0][-1] > 5
    assert seen[2][-1] == pytest.approx(0, abs=0.1)


def test_a_policy_that_stands_is_moved_on_until_its_time_is_up(folder: Path) -> None:
    output = evaluate(folder, "policies:standing", *SMALL, "--delay-ms", "200", "--out", "standing")
    (result,) = figures(folder / "standing")["tracks"]
    assert figures(folder / "standing")["settings"]["delay_ms"] == 200
    assert {moment["reason"] for moment in result["interventions"]} == {"stuck"}
    assert result["laps"] == 0
    assert result["lap_time_ratio"] is None
    assert "only 0 of 1 laps were complete" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("expert", "--track", "nowhere"), "no track is named 'nowhere'; there are allround"),
        (("missing.onnx",), "there is no policy at missing.onnx"),
        (("text.onnx",), "text.onnx is damaged or no ONNX file"),
        (("policies.py",), "policies.py is no policy that acpilot knows"),
        (("policies:absent",), "policies:absent cannot be imported"),
        (("no.such.module:policy",), "No module named 'no'"),
        (("policies:nothing",), "policies:nothing made no policy"),
        (("policies:hasty",), "hasty wants 1000 decisions a second"),
        (("policies:unsure", "--track", "oval"), "unsure returned nan, 0, 0 for steering, throttle, brake on oval"),
        (
            ("policies:unsure", "--track", "oval", "--track", "fast"),
            "unsure returned nan, 0, 0 for steering, throttle,",
        ),
    ],
)
def test_what_cannot_be_evaluated(folder: Path, flags: tuple[str, ...], message: str) -> None:
    assert message in one_line(*acpilot("evaluate", *flags, "--out", "refused", folder=folder))
    assert not list(folder.glob("refused*"))


class _Answers(Observer):
    """What the expert would have done at each decision."""

    def __init__(self) -> None:
        self.given: list[tuple[float, float, float]] = []

    def decided(self, world: World, *_: object) -> None:
        answer = expert_controls(world)
        self.given.append((answer.steering, answer.throttle, answer.brake))


def test_what_a_policy_meets_becomes_a_dataset_with_the_experts_answers(tmp_path: Path) -> None:
    driver, answers = PolicyDriver(AlwaysLeft()), _Answers()
    settings = PracticeSettings(track="allround", size=(128, 72), renderer="software")
    session, driven = collect(driver, settings, tmp_path / "round_1", lambda *_: None)
    assert session.manifest.game["labels"] == "expert"
    assert session.manifest.game["driver"] == "always left"
    assert len(driven.interventions) > 10
    code, output = acpilot("check", str(session.folder), folder=tmp_path)
    assert code == 0, output
    assert acpilot("convert", str(session.folder), folder=tmp_path)[0] == 0
    assert acpilot("combine", str(session.folder), "--out", "dataset", folder=tmp_path)[0] == 0

    world = World(make_track("allround"), expert=True)
    world.put_on_line(1.0)
    drive(driver, world, answers, laps=1, limit=1000, look=lambda: DARK)
    with (tmp_path / "dataset" / "complete_dataset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([[float(row[name]) for name in ("steering", "throttle", "brake")] for row in rows])
    assert labels == pytest.approx(np.array(answers.given)[[int(row["frame"]) for row in rows]], abs=2e-6)
    assert len(labels) > 0.95 * len(answers.given), "what led to being put back is kept"
    assert labels[:, 0].mean() > 0.1, "the expert would steer right, against it"
