"""A policy's file → the policy, by the file's suffix."""

from importlib import import_module
from pathlib import Path

from acpilot.errors import AcpilotError
from acpilot.policy.folder import PolicyFolder
from acpilot.policy.policy import Policy

_KINDS = {".onnx": "acpilot.policy.onnx:OnnxPolicy"}
"""Suffix → the class that reads such a file, imported when it is needed."""


def load(path: Path) -> Policy:
    """Load a policy; no code of its file is ever run.

    Args:
        path: its file, or the folder that ``acpilot train`` made.

    Raises:
        AcpilotError: there is none, or it is damaged or no policy.
    """
    file = PolicyFolder(path).onnx_file if path.is_dir() else path
    if not file.is_file():
        raise AcpilotError(f"there is no policy at {file}: train one with 'acpilot train DATASET --out FOLDER'")
    if file.suffix.lower() not in _KINDS:
        raise AcpilotError(f"{file} is no policy that acpilot knows: it reads {', '.join(_KINDS)}")
    module, name = _KINDS[file.suffix.lower()].split(":")
    policy: Policy = getattr(import_module(module), name)(file)
    return policy
