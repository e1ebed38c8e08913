"""What of the user's OBS is lent to a recording: put on record before anything is changed, and given back after it.

So the next run can give it back, and save the video, when a recording was killed.
"""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PureWindowsPath

import filelock
import platformdirs

from acpilot.clock import NS, now
from acpilot.errors import AcpilotError
from acpilot.files import copy_atomically, replace, write_atomically
from acpilot.progress import Show
from acpilot.video import obs_setup
from acpilot.video.obs_connection import OUTPUT_EVENTS, SETUP_EVENTS, Address, Connection, ObsError
from acpilot.video.obs_scene import UsersScenes, remove_scene
from acpilot.video.settings import VideoSettings

_REMEMBERS_CANVAS = 30
"""First version of OBS that saves the canvas with the scenes."""


@dataclass
class Loan:
    """What is to be put back in OBS."""

    profile: str
    """The user's."""
    scene_collection: str
    """The user's; until 2026-12 ours was the current one meanwhile, since then it is the one that our scene is in."""
    target: str
    """The video file in the folder of the session that is recorded."""
    video: str = ""
    """The file that OBS writes, once it has begun."""
    own_profile: str = obs_setup.NAME
    own_scene: str = ""
    """Ours; empty: the user's scene is kept."""
    program: str = ""
    """The user's scene that was shown."""
    preview: str = ""
    """The one that the studio mode had prepared."""
    canvas: tuple[int, int] = (0, 0)
    """Size of the user's canvas, pixels."""


class LoanBook:
    """The loan on record, in the user's state folder, and the lock that says whether its borrower still lives.

    Raises:
        ObsError: that folder cannot be written to.
    """

    def __init__(self) -> None:
        self._folder = platformdirs.user_state_path("acpilot", appauthor=False)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from None
        self._file = self._folder / "obs_loan.json"
        self._lock = filelock.FileLock(self._folder / "obs_loan.lock", timeout=0)

    def acquire(self) -> None:
        """Become the one that may borrow.

        Raises:
            ObsError: another acpilot is recording through OBS.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise ObsError("another acpilot is recording through OBS: end that recording first") from None
        except OSError as error:
            raise self._cannot_write(error) from None

    def release(self) -> None:
        """Let others borrow; may be called twice."""
        self._lock.release()

    def open_loan(self) -> Loan | None:
        """The loan that was not given back, if there is one."""
        try:
            loan = Loan(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        loan.canvas = (loan.canvas[0], loan.canvas[1])  # which JSON made a list
        return loan

    def write(self, loan: Loan) -> None:
        """Put a loan on record."""
        try:
            write_atomically(self._file, json.dumps(asdict(loan)))
        except OSError as error:
            raise self._cannot_write(error) from None

    def close(self) -> None:
        """Strike the loan off: everything is given back."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from None

    def _cannot_write(self, error: OSError) -> ObsError:
        return ObsError(f"{self._folder}, where it is noted what OBS lent, cannot be written to: {error.strerror}")


def give_back(obs: Connection, loan: Loan) -> tuple[list[str], list[str]]:
    """Put the user's scene and profile back, where ours are still there.

    Args:
        obs: a connection that hears ``OUTPUT_EVENTS`` and ``SETUP_EVENTS``.
        loan: what is to be put back.

    Returns:
        What is back, and what only the user can put right, in words.

    Raises:
        ObsError: OBS does not do it.
    """
    back: list[str] = []
    left: list[str] = []
    profile, collection = obs_setup.current(obs)
    # The scene first: OBS then shows the user's before it changes size and rate.
    if collection == obs_setup.NAME != loan.scene_collection:  # as an older acpilot left it
        obs.request("SetCurrentSceneCollection", sceneCollectionName=loan.scene_collection)
        back.append(f"scenes {loan.scene_collection!r}")
    elif loan.own_scene and remove_scene(obs, loan.own_scene, UsersScenes(loan.program, loan.preview)):
        back.append(f"scene {loan.program!r}")
    elif loan.own_scene and collection != loan.scene_collection:
        left.append(
            f"somebody has switched OBS to the scenes {collection!r}; there is still a scene {loan.own_scene!r} "
            f"in {loan.scene_collection!r}: remove it there"
        )
    if profile == loan.own_profile != loan.profile:
        if loan.own_scene and loan.video:
            left += _keep_coordinates(obs, loan)
        obs_setup.switch_profile(obs, loan.profile)
        back.append(f"profile {loan.profile!r}")
    return back, left


