"""Labels of recordings through a real OBS Studio, against what the practice game's window really showed."""

import csv
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from acpilot.clock import NS, now
from acpilot.progress import Show
from acpilot.recording.proving import Truth
from acpilot.recording.record import Ending, record
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.video.obs_connection import Connection
from clock_truth import Witness, truth_of
from conftest import Game, acpilot, wait_for

assert sys.platform != "win32", "obs_studio starts OBS as Linux does"
from obs_studio import ObsStudio  # noqa: E402

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]
STARTS = 3
"""Of each rate and encoder: twelve in all."""


@pytest.fixture(scope="module")
def obs(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsStudio]:  # noqa: ARG001
    studio = ObsStudio(tmp_path_factory.mktemp("obs"))
    with studio.running():
        yield studio


def record_through(
    obs: ObsStudio, game: Game, folder: Path, monkeypatch: pytest.MonkeyPatch, show: Show = lambda _: None, **more: Any
) -> Ending:
    for name, value in obs.environment.items():
        monkeypatch.setenv(name, value)
    values: dict[str, Any] = {
        "recorder": "obs", "obs_host": "127.0.0.1", "obs_port": obs.port, "pages": game.pages, "title": game.title,
        "output": folder, "duration": 6.0, "wait": 30.0,
    }  # fmt: skip
    return record(RecordSettings(**(values | more)), show)


