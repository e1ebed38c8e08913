"""PilotNet as a graph in TensorFlow 1 style; its code needs neither PyTorch nor the rest of the package."""

from typing import Any

import tensorflow.compat.v1 as tf

_SPEED_SCALE = 40.0  # km/h, as in network.py
_CONVOLUTIONS = ((5, 2, 24), (5, 2, 36), (5, 2, 48), (3, 1, 64), (3, 1, 64))
"""Side of the kernel, pixels, stride, and features of each."""
_DENSE = (100, 50, 10, 3)

Tensor = Any
"""Of TensorFlow, which has no types that mypy could read."""


def create_model(x: Tensor, keep_prob: Tensor, speed: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Build the network of ``learning/network.py``; a plain ``tf.train.Saver().restore`` gives it its weights.

    All that ``acpilot train`` found out is in the checkpoint, the normalisation and the outputs' means and limits too.

    Args:
        x: float32 (n, 66, 200, 3), the policy's part of the picture by 255, so 0 … 1, in the policy's order of colours
            (RGB). With earlier pictures (``--past-frames``) it has 3 channels for each, the newest first.
        keep_prob: float32, share of the dense layers' features that is kept while learning; 1 to drive.
        speed: float32 (n, 1), km/h, negative where it is not known. Without it there is a placeholder ``speed:0`` that
            need not be fed: the speed is then not known, which the policy has learnt to bear (``--speed-dropout``).

    Returns:
        Steering −1 … +1, throttle 0 … 1 and brake 0 … 1, float32 (n, 1) each.
    """
    if speed is None:
        unknown = tf.fill([tf.shape(x)[0], 1], -1.0)
        speed = tf.placeholder_with_default(unknown, [None, 1], name="speed")
    hidden = x * _constant("input/scale", (), 2.0) + _constant("input/offset", (), -1.0)
    for number, (side, stride, features) in enumerate(_CONVOLUTIONS, 1):
        weights, biases = _layer(f"conv{number}", (side, side, int(hidden.shape[-1]), features))
        hidden = tf.nn.relu(tf.nn.conv2d(hidden, weights, stride, "VALID") + biases)
    hidden = tf.reshape(hidden, [-1, int(hidden.shape[1] * hidden.shape[2] * hidden.shape[3])])
    for number, features in enumerate(_DENSE, 1):
        if number > 1:
            hidden = tf.nn.dropout(tf.nn.elu(hidden), rate=1 - keep_prob)
        if number == 2:
            weights, biases = _layer("place", (int(hidden.shape[1]), 3))
            wanted, *usual = tf.split(tf.matmul(hidden, weights) + biases, 3, 1)
            hidden = tf.concat([hidden, _known(speed)], 1)
        weights, biases = _layer(f"dense{number}", (int(hidden.shape[1]), features))
        hidden = tf.matmul(hidden, weights) + biases
    outputs = hidden * _constant("output/deviation", (3,), 1.0) + _constant("output/mean", (3,), 0.0)
    steering, *pedals = tf.split(outputs, 3, 1)
    recovery = _constant("speed/recovery", (), 0.0)  # 0 for a network that takes no speed
    push = (_SPEED_SCALE * wanted - speed) / tf.maximum(recovery, 1e-3)
    for i, asked in enumerate((push, -push)):
        most = tf.minimum(pedals[i], tf.maximum(asked, 0))
        pedals[i] = tf.where(recovery > 0, tf.where(speed >= 0, most, usual[i]), pedals[i])
    low, high = _constant("output/low", (3,), [-1.0, 0.0, 0.0]), _constant("output/high", (3,), 1.0)
    outputs = tf.concat([steering, *pedals], 1)
    steering, throttle, brake = tf.split(tf.minimum(tf.maximum(outputs, low), high), 3, 1)
    return tf.identity(steering, "steering"), tf.identity(throttle, "throttle"), tf.identity(brake, "brake")


def _known(speed: Tensor) -> Tensor:
    """The speed as the network takes it, and whether it is known: float32 (n, 2)."""
    known = tf.cast(speed >= 0, tf.float32)
    slowest, fastest = _constant("speed/slowest", (), 0.0), _constant("speed/fastest", (), float("inf"))
    return tf.concat([tf.minimum(tf.maximum(speed, slowest), fastest) * known / _SPEED_SCALE, known], 1)


def _layer(name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    weights = tf.get_variable(f"{name}/weights", shape, initializer=tf.initializers.he_uniform())
    return weights, tf.get_variable(f"{name}/biases", shape[-1:], initializer=tf.initializers.zeros())


def _constant(name: str, shape: tuple[int, ...], value: float | list[float]) -> Tensor:
    """Not learnt, but in the checkpoint."""
    return tf.get_variable(name, shape, initializer=tf.initializers.constant(value), trainable=False)
