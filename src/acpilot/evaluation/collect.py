"""What a policy meets when it drives, labelled with what the expert would have done there: DAgger's half of the work.

As in Ross, Gordon and Bagnell, "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning" (arXiv 1011.0686): a policy that is trained on the expert's drives alone never sees its own mistakes.
"""

from datetime import datetime
from pathlib import Path

import numpy as np

from acpilot.evaluation.closed_loop import PATIENCE, Camera, Drive, Observer, drive, expert_drive, is_due
from acpilot.evaluation.drivers import Driver, Look, expert_controls, expert_speed_kmh
from acpilot.files import whole_folder
from acpilot.policy.policy import Command
from acpilot.practice.game import track_named
from acpilot.practice.offscreen_session import OffscreenRecorder
from acpilot.practice.publishing import CAR
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.world import World
from acpilot.progress import Progress
from acpilot.session.folder import Session
from acpilot.session.manifest import Manifest, settings_record


class _Recording(Observer):
    """Records pictures that the driver decides on, with the expert's answer as the car's inputs."""

    def __init__(self, recorder: OffscreenRecorder, rate: float) -> None:
        self._recorder, self._rate = recorder, rate
        self.wanted_speed: list[float] = []

    def at_step(self, world: World) -> None:
        self._recorder.step(inputs=expert_controls(world))

    def decided(self, world: World, look: Look, command: Command) -> None:  # noqa: ARG002
        if is_due(len(self.wanted_speed), self._rate, world):
            self._recorder.frame(look())
            self.wanted_speed.append(expert_speed_kmh(world))


def collect(
    driver: Driver, settings: PracticeSettings, folder: Path, progress: Progress, rate: float | None = None
) -> tuple[Session, Drive]:
    """Let a driver drive and record it as a session that convert and combine take like any other.

    The session's telemetry is the car's own but for steering, throttle and brake, which are the expert's answer to each
    moment; beside it, the speed up to which the expert would not brake is kept for each frame. Its manifest says so:
    ``game["labels"]`` is "expert", ``game["driver"]`` the driver's name. Where the car was put back, the moments before
    are kept: there the expert's answer is worth most.

    The start is a flying one, on the expert's line at its speed: a lap from rest does not show the first bend as fast
    as all later laps meet it.

    Args:
        driver: whose pictures are recorded.
        settings: track, laps (one when not given), the expert's pace, what leads a ``Demonstrator`` away from its line,
            and how the game is drawn.
        folder: the session's; a run that is killed leaves none.
        progress: told of the thousandths of the way.
        rate: pictures a second, no more than the driver's decisions; without it, one for each of them.

    Raises:
        AcpilotError: there is no such track, the folder is there already or cannot be written, or the policy cannot
            drive.
    """
    track, laps, rate = track_named(settings.track), settings.laps or 1, rate or driver.rate
    with whole_folder(folder, "--out") as part:
        session = Session(part)
        chosen = {**settings_record(settings), "fps": rate}
        session.manifest = Manifest.begun(chosen, datetime.now().astimezone())
        session.manifest.game = {"car": CAR, "track": track.name, "driver": driver.name, "labels": "expert"}
        world = World(track, seed=settings.seed, expert=True, pace=settings.pace, disturbance=settings.disturbance)
        world.put_on_line(settings.pace)
        recorder = OffscreenRecorder(session, world, settings.size, rate)
        recording = _Recording(recorder, rate)
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
