"""Records through OBS Studio, and watches its video clock to know the instant of each frame."""

import shutil
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path, PureWindowsPath
from typing import Any

from acpilot.clock import NS, ask_for_punctuality, now, sleep_until
from acpilot.desktop.window import Area, Window, find_window, visible_area
from acpilot.errors import AcpilotError
from acpilot.files import copy_atomically
from acpilot.progress import Show
from acpilot.threads import guarded_thread
from acpilot.video import obs_setup
from acpilot.video.alignment import Alignment, checked_against_file
from acpilot.video.obs_connection import (
    OUTPUT_EVENTS,
    Address,
    Connection,
    ConnectionLostError,
    ObsError,
    RecordingEndedError,
)  # fmt: skip
from acpilot.video.obs_setup import Loan, LoanBook
from acpilot.video.settings import VideoSettings
from acpilot.video.ticks import COUNTERS_SETTLE, TickLog

_RECORD_STATE = "RecordStateChanged"
_STARTED = "OBS_WEBSOCKET_OUTPUT_STARTED"
_STOPPED = "OBS_WEBSOCKET_OUTPUT_STOPPED"
_PAUSED = "OBS_WEBSOCKET_OUTPUT_PAUSED"
_PROBES_BEFORE_START = 15
_START_WITHIN = 5.0
_STOP_WITHIN = 120.0
_POLL = 0.137
_GIVE_UP_AFTER = 20 * NS
_REFUSED_GIVES_UP_AFTER = 4 * NS
_LEAST_FREE_MB = 200
_FOREVER = 1 << 60


