"""A drive in the practice game as a session folder, faster than real time: each frame shows exactly its instant."""

import numpy as np

from acpilot.clock import NS
from acpilot.practice.car import Controls
from acpilot.practice.publishing import WorldPublisher
from acpilot.practice.world import DT, World
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.telemetry.log import TelemetryWriter
from acpilot.telemetry.pages import GRAPHICS, PHYSICS
from acpilot.telemetry.shared_memory import PagePublisher
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment
from acpilot.video.screen import VideoWriter

_START = 1000 * NS  # instant of the first physics step
_STEP = round(DT * NS)  # whole milliseconds, as the video's timestamps are


class _Pages(PagePublisher):
    """Keeps what is published in place of publishing it."""

    def __init__(self) -> None:
        self.physics = self.graphics = b""

    def publish_physics(self, page: bytes | bytearray) -> None:
        self.physics = bytes(page)

    def publish_graphics(self, page: bytes | bytearray) -> None:
        self.graphics = bytes(page)

    def publish_static(self, page: bytes | bytearray) -> None:
        pass


class OffscreenRecorder:
    """Records a world that somebody else steps and draws."""

    def __init__(self, session: Session, world: World, size: tuple[int, int], fps: float) -> None:
        """Begin a session.

        Args:
            session: made for this; nothing has been written to it yet.
            world: at rest or moving.
            size: of the pictures, pixels.
            fps: of the pictures, about.
        """
        self._session = session
        self._pages = _Pages()
        self._publisher = WorldPublisher(world, self._pages)
        # Faster than real time, encoding is what there is to save: files are larger by two thirds, and no worse.
        self._video = VideoWriter(session.video_file, *size, RecordSettings(fps=fps, preset="ultrafast"))
        self._physics: list[bytes] = []
        self._graphics: list[bytes] = []
        self._inputs: list[tuple[float, float, float]] = []
        self._first_frame = 0
        self._frames = 0

    def step(self, *, paused: bool = False, inputs: Controls | None = None) -> None:
        """Record the world as it is now.

        Args:
            paused: whether the game stands still.
            inputs: what the labels are to say in place of the car's own inputs; in all steps, or in none.
        """
        self._publisher.publish(paused=paused)
        self._physics.append(self._pages.physics)
        self._graphics.append(self._pages.graphics)
        if inputs is not None:
            self._inputs.append((inputs.steering, inputs.throttle, inputs.brake))

    def frame(self, picture: np.ndarray) -> None:
        """Record a picture of the last step, uint8 (h, w, 3), RGB."""
        step = len(self._physics) - 1
        if not self._frames:
            self._first_frame = step
        red, green, blue = np.moveaxis(picture, -1, 0)  # NumPy moves whole planes far more quickly than reversed pixels
        bgra = np.stack([blue, green, red, np.full_like(red, 255)], axis=-1)
        self._video.write(bgra, (step - self._first_frame) * _STEP)
        self._frames += 1

    def close(self) -> None:
        """Complete the session."""
        session, manifest = self._session, self._session.manifest
        self._video.close()
        physics = np.frombuffer(b"".join(self._physics), PHYSICS).copy()
        if self._inputs:
            physics["steer_angle"], physics["gas"], physics["brake"] = np.array(self._inputs).T
        log = TelemetryWriter(session.telemetry_file)
        log.write(_START + _STEP * np.arange(len(physics)), physics, np.frombuffer(b"".join(self._graphics), GRAPHICS))
        log.close()
        manifest.state = "complete"
        manifest.steering = Steering("ratio", 1, "measured", 1.0, 0.0, 1.0, 1.0)
        manifest.start = _START + self._first_frame * _STEP
        manifest.alignment = Alignment.even("the practice game", manifest.start, 0.5, self._frames)
        manifest.counts.frames = self._frames
        session.save()
