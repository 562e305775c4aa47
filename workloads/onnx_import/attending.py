"""Attention in one node: the standard operator, and those of ONNX Runtime."""

from __future__ import annotations

from workloads.onnx_import.dimensions import UnevenSplit, copied, of_extent
from workloads.onnx_import.file import Node
from workloads.onnx_import.importer import Importer, reshaped, transposed
from workloads.onnx_import.products import multiply, part_of_columns
from workloads.onnx_import.rows import row_operator
from workloads.onnx_import.values import AxisView, Base
from workloads.ops import Rope, Softmax


def attend(state: Importer, node: Node, q: AxisView, k: AxisView, v: AxisView) -> AxisView:
    """Add scores, softmax and context; (batch, heads, tokens, channels) each, keys and values with fewer heads maybe.

    The scale and all masks belong to the softmax; the products run over all keys.
    """
    heads, shared = q.shape[1], k.shape[1]
    if heads % shared or k.shape[1:3] != v.shape[1:3]:
        raise state.fail(node, f"{heads} heads of queries do not fit {shared} of keys and {v.shape[1]} of values")
    try:
        grouped = reshaped(q, (q.shape[0], shared, heads // shared, *q.shape[2:]))
    except UnevenSplit as problem:
        raise state.fail(node, f"heads of queries: {problem}") from None
    labels = (["b", "h", "g", "s", "d"], ["b", "h", "t", "d"], ["b", "h", "g", "s", "t"])
    scores = multiply(state, node, state.named(node, "scores"), grouped, k, labels)
    shares = row_operator(
        state, node, Softmax, (scores,), axes=1, name=state.named(node, "softmax"), scale=q.shape[3] ** -0.5
    )
    labels = (["b", "h", "g", "s", "t"], ["b", "h", "t", "v"], ["b", "h", "g", "s", "v"])
    out = multiply(state, node, state.named(node, "context"), shares, v, labels)
    batch, head, group, tokens, channels = out.axes
    return AxisView.of(out.base, (batch, (*head, *group), tokens, channels))


def split_heads(state: Importer, node: Node, view: AxisView, heads: int) -> AxisView:
    """Return (batch, tokens, all channels) as (batch, heads, tokens, channels)."""
    if heads < 1 or view.shape[2] % heads:
        raise state.fail(node, f"{view.shape[2]} channels cannot be cut into {heads} heads")
    try:
        return transposed(reshaped(view, (*view.shape[:2], heads, view.shape[2] // heads)), (0, 2, 1, 3))
    except UnevenSplit as problem:
        raise state.fail(node, f"{heads} heads: {problem}") from None


def joined_heads(view: AxisView) -> AxisView:
    """Return (batch, heads, tokens, channels) as (batch, tokens, all channels)."""
    batch, heads, tokens, channels = view.axes
    return AxisView.of(view.base, (batch, tokens, (*heads, *channels)))


def cached(state: Importer, node: Node, past: str, new: AxisView) -> AxisView:
    """Return cached keys or values with new ones behind them; the new ones alone where nothing is cached."""
    before = state.values.shape(past) if past else None
    if before is None or len(before) != 4 or before[2] == 0:
        return new
    return cache_of(state, state.named(node, "cache"), new, (past,), 2, before[2] + new.shape[2])


def cache_of(state: Importer, name: str, new: AxisView, parts: tuple[str, ...], axis: int, length: int) -> AxisView:
    """Return a cache whose ``axis`` has ``length`` positions, those of ``new`` appended."""
    new.settle()
    axes = [
        of_extent(length, "attended") if number == axis else copied(dims) for number, dims in enumerate(new.axes)
    ]  # fmt: skip
    base = Base(name, tuple(dim for dims in axes[:-1] for dim in dims), axes[-1], "kv_cache", axes=tuple(axes))
    base.follows = state.latest([new, *(state.views[part] for part in parts if part in state.views)])
    return AxisView.of(base, axes)


def attention(state: Importer, node: Node) -> None:
    """The standard operator of opset 23: three or four axes, few heads of keys, and a cache."""
    views = [state.view(node.input(number)) for number in range(3)]
    flat = len(views[0].axes) == 3
    if flat:
        given = node.attributes
        heads = int(given.get("q_num_heads", 0)), int(given.get("kv_num_heads", 0)), int(given.get("kv_num_heads", 0))
        views = [split_heads(state, node, view, count) for view, count in zip(views, heads, strict=True)]
    q, k, v = views
    k, v = cached(state, node, node.input(4), k), cached(state, node, node.input(5), v)
    _results(state, node, attend(state, node, q, k, v), k, v, flat=flat)


def _results(state: Importer, node: Node, context: AxisView, k: AxisView, v: AxisView, *, flat: bool) -> None:
    outputs = (joined_heads(context) if flat else context, k, v)
    for name, view in zip(node.outputs, outputs, strict=False):
        if name:
            state.views[name] = view


def grouped_query_attention(state: Importer, node: Node) -> None:
    """ONNX Runtime's attention over a cache: (batch, tokens, channels), queries perhaps with keys and values behind."""
    given = node.attributes
    heads, shared = int(given["num_heads"]), int(given["kv_num_heads"])
    names = [node.input(number) for number in range(3)]
    if names[1]:
        q, k, v = (state.view(name) for name in names)
    else:
        packed = state.view(names[0])
        width = packed.shape[2] // (heads + 2 * shared)
        parts = [part_of_columns(state, packed, 2, count * width) for count in (heads, shared, shared)]
        if None in parts:
            raise state.fail(node, "its queries, keys and values are packed, and not the result of one product")
        q, k, v = (part for part in parts if part is not None)
    q, k, v = (split_heads(state, node, view, count) for view, count in ((q, heads), (k, shared), (v, shared)))
    if given.get("do_rotary"):
        q, k = (_turned(state, node, view) for view in (q, k))
    k, v = cached(state, node, node.input(3), k), cached(state, node, node.input(4), v)
    _results(state, node, attend(state, node, q, k, v), k, v, flat=True)


def _turned(state: Importer, node: Node, view: AxisView) -> AxisView:
    return row_operator(
        state, node, Rope, (view,), name=state.named(node, "rope"), head_dim=view.shape[-1], tokens=view.shape[2]
    )  # fmt: skip


def multi_head_attention(state: Importer, node: Node) -> None:
    """ONNX Runtime's attention of projected queries, keys and values, with a cache perhaps."""
    heads = int(node.attributes["num_heads"])
    views = [state.view(node.input(number)) for number in range(3) if node.input(number)]
    if len(views) != 3 or len(views[0].axes) != 3:
        raise state.fail(node, "its queries, keys and values are packed in one tensor")
    q, k, v = (view if len(view.axes) == 4 else split_heads(state, node, view, heads) for view in views)
    k, v = cached(state, node, node.input(6), k), cached(state, node, node.input(7), v)
    _results(state, node, attend(state, node, q, k, v), k, v, flat=True)


def fused_attention(state: Importer, node: Node) -> None:
    """ONNX Runtime's attention with the projection of queries, keys and values inside."""
    heads = int(node.attributes["num_heads"])
    sizes = node.attributes.get("qkv_hidden_sizes") or []
    whole = state.shape(node.input(1), node)[1]
    packed = multiply(
        state, node, state.named(node, "qkv"), state.view(node.input(0)), node.input(1),
        (["b", "s", "k"], ["k", "n"], ["b", "s", "n"]),
    )  # fmt: skip
    record = state.product_behind(packed)
    if record is not None and node.input(2):
        record.biased = True
    parts = [part_of_columns(state, packed, 2, int(count)) for count in sizes or [whole // 3] * 3]
    q, k, v = (split_heads(state, node, part, heads) for part in parts if part is not None)
    if node.input(4):
        raise state.fail(node, "its cache holds keys and values in one tensor, which is not read")
    context = joined_heads(attend(state, node, q, k, v))
    state.views[node.outputs[0]] = context
