"""Records what a policy drives as a session, beside the driving loop."""

import threading
from typing import Any

from acpilot.desktop.stopping import Stop
from acpilot.driving.settings import DriveSettings
from acpilot.errors import AcpilotError
from acpilot.files import patiently
from acpilot.recording.record import record_into
from acpilot.recording.settings import RecordSettings
from acpilot.recording.waiting import live_pages
from acpilot.session.folder import Session
from acpilot.session.manifest import NOBODY, settings_record
from acpilot.threads import guarded_thread

_SLOWEST, _FASTEST = 5.0, 60.0  # frames a second


class RunRecorder:
    """A recording in a thread of its own, through the built-in recorder; its manifest says who drove when."""

    def __init__(self, settings: DriveSettings, driver: str, rate: float) -> None:
        """Start it; returns once it records.

        Args:
            settings: of the drive.
            driver: name of the policy.
            rate: of the policy, decisions a second: so many frames are recorded.

        Raises:
            AcpilotError: it cannot be started; nothing is left behind.
        """
        self.failure: Exception | None = None
        """What has ended it, if it was not ``finish``."""
        self.session: Session
        """What it records."""
        self._settings = RecordSettings(
            recorder="screen", fps=max(_SLOWEST, min(_FASTEST, rate)), title=settings.title, pages=settings.pages,
            output=settings.output,
        )  # fmt: skip
        self._pages = live_pages(settings.pages)
        self.session = Session.create(settings.output, settings_record(self._settings))
        self.session.manifest.game["driver"] = driver
        self.session.manifest.drivers = [(0, NOBODY)]
        self._stop = Stop(escape=False)
        self._begun = threading.Event()
        self._recording = guarded_thread(self, self._record, "run recorder", self._begun)
        self._recording.start()
        self._begun.wait()
        if self.failure is not None:
            raise AcpilotError(str(self.failure)) from self.failure

    def _record(self) -> None:
        with self._pages:
            ending = record_into(self.session, self._settings, self._pages, self._stop, lambda _: self._begun.set())
        self.failure = ending.fault

    def drives(self, driver: str, instant: int) -> None:
        """That one drives at this instant, and until another does."""
        drivers = self.session.manifest.drivers
        latest, driving = drivers[-1]
        if driver != driving:
            # Never back in time: a driver may take over within the cycle that is told of just before.
            drivers.append((max(instant, latest), driver))

    def finish(self, reason: str, report: dict[str, Any]) -> AcpilotError | None:
        """End the recording and take the drive's report into the session; what had ended it before, if anything."""
        self._stop.request(reason)
        self._recording.join()
        self.session.manifest.drive = report
        try:
            patiently(self.session.save)
        except OSError as error:
            self.failure = self.failure or error
        if self.failure is None:
            return None
        return AcpilotError(f"the run was not recorded to its end: {self.failure}")