class ObsRecorder:
    """Records through OBS Studio.

    One thread has OBS answer at each tick of its video clock; a second one polls its counters, hears its events,
    follows the game's window and, at the end, stops it. Both connect again when a connection breaks: OBS goes on
    recording meanwhile.
    """

    name = "obs"
    takes_screen = True

    def __init__(self, settings: VideoSettings, path: Path, show: Show) -> None:
        self.failure: Exception | None = None
        self.frames = self.dropped = self.repeated = 0
        self.notes: list[str] = []
        self._settings, self._path, self._show = settings, path, show
        self._address = obs_setup.find_address(settings)
        self._own_scene = self._address.is_local and not settings.obs_keep_scene
        self._log = TickLog(1e9 / settings.fps)
        self._started_at = self._replied_at = 0
        self._counters_at_start: dict[str, int] = {}
        self._stopped_at: int | None = None
        self._alignment: Alignment | None = None
        self._loan: Loan | None = None
        self._lost_since: int | None = None
        self._reconnections = 0
        self._recording = self._paused = False
        self._stopping, self._closing = threading.Event(), threading.Event()
        self._probing = guarded_thread(self, self._probe, "OBS ticks")
        self._minding = guarded_thread(self, self._mind, "OBS recording")
        self._versions: dict[str, Any] = {}
        self._exit = ExitStack()

    def start(self) -> None:
        """Borrow OBS, learn its clock and start the recording.

        Raises:
            ObsError: OBS is not there, is in use, or refuses; it is left as it was.
        """
        book = LoanBook()
        book.acquire()
        self._exit.callback(book.release)
        self._show(f"connecting to OBS at {self._address} ...")
        with Connection(self._address, events=OUTPUT_EVENTS) as obs:
            self._check(obs)
            profile, collection = obs_setup.current(obs)
            self._loan = Loan(profile, collection, str(self._path.resolve()))
            book.write(self._loan)
            self._exit.callback(self._give_back, book)
            self._show("setting up OBS ...")
            rate = obs_setup.borrow(obs, self._settings, self._area(), self._folder(), file_name=self._file_name())
            self._log = TickLog(1e9 * rate[1] / rate[0], self._latency(obs))
            self._probing.start()
            self._start_recording(obs)
            book.write(self._loan)
        self._minding.start()

    def stop(self) -> None:
        """Stop OBS's recording, wait until its file is whole, and give OBS back; may be called twice."""
        self._stopping.set()
        if self._minding.is_alive():
            self._show("OBS finishes its file ...")
            self._minding.join()
        self._closing.set()
        if self._probing.is_alive():
            self._probing.join()
        if self._recording:
            self._recording = False
            assert self._loan is not None
            self._alignment = self.alignment()
            there = _take_video(self._loan, self._path, self._address, self._settings, self._show)
            if there and self._alignment is not None:
                with suppress(AcpilotError):  # a file without frames: whoever makes the labels tells
                    self._show("looking for repeated pictures ...")
                    self._alignment, self.frames, self.repeated = checked_against_file(self._alignment, self._path)
        self._exit.close()

    def alignment(self) -> Alignment | None:
        """The instants of the frames recorded so far; None before the first one is counted."""
        if self._alignment is not None or not self._started_at:
            return self._alignment
        stopped_at = None if self._paused else self._stopped_at
        return self._log.alignment(started_at=self._started_at, stopped_at=stopped_at)

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

    def _start_recording(self, obs: Connection) -> None:
        deadline = now() + 10 * NS
        while len(self._log) < _PROBES_BEFORE_START and self.failure is None:
            if now() > deadline:
                raise ObsError(f"OBS at {self._address} does not answer at its ticks: restart it")
            time.sleep(0.01)
        if self.failure is not None:
            raise ObsError(str(self.failure))
        grid = self._log.grid()
        tick = int(grid.tick_at(now())) + 1
        sleep_until(round(grid.instant_of(tick + 0.15)))
        stats = obs.request("GetStats")
        self._counters_at_start = {key: stats[key] for key in ("renderSkippedFrames", "outputSkippedFrames")}
        obs.request("StartRecord")
        self._replied_at = now()
        deadline = now() + round(_START_WITHIN * NS)
        while (remaining := (deadline - now()) / NS) > 0:
            event = obs.next_event(remaining)
            if event and event[1] == _RECORD_STATE and event[2]["outputState"] == _STARTED:
                self._started_at = event[0]
                assert self._loan is not None
                self._loan.video = event[2]["outputPath"]
                self._recording = True
                return
        raise ObsError(
            "OBS did not start recording: see in its window whether it complains of the encoder "
            f"({self._settings.obs_encoder}, --obs-encoder chooses another) or of the folder"
        )

    # The threads

    def _probe(self) -> None:
        ask_for_punctuality()
        while not self._closing.is_set():
            try:
                with Connection(self._address, timeout=3.0) as obs:
                    while not self._closing.is_set():
                        self._log.add(*obs.at_next_tick("GetStats"))
            except ObsError:
                if not self._recording:
                    raise
                self._closing.wait(0.2)  # the other thread judges whether OBS is gone

    def _mind(self) -> None:
        window: Window | None = None
        if self._own_scene and self._settings.region is None:
            window = find_window(self._settings.title)
        try:
            while self._recording:
                try:
                    with Connection(self._address, events=OUTPUT_EVENTS, timeout=10.0) as obs:
                        self._lost_since = None
                        if self._mind_until_stopped(obs, window):
                            return
                except RecordingEndedError:
                    raise
                except ConnectionLostError as lost:
                    self._bear(lost, _GIVE_UP_AFTER)
                except ObsError as refused:
                    self._bear(refused, _REFUSED_GIVES_UP_AFTER)
        finally:
            if window is not None:
                window.close()

    def _bear(self, fault: ObsError, patience: int) -> None:
        """Let a broken connection pass for some time.

        Raises:
            ObsError: OBS is gone.
        """
        if self._lost_since is None:
            self._lost_since = now()
            self._reconnections += 1
        if now() - self._lost_since > patience:
            raise ObsError(f"OBS is gone: {fault}")
        time.sleep(0.2)

    def _mind_until_stopped(self, obs: Connection, window: Window | None) -> bool:
        """Poll, hear and follow until it is time to stop or OBS stops; whether it has stopped."""
        if self._stopped_at is not None:
            self._wait_until_stopped(obs)
            return True
        if not obs.request("GetRecordStatus")["outputActive"]:  # it happened while the connection was broken
            raise self._ended_by_obs(obs)
        area = window.client_area() if window else None
        while not self._stopping.is_set():
            self._poll(obs)
            event = obs.next_event(_POLL)
            if event and event[1] == _RECORD_STATE:
                if event[2]["outputState"] == _STOPPED:
                    raise self._ended_by_obs(obs)
                if event[2]["outputState"] == _PAUSED:
                    self._end_at_pause(event[0])
            if window is not None:
                try:
                    area = self._follow(obs, window, area)
                except AcpilotError as gone:
                    self.failure = self.failure or gone
                    window = None
        self._stop_recording(obs)
        return True

    def _poll(self, obs: Connection) -> None:
        stats = obs.request("GetStats")
        if now() - self._started_at > COUNTERS_SETTLE:
            self.frames = stats["outputTotalFrames"]
        self.dropped = sum(stats[key] - value for key, value in self._counters_at_start.items())

    def _follow(self, obs: Connection, window: Window, area: Area | None) -> Area:
        found = visible_area(window)
        if found != area:
            before = int(self._log.grid().tick_at(now()))
            obs_setup.show_area(obs, found)
            pad = round(self._settings.fps * _POLL) + 2
            self._log.distrust(before - pad, int(self._log.grid().tick_at(now())) + 2)
        return found

    def _end_at_pause(self, instant: int) -> None:
        """Frames after a pause are on no grid that is known, and the file lacks those of the pause."""
        self._paused = True
        self._log.distrust(int(self._log.grid().tick_at(instant)) - 2, _FOREVER)
        self.failure = self.failure or ObsError(
            "the recording was paused in OBS: frames after a pause have no certain time"
        )

    def _ended_by_obs(self, obs: Connection) -> RecordingEndedError:
        with suppress(ObsError):
            if obs.request("GetStats")["availableDiskSpace"] < _LEAST_FREE_MB:
                return RecordingEndedError(
                    "the disk is full: OBS stopped recording; free some space on the one it records to"
                )
        return RecordingEndedError("OBS stopped recording: somebody pressed its button, or its log says why")

    def _stop_recording(self, obs: Connection) -> None:
        grid = self._log.grid()
        sleep_until(round(grid.instant_of(int(grid.tick_at(now())) + 1.5)))
        self._poll(obs)
        self._stopped_at = now()
        # Once only: a second request cuts the file short.
        obs.request("StopRecord")
        self._wait_until_stopped(obs)

    def _wait_until_stopped(self, obs: Connection) -> None:
        if not _stopped(obs):
            raise ObsError(f"OBS has not finished its file within {_STOP_WITHIN:g} s")

    def _give_back(self, book: LoanBook) -> None:
        assert self._loan is not None
        try:
            with Connection(self._address) as obs:
                obs_setup.give_back(obs, self._loan)
        except ObsError as fault:
            self.notes.append(
                f"OBS still has the profile and scenes of acpilot ({fault}): the next recording through OBS puts "
                f"{self._loan.profile!r} and {self._loan.scene_collection!r} back"
            )
        else:
            book.close()


