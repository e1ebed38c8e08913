"""What the user may choose: acpilot.toml < environment < flags, under one set of names.

Each command has one object here. ``fps`` of ``RecordSettings`` is ``fps`` in the section ``[record]`` of
``acpilot.toml``, ``ACPILOT_RECORD_FPS`` in the environment, ``--fps`` on the command line and ``settings.fps`` in the
manifest of a session.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Pixels = Annotated[int, Parameter(validator=Number(gte=64, lte=8192))]
ImagePixels = Annotated[int, Parameter(validator=Number(gte=8, lte=8192))]
CameraName = Literal["bonnet", "cockpit", "chase"]
LightName = Literal["noon", "evening", "overcast"]
"""Cameras and lights of the practice game."""
DEFAULT_PAGES = "acpmf"
"""Assetto Corsa's pages are ``acpmf_physics``, ``acpmf_graphics`` and ``acpmf_static``."""
SESSIONS_FOLDER = Path("ac_telemetry_data")


def _is_a_plain_name(_: type, value: str) -> None:
    if not re.fullmatch(r"[\w-]+", value):
        raise ValueError("must be of letters, digits, - and _")


def _is_an_address(_: type, value: str | None) -> None:
    if value is not None and not re.fullmatch(r"auto|[^\s/]+:\d{1,5}", value):
        raise ValueError("must be HOST:PORT, or auto")


def error_limit_ms(max_error_ms: float | None, fps: float) -> float:
    """By how much, ms, the instant of a labelled frame may be off: what the user set, or half the frame interval."""
    return max_error_ms or 500 / fps


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """How a session is recorded."""

    recorder: Literal["auto", "obs", "screen"] = "auto"
    """What takes the video: obs (OBS Studio), screen (the built-in recorder), or auto: OBS when it answers."""
    fps: Annotated[float, Parameter(validator=Number(gte=5, lte=60))] = 10.0
    """Frames a second of the video, 5 to 60."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Stop by itself after so many seconds; without it, Escape or Ctrl-C stops."""
    wait: Annotated[float, Parameter(validator=Number(gte=0))] = 300.0
    """Seconds to wait for the game before giving up."""
    title: str = "Assetto Corsa"
    """Title of the game's window (the whole title; capitals do not matter)."""
    region: Annotated[tuple[int, int, int, int] | None, Parameter(negative="")] = None
    """Record this part of the screen instead of a window: LEFT TOP WIDTH HEIGHT, pixels."""
    output: Path = SESSIONS_FOLDER
    """Folder in which the session's folder is made."""
    encoder: str = "libx264"
    """Video encoder, as FFmpeg names it: libx264, libx265, h264_nvenc, hevc_nvenc, h264_qsv or h264_amf."""
    quality: Annotated[int, Parameter(validator=Number(gte=0, lte=51))] = 18
    """Quality of the video: 0 is lossless, 18 is hardly told from the original, 51 is worst."""
    preset: str | None = None
    """Preset of the encoder, in its own words (libx264: ultrafast … veryslow; without it, veryfast)."""
    keep_paused: bool = False
    """Label the frames of paused spells too."""
    max_error_ms: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Label no frame whose instant may be off by more than this; without it, half the time between frames."""
    steering_unit: Literal["auto", "ratio", "degrees", "radians"] = "auto"
    """Unit of the game's steering; auto finds it from the drive."""
    steering_lock: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Degrees of the steering wheel from the centre to full lock; needed only when the unit is an angle."""
    pages: Annotated[str, Parameter(validator=_is_a_plain_name)] = DEFAULT_PAGES
    """Names of the game's memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
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
    debug: bool = False
    """Write all that is said to OBS into debug.log in the session's folder."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """How a session becomes images and labels."""

    format: Literal["jpg", "png", "webp"] = "jpg"
    """Format of the images: jpg is quick, png loses nothing, webp is small and slow."""
    quality: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 95
    """Quality of jpg and webp, 1 to 100."""
    crop: Annotated[tuple[int, int, int, int] | None, Parameter(negative="")] = None
    """Keep this part of the picture: LEFT TOP WIDTH HEIGHT, pixels of the video."""
    size: Annotated[tuple[ImagePixels, ImagePixels] | None, Parameter(negative="")] = None
    """Resize to WIDTH HEIGHT, pixels, after the crop."""
    fps: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Take fewer frames: those nearest to so many instants a second; without it, all."""
    keep_paused: bool = False
    """Label the frames of paused spells too."""
    max_error_ms: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Label no frame whose instant may be off by more than this; without it, half the time between frames."""
    steering_unit: Literal["auto", "ratio", "degrees", "radians"] = "auto"
    """Unit of the game's steering; auto takes what the recording found."""
    steering_lock: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Degrees of the steering wheel from the centre to full lock; needed only when the unit is an angle."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Where several sessions are worked on at once; the results are the same."""

    engine: Literal["local", "ray"] | None = None
    """Work in processes of this machine (local) or as tasks of Ray; without it ray if there is an --address."""
    address: Annotated[str | None, Parameter(validator=_is_an_address)] = None
    """HOST:PORT of a Ray cluster that this machine belongs to, or auto: the one started on this machine. Its machines
    need the same acpilot, and must reach the sessions under the same path. Without it, Ray is started for the while."""


