"""A network → an ONNX file that is all that is needed to drive."""

import copy
import io
import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from acpilot.files import write_atomically
from acpilot.learning.network import PilotNet
from acpilot.policy.metadata import PREPROCESSING, PROVENANCE
from acpilot.policy.onnx import COMMAND, IMAGE, SPEED
from acpilot.policy.preprocessing import Preprocessing

_OPSET = 17


def write_onnx(network: PilotNet, preprocessing: Preprocessing, provenance: dict[str, Any], path: Path) -> None:
    """Write a network that is on the processor; the file is there whole or not at all.

    Args:
        network: trained.
        preprocessing: what it was trained with.
        provenance: what it was trained on, and how: plain JSON values.
        path: the file.
    """
    image = torch.zeros(1, *preprocessing.input_shape, dtype=torch.uint8)
    inputs = {IMAGE: image, SPEED: torch.zeros(1, 1)} if preprocessing.speed else {IMAGE: image}
    raw = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs one package more and twenty times as long for the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            _taking_plain_pixels(network.eval()),
            tuple(inputs.values()),
            raw,  # type: ignore[arg-type] # its hint lacks streams
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=[COMMAND],
            dynamic_axes={name: {0: "n"} for name in (*inputs, COMMAND)},
        )
    model = onnx.load_model_from_string(raw.getvalue())
    onnx.helper.set_model_props(model, {PREPROCESSING: preprocessing.to_json(), PROVENANCE: json.dumps(provenance)})
    onnx.checker.check_model(model)
    write_atomically(path, model.SerializeToString())


@torch.no_grad()
def _taking_plain_pixels(network: PilotNet) -> PilotNet:
    """The same network with scale and offset of the pixels in its first layer: each picture is gone over once less."""
    plain = copy.deepcopy(network)
    first = plain.convolutions[0]
    assert isinstance(first, torch.nn.Conv2d)
    assert first.bias is not None
    first.bias += plain.offset * first.weight.sum(dim=(1, 2, 3))
    first.weight *= plain.scale
    plain.scale, plain.offset = 1.0, 0.0
    return plain
