"""Nodes that compute nothing: other axes, parts, joins."""

from __future__ import annotations

from collections.abc import Sequence

from workloads.onnx_import.attending import cache_of
from workloads.onnx_import.dimensions import UnevenSplit, of_extent
from workloads.onnx_import.file import Node
from workloads.onnx_import.importer import Importer, reshaped, transposed
from workloads.onnx_import.products import part_of_columns
from workloads.onnx_import.rows import lookup, size_of
from workloads.onnx_import.values import AxisView


def passed(state: Importer, node: Node) -> None:
    """The result is the activation that enters: changes of format, quantisation, masks of probabilities."""
    view = max((state.view(name) for name in state.data(node)), key=lambda view: size_of(view.shape))
    shape = state.shape(node.outputs[0], node)
    if size_of(view.shape) != size_of(shape):
        raise state.fail(node, "it changes the number of elements")
    state.views[node.outputs[0]] = view


def reshape(state: Importer, node: Node) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze: what is wanted is the shape of the result."""
    try:
        state.views[node.outputs[0]] = reshaped(state.view(node.input(0)), state.shape(node.outputs[0], node))
    except UnevenSplit as problem:
        shapes = (state.view(node.input(0)).shape, state.shape(node.outputs[0], node))
        raise state.fail(node, f"{shapes[0]} cannot become {shapes[1]}: {problem}") from None


def transpose(state: Importer, node: Node) -> None:
    """Other order of axes."""
    view = state.view(node.input(0))
    state.views[node.outputs[0]] = transposed(view, node.attributes.get("perm") or range(len(view.axes))[::-1])


def expand(state: Importer, node: Node) -> None:
    """Repeats axes of one index; nothing is stored more than once."""
    view, shape = state.view(node.input(0)), state.shape(node.outputs[0], node)
    axes = [(), *[()] * (len(shape) - len(view.axes) - 1)][: len(shape) - len(view.axes)] + list(view.axes)
    state.views[node.outputs[0]] = AxisView.of(
        view.base, [dims or of_extent(extent, "query_head") for dims, extent in zip(axes, shape, strict=True)]
    )


def split(state: Importer, node: Node) -> None:
    """Parts of an axis: of the columns of a product, products of their own."""
    view = state.view(node.input(0))
    axis = int(node.attributes.get("axis", 0)) % len(view.axes)
    shapes = [state.shape(name, node) for name in node.outputs]
    parts = [_part(state, node, view, axis, shape) for shape in shapes]
    state.views.update(zip(node.outputs, parts, strict=True))


def _part(state: Importer, node: Node, view: AxisView, axis: int, shape: Sequence[int]) -> AxisView:
    """Return a part of an axis."""
    part = part_of_columns(state, view, axis, shape[axis])
    if part is not None:
        return part
    state.note(f"{node.op}: a part is read where it lies", node)
    return state.derived(state.named(node), shape, [view])


def slice_(state: Importer, node: Node) -> None:
    """A part of one axis or of several."""
    view, shape = state.view(node.input(0)), state.shape(node.outputs[0], node)
    changed = [axis for axis, (old, new) in enumerate(zip(view.shape, shape, strict=True)) if old != new]
    if not changed:
        state.views[node.outputs[0]] = view
    elif len(changed) == 1:
        state.views[node.outputs[0]] = _part(state, node, view, changed[0], shape)
    else:
        state.views[node.outputs[0]] = state.derived(state.named(node), shape, [view])
        state.note("Slice: a part is read where it lies", node)


def gather(state: Importer, node: Node) -> None:
    """Rows of a table in the file (an embedding), weights of chosen experts, or parts of an activation."""
    shape = state.shape(node.outputs[0], node)
    if node.input(0) not in state.views:
        _from_file(state, node, shape)
        return
    view = state.view(node.input(0))
    axis = int(node.attributes.get("axis", 0)) % len(view.axes)
    chosen = state.shape(node.input(1), node)
    if chosen == ():  # one index takes the axis away
        whole = (*shape[:axis], 1, *shape[axis:])
        part = _part(state, node, view, axis, whole)
        state.views[node.outputs[0]] = AxisView.of(part.base, [dims for at, dims in enumerate(part.axes) if at != axis])
    else:
        state.note("Gather: rows are read where they lie", node)
        state.views[node.outputs[0]] = state.derived(state.named(node), shape, [view])


def _from_file(state: Importer, node: Node, shape: tuple[int, ...]) -> None:
    if not state.is_weight(node.input(0)):
        return
    if len(state.shape(node.input(0), node)) == 2:
        lookup(state, node, shape)
    else:
        state.values.weights |= {node.outputs[0]}


def concat(state: Importer, node: Node) -> None:
    """Joins: new keys behind cached ones, a class token before patches."""
    shape = state.shape(node.outputs[0], node)
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    parts = [name for name in node.inputs if name and 0 not in (state.values.shape(name) or (1,))]
    data = [name for name in parts if name in state.views]
    if len(parts) == 1:
        state.views[node.outputs[0]] = state.view(data[0])
        return
    fresh = [name for name in data if id(state.view(name).base) in state.made]
    if len(shape) == 4 and axis >= 2 and len(data) == len(parts) == 2 and len(fresh) == 1:
        name = state.named(node)
        state.views[node.outputs[0]] = cache_of(state, name, state.view(fresh[0]), tuple(parts), axis, shape[axis])
        return
    state.note("Concat: parts are written where they belong", node)
    state.views[node.outputs[0]] = state.derived(state.named(node), shape, [state.view(name) for name in data])


def scatter(state: Importer, node: Node) -> None:
    """New keys written into a cache of fixed length."""
    if node.input(0) not in state.views or node.input(2) not in state.views:
        raise state.fail(node, "it writes into no activation")
    shape = state.shape(node.outputs[0], node)
    new = state.view(node.input(2))
    view = state.derived(state.named(node), shape, [new])
    view.base.role = "kv_cache" if len(shape) == 4 else "activation"
    state.views[node.outputs[0]] = view
