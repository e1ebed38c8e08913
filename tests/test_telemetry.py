"""The way of the numbers: published pages → sampler → raw log → columns."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acpilot.errors import AcpilotError
from acpilot.telemetry.log import TelemetryWriter, read_telemetry
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, Status
from acpilot.telemetry.sample import FIELDS, columns, pages_of, record_batch
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PagePublisher, PageReader
from conftest import wait_for

# Every four bytes of the page hold the packet counter, so that a torn page shows. Nobody knows in which order the game
# writes: as the practice game does, in one go, or the counter first and the rest in two pieces.
WRITER = """
import signal, struct, sys, time
from acpilot.telemetry.shared_memory import PagePublisher, create_mapping
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with PagePublisher(sys.argv[1]) as publisher:
    mapping = create_mapping(sys.argv[1] + "_physics", 2048)
    print("ready", flush=True)
    for n in range(1, 1 << 30):
        page = struct.pack("<145i", *[n] * 145)
        if sys.argv[2] == "practice":
            publisher.publish_physics(page)
        elif sys.argv[2] == "at once":
            mapping[:580] = page
        else:
            mapping[:300] = page[:300]
            mapping[300:580] = page[300:]
        until = time.perf_counter_ns() + 50_000
        while time.perf_counter_ns() < until:
            pass