Share = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CombineSettings:
    """How sessions become one dataset."""

    out: Path = Path("dataset")
    """Folder of the dataset; if there is one already, the sessions are added to it."""
    split_by: Literal["session", "lap"] | None = None
    """What is never divided between splits; without it lap, or what the dataset was made with."""
    validation: Share | None = None
    """Share of the rows that is held out for validation; without it 0.15."""
    test: Share | None = None
    """Share of the rows that is held out for a last test; without it none."""
    corrections_weight: Annotated[float | None, Parameter(validator=Number(gt=0, lte=100))] = None
    """Weight of a driver's corrections, who took over from a policy, against other rows; without it 1, or as before."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """How a dataset is written for other tools."""

    to: Literal["lerobot", "parquet"] = "lerobot"
    """lerobot: a LeRobotDataset v3.0, of episodes with video; parquet: a file for each split, as data frames read."""
    out: Path | None = None
    """Folder of the export; without it DATASET_lerobot or DATASET_parquet beside the dataset."""
    video: Literal["encode", "copy"] = "encode"
    """For lerobot. encode: the dataset's images, quick to read in any order; copy: the recordings without loss."""
    images: Literal["embed", "paths"] = "embed"
    """For parquet. embed: the images are in the files; paths: only their paths, from the dataset's folder."""


