"""A policy's file, or a function of the user's that makes one → the policy."""

import importlib
import re
import sys
from pathlib import Path

from acpilot.errors import AcpilotError
from acpilot.policy.folder import PolicyFolder, TensorflowCheckpoint
from acpilot.policy.policy import Device, Policy

_ENTRY_POINT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def open_policy(name: str, outputs: str | None = None, device: Device = "cpu") -> Policy:
    """A policy, by what a user calls it.

    Args:
        name: of its file, as for ``load``; or ``package.module:factory``, a function without arguments that returns a
            ``Policy``. Only an entry point runs code of the user's.
        outputs: of a TensorFlow checkpoint, as for ``load``.
        device: where it is computed, as for ``load``.

    Raises:
        AcpilotError: there is no such policy, or it cannot be used.
    """
    found = _ENTRY_POINT.fullmatch(name)
    if found is None or Path(name).exists():
        return load(Path(name), outputs, device)
    if outputs is not None:
        raise AcpilotError(f"{name} is no TensorFlow checkpoint: leave --outputs out")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as python -m does
    try:
        factory = getattr(importlib.import_module(found[1]), found[2])
    except (ImportError, AttributeError) as error:
        raise AcpilotError(
            f"{name} cannot be imported: {error}; give a policy's file, or package.module:factory"
        ) from None
    policy: Policy = factory()
    if missing := [member for member in ("name", "rate", "band", "drive", "reset") if not hasattr(policy, member)]:
        raise AcpilotError(f"{name} made no policy: its {type(policy).__name__} lacks {', '.join(missing)}")
    return policy


def load(path: Path, outputs: str | None = None, device: Device = "cpu") -> Policy:
    """Load a policy; no code of its file is ever run.

    Args:
        path: its file, the common part of the names of a TensorFlow checkpoint's files, or the folder that
            ``acpilot train`` made.
        outputs: what a TensorFlow checkpoint that acpilot did not write gives, see ``TensorflowPolicy``.
        device: where an ONNX file is computed; TensorFlow chooses for itself.

    Raises:
        AcpilotError: there is none, or it is damaged or no policy.
    """
    if path.is_dir():
        folder = PolicyFolder(path)
        of_tensorflow = not folder.onnx_file.exists() and not folder.tensorflow_checkpoint.missing
        path = folder.tensorflow_checkpoint.path if of_tensorflow else folder.onnx_file
    checkpoint = TensorflowCheckpoint(path)
    some_of_it = len(checkpoint.missing) < len(checkpoint.files)
    if checkpoint.path != path or (some_of_it and not path.is_file()):
        from acpilot.policy.tensorflow_checkpoint import TensorflowPolicy

        return TensorflowPolicy(path, outputs)
    if not path.is_file():
        raise AcpilotError(f"there is no policy at {path}: train one with acpilot train DATASET --out FOLDER")
    if path.suffix.lower() != ".onnx":
        raise AcpilotError(
            f"{path} is no policy that acpilot knows: it reads .onnx, and TensorFlow checkpoints of three files, "
            ".meta, .index and .data-00000-of-00001"
        )
    if outputs is not None:
        raise AcpilotError(f"{path} says itself what it gives: leave --outputs out")
    from acpilot.policy.onnx import OnnxPolicy

    return OnnxPolicy(path, device)
