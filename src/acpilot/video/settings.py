"""What the user may choose of taking a video of the game."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import CaptureName


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How the video is taken."""

    recorder: Literal["auto", "obs", "screen"] = "auto"
    """What takes the video: obs (OBS Studio), screen (the built-in recorder), or auto: OBS when it answers."""
    fps: Annotated[float, Parameter(validator=Number(gte=5, lte=60))] = 10.0
    """Frames a second of the video, 5 to 60."""
    title: str = "Assetto Corsa"
    """Title of the game's window (the whole title; capitals do not matter)."""
    region: Annotated[tuple[int, int, int, int] | None, Parameter(negative="")] = None
    """Record this part of the screen instead of a window: LEFT TOP WIDTH HEIGHT, pixels."""
    capture: CaptureName = "auto"
    """What the built-in recorder takes pictures with: x11 or wgc (the window's own picture, on Linux or Windows) or mss
    (the screen where the window is); auto takes the best that is known to be right here."""
    encoder: str = "libx264"
    """Video encoder, as FFmpeg names it: libx264, libx265, h264_nvenc, hevc_nvenc, h264_qsv or h264_amf."""
    quality: Annotated[int, Parameter(validator=Number(gte=0, lte=51))] = 18
    """Quality of the video: 0 is lossless, 18 is hardly told from the original, 51 is worst."""
    preset: str | None = None
    """Preset of the encoder, in its own words (libx264: ultrafast … veryslow; without it, veryfast)."""
    max_error_ms: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Label no frame whose instant may be off by more than this; without it, half the time between frames."""
    obs_host: str = "localhost"
    """Machine on which OBS Studio runs. Its password comes from OBS_PASSWORD, or the file acpilot doctor names."""
    obs_port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 4455
    """Port of OBS's websocket server."""
    obs_keep_scene: bool = False
    """Record the scene that OBS shows, not one of acpilot's own."""
    obs_source: Literal["auto", "game", "window", "screen"] = "auto"
    """How acpilot's own scene captures the game; auto: by hooking the game on Windows, the screen on X11."""
    obs_encoder: str = "x264"
    """Encoder, as OBS names it: x264, x264_lowcpu, nvenc, qsv, amd, ..."""
    obs_quality: Literal["Small", "HQ", "Lossless"] = "HQ"
    """Quality of the recording: HQ is hardly told from the original, Small is visibly compressed."""
    obs_recordings: Path | None = None
    """Folder through which this machine reaches the recordings of an OBS on another one."""