Part = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a policy is trained."""

    out: Path = Path("best_save")
    """Folder of the policy."""
    crop: Annotated[tuple[Part, Part, Part, Part], Parameter(negative="")] = (0.0, 0.42, 1.0, 0.3)
    """The band of the picture to look at: LEFT TOP WIDTH HEIGHT, shares of it; look at what_it_sees.png."""
    speed: bool = True
    """Let the policy know the speed: from one picture alone it cannot tell when to brake."""
    speed_shift: Annotated[float, Parameter(validator=Number(gte=0, lte=200))] = 60.0
    """Learn from speeds up to so many km/h below and above the real one, so that a policy does not tell the place from
    the speed; 0 for none."""
    speed_recovery: Annotated[float, Parameter(validator=Number(gt=0, lte=200))] = 10.0
    """So many km/h below the speed that it wants, a policy presses the throttle fully; so many above it, the brake."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.5, lte=1))] = 1.0
    """Learn to drive at this share of the speeds that were driven: a policy needs room for its errors."""
    speed_dropout: Part = 0.1
    """Share of the pictures that are learnt without the speed: standing still must not mean staying so."""
    dropout: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.3
    """Hide this share of what the network finds in a picture while it learns: it then knows unseen roads better."""
    past_frames: Annotated[int, Parameter(validator=Number(gte=0, lte=8))] = 0
    """How many earlier pictures the policy looks at as well."""
    spacing: Annotated[int, Parameter(validator=Number(gte=1, lte=60))] = 1
    """So many frames lie between the pictures that it looks at."""
    label_shift: Annotated[float, Parameter(validator=Number(gte=-2, lte=2))] = 0.0
    """Learn what the driver did so many seconds after each picture: makes up for the delay of driver and car."""
    slowest: Annotated[float, Parameter(validator=Number(gte=0, lte=1000))] = 10.0
    """Leave out what was driven more slowly than so many km/h: of a car that hardly moves the wheel says nothing of the
    road. The policy drives off as the slowest that it has learnt from."""
    balance: bool = True
    """Show pictures with rare steering more often, by the dataset's weights."""
    epochs: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 50
    """Epochs at most; in each as many pictures are learnt from as there are."""
    patience: Annotated[int, Parameter(validator=Number(gte=1))] = 15
    """Stop when the validation loss was not bettered in so many epochs."""
    batch: Annotated[int, Parameter(validator=Number(gte=1, lte=4096))] = 64
    """Pictures learnt from at once."""
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 0.001
    """Of AdamW at the start; it falls to nothing along half a cosine."""
    pedals_weight: Annotated[float, Parameter(validator=Number(gte=0, lte=100))] = 0.6
    """Weight of throttle and of brake in the loss, where steering has 1; the speed that is wanted has half of it."""
    caution: Annotated[float, Parameter(validator=Number(gte=1, lte=10))] = 2.0
    """To want too high a speed counts so many times as much as to want too low a one."""
    mirror: bool = True
    """Learn from mirrored pictures too, with mirrored steering."""
    shift: Annotated[float, Parameter(validator=Number(gte=0, lte=3))] = 2.5
    """Learn from views up to so many metres beside the real one, with the steering that leads back; 0 for none."""
    rotation: Annotated[float, Parameter(validator=Number(gte=0, lte=20))] = 15.0
    """Learn from views turned by up to so many degrees, by few more often than by many, with the steering that leads
    back; 0 for none."""
    recovery: Annotated[float, Parameter(validator=Number(gt=0, lte=10))] = 0.5
    """The steering leads back to a point of the line so many seconds (and 4 m) ahead."""
    turning_radius: Annotated[float, Parameter(validator=Number(gt=0, lte=100))] = 5.0
    """Metres: of the car's turn at full steering."""
    horizon: Part = 0.46
    """Height of the horizon in the picture, as a share from its top."""
    camera_height: Annotated[float, Parameter(validator=Number(gt=0, lte=10))] = 1.1
    """Metres above the road."""
    camera_behind: Annotated[float, Parameter(validator=Number(gte=-5, lte=20))] = 0.0
    """Metres behind the car's middle: a view that is turned there is one of a car that is led aside, too."""
    field_of_view: Annotated[float, Parameter(validator=Number(gte=10, lte=160))] = 76.0
    """Of the game's camera, degrees from side to side."""
    brightness: bool = True
    """Learn from brighter and darker pictures too."""
    shadow: bool = True
    """Learn from pictures with shadows across them too."""
    blur: bool = True
    """Learn from blurred pictures too."""
    patches: bool = True
    """Learn from pictures with parts covered too: a policy that has more than one sign of a bend knows more of them."""
    noise: bool = True
    """Learn from noisy pictures too."""
    start_from: Path | None = None
    """Go on from the weights of another training, a model.pt, rather than from none: what acpilot improve does."""
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0
    """The same seed gives the same weights, on a processor with the same number of threads."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it is computed; auto takes an NVIDIA card when there is one."""
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Processor threads to compute with; without it, all."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed."""

    speed: Annotated[float, Parameter(validator=Number(gte=0.05, lte=10))] = 1.0
    """Seconds of the session in a second, 0.05 to 10."""
    loop: bool = False
    """Begin anew at the end, until it is stopped."""
    start: float | None = None
    """Begin at this second of the session (column timestamp)."""
    end: float | None = None
    """End at this second of the session."""
    headless: bool = False
    """Publish all of the telemetry, and show no window."""
    title: str = "Assetto Corsa"
    """Title of the window."""
    size: Annotated[tuple[Pixels, Pixels] | None, Parameter(negative="")] = None
    """Width and height of the picture, pixels; without it, those of the video."""
    pages: Annotated[str, Parameter(validator=_is_a_plain_name)] = DEFAULT_PAGES
    """Names of the memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PracticeSettings:
    """How the practice game is played."""

    track: str = "allround"
    """Name of a track, or random:SEED for one of your own; --list-tracks names them."""
    driver: Literal["keyboard", "gamepad", "virtual", "expert"] = "keyboard"
    """Who drives: keyboard, gamepad, virtual (another program, through the virtual gamepad) or expert."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.3, lte=1))] = 1.0
    """The expert's speed, as a share of what the tyres allow: a policy needs room for its errors."""
    disturbance: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.0
    """Push the expert's car off its line now and then, 0 to 1, so that recordings hold recoveries."""
    seed: int = 0
    """Seed of the disturbance: the same seed and inputs give the same drive."""
    title: str = "Assetto Corsa"
    """Title of the window."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    fps: Annotated[float, Parameter(validator=Number(gt=0, lte=240))] = 60.0
    """Frames a second of the picture."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; auto takes OpenGL where there is one."""
    headless: bool = False
    """Without a window: draw off-screen (needs no display)."""
    fast: bool = False
    """As fast as the machine can instead of in real time; implies headless."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """End after so many seconds of game time."""
    laps: Annotated[int | None, Parameter(validator=Number(gt=0))] = None
    """End after so many laps."""
    burn_clock: bool = False
    """Draw a machine-readable strip with the instant of the physics step shown (a test aid)."""
    pages: Annotated[str, Parameter(validator=_is_a_plain_name)] = DEFAULT_PAGES
    """Names of the memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
    list_tracks: bool = False
    """Name the tracks and end."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How a policy is evaluated in the practice game."""

    track: tuple[str, ...] = ("allround",)
    """Tracks of the practice game, one --track each: a name, or random:SEED; acpilot practice --list-tracks."""
    laps: Annotated[int, Parameter(validator=Number(gt=0))] = 2
    """Laps on each track, the first from rest."""
    real_time: Annotated[bool, Parameter(negative="")] = False
    """Drive the practice game in its window in real time, through screen and virtual gamepad."""
    delay_ms: Annotated[float, Parameter(validator=Number(gte=0, lte=2000))] = 0.0
    """Each command takes effect so many milliseconds late: how much delay the policy bears."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    outputs: str | None = None
    """Of a TensorFlow checkpoint that acpilot did not write: what it gives, in its order, such as
    steering,brake,throttle (speed and gear too, which are not used); or, of tensors of its graph,
    steering=TENSOR,throttle=TENSOR,brake=TENSOR."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from; as in the recordings that the policy was trained on."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; as in the recordings: the two do not draw the same."""
    video: Annotated[bool, Parameter(negative="")] = False
    """Write a video of each track, with the commands drawn on it."""
    out: Path | None = None
    """Folder for figures, pictures and track maps; without it evaluation/POLICY_1, _2, …"""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the figures as JSON for scripts."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DriveSettings:
    """How a policy drives the game."""

    model: str = "best_save/model.onnx"
    """A policy's file, such as best_save/model.onnx or the TensorFlow checkpoint best_save/model.ckpt; or
    package.module:factory, a function of yours that returns a policy (it is run)."""
    outputs: str | None = None
    """Of a TensorFlow checkpoint that acpilot did not write: what it gives, in its order, such as
    steering,brake,throttle (speed and gear too, which are not used); or, of tensors of its graph,
    steering=TENSOR,throttle=TENSOR,brake=TENSOR."""
    device: Literal["auto", "cpu", "cuda", "directml"] = "auto"
    """Where an ONNX file is computed; auto takes a card that the installed ONNX Runtime can use, or the processor."""
    gamepad: Literal["xbox", "virtual", "none"] = "xbox"
    """What is moved: xbox, an Xbox 360 controller for any game; virtual, the practice game's own; none, a dry run."""
    screen: Literal["auto", "mss", "dxcam"] = "auto"
    """What takes the pictures; auto takes dxcam on Windows where it is installed."""
    title: str = "Assetto Corsa"
    """Title of the game's window (the whole title; capitals do not matter)."""
    pages: Annotated[str, Parameter(validator=_is_a_plain_name)] = DEFAULT_PAGES
    """Names of the game's memory pages: PAGES_physics, PAGES_graphics, PAGES_static."""
    telemetry: bool = True
    """Read those pages; --no-telemetry drives by pictures alone, and sees neither speed nor pauses."""
    wait: Annotated[float, Parameter(validator=Number(gte=0))] = 300.0
    """Seconds to wait for the game before giving up."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Stop by itself after so many seconds; without it, Escape or Ctrl-C stops."""
    rate: Annotated[float | None, Parameter(validator=Number(gte=1, lte=240))] = None
    """Decisions a second; without it, as many as the policy was trained for."""
    assist: Literal["both", "steering", "pedals"] = "both"
    """What the policy moves; the rest of the gamepad stays at rest, for a driver with a device of their own."""
    takeover: Annotated[tuple[Literal["keys", "wheel"], ...], Parameter(negative="")] = ()
    """What the driver takes over with, one --takeover each: keys, the arrow keys in the game's window; wheel, a wheel
    or gamepad, whose movements are passed on (bind the game to acpilot's gamepad only)."""
    hand_back: Annotated[float, Parameter(validator=Number(gte=0, lte=60))] = 1.0
    """The policy drives again so many seconds after the driver let go of keys and pedals and left the wheel still; 0:
    not at all."""
    wheel_axes: Annotated[tuple[str, str, str] | None, Parameter(negative="")] = None
    """Numbers of the wheel's axes of steering, throttle and brake, with - behind those whose value falls: 0 2- 3-; of
    pedals that are a device of their own 0 1:0- 1:1-. Not needed for gamepads; without them the axes are shown."""
    wheel_threshold: Annotated[float, Parameter(validator=Number(gt=0, lte=0.5))] = 0.05
    """The driver takes over when the wheel was moved or a pedal is pressed by so much, as a share of its way."""
    steering_offset: Annotated[float, Parameter(validator=Number(gte=-1, lte=1))] = 0.0
    """Added to the policy's steering, -1 to 1: for one that does not steer straight."""
    dead_zone: Annotated[float, Parameter(validator=Number(gte=0, lte=0.9))] = 0.0
    """Steering up to this is none, 0 to 0.9; what is beyond it is stretched over the whole range."""
    steering_gamma: Annotated[float, Parameter(validator=Number(gte=0.1, lte=10))] = 1.0
    """Exponent of the steering: above 1 small movements become smaller, below 1 larger."""
    steering_gain: Annotated[float, Parameter(validator=Number(gt=0, lte=100))] = 1.0
    """Factor of the steering, after the exponent."""
    steering_rate: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Fastest movement of the steering, in ways from the centre to full lock a second; without it, any."""
    pedal_rate: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Fastest movement of the pedals, in ways from rest to full a second; without it, any."""
    speed_limit: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """km/h, from which the throttle is at rest; it fades over the 5 km/h before."""
    freeze_ms: Annotated[float, Parameter(validator=Number(gte=100, lte=10_000))] = 500.0
    """End when the game's telemetry, or its picture while the car moves, has stood still for so many milliseconds."""
    grace_ms: Annotated[float, Parameter(validator=Number(gte=0, lte=2000))] = 100.0
    """A decision that takes so many milliseconds longer than a cycle is not used: the controls are at rest instead."""
    stop_when_unfocused: Annotated[bool, Parameter(negative="")] = False
    """End when another window gets the focus."""
    brake_on_stop: Annotated[bool, Parameter(negative="")] = False
    """At the end, brake until the car stands (5 s at most) before the gamepad is released."""
    stop_key: bool = True
    """Refuse to drive where Escape cannot be heard; --no-stop-key drives all the same: only Ctrl-C stops then."""
    debug_window: Annotated[bool, Parameter(negative="")] = False
    """Show what the network sees, with the controls drawn on it."""
    save_run: Annotated[bool, Parameter(negative="")] = False
    """Record the run as a session: what was seen and done, and who drove."""
    output: Path = SESSIONS_FOLDER
    """Folder in which that session's folder is made."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the report as JSON for scripts, and no log."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImproveSettings:
    """How a policy is improved by its own driving."""

    out: Path = Path("improved")
    """Folder of the improved policy, of the dataset that grew, and of each round."""
    rounds: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 3
    """How many; the same command with more goes on from there."""
    track: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Tracks of the practice game to drive and learn from in each round, one --track each; without it, 16 that are new
    in each: random:711 to 726 in the first round, random:731 to 746 in the second."""
    test_track: Annotated[tuple[str, ...], Parameter(negative="")] = tuple(f"random:{seed}" for seed in range(701, 709))
    """Tracks on which the autonomy is measured after each round; not to be learnt from."""
    laps: Annotated[int, Parameter(validator=Number(gt=0))] = 1
    """Laps of each drive."""
    pace: Annotated[float, Parameter(validator=Number(gte=0.3, lte=1))] = 0.94
    """Of the expert from whom is learnt, a share of what the tyres allow: a policy needs room for its errors."""
    epochs: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 6
    """Epochs of each round's training, which goes on from the weights of the round before."""
    dropout: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.1
    """As for acpilot train; with more roads to learn from, less has to be hidden."""
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 0.0005
    """At the start of each round's training."""
    size: tuple[Pixels, Pixels] = (640, 360)
    """Width and height of the picture, pixels."""
    camera: CameraName = "bonnet"
    """Where the picture is taken from; as in the recordings that the policy was trained on."""
    light: LightName = "noon"
    """Light of the scene."""
    renderer: Literal["auto", "opengl", "software"] = "auto"
    """What draws the picture; as in the recordings: the two do not draw the same."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GamepadTestSettings:
    """Which gamepad is tried, and how."""

    gamepad: Literal["xbox", "virtual"] = "xbox"
    """Which: xbox, an Xbox 360 controller for any game, or virtual, the practice game's own."""
    axis: Literal["all", "steering", "throttle", "brake"] = "all"
    """Move only this one, again and again: so the game cannot bind another by mistake."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Stop by itself after so many seconds; without it, Escape or Ctrl-C stops."""
    pages: Annotated[str, Parameter(validator=_is_a_plain_name)] = DEFAULT_PAGES
    """Names of the practice game's memory pages, by which it finds the virtual gamepad."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """How the demonstration is run."""

    duration: Annotated[float, Parameter(validator=Number(gte=5))] = 32.0
    """Seconds to record."""
    track: str = "allround"
    """Track of the practice game, as for acpilot practice."""
    output: Path = SESSIONS_FOLDER
    """Folder in which the session's folder is made."""
