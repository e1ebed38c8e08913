"""The user's OBS: where it listens, what it is doing, and a profile of our own in it while recording."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import platformdirs

from acpilot.clock import NS, now
from acpilot.desktop.window import Area
from acpilot.errors import AcpilotError
from acpilot.files import read_toml
from acpilot.video.obs_connection import Address, Connection, ObsError, RequestRefusedError
from acpilot.video.settings import VideoSettings

NAME = "acpilot"
"""What the names of our profiles and scenes begin with; until 2026-12 that of our profile and scene collection."""
STARTED = "OBS_WEBSOCKET_OUTPUT_STARTED"
STOPPED = "OBS_WEBSOCKET_OUTPUT_STOPPED"
PAUSED = "OBS_WEBSOCKET_OUTPUT_PAUSED"
START_WITHIN = 5.0
STOP_WITHIN = 120.0
_SWITCH_WITHIN = 15.0
_LONGEST_SIDE = 4096
"""Of a canvas, pixels: obs-websocket refuses more; OBS scales a larger picture to it."""
_TAKEN_UP_ON_SWITCHING = {("Output", "Mode"), ("SimpleOutput", "RecQuality"), ("SimpleOutput", "RecEncoder")}


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


def wait_for_record_state(obs: Connection, state: str, seconds: float = START_WITHIN) -> dict[str, Any] | None:
    """Wait until OBS tells of a state of its recording: what it tells, with "arrival", ns; None when it did not."""
    deadline = now() + round(seconds * NS)
    while (remaining := (deadline - now()) / NS) > 0:
        event = obs.next_event(remaining)
        if event and record_state(event) == state:
            return {**event[2], "arrival": event[0]}
    return None


def record_state(event: tuple[int, str, dict[str, Any]]) -> str | None:
    """The state that an event tells of the recording; None when it tells of something else."""
    return event[2]["outputState"] if event[1] == "RecordStateChanged" else None


def has_stopped(obs: Connection) -> bool:
    """Wait until OBS has finished its file: its answer to StopRecord comes long before; whether it did."""
    deadline = now() + round(STOP_WITHIN * NS)
    while now() < deadline:
        event = obs.next_event(1.0)
        if event and record_state(event) == STOPPED:
            return True
        if event is None and not obs.request("GetRecordStatus")["outputActive"]:
            return True
    return False


def current(obs: Connection) -> tuple[str, str]:
    """Names of the current profile and scene collection."""
    profile: str = obs.request("GetProfileList")["currentProfileName"]
    collection: str = obs.request("GetSceneCollectionList")["currentSceneCollectionName"]
    return profile, collection


def is_ours(profile: str) -> bool:
    """Whether a profile is one that an acpilot made."""
    return profile == NAME or profile.startswith(f"{NAME} ")


def own_profile(obs: Connection) -> str:
    """Name of our profile that goes with the user's (the current one).

    OBS asks for a restart when it switches to a profile with other audio settings. Those of another profile cannot
    be read before; so there is one of ours for each, and its name tells.
    """
    audio = _audio(obs)
    return " ".join([NAME, *audio.values()])


def switch_profile(obs: Connection, name: str) -> None:
    """Make a profile the current one, and wait until OBS has taken it up.

    From OBS 31 on the answer may come before: whoever goes on at once writes into the profile that is left.

    Args:
        obs: a connection that hears ``SETUP_EVENTS``.
        name: of a profile that exists.

    Raises:
        ObsError: OBS does not switch.
    """
    if obs.request("GetProfileList")["currentProfileName"] != name:
        obs.request("SetCurrentProfile", profileName=name)
        _wait_for_profile(obs, name)


def users_canvas(obs: Connection) -> tuple[int, int]:
    """Size of the canvas, pixels."""
    video = obs.request("GetVideoSettings")
    return video["baseWidth"], video["baseHeight"]


def video_size(canvas: tuple[int, int], area: Area | None) -> tuple[int, int]:
    """Size of the video, pixels, in a shape that OBS takes: even, and no side longer than obs-websocket lets it be.

    Args:
        canvas: the user's.
        area: of the screen that is recorded; None keeps the user's canvas.
    """
    width, height = (area.width, area.height) if area else canvas
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    return int(width * scale) // 2 * 2, int(height * scale) // 2 * 2


def borrow(obs: Connection, settings: VideoSettings, profile: str, folder: str | None, file_name: str) -> None:
    """Make our profile the current one.

    Args:
        obs: a connection that hears ``SETUP_EVENTS``.
        settings: how to record.
        profile: name of ours, as ``own_profile`` gives it.
        folder: where OBS is to write; None keeps the folder of the user's profile.
        file_name: name of the video file, without its ending.

    Raises:
        ObsError: OBS does not do it.
    """
    folder = folder or obs.request("GetRecordDirectory")["recordDirectory"]
    users, audio = current(obs)[0], _audio(obs)
    if profile in obs.request("GetProfileList")["profiles"]:
        switch_profile(obs, profile)
    else:
        obs.request("CreateProfile", profileName=profile)  # and switches to it
        _wait_for_profile(obs, profile)
    wanted = {
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
    if changed.keys() & _TAKEN_UP_ON_SWITCHING and users != profile:
        switch_profile(obs, users)
        switch_profile(obs, profile)


def set_file_name(obs: Connection, name: str) -> None:
    """Name the next video file (without its ending)."""
    obs.request(
        "SetProfileParameter", parameterCategory="Output", parameterName="FilenameFormatting", parameterValue=name
    )


def set_video(obs: Connection, size: tuple[int, int], fps: float) -> tuple[int, int]:
    """Set size and rate of the video; frames a second, as numerator and denominator."""
    width, height = size
    fraction = Fraction(fps).limit_denominator(1001)
    obs.request(
        "SetVideoSettings", baseWidth=width, baseHeight=height, outputWidth=width, outputHeight=height,
        fpsNumerator=fraction.numerator, fpsDenominator=fraction.denominator,
    )  # fmt: skip
    return fraction.numerator, fraction.denominator


def _wait_for_profile(obs: Connection, name: str) -> None:
    """Wait until a profile is the current one, and until OBS has told so: that is the last thing it does then."""
    deadline, told = now() + round(_SWITCH_WITHIN * NS), False
    while now() < deadline:
        event = obs.next_event(0.02)
        told |= event is not None and event[1] == "CurrentProfileChanged" and event[2]["profileName"] == name
        if told and obs.request("GetProfileList")["currentProfileName"] == name:
            return
    raise ObsError(f"OBS has not switched to its profile {name!r} within {_SWITCH_WITHIN:g} s: does it show a dialog?")


def _audio(obs: Connection) -> dict[tuple[str, str], str]:
    return _parameters(obs, ("Audio", "SampleRate"), ("Audio", "ChannelSetup"))


def _parameters(obs: Connection, *names: tuple[str, str]) -> dict[tuple[str, str], str]:
    values = {}
    for category, name in names:
        answer = obs.request("GetProfileParameter", parameterCategory=category, parameterName=name)
        values[category, name] = answer["parameterValue"] or answer["defaultParameterValue"] or ""
    return values
