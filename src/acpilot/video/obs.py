"""Records through OBS Studio, and watches its video clock to know the instant of each frame."""

import shutil
import threading
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.clock import NS, ask_for_punctuality, now, sleep_until
from acpilot.desktop.window import Area, Window, find_window, visible_area
from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.threads import guarded_thread
from acpilot.video import obs_setup
from acpilot.video.alignment import Alignment, checked_against_file
from acpilot.video.obs_connection import (
    OUTPUT_EVENTS,
    SETUP_EVENTS,
    Connection,
    ConnectionLostError,
    ObsError,
    RecordingEndedError,
)
from acpilot.video.obs_loan import Loan, LoanBook, give_back, take_video
from acpilot.video.obs_scene import GameScene, small_picture, users_scenes
from acpilot.video.settings import VideoSettings
from acpilot.video.ticks import COUNTERS_SETTLE, TickLog

_PROBES_BEFORE_START = 15
_POLL = 0.137
_GIVE_UP_AFTER = 20 * NS
_REFUSED_GIVES_UP_AFTER = 4 * NS
_LEAST_FREE_MB = 200
_FOREVER = 1 << 60


class Stage(Enum):
    """How far a recording is; a later stage never goes back to an earlier one.

    ``start`` takes it from NEW to RECORDING, the thread "OBS recording" from there to OVER, ``stop`` to GIVEN_BACK.
    Only that one of the three changes it then; all may read it.
    """

    NEW = "OBS has not been asked to record"
    RECORDING = "OBS said that it started"
    PAUSED = "somebody paused it in OBS: frames from there on have no certain time"
    FINISHING = "OBS was asked to stop, and finishes its file"
    OVER = "OBS has finished its file, or nothing more can be known of it"
    GIVEN_BACK = "the video is where it should be, and OBS as it was"


