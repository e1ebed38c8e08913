"""A network → a TensorFlow checkpoint, which drives as the ONNX file does."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.files import replace
from acpilot.learning.network import PilotNet
from acpilot.policy.folder import TensorflowCheckpoint
from acpilot.policy.metadata import PREPROCESSING, PROVENANCE
from acpilot.policy.policy import LIMITS
from acpilot.policy.preprocessing import Preprocessing
from acpilot.policy.tensorflow import import_tensorflow


def write_checkpoint(
    network: PilotNet, preprocessing: Preprocessing, provenance: dict[str, Any], checkpoint: TensorflowCheckpoint
) -> None:
    """Write a network that is on the processor; each file is there whole or not at all, the graph last.

    Args:
        network: trained.
        preprocessing: what it was trained with.
        provenance: what it was trained on, and how: plain JSON values.
        checkpoint: the files; ``tf.train.latest_checkpoint`` finds them too.

    Raises:
        AcpilotError: TensorFlow is not installed.
        OSError: the files cannot be written.
    """
    tf = import_tensorflow()
    from acpilot.learning.tensorflow_model import create_model

    values = _values(network, preprocessing)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        x = tf.placeholder(tf.float32, [None, *preprocessing.input_shape], name="x")
        create_model(x, tf.placeholder(tf.float32, [], name="keep_prob"))
        for variable in tf.global_variables():
            variable.load(values.pop(variable.op.name), session)
        assert not values, f"the graph has no place for {', '.join(values)}"
        tf.add_to_collection(PREPROCESSING, preprocessing.to_json())
        tf.add_to_collection(PROVENANCE, json.dumps(provenance))
        saver = tf.train.Saver(save_relative_paths=True)
        with tempfile.TemporaryDirectory(dir=checkpoint.path.parent, prefix=".checkpoint_") as folder:
            part = TensorflowCheckpoint(Path(folder) / checkpoint.path.name)
            try:
                saver.save(session, str(part.path))
            except tf.errors.OpError as error:
                raise OSError(error.message) from None
            for file in (*part.files, Path(folder) / "checkpoint"):
                replace(file, checkpoint.path.with_name(file.name))


def _values(network: PilotNet, preprocessing: Preprocessing) -> dict[str, np.ndarray]:
    """Variables of ``create_model``, by name."""
    state = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    order = [network.outputs.index(name) for name in LIMITS]
    values = {
        # The graph's input is the picture by 255.
        "input/scale": np.float32(255 * preprocessing.scale),
        "input/offset": np.float32(preprocessing.offset),
        "speed/recovery": state["recovery"][0] if network.speed else np.float32(0),
        "speed/slowest": state["slowest"][0],
        "speed/fastest": state["fastest"][0],
    }
    values |= {f"output/{name}": state[name][order] for name in ("mean", "deviation", "low", "high")}
    for number in range(1, 6):
        layer = f"convolutions.{2 * (number - 1)}"
        values[f"conv{number}/weights"] = state[f"{layer}.weight"].transpose(2, 3, 1, 0)
        values[f"conv{number}/biases"] = state[f"{layer}.bias"]
    for number, layer in enumerate(("features", "head.0", "head.2", "head.4"), 1):
        values[f"dense{number}/weights"] = state[f"{layer}.weight"].T
        values[f"dense{number}/biases"] = state[f"{layer}.bias"]
    # PyTorch's features are ordered by channel, row and column, TensorFlow's by row, column and channel.
    channels, rows, columns = network.shape_of_features
    features = values["dense1/weights"].reshape(channels, rows, columns, -1)
    values["dense1/weights"] = features.transpose(1, 2, 0, 3).reshape(channels * rows * columns, -1)
    values |= {"place/weights": state["place.weight"].T, "place/biases": state["place.bias"]}
    if not network.speed:  # the graph always has the two: they count for nothing
        values["dense2/weights"] = np.pad(values["dense2/weights"], ((0, 2), (0, 0)))
    values["dense4/weights"], values["dense4/biases"] = (
        values["dense4/weights"][:, order],
        values["dense4/biases"][order],
    )
    return values
