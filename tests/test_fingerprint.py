"""A session knows its video: in another container it is the same, cut, retimed or encoded again it is refused."""

import os
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from acpilot.errors import AcpilotError
from acpilot.recording.settings import RecordSettings
from acpilot.session.fingerprint import video_times
from acpilot.session.folder import Session
from acpilot.video.screen import VideoWriter
from conftest import acpilot
from test_convert import FRAMES, one_line, write_session

Packets = Iterator[tuple[Any, int]]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """One whose recording was finished, in that its video was attached."""
    made = write_session(tmp_path / "sessions")
    elsewhere = tmp_path / "recorded.mkv"
    made.video_file.rename(elsewhere)
    code, output = acpilot("attach", str(made.folder), str(elsewhere), folder=tmp_path)
    assert code == 0, output
    return Session.open(made.folder)


def packets(video: Path) -> Packets:
    """Each packet of a video and its time, ms."""
    with av.open(str(video)) as container:
        for packet in container.demux(video=0):
            if packet.pts is not None:
                yield packet, round(float(packet.pts * packet.time_base) * 1000)


def copy(source: Path, target: Path, kind: str, change: Callable[[Packets], Packets] = lambda them: them) -> Path:
    """Copy a video's packets into a new file without encoding them again."""
    with av.open(str(source)) as given, av.open(str(target), "w", format=kind) as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet, time in change(packets(source)):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = time
            container.mux(packet)
    return target


def later(them: Packets) -> Packets:
    return ((packet, time + 1400) for packet, time in them)


def without_the_start(them: Packets) -> Packets:
    return ((packet, time) for number, (packet, time) in enumerate(them) if number >= 20)


def begun_anew(them: Packets) -> Packets:
    cut = list(without_the_start(them))
    return ((packet, time - cut[0][1]) for packet, time in cut)


def without_the_middle(them: Packets) -> Packets:
    everything = list(them)
    gap = everything[50][1] - everything[40][1]
    yield from everything[:40]
    yield from ((packet, time - gap) for packet, time in everything[50:])


def at_a_constant_rate(them: Packets) -> Packets:
    return ((packet, 100 * number) for number, (packet, _) in enumerate(them))


def encoded_again(source: Path, target: Path) -> Path:
    """As a program does that makes videos of a constant rate."""
    writer = VideoWriter(target, 322, 182, RecordSettings())
    with av.open(str(source)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            writer.write(frame.to_ndarray(format="bgra"), number * 100_000_000)
    writer.close()
    return target


def another(target: Path) -> Path:
    """Of the same size and length, with the same times."""
    return write_session(target.parent / "another", colours=True).video_file


@pytest.mark.parametrize(
    ("way", "shift"),
    [
        (("mp4", "matroska"), lambda them: them),
        (("mov",), later),
        (("mpegts",), later),
        (("mpegts", "mp4", "flv", "matroska"), lambda them: them),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "",
)
def test_a_copy_in_another_container_gives_the_same_labels(
    way: tuple[str, ...], shift: Callable[[Packets], Packets], session: Session, tmp_path: Path
) -> None:
    assert acpilot("convert", str(session.folder), folder=tmp_path)[0] == 0
    labels = session.labels_file.read_bytes()
    video = session.video_file
    for number, kind in enumerate(way):
        video = copy(video, tmp_path / str(number), kind, shift)
    video.replace(session.video_file)
    assert np.ptp(video_times(session)) > 5
    code, output = acpilot("convert", str(session.folder), folder=tmp_path)
    assert code == 0, output
    assert session.labels_file.read_bytes() == labels


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda source, target: copy(source, target, "matroska", without_the_start), "first pictures"),
        (lambda source, target: copy(source, target, "matroska", begun_anew), "first pictures"),
        (lambda source, target: copy(source, target, "matroska", without_the_middle), "other times"),
        (lambda source, target: copy(source, target, "matroska", at_a_constant_rate), "other times"),
        (encoded_again, "first pictures"),
        (lambda _, target: another(target), "first pictures"),
    ],
    ids=["start cut off", "start cut off, times anew", "middle cut out", "retimed", "encoded again", "another"],
)
def test_a_video_that_is_not_the_sessions_is_refused(
    wrong: Callable[[Path, Path], Path], why: str, session: Session, tmp_path: Path
) -> None:
    wrong(session.video_file, tmp_path / "wrong").replace(session.video_file)
    with pytest.raises(AcpilotError, match=why):
        video_times(session)


def test_every_reader_refuses_it_in_a_line(session: Session, tmp_path: Path) -> None:
    another(tmp_path / "wrong").replace(session.video_file)
    for command in (("convert",), ("lag",), ("report",), ("view", "--save", str(tmp_path / "session.rrd"))):
        line = one_line(*acpilot(command[0], str(session.folder), *command[1:], folder=tmp_path))
        assert f"{session.video_file} is not the video of this session" in line
    code, output = acpilot("check", str(session.folder), folder=tmp_path)
    assert code == 1
    assert "is not the video of this session" in output
    assert "no label is off" not in output
    assert not session.images_folder.exists()


def test_a_video_of_another_size_is_refused(session: Session, tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "other", 320, 180, RecordSettings())
    for number in range(FRAMES):
        writer.write(np.zeros((180, 320, 4), np.uint8), number * 100_000_000)
    writer.close()
    (tmp_path / "other").replace(session.video_file)
    assert "320x180, not 322x182" in one_line(*acpilot("convert", str(session.folder), folder=tmp_path))


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_video_that_was_cut_short_is_still_the_sessions(share: float, session: Session, tmp_path: Path) -> None:
    os.truncate(session.video_file, int(share * session.video_file.stat().st_size))
    code, output = acpilot("convert", str(session.folder), folder=tmp_path)
    assert code == 1
    assert "is truncated" in output
    assert 10 < len(list(session.images())) < FRAMES


def test_a_few_damaged_packets_do_not_make_it_another(session: Session) -> None:
    raw = bytearray(session.video_file.read_bytes())
    places = [packet.pos for packet, _ in packets(session.video_file)]
    for number in (3, 9, 14):
        raw[places[number] + 12] ^= 0xFF
    session.video_file.write_bytes(raw)
    assert len(video_times(session)) == FRAMES


def test_a_session_without_a_fingerprint_is_taken_as_it_is(session: Session, tmp_path: Path) -> None:
    session.manifest.video = None
    session.save()
    copy(session.video_file, tmp_path / "cut", "matroska", without_the_start).replace(session.video_file)
    assert len(video_times(Session.open(session.folder))) == FRAMES - 20


def test_the_fingerprint_survives_the_manifest(session: Session, tmp_path: Path) -> None:
    copied = Session.open(Path(shutil.copytree(session.folder, tmp_path / "copied")))
    assert copied.manifest.video == session.manifest.video
    assert copied.manifest.video is not None
    assert (copied.manifest.video.frames, copied.manifest.video.width) == (FRAMES, 322)
