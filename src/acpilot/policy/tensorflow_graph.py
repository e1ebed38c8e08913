"""A checkpoint's graph → the part of it that drives: what the outputs need, and nothing that could do anything else.

A graph is a program. Of a stranger's, only operations known to compute numbers from numbers are run; its variables
become constants with the checkpoint's values, so that nothing of it is left to initialise, restore or write.
"""

import re
from collections import defaultdict, deque
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from acpilot.errors import AcpilotError

_ALLOWED = set(
    """
    Placeholder PlaceholderWithDefault Const Identity IdentityN NoOp StopGradient PreventGradient Cast
    Shape ShapeN Size Rank Reshape Squeeze ExpandDims Pack Unpack Concat ConcatV2 Split SplitV Slice StridedSlice
    Gather GatherV2 Transpose Tile Fill Range ZerosLike OnesLike Pad PadV2 MirrorPad Reverse ReverseV2 BroadcastTo
    Add AddV2 AddN Sub Mul MulNoNan Div RealDiv DivNoNan FloorDiv FloorMod Neg Abs Sign Square SquaredDifference Sqrt
    Rsqrt Pow Exp Expm1 Log Log1p Inv Reciprocal Maximum Minimum ClipByValue Floor Ceil Round Rint Sin Cos Tan Asin Acos
    Atan Atan2 Sinh Cosh Tanh Sigmoid Erf Sum Mean Prod Max Min ArgMax ArgMin Cumsum
    Less LessEqual Greater GreaterEqual Equal NotEqual LogicalAnd LogicalOr LogicalNot Select SelectV2 Switch Merge
    MatMul BatchMatMul BatchMatMulV2 Einsum BiasAdd BiasAddV1 Conv2D DepthwiseConv2dNative MaxPool MaxPoolV2 AvgPool
    LRN FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 L2Loss
    Relu Relu6 Elu Selu LeakyRelu Softplus Softsign Softmax LogSoftmax
    ResizeBilinear ResizeNearestNeighbor ResizeArea ResizeBicubic AdjustContrastv2 RGBToHSV HSVToRGB
    RandomUniform RandomStandardNormal TruncatedNormal ReadVariableOp
    """.split()  # noqa: SIM905 - to be read
)
_VARIABLES = ("VariableV2", "Variable", "VarHandleOp")
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
_GRADIENTS = re.compile(r"(^|/)gradients(_\d+)?/")
_OF_TRAINING = re.compile("Assign|Apply|Grad|Summary|Save|Restore|Checkpoint|Filename|StringJoin")
_OF_SHAPE = ("Shape", "ShapeN", "Size", "Rank")
_COMMANDS = 5  # that a picture's may be at most: steering, throttle, brake, and two that do not drive


class Column(NamedTuple):
    """One number for each picture."""

    tensor: str
    """float32 (n, columns) or (n,)."""
    number: int
    """Of the tensor's columns."""


