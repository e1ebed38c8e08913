"""scripts/test_ac.py: a checkpoint of the original's shape drives the practice game, as with the original tool."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from acpilot.demo import virtual_display
from acpilot.policy.tensorflow_checkpoint import TensorflowPolicy
from conftest import Game, wait_for
from small_policy import Student
from test_drive import GAME, Car

SCRIPT = Path(__file__).parents[2] / "scripts" / "test_ac.py"
WRITE = """
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x, keep_prob = tf.placeholder(tf.float32, [None, 66, 200, 3]), tf.placeholder(tf.float32)
weights = tf.Variable(np.load("weights.npy"))
bias = tf.Variable(np.load("bias.npy"))
steering = tf.nn.dropout(tf.matmul(tf.reshape(x, [-1, 66 * 200 * 3]), weights) + bias, keep_prob)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    tf.train.Saver().save(session, "best_save/model.ckpt")
"""


def write_checkpoint(folder: Path, weights: np.ndarray, bias: float) -> None:
    """As a user of the original does it, whose pictures are 0 to 1."""
    np.save(folder / "weights.npy", (255 * weights).astype(np.float32)[:, None])
    np.save(folder / "bias.npy", np.array([bias], np.float32))
    subprocess.run([sys.executable, "-c", WRITE], check=True, cwd=folder)


def test_a_checkpoint_of_the_originals_shape_drives_a_lap(tmp_path: Path) -> None:
    (tmp_path / "best_save").mkdir()
    write_checkpoint(tmp_path, np.zeros(66 * 200 * 3), 0.0)
    eyes = TensorflowPolicy(tmp_path / "best_save" / "model.ckpt")
    write_checkpoint(tmp_path, *Student(eyes.band, eyes.preprocessing.prepare).study())
    with virtual_display():
        game = Game("acpilot_test_ac", *GAME)
        try:
            game.wait_until_live()
            car = Car(game)
            flags = ("--gamepad", "virtual", "--pages", game.pages, "--title", game.title)
            process = subprocess.Popen(
                [sys.executable, SCRIPT, *flags],
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "COLUMNS": "400"},
            )  # fmt: skip
            try:
                wait_for(lambda: process.poll() is not None or car.laps >= 1, "a lap", 180)
                process.send_signal(signal.SIGINT)
                output = process.communicate(timeout=30)[0]
            finally:
                process.kill()
        finally:
            game.end()
    assert process.returncode == 0, output
    assert "model.ckpt drives" in output
    assert "it sees what the original's test_ac.py showed" in output
    assert sum(" km/h" in line for line in output.splitlines()) > 30, "a line a second"
    assert car.laps == 1
