"""Shapes of all values of a file, by the inference of the onnx library itself.

With numbers on the axes of all inputs, and without what the exporter wrote down, ``infer_shapes`` with data propagation
finds every shape of a file of PyTorch. It knows no operators of other domains: for those of ONNX Runtime that are
imported, the shape of the result is told it, and it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workloads.errors import GraphError
from workloads.onnx_import.axes import evaluated
from workloads.onnx_import.file import SMALL, Constant, Node, constant_of, library, nodes_of

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]

MOST_PASSES = 400
"""Times that shapes are inferred anew, each behind operators that the library does not know."""

FOLDED = frozenset(
    [
        "Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather",
        "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Range",
        "Reciprocal", "Reshape", "Shape", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose",
        "Unsqueeze", "Where",
    ]
)  # fmt: skip
"""Operators whose results are calculated where all of their inputs are known: arithmetic on sizes."""


@dataclass(slots=True)
class Values:
    """What is known about the values of a file."""

    shapes: dict[str, Shape]
    floats: dict[str, bool]
    """Whether a value holds real numbers; only of inputs and weights."""
    makers: dict[str, Node]
    constants: dict[str, Constant | None]
    protos: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 0
    nodes: tuple[Node, ...] = ()
    weights: frozenset[str] = frozenset()
    """Initializers, and what follows from them alone."""

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a value, None if it is not known."""
        return self.shapes.get(name)

    def constant(self, name: str) -> Constant | None:
        """Return a value that does not depend on the inputs' contents, None if it does or is large."""
        if name not in self.constants:
            self.constants[name] = None  # while it is being calculated
            self.constants[name] = self._calculated(name)
        return self.constants[name]

    def scalar(self, name: str) -> float | None:
        """Return a constant of one element, None for all others."""
        known = self.constant(name)
        return float(known.reshape(-1)[0]) if known is not None and known.size == 1 else None

    def whole_numbers(self, name: str) -> list[int] | None:
        """Return a constant list of whole numbers."""
        known = self.constant(name)
        return None if known is None else [int(number) for number in known.reshape(-1)]

    def _calculated(self, name: str) -> Constant | None:
        node = self.makers.get(name)
        if node is None or node.domain:
            return None
        if node.op == "Constant":
            return _constant(node)
        if node.op == "Shape" and (shape := self.shape(node.input(0))) is not None:
            return np.array(shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))], np.int64)
        shape = self.shape(name)
        if node.op not in FOLDED or (shape is not None and int(np.prod(shape)) > SMALL):
            return None
        inputs = {wanted: self.constant(wanted) for wanted in node.inputs if wanted}
        if any(value is None for value in inputs.values()):
            return None
        return self._run(node, inputs, name)

    def _run(self, node: Node, inputs: Mapping[str, Constant | None], name: str) -> Constant | None:
        from onnx.reference import ReferenceEvaluator

        onnx = library()
        slots = [onnx.helper.make_tensor_value_info(slot, onnx.TensorProto.UNDEFINED, None) for slot in inputs]
        outs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None)]
        graph = onnx.helper.make_graph([self.protos[node.outputs[0]]], "node", slots, outs)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)])
        try:
            (result,) = ReferenceEvaluator(model).run([name], dict(inputs))
        except Exception:  # whatever a broken constant makes of it: the value is not known then
            return None
        return np.asarray(result)


def _constant(node: Node) -> Constant | None:
    """Return what a Constant node holds, if it is small."""
    for key, value in node.attributes.items():
        if key == "value":
            return constant_of(value, Path())
        if key in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    return None


def infer(
    model: onnx.ModelProto, inputs: Mapping[str, Shape], known: Mapping[str, int], folder: Path,
    told: Callable[[Node, Values], dict[str, Shape]],
) -> Values:  # fmt: skip
    """Return the shapes of all values, as far as they can be found.

    Parameters
    ----------
    inputs
        Shape of each input.
    known
        Size of each named axis, for what the file says about results of operators that the library does not know.
    told
        Returns the shapes of a node's results where the library cannot, from those of its inputs.
    """
    onnx = library()
    annotated = {
        value.name: _numbers(value, known) for value in (*model.graph.value_info, *model.graph.output)
    }  # fmt: skip
    bare = _bare(model, inputs, folder)
    values = _values(model, inputs, folder)
    foreign = [node for node in values.nodes if node.domain]
    for _ in range(MOST_PASSES):
        try:
            found = onnx.shape_inference.infer_shapes(bare, data_prop=True)
        except Exception as error:
            raise GraphError(f"shapes cannot be inferred: {' '.join(str(error).split())[:200]}") from error
        for value in (*found.graph.value_info, *found.graph.output):
            shape = _numbers(value, {})
            if shape is not None:
                values.shapes[value.name] = shape
        new = {}
        for node in foreign:
            if any(output and output not in values.shapes for output in node.outputs):
                fixed = {out: annotated.get(out) for out in node.outputs if annotated.get(out) is not None}
                new.update({k: v for k, v in {**told(node, values), **fixed}.items() if v and k not in values.shapes})
        if not new:
            break
        values.shapes.update(new)
        for name, shape in new.items():
            bare.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return values


def _numbers(value: onnx.ValueInfoProto, known: Mapping[str, int]) -> Shape | None:
    """Return a shape that is known in all axes."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    sizes = [
        dim.dim_value if dim.HasField("dim_value") else evaluated(dim.dim_param, known) if dim.dim_param else None
        for dim in value.type.tensor_type.shape.dim
    ]
    whole = tuple(size for size in sizes if size is not None and size >= 0)
    return whole if len(whole) == len(sizes) else None


def _bare(model: onnx.ModelProto, inputs: Mapping[str, Shape], folder: Path) -> onnx.ModelProto:
    """Return the model with numbers on its inputs, without weights and without what it says about other shapes."""
    onnx = library()
    slots, kept = [], []
    for value in model.graph.input:
        if value.name in inputs:
            kind = value.type.tensor_type.elem_type
            slots.append(onnx.helper.make_tensor_value_info(value.name, kind, inputs[value.name]))
    for tensor in model.graph.initializer:
        constant = constant_of(tensor, folder)
        if constant is not None:
            kept.append(onnx.numpy_helper.from_array(constant, tensor.name))
        else:
            slots.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tuple(tensor.dims)))
    outs = [
        onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None)
        for value in model.graph.output
    ]
    graph = onnx.helper.make_graph(list(model.graph.node), "bare", slots, outs, initializer=kept)
    opsets = list(model.opset_import)
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)  # type: ignore[no-any-return]


def _values(model: onnx.ModelProto, inputs: Mapping[str, Shape], folder: Path) -> Values:
    """Return what is known before anything is inferred."""
    onnx = library()
    real = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
    floats = {value.name: value.type.tensor_type.elem_type in real for value in model.graph.input}
    floats.update({tensor.name: tensor.data_type in real for tensor in model.graph.initializer})
    shapes = {**inputs, **{tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}}
    nodes = list(nodes_of(model))
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    weights = {tensor.name for tensor in model.graph.initializer if tensor.name not in inputs}
    for node in nodes:
        if all(name in weights for name in node.inputs if name):
            weights.update(node.outputs)
    constants = {tensor.name: constant_of(tensor, folder) for tensor in model.graph.initializer}
    return Values(
        shapes, floats, {out: node for node in nodes for out in node.outputs if out}, constants,
        {node.outputs[0]: proto for node, proto in zip(nodes, model.graph.node, strict=True)}, opset, tuple(nodes),
        frozenset(weights),
    )  # fmt: skip
