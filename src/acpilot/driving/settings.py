"""What the user may choose of driving."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acpilot.settings import DEFAULT_PAGES, SESSIONS_FOLDER, CaptureName, is_a_plain_name


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
    capture: CaptureName = "auto"
    """What takes the pictures: x11 or wgc (the window's own picture, on Linux or Windows) or mss (the screen where the
    window is); auto takes the best that is known to be right here."""
    title: str = "Assetto Corsa"
    """Title of the game's window (the whole title; capitals do not matter)."""
    pages: Annotated[str, Parameter(validator=is_a_plain_name)] = DEFAULT_PAGES
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
class GamepadTestSettings:
    """Which gamepad is tried, and how."""

    gamepad: Literal["xbox", "virtual"] = "xbox"
    """Which: xbox, an Xbox 360 controller for any game, or virtual, the practice game's own."""
    axis: Literal["all", "steering", "throttle", "brake"] = "all"
    """Move only this one, again and again: so the game cannot bind another by mistake."""
    duration: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Stop by itself after so many seconds; without it, Escape or Ctrl-C stops."""
    pages: Annotated[str, Parameter(validator=is_a_plain_name)] = DEFAULT_PAGES
    """Names of the practice game's memory pages, by which it finds the virtual gamepad."""