"""


@given(st.binary(min_size=876, max_size=876), st.integers(1, 3))
def test_pages_made_of_samples_are_those_that_were_read(raw: bytes, count: int) -> None:
    physics = np.frombuffer(raw[:580] * count, PHYSICS)
    graphics = np.frombuffer(raw[580:] * count, GRAPHICS)
    batch = record_batch(np.arange(count), physics, graphics)
    again = pages_of(columns(pa.Table.from_batches([batch])))
    for field in FIELDS[1:]:
        before, after = (pages[field.page is GRAPHICS][field.source] for pages in ((physics, graphics), again))
        assert before.tobytes() == after.tobytes(), field.name


def start_writer(pages: str, manner: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, pages, manner]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def publish_step(publisher: PagePublisher, packet_id: int, status: Status = Status.LIVE) -> None:
    physics, graphics = np.zeros((), PHYSICS), np.zeros((), GRAPHICS)
    physics["packet_id"], physics["gas"], physics["gear"] = packet_id, packet_id / 1000, 3
    graphics["status"] = status
    publisher.publish_graphics(graphics.tobytes())
    publisher.publish_physics(physics.tobytes())


def write_log(path: Path, samples: int, batch: int = 10) -> None:
    physics, graphics = np.zeros(samples, PHYSICS), np.zeros(samples, GRAPHICS)
    physics["packet_id"] = np.arange(samples)
    physics["velocity"] = np.arange(3 * samples).reshape(-1, 3)
    writer = TelemetryWriter(path)
    for i in range(0, samples, batch):
        part = slice(i, i + batch)
        writer.write(np.arange(samples)[part], physics[part], graphics[part])
    writer.close()


def wait_for_samples(sampler: Sampler, count: int) -> None:
    wait_for(lambda: sampler.counts.samples == count, f"sample {count}")


def test_what_is_published_is_read(pages: str) -> None:
    assert PageReader.open(pages) is None
    with PagePublisher(pages) as publisher:
        static = np.zeros((), STATIC)
        static["max_rpm"] = 8000
        publisher.publish_static(static.tobytes())
        publish_step(publisher, 42)
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            page = reader.physics()
            assert page is not None
            assert np.frombuffer(page, PHYSICS)[0]["packet_id"] == 42
            assert reader.status() == Status.LIVE
            assert reader.static()["max_rpm"] == 8000
    assert PageReader.open(pages) is None, "the publisher takes the pages away"


def test_a_file_left_behind_is_not_live(pages: str) -> None:
    with PagePublisher(pages) as publisher:
        publish_step(publisher, 7)
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            assert not reader.is_live(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="files under /dev/shm are Linux'")
def test_a_file_shorter_than_the_page_is_no_page(pages: str) -> None:
    short = Path("/dev/shm") / f"{pages}_physics"
    short.write_bytes(bytes(100))
    try:
        assert PageReader.open(pages) is None
    finally:
        short.unlink()


def test_two_games_do_not_share_the_pages(pages: str) -> None:
    game = start_writer(pages, "practice")
    try:
        with pytest.raises(AcpilotError, match="another game is already publishing"):
            PagePublisher(pages)
    finally:
        game.terminate()
        game.communicate()


@pytest.mark.real_time
@pytest.mark.parametrize("manner", ["practice", "at once", "in pieces"])
def test_torn_pages_are_not_read(manner: str, pages: str) -> None:
    game = start_writer(pages, manner)
    try:
        reader = PageReader.open(pages)
        assert reader is not None
        whole = torn = 0
        mixed: set[bytes] = set()
        with reader:
            deadline = time.monotonic() + 30
            while (whole < 30_000 or not torn) and time.monotonic() < deadline:
                page = reader.physics()
                if page is None:
                    torn += 1
                else:
                    whole += 1
                    if page != page[:4] * 145:
                        mixed.add(page)
        assert whole >= 30_000
        # Without its help, a writer that the system stops half-way through a page cannot be told from one that is done:
        # until it goes on, that page is read again and again.
        assert len(mixed) <= (0 if manner == "practice" else 30)
        assert torn, "the writer never met the reader: the test has shown nothing"
    finally:
        game.terminate()
        game.communicate()


def test_sampler_logs_each_step_once_and_counts_the_lost(pages: str, tmp_path: Path) -> None:
    log = tmp_path / "telemetry.arrow"
    with PagePublisher(pages) as publisher:
        publish_step(publisher, 1)
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            sampler = Sampler(reader, TelemetryWriter(log))
            sampler.start()
            for expected, packet_id in enumerate((1, 2, 3, 7, 8), start=1):  # 4, 5 and 6 are never to be seen
                publish_step(publisher, packet_id)
                wait_for_samples(sampler, expected)
            publish_step(publisher, 8, Status.PAUSE)
            wait_for(lambda: sampler.status == Status.PAUSE, "the pause")
            publish_step(publisher, 1)
            wait_for(lambda: sampler.counts.restarts == 1, "the restart")
            sampler.stop()
    assert sampler.counts.lost == 3
    samples = read_telemetry(log)
    assert samples["packet_id"].tolist() == [1, 2, 3, 7, 8, 8, 1]
    assert samples["status"].tolist() == [2, 2, 2, 2, 2, 3, 2]
    assert samples["gear"].tolist() == [2] * 7, "the game's 3 is second gear"
    assert np.all(np.diff(samples["instant"]) > 0)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux'")
def test_sampler_reports_a_log_that_cannot_be_written(pages: str) -> None:
    with PagePublisher(pages) as publisher:
        publish_step(publisher, 1)
        reader = PageReader.open(pages)
        assert reader is not None
        with reader:
            sampler = Sampler(reader, TelemetryWriter(Path("/dev/full")))
            sampler.start()
            deadline = time.monotonic() + 20
            packet_id = 1
            while sampler.failure is None and time.monotonic() < deadline:
                packet_id += 1
                publish_step(publisher, packet_id)
                time.sleep(0.003)
            sampler.stop()
    assert sampler.failure is not None


@settings(max_examples=40)
@given(share=st.floats(0, 1))
def test_a_log_cut_anywhere_gives_all_whole_batches(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("log")
    whole, cut = folder / "whole.arrow", folder / "cut.arrow"
    write_log(whole, 40)
    raw = whole.read_bytes()
    length = round(share * len(raw))
    cut.write_bytes(raw[:length])
    try:
        samples = read_telemetry(cut)
    except AcpilotError:
        assert length < len(raw) // 2, "the first batch is whole by then"
        return
    count = len(samples["instant"])
    assert count % 10 == 0
    assert samples["packet_id"].tolist() == list(range(count))
    assert samples["velocity"].shape == (count, 3)
    assert length < len(raw) or count == 40


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 400])
def test_what_is_no_log_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "telemetry.arrow"
    path.write_bytes(content)
    with pytest.raises(AcpilotError, match=r"telemetry\.arrow .*damaged") as error:
        read_telemetry(path)
    assert "\n" not in str(error.value)
