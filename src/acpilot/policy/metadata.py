"""What a policy's file says beside its network, whatever its format: two texts by name, both JSON."""

import json

PREPROCESSING, PROVENANCE = "acpilot_preprocessing", "acpilot_provenance"
"""Their names: in an ONNX file of its metadata, in a TensorFlow checkpoint of collections in the ``.meta`` file."""


def camera_height(provenance: str | None) -> float | None:
    """Metres above the road, of the pictures that a policy learnt from; None where its file does not tell."""
    try:
        return float(json.loads(provenance or "")["settings"]["camera_height"])
    except (ValueError, KeyError, TypeError):
        return None
