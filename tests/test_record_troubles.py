"""What may happen while a session is recorded, and must neither end a healthy recording nor spoil its labels."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from Xlib import X
from Xlib import display as xdisplay

from acpilot.clock import now
from acpilot.recording.record import Ending, record
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.session.labels import session_labels
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, Status
from acpilot.telemetry.shared_memory import PagePublisher
from acpilot.video.screen import ScreenRecorder
from conftest import Game, acpilot, running, wait_for
from test_convert import one_line
from test_record import flags, frames_recorded, only_session, rows_of, window_of

pytestmark = [pytest.mark.usefixtures("display"), pytest.mark.real_time]

Start = Callable[..., Game]


class StandInPages:
    """Pages of a game whose status the test sets, beside the practice game, whose window is recorded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = Status.LIVE
        self.moving = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def _publish(self) -> None:
        physics, graphics = np.zeros((), PHYSICS), np.zeros((), GRAPHICS)
        with PagePublisher(self.name) as pages:
            while not self._ended.wait(0.004):
                if self.moving or graphics["status"] != self.status:
                    physics["packet_id"] += self.moving
                    physics["speed_kmh"], physics["gas"] = 80, 0.5
                    graphics["status"] = self.status
                    pages.publish_physics(physics.tobytes())
                    pages.publish_graphics(graphics.tobytes())

    def __enter__(self) -> "StandInPages":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def record_here(game: Game, folder: Path, show: Callable[[str], None] = lambda _: None, **more: Any) -> Ending:
    """Record in this process."""
    settings = RecordSettings(
        recorder="screen", pages=game.pages, title=game.title, output=folder / "ac_telemetry_data", **more
    )
    return record(settings, show)


def frames_more(session: Session, frames: int) -> Callable[[], bool]:
    """Whether the manifest's recorder has gone on for so many frames, as its video tells."""
    before = session.video_file.stat().st_size
    begun = now()
    return lambda: session.video_file.stat().st_size > before and now() - begun > frames * 100_000_000


@contextmanager
def held(session: Session) -> Iterator[None]:
    """Nobody can write the manifest meanwhile, as when a virus scanner or OneDrive holds it."""
    in_the_way = session.manifest_file.with_name(session.manifest_file.name + ".part")
    wait_for(lambda: _made(in_the_way), "a moment between two writes", step=0.001)
    yield
    in_the_way.rmdir()


