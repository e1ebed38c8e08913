"""A scene of our own in the user's scene collection, which shows the game over the whole canvas.

It is made for a recording and removed after it. Nothing of the user's is reloaded: OBS 32 can end itself when it
switches scene collections, and webcams and browser sources take their time.
"""

import re
from base64 import b64decode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from acpilot.clock import NS, now
from acpilot.desktop.window import Area, Candidate, WindowNotFoundError, choose
from acpilot.errors import AcpilotError
from acpilot.video.obs_connection import Connection, ObsError, RequestRefusedError
from acpilot.video.settings import VideoSettings

_SCREENS = ["xshm_input", "xshm_input_v2"]
"""Screens of X11; from OBS 32 on the second one is all that there is."""
_SOURCES = {
    "game": ["game_capture"],
    "window": ["window_capture", "xcomposite_input"],
    "screen": _SCREENS,
    # Of the ways on X11 only the screen was measured; on Windows hooking the game is the quickest.
    "auto": ["game_capture", *_SCREENS, "window_capture", "xcomposite_input"],
}
_WINDOW_SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "game_capture": ("window", {"capture_mode": "window", "capture_cursor": False}),
    # Method 2 is Windows Graphics Capture: left to itself OBS takes BitBlt for many windows, a game's among them.
    "window_capture": ("window", {"method": 2, "cursor": False}),
    "xcomposite_input": ("capture_window", {"show_cursor": False}),
}
"""Sources of one window: the property that names it, and their other settings."""
_PLACE = re.compile(r"(\d+)x(\d+) @ (-?\d+),(-?\d+)\)")
"""How OBS describes a screen: size and place on the desktop, pixels."""
_CUT = "cut_transition"
_SMALL = 128
_SWITCH_WITHIN = 15 * NS


@dataclass(frozen=True)
class UsersScenes:
    """The scenes that the user's OBS shows."""

    program: str
    preview: str
    """Of the studio mode; empty without it."""


@dataclass(frozen=True)
class _Part:
    """A source in our scene, and where on the desktop what it shows lies; None: it shows just the game's window."""

    item: int
    screen: Area | None


class GameScene:
    """Our scene.

    Args:
        obs: a connection.
        name: of the scene, which no other scene or source has; those of its sources begin with it.
        settings: how to record.

    Raises:
        ObsError: OBS has no source that fits, or does not see the window.
    """

    def __init__(self, obs: Connection, name: str, settings: VideoSettings) -> None:
        self._name = name
        offered = obs.request("GetInputKindList", unversioned=False)["inputKinds"]
        wanted = _SCREENS if settings.region is not None else _SOURCES[settings.obs_source]
        kind = next((kind for kind in wanted if kind in offered), None)
        if kind is None and settings.region is not None:
            raise ObsError("this OBS has no source for a part of the screen: use --recorder screen for --region")
        if kind is None:
            raise ObsError(
                f"this OBS offers no source for --obs-source {settings.obs_source} (it has {', '.join(offered)}): "
                "set up a scene that shows the game yourself and use --obs-keep-scene"
            )
        obs.request("CreateScene", sceneName=name)
        self._parts = self._screens(obs, kind) if kind in _SCREENS else [self._window(obs, kind, settings.title)]

    @property
    def takes_screen(self) -> bool:
        """Whether what lies in front of the window is in the picture."""
        return any(part.screen is not None for part in self._parts)

    def show(self, obs: Connection, area: Area) -> None:
        """Show this part of the desktop over the whole canvas (a source of one window shows all of that).

        Raises:
            AcpilotError: it lies outside all screens.
        """
        video = obs.request("GetVideoSettings")
        across, down = video["baseWidth"] / area.width, video["baseHeight"] / area.height
        shown = [(part, _common(area, part.screen or area)) for part in self._parts]
        if not any(visible for _, visible in shown):
            raise AcpilotError("the game's window lies outside the screens that OBS sees: move it back")
        for part, visible in shown:
            obs.request(
                "SetSceneItemEnabled", sceneName=self._name, sceneItemId=part.item, sceneItemEnabled=visible is not None
            )
            if visible is None:
                continue
            screen = part.screen or visible
            transform: dict[str, Any] = {
                "positionX": (visible.left - area.left) * across, "positionY": (visible.top - area.top) * down,
                "alignment": 5, "boundsType": "OBS_BOUNDS_STRETCH", "boundsAlignment": 5,
                "boundsWidth": visible.width * across, "boundsHeight": visible.height * down,
                "cropLeft": visible.left - screen.left, "cropTop": visible.top - screen.top,
                "cropRight": screen.left + screen.width - visible.left - visible.width,
                "cropBottom": screen.top + screen.height - visible.top - visible.height,
            }  # fmt: skip
            obs.request(
                "SetSceneItemTransform", sceneName=self._name, sceneItemId=part.item, sceneItemTransform=transform
            )

    def put_on(self, obs: Connection) -> None:
        """Let OBS record our scene, at once: the user's transition to it could last for seconds."""
        for transition in obs.request("GetSceneTransitionList")["transitions"]:
            if transition["transitionKind"] == _CUT:
                obs.request(
                    "SetSceneSceneTransitionOverride", sceneName=self._name,
                    transitionName=transition["transitionName"], transitionDuration=50,
                )  # fmt: skip
        _put_on(obs, self._name)

    def _screens(self, obs: Connection, kind: str) -> list[_Part]:
        """A source for each screen: a window can lie on several, and be moved to another one."""
        first = self._add(obs, kind, 0, {"show_cursor": False, "screen": 0})
        screens = [
            (int(item["itemValue"]), Area(left, top, width, height))
            for item in _choices(obs, self._source(0), "screen")
            for width, height, left, top in [map(int, match.groups()) for match in _PLACE.finditer(item["itemName"])]
        ]
        if not screens or screens[0][0] != 0:
            raise ObsError("OBS does not say where its screens lie: use --obs-source window")
        others = [
            _Part(self._add(obs, kind, number, {"show_cursor": False, "screen": number}), area)
            for number, area in screens[1:]
        ]
        return [_Part(first, screens[0][1]), *others]

    def _window(self, obs: Connection, kind: str, title: str) -> _Part:
        item = self._add(obs, kind, 0, {})
        names_it, settings = _WINDOW_SOURCES[kind]
        values = [str(choice["itemValue"]) for choice in _choices(obs, self._source(0), names_it)]
        window = choose_window(title, values)
        obs.request("SetInputSettings", inputName=self._source(0), inputSettings={**settings, names_it: window})
        return _Part(item, None)

    def _add(self, obs: Connection, kind: str, number: int, settings: dict[str, Any]) -> int:
        answer = obs.request(
            "CreateInput", sceneName=self._name, inputName=self._source(number), inputKind=kind, inputSettings=settings
        )
        item: int = answer["sceneItemId"]
        return item

    def _source(self, number: int) -> str:
        return f"{self._name} source {number}"


