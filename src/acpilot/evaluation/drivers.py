"""Who sits at the wheel: a policy, from its file or a function that makes one, or the practice game's expert."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.policy.load import open_policy
from acpilot.policy.policy import Command, Policy, note_of
from acpilot.practice.cabin import CAMERAS
from acpilot.practice.car import Controls
from acpilot.practice.settings import CameraName
from acpilot.practice.world import DT, EXPERT_EVERY, World

Look = Callable[[], np.ndarray]
"""The picture as the car sees it now, uint8 (h, w, 3), RGB; drawn when it is asked for."""
_ANOTHER_CAMERA = 0.5
"""Metres between the heights of two cameras: from there on, a road does not look the same."""


class Driver(Protocol):
    """Who sits at the wheel."""

    name: str
    rate: float
    """Decisions a second."""

    def decide(self, world: World, look: Look) -> Command:
        """What the car is to do now."""
        ...

    def reset(self) -> None:
        """The car was put somewhere else."""
        ...


class PolicyDriver:
    """A policy, which sees pictures and speed only."""

    def __init__(self, policy: Policy) -> None:
        """Seat a policy.

        Raises:
            AcpilotError: its rate is out of range.
        """
        if not 0 < policy.rate <= 1 / DT:
            raise AcpilotError(f"{policy.name} wants {policy.rate:g} decisions a second: it must be 0 to {1 / DT:.0f}")
        self.name, self.rate, self.reset = policy.name, policy.rate, policy.reset
        self.policy = policy

    def notes(self, camera: CameraName) -> list[str]:
        """What the user should know of it before it drives by that camera."""
        notes = [note] if (note := note_of(self.policy)) else []
        learnt, height = getattr(self.policy, "camera_height", None), CAMERAS[camera].position[2]
        if isinstance(learnt, float) and abs(learnt - height) > _ANOTHER_CAMERA:
            notes.append(
                f"{self.name} was trained for a camera {learnt:g} m above the road (acpilot train --camera-height); "
                f"--camera {camera} is {height:g} m above it: from another camera than it knows, a policy drives badly"
            )
        return notes

    def decide(self, world: World, look: Look) -> Command:
        """Show the policy its part of the picture."""
        picture = look()
        left, top, width, height = self.policy.band(picture.shape[1], picture.shape[0])
        band = np.ascontiguousarray(picture[top : top + height, left : left + width])
        return self.policy.drive(band, world.car.speed * 3.6)


class ExpertDriver:
    """The practice game's expert, which sees the world itself: what a policy is measured against."""

    name = "expert"
    rate = 1 / (EXPERT_EVERY * DT)

    def decide(self, world: World, look: Look) -> Command:  # noqa: ARG002
        """Ask the expert."""
        controls = expert_controls(world)
        return Command(controls.steering, controls.throttle, controls.brake)

    def reset(self) -> None:
        """The expert remembers nothing."""


class Demonstrator(ExpertDriver):
    """The expert, whose car is led away from its line at times, so that it shows the way back."""

    def decide(self, world: World, look: Look) -> Command:
        """Ask the expert, and let its world lead the car away."""
        world.disturb(1 / self.rate)
        return super().decide(world, look)


def expert_controls(world: World) -> Controls:
    """What the expert would command in the car's place, whoever drives."""
    assert world.expert is not None
    return world.expert.controls(world.car)


def expert_speed_kmh(world: World) -> float:
    """The speed up to which the expert would not brake in the car's place, km/h."""
    assert world.expert is not None
    return world.expert.wanted_speed(world.car) * 3.6


def open_driver(name: str, outputs: str | None = None) -> Driver:
    """Whoever is to drive.

    Args:
        name: of a policy, as for ``open_policy``; or ``expert``.
        outputs: of a TensorFlow checkpoint, as for ``load``.

    Raises:
        AcpilotError: there is no such policy, or it cannot be used.
    """
    if name != "expert":
        return PolicyDriver(open_policy(name, outputs))
    if outputs is not None:
        raise AcpilotError(f"{name} is no TensorFlow checkpoint: leave --outputs out")
    return ExpertDriver()
