"""Policies in TensorFlow checkpoints: those of ``acpilot train``, and those trained in the original's style."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from acpilot.errors import AcpilotError
from acpilot.policy.folder import TensorflowCheckpoint
from acpilot.policy.metadata import PREPROCESSING, PROVENANCE, camera_height
from acpilot.policy.policy import LIMITS, Command
from acpilot.policy.preprocessing import Memory, Preprocessing
from acpilot.policy.tensorflow import SPEED, import_tensorflow
from acpilot.policy.tensorflow_graph import Column, DrivingGraph

_ROWS = 150
"""The original's ``test_ac.py`` looks at so many rows at the picture's lower edge, colours in OpenCV's order."""
_ORIGINALS = ("steering", "speed", "throttle", "brake")
"""What the original's ``create_model`` gives."""
_UNUSED = ("speed", "gear")
"""What the original's networks give too, and nothing is driven by."""
_CRUISE, _GENTLE = 50.0, 10.0
"""km/h: the speed that is held for a policy without throttle, and how far below it the throttle is full."""


class TensorflowPolicy:
    """A policy in the three files of a TensorFlow checkpoint.

    One that ``acpilot train`` wrote says itself what goes in and comes out. Of another, ``outputs`` says what comes
    out, and its pictures are prepared as the original's ``test_ac.py`` did it. Pictures go in divided by 255.
    One thread works it, as with ONNX files.
    """

    def __init__(self, path: Path, outputs: str | None = None) -> None:
        """Load it and let it decide once.

        Args:
            path: what the names of its files have in common, such as ``best_save/model.ckpt``, or one of the files.
            outputs: what it gives, in its order, such as ``steering,brake,throttle``, speed and gear too, which are
                not used; or, of tensors of its graph, ``steering=TENSOR,brake=TENSOR``. A network that gives one
                number, or those of the original, needs none.

        Raises:
            AcpilotError: a file is missing or damaged, or it is no network that could drive.
        """
        checkpoint = TensorflowCheckpoint(path)
        _refuse_incomplete(checkpoint)
        tf = import_tensorflow()
        self.name, self.note = checkpoint.path.name, ""
        try:
            meta = tf.MetaGraphDef.FromString(checkpoint.graph_file.read_bytes())
            network = DrivingGraph(tf, meta, tf.train.load_checkpoint(str(checkpoint.path)))
            text = _stored(meta, PREPROCESSING)
            stored = None if text is None else Preprocessing.from_json(text)
            self.camera_height = camera_height(_stored(meta, PROVENANCE))
            """Metres above the road, of the pictures that it learnt from; None where the file does not tell."""
            self._outputs = _own(network, stored, outputs) if stored else _chosen(network, outputs)
            self.preprocessing = stored or self._assumed(network.image.shape.as_list())
            self._image, self._inputs = network.image, network.switches
            self._speed = network.graph.get_tensor_by_name(SPEED) if self.preprocessing.speed else None
            options = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
            self._session = tf.Session(graph=network.graph, config=options)
            self.run(np.zeros((1, *self.preprocessing.input_shape), np.uint8), np.zeros(1))
        except AcpilotError as error:
            raise AcpilotError(f"{checkpoint.path} cannot be used: {error}") from None
        except OSError as error:
            raise AcpilotError(f"{checkpoint.path} cannot be read: {error.strerror or error}") from None
        except Exception as error:  # noqa: BLE001 - TensorFlow's and protobuf's errors have no class in common but this
            raise AcpilotError(
                f"{checkpoint.path} is damaged or no TensorFlow checkpoint ({_first_line(error)}): train it again, or "
                "copy its files anew"
            ) from None
        self.rate = self.preprocessing.rate
        self.needs_speed = self.preprocessing.speed or "throttle" not in self._outputs
        self._memory = Memory(self.preprocessing)

    def band(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of a picture of that size that it looks at: left, top, width, height, pixels."""
        if self.note:
            rows = min(_ROWS, height)
            return 0, height - rows, width, rows
        return self.preprocessing.band(width, height)

    def drive(self, band: np.ndarray, speed_kmh: float) -> Command:
        """Decide, from that part of the newest picture, uint8 (h, w, 3), RGB, and the speed."""
        image = self._memory.add(self.preprocessing.prepare(band))
        values = self.run(image[None], np.array([speed_kmh]))[0].tolist()
        hold = (_CRUISE - speed_kmh) / _GENTLE if speed_kmh >= 0 else 0.0
        given = {"throttle": hold, "brake": 0.0, **dict(zip(self._outputs, values, strict=True))}
        return self.preprocessing.command([given[name] for name in self.preprocessing.outputs])

    def reset(self) -> None:
        """Forget earlier pictures."""
        self._memory.clear()

    def run(self, images: np.ndarray, speeds_kmh: np.ndarray) -> np.ndarray:
        """The network's outputs, float32 (n, outputs), in its own order.

        Args:
            images: prepared, uint8 (n, 66, 200, channels).
            speeds_kmh: (n,), negative where it is not known; of no meaning to a network without that input.
        """
        inputs = {**self._inputs, self._image: images.astype(np.float32) / np.float32(255)}
        if self._speed is not None:
            inputs[self._speed] = speeds_kmh.astype(np.float32)[:, None]
        columns = list(self._outputs.values())
        tensors = list(dict.fromkeys(column.tensor for column in columns))
        values = dict(zip(tensors, self._session.run(tensors, inputs), strict=True))
        return np.stack([values[tensor].reshape(len(images), -1)[:, number] for tensor, number in columns], axis=1)

    def _assumed(self, shape: list[int]) -> Preprocessing:
        """How pictures are prepared for a network that does not say it; what is not said here is in ``band``."""
        _, height, width, channels = shape
        if channels != len("BGR"):
            raise AcpilotError(f"its pictures have {channels} channels, and it does not say what they are")
        self.note = (
            f"{self.name} does not say how pictures are prepared for it: it sees what the original's test_ac.py "
            f"showed, the lowest {_ROWS} rows, BGR, 0 to 1; its outputs are taken for {', '.join(self._outputs)}"
        )
        if "throttle" not in self._outputs:
            self.note += f"; {_CRUISE:g} km/h are held"
        return Preprocessing(size=(width, height), colours="BGR", scale=1 / 255, offset=0.0, speed=False)


def _refuse_incomplete(checkpoint: TensorflowCheckpoint) -> None:
    if missing := checkpoint.missing:
        names = ", ".join(file.name for file in missing)
        raise AcpilotError(
            f"{checkpoint.path} is no complete TensorFlow checkpoint: {names} missing in {checkpoint.path.parent}; it "
            "is three files, .meta, .index and .data-00000-of-00001"
        )


def _stored(meta: Any, name: str) -> str | None:
    """What the file says under that name; None when it says nothing."""
    if name not in meta.collection_def:
        return None
    texts = meta.collection_def[name].bytes_list.value
    return texts[0].decode() if texts else ""


def _own(network: DrivingGraph, preprocessing: Preprocessing, outputs: str | None) -> dict[str, Column]:
    """What a network that acpilot wrote gives, by name."""
    if outputs is not None and outputs != ",".join(preprocessing.outputs):
        raise AcpilotError("it says itself what it gives: leave --outputs out")
    return {name: network.columns_of(name)[0] for name in preprocessing.outputs}


def _chosen(network: DrivingGraph, outputs: str | None) -> dict[str, Column]:
    """What a stranger's network gives, by name."""
    columns = network.columns
    found = ", ".join(
        f"{tensor} ({count} numbers)" if count > 1 else tensor
        for tensor, count in Counter(column.tensor for column in columns).items()
    )
    if outputs is None:
        if len(columns) == 1:
            return {"steering": columns[0]}
        if network.is_the_originals():
            return dict(zip(_ORIGINALS, columns, strict=True))
        if columns:
            raise AcpilotError(
                f"what it gives is not clear, it has {found}: name all of it, in this order, with --outputs, such as "
                "--outputs steering,brake,throttle, or --outputs steering=TENSOR,throttle=TENSOR,brake=TENSOR"
            )
        raise AcpilotError(network.why_nothing_is_found())
    named = dict(part.strip().partition("=")[::2] for part in outputs.split(","))
    if "steering" not in named or not set(named) <= {*LIMITS, *_UNUSED} or len(named) != outputs.count(",") + 1:
        raise AcpilotError(
            f"--outputs {outputs}: it must name steering, and throttle, brake, speed and gear if it gives them"
        )
    if any(named.values()):
        taken: Counter[str] = Counter()
        chosen = {}
        for name, tensor in named.items():
            of_it = network.columns_of(tensor)
            if taken[tensor] >= len(of_it):
                raise AcpilotError(f"--outputs {outputs}: {tensor or name} gives only {len(of_it)} numbers a picture")
            chosen[name] = of_it[taken[tensor]]
            taken[tensor] += 1
        return chosen
    if len(named) != len(columns):
        if not columns:
            raise AcpilotError(network.why_nothing_is_found())
        raise AcpilotError(
            f"--outputs names {len(named)} of the {len(columns)} numbers that it gives, {found}: name all of them, or "
            "--outputs steering=TENSOR,throttle=TENSOR,brake=TENSOR"
        )
    return dict(zip(named, columns, strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