def small_picture(obs: Connection) -> np.ndarray | None:
    """What OBS's program shows now, small: uint8 (h, w, 3); None when OBS does not say."""
    shown = obs.request("GetSceneList")["currentProgramSceneName"]
    try:
        answer = obs.request("GetSourceScreenshot", sourceName=shown, imageFormat="png", imageWidth=_SMALL)
    except RequestRefusedError:
        return None
    picture = b64decode(answer["imageData"].partition(",")[2])
    with Image.open(BytesIO(picture)) as image:
        return np.asarray(image.convert("RGB"))


def users_scenes(obs: Connection) -> UsersScenes:
    """The scenes that OBS shows now."""
    scenes = obs.request("GetSceneList")
    return UsersScenes(scenes["currentProgramSceneName"], scenes["currentPreviewSceneName"] or "")


def remove_scene(obs: Connection, name: str, before: UsersScenes) -> bool:
    """Remove a scene of ours, and show the user's again where it is ours that OBS shows; whether it was there."""
    names = _scenes(obs)
    if name not in names:
        return False
    others = [other for other in names if other != name]
    shown = users_scenes(obs)
    if others and shown.program == name:
        _put_on(obs, before.program if before.program in others else others[-1])
    for item in obs.request("GetSceneItemList", sceneName=name)["sceneItems"]:
        if str(item["sourceName"]).startswith(name):
            obs.request("RemoveInput", inputName=item["sourceName"])
    obs.request("RemoveScene", sceneName=name)
    deadline = now() + _SWITCH_WITHIN
    while name in _scenes(obs):
        _wait(obs, deadline, "removed its scene of acpilot's")
    # With the studio mode OBS exchanges both scenes, when its transition has ended.
    while before.preview in others and users_scenes(obs).preview not in {"", before.preview}:
        obs.request("SetCurrentPreviewScene", sceneName=before.preview)
        _wait(obs, deadline, f"gone back to its scene {before.preview!r}")
    return True


def choose_window(title: str, values: list[str]) -> str:
    """The one of OBS's windows that is the game's: by its whole title and, where OBS tells it, its executable.

    Args:
        title: of the game's window.
        values: of OBS's list of windows, those in front first: title:class:executable on Windows,
            number, title and class in lines on X11.

    Raises:
        ObsError: none has the title.
    """
    windows = []
    for value in values:
        lines = value.split("\r\n")
        if len(lines) >= 2:
            windows.append(Candidate(lines[1], value))
            continue
        parts = [part.replace("#3A", ":").replace("#22", "#") for part in value.split(":")]
        windows.append(Candidate(parts[0], value, program=parts[-1]))
    try:
        return choose(title, windows).handle
    except WindowNotFoundError as error:
        raise ObsError(f"of the windows that OBS sees, {error}") from None


def _choices(obs: Connection, source: str, name: str) -> list[dict[str, Any]]:
    answer = obs.request("GetInputPropertiesListPropertyItems", inputName=source, propertyName=name)
    items: list[dict[str, Any]] = answer["propertyItems"]
    return [item for item in items if item["itemEnabled"]]


def _common(one: Area, other: Area) -> Area | None:
    """What two areas have in common."""
    left, top = max(one.left, other.left), max(one.top, other.top)
    width = min(one.left + one.width, other.left + other.width) - left
    height = min(one.top + one.height, other.top + other.height) - top
    return Area(left, top, width, height) if width > 0 and height > 0 else None


def _scenes(obs: Connection) -> list[str]:
    return [scene["sceneName"] for scene in obs.request("GetSceneList")["scenes"]]


def _put_on(obs: Connection, name: str) -> None:
    obs.request("SetCurrentProgramScene", sceneName=name)
    deadline = now() + _SWITCH_WITHIN
    while users_scenes(obs).program != name:
        _wait(obs, deadline, f"switched to its scene {name!r}")


def _wait(obs: Connection, deadline: int, done: str) -> None:
    if now() > deadline:
        raise ObsError(f"OBS has not {done} within {_SWITCH_WITHIN / NS:g} s: does it show a dialog?")
    obs.next_event(0.02)
