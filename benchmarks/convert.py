"""How fast is acpilot convert? Against FFmpeg, the original tool's way, and what decoding and encoding cost.

Needs ffmpeg (Debian: apt-get install ffmpeg) and OpenCV (pip install opencv-python-headless) beside acpilot itself.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import av
import numpy as np

from acpilot.clock import NS
from acpilot.dataset.images import image_encoder
from acpilot.session import Session
from acpilot.settings import ConvertSettings
from practice_session import make_session

_SEEKS = 60
_PICTURES = 300


def acpilot(session: Session) -> tuple[float, float]:
    """Run acpilot convert on a session that is not converted: wall seconds, and the most memory it held, MB."""
    shutil.rmtree(session.images_folder, ignore_errors=True)
    for made in (session.labels_file, session.conversion_file, session.inputs_file, session.contact_sheet_file):
        made.unlink(missing_ok=True)
    code = (
        "import resource, sys; from acpilot.cli import main\n"
        "try: main()\nfinally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)"
    )
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", code, "convert", str(session.folder)], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, float(result.stderr.split()[-1])


def ffmpeg(session: Session, folder: Path) -> float:
    """The command line that writes the same pictures: wall seconds."""
    out = folder / "ffmpeg"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.perf_counter()
    subprocess.run(
        ["ffmpeg", "-v", "error", "-threads", str(os.cpu_count()), "-i", session.video_file, "-fps_mode", "passthrough",
         "-q:v", "2", "-threads", str(os.cpu_count()), out / "frame_%06d.jpg"],
        check=True,
    )  # fmt: skip
    return time.perf_counter() - start


def seeking(session: Session, folder: Path, frames: int) -> float:
    """The original tool's loop, on some frames spread over the video: wall seconds a frame."""
    import cv2

    out = folder / "seeking"
    out.mkdir(exist_ok=True)
    video = cv2.VideoCapture(str(session.video_file))
    start = time.perf_counter()
    for frame in np.linspace(0, frames - 1, _SEEKS).astype(int).tolist():
        video.set(cv2.CAP_PROP_POS_FRAMES, frame)
        there, picture = video.read()
        assert there
        cv2.imwrite(str(out / f"frame_{frame:06d}.jpg"), picture)
    return (time.perf_counter() - start) / _SEEKS


def limit(session: Session) -> float:
    """Processor seconds that decoding and encoding one frame take, each alone on one thread."""
    encode = image_encoder(ConvertSettings())
    with av.open(str(session.video_file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        decoder = container.decode(stream)
        start = time.thread_time()
        frames = [next(decoder) for _ in range(_PICTURES)]
        decoding = time.thread_time() - start
    start = time.thread_time()
    for frame in frames:
        encode(frame)
    return (decoding + time.thread_time() - start) / _PICTURES


def repeated(session: Session, times: int, folder: Path) -> Session:
    """A session in which the drive is repeated, for its length."""
    import pyarrow as pa

    folder.mkdir()
    long = Session(folder)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-stream_loop", str(times - 1), "-i", session.video_file, "-c", "copy",
         long.video_file],
        check=True,
    )  # fmt: skip
    with pa.ipc.open_stream(session.telemetry_file.read_bytes()) as stream:
        table = stream.read_all()
    instants = table.column("instant").to_numpy()
    with pa.ipc.new_stream(str(long.telemetry_file), table.schema) as out:
        for i in range(times):
            moved = pa.array(instants + i * 180 * NS)
            out.write_table(table.set_column(0, table.schema.field(0), moved))
    long.manifest = replace(session.manifest)
    long.save()
    return long


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--hour", action="store_true", help="also how much memory an hour takes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        session = make_session(folder / "made", seconds=arguments.seconds, size=(1280, 720))
        frames = session.manifest.counts.frames
        ours, theirs, seeks, least = [], [], [], []
        for _ in range(arguments.runs):
            wall, memory = acpilot(session)
            ours.append(wall)
            theirs.append(ffmpeg(session, folder))
            seeks.append(seeking(session, folder, frames) * frames)
            least.append(limit(session) * frames / (os.cpu_count() or 1))
        images = sum(path.stat().st_size for path in session.images_folder.iterdir())
        written = sum(path.stat().st_size for path in (folder / "ffmpeg").iterdir())
        print(f"{frames} frames, 1280 × 720, {os.cpu_count()} cores; medians of {arguments.runs} runs")
        print(
            f"acpilot convert      {median(ours):6.1f} s, {images / frames / 1e3:.0f} kB an image, {memory:.0f} MB held"
        )
        print(f"ffmpeg -q:v 2        {median(theirs):6.1f} s, {written / frames / 1e3:.0f} kB an image")
        print(f"seeking, OpenCV      {median(seeks):6.1f} s (from {_SEEKS} frames)")
        print(f"decode + encode      {median(least):6.1f} s (the limit)")
        for what, others in (("ffmpeg", theirs), ("seeking", seeks)):
            ratios = [other / mine for other, mine in zip(others, ours, strict=True)]
            print(f"{median(ratios):.2f} × the speed of {what}")
        print(f"{median(mine / other for mine, other in zip(ours, least, strict=True)):.2f} × the limit's time")
        if arguments.hour:
            long = repeated(session, round(3600 / arguments.seconds), folder / "long")
            wall, more = acpilot(long)
            print(f"an hour: {wall:.0f} s, {more:.0f} MB held")


if __name__ == "__main__":
    main()
