"""Nodes that work element by element or row by row."""

from __future__ import annotations

from typing import Any

from workloads.onnx_import.dimensions import UnevenSplit, atoms, copied, match
from workloads.onnx_import.file import Node
from workloads.onnx_import.importer import Importer, elements, reshaped
from workloads.onnx_import.records import Convolution, Product, Rows
from workloads.onnx_import.values import AxisView, Base
from workloads.ops import Add, Gelu, LayerNorm, Lookup, Mul, Relu, RmsNorm, Rope, RowwiseOperator, Silu, Softmax

ACTIVATIONS: dict[str, type[RowwiseOperator]] = {
    "Gelu": Gelu, "FastGelu": Gelu, "BiasGelu": Gelu, "Relu": Relu, "Swish": Silu, "QuickGelu": Silu,
}  # fmt: skip
"""Node -> operator."""

UNTHRIFTY = 1e-5
"""Epsilon of a normalisation that does not state it, as of the ONNX operators."""


def row_operator(
    state: Importer, node: Node, kind: type[RowwiseOperator], views: tuple[AxisView, ...], *, axes: int = 0,
    name: str | None = None, **further: Any,
) -> AxisView:  # fmt: skip
    """Add an operator; its result is stored as its first input is.

    Parameters
    ----------
    axes
        Last axes that are normalised together; 0: it works element by element.
    """
    view = views[0]
    for one in views:
        one.settle()
    base = view.base
    name = name or state.named(node)
    out = Base(name, base.rows, base.cols, axes=base.axes)
    cols = tuple(dim for axis in view.axes[len(view.axes) - axes :] for dim in axis) if axes else base.cols
    state.add(
        Rows(
            name=name, node=node, out=out, kind=kind, reads=tuple(one.base for one in views), cols=cols,
            further=further,
        )
    )  # fmt: skip
    return AxisView.of(out, view.axes)


def activation(state: Importer, node: Node) -> None:
    """A nonlinearity; ONNX Runtime's may add a bias before it."""
    view = state.view(state.data(node)[0])
    if node.op in ("BiasGelu", "FastGelu") and node.input(1):
        _bias(state, view)
    state.views[node.outputs[0]] = row_operator(state, node, ACTIVATIONS[node.op], (view,))


def softmax(state: Importer, node: Node) -> None:
    """Softmax of complete rows."""
    view = state.view(node.input(0))
    default = -1 if state.values.opset >= 13 else 1
    axis = int(node.attributes.get("axis", default)) % len(view.axes)
    count = len(view.axes) - axis if state.values.opset < 13 else 1
    if axis != len(view.axes) - count:
        raise state.fail(node, f"it runs along axis {axis}, which is not the last one")
    state.views[node.outputs[0]] = row_operator(state, node, Softmax, (view,), axes=count)


def norm(state: Importer, node: Node) -> None:
    """LayerNormalization or its kin without a mean; ONNX Runtime's may add a residual before it."""
    view = state.view(node.input(0))
    kind: type[RowwiseOperator] = LayerNorm if node.op in ("LayerNormalization", "SkipLayerNormalization") else RmsNorm
    if node.op.startswith("Skip"):
        view = add(state, node, view, state.view(node.input(1)), f"{node.name}.skip")
        if len(node.outputs) > 3 and node.outputs[3]:
            state.views[node.outputs[3]] = view
    axis = int(node.attributes.get("axis", -1)) % len(view.axes)
    epsilon = float(node.attributes.get("epsilon", UNTHRIFTY)) or UNTHRIFTY
    state.views[node.outputs[0]] = row_operator(
        state, node, kind, (view,), axes=len(view.axes) - axis, epsilon=epsilon
    )  # fmt: skip


def add(state: Importer, node: Node, x: AxisView, y: AxisView, name: str | None = None) -> AxisView:
    """Add two activations of one shape."""
    return _pair(state, node, Add, x, y, name)


def _pair(
    state: Importer, node: Node, kind: type[RowwiseOperator], x: AxisView, y: AxisView, name: str | None = None
) -> AxisView:
    try:
        for one, other in zip(reversed(x.axes), reversed(y.axes), strict=False):
            match(one, other)
    except UnevenSplit as problem:
        raise state.fail(node, f"its operands do not fit: {problem}") from None
    return row_operator(state, node, kind, (x, y), name=None if name is None else state.named(node, "skip"))


