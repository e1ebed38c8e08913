"""Borrows the user's OBS: a profile and scene collection of our own while recording, and theirs again afterwards.

What has to be put back is written down before anything is changed, so that the next run can do it after a crash.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from acpilot.desktop.window import Area
from acpilot.errors import AcpilotError
from acpilot.files import read_toml, write_atomically
from acpilot.video.obs_connection import Address, Connection, ObsError, RequestRefusedError
from acpilot.video.settings import VideoSettings

NAME = "acpilot"
"""Our profile, scene collection and scene in the user's OBS."""
_SOURCE = "acpilot game"
_SOURCES = {
    "game": ["game_capture"],
    "window": ["window_capture", "xcomposite_input"],
    "screen": ["xshm_input"],
    # Of the screen's ways on X11 only xshm_input was measured; on Windows hooking the game is the quickest.
    "auto": ["game_capture", "xshm_input", "window_capture", "xcomposite_input"],
}
_TAKEN_UP_ON_SWITCHING = {("Output", "Mode"), ("SimpleOutput", "RecQuality"), ("SimpleOutput", "RecEncoder")}
_WINDOW_PROPERTY = {"game_capture": "window", "window_capture": "window", "xcomposite_input": "capture_window"}


@dataclass
class Loan:
    """What is to be put back in OBS."""

    profile: str
    scene_collection: str
    target: str
    """The video file in the folder of the session that is recorded."""
    video: str = ""
    """The file that OBS writes, once it has begun."""


