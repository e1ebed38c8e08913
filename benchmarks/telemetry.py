"""What the sampler sees and costs: ``python benchmarks/telemetry.py [--seconds 20] [--runs 5] [--beside practice]``.

A process of its own publishes pages at 333.3 Hz (a bare counter, or the whole practice game with its window's picture
drawn); the sampler logs them here, with its writer. Printed: the share of the published steps that was logged, and the
processor time of this process's sampling and writing.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from acpilot.clock import NS, Pacer, now
from acpilot.telemetry.log import TelemetryWriter, read_telemetry
from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, Status
from acpilot.telemetry.sampler import Sampler
from acpilot.telemetry.shared_memory import PagePublisher, PageReader

PAGES = "acpilot_benchmark"


def publish_counter() -> None:
    """Publish a counter at 333.3 Hz until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    physics, graphics = np.zeros((), PHYSICS), np.zeros((), GRAPHICS)
    graphics["status"] = Status.LIVE
    with PagePublisher(PAGES) as publisher:
        publisher.publish_static(np.zeros((), STATIC).tobytes())
        publisher.publish_graphics(graphics.tobytes())
        pacer = Pacer(1000 / 3)
        while True:
            pacer.wait()
            physics["packet_id"] += 1
            publisher.publish_physics(physics.tobytes())


def measure(pages: PageReader, seconds: float) -> tuple[float, float, np.ndarray]:
    """Share of the steps seen, processor time as a share of a core, and milliseconds between samples: one run."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "telemetry.arrow"
        sampler = Sampler(pages, TelemetryWriter(log))
        sampler.start()
        time.sleep(1)  # what is measured is the steady state
        before, start = time.process_time(), now()
        time.sleep(seconds)
        cost = (time.process_time() - before) / ((now() - start) / NS)
        sampler.stop()
        return sampler.counts.seen_share, cost, np.diff(read_telemetry(log)["instant"]) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside", choices=("counter", "practice"), default="counter")
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish_counter()
    if arguments.beside == "counter":
        command = [sys.executable, __file__, "--publish"]
    else:
        command = [sys.executable, "-m", "acpilot", "practice", "--driver", "expert", "--headless", "--pages", PAGES]
    game = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = now() + 30 * NS
        while (pages := PageReader.open(PAGES)) is None or not pages.is_live(1.0):
            if now() > deadline:
                sys.exit("the game did not start")
        sys.setswitchinterval(0.0005)  # as while recording
        print(f"pages published by {arguments.beside}; {arguments.runs} runs of {arguments.seconds:g} s")
        runs = []
        for _ in range(arguments.runs):
            share, cost, steps = measure(pages, arguments.seconds)
            runs.append((share, cost))
            print(
                f"seen {100 * share:.3f} %  processor {100 * cost:.2f} % of a core  between samples: "
                f"median {np.median(steps):.2f} ms, p99 {np.percentile(steps, 99):.2f}, max {steps.max():.1f}",
                flush=True,
            )
        share, cost = np.median(runs, axis=0)
        print(f"median: seen {100 * share:.3f} % (target 99.9), processor {100 * cost:.2f} % (target 3)")
    finally:
        game.terminate()
        game.wait()


if __name__ == "__main__":
    main()
