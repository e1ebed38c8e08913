"""Policies in files: the preprocessing that travels with them, and files that cannot drive."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acpilot.errors import AcpilotError
from acpilot.policy.load import load
from acpilot.policy.metadata import PREPROCESSING
from acpilot.policy.onnx import COMMAND, IMAGE, SPEED
from acpilot.policy.preprocessing import Memory, Preprocessing
from conftest import acpilot
from test_convert import one_line

SIDES = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda sides: abs(sides[0] - sides[1]) > 0.01).map(sorted)


@st.composite
def preprocessings(draw: st.DrawFn) -> Preprocessing:
    (left, right), (top, bottom) = draw(SIDES), draw(SIDES)
    return Preprocessing(
        crop=(left, top, right - left, bottom - top),
        size=(draw(st.integers(1, 300)), draw(st.integers(1, 100))),
        colours=draw(st.sampled_from(["RGB", "BGR"])),
        speed=draw(st.booleans()),
        past_frames=draw(st.integers(0, 4)),
        spacing=draw(st.integers(1, 5)),
        outputs=tuple(draw(st.permutations(["steering", "throttle", "brake"]))),
        rate=draw(st.floats(0.1, 240)),
    )


@given(preprocessings())
def test_it_comes_back_from_its_file_as_it_was(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


@given(preprocessings(), st.integers(1, 4000), st.integers(1, 3000))
def test_the_band_lies_within_the_picture(preprocessing: Preprocessing, width: int, height: int) -> None:
    left, top, wide, high = preprocessing.band(width, height)
    assert 0 <= left < left + wide <= width
    assert 0 <= top < top + high <= height


@given(st.text() | st.sampled_from(['{"format": 1, "crop": [0, 0, 1]}', "[]", '{"format": 1, "scale": "1"}', "null"]))
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(AcpilotError, match="preprocessing"):
        Preprocessing.from_json(text)


def test_a_pixel_is_the_mean_of_its_area_in_the_order_of_colours_asked_for() -> None:
    stripes = np.zeros((132, 800, 3), np.uint8)
    stripes[:, ::4] = (200, 100, 40)
    assert Preprocessing().prepare(stripes).reshape(-1, 3).tolist() == [[50, 25, 10]] * (66 * 200)
    assert (Preprocessing(colours="BGR").prepare(stripes) == (10, 25, 50)).all()


@given(
    st.tuples(st.integers(1, 120), st.integers(1, 300)), st.tuples(st.integers(1, 150), st.integers(1, 60)),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_pixel_belongs_to_one_area(shape: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    screen = np.random.default_rng(seed).integers(0, 256, (*shape, 4), np.uint8)
    view = screen[..., 2::-1]
    seen = Preprocessing(size=size).prepare(view)
    assert (Preprocessing(size=size).prepare(view.copy()) == seen).all(), "a view of the screen is as good as a copy"
    assert (Preprocessing(size=size, colours="BGR").prepare(view) == seen[..., ::-1]).all()
    rows, columns = (sides(pixels, areas) for pixels, areas in zip(shape, size[::-1], strict=True))
    if max(map(len, rows)) * max(map(len, columns)) <= 257:
        means = np.array([[view[np.ix_(row, column)].mean((0, 1)) for column in columns] for row in rows])
        assert np.abs(seen - means).max() < 0.501


def sides(pixels: int, areas: int) -> list[list[int]]:
    """The pixels, along one side, whose middle lies in each area; where there are too few, the nearest."""
    if pixels < areas:
        return [[(2 * area + 1) * pixels // (2 * areas)] for area in range(areas)]
    middles = [Fraction(2 * pixel + 1, 2) * areas / pixels for pixel in range(pixels)]
    return [[pixel for pixel, middle in enumerate(middles) if area < middle <= area + 1] for area in range(areas)]


@pytest.mark.parametrize("shape", [(150, 1280), (216, 1280), (324, 1920), (648, 3840), (54, 320), (66, 200)])
def test_it_is_what_pillow_makes_of_it(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    pillow = Image.fromarray(picture).resize((200, 66), Image.Resampling.BOX)
    assert np.abs(Preprocessing().prepare(picture) - np.asarray(pillow, int)).max() <= 1


def test_a_huge_picture_keeps_its_colours() -> None:
    picture = np.zeros((4320, 7680, 3), np.uint8)
    picture[:, :3840], picture[2160:, 3840:] = (250, 120, 7), (3, 99, 255)
    seen = Preprocessing().prepare(picture)
    assert (seen[:, :100] == (250, 120, 7)).all()
    assert (seen[:33, 100:] == 0).all()
    assert (seen[33:, 100:] == (3, 99, 255)).all()


def test_commands_are_named_by_the_order_of_outputs_and_kept_in_range() -> None:
    command = Preprocessing(outputs=("brake", "steering", "throttle")).command([-0.2, -1.5, 0.4])
    assert command == (-1.0, 0.4, 0.0)


def test_a_network_whose_output_is_no_number_is_stopped(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", metadata=Preprocessing().to_json(), scale=float("nan"))
    line = one_line(*acpilot("evaluate", str(model), "--track", "oval", "--renderer", "software", folder=tmp_path))
    assert "model.onnx returned nan, nan, nan for steering, throttle, brake on oval, 0.0 s after the start" in line


def test_earlier_pictures_are_so_many_decisions_apart() -> None:
    memory = Memory(Preprocessing(past_frames=2, spacing=3))
    for number in range(8):
        seen = memory.add(np.full((66, 200, 3), number, np.uint8))
        assert seen[0, 0, ::3].tolist() == [number, max(0, number - 3), max(0, number - 6)]


def write_model(path: Path, *, height: int = 66, metadata: str | None = None, scale: float = 1.0) -> Path:
    """A file whose network gives the mean of each colour plus the speed, scaled."""
    image = onnx.helper.make_tensor_value_info(IMAGE, onnx.TensorProto.UINT8, ["n", height, 200, 3])
    speed = onnx.helper.make_tensor_value_info(SPEED, onnx.TensorProto.FLOAT, ["n", 1])
    command = onnx.helper.make_tensor_value_info(COMMAND, onnx.TensorProto.FLOAT, ["n", 3])
    nodes = [
        onnx.helper.make_node("Cast", [IMAGE], ["pixels"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        onnx.helper.make_node("Add", ["mean", SPEED], ["sum"]),
        onnx.helper.make_node("Mul", ["sum", "scale"], [COMMAND]),
    ]
    factor = onnx.numpy_helper.from_array(np.array(scale, np.float32), "scale")
    graph = onnx.helper.make_graph(nodes, "other", [image, speed], [command], [factor])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    if metadata is not None:
        onnx.helper.set_model_props(model, {PREPROCESSING: metadata})
    path.write_bytes(model.SerializeToString())
    return path


def _text(path: Path) -> Path:
    path.write_text("this is no network\n")
    return path


def _checkpoint(path: Path, *kinds: str) -> Path:
    """A TensorFlow checkpoint that has only some of its files."""
    for kind in kinds:
        path.with_name(f"model.ckpt.{kind}").write_text("this is no network\n")
    return path.with_name("model.ckpt")


def _cut_short(path: Path) -> Path:
    write_model(path, metadata=Preprocessing().to_json())
    path.write_bytes(path.read_bytes()[:-150])
    return path


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_text, "is damaged or no ONNX file"),
        (_cut_short, "is damaged or no ONNX file"),
        (write_model, "does not say how pictures are prepared for it"),
        (lambda path: write_model(path, metadata="{}"), "its preprocessing is damaged"),
        (lambda path: write_model(path, metadata='{"format": 2}'), "has format 2, this acpilot reads up to 1"),
        (lambda path: write_model(path, height=64, metadata=Preprocessing().to_json()), "a network of another shape"),
        (lambda path: path, "there is no policy at"),
        (lambda path: _text(path.with_suffix(".pkl")), "is no policy that acpilot knows: it reads .onnx"),
        (
            lambda path: _text(path.with_suffix(".ckpt")),
            "is no policy that acpilot knows: it reads .onnx, and TensorFlow",
        ),
        (
            lambda path: _text(path.with_suffix(".meta")),
            "is no complete TensorFlow checkpoint: model.data.*, model.index",
        ),
        (lambda path: _checkpoint(path, "index", "data-00000-of-00001"), r"checkpoint: model.ckpt.meta missing in"),
        (lambda path: _checkpoint(path, "meta", "data-00000-of-00001"), r"checkpoint: model.ckpt.index missing in"),
        (lambda path: _checkpoint(path, "meta", "index"), r"checkpoint: model.ckpt.data-00000-of-00001 missing in"),
        (
            lambda path: _checkpoint(path, "meta", "index", "data-00000-of-00001"),
            r"checkpoints need TensorFlow \(.*\): .*tensorflow<2.22",
        ),
    ],
)
def test_a_file_that_cannot_drive(tmp_path: Path, write: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(AcpilotError, match=message) as fault:
        load(write(tmp_path / "model.onnx"))
    assert "\n" not in str(fault.value)


def test_only_a_tensorflow_checkpoint_needs_to_be_told_its_outputs(tmp_path: Path) -> None:
    with pytest.raises(AcpilotError, match="leave --outputs out"):
        load(write_model(tmp_path / "model.onnx", metadata=Preprocessing().to_json()), "steering")


def test_any_network_with_a_preprocessing_drives(tmp_path: Path) -> None:
    policy = load(write_model(tmp_path / "model.onnx", metadata=Preprocessing().to_json()))
    left, top, width, height = policy.band(1280, 720)
    assert (left, top, width, height) == (0, 302, 1280, 216)
    assert policy.drive(np.zeros((height, width, 3), np.uint8), 0.25) == (0.25, 0.25, 0.25)
