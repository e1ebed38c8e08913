"""Trains a network as users of the original tool do, without acpilot: python original_style.py FOLDER KIND.

Writes FOLDER/model.ckpt and, for the test, FOLDER/pictures.npy (uint8) and FOLDER/outputs.npy of its own session.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()


def weights(*shape: int) -> Any:
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1, seed=1))


def biases(count: int) -> Any:
    return tf.Variable(tf.constant(0.1, shape=[count]))


def create_model(x: Any, keep_prob: Any, kind: str) -> Any:
    h = x
    for side, stride, before, after in ((5, 4, 3, 8), (5, 4, 8, 12)):
        convolved = tf.nn.conv2d(h, weights(side, side, before, after), strides=[1, stride, stride, 1], padding="VALID")
        h = tf.nn.relu(convolved + biases(after))
    count = int(np.prod(h.shape[1:]))
    h = tf.nn.relu(tf.matmul(tf.reshape(h, [-1, count]), weights(count, 20)) + biases(20))
    if kind == "python":
        h = tf.ensure_shape(tf.py_func(lambda values: open("executed", "w") and values, [h], tf.float32), [None, 20])
    if kind == "file":
        h = h * tf.strings.to_number(tf.read_file("/etc/hostname"))
    if kind == "dropout last":
        y = tf.nn.dropout(tf.matmul(h, weights(20, 1)) + biases(1), keep_prob)
        y.set_shape([None, 1])  # known here, but not written into the graph
        return y
    if kind == "original":  # more rows than pictures, of which its test_ac.py takes the first
        h = tf.reshape(tf.image.resize(tf.reshape(h, [-1, 4, 5, 1]), [8, 10], method="bilinear"), [-1, 20])
    h = tf.nn.dropout(h, keep_prob)
    if kind == "original":
        steering, speed, throttle, brake = (tf.matmul(h, weights(20, 1)) + biases(1) for _ in range(4))
        parts = [tf.multiply(tf.atan(steering), 2), tf.sigmoid(speed) * 200, tf.sigmoid(throttle), tf.sigmoid(brake)]
        return tf.concat(parts, axis=1)
    if kind == "steering":
        return tf.multiply(tf.atan(tf.matmul(h, weights(20, 1)) + biases(1)), 2)
    if kind == "one tensor":
        return tf.matmul(h, weights(20, 3)) + biases(3)
    steering = tf.tanh(tf.matmul(h, weights(20, 1)) + biases(1))
    brake = tf.sigmoid(tf.matmul(h, weights(20, 1)) + biases(1))
    throttle = tf.sigmoid(tf.matmul(h, weights(20, 1)) + biases(1))
    return steering, brake, throttle


def main(folder: Path, kind: str) -> None:
    x = tf.placeholder(tf.float32, shape=[None, 66, 200, 3])
    keep_prob = tf.placeholder(tf.float32)
    y = create_model(x, keep_prob, kind)
    parts = list(y) if isinstance(y, tuple) else [y]
    labels = [tf.placeholder(tf.float32, shape=[None, int(part.shape[1])]) for part in parts]
    errors = [tf.reduce_mean(tf.square(label - part)) for label, part in zip(labels, parts, strict=True)]
    loss = tf.add_n(errors) + 0.001 * tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables()])
    step = tf.train.AdamOptimizer(1e-3).minimize(loss)
    tf.summary.histogram("steering", parts[0])
    tf.summary.scalar("loss", loss)
    tf.summary.merge_all()
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (8, 66, 200, 3), np.uint8)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        rows = 8 * (4 if kind == "original" else 1)
        if kind not in ("python", "file"):  # their training is of no interest
            for _ in range(3):
                wanted = {label: random.uniform(-0.5, 0.5, (rows, int(label.shape[1]))) for label in labels}
                session.run(step, {x: pictures / 255.0, keep_prob: 0.8, **wanted})
            values = np.concatenate(session.run(parts, {x: pictures / 255.0, keep_prob: 1.0}), axis=1)
            np.save(folder / "outputs.npy", values[:: len(values) // len(pictures)])
        np.save(folder / "pictures.npy", pictures)
        tf.train.Saver().save(session, str(folder / "model.ckpt"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
