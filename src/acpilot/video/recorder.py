"""What every video recorder offers, and the table of them by name."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.video.alignment import Alignment
from acpilot.video.settings import VideoSettings

_RECORDERS = {"obs": "acpilot.video.obs:ObsRecorder", "screen": "acpilot.video.screen:ScreenRecorder"}


class Recorder(Protocol):
    """Records the game's picture into a video file, and knows the instant of each of its frames."""

    name: str
    failure: Exception | None
    """Why the recording cannot go on, once it cannot."""
    frames: int
    dropped: int
    """Frames that could not be taken or encoded in time."""
    repeated: int
    """Frames whose picture was already that of the frame before."""
    notes: list[str]
    """What the user should know."""

    @property
    def takes_screen(self) -> bool:
        """Whether it takes the screen where the window is, and with it what covers the window; once it has started."""
        ...

    def look(self) -> np.ndarray | None:
        """What it recorded last, or some of its pixels: uint8, any shape; None while that is not known."""
        ...

    def start(self) -> None:
        """Start recording; returns once the first frame is on its way.

        Raises:
            AcpilotError: it cannot be started; nothing is left behind.
        """
        ...

    def stop(self) -> None:
        """Stop and finish the file; may be called twice."""
        ...

    def alignment(self) -> Alignment | None:
        """The instants of the frames recorded so far; None while there are none."""
        ...

    def report(self) -> dict[str, Any]:
        """For the manifest: what was used, and how steady it was."""
        ...


def start_recorder(settings: VideoSettings, video: Path, show: Show) -> Recorder:
    """Start the recorder that the settings name; for auto OBS, or where it cannot be used the built-in one.

    Args:
        settings: how to record.
        video: the file to write, in the session's folder.
        show: is told what is going on.

    Raises:
        AcpilotError: it cannot be started.
        OSError: its file cannot be written.
    """
    reason = ""
    for name in ("obs", "screen") if settings.recorder == "auto" else (settings.recorder,):
        module, kind = _RECORDERS[name].split(":")
        recorder: Recorder = getattr(import_module(module), kind)(settings, video, show)
        if reason:
            recorder.notes.append(f"recorded with the built-in recorder, not through OBS: {reason}")
        try:
            recorder.start()
        except (AcpilotError, OSError) as fault:
            recorder.stop()
            if settings.recorder != "auto" or name == "screen":
                raise
            reason = str(fault)
            continue
        return recorder
    raise AssertionError("the last recorder of the list either starts or raises")
