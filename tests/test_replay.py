"""Replays, as the recorder and other tools for the game meet them: through pages, pictures and keys."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest
from Xlib.protocol import event

from acpilot import clock_strip
from acpilot.commands import install_extra
from acpilot.desktop.window import WindowNotFoundError, find_window
from acpilot.recording.settings import RecordSettings
from acpilot.session.folder import Session
from acpilot.session.labels import session_labels
from acpilot.telemetry.log import TelemetryWriter, read_telemetry
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, Status, decode_text
from acpilot.telemetry.sample import FIELDS, Samples
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PagePublisher, PageReader
from acpilot.telemetry.steering import Steering
from acpilot.video.alignment import Alignment
from acpilot.video.decoding import decode
from acpilot.video.screen import VideoWriter
from conftest import acpilot, running, wait_for
from test_convert import one_line
from test_original import HEADER

pytestmark = pytest.mark.real_time

START, SECONDS, STEP = 5_000_000_000, 4.0, 3_003_000
PAUSE = (2.4, 2.8)
SIZE = (640, 180)


def random_pages(count: int, page: np.dtype, seed: int) -> np.ndarray:
    """Records of which every number is another."""
    random, pages = np.random.default_rng(seed), np.zeros(count, page)
    for name in page.names or ():
        field = pages[name]
        if field.dtype.kind == "f":
            pages[name] = random.normal(size=field.shape)
        elif field.dtype.kind == "i":
            pages[name] = random.integers(0, 6, field.shape)
    return pages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with a pause: the speed of a sample is its second, and each picture carries its instant."""
    session = Session.create(tmp_path_factory.mktemp("sessions"), {"fps": 30.0})
    writer = VideoWriter(session.video_file, *SIZE, RecordSettings(quality=4, fps=30))
    times = np.cumsum(np.resize([30, 36, 31, 37], round(30 * SECONDS))) - 30
    for time in times * 1_000_000:
        picture = np.full((SIZE[1], SIZE[0], 4), 40 + time // 50_000_000, np.uint8)
        clock_strip.draw(picture, START + int(time))
        writer.write(picture, int(time))
    writer.close()
    seconds = np.arange(-0.1, SECONDS + 0.2, STEP / 1e9)
    # A recorder logs one sample at the beginning of a pause, with the packet that stood.
    beginning = np.searchsorted(seconds, PAUSE[0])
    keep = (seconds < PAUSE[0]) | (seconds >= PAUSE[1])
    keep[beginning] = True
    packets = np.arange(len(seconds)) - np.cumsum(~keep) + 1000
    seconds, packets = seconds[keep], packets[keep]
    packets[beginning:] -= 1
    physics = random_pages(len(seconds), PHYSICS, 1)
    physics["packet_id"], physics["speed_kmh"] = packets, seconds
    physics["steer_angle"] = np.sin(seconds)
    physics[beginning] = physics[beginning - 1]
    graphics = np.repeat(random_pages(len(seconds) // 5 + 1, GRAPHICS, 2), 5)[: len(seconds)]
    graphics["status"] = np.where(np.arange(len(seconds)) == beginning, Status.PAUSE, Status.LIVE)
    graphics["lap_time_ms"], graphics["last_lap_ms"] = 61_234, 0
    log = TelemetryWriter(session.telemetry_file)
    log.write(START + np.round(seconds * 1e9).astype(np.int64), physics, graphics)
    log.close()
    session.manifest.state, session.manifest.start = "complete", START
    session.manifest.steering = Steering("ratio", 1, "measured", 1.0, 1.0, 0.5, 1.0)
    session.manifest.alignment = Alignment.even("written by a test", START, 0.5, 1000)
    session.manifest.game = {"car": "ks_mazda_miata", "track": "magione", "max_rpm": 7200, "game_version": "1.16.4"}
    session.save()
    return session.folder


@pytest.fixture
def session(made: Path, tmp_path: Path) -> Session:
    return Session.open(Path(shutil.copytree(made, tmp_path / "session")))


@pytest.fixture
def original(session: Session) -> Session:
    """The same video with the rows of the original tool, ten a second."""
    rows = [f"{i / 10},{3 * i},{i - 20},{i / 100},0.5,{100 + i}" for i in range(31)]
    for path in session.folder.iterdir():
        if path != session.video_file:
            path.unlink()
    session.inputs_file.write_text("\n".join([HEADER, *rows]) + "\n")
    return Session.open(session.folder)


def frames_of(output: str) -> tuple[int, int]:
    """Frames shown and dropped, as the replay says at its end."""
    (line,) = (line for line in output.splitlines() if line.startswith("video"))
    return int(line.split()[1]), int(line.split()[4])


def gone(pages: str) -> bool:
    return not list(Path("/dev/shm").glob(f"{pages}_*"))


@contextmanager
def replaying(session: Session, pages: str, *flags: str):  # type: ignore[no-untyped-def]
    """A replay whose pages are there, and a reader of them."""
    command = ("replay", str(session.folder), "--pages", pages, "--title", pages, *flags)
    with running(*command, folder=session.folder.parent) as process:
        wait_for(lambda: process.poll() is not None or PageReader.open(pages) is not None, "the pages")
        reader = PageReader.open(pages)
        assert reader is not None, process.communicate(timeout=20)[0]
        with reader:
            yield process, reader


def is_live(process: subprocess.Popen[str], reader: PageReader) -> bool:
    """Whether a replay publishes; fails at once, with what it said, when it has ended instead."""
    assert process.poll() is None, process.communicate(timeout=20)[0]
    return reader.is_live(0.05)


def seen(reader: PageReader, folder: Path, until: Callable[[], object]) -> Samples:
    """What a recorder sees of pages until a condition holds."""
    sampler = Sampler(reader, TelemetryWriter(folder / "seen.arrow"))
    sampler.start()
    wait_for(until, "the replay", 30)
    sampler.stop()
    return read_telemetry(folder / "seen.arrow")


def assert_alike(samples: Samples, session: Session) -> None:
    """Each sample that was seen is the session's, and nearly all between the first and the last were seen.

    How many a reader misses while others keep the processors busy is its own matter.
    """
    recorded = read_telemetry(session.telemetry_file)
    live = samples["status"] == Status.LIVE
    packets, first = np.unique(samples["packet_id"][live], return_index=True)
    at = np.flatnonzero(live)[first]
    wanted = np.unique(recorded["packet_id"])
    wanted = wanted[(wanted >= packets[0]) & (wanted <= packets[-1])]
    assert np.isin(packets, wanted).all()
    assert len(packets) >= 0.9 * len(wanted)
    origin = np.searchsorted(recorded["packet_id"], packets)
    for field in FIELDS[1:]:
        equal = recorded[field.name][origin] == samples[field.name][at]
        # The two pages are not read at one instant: on a busy machine one of them may be newer now and then.
        assert equal.mean() >= (1.0 if field.page is PHYSICS else 0.98), field.name


def test_a_recording_of_a_replay_is_the_session(session: Session, display: str, pages: str, tmp_path: Path) -> None:
    flags = ("--recorder", "screen", "--pages", pages, "--title", pages, "--fps", "12", "--steering-unit", "ratio")
    with running("record", *flags, "--duration", "2", folder=tmp_path) as recorder:
        code, output = acpilot(
            "replay", str(session.folder), "--pages", pages, "--title", pages, folder=tmp_path,
            environment={"DISPLAY": display},
        )  # fmt: skip
        recorded = recorder.communicate(timeout=30)[0]
        assert recorder.returncode == 0, recorded
    assert code == 0, output
    assert "ended by  the session's end" in output
    assert "frames shown" in output
    assert gone(pages)
    (folder,) = (tmp_path / "ac_telemetry_data").iterdir()
    again = Session.open(folder)
    assert {name: again.manifest.game[name] for name in session.manifest.game} == session.manifest.game
    assert_alike(read_telemetry(again.telemetry_file), session)
    labels, _ = session_labels(again, "auto", None)
    burnt: dict[int, float] = {}

    def read(number: int, frame: object) -> None:
        picture = frame.to_ndarray(format="rgb24")  # type: ignore[attr-defined]
        assert picture.shape == (SIZE[1], SIZE[0], 3)
        instant = clock_strip.decode(picture)
        assert instant is not None
        second = (instant - START) / 1e9
        assert picture[100].mean() == pytest.approx(40 + second // 0.05, abs=2)
        burnt[number] = second

    decode(again.video_file, labels.frame[labels.known & labels.trusted].tolist(), read)
    assert len(burnt) >= 12
    late = np.array([labels.speed_kmh[number] - second for number, second in burnt.items()])
    # As for the practice game: what must never be on a machine under load; the report says how good it is.
    assert np.median(np.abs(late)) <= 0.034
    assert np.abs(late).max() <= 0.150


def test_headless_publishes_every_sample_and_the_pause(session: Session, pages: str, tmp_path: Path) -> None:
    with replaying(session, pages, "--headless") as (process, reader):
        samples = seen(reader, tmp_path, lambda: process.poll() is not None)
        assert reader.status() == Status.OFF
        static = reader.static()
        assert (decode_text(static["car"]), int(static["max_rpm"])) == ("ks_mazda_miata", 7200)
        graphics = np.frombuffer(reader.graphics(), GRAPHICS)[0]
        assert decode_text(graphics["current_time"]) == "1:01:234"
        assert decode_text(graphics["last_time"]) == "-:--:---"
        assert graphics["packet_id"] > 200
        output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert "no window" in output
    assert gone(pages)
    assert_alike(samples, session)
    recorded = read_telemetry(session.telemetry_file)
    assert f"telemetry {len(recorded['instant'])} samples" in output, "none is left out"
    (pause,) = np.flatnonzero(samples["status"] == Status.PAUSE)
    assert samples["packet_id"][pause] == samples["packet_id"][pause - 1]
    (paused,) = np.flatnonzero(recorded["status"] == Status.PAUSE)
    stood = np.diff(recorded["instant"])[paused] / 1e9
    # The status comes back with the next packet, a little before it.
    back = pause + 1 + int(np.argmax(np.diff(samples["packet_id"][pause:]) > 0))
    assert (samples["instant"][back] - samples["instant"][pause]) / 1e9 == pytest.approx(stood, abs=0.02)


@pytest.mark.parametrize(("end", "reason"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_speed_and_loop(session: Session, pages: str, tmp_path: Path, end: int, reason: str) -> None:
    with replaying(session, pages, "--headless", "--loop", "--speed", "2", "--start", "1", "--end", "2") as (
        process,
        reader,
    ):
        back: list[int] = []

        def turned() -> bool:
            packet = int.from_bytes(reader.packet_id(), "little")
            back.append(packet)
            # At twice the speed a busy reader misses steps: what one turn hides from it, another shows.
            return sum(after < before for before, after in pairwise(back)) >= 6

        samples = seen(reader, tmp_path, turned)
        process.send_signal(end)
        output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert f"ended by  {reason}" in output
    assert gone(pages)
    assert (samples["speed_kmh"][samples["packet_id"] > 0] >= 1).all()
    assert (samples["speed_kmh"] < 2).all()
    begins = samples["instant"][1:][np.diff(samples["packet_id"]) < 0]
    assert np.diff(begins) / 1e9 == pytest.approx(0.5, abs=0.05)
    assert_alike(samples, session)


def press_escape(screen: xdisplay.Display, pages: str) -> None:
    window_of(screen, pages).set_input_focus(X.RevertToParent, X.CurrentTime)
    code = screen.keysym_to_keycode(XK.XK_Escape)
    xtest.fake_input(screen, X.KeyPress, code)
    screen.sync()
    xtest.fake_input(screen, X.KeyRelease, code, time=120)
    screen.sync()


def close_window(screen: xdisplay.Display, pages: str) -> None:
    window = window_of(screen, pages)
    data = (32, [screen.intern_atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0])
    window.send_event(event.ClientMessage(window=window, client_type=screen.intern_atom("WM_PROTOCOLS"), data=data))
    screen.sync()


def window_of(screen: xdisplay.Display, title: str):  # type: ignore[no-untyped-def]
    found = find_window(title)
    identifier = found.identifier  # type: ignore[attr-defined]
    found.close()
    return screen.create_resource_object("window", identifier)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(press_escape, "Escape in the window"), (close_window, "the window was closed")],
)
def test_ways_to_end(session: Session, display: str, pages: str, end: Callable[..., None], reason: str) -> None:
    screen = xdisplay.Display(display)
    with replaying(session, pages, "--loop", "--size", "400", "200") as (process, reader):
        wait_for(lambda: is_live(process, reader), "the replay")
        area = find_window(pages)
        assert (shown := area.client_area()) is not None
        assert (shown.width, shown.height) == (400, 200)
        area.close()
        end(screen, pages)
        output = process.communicate(timeout=20)[0]
    screen.close()
    assert process.returncode == 0, output
    assert f"ended by  {reason}" in output
    assert gone(pages)
    with pytest.raises(WindowNotFoundError):
        find_window(pages)


def test_rows_of_the_original_tool(original: Session, pages: str, tmp_path: Path) -> None:
    with replaying(original, pages, "--headless", "--speed", "2") as (process, reader):
        samples = seen(reader, tmp_path, lambda: process.poll() is not None)
        output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert "a session of the original tool: only steering, throttle, brake, speed and gear are published" in output
    live = samples["packet_id"] > 0
    row = np.round(samples["speed_kmh"][live]).astype(int) - 100
    assert sorted(set(row)) == list(range(31))
    assert samples["steer_angle"][live] == pytest.approx(row - 20)
    assert samples["throttle"][live] == pytest.approx(row / 100)
    assert set(samples["brake"][live]) == {0.5}
    assert set(samples["gear"][live]) == {0}
    seconds = (samples["instant"][live] - samples["instant"][live][0]) / 1e9
    first = np.unique(row, return_index=True)[1]
    assert seconds[first] == pytest.approx(np.arange(31) / 20, abs=0.03)


def test_frames_of_the_original_tool_are_shown(original: Session, display: str, pages: str) -> None:
    code, output = replay(original, pages, "--end", "1", environment={"DISPLAY": display})
    assert code == 0, output
    shown, dropped = frames_of(output)
    assert shown + dropped == 30
    assert shown >= 15


def replay(session: Session, pages: str, *flags: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    return acpilot(
        "replay", str(session.folder), "--pages", pages, "--title", pages, *flags, folder=session.folder.parent,
        environment=environment,
    )  # fmt: skip


def test_without_an_alignment_the_telemetry_is_replayed_alone(session: Session, pages: str) -> None:
    session.manifest.alignment = None
    session.save()
    code, output = replay(session, pages, "--end", "0.3", environment={"DISPLAY": ""})
    assert code == 0, output
    assert "telemetry alone, without pictures" in output
    assert "has no alignment" in output
    assert "no window" in output


def test_a_damaged_stretch_of_video_costs_only_itself(session: Session, display: str, pages: str) -> None:
    raw = bytearray(session.video_file.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 200] = bytes(200)
    session.video_file.write_bytes(raw)
    code, output = replay(session, pages, "--speed", "2", environment={"DISPLAY": display})
    assert code == 0, output
    assert 40 < sum(frames_of(output)) < round(30 * SECONDS)


def _no_telemetry(session: Session) -> None:
    session.telemetry_file.write_bytes(b"nonsense")


def _as_it_is(_: Session) -> None:
    pass


def _bad_row(session: Session) -> None:
    for path in (session.manifest_file, session.telemetry_file):
        path.unlink()
    session.inputs_file.write_text(f"{HEADER}\n0.0,0,0,0,0,0\n0.1,1,fast,0,0,0\n")


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        (_no_telemetry, ("--headless",), "damaged from its start"),
        (_bad_row, ("--headless",), "line 3: Steering is 'fast', not a number"),
        (_as_it_is, ("--start", "50"), "between --start and --end: it reaches from 0.0 to 4.0 s"),
        (_as_it_is, ("--headless", "--start", "2.6", "--end", "2.7"), "has no sample in that time"),
        (_as_it_is, (), "--headless publishes the telemetry alone"),
    ],
)
def test_what_cannot_be_replayed(
    session: Session, pages: str, spoil: Callable[[Session], None], flags: tuple[str, ...], message: str
) -> None:
    spoil(session)
    assert message in one_line(*replay(session, pages, *flags, environment={"DISPLAY": ""}))
    assert gone(pages)


def test_without_panda_one_line_says_what_to_do(session: Session, display: str, pages: str, tmp_path: Path) -> None:
    (tmp_path / "panda3d.py").write_text('raise ModuleNotFoundError("no panda3d", name="panda3d")')
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    line = one_line(*replay(session, pages, environment={"DISPLAY": display, "PYTHONPATH": path}))
    assert install_extra("practice") in line
    assert "--headless" in line


def test_pages_of_another_game_are_left_alone(session: Session, pages: str) -> None:
    with PagePublisher(pages) as publisher:
        publisher.publish_static(np.zeros((), STATIC).tobytes())
        graphics = np.zeros((), GRAPHICS)
        graphics["status"] = Status.PAUSE
        publisher.publish_graphics(graphics.tobytes())
        line = one_line(*replay(session, pages, "--headless"))
        assert f"already publishing the memory pages {pages}_*" in line
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            assert reader.status() == Status.PAUSE


def test_a_kill_9_does_not_stand_in_the_way_of_the_next_start(session: Session, pages: str) -> None:
    with replaying(session, pages, "--headless") as (process, reader):
        wait_for(lambda: is_live(process, reader), "the replay")
        process.kill()  # the other process notices, and takes the pages away
        wait_for(lambda: gone(pages), "the pages to go")
    with replaying(session, pages, "--headless") as (process, reader):
        wait_for(lambda: is_live(process, reader), "the replay")
        subprocess.run(["pkill", "-9", "-P", str(process.pid)], check=True)
        assert "has ended unexpectedly" in one_line(process.wait(20), process.communicate(timeout=20)[0])
        assert not gone(pages), "left behind"
        assert reader.status() == Status.LIVE
    code, output = replay(session, pages, "--headless", "--end", "0.2")
    assert code == 0, output
    assert gone(pages)
