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
from acpilot.dataset.settings import ConvertSettings
from acpilot.session.folder import Session
from practice_session import make_session

_SEEKS = 60
_PICTURES = 300


def acpilot(session: Session) -> tuple[float, float]:
    """Run acpilot convert on a session that is not converted: wall seconds, and the most memory it held, MB."""
    shutil.rmtree(session.images_folder, ignore_errors=True)
    for made in (session.labels_file, session.conversion_file, session.inputs_file, session.contact_sheet_file):
        made.unlink(missing_ok=True)
    code = (
        "import re, sys; from pathlib import Path; from acpilot.cli import main\n"
        "try: main()\n"
        "finally: print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1], file=sys.stderr)"
    )
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", code, "convert", str(session.folder)], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, int(result.stderr.split()[-1]) / 1024


def as_obs_writes(session: Session) -> None:
    """Encode the video anew with OBS' settings: a key frame every 250 frames, B-frames."""
    made = session.folder / "obs.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", session.video_file, "-fps_mode", "passthrough", "-c:v", "libx264", "-preset",
         "veryfast", "-crf", "20", "-g", "250", "-bf", "2", "-colorspace", "bt709", "-color_range", "tv", made],
        check=True,
    )  # fmt: skip
    made.replace(session.video_file)


def ffmpeg(session: Session, folder: Path, quality: str) -> float:
    """The command line that writes the same pictures: wall seconds.

    1 is the quality whose files are nearest in size to ours of quality 95, 2 the best that it takes unasked.
    """
    out = folder / f"ffmpeg{quality}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.perf_counter()
    subprocess.run(
        ["ffmpeg", "-v", "error", "-threads", str(os.cpu_count()), "-i", session.video_file, "-fps_mode", "passthrough",
         "-q:v", quality, "-qmin", quality, "-threads", str(os.cpu_count()), out / "frame_%06d.jpg"],
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


def repeated(session: Session, times: int, seconds: float, folder: Path) -> Session:
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
            moved = pa.array(instants + round(i * seconds * NS))
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
    if not shutil.which("ffmpeg"):
        sys.exit("the ffmpeg program is needed: apt-get install ffmpeg")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = make_session(folder / "made", seconds=arguments.seconds, size=(1280, 720))
        as_obs_writes(session)
        frames = session.manifest.counts.frames
        walls: dict[str, list[float]] = {}
        for _ in range(arguments.runs):
            wall, memory = acpilot(session)
            for what, seconds in (
                ("acpilot convert", wall),
                ("ffmpeg -q:v 1", ffmpeg(session, folder, "1")),
                ("ffmpeg -q:v 2", ffmpeg(session, folder, "2")),
                (f"seeking, OpenCV (from {_SEEKS} frames)", seeking(session, folder, frames) * frames),
                ("the limit: decoding + encoding", limit(session) * frames / (os.cpu_count() or 1)),
            ):
                walls.setdefault(what, []).append(seconds)
        print(f"{frames} frames, 1280 × 720, {os.cpu_count()} cores; medians of {arguments.runs} runs")
        for what, spent in walls.items():
            ratio = median(other / mine for other, mine in zip(spent, walls["acpilot convert"], strict=True))
            print(f"{what:34} {median(spent):6.1f} s   {ratio:5.2f} × acpilot's time")
        for out in (session.images_folder, folder / "ffmpeg1", folder / "ffmpeg2"):
            size = sum(path.stat().st_size for path in out.iterdir()) / frames
            print(f"{out.name:34} {size / 1e3:6.0f} kB an image")
        print(f"acpilot convert held {memory:.0f} MB")
        if arguments.hour:
            long = repeated(session, round(3600 / arguments.seconds), arguments.seconds, folder / "long")
            wall, more = acpilot(long)
            print(f"an hour of video: {wall:.0f} s, {more:.0f} MB held")


if __name__ == "__main__":
    main()
