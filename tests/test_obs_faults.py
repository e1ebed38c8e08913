"""Faults of a recording through OBS, each on a real one: nothing is lost, and OBS is left as it was."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from difflib import unified_diff
from functools import partial
from pathlib import Path

import pytest
import websocket

from acpilot.errors import AcpilotError
from acpilot.session.folder import Session
from acpilot.video.alignment import frame_times
from acpilot.video.obs_connection import OUTPUT_EVENTS, SETUP_EVENTS, Connection
from acpilot.video.obs_scene import UsersScenes, users_scenes
from acpilot.video.obs_setup import borrow, current
from acpilot.video.settings import VideoSettings
from conftest import Game, acpilot, running, wait_for

assert sys.platform != "win32", "obs_studio starts OBS as Linux does"
from obs_studio import ObsStudio, free_port  # noqa: E402

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]


@pytest.fixture
def obs(display: str, tmp_path: Path) -> Iterator[ObsStudio]:  # noqa: ARG001
    studio = ObsStudio(tmp_path / "obs")
    with studio.running():
        yield studio


def flags(obs: ObsStudio, game: Game, *more: str) -> tuple[str, ...]:
    where: tuple[str, ...] = () if "--obs-host" in more else ("--obs-host", "127.0.0.1")
    where += () if "--obs-port" in more else ("--obs-port", str(obs.port))
    return ("record", "--recorder", "obs", "--pages", game.pages, "--title", game.title, "--debug", *where, *more)


def session_in(folder: Path) -> Session:
    found = sorted((folder / "ac_telemetry_data").iterdir())
    return Session.open(found[0])


def seconds_recorded(folder: Path, seconds: float) -> bool:
    with suppress(Exception):
        alignment = session_in(folder).manifest.alignment
        return alignment is not None and len(alignment.errors_ms) >= 10 * seconds
    return False


def frames_to_label(folder: Path) -> int:
    """Of the video that is on the disk by now, how many frames have an instant that is trusted."""
    with suppress(OSError, AcpilotError, IndexError):  # while the session's folder is made
        session = session_in(folder)
        if alignment := session.manifest.alignment:
            return int((alignment.errors(frame_times(session.video_file)) <= 50).sum())
    return 0


def still_convertible(folder: Path, least: int) -> None:
    session = session_in(folder)
    code, output = acpilot("convert", str(session.folder), folder=folder)
    assert code == 0, output
    assert len(list(session.images_folder.glob("*.jpg"))) >= least


def test_what_the_user_had_set_is_as_before(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    obs.studio_mode(preview="Break")
    before = obs.settled_files()
    obs.start()
    game = start_game("--driver", "expert")
    for _ in range(2):
        code, output = acpilot(*flags(obs, game, "--duration", "3"), folder=tmp_path, environment=obs.environment)
        assert code == 0, output
    with Connection(obs.address) as connection:
        assert current(connection) == ("Mine", "Evening")
        assert users_scenes(connection) == UsersScenes("Race", "Break")
        video = connection.request("GetVideoSettings")
        assert (video["baseWidth"], video["fpsNumerator"]) == (1280, 60)
        left = [each["inputName"] for each in connection.request("GetInputList")["inputs"] if "acpilot" in str(each)]
        assert not left
    obs.quit()
    after = obs.user_files()
    had, has = (json.dumps(each, indent=1).splitlines() for each in (before, after))
    assert "\n".join(unified_diff(had, has, n=1)) == ""
    assert not list(obs.videos.iterdir())
    for session in (tmp_path / "ac_telemetry_data").iterdir():
        assert [path.name for path in session.glob("*.mkv")] == ["session_recording.mkv"]
    assert not [path for path in obs.config.glob("basic/scenes/*") if "acpilot" in path.read_text()]


def test_refusals_have_their_remedy_and_leave_nothing(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")

    def refusal(environment: dict[str, str] | None = None, *more: str) -> str:
        code, output = acpilot(
            *flags(obs, game, "--duration", "2", *more), folder=tmp_path,
            environment={**obs.environment, **(environment or {})},
        )  # fmt: skip
        assert code == 1, output
        assert "Traceback" not in output
        assert not (tmp_path / "ac_telemetry_data").exists() or not list((tmp_path / "ac_telemetry_data").iterdir())
        return output.strip().splitlines()[-1]

    assert "does not take the password" in refusal({"OBS_PASSWORD": "wrong-one"})
    assert "asks for a password: set OBS_PASSWORD" in refusal({"OBS_PASSWORD": ""})
    assert "start OBS Studio and tick" in refusal(None, "--obs-port", str(free_port()))
    assert "there is no machine named" in refusal(None, "--obs-host", "no.such.host.invalid")
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            with other.accept()[0] as client:
                client.sendall(b"220 hello\r\n\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert "is not obs-websocket" in refusal(None, "--obs-port", str(other.getsockname()[1]))
    with Connection(obs.address) as connection:
        connection.request("StartRecord")
        assert "OBS is recording: end that first" in refusal()
        assert connection.request("GetRecordStatus")["outputActive"], "the user's recording goes on"
        connection.request("StopRecord")
        # OBS asks at its end whether to stop a recording, and nobody answers.
        wait_for(lambda: not connection.request("GetRecordStatus")["outputActive"], "the user's recording to end")


def test_obs_killed_keeps_telemetry_and_the_partial_video(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(obs, game), folder=tmp_path, environment=obs.environment) as recorder:
        wait_for(lambda: seconds_recorded(tmp_path, 6), "six seconds", step=0.2)
        obs.kill()
        output = recorder.communicate(timeout=90)[0]
    assert recorder.returncode == 1
    last = output.strip().splitlines()[-1]
    assert "OBS is gone" in last
    assert session_in(tmp_path).manifest.state == "partial"
    still_convertible(tmp_path, 20)
    obs.start()
    code, output = acpilot(*flags(obs, game, "--duration", "2"), folder=tmp_path, environment=obs.environment)
    assert code == 0, output
    assert "it has its scene 'Race' and profile 'Mine' again" in output


def test_what_obs_tells_while_it_is_asked_something_is_heard(obs: ObsStudio) -> None:
    with Connection(obs.address, events=OUTPUT_EVENTS) as connection, Connection(obs.address) as somebody:
        for request, active, told in (("StartRecord", True, "STARTED"), ("StopRecord", False, "STOPPED")):
            somebody.request(request)
            wait_for(lambda: connection.request("GetRecordStatus")["outputActive"] is active, request)  # noqa: B023
            connection.request("GetStats")
            states = []
            while event := connection.next_event(1.0):
                states.append(event[2]["outputState"])
            assert f"OBS_WEBSOCKET_OUTPUT_{told}" in states


@pytest.mark.parametrize(
    ("request_", "message"), [("StopRecord", "OBS stopped recording"), ("PauseRecord", "paused in OBS")]
)
def test_somebody_who_works_obs_by_hand_ends_the_recording(
    request_: str, message: str, obs: ObsStudio, start_game: Start, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(obs, game), folder=tmp_path, environment=obs.environment) as recorder:
        wait_for(lambda: seconds_recorded(tmp_path, 4), "four seconds", step=0.2)
        with Connection(obs.address) as connection:
            connection.request(request_)
        output = recorder.communicate(timeout=60)[0]
    assert recorder.returncode == 1
    assert message in output.strip().splitlines()[-1]
    assert session_in(tmp_path).manifest.state == "partial"
    still_convertible(tmp_path, 30)


def test_we_are_killed_and_the_next_run_puts_everything_right(
    obs: ObsStudio, start_game: Start, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(obs, game), folder=tmp_path, environment=obs.environment) as recorder:
        wait_for(lambda: seconds_recorded(tmp_path, 4), "four seconds", step=0.2)
        recorder.kill()
        recorder.wait()
    with Connection(obs.address) as connection:
        assert connection.request("GetRecordStatus")["outputActive"], "OBS goes on"
    code, output = acpilot(*flags(obs, game, "--duration", "2"), folder=tmp_path, environment=obs.environment)
    assert code == 0, output
    assert "OBS was still recording for an acpilot that was killed" in output
    assert "OBS was left with acpilot's set-up: it has its scene 'Race' and profile 'Mine' again" in output
    recovered = session_in(tmp_path)
    assert recovered.manifest.counts.labelled_frames >= 30
    still_convertible(tmp_path, 30)
    with Connection(obs.address) as connection:
        assert current(connection) == ("Mine", "Evening")
        assert [scene["sceneName"] for scene in connection.request("GetSceneList")["scenes"]] == ["Break", "Race"]


class Proxy:
    """Passes a port on to OBS, and can be cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.connected = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self.connected += 1
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def cut(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


class EarlyAnswers(Proxy):
    """Answers CreateProfile at once, as OBS 31 and later do; OBS gets to hear of it ``DELAY`` seconds later."""

    DELAY = 0.3
    early = 0

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            begun = b""
            while not begun.endswith(b"\r\n\r\n"):  # of HTTP
                begun += _receive(one, 1)
            other.sendall(begun)
            frames = websocket.frame_buffer(partial(_receive, one), skip_utf8_validation=True)
            sending = threading.Lock()

            def send(content: bytes) -> None:
                with sending, suppress(OSError):
                    other.sendall(content)

            while True:
                frame = frames.recv_frame()
                message = json.loads(frame.data) if frame.opcode == websocket.ABNF.OPCODE_TEXT else {}
                details = message.get("d", {})
                if details.get("requestId") == "late" and not frame.mask_value:
                    continue
                if message.get("op") == 6 and details["requestType"] == "CreateProfile":
                    status = {"result": True, "code": 100}
                    answer = {key: details[key] for key in ("requestType", "requestId")} | {"requestStatus": status}
                    told = json.dumps({"op": 7, "d": answer}).encode()
                    one.sendall(websocket.ABNF(1, 0, 0, 0, websocket.ABNF.OPCODE_TEXT, 0, told).format())
                    frame.data = json.dumps({"op": 6, "d": {**details, "requestId": "late"}}).encode()
                    threading.Timer(self.DELAY, send, (frame.format(),)).start()
                    self.early += 1
                    continue
                send(frame.format())


def _receive(connection: socket.socket, count: int) -> bytes:
    data = connection.recv(count)
    if not data:
        raise ConnectionError
    return data


def test_a_profile_that_is_there_later_than_obs_says_is_waited_for(
    obs: ObsStudio, start_game: Start, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    proxy = EarlyAnswers(obs.port)
    more = ("--obs-port", str(proxy.port), "--duration", "2")
    try:
        code, output = acpilot(*flags(obs, game, *more), folder=tmp_path, environment=obs.environment)
    finally:
        proxy.close()
    assert code == 0, output
    assert proxy.early == 1
    obs.quit()
    profile = (obs.config / "basic/profiles/Mine/basic.ini").read_text()
    for mine in ("FilenameFormatting=mine ", f"FilePath={obs.videos}\n", "RecFormat=mp4\n", "RecQuality=Small\n"):
        assert mine in profile


def test_lossless_is_labelled_and_a_video_that_cannot_be_moved_is_said_with_its_remedy(
    obs: ObsStudio, start_game: Start, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    lossless = flags(obs, game, "--obs-quality", "Lossless")  # written as AVI: it has to be renamed
    code, output = acpilot(*lossless, "--duration", "3", folder=tmp_path, environment=obs.environment)
    assert code == 0, output
    assert session_in(tmp_path).manifest.counts.labelled_frames >= 20
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with running(*lossless, folder=elsewhere, environment=obs.environment) as recorder:
        wait_for(lambda: seconds_recorded(elsewhere, 3), "three seconds", step=0.2)
        in_the_way = session_in(elsewhere).video_file
        (in_the_way / "something").mkdir(parents=True)
        recorder.send_signal(signal.SIGINT)
        output = recorder.communicate(timeout=60)[0]
    assert recorder.returncode == 1
    assert "Traceback" not in output
    assert session_in(elsewhere).manifest.state == "partial"
    with Connection(obs.address) as connection:
        assert current(connection) == ("Mine", "Evening")
    shutil.rmtree(in_the_way)
    (remedy,) = re.findall(r'acpilot (attach "[^"]+" "[^"]+")', output.strip().splitlines()[-1])
    code, output = acpilot(*shlex.split(remedy), folder=elsewhere)
    assert code == 0, output
    assert session_in(elsewhere).manifest.counts.labelled_frames >= 20


def test_what_an_older_acpilot_left_is_put_right(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    with Connection(obs.address, events=SETUP_EVENTS) as connection:
        borrow(connection, VideoSettings(), "acpilot", str(tmp_path), "session_recording")
        if int(connection.request("GetVersion")["obsVersion"].split(".")[0]) < 31:  # 32 can end itself then
            connection.request("CreateSceneCollection", sceneCollectionName="acpilot")
    state = obs.home / "state" / "acpilot"
    state.mkdir(parents=True)
    loan = {
        "profile": "Mine",
        "scene_collection": "Evening",
        "target": str(tmp_path / "gone" / "video.mkv"),
        "video": "",
    }
    (state / "obs_loan.json").write_text(json.dumps(loan))
    game = start_game("--driver", "expert")
    code, output = acpilot(*flags(obs, game, "--duration", "2"), folder=tmp_path, environment=obs.environment)
    assert code == 0, output
    assert "profile 'Mine' again" in output
    with Connection(obs.address) as connection:
        assert current(connection) == ("Mine", "Evening")


def test_a_connection_that_breaks_is_made_again(obs: ObsStudio, start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    proxy = Proxy(obs.port)
    more = ("--obs-port", str(proxy.port), "--duration", "9")
    try:
        with running(*flags(obs, game, *more), folder=tmp_path, environment=obs.environment) as recorder:
            wait_for(lambda: seconds_recorded(tmp_path, 3), "three seconds", step=0.2)
            before = proxy.connected
            proxy.cut()
            wait_for(lambda: proxy.connected >= before + 2, "two new connections", 20)
            output = recorder.communicate(timeout=60)[0]
            assert recorder.returncode == 0, output
    finally:
        proxy.close()
    session = session_in(tmp_path)
    assert "1 reconnections" in session.manifest.recorder["pace"]
    assert session.manifest.counts.frames >= 85
    assert session.manifest.counts.labelled_frames >= 60
    still_convertible(tmp_path, 60)


def test_a_full_disk_is_told_and_what_there_is_is_kept(display: str, start_game: Start, tmp_path: Path) -> None:  # noqa: ARG001
    obs = ObsStudio(tmp_path / "obs")
    small = tmp_path / "small"
    small.mkdir()
    # A small file system of its own, in a namespace that OBS and acpilot share.
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = f'mount -t tmpfs -o size=300m none {small} && exec "$@"'
    kept = tmp_path / "ac_telemetry_data"
    with obs.running("unshare", "--mount", *as_root, "sh", "-c", mount, "sh"):
        game = start_game("--driver", "expert")  # comes last, so that its window is not behind that of OBS
        inside = ["nsenter", "--mount", *(["--user", "--preserve-credentials"] if as_root else [])]
        inside += ["--target", str(obs.pid())]
        record = flags(obs, game, "--fps", "30", "--output", str(small / "ac_telemetry_data"))
        command = [sys.executable, "-m", "acpilot", *record]
        recorder = subprocess.Popen(
            [*inside, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **obs.environment, "COLUMNS": "400", "NO_COLOR": "1"},
        )  # fmt: skip
        seen_from_here = Path(f"/proc/{obs.pid()}/root{small}")
        wait_for(
            lambda: frames_to_label(seen_from_here) >= 30, "thirty frames on the disk that can be labelled", step=0.5
        )
        subprocess.run([*inside, "sh", "-c", f"cat /dev/zero > {small}/filler"], check=False, stderr=subprocess.DEVNULL)
        _, errors = recorder.communicate(timeout=120)
        subprocess.run([*inside, "cp", "-r", str(small / "ac_telemetry_data"), str(kept)], check=True)
    assert recorder.returncode == 1, errors
    assert "the disk is full" in errors.strip().splitlines()[-1]
    still_convertible(tmp_path, 10)