class DrivingGraph:
    """The part of a graph that drives, in TensorFlow; weights are constants of it."""

    graph: Any
    """``tf.Graph``."""
    image: Any
    """Its input, float32 (n, height, width, channels)."""
    switches: dict[Any, float | bool]
    """Other inputs: keep_prob and its like, and what they are fed."""
    columns: list[Column]
    """What it could drive by, in the graph's order."""

    def __init__(self, tf: Any, meta: Any, weights: Any) -> None:
        """Cut it out.

        Args:
            tf: the module ``tensorflow.compat.v1``.
            meta: ``MetaGraphDef`` of the file.
            weights: reader of the checkpoint.

        Raises:
            AcpilotError: it holds Python functions, or there is not one input of pictures.
            ValueError, KeyError, TypeError, tf.errors.OpError: it is damaged.
        """
        nodes = {node.name: node for node in meta.graph_def.node}
        if python := sorted({node.op for node in nodes.values() if node.op in _PYTHON}):
            raise AcpilotError(f"its graph calls Python functions ({', '.join(python)}), which acpilot does not run")
        self._types = {name: node.op for name, node in nodes.items()}
        self._consumers: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes.values():
            for source in node.input:
                self._consumers[_node_of(source)].append(node.name)
        pruned = tf.GraphDef(versions=meta.graph_def.versions)
        self._refused: dict[str, str] = {}
        for node in nodes.values():
            if node.op in _VARIABLES:
                constant = _constant(tf, node, weights)
                if constant is not None:
                    pruned.node.append(constant)
                    continue
            if node.op not in _ALLOWED:
                self._refused[node.name] = node.op
        unusable = self._reached(self._refused)
        for node in nodes.values():
            if node.name not in unusable and node.op not in _VARIABLES:
                pruned.node.append(_plain(tf, node))
        self.graph = tf.Graph()
        with self.graph.as_default():
            known = meta.meta_info_def.stripped_op_list  # by the TensorFlow that wrote it
            tf.import_graph_def(pruned, name="", producer_op_list=known if known.op else None)
        self._find_inputs()
        self.columns = self._find_columns()

    def why_nothing_is_found(self) -> str:
        """What may stand between the pictures and the commands."""
        strange = sorted({op for op in self._refused.values() if not _OF_TRAINING.search(op)})
        told = f"; acpilot does not run {', '.join(strange)}" if strange else ""
        return f"its graph gives no tensor of shape (n, 1) to (n, {_COMMANDS}) for its pictures{told}"

    def is_the_originals(self) -> bool:
        """Whether it ends as the original's ``create_model``: steering, speed, throttle and brake in one tensor."""
        names = {column.tensor for column in self.columns}
        if len(names) != 1:
            return False
        last = self.graph.get_tensor_by_name(names.pop()).op
        parts = [each.op.type for each in last.inputs][:-1]  # the last one is the axis
        return last.type == "ConcatV2" and parts == ["Mul", "Mul", "Sigmoid", "Sigmoid"]

    def columns_of(self, name: str) -> list[Column]:
        """Columns of a tensor.

        Raises:
            AcpilotError: there is none of that name that can be computed.
        """
        name = name if ":" in name else f"{name}:0"
        try:
            tensor = self.graph.get_tensor_by_name(name)
        except (KeyError, ValueError):
            raise AcpilotError(f"its graph has no tensor {name}, or none that acpilot can compute") from None
        return [Column(name, number) for number in range(_width(tensor, float("inf")))]

    def _find_inputs(self) -> None:
        holders = [each.outputs[0] for each in self.graph.get_operations() if each.type == "Placeholder"]
        images = [each for each in holders if each.shape.rank == 4 and each.dtype == "float32"]
        if len(images) != 1 or not all(images[0].shape.as_list()[1:]):
            told = ", ".join(f"{each.name} {each.shape}" for each in images) or "none"
            raise AcpilotError(
                f"its graph must have one placeholder of pictures, float32 (n, 66, 200, 3): it has {told}"
            )
        self.image = images[0]
        self.switches, self._labels = {}, []
        for holder in holders:
            if holder is self.image:
                continue
            if holder.shape.rank not in (None, 0) or holder.dtype not in ("float32", "bool"):
                self._labels.append(holder.op.name)
            elif holder.dtype == "bool":  # whether it is training
                self.switches[holder] = False
            else:  # the share that dropout keeps, or the one that it drops
                self.switches[holder] = 0.0 if "rate" in holder.name.lower() else 1.0

    def _find_columns(self) -> list[Column]:
        """What follows from the pictures and not from labels, is shaped like commands, and leads to no other such."""
        # The size of the pictures is the same whatever they show: dropout's random numbers follow from it alone
        from_image = self._reached([self.image.op.name], not_through=_OF_SHAPE)
        from_labels = self._reached(self._labels)
        candidates = {
            tensor.name: tensor
            for operation in self.graph.get_operations()
            if operation.name in from_image - from_labels and not _GRADIENTS.search(operation.name)
            for tensor in operation.outputs
            if tensor.dtype == "float32" and _width(tensor, _COMMANDS)
        }
        names = {tensor.op.name for tensor in candidates.values()}
        return [
            Column(name, number)
            for name, tensor in candidates.items()
            if not (self._reached([tensor.op.name]) - {tensor.op.name}) & names
            for number in range(_width(tensor, _COMMANDS))
        ]

    def _reached(self, names: Collection[str], not_through: Collection[str] = ()) -> set[str]:
        """Operations of these names, and all that need their results, but by operations of those types."""
        found, waiting = set(names), deque(names)
        while waiting:
            consumers = self._consumers.get(waiting.popleft(), ())
            new = [name for name in consumers if name not in found and self._types[name] not in not_through]
            found.update(new)
            waiting.extend(new)
        return found


def _node_of(source: str) -> str:
    """The operation that an input ("name", "name:1" or "^name") comes from."""
    return source.removeprefix("^").partition(":")[0]


def _width(tensor: Any, most: float) -> int:
    """Numbers for each picture, 0 when the tensor is shaped otherwise."""
    shape = tensor.shape.as_list() if tensor.shape.rank in (1, 2) else [0]
    if shape[0] is not None:
        return 0
    width = 1 if len(shape) == 1 else shape[1] or 0
    return width if width <= most else 0


def _constant(tf: Any, node: Any, weights: Any) -> Any:
    """A variable as a constant of the checkpoint's value; None when it is not in there."""
    name = node.attr["shared_name"].s.decode() if node.op == "VarHandleOp" else ""
    name = name or node.name
    if not weights.has_tensor(name):
        return None
    value = np.asarray(weights.get_tensor(name))
    constant = tf.NodeDef(name=node.name, op="Const")
    constant.attr["dtype"].CopyFrom(node.attr["dtype"])
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return constant


def _plain(tf: Any, node: Any) -> Any:
    """An operation without what ties it to the machine and the graph it was made in."""
    plain = tf.NodeDef(name=node.name, op=node.op, input=node.input)
    for name, value in node.attr.items():
        if name not in ("_class", "_output_shapes"):
            plain.attr[name].CopyFrom(value)
    if node.op == "ReadVariableOp":  # of what is a constant now
        plain.op = "Identity"
        plain.attr["T"].CopyFrom(plain.attr.pop("dtype"))
    return plain
