"""Looks at everything that a recording needs, and says what is missing and what to do about it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from acpilot.commands import install_extra
from acpilot.desktop.capture import open_capture
from acpilot.desktop.stopping import Stop
from acpilot.desktop.window import Area, Window, find_window, visible_area
from acpilot.errors import AcpilotError
from acpilot.recording.settings import RecordSettings
from acpilot.recording.waiting import live_pages
from acpilot.recording.watching import is_black
from acpilot.video import obs_setup
from acpilot.video.obs_connection import Connection

_LEAST_FREE_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """What was found about one thing."""

    subject: str
    verdict: Literal["ok", "note", "fault"]
    """A note does not keep a recording from working; a fault does."""
    text: str


def examine(settings: RecordSettings) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield from guarded("game pages", lambda: _pages(settings))
    yield from guarded("window", lambda: _window(settings))
    yield from guarded("OBS", lambda: _obs(settings), "note" if settings.recorder == "auto" else "fault")
    yield from guarded("password", _password, "note")
    yield from guarded("disk", lambda: _disk(settings))
    yield from guarded("stop key", _stop_key)


def guarded(subject: str, check: Callable[[], str], otherwise: Literal["note", "fault"] = "fault") -> Iterator[Finding]:
    """What a check found; a fault that it raises is the finding."""
    try:
        yield Finding(subject, "ok", check())
    except AcpilotError as fault:
        yield Finding(subject, otherwise, str(fault))


def _pages(settings: RecordSettings) -> str:
    live_pages(settings.pages).close()
    return "the game publishes its physics"


def _window(settings: RecordSettings) -> str:
    """Take a picture: a window that is found can still be one whose picture the desktop does not give."""
    with ExitStack() as stack:
        target: Window | Area
        if settings.region is None:
            target = find_window(settings.title)
            stack.callback(target.close)
            area = visible_area(target)
        else:
            target = area = Area(*settings.region)
        capture, why = open_capture(settings.capture, target)
        stack.callback(capture.close)
        if is_black(capture.grab()[:, :, :3]):
            raise AcpilotError(
                "its picture is black: the game is not drawing, or in exclusive full screen; set it to a window or to "
                "borderless"
            )
    subject = repr(settings.title) if settings.region is None else "a part of the screen"
    shown = f"{subject}, {area.width}x{area.height} at {area.left}, {area.top}; pictures with {capture.name}"
    return f"{shown}: {why}" if why else shown


def _obs(settings: RecordSettings) -> str:
    address = obs_setup.find_address(settings)
    with Connection(address) as obs:
        version = obs.request("GetVersion")
        if active := obs_setup.active_outputs(obs):
            raise AcpilotError(f"OBS is {' and '.join(active)}: end that before recording through it")
        free = obs.request("GetStats")["availableDiskSpace"] / 1024
        if free < _LEAST_FREE_GB:
            raise AcpilotError(f"OBS has {free:.1f} GB free where it records: free some space there")
        profile, collection = obs_setup.current(obs)
        if obs_setup.is_ours(profile) or collection == obs_setup.NAME:
            raise AcpilotError("OBS still has acpilot's set-up: the next acpilot record --recorder obs puts yours back")
    return (
        f"{version['obsVersion']} at {address}, obs-websocket {version['obsWebSocketVersion']}, protocol "
        f"{version['rpcVersion']}, password accepted, {free:.0f} GB free; profile {profile!r}, scenes {collection!r}; "
        f"encoder for recordings: {settings.obs_encoder}"
    )


def _password() -> str:
    if not obs_setup.find_password():
        raise AcpilotError(
            "none is set for OBS: set OBS_PASSWORD in the environment, or write one line, "
            f'password = "...", into {obs_setup.password_file()}'
        )
    return "set for OBS (in the environment or in its file)"


def _disk(settings: RecordSettings) -> str:
    wanted = settings.output.resolve()
    folder = next((each for each in (wanted, *wanted.parents) if each.exists()), None)
    if folder is None:
        raise AcpilotError(f"the drive {wanted.anchor} is not there: choose another folder with --output")
    free = shutil.disk_usage(folder).free / 2**30
    if free < _LEAST_FREE_GB:
        raise AcpilotError(f"{free:.1f} GB free at {folder}: free some space, or choose another folder with --output")
    if not os.access(folder, os.W_OK):
        raise AcpilotError(f"{folder} cannot be written to: choose another folder with --output")
    return f"{free:.0f} GB free at {folder}"


def _stop_key() -> str:
    with Stop() as stop:
        ways = stop.ways
    if ways == ["Ctrl-C"]:
        raise AcpilotError(f"no way to hear Escape here: only Ctrl-C stops; on Wayland {install_extra('wayland')}")
    return " or ".join(ways)