def _keep_coordinates(obs: Connection, loan: Loan) -> list[str]:
    """Let OBS remember the user's canvas as the one that it recorded last; what only the user can do, in words.

    From OBS 30.2 on it saves the size of that canvas with the scenes, and OBS 31 takes it as the measure when it turns
    those of an older OBS into its new coordinates: with ours it would misplace everything in them. So it records for
    an instant.
    """
    version = obs.request("GetVersion")["obsVersion"]
    video = obs.request("GetVideoSettings")
    if int(version.split(".")[0]) < _REMEMBERS_CANVAS or (video["baseWidth"], video["baseHeight"]) == loan.canvas:
        return []
    try:
        obs_setup.set_file_name(obs, "acpilot_for_an_instant")
        obs_setup.set_video(obs, loan.canvas, video["fpsNumerator"] / video["fpsDenominator"])
        obs.request("StartRecord")
        started = obs_setup.wait_for_record_state(obs, obs_setup.STARTED)
        obs.request("StopRecord")
        if obs_setup.has_stopped(obs) and started:
            with suppress(OSError):
                Path(started["outputPath"]).unlink()
    except ObsError as fault:
        return [
            f"OBS remembers another canvas than yours with its scenes ({fault}): record or stream something with it "
            "before you close it"
        ]
    return []


def take_video(loan: Loan, address: Address, settings: VideoSettings, show: Show) -> bool:
    """Bring OBS's file to where the session wants it; whether it is there.

    Raises:
        ObsError: it could not be brought: the message says where it is, and how to complete the session.
    """
    path = Path(loan.target)
    if path.is_file() or not loan.video:
        return path.is_file()
    written = Path(loan.video)
    is_here = address.is_local and written.is_file()
    if not is_here:
        if settings.obs_recordings is None:
            return False  # the session says where the video is, and how to complete it
        written = settings.obs_recordings / PureWindowsPath(loan.video).name
        deadline = now() + 10 * NS
        while not written.is_file() and now() < deadline:
            time.sleep(0.1)  # folders of other machines show new files late
        if not written.is_file():
            return False
        show(f"copying {written} ...")
    try:
        if is_here and written.stat().st_dev == path.parent.stat().st_dev:
            replace(written, path)
        else:
            copy_atomically(written, path)
            if is_here:
                written.unlink()
    except OSError as error:
        if path.is_file():
            return True  # only the copy that OBS made stays
        raise ObsError(
            f"OBS's video could not be brought into the session ({error.strerror}), it is {written}; this completes "
            f'the session: acpilot attach "{path.parent}" "{written}"'
        ) from None
    return True


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
        done = []
        with Connection(address, events=OUTPUT_EVENTS | SETUP_EVENTS) as obs:
            ours = obs_setup.current(obs)[0] == loan.own_profile
            if ours and obs.request("GetRecordStatus")["outputActive"]:
                show("OBS is still recording for an acpilot that was killed: stopping it ...")
                loan.video = loan.video or loan.target
                obs.request("StopRecord")
                obs_setup.has_stopped(obs)
                done.append("OBS was still recording for an acpilot that was killed: the recording was ended")
            back, left = give_back(obs, loan)
            if back:
                done.append(f"OBS was left with acpilot's set-up: it has its {' and '.join(back)} again")
            done += left
        book.close()
        try:
            there = take_video(loan, address, settings, show)
        except AcpilotError as fault:
            there = False
            done.append(str(fault))
    finally:
        book.release()
    return (Path(loan.target).parent if there else None), done