def rope(state: Importer, node: Node) -> None:
    """The rotation of queries or keys by position, (batch, heads, tokens, channels) or (batch, tokens, channels)."""
    view = state.view(node.input(0))
    given = node.attributes
    heads = int(given.get("num_heads", 0))
    try:
        if len(view.axes) == 3 and heads:
            view = reshaped(view, (*view.shape[:2], heads, view.shape[2] // heads))
            tokens = view.shape[1]
        else:
            tokens = view.shape[-2]
    except UnevenSplit as problem:
        raise state.fail(node, f"{heads} heads: {problem}") from None
    channels = view.shape[-1]
    turned = int(given.get("turned", 0) or given.get("rotary_embedding_dim", 0)) or channels
    result = row_operator(
        state, node, Rope, (view,), head_dim=channels, tokens=tokens, turned=None if turned == channels else turned
    )  # fmt: skip
    state.views[node.outputs[0]] = AxisView.of(result.base, state.view(node.input(0)).axes)


def lookup(state: Importer, node: Node, shape: tuple[int, ...]) -> None:
    """Rows of a table that is stored in the file."""
    table = state.leaf(f"{state.named(node)}.rows", shape)
    state.views[node.outputs[0]] = row_operator(state, node, Lookup, (table,))


def binary(state: Importer, node: Node) -> None:
    """A sum, difference, product or quotient with an activation, a constant or a mask."""
    data = state.data(node)
    if len(data) == 2 and data[0] != data[1] and elements(state.view(data[0])) == elements(state.view(data[1])):
        first, second = (state.view(name) for name in data)
        if node.op == "Add" and (masked := _masked(state, first, second)) is not None:
            state.views[node.outputs[0]] = masked
            return
        kind: type[RowwiseOperator] | None = {"Add": Add, "Mul": Mul}.get(node.op)
        if kind is not None:
            state.views[node.outputs[0]] = _pair(state, node, kind, first, second)
            return
        state.note(f"{node.op} of two activations", node)
        state.views[node.outputs[0]] = first
        return
    large = max((state.view(name) for name in data), key=elements)
    other = next((name for name in node.inputs if state.views.get(name) is not large), data[0])
    if elements(large) != size_of(state.shape(node.outputs[0], node)):
        raise state.fail(node, "it repeats an activation, which is not modelled")
    state.views[node.outputs[0]] = large
    if node.op == "Mul" and len(data) == 2 and data[0] == data[1]:
        state.views[node.outputs[0]] = row_operator(state, node, Mul, (large, large))
    elif other in state.views:
        _repeated(state, node, large)
    else:
        _with_constant(state, node, large, other)


def _masked(state: Importer, first: AxisView, second: AxisView) -> AxisView | None:
    """Return scores if the other operand is a mask or a bias from outside, which their softmax applies."""
    for scores, mask in ((first, second), (second, first)):
        if _are_scores(state, scores) and id(mask.base) not in state.made:
            return scores
    return None


def _are_scores(state: Importer, view: AxisView) -> bool:
    record = state.made.get(id(view.base))
    return isinstance(record, Product) and not record.by_weights


def _repeated(state: Importer, node: Node, large: AxisView) -> None:
    """An activation of fewer elements is repeated: a mask of scores, or a factor for each row."""
    if not _are_scores(state, large):
        state.note(f"{node.op} with a repeated activation", node)


def _with_constant(state: Importer, node: Node, view: AxisView, other: str) -> None:
    """Weights absorb scales, gains and offsets; softmax applies masks; a table of positions is added."""
    shape = state.shape(other, node)
    count = size_of(shape)
    if count == 1 or _are_scores(state, view) or node.op in ("Div", "Sub"):
        return
    weights = state.is_weight(other)
    if not weights:
        state.note(f"{node.op} with positions or a mask", node)
    elif node.op == "Add" and count == shape[-1] and _bias(state, view):
        return
    elif node.op == "Add" and count > shape[-1]:
        base = view.base
        view.settle()
        table = Base(f"{state.named(node)}.table", copied(base.rows), copied(base.cols))
        state.views[node.outputs[0]] = row_operator(state, node, Add, (view, AxisView.of(table, view.axes)))


def _bias(state: Importer, view: AxisView) -> bool:
    """Give the product or convolution that makes an activation a bias, if it has none; return whether."""
    record = state.made.get(id(view.base))
    if view.base.used or not isinstance(record, Product | Convolution) or record.biased:
        return False
    if isinstance(record, Product) and (not record.by_weights or atoms(view.axes[-1]) != atoms(record.columns)):
        return False
    record.biased = True
    return True


def size_of(shape: tuple[int, ...]) -> int:
    """Return the elements of a shape."""
    count = 1
    for extent in shape:
        count *= extent
    return count
