"""A real OBS Studio for the tests: Debian's package, without a screen of its own, with a home of its own.

It is this machine's, or that of another version in a root folder of its own, which ``ACPILOT_OBS_ROOT`` names
(``make test-obs`` makes such folders). Its preview is off: drawn without a graphics card it took half a core, and OBS
skipped a fifth of its frames.
"""

import configparser
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acpilot.video import obs_setup
from acpilot.video.obs_connection import OUTPUT_EVENTS, SETUP_EVENTS, Address, Connection, ObsError
from acpilot.video.settings import VideoSettings

assert sys.platform != "win32", "this starts OBS as Linux does"

PASSWORD = "not-a-secret-6bd1"
ROOT = os.environ.get("ACPILOT_OBS_ROOT", "")
"""Root folder of the OBS that is started; empty: this machine's."""
# What a root folder shares with this machine: processes, devices, and the folder that all homes and displays are in.
# The mounts are in a namespace of OBS's own, and end with it.
_ENTER = """for folder in /proc /dev {shared}; do mount --rbind "$folder" "{root}$folder" || exit; done
exec chroot "{root}" "$@"
"""
_GLOBAL = """[General]
FirstRun=true
LastVersion=486539266
[Basic]
Profile=Mine
ProfileDir=Mine
SceneCollection=Evening
SceneCollectionFile=Evening
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AlertsEnabled=false
AuthRequired=true
ServerPassword={password}
[BasicWindow]
PreviewEnabled=false
"""
_PROFILE = """[General]
Name=Mine
[Video]
BaseCX=1280
BaseCY=720
OutputCX=1280
OutputCY=720
FPSType=0
FPSCommon=60
[Output]
Mode=Simple
FilenameFormatting=mine %CCYY-%MM-%DD %hh-%mm-%ss
[SimpleOutput]
FilePath={videos}
RecFormat=mp4
RecQuality=Small
RecEncoder=x264
[Audio]
SampleRate=44100
ChannelSetup=Mono
"""
_SCENES = """{"current_scene": "Race", "current_program_scene": "Race", "name": "Evening",
"current_transition": "Fade", "transition_duration": 3000,
"scene_order": [{"name": "Race"}, {"name": "Break"}],
"sources": [{"id": "scene", "name": "Race", "settings": {"items": []}},
{"id": "scene", "name": "Break", "settings": {"items": []}}]}
"""


_USERS_ITEMS = (("Race", "OBS_BOUNDS_NONE"), ("Break", "OBS_BOUNDS_SCALE_INNER"), ("Race", "OBS_BOUNDS_STRETCH"))


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _inside() -> list[str]:
    if not ROOT:
        return []
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    enter = _ENTER.format(root=ROOT, shared=tempfile.gettempdir())
    return ["unshare", "--mount", *as_root, "sh", "-c", enter, "sh"]


def _content(path: Path) -> object:
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if path.parent.name == "scenes":
            content["sources"].sort(key=lambda source: str(source["name"]))  # OBS saves them in any order
            content.pop("scaling_level", None)  # of the preview: OBS 32 changes it at each start
        return content
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    # Where OBS's windows stand, and that a new profile needs no wizard.
    volatile = {"geometry", "dockstate", "confignnewprofile", "configonnewprofile"}
    return {
        section: {name: value for name, value in parser[section].items() if name not in volatile}
        for section in parser.sections()
        if section != "Panels"  # OBS's own mark in each profile that was switched to
    }


