"""Looks at what a drive needs beyond a recording, and says what is missing and what to do about it."""

from collections.abc import Iterator
from pathlib import Path

from acpilot.driving.xbox_gamepad import load_vgamepad
from acpilot.errors import AcpilotError
from acpilot.recording.doctor import Finding, guarded

_MODELS = ("best_save/model.onnx", "best_save/model.ckpt.index")


def examine() -> Iterator[Finding]:
    """Look at one thing after the other; none of them keeps a recording from working."""
    yield from guarded("gamepad", _gamepad, "note")
    yield from guarded("model", _model, "note")


def _gamepad() -> str:
    load_vgamepad()
    return "vgamepad and its driver answer"


def _model() -> str:
    there = [name for name in _MODELS if Path(name).is_file()]
    if not there:
        raise AcpilotError(f"no trained model yet: none of {', '.join(_MODELS)} is there")
    return ", ".join(there)