def record_with_truth(
    obs: ObsStudio, game: Game, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> tuple[Session, Truth]:
    with Witness(game.title) as witness:
        ending = record_through(obs, game, folder, monkeypatch, **more)
    assert ending.fault is None
    return ending.session, truth_of(ending.session, witness)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fps", [10.0, 30.0])
def test_labels_are_right_within_the_stored_bound_at_every_start(
    fps: float, obs: ObsStudio, start_game: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 59 pictures a second: they come and go at all phases of OBS's frames.
    game = start_game("--driver", "expert", "--burn-clock", "--fps", "59")
    offsets, errors, shares = [], [], []
    for encoder in ["x264"] * STARTS + ["x264_lowcpu"] * STARTS:
        session, truth = record_with_truth(obs, game, tmp_path, monkeypatch, fps=fps, obs_encoder=encoder)
        alignment = session.manifest.alignment
        assert alignment is not None
        assert len(truth.instants) >= 6 * fps - 2
        assert truth.labelled.any(), alignment
        shares.append(truth.labelled.mean())
        labelled = np.abs(truth.errors()[truth.labelled[truth.known]])
        offset, doubt = truth.offset_error()
        assert abs(offset) < 500 / fps, "the number of the first frame is wrong"
        assert labelled.max() <= alignment.error_bound_ms
        assert truth.bounds_hold()
        offsets.append(max(0.0, abs(offset) - doubt))
        errors.extend(labelled)
    assert np.median(shares) > 0.5, "a start in which the machine stalls has fewer labels, never wrong ones"
    assert np.percentile(offsets, 95) <= 4
    assert np.percentile(errors, 99) <= 15


@pytest.mark.timeout(300)
def test_on_a_loaded_machine_no_label_is_wrong(
    obs: ObsStudio, start_game: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = start_game("--driver", "expert", "--burn-clock", "--fps", "59")
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
    stall = threading.Timer(2.0, obs.stall, args=(0.4,))

    def show(line: str) -> None:
        if line.startswith("recording") and stall.ident is None:  # setting OBS up takes as long as the load lets it
            stall.start()

    try:
        with Witness(game.title) as witness:
            ending = record_through(obs, game, tmp_path, monkeypatch, show, fps=30.0, duration=8.0)
    finally:
        for each in load:
            each.kill()
            each.wait()
        stall.join()
    session, truth = ending.session, truth_of(ending.session, witness)
    alignment = session.manifest.alignment
    assert alignment is not None
    if ending.fault is not None:  # on the slowest machines no frame is certain enough: that is refused, and said
        assert "can be labelled" in str(ending.fault)
        assert not truth.labelled.any()
        return
    assert alignment.evidence["frames_skipped_by_obs"], "OBS was stopped for 0.4 s"
    assert session.manifest.counts.distrusted_frames >= 10
    # How many are labelled depends on the machine: one that cannot keep up has none at all.
    wrong = np.abs(truth.errors()) > alignment.error_bound_ms
    assert not (wrong & truth.labelled[truth.known]).any()
    with session.inputs_file.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(truth.instants), "a frame that is not labelled keeps its row"
    assert sum(row["Steering"] == "" for row in rows) == len(rows) - session.manifest.counts.labelled_frames


def test_master_script_records_what_the_original_did(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    script = (Path(__file__).parents[1] / "master_script.py").read_text(encoding="utf-8")
    for name, ours in (("OBS_PORT = 4455", f"OBS_PORT = {obs.port}"), ('OBS_PASSWORD = ""', 'OBS_PASSWORD = ""')):
        assert name in script
        script = script.replace(name, ours)
    (tmp_path / "master_script.py").write_text(script, encoding="utf-8")
    flags = ["--duration", "4", "--pages", game.pages, "--title", game.title, "--debug"]
    result = subprocess.run(
        [sys.executable, "master_script.py", *flags], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, **obs.environment, "COLUMNS": "400", "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "ac_telemetry_data").iterdir()
    session = Session.open(folder)
    assert session.manifest.recorder["name"] == "obs"
    with session.inputs_file.open(encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == "Timestamp,Frame,Steering,Throttle,Brake,SpeedKmh"
    assert [line.split(",")[1] for line in lines[1:]] == [str(k) for k in range(session.manifest.counts.frames)]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or obs.password.encode() not in path.read_bytes(), path
    assert obs.password not in result.stdout + result.stderr
    code, output = acpilot("convert", str(folder), folder=tmp_path)
    assert code == 0, output


def test_doctor_names_obs_and_its_remedies(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    flags = ("doctor", "--recorder", "obs", "--pages", game.pages, "--title", game.title, "--obs-port", str(obs.port))
    code, output = acpilot(*flags, folder=tmp_path, environment=obs.environment)
    assert code == 0, output
    assert "password accepted" in output
    assert obs.password not in output
    code, output = acpilot(*flags, folder=tmp_path, environment={**obs.environment, "OBS_PASSWORD": "wrong"})
    assert code == 1
    assert "does not take the password" in output
    output = acpilot(*flags, folder=tmp_path, environment={**obs.environment, "OBS_PASSWORD": ""})[1]
    assert str(obs.home / "user_config" / "acpilot" / "obs.toml") in output, "the file to write it into"


def show_the_screen(obs: ObsStudio) -> None:
    """Let the user's scene show the screen: one without the game has no label."""
    with Connection(obs.address) as connection:
        if any(each["inputName"] == "screen" for each in connection.request("GetInputList")["inputs"]):
            return
        offered = connection.request("GetInputKindList", unversioned=False)["inputKinds"]
        connection.request(
            "CreateInput", sceneName="Race", inputName="screen", inputSettings={"screen": 0},
            inputKind="xshm_input" if "xshm_input" in offered else "xshm_input_v2",
        )  # fmt: skip


def test_obs_elsewhere_leaves_the_video_there_and_attach_completes_it(
    obs: ObsStudio, start_game: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acpilot.video.obs_connection.Address.is_local", property(lambda _: False))
    game = start_game("--driver", "expert")
    show_the_screen(obs)
    ending = record_through(obs, game, tmp_path, monkeypatch, duration=4.0)
    assert ending.fault is not None
    assert "acpilot attach" in str(ending.fault)
    video = Path(ending.session.manifest.recorder["video"])
    assert video.parent == obs.videos
    assert str(video) in str(ending.fault)
    alignment = ending.session.manifest.alignment
    assert alignment is not None
    assert (alignment.evidence["network_ms"] or 0) > 0
    code, output = acpilot("attach", str(ending.session.folder), str(video), folder=tmp_path)
    assert code == 0, output
    assert Session.open(ending.session.folder).manifest.counts.labelled_frames > 20
    code, output = acpilot("attach", str(ending.session.folder), str(video), folder=tmp_path)
    assert code == 1
    assert "has its video already" in output


def test_the_video_of_an_obs_elsewhere_is_taken_from_a_shared_folder_and_the_users_scene_is_kept(
    obs: ObsStudio, start_game: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acpilot.video.obs_connection.Address.is_local", property(lambda _: False))
    game = start_game("--driver", "expert")
    show_the_screen(obs)
    ending = record_through(obs, game, tmp_path, monkeypatch, duration=4.0, obs_recordings=obs.videos)
    assert ending.fault is None
    with av.open(str(ending.session.video_file)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (1280, 720), "the canvas is the user's"
    assert ending.session.manifest.counts.frames >= 38


def test_auto_says_why_it_does_without_obs(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    flags = ("record", "--pages", game.pages, "--title", game.title, "--duration", "2", "--obs-port", "1")
    code, output = acpilot(*flags, folder=tmp_path, environment={"XDG_STATE_HOME": str(tmp_path)})
    assert code == 0, output
    assert "not through OBS: nothing answers at localhost:1: start OBS Studio" in output


def test_the_truth_would_show_a_shift(start_game: Start) -> None:
    game = start_game("--driver", "expert", "--burn-clock", "--fps", "59")
    with Witness(game.title) as witness:
        wait_for(lambda: len(witness.shown()[0]) > 60, "a second of pictures")
    burnt, shown = witness.shown()
    instants = (shown[:-1] + shown[1:]) // 2
    everything = np.ones(len(instants), bool)
    assert now() - shown[-1] < 60 * NS
    truth = Truth(instants, everything, np.zeros(len(instants)), burnt[:-1], shown[:-1], shown[1:])
    assert np.abs(truth.errors()).max() == 0
    assert truth.offset_error(instants + 40_000_000)[0] == pytest.approx(40, abs=8)