class ObsStudio:
    """OBS with a user's profile "Mine" (60 FPS, 1280x720, mp4, 44.1 kHz mono) and scene collection "Evening".

    It fades from scene to scene in three seconds.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.port, self.password = home, free_port(), PASSWORD
        self.config = home / ".config" / "obs-studio"
        self.videos = home / "videos"
        for folder in (self.config / "basic/profiles/Mine", self.config / "basic/scenes", self.videos):
            folder.mkdir(parents=True)
        (self.config / "global.ini").write_text(_GLOBAL.format(port=self.port, password=PASSWORD))
        (self.config / "basic/profiles/Mine/basic.ini").write_text(_PROFILE.format(videos=self.videos))
        (self.config / "basic/scenes/Evening.json").write_text(_SCENES)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address("127.0.0.1", self.port, self.password)

    def start(self, *before: str) -> None:
        """Start it and wait until it answers."""
        runtime = self.home / "run"
        runtime.mkdir(exist_ok=True, mode=0o700)
        environment = {
            **os.environ, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb", "QTWEBENGINE_DISABLE_SANDBOX": "1",
        }  # fmt: skip
        command = ["dbus-run-session", "--", "obs", "--multi", "--disable-updater", "--minimize-to-tray"]
        command.append("--disable-shutdown-check")  # from 30 on: after a crash it would ask for a safe mode
        with (self.home / "obs.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*before, *_inside(), *command],
                env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, (self.home / "obs.log").read_text(errors="replace")[-2000:]
            try:
                with Connection(self.address, timeout=2) as connection:
                    connection.request("GetSceneList")
                return
            except ObsError:
                assert time.monotonic() < deadline, "OBS did not start"
                time.sleep(0.2)

    @contextmanager
    def running(self, *before: str) -> Iterator[None]:
        """Start it, and end it."""
        self.start(*before)
        try:
            yield
        finally:
            self.quit()

    @property
    def environment(self) -> dict[str, str]:
        """For an acpilot that uses this OBS: its password, and places of its own for what it remembers."""
        return {
            "OBS_PASSWORD": self.password,
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "user_config"),
        }

    def studio_mode(self, preview: str) -> None:
        """Prepare a scene in the studio mode, in which OBS exchanges the two scenes when it switches."""
        with Connection(self.address) as obs:
            obs.request("SetStudioModeEnabled", studioModeEnabled=True)
            obs.request("SetCurrentPreviewScene", sceneName=preview)

    def stall(self, seconds: float) -> None:
        """Stop it for some time, as a machine that is busy elsewhere does."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def settled_files(self) -> dict[str, object]:
        """Put some sources into the user's scenes; what the user set, once OBS changes nothing more by itself.

        It completes its files when it starts, records and ends, and a profile when it is switched to and from.
        """
        with Connection(self.address, events=OUTPUT_EVENTS | SETUP_EVENTS) as obs:
            for number, (scene, bounds) in enumerate(_USERS_ITEMS):
                item = obs.request(
                    "CreateInput", sceneName=scene, inputName=f"colour {number}", inputKind="color_source_v3",
                    inputSettings={"width": 317, "height": 211},
                )["sceneItemId"]  # fmt: skip
                odd = {
                    "positionX": 123.4 + number, "positionY": 17.7, "scaleX": 0.3337, "scaleY": 1.777, "cropLeft": 3,
                    "rotation": 11.3, "boundsType": bounds, "boundsWidth": 333.3, "boundsHeight": 222.1,
                }  # fmt: skip
                obs.request("SetSceneItemTransform", sceneName=scene, sceneItemId=item, sceneItemTransform=odd)
            settings = VideoSettings(obs_quality="Small")
            obs_setup.borrow(obs, settings, "Of a friend", str(self.videos), "theirs")
            obs_setup.switch_profile(obs, "Mine")
            obs.request("StartRecord")  # from OBS 30.2 on the scenes hold the canvas that was recorded last
            obs_setup.wait_for_record_state(obs, obs_setup.STARTED)
            obs.request("StopRecord")
            obs_setup.has_stopped(obs)
        for video in self.videos.iterdir():
            video.unlink()
        self.quit()
        files = self.user_files()
        for _ in range(5):
            self.start()
            self.quit()
            if files == (files := self.user_files()):
                return files
        raise AssertionError(f"OBS changes its files each time: {files}")

    def user_files(self) -> dict[str, object]:
        """What the user set: each file but OBS's own records and what belongs to acpilot's profile and scenes."""
        found: dict[str, object] = {}
        for path in sorted(self.config.rglob("*")):
            name = str(path.relative_to(self.config))
            records = name.startswith(
                ("logs", "profiler_data", "plugin_config", "plugin_manager", "crashes", ".sentinel")
            )
            # A .bak is what a file was before it was last saved.
            if path.is_file() and not records and "profiles/acpilot" not in name and not name.endswith(".bak"):
                found[name] = _content(path)
        return found

    def pid(self) -> int:
        """Process number of OBS itself."""
        assert self.process is not None
        command = ["pgrep", "-s", str(self.process.pid), "-x", "obs"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])

    def quit(self) -> None:
        """End it as a user does, so that it writes its files; kill it if it does not obey."""
        if self.process is None or self.process.poll() is not None:
            return
        try:
            os.kill(self.pid(), signal.SIGINT)
            self.process.wait(timeout=20)
        except (subprocess.SubprocessError, ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def kill(self) -> None:
        """End it like a crash of OBS: its muxer, a process of its own, may finish."""
        os.kill(self.pid(), signal.SIGKILL)
        assert self.process is not None
        self.process.wait(timeout=20)
