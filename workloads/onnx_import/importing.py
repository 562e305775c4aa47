"""An ONNX file becomes an OpGraph: node after node, then the operators, then the blocks that repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hwconfigs.textfiles.reading import spelt_out
from workloads.errors import GraphError
from workloads.graph import OpGraph
from workloads.onnx_import import attending, moving, products, rows
from workloads.onnx_import.axes import Asked, input_sizes
from workloads.onnx_import.classes import classify
from workloads.onnx_import.file import Node, read
from workloads.onnx_import.foreign import shapes_of
from workloads.onnx_import.importer import Importer
from workloads.onnx_import.patterns import gathered
from workloads.onnx_import.records import Builder, Product, Record
from workloads.onnx_import.repeats import folded
from workloads.onnx_import.shapes import Values, infer
from workloads.onnx_import.values import Base
from workloads.ops import Operator
from workloads.tensor import Bits

Handler = Callable[[Importer, Node], None]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", "MatMulIntegerToFloat",
                         "DynamicQuantizeMatMul"), products.matmul),
        **dict.fromkeys(("Gemm", "FusedGemm"), products.gemm),
        "MatMulNBits": products.matmul_n_bits, "Einsum": products.einsum, "Conv": products.conv,
        "Attention": attending.attention, "MultiHeadAttention": attending.multi_head_attention,
        "GroupQueryAttention": attending.grouped_query_attention,
        **dict.fromkeys(rows.ACTIVATIONS, rows.activation),
        "Softmax": rows.softmax, "RotaryEmbedding": rows.rope, "Rope": rows.rope,
        **dict.fromkeys(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
                         "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), rows.norm),
        **dict.fromkeys(("Add", "Sub", "Mul", "Div"), rows.binary),
        **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), moving.reshape),
        "Transpose": moving.transpose, "Expand": moving.expand, "Split": moving.split, "Slice": moving.slice_,
        "Gather": moving.gather, "Concat": moving.concat, "ScatterND": moving.scatter,
        "ScatterElements": moving.scatter, "TensorScatter": moving.scatter,
        **dict.fromkeys(("Cast", "CastLike", "Identity", "Dropout", "DequantizeLinear", "QuantizeLinear",
                         "DynamicQuantizeLinear", "BatchNormalization", "Where"), moving.passed),
    }
)  # fmt: skip
"""What is done with a node that reads activations."""

NOT_COSTED = frozenset(
    [
        "Abs", "ArgMax", "Ceil", "Clip", "Cos", "CumSum", "Elu", "Equal", "Erf", "Exp", "Floor", "Greater",
        "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual",
        "Log", "LogSoftmax", "Max", "Min", "Mish", "Mod", "Neg", "Not", "Pow", "Reciprocal", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceSum", "Round", "Shape", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt",
        "Tanh", "ThresholdedRelu", "TopK", "Tile", "Pad", "Trilu", "GlobalAveragePool", "AveragePool",
        "MaxPool", "ReduceL2", "ReduceSumSquare", "NonZero", "Size",
    ]
)  # fmt: skip
"""Nodes without products: named with their number, and not costed."""

PRODUCTS = frozenset(
    [
        "LSTM", "GRU", "RNN", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv",
    ]
)  # fmt: skip
"""Nodes with products that are not read."""

TELLING_NOTHING = frozenset({"Shape", "Size", "IsNaN", "IsInf"})
"""Of those, what no machine would run beside the softmax: sizes, and tests for rows that are masked whole."""


def read_onnx(path: str | Path, asked: Asked, bits: Bits, asked_for: Mapping[str, object]) -> OpGraph:
    """Return the operators of a file as a graph; blocks that repeat are there once.

    Parameters
    ----------
    asked
        Sizes of the axes that the file leaves open.
    bits
        Widths by role; the numbers in the file have others.
    asked_for
        Kept as part of the graph's ``config``.

    Raises
    ------
    GraphError
        For files that are none, axes without a size, shapes that cannot be inferred, and nodes with products that are
        not read, one line each, with the node.
    """
    origin = spelt_out(path)
    model = read(Path(path))
    shapes, known = input_sizes(model, asked, origin)
    try:
        values = infer(model, shapes, known, Path(path).parent, shapes_of)
    except GraphError as problem:
        raise GraphError(f"{origin}: {problem}") from None
    results = [value.name for value in model.graph.output]
    nodes = gathered(values.nodes, values, results)
    state = _walked(nodes, values, origin)
    operators, appends = _built(state, bits)
    if not operators:
        raise GraphError(f"{origin}: no node of it computes on real numbers")
    name = Path(origin).stem
    config = {"model": name, "family": "onnx", **asked_for, "dims": known, "notes": _notes(state)}
    return folded(name, operators, appends, config)


def _walked(nodes: list[Node], values: Values, origin: str) -> Importer:
    """Visit the nodes in order."""
    state = Importer(origin, values, {})
    for name, real in values.floats.items():
        if real and name not in values.weights and (shape := values.shape(name)) is not None and 0 not in shape:
            state.views[name] = state.leaf(name, shape)
    strange: dict[str, list[Node]] = {}
    for node in nodes:
        from_table = node.op == "Gather" and state.is_weight(node.input(0)) and not state.is_weight(node.input(1))
        if not state.data(node) and not from_table:
            continue
        handler = _handler(node)
        if handler is not None:
            handler(state, node)
        elif node.op in NOT_COSTED and not node.domain:
            _not_costed(state, node)
        else:
            strange.setdefault(node.op, []).append(node)
            break  # what follows has no shape
    if strange:
        kinds = {node.op for node in nodes if node.op in PRODUCTS or (node.domain and not _handler(node))}
        kinds |= set(strange)
        raise GraphError("\n".join(_strange([node for node in nodes if node.op in kinds], origin)))
    return state


def _handler(node: Node) -> Handler | None:
    if node.op == "Attention" and node.domain:
        return attending.fused_attention
    return HANDLERS.get(node.op) if node.domain in ("", "com.microsoft") else None


def _strange(nodes: Sequence[Node], origin: str) -> list[str]:
    """Return a line for each kind of node that is not read."""
    kinds: dict[str, list[Node]] = {}
    for node in nodes:
        kinds.setdefault(node.op, []).append(node)
    return [
        f"{origin}: {len(some)} x {op}, not modelled; the first is {some[0].described}" for op, some in kinds.items()
    ]


def _not_costed(state: Importer, node: Node) -> None:
    """Name a node without products, and go on behind it."""
    if node.op not in TELLING_NOTHING:
        state.note(node.op, node)
    source = state.view(state.data(node)[0])
    for name in node.outputs:
        shape = state.values.shape(name)
        if not name or shape is None or 0 in shape or node.op in ("ArgMax", *TELLING_NOTHING):
            continue
        same = source.shape == shape
        state.views[name] = source if same else state.derived(state.named(node), shape, [source])
        if node.op == "TopK":
            break  # the second result is a list of places


def _built(state: Importer, bits: Bits) -> tuple[list[Operator], dict[str, str]]:
    """Return the operators in order, and which tensors are written before others are read."""
    classify(state.records)
    builder = Builder(bits.of)
    kept = [
        record
        for record in state.records
        if not (isinstance(record, Product) and record.parted and not record.out.used)
    ]
    operators: list[Operator] = []
    for record in kept:
        try:
            operators.append(record.build(builder))
        except (GraphError, ValueError) as problem:
            raise GraphError(f"{state.origin}: {record.node.described}: {problem}") from None
    made = {id(record.out) for record in kept}
    read_ = {id(base): base for record in kept for base in record.inputs}
    appends = {base.name: source.name for base in read_.values() if (source := _source(base, made)) is not None}
    return operators, appends


def _is_taken_apart(record: Record) -> bool:
    """Whether nothing reads a product whose columns are products of their own."""
    return isinstance(record, Product) and record.parted and not record.out.used


def _source(base: Base, made: set[int]) -> Base | None:
    """Return the tensor that is computed and that a tensor without a computation of its own is made of."""
    return base.follows if base.follows is not None and id(base) not in made and id(base.follows) in made else None


def _notes(state: Importer) -> list[str]:
    """Return what a reader of a report should know: nodes that cost nothing here."""
    return [
        f"{len(nodes)} x {what}, not costed; the first is node {nodes[0].name!r:.60}"
        for what, nodes in state.notes.items()
    ]