class LoanBook:
    """The loan on record, in the user's state folder, and the lock that says whether its borrower still lives."""

    def __init__(self) -> None:
        folder = platformdirs.user_state_path("acpilot", appauthor=False)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "obs_loan.json"
        self._lock = filelock.FileLock(folder / "obs_loan.lock", timeout=0)

    def acquire(self) -> None:
        """Become the one that may borrow.

        Raises:
            ObsError: another acpilot is recording through OBS.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise ObsError("another acpilot is recording through OBS: end that recording first") from None

    def release(self) -> None:
        """Let others borrow."""
        self._lock.release()

    def open_loan(self) -> Loan | None:
        """The loan that was not given back, if there is one."""
        try:
            return Loan(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, loan: Loan) -> None:
        """Put a loan on record."""
        write_atomically(self._file, json.dumps(asdict(loan)))

    def close(self) -> None:
        """Strike the loan off: everything is given back."""
        self._file.unlink(missing_ok=True)


def active_outputs(obs: Connection) -> list[str]:
    """What OBS is sending or writing, in words; its video cannot be set up meanwhile."""
    words = {"StreamStatus": "streaming", "RecordStatus": "recording", "VirtualCamStatus": "running the virtual camera",
             "ReplayBufferStatus": "filling the replay buffer"}  # fmt: skip
    active = []
    for request, word in words.items():
        with suppress(RequestRefusedError):  # an output that is not set up
            if obs.request(f"Get{request}")["outputActive"]:
                active.append(word)
    if not active and any(output["outputActive"] for output in obs.request("GetOutputList")["outputs"]):
        active.append("using one of its outputs")
    return active


def current(obs: Connection) -> tuple[str, str]:
    """Names of the current profile and scene collection."""
    profile: str = obs.request("GetProfileList")["currentProfileName"]
    collection: str = obs.request("GetSceneCollectionList")["currentSceneCollectionName"]
    return profile, collection


def give_back(obs: Connection, loan: Loan) -> bool:
    """Switch back to the user's profile and scene collection, where ours are still the current ones.

    Returns:
        Whether there was anything to do.
    """
    profile, collection = current(obs)
    # The collection first: OBS then shows the user's scenes before it changes size and rate.
    if collection == NAME != loan.scene_collection:
        obs.request("SetCurrentSceneCollection", sceneCollectionName=loan.scene_collection)
    if profile == NAME != loan.profile:
        obs.request("SetCurrentProfile", profileName=loan.profile)
    return NAME in (profile, collection)


def borrow(
    obs: Connection, settings: VideoSettings, area: Area | None, folder: str | None, file_name: str
) -> tuple[int, int]:
    """Make our profile and (unless the user's scene is kept) our scene collection the current ones.

    Args:
        obs: a connection.
        settings: how to record.
        area: client area of the game's window on the screen; None keeps the user's scene and canvas.
        folder: where OBS is to write; None keeps the folder of the user's profile.
        file_name: name of the video file, without its ending.

    Returns:
        Frames a second, as numerator and denominator.
    """
    video = obs.request("GetVideoSettings")
    folder = folder or obs.request("GetRecordDirectory")["recordDirectory"]
    user_profile = current(obs)[0]
    audio = _parameters(obs, ("Audio", "SampleRate"), ("Audio", "ChannelSetup"))
    if NAME not in obs.request("GetProfileList")["profiles"]:
        obs.request("CreateProfile", profileName=NAME)  # and switches to it
    else:
        _switch_profile(obs, NAME)
    wanted = {
        # Another audio set-up than the user's would make OBS ask for a restart when it switches back.
        **audio,
        ("Output", "Mode"): "Simple",
        ("Output", "FilenameFormatting"): file_name,
        ("SimpleOutput", "FilePath"): folder,
        ("SimpleOutput", "RecFormat"): "mkv",
        ("SimpleOutput", "RecFormat2"): "mkv",  # its name from OBS 30 on
        ("SimpleOutput", "RecQuality"): settings.obs_quality,
        ("SimpleOutput", "RecEncoder"): settings.obs_encoder,
    }
    before = _parameters(obs, *wanted)
    changed = {name: value for name, value in wanted.items() if before[name] != value}
    for (category, name), value in changed.items():
        obs.request("SetProfileParameter", parameterCategory=category, parameterName=name, parameterValue=value)
    if changed.keys() & _TAKEN_UP_ON_SWITCHING and user_profile != NAME:
        _switch_profile(obs, user_profile)
        _switch_profile(obs, NAME)
    numerator, denominator = _fraction(settings.fps)
    width, height = (area.width, area.height) if area else (video["baseWidth"], video["baseHeight"])
    width, height = width // 2 * 2, height // 2 * 2
    obs.request(
        "SetVideoSettings", baseWidth=width, baseHeight=height, outputWidth=width, outputHeight=height,
        fpsNumerator=numerator, fpsDenominator=denominator,
    )  # fmt: skip
    if area is not None:
        if NAME not in obs.request("GetSceneCollectionList")["sceneCollections"]:
            obs.request("CreateSceneCollection", sceneCollectionName=NAME)  # and switches to it
        elif current(obs)[1] != NAME:
            obs.request("SetCurrentSceneCollection", sceneCollectionName=NAME)
        _make_scene(obs, settings)
        show_area(obs, area)
    return numerator, denominator


def show_area(obs: Connection, area: Area) -> None:
    """Let our scene show this part of the screen over the whole canvas (sources of one window need no cropping)."""
    item = obs.request("GetSceneItemId", sceneName=NAME, sourceName=_SOURCE)["sceneItemId"]
    kind = obs.request("GetInputSettings", inputName=_SOURCE)["inputKind"]
    video = obs.request("GetVideoSettings")
    transform: dict[str, Any] = {
        "positionX": 0.0, "positionY": 0.0, "alignment": 5, "boundsType": "OBS_BOUNDS_STRETCH", "boundsAlignment": 5,
        "boundsWidth": float(video["baseWidth"]), "boundsHeight": float(video["baseHeight"]),
    }  # fmt: skip
    if kind == "xshm_input":
        screen = obs.request("GetSceneItemTransform", sceneName=NAME, sceneItemId=item)["sceneItemTransform"]
        transform |= {
            "cropLeft": max(0, area.left),
            "cropTop": max(0, area.top),
            "cropRight": max(0, int(screen["sourceWidth"]) - area.left - area.width),
            "cropBottom": max(0, int(screen["sourceHeight"]) - area.top - area.height),
        }
    obs.request("SetSceneItemTransform", sceneName=NAME, sceneItemId=item, sceneItemTransform=transform)


def _make_scene(obs: Connection, settings: VideoSettings) -> None:
    """Our scene with one source that captures the game, made anew when it is of another kind than wanted."""
    offered = obs.request("GetInputKindList", unversioned=False)["inputKinds"]
    kinds = [kind for kind in _SOURCES[settings.obs_source] if kind in offered]
    if not kinds:
        raise ObsError(
            f"this OBS offers no source for --obs-source {settings.obs_source} (it has {', '.join(offered)}): "
            "set up a scene that shows the game yourself and use --obs-keep-scene"
        )
    kind = kinds[0]
    scenes = [scene["sceneName"] for scene in obs.request("GetSceneList")["scenes"]]
    if NAME not in scenes:
        obs.request("CreateScene", sceneName=NAME)
    obs.request("SetCurrentProgramScene", sceneName=NAME)
    inputs = {each["inputName"]: each["inputKind"] for each in obs.request("GetInputList")["inputs"]}
    if inputs.get(_SOURCE) not in {kind, None}:
        obs.request("RemoveInput", inputName=_SOURCE)
    if inputs.get(_SOURCE) != kind:
        obs.request("CreateInput", sceneName=NAME, inputName=_SOURCE, inputKind=kind, inputSettings={})
    obs.request("SetInputSettings", inputName=_SOURCE, inputSettings=_source_settings(obs, kind, settings.title))


def _source_settings(obs: Connection, kind: str, title: str) -> dict[str, Any]:
    if kind == "xshm_input":
        return {"show_cursor": False, "screen": 0}
    name = _WINDOW_PROPERTY[kind]
    items = obs.request("GetInputPropertiesListPropertyItems", inputName=_SOURCE, propertyName=name)["propertyItems"]
    wanted = title.casefold()
    windows = [str(item["itemValue"]) for item in items if wanted in str(item["itemName"]).casefold()]
    if not windows:
        raise ObsError(f"OBS sees no window titled {title!r}: is the game running on the machine of this OBS?")
    return {name: windows[0], "capture_mode": "window", "capture_cursor": False, "cursor": False, "show_cursor": False}


def _switch_profile(obs: Connection, name: str) -> None:
    if obs.request("GetProfileList")["currentProfileName"] != name:
        obs.request("SetCurrentProfile", profileName=name)


def _parameters(obs: Connection, *names: tuple[str, str]) -> dict[tuple[str, str], str]:
    values = {}
    for category, name in names:
        answer = obs.request("GetProfileParameter", parameterCategory=category, parameterName=name)
        values[category, name] = answer["parameterValue"] or answer["defaultParameterValue"] or ""
    return values


def _fraction(fps: float) -> tuple[int, int]:
    fraction = Fraction(fps).limit_denominator(1001)
    return fraction.numerator, fraction.denominator


def find_password() -> str:
    """The password of obs-websocket: ``ACPILOT_OBS_PASSWORD`` or ``OBS_PASSWORD``, else the user's own file.

    Raises:
        AcpilotError: the file is not readable TOML.
    """
    if password := os.environ.get("ACPILOT_OBS_PASSWORD") or os.environ.get("OBS_PASSWORD"):
        return password
    path = password_file()
    try:
        return str(read_toml(path).get("password", ""))
    except FileNotFoundError:
        return ""
    except AcpilotError as error:
        raise AcpilotError(f'{error}: it should hold one line, password = "..."') from None


def password_file() -> Path:
    """The user's own file for the password: TOML with ``password = "..."``, outside any repository."""
    return platformdirs.user_config_path("acpilot", appauthor=False) / "obs.toml"


def find_address(settings: VideoSettings) -> Address:
    """Where OBS listens, with the password that the user set."""
    return Address(settings.obs_host, settings.obs_port, find_password())
