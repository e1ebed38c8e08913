"""A policy's file → the policy, by the file's name."""

from pathlib import Path

from acpilot.errors import AcpilotError
from acpilot.policy.folder import PolicyFolder, TensorflowCheckpoint
from acpilot.policy.policy import Policy


def load(path: Path, outputs: str | None = None) -> Policy:
    """Load a policy; no code of its file is ever run.

    Args:
        path: its file, the common part of the names of a TensorFlow checkpoint's files, or the folder that
            ``acpilot train`` made.
        outputs: what a TensorFlow checkpoint that acpilot did not write gives, see ``TensorflowPolicy``.

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
        raise AcpilotError(f"there is no policy at {path}: train one with 'acpilot train DATASET --out FOLDER'")
    if path.suffix.lower() != ".onnx":
        raise AcpilotError(
            f"{path} is no policy that acpilot knows: it reads .onnx, and TensorFlow checkpoints of three files, "
            ".meta, .index and .data-00000-of-00001"
        )
    if outputs is not None:
        raise AcpilotError(f"{path} says itself what it gives: leave --outputs out")
    from acpilot.policy.onnx import OnnxPolicy

    return OnnxPolicy(path)
