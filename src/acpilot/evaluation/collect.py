"""What a policy meets when it drives, labelled with what the expert would have done there: DAgger's half of the work.

As in Ross, Gordon and Bagnell, "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning" (arXiv 1011.0686): a policy that is trained on the expert's drives alone never sees its own mistakes.
"""

from datetime import datetime
from pathlib import Path

import numpy as np

from acpilot.evaluation.closed_loop import PATIENCE, Camera, Drive, Observer, drive, expert_drive
from acpilot.evaluation.drivers import Driver, Look, expert_controls, expert_speed_kmh
from acpilot.files import whole_folder
from acpilot.policy.policy import Command
from acpilot.practice.game import track_named
from acpilot.practice.offscreen_session import OffscreenRecorder
from acpilot.practice.publishing import CAR
from acpilot.practice.world import World
from acpilot.progress import Progress
from acpilot.session import Manifest, Session, settings_record
from acpilot.settings import PracticeSettings


class _Recording(Observer):
    """Records each picture that the driver decides on, with the expert's answer as the car's inputs."""

    def __init__(self, recorder: OffscreenRecorder) -> None:
        self._recorder = recorder
        self.wanted_speed: list[float] = []

    def at_step(self, world: World) -> None:
        self._recorder.step(inputs=expert_controls(world))

    def decided(self, world: World, look: Look, command: Command) -> None:  # noqa: ARG002
        self._recorder.frame(look())
        self.wanted_speed.append(expert_speed_kmh(world))


def collect(driver: Driver, settings: PracticeSettings, folder: Path, progress: Progress) -> tuple[Session, Drive]:
    """Let a driver drive and record it as a session that convert and combine take like any other.

    The session's telemetry is the car's own but for steering, throttle and brake, which are the expert's answer to each
    moment; beside it, the speed up to which the expert would not brake is kept for each frame. Its manifest says so:
    ``game["labels"]`` is "expert", ``game["driver"]`` the driver's name. Where the car was put back, the moments before
    are kept: there the expert's answer is worth most.

    Args:
        driver: whose pictures are recorded, one for each of its decisions.
        settings: track, laps (one when not given), the expert's pace and how the game is drawn.
        folder: the session's; a run that is killed leaves none.
        progress: told of the thousandths of the way.

    Raises:
        AcpilotError: there is no such track, the folder is there already or cannot be written, or the policy cannot
            drive.
    """
    track, laps = track_named(settings.track), settings.laps or 1
    with whole_folder(folder, "--out") as part:
        session = Session(part)
        chosen = {**settings_record(settings), "fps": driver.rate}
        session.manifest = Manifest.begun(chosen, datetime.now().astimezone())
        session.manifest.game = {"car": CAR, "track": track.name, "driver": driver.name, "labels": "expert"}
        world = World(track, expert=True, pace=settings.pace)
        recorder = OffscreenRecorder(session, world, settings.size, driver.rate)
        recording = _Recording(recorder)
        with Camera(world, settings) as camera:
            driven = drive(
                driver,
                world,
                recording,
                laps=laps,
                limit=PATIENCE * expert_drive(track, laps).elapsed,
                look=camera.look,
                progress=progress,
            )
        recorder.close()
        np.save(session.wanted_speed_file, np.array(recording.wanted_speed, np.float32))
    return Session.open(folder), driven
