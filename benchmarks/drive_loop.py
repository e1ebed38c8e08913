"""How fast the driving loop is, from grab to gamepad, against the original tool's: ``python benchmarks/drive_loop.py``.

On a still window of 1280×720 both grab, prepare, ask the same network (PilotNet, untrained, with the original's inputs:
the lowest 150 rows, BGR, 0 to 1) and set the virtual gamepad, in turns, in one process:

- acpilot's ``DrivingLoop``, the network in an ONNX file; all that it checks in each cycle is checked here too;
- a loop as the original's test_ac.py has it, without its sleep: a new grab object for each frame, the whole frame
  converted, frame, band and what the network sees shown in windows, the network in a TensorFlow session;
- the same without the windows.

Of the first the latency in these turns is told; then acpilot's loop runs at 60 Hz: latency, and how far cycles start
from their ticks. Needs TensorFlow and OpenCV: ``pip install opencv-python``.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import mss
import numpy as np
import torch
from PIL import Image
from Xlib import X
from Xlib import display as xdisplay

from acpilot.cli import faults_in_a_line
from acpilot.clock import NS
from acpilot.demo import virtual_display
from acpilot.desktop.capture import open_capture
from acpilot.desktop.window import find_window
from acpilot.driving.game import Game
from acpilot.driving.loop import DrivingLoop
from acpilot.driving.settings import DriveSettings
from acpilot.driving.virtual_gamepad import VirtualGamepad
from acpilot.learning.network import PilotNet
from acpilot.learning.onnx_file import write_onnx
from acpilot.learning.tensorflow_file import write_checkpoint
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.load import load
from acpilot.policy.preprocessing import Preprocessing
from acpilot.policy.tensorflow import import_tensorflow

WIDTH, HEIGHT, ROWS = 1280, 720, 150
TITLE = "acpilot benchmark"
AS_FAST_AS_IT_CAN = 100_000.0
TURN = 0.2  # seconds


def still_window() -> Any:
    """A window with a picture of noise."""
    screen = xdisplay.Display()
    root = screen.screen().root
    window = root.create_window(0, 0, WIDTH, HEIGHT, 0, screen.screen().root_depth)
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    pixmap = root.create_pixmap(WIDTH, HEIGHT, screen.screen().root_depth)
    context = pixmap.create_gc()
    for top in range(0, HEIGHT, 16):  # a request is 256 kB at most
        pixmap.put_pil_image(context, 0, top, Image.fromarray(noise[top : top + 16]))
    window.change_attributes(background_pixmap=pixmap)
    window.set_wm_name(TITLE)
    window.map()
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    screen.sync()
    return screen


def originals_cycle(policy: PolicyFolder, gamepad: VirtualGamepad, windows: bool) -> Callable[[], None]:
    """A cycle of a loop as the original's test_ac.py has it, with or without the three windows that it shows."""
    tf = import_tensorflow()
    session = tf.Session(graph=tf.Graph())
    with session.graph.as_default():
        saver = tf.train.import_meta_graph(str(policy.tensorflow_checkpoint.graph_file))
        saver.restore(session, str(policy.tensorflow_checkpoint.path))
    outputs, x, keep_prob = ["steering:0", "throttle:0", "brake:0"], "x:0", "keep_prob:0"
    names = ("Original", "Cropped", "Resized") if windows else ()
    for name in names:
        cv2.namedWindow(name)
        cv2.moveWindow(name, WIDTH, 0)  # beside the screen: acpilot drives no game that is covered

    def cycle() -> None:
        with mss.MSS() as grabber:
            shot = grabber.grab({"left": 0, "top": 0, "width": WIDTH, "height": HEIGHT})
        frame = cv2.cvtColor(np.array(shot), cv2.COLOR_BGRA2BGR)
        cropped = frame[-ROWS:]
        resized = cv2.resize(cropped, (200, 66))
        for name, picture in zip(names, (frame, cropped, resized), strict=False):
            cv2.imshow(name, picture)
        values = session.run(outputs, {x: [resized.astype(np.float32) / 255.0], keep_prob: 1.0})
        gamepad.set(*(float(value[0][0]) for value in values))
        if windows:
            cv2.waitKey(1)  # draws them

    return cycle


def rates(cycles: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Cycles a second of each; they take turns, since a shared machine's speed changes within seconds."""
    done, taken = [0] * len(cycles), [0.0] * len(cycles)
    while min(taken) < seconds:
        for number, cycle in enumerate(cycles):
            start = time.perf_counter()
            while (spent := time.perf_counter() - start) < TURN:
                cycle()
                done[number] += 1
            taken[number] += spent
    return [count / spent for count, spent in zip(done, taken, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each loop in each round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    crop = (0.0, 1 - ROWS / HEIGHT, 1.0, ROWS / HEIGHT)
    preprocessing = Preprocessing(crop=crop, colours="BGR", scale=1 / 255, offset=0.0, speed=False)
    torch.manual_seed(0)
    network = PilotNet(preprocessing)
    with tempfile.TemporaryDirectory() as folder, virtual_display():
        policy = PolicyFolder(Path(folder))
        write_onnx(network, preprocessing, {}, policy.onnx_file)
        write_checkpoint(network, preprocessing, {}, policy.tensorflow_checkpoint)
        screen = still_window()
        window = find_window(TITLE)
        camera, _ = open_capture("auto", window)
        with VirtualGamepad("acpilot_benchmark") as gamepad:
            game, onnx = Game(window, camera, None), load(policy.onnx_file)
            ours = DrivingLoop(onnx, game, gamepad, DriveSettings(rate=AS_FAST_AS_IT_CAN))
            loops = [originals_cycle(policy, gamepad, windows) for windows in (True, False)] + [ours.cycle]
            rates(loops, 1.0)
            found = [rates(loops, arguments.seconds) for _ in range(arguments.rounds)]
            for original, bare, acpilot in found:
                print(
                    f"cycles a second: original {original:.1f}, without its windows {bare:.1f}, acpilot {acpilot:.1f}: "
                    f"× {acpilot / original:.2f}, × {acpilot / bare:.2f}"
                )
            of_original, of_bare = (median(each[2] / each[which] for each in found) for which in (0, 1))
            print(f"median × {of_original:.2f} (target 5), without its windows × {of_bare:.2f}")
            told = [ours.latency.percentile_ms(share) for share in (0.5, 0.99)]
            print(f"meanwhile: grab to gamepad median {told[0]:.2f} ms (target 3), p99 {told[1]:.2f} ms (target 6)")
            at_60 = DrivingLoop(onnx, game, gamepad, DriveSettings(rate=60.0))
            jitter = [
                (at_60.cycle().instant - at_60.pacer.instant_of(at_60.pacer.tick)) / NS * 1e3
                for _ in range(round(60 * arguments.seconds * arguments.rounds))
            ]
            uneven = np.abs(np.diff(jitter))
            told = [at_60.latency.percentile_ms(share) for share in (0.5, 0.99, 1.0)]
            print(
                f"at 60 Hz: grab to gamepad median {told[0]:.2f} ms (target 3), p99 {told[1]:.2f} ms (target 6), worst "
                f"{told[2]:.2f} ms; {at_60.pacer.report()}"
            )
            print(
                f"grab begins after its tick: median {np.median(jitter):.2f} ms, p99 {np.quantile(jitter, 0.99):.2f} "
                f"ms; p99 jitter of the time between two grabs {np.quantile(uneven, 0.99):.2f} ms"
            )
        camera.close()
        window.close()
        screen.close()


if __name__ == "__main__":
    with faults_in_a_line():
        main()