class ObsRecorder:
    """Records through OBS Studio.

    One thread has OBS answer at each tick of its video clock until the recording is over. Another one takes the
    recording through its stages: it polls OBS's counters, hears its events, follows the game's window and, once it is
    asked to, stops OBS. Both connect again when a connection breaks: OBS goes on recording meanwhile.
    """

    name = "obs"

    def __init__(self, settings: VideoSettings, path: Path, show: Show) -> None:
        self.failure: Exception | None = None
        self.frames = self.dropped = self.repeated = 0
        self.notes: list[str] = []
        self._settings, self._path, self._show = settings, path, show
        self._address = obs_setup.find_address(settings)
        self._own_scene = self._address.is_local and not settings.obs_keep_scene
        self._book: LoanBook | None = None
        self._loan: Loan | None = None
        self._scene: GameScene | None = None
        self._versions: dict[str, Any] = {}
        self._stage = Stage.NEW
        self._asked_to_stop = threading.Event()
        self._probing = guarded_thread(self, self._probe, "OBS ticks")
        self._minding = guarded_thread(self, self._mind, "OBS recording")
        self._reconnections = 0
        self._log = TickLog(1e9 / settings.fps)
        self._replied_at = self._started_at = 0
        self._stopped_at: int | None = None
        self._counters_at_start: dict[str, int] = {}
        self._alignment: Alignment | None = None
        self._picture: np.ndarray | None = None
        self._next_picture = 0

    @property
    def takes_screen(self) -> bool:
        """See ``Recorder``."""
        return self._scene is not None and self._scene.takes_screen

    def look(self) -> np.ndarray | None:
        """See ``Recorder``: a small picture of what OBS shows, taken once a second."""
        return self._picture

    def start(self) -> None:
        """Borrow OBS, learn its clock and start the recording.

        Raises:
            ObsError: OBS is not there, is in use, or refuses; ``stop`` leaves it as it was.
        """
        self._book = LoanBook()
        self._book.acquire()
        self._show(f"connecting to OBS at {self._address} ...")
        with Connection(self._address, events=OUTPUT_EVENTS | SETUP_EVENTS) as obs:
            self._check(obs)
            area = self._area()
            self._show("setting up OBS ...")
            loan = self._write_loan(obs)
            size = obs_setup.video_size(loan.canvas, area)
            obs_setup.borrow(obs, self._settings, loan.own_profile, self._folder(), self._file_name())
            rate = obs_setup.set_video(obs, size, self._settings.fps)
            if area is not None:
                self._scene = GameScene(obs, loan.own_scene, self._settings)
                self._scene.show(obs, area)
                self._scene.put_on(obs)
            self._log = TickLog(1e9 * rate[1] / rate[0], self._latency(obs))
            self._probing.start()
            loan.video = self._start_recording(obs)
            self._stage = Stage.RECORDING
            self._book.write(loan)
        self._minding.start()

    def stop(self) -> None:
        """Stop OBS's recording, wait until its file is whole, and give OBS back; may be called twice.

        What goes wrong is in ``failure`` and ``notes`` then.
        """
        if self._stage is Stage.GIVEN_BACK:
            return
        self._asked_to_stop.set()
        if self._minding.is_alive():
            self._show("OBS finishes its file ...")
            self._minding.join()
        self._stage = Stage.OVER
        if self._probing.is_alive():
            self._probing.join()
        for finish in (self._take_video, self._give_back):
            try:
                finish()
            except Exception as fault:  # noqa: BLE001 - the telemetry is to be saved, whatever became of the video
                if self.failure is not None:
                    self.notes.append(str(fault))
                self.failure = self.failure or fault
        self._stage = Stage.GIVEN_BACK

    def alignment(self) -> Alignment | None:
        """The instants of the frames recorded so far; None before the first one is counted."""
        if self._alignment is not None or not self._started_at:
            return self._alignment
        return self._log.alignment(started_at=self._started_at, stopped_at=self._stopped_at)

    def report(self) -> dict[str, Any]:
        """For the manifest: versions of OBS, its encoder, its counters."""
        pace = f"{self.dropped} skipped by OBS"
        if self._reconnections:
            pace += f", {self._reconnections} reconnections"
        return {
            "name": self.name,
            **self._versions,
            "encoder": self._settings.obs_encoder,
            "own_scene": self._own_scene,
            "pace": pace,
            "start_replied": self._replied_at,
            "video": self._loan.video if self._loan else None,
        }

    # Starting

    def _check(self, obs: Connection) -> None:
        version = obs.request("GetVersion")
        self._versions = {
            "obs": version["obsVersion"],
            "obs_websocket": version["obsWebSocketVersion"],
            "platform": version["platformDescription"],
            "host": self._address.host,
        }
        if active := obs_setup.active_outputs(obs):
            raise ObsError(f"OBS is {' and '.join(active)}: end that first, its video cannot be set up meanwhile")
        if self._address.is_local:
            free = shutil.disk_usage(self._path.parent).free / 2**20
        else:
            free = obs.request("GetStats")["availableDiskSpace"]
        if free < _LEAST_FREE_MB:
            raise ObsError(f"the disk that OBS records to is full ({free:.0f} MB free): free some space on it")

    def _area(self) -> Area | None:
        if not self._own_scene:
            return None
        if self._settings.region is not None:
            return Area(*self._settings.region)
        window = find_window(self._settings.title)
        try:
            return visible_area(window)
        finally:
            window.close()

    def _write_loan(self, obs: Connection) -> Loan:
        """Put on record what is to be given back, before anything is changed."""
        profile, collection = obs_setup.current(obs)
        scenes = users_scenes(obs)
        self._loan = Loan(
            profile,
            collection,
            str(self._path.resolve()),
            own_profile=obs_setup.own_profile(obs),
            own_scene=f"{obs_setup.NAME} {self._path.parent.name}" if self._own_scene else "",
            program=scenes.program,
            preview=scenes.preview,
            canvas=obs_setup.users_canvas(obs),
        )
        assert self._book is not None
        self._book.write(self._loan)
        return self._loan

    def _folder(self) -> str | None:
        return str(self._path.parent.resolve()) if self._address.is_local else None

    def _file_name(self) -> str:
        return self._path.stem if self._address.is_local else f"acpilot_{self._path.parent.name}"

    def _latency(self, obs: Connection) -> float:
        """Ns that an answer takes through the network at best: half the quickest round trip."""
        if self._address.is_local:
            return 0.0
        trips = []
        for _ in range(20):
            begin = now()
            obs.request("GetSceneCollectionList")
            trips.append(now() - begin)
        return min(trips) / 2

    def _start_recording(self, obs: Connection) -> str:
        """Have OBS record; the file that it writes."""
        deadline = now() + 10 * NS
        while len(self._log) < _PROBES_BEFORE_START and self.failure is None:
            if now() > deadline:
                raise ObsError(f"OBS at {self._address} does not answer at its ticks: restart it")
            time.sleep(0.01)
        if self.failure is not None:
            raise ObsError(str(self.failure))
        grid = self._log.grid()
        sleep_until(round(grid.instant_of(int(grid.tick_at(now())) + 1.15)))
        stats = obs.request("GetStats")
        self._counters_at_start = {key: stats[key] for key in ("renderSkippedFrames", "outputSkippedFrames")}
        obs.request("StartRecord")
        self._replied_at = now()
        started = obs_setup.wait_for_record_state(obs, obs_setup.STARTED)
        if started is None:
            raise ObsError(
                "OBS did not start recording: see in its window whether it complains of the encoder "
                f"({self._settings.obs_encoder}, --obs-encoder chooses another) or of the folder"
            )
        self._started_at = started["arrival"]
        return str(started["outputPath"])

    # The threads

    def _probe(self) -> None:
        ask_for_punctuality()
        while self._stage not in {Stage.OVER, Stage.GIVEN_BACK}:
            try:
                with Connection(self._address, timeout=3.0) as obs:
                    while self._stage not in {Stage.OVER, Stage.GIVEN_BACK}:
                        self._log.add(*obs.at_next_tick("GetStats"))
            except ObsError:
                if self._stage is Stage.NEW:
                    raise
                time.sleep(0.2)  # the other thread judges whether OBS is gone

    def _mind(self) -> None:
        """Take the recording through its stages, over as many connections as that needs."""
        window = find_window(self._settings.title) if self._scene and self._settings.region is None else None
        lost_since: int | None = None
        try:
            while self._stage is not Stage.OVER:
                try:
                    with Connection(self._address, events=OUTPUT_EVENTS, timeout=10.0) as obs:
                        lost_since = None
                        self._mind_over(obs, window)
                except RecordingEndedError:
                    raise
                except ObsError as fault:
                    if lost_since is None:
                        lost_since = now()
                        self._reconnections += 1
                    patience = _GIVE_UP_AFTER if isinstance(fault, ConnectionLostError) else _REFUSED_GIVES_UP_AFTER
                    if now() - lost_since > patience:
                        raise ObsError(f"OBS is gone: {fault}") from None
                    time.sleep(0.2)
        finally:
            self._stage = Stage.OVER
            if window is not None:
                window.close()

    def _mind_over(self, obs: Connection, window: Window | None) -> None:
        """Go from stage to stage while the connection holds."""
        if self._stage is not Stage.FINISHING and not obs.request("GetRecordStatus")["outputActive"]:
            raise self._ended_by_obs(obs)  # while no connection told
        area = window.client_area() if window else None
        while self._stage is not Stage.OVER:
            if self._stage is Stage.FINISHING:
                if not obs_setup.has_stopped(obs):
                    raise RecordingEndedError(f"OBS has not finished its file within {obs_setup.STOP_WITHIN:g} s")
                self._stage = Stage.OVER
            elif self._asked_to_stop.is_set():
                self._ask_obs_to_stop(obs)
            else:
                self._watch(obs)
                if window is not None:
                    try:
                        area = self._follow(obs, window, area)
                    except AcpilotError as gone:
                        self.failure = self.failure or gone
                        window = None

    def _watch(self, obs: Connection) -> None:
        self._poll(obs)
        if now() >= self._next_picture:
            self._next_picture = now() + NS
            self._picture = small_picture(obs)
        event = obs.next_event(_POLL)
        if event and obs_setup.record_state(event) == obs_setup.STOPPED:
            raise self._ended_by_obs(obs)
        if event and obs_setup.record_state(event) == obs_setup.PAUSED:
            self._stage = Stage.PAUSED
            # Frames after a pause are on no grid that is known, and the file lacks those of the pause.
            self._log.distrust(int(self._log.grid().tick_at(event[0])) - 2, _FOREVER)
            self.failure = self.failure or ObsError(
                "the recording was paused in OBS: frames after a pause have no certain time"
            )

    def _poll(self, obs: Connection) -> None:
        stats = obs.request("GetStats")
        if now() - self._started_at > COUNTERS_SETTLE:
            self.frames = stats["outputTotalFrames"]
        self.dropped = sum(stats[key] - value for key, value in self._counters_at_start.items())

    def _follow(self, obs: Connection, window: Window, area: Area | None) -> Area:
        found = visible_area(window)
        if found != area:
            assert self._scene is not None
            before = int(self._log.grid().tick_at(now()))
            self._scene.show(obs, found)
            pad = round(self._settings.fps * _POLL) + 2
            self._log.distrust(before - pad, int(self._log.grid().tick_at(now())) + 2)
        return found

    def _ask_obs_to_stop(self, obs: Connection) -> None:
        grid = self._log.grid()
        sleep_until(round(grid.instant_of(int(grid.tick_at(now())) + 1.5)))
        self._poll(obs)
        if self._stage is Stage.RECORDING:  # else the file lacks the frames of a pause: its last one tells nothing
            self._stopped_at = now()
        self._stage = Stage.FINISHING  # before it is asked: a second request would cut the file short
        obs.request("StopRecord")

    def _ended_by_obs(self, obs: Connection) -> RecordingEndedError:
        with suppress(ObsError):
            if obs.request("GetStats")["availableDiskSpace"] < _LEAST_FREE_MB:
                return RecordingEndedError(
                    "the disk is full: OBS stopped recording; free some space on the one it records to"
                )
        return RecordingEndedError("OBS stopped recording: somebody pressed its button, or its log says why")

    # The end

    def _take_video(self) -> None:
        if not self._started_at:
            return
        assert self._loan is not None
        self._alignment = self.alignment()
        there = take_video(self._loan, self._address, self._settings, self._show)
        if there and self._alignment is not None:
            with suppress(AcpilotError):  # a file without frames: whoever makes the labels tells
                self._show("looking for repeated pictures ...")
                self._alignment, self.frames, self.repeated = checked_against_file(self._alignment, self._path)

    def _give_back(self) -> None:
        if self._book is None:
            return
        if self._loan is not None:
            try:
                with Connection(self._address, events=OUTPUT_EVENTS | SETUP_EVENTS) as obs:
                    self.notes += give_back(obs, self._loan)[1]
                self._book.close()
            except ObsError as fault:
                self.notes.append(
                    f"OBS still has acpilot's set-up ({fault}): the next recording through OBS puts your profile "
                    f"{self._loan.profile!r} and your scenes back"
                )
        self._book.release()