def recover(settings: VideoSettings, show: Show) -> tuple[Path | None, list[str]]:
    """Put right what a recording through OBS left that was killed.

    Returns:
        The folder of the session whose recording it was, if its video was saved by this; and what was done, in words.

    Raises:
        ObsError: OBS cannot be reached, or another acpilot is recording through it.
    """
    book = LoanBook()
    loan = book.open_loan()
    if loan is None:
        return None, []
    book.acquire()
    try:
        address = obs_setup.find_address(settings)
        target = Path(loan.target)
        with Connection(address, events=OUTPUT_EVENTS) as obs:
            done = []
            ours = obs_setup.current(obs)[0] == obs_setup.NAME
            if ours and obs.request("GetRecordStatus")["outputActive"]:
                show("OBS is still recording for an acpilot that was killed: stopping it ...")
                loan.video = loan.video or str(target)
                obs.request("StopRecord")
                _stopped(obs)
                done.append("OBS was still recording for an acpilot that was killed: the recording was ended")
            if obs_setup.give_back(obs, loan):
                done.append(
                    f"OBS was left with acpilot's set-up: profile {loan.profile!r} and scenes "
                    f"{loan.scene_collection!r} are back"
                )
        book.close()
        there = _take_video(loan, target, address, settings, show)
    finally:
        book.release()
    return (target.parent if there else None), done


def _stopped(obs: Connection) -> bool:
    """Wait until OBS has finished its file: its answer to StopRecord comes long before; whether it did."""
    deadline = now() + round(_STOP_WITHIN * NS)
    while now() < deadline:
        event = obs.next_event(1.0)
        if event and event[1] == _RECORD_STATE and event[2]["outputState"] == _STOPPED:
            return True
        if event is None and not obs.request("GetRecordStatus")["outputActive"]:
            return True
    return False


def _take_video(loan: Loan, path: Path, address: Address, settings: VideoSettings, show: Show) -> bool:
    """Bring OBS's file to where the session wants it; whether it is there."""
    if path.exists() or not loan.video:
        return path.exists()
    written = Path(loan.video)
    if address.is_local and written.is_file():
        shutil.move(written, path)
        return True
    if settings.obs_recordings is None:
        return False
    shared = settings.obs_recordings / PureWindowsPath(loan.video).name
    deadline = now() + 10 * NS
    while not shared.is_file() and now() < deadline:
        time.sleep(0.1)  # folders of other machines show new files late
    if not shared.is_file():
        return False
    show(f"copying {shared} ...")
    try:
        copy_atomically(shared, path)
    except OSError:
        return False  # the session says where the video is, and how to complete it
    return True