def _made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def test_a_manifest_that_is_held_for_seconds_costs_nothing(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with running(*flags(game, "--recorder", "screen"), folder=tmp_path) as recorder:
        wait_for(lambda: frames_recorded(tmp_path), "some video")
        session = only_session(tmp_path)
        with held(session):
            wait_for(frames_more(session, 25), "more than two seconds of video")
        saved = session.manifest_file.stat().st_mtime_ns
        wait_for(lambda: session.manifest_file.stat().st_mtime_ns > saved, "the next save", 5)
        with held(session):  # and at the end
            recorder.send_signal(signal.SIGINT)
            wait_for(session.inputs_file.exists, "the labels")
            asked = now()
            wait_for(lambda: now() - asked > 2e9, "two seconds")
        output = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, output
    manifest = only_session(tmp_path).manifest
    assert (manifest.state, manifest.ended_by) == ("complete", "Ctrl-C")
    assert manifest.counts.labelled_frames == manifest.counts.frames >= 35


def test_a_replay_is_recorded_and_not_labelled(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    with StandInPages(f"{game.pages}_stand_in") as stand_in:
        game.pages = stand_in.name
        with running(*flags(game, "--recorder", "screen"), folder=tmp_path) as recorder:
            wait_for(lambda: frames_recorded(tmp_path), "some video")
            stand_in.status, stand_in.moving = Status.REPLAY, False
            begun = now()
            wait_for(lambda: now() - begun > 6e9, "longer than a game that has ended would be waited for")
            ended = now()
            stand_in.status, stand_in.moving = Status.LIVE, True
            wait_for(frames_more(only_session(tmp_path), 12), "a second of driving")
            recorder.send_signal(signal.SIGINT)
            output = recorder.communicate(timeout=30)[0]
            assert recorder.returncode == 0, output
    session = only_session(tmp_path)
    labels, _ = session_labels(session, "auto", None)
    during = (labels.instant > begun + 5e7) & (labels.instant < ended - 5e7)
    assert during.sum() > 50
    assert not labels.chosen(keep_paused=True)[during].any()
    assert labels.chosen(keep_paused=False)[labels.instant < begun].sum() >= 8
    assert labels.chosen(keep_paused=False)[labels.instant > ended + 1e8].sum() >= 8
    rows = [row for row, inside in zip(rows_of(session.inputs_file), during, strict=True) if inside]
    assert not any(row["Steering"] for row in rows)


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        (Status.PAUSE, (), "paused all the time: drive while it records, or take them with --keep-paused"),
        (Status.REPLAY, (), "the game showed a replay or a menu"),
        (Status.LIVE, ("--max-error-ms", "0.001"), "less certain"),
    ],
    ids=["paused", "replay", "uncertain"],
)
def test_a_session_without_a_label_is_not_complete(
    status: Status, more: tuple[str, ...], reason: str, start_game: Start, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    with StandInPages(f"{game.pages}_stand_in") as stand_in:
        game.pages = stand_in.name
        stand_in.status = status
        code, output = acpilot(*flags(game, "--recorder", "screen", "--duration", "2", *more), folder=tmp_path)
    line = one_line(code, output)
    session = only_session(tmp_path)
    assert reason in line
    assert "next      acpilot convert" not in output
    assert session.manifest.state == "partial"
    assert session.manifest.counts.frames >= 15
    assert reason in one_line(*acpilot("convert", str(session.folder), folder=tmp_path))
    if status == Status.PAUSE:
        assert acpilot("convert", str(session.folder), "--keep-paused", folder=tmp_path)[0] == 0
    if more:
        remedy = line.rsplit("are good enough: acpilot ", 1)[1].split()
        assert acpilot(*remedy, folder=tmp_path)[0] == 0


@pytest.mark.parametrize("capture", ["mss", "x11"])
def test_what_covers_the_game_in_the_picture_is_told_and_not_labelled(
    capture: str, start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    """The screen is taken with what covers the window; the window's own picture is whole."""
    game = start_game("--driver", "expert")
    root = screen.screen().root
    place = window_of(screen, game).get_geometry()
    cover = root.create_window(
        place.x + 60, place.y + 40, 200, 100, 0, X.CopyFromParent, background_pixel=0xFF00FF, override_redirect=True
    )
    lines: list[tuple[int, str]] = []
    covered_from = covered_to = 0

    def show(line: str) -> None:
        nonlocal covered_from, covered_to
        lines.append((now(), line))
        if not covered_from and lines[-1][0] - lines[0][0] > 1.5e9:
            covered_from = now()
            cover.map()
            screen.sync()
        elif covered_from and not covered_to and now() - covered_from > 2e9:
            cover.unmap()
            screen.sync()
            covered_to = now()

    ending = record_here(game, tmp_path, show, duration=6.0, capture=capture)
    cover.destroy()
    screen.sync()
    assert ending.fault is None
    told = [instant for instant, line in lines if "NO LABELS: covered by" in line]
    session = ending.session
    labels, _ = session_labels(session, "auto", None)
    with av.open(str(session.video_file)) as container:
        middle = [frame.to_ndarray(format="rgb24")[90, 160].astype(int) for frame in container.decode(video=0)]
    seen = np.array([red > 200 and green < 60 and blue > 200 for red, green, blue in middle])
    chosen = labels.chosen(keep_paused=True)
    if capture == "x11":
        assert not told
        assert not seen.any()
        assert ((labels.instant > covered_from) & (labels.instant < covered_to) & chosen).sum() >= 15
        return
    assert 0 < told[0] - covered_from < 1e9
    assert seen.sum() >= 15
    assert not chosen[seen].any()
    assert chosen[labels.instant < covered_from - 4e8].sum() >= 8
    assert chosen[labels.instant > covered_to + 4e8].sum() >= 10
    counts = session.manifest.counts
    assert (labels.flawed & ~chosen).sum() == counts.flawed_frames <= seen.sum() + 8
    code, output = acpilot("convert", str(session.folder), folder=tmp_path)
    assert code == 0, output
    assert f"{counts.flawed_frames} frames left out, which do not show the game: covered by 'another window'" in output


def test_a_session_that_is_black_for_a_while_is_not_complete(
    start_game: Start, screen: xdisplay.Display, tmp_path: Path
) -> None:
    game = start_game("--driver", "expert")
    place = window_of(screen, game).get_geometry()
    cover = screen.screen().root.create_window(
        place.x, place.y, place.width, place.height, 0, X.CopyFromParent, background_pixel=0, override_redirect=True
    )
    begun: list[int] = []

    def show(line: str) -> None:
        if "recording" in line and not begun:
            begun.append(now())
        elif len(begun) == 1 and now() - begun[0] > 15e8:
            begun.append(now())
            cover.map()
            screen.sync()
        elif len(begun) == 2 and now() - begun[1] > 15e8:
            begun.append(now())
            cover.unmap()
            screen.sync()

    ending = record_here(game, tmp_path, show, duration=5.0, capture="mss")
    cover.destroy()
    screen.sync()
    assert len(begun) == 3
    manifest = Session.open(ending.session.folder).manifest
    assert manifest.state == "partial"
    assert "for a part of the recording the picture is black" in " ".join(manifest.problems)
    assert 12 <= manifest.counts.flawed_frames <= manifest.counts.frames - manifest.counts.labelled_frames
    assert manifest.counts.labelled_frames >= 15


def test_the_live_line_counts_the_labels_so_far(start_game: Start, tmp_path: Path) -> None:
    game = start_game("--driver", "expert")
    lines: list[str] = []
    ending = record_here(game, tmp_path, lines.append, duration=4.0)
    counts = [int(line.split(" with a label")[0].rsplit("(", 1)[1]) for line in lines if "with a label" in line]
    assert counts == sorted(counts)
    assert ending.session.manifest.counts.labelled_frames - 15 <= counts[-1] <= ending.session.manifest.counts.frames


@pytest.mark.parametrize("first", ["works, then raises", "raises at once"])
def test_whatever_the_recorders_stop_raises_the_session_is_finished(
    first: str, start_game: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = start_game("--driver", "expert")
    stop, calls = ScreenRecorder.stop, []

    def failing(recorder: ScreenRecorder) -> None:
        calls.append(recorder)
        if len(calls) > 1 or first != "raises at once":
            stop(recorder)
        if len(calls) == 1:
            raise PermissionError(13, "Permission denied", "session_recording.mkv")

    monkeypatch.setattr(ScreenRecorder, "stop", failing)
    ending = record_here(game, tmp_path, duration=2.0)
    assert "Permission denied" in str(ending.fault)
    alive = [thread.name for thread in threading.enumerate()]
    assert not {"telemetry sampler", "telemetry writer", "screen grabber", "video encoder"} & set(alive)
    manifest = Session.open(ending.session.folder).manifest
    assert manifest.state == "partial"
    assert manifest.counts.labelled_frames >= 15
    assert acpilot("convert", str(ending.session.folder), folder=tmp_path)[0] == 0
