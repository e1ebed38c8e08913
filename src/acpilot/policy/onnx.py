"""Policies in ONNX files, run by ONNX Runtime."""

from pathlib import Path

import numpy as np

from acpilot.commands import install_extra, install_packages
from acpilot.errors import AcpilotError
from acpilot.policy.metadata import PREPROCESSING, PROVENANCE, camera_height
from acpilot.policy.policy import Command, Device
from acpilot.policy.preprocessing import Memory, Preprocessing

try:
    import onnxruntime
except ImportError as error:
    raise AcpilotError(f"driving from an ONNX file needs ONNX Runtime ({error}): {install_extra('drive')}") from None

IMAGE, SPEED, COMMAND = "image", "speed", "command"
"""Names of the inputs uint8 (n, 66, 200, channels) and float32 (n, 1), and of the output float32 (n, 3)."""
_CPU = "CPUExecutionProvider"
_PROVIDERS: dict[Device, tuple[str, str]] = {
    "cuda": ("CUDAExecutionProvider", f"an NVIDIA card with CUDA, and {install_packages('onnxruntime-gpu')}"),
    "directml": ("DmlExecutionProvider", f"Windows, and {install_packages('onnxruntime-directml')}"),
}
"""Of ONNX Runtime, and what each needs."""


class OnnxPolicy:
    """A policy in an ONNX file as ``acpilot train`` writes it; its metadata says what goes in and comes out.

    One thread works it: beside a game, two are no quicker, and at times far slower.
    """

    def __init__(self, path: Path, device: Device = "cpu") -> None:
        """Load it and let it decide once.

        Args:
            path: its file.
            device: where it is computed; auto takes what the installed ONNX Runtime can use, or the processor.

        Raises:
            AcpilotError: it is no ONNX file, says nothing of its preprocessing, or contradicts it; or it cannot be
                computed there.
        """
        self.name = path.name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is said by the exception
        try:
            # From memory: a file given by name could make the runtime read others beside it.
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=[*_wanted(device), _CPU])
        except OSError as error:
            raise AcpilotError(f"{path} cannot be read: {error.strerror or error}") from None
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own errors have no class in common but this
            raise AcpilotError(
                f"{path} is damaged or no ONNX file ({_first_line(error)}): train it again, or copy it anew"
            ) from None
        used = self._session.get_providers()[0]
        self.device: Device = next((name for name, (provider, _) in _PROVIDERS.items() if provider == used), "cpu")
        """Where it is computed."""
        if device not in ("auto", self.device):
            raise AcpilotError(f"ONNX Runtime could not use {device} here: it needs {_PROVIDERS[device][1]}")
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.camera_height = camera_height(metadata.get(PROVENANCE))
        """Metres above the road, of the pictures that it learnt from; None where the file does not tell."""
        text = metadata.get(PREPROCESSING)
        if text is None:
            raise AcpilotError(
                f"{path} does not say how pictures are prepared for it: only files written by acpilot train can drive"
            )
        try:
            self.preprocessing = Preprocessing.from_json(text)
        except AcpilotError as error:
            raise AcpilotError(f"{path} cannot be used: {error}") from None
        self.rate, self.needs_speed = self.preprocessing.rate, self.preprocessing.speed
        self._memory = Memory(self.preprocessing)
        self._refuse_another_shape(path)

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of a picture of that size that it looks at: left, top, width, height, pixels."""
        return self.preprocessing.band(width, height)

    def drive(self, band: np.ndarray, speed_kmh: float) -> Command:
        """Decide, from that part of the newest picture, uint8 (h, w, 3), RGB, and the speed."""
        image = self._memory.add(self.preprocessing.prepare(band))
        return self.preprocessing.command(self.run(image[None], np.array([speed_kmh]))[0].tolist())

    def reset(self) -> None:
        """Forget earlier pictures."""
        self._memory.clear()

    def run(self, images: np.ndarray, speeds_kmh: np.ndarray) -> np.ndarray:
        """The network's outputs, float32 (n, 3), for prepared images, uint8 (n, 66, 200, channels), and speeds (n,)."""
        inputs = {IMAGE: images}
        if self.needs_speed:
            inputs[SPEED] = speeds_kmh.astype(np.float32)[:, None]
        outputs: np.ndarray = self._session.run([COMMAND], inputs)[0]
        return outputs

    def _refuse_another_shape(self, path: Path) -> None:
        height, width, channels = self.preprocessing.input_shape
        expected = {IMAGE: ("tensor(uint8)", [height, width, channels])}
        if self.needs_speed:
            expected[SPEED] = ("tensor(float)", [1])
        found = {each.name: (each.type, each.shape[1:]) for each in self._session.get_inputs()}
        try:
            shape = self.run(np.zeros((1, height, width, channels), np.uint8), np.zeros(1)).shape
        except Exception:  # noqa: BLE001 - as above
            shape = None
        if found != expected or shape != (1, len(self.preprocessing.outputs)):
            raise AcpilotError(
                f"{path} is a network of another shape: it takes {_told(found)} and gives {shape}, its preprocessing "
                f"wants {_told(expected)} and {(1, len(self.preprocessing.outputs))}; only files written by acpilot "
                "train can drive"
            )


def _wanted(device: Device) -> list[str]:
    """The providers to try, besides the processor's."""
    names = list(_PROVIDERS) if device == "auto" else [device] if device in _PROVIDERS else []
    there = onnxruntime.get_available_providers()
    for name in names:
        provider, needs = _PROVIDERS[name]
        if provider not in there and device != "auto":
            raise AcpilotError(
                f"the ONNX Runtime that is installed cannot use {name}: it needs {needs}; or give --device cpu"
            )
    return [_PROVIDERS[name][0] for name in names if _PROVIDERS[name][0] in there]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _told(inputs: dict[str, tuple[str, list[int]]]) -> str:
    return ", ".join(f"{name} {kind} {shape}" for name, (kind, shape) in inputs.items())
