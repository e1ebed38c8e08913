"""How much faster than real time the practice game runs off-screen: ``python benchmarks/practice.py``.

The expert drives at 640×360 and 10 FPS, every frame is read back, the pages are published at every physics step.
Each renderer and camera is run three times in a process of its own; the median is what counts.
"""

import argparse
import re
import statistics
import subprocess
import sys


def measure(renderer: str, seconds: float, fps: float, size: str) -> float:
    """Seconds of game per second, once."""
    command = [
        sys.executable, "-m", "acpilot", "practice", "--fast", "--driver", "expert", "--renderer", renderer,
        "--duration", str(seconds), "--fps", str(fps), "--size", *size.split("x"), "--pages", "acpilot_benchmark",
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"([\d.]+)\s+times\s+real\s+time", output)
    assert match, output
    return float(match[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print("renderer   size      FPS   times real time (median, all)")
    for renderer in ("opengl", "software"):
        for size, fps in (("640x360", 10.0), ("640x360", 30.0), ("1280x720", 10.0)):
            runs = [measure(renderer, arguments.seconds, fps, size) for _ in range(arguments.runs)]
            target = "  target 8" if (renderer, size, fps) == ("opengl", "640x360", 10.0) else ""
            print(f"{renderer:9}  {size:8}  {fps:3g}   {statistics.median(runs):5.1f}  {runs}{target}", flush=True)


if __name__ == "__main__":
    main()
