"""A small policy, trained in seconds: a linear map from pixels to steering, which holds a speed, in an ONNX file.

It learns on the oval as acpilot improve does: the expert sways along the track first, then the policy itself drives;
the expert says each time how it would steer there (DAgger).
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from acpilot.evaluation.closed_loop import Camera, Observer, drive
from acpilot.evaluation.drivers import Look, expert_controls
from acpilot.policy.metadata import PREPROCESSING
from acpilot.policy.onnx import COMMAND, IMAGE, SPEED
from acpilot.policy.policy import Command
from acpilot.policy.preprocessing import Preprocessing
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import make_track
from acpilot.practice.world import World

SETTINGS = PracticeSettings(track="oval", renderer="software", size=(320, 180))
SPEED_KMH, SWAY, ROUNDS = 55.0, 0.2, 2
RIDGE = 100.0
Prepare = Callable[[np.ndarray], np.ndarray]


def throttle(speed_kmh: float) -> float:
    return max(0.0, min(1.0, (SPEED_KMH - speed_kmh) / 10))


class Student:
    """Drives and takes notes of what it saw and what the expert would have done."""

    name, rate = "student", 10.0

    def __init__(self, band: Callable[[int, int], tuple[int, int, int, int]], prepare: Prepare) -> None:
        """See through a policy's eyes: the part of the picture that it looks at, and what its network sees of it."""
        self.band, self.prepare = band, prepare
        self.pictures: list[np.ndarray] = []
        self.answers: list[float] = []
        self.weights: np.ndarray | None = None
        self.bias = 0.0

    def decide(self, world: World, look: Look) -> Command:
        picture = look()
        left, top, width, height = self.band(picture.shape[1], picture.shape[0])
        seen = self.prepare(picture[top : top + height, left : left + width])
        answer = expert_controls(world).steering
        self.pictures.append(seen)
        self.answers.append(answer)
        if self.weights is None:
            steering = answer + SWAY * (0.6 * math.sin(1.3 * world.time) + 0.4 * math.sin(2.9 * world.time + 1))
        else:
            steering = float(seen.reshape(-1) @ self.weights) + self.bias
        return Command(max(-1.0, min(1.0, steering)), throttle(world.car.speed * 3.6), 0.0)

    def reset(self) -> None:
        pass

    def learn(self) -> None:
        """Ridge regression on pixels of half the resolution; weights for those of the whole."""
        pictures = np.stack(self.pictures).astype(np.float32) / 255
        count, height, width, _ = pictures.shape
        pooled = pictures.reshape(count, height // 2, 2, width // 2, 2, 3).mean((2, 4)).reshape(count, -1)
        answers = np.array(self.answers)
        middle = pooled.mean(0)
        centered = pooled - middle
        kernel = centered @ centered.T + RIDGE * np.eye(count)
        weights = centered.T @ np.linalg.solve(kernel, answers - answers.mean())
        self.bias = float(answers.mean() - middle @ weights)
        whole = weights.reshape(height // 2, width // 2, 3).repeat(2, 0).repeat(2, 1) / 4
        self.weights = (whole / 255).astype(np.float32).reshape(-1)

    def study(self) -> tuple[np.ndarray, float]:
        """Drive and learn; weights of the pixels of a picture, float32 (39600,), 0 … 255, and the steering without."""
        track = make_track("oval")
        for _ in range(1 + ROUNDS):
            world = World(track, expert=True)
            with Camera(world, SETTINGS) as camera:
                drive(self, world, Observer(), laps=1, limit=150.0, look=camera.look)
            self.learn()
        assert self.weights is not None
        return self.weights, self.bias


def train_small_policy(path: Path) -> None:
    """Train one and write it as an ONNX file of acpilot's form."""
    preprocessing = Preprocessing()
    weights, bias = Student(preprocessing.band, preprocessing.prepare).study()
    constants = {
        "weights": weights[:, None],
        "bias": np.array([[bias, 0.0, 0.0]], np.float32),
        "flat": np.array([0, -1]),
        "wanted": np.array([[SPEED_KMH]], np.float32),
        "ten": np.array([[10.0]], np.float32),
        "none": np.array(0, np.float32),
        "all": np.array(1, np.float32),
    }
    nodes = [
        helper.make_node("Cast", [IMAGE], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["steering"]),
        helper.make_node("Sub", ["wanted", SPEED], ["lacking"]),
        helper.make_node("Div", ["lacking", "ten"], ["asked"]),
        helper.make_node("Clip", ["asked", "none", "all"], ["throttle"]),
        helper.make_node("Sub", ["throttle", "throttle"], ["brake"]),
        helper.make_node("Concat", ["steering", "throttle", "brake"], ["commands"], axis=1),
        helper.make_node("Add", ["commands", "bias"], [COMMAND]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["n", *preprocessing.input_shape]),
            helper.make_tensor_value_info(SPEED, TensorProto.FLOAT, ["n", 1]),
        ],
        [helper.make_tensor_value_info(COMMAND, TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {PREPROCESSING: preprocessing.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
