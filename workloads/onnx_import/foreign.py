"""Shapes of the results of ONNX Runtime's own operators, which the onnx library does not infer."""

from __future__ import annotations

from workloads.onnx_import.file import Node
from workloads.onnx_import.shapes import Shape, Values

LIKE_FIRST = frozenset(
    [
        "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization",
        "BiasGelu", "FastGelu", "QuickGelu", "Gelu", "BiasSoftmax", "RotaryEmbedding", "LayerNormalization",
        "MultiHeadAttention",
    ]
)  # fmt: skip
"""Operators whose result has the shape of their first input."""


def shapes_of(node: Node, values: Values) -> dict[str, Shape]:
    """Return the shapes of a node's results by name, as far as those of its inputs tell them."""
    first = values.shape(node.input(0))
    second = values.shape(node.input(1)) if node.input(1) else None
    if first is None or not node.outputs:
        return {}
    out = node.outputs[0]
    if node.op in LIKE_FIRST:
        return {out: first, **{name: first for name in node.outputs[3:4] if name}}
    if node.op == "MatMulNBits":
        return {out: (*first[:-1], int(node.attributes["N"]))}
    if node.op == "GroupQueryAttention":
        return _with_cache(node, values, first)
    if second is None:
        return {}
    if node.op in ("FusedMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "FusedGemm"):
        a, b = list(first), list(second)
        if node.attributes.get("transA"):
            a[-2:] = a[:-3:-1]
        if node.attributes.get("transB"):
            b[-2:] = b[:-3:-1]
        lead = a[:-2] if len(a) >= len(b) else b[:-2]
        return {out: (*lead, a[-2], b[-1])}
    if node.op == "Attention":
        sizes = node.attributes.get("qkv_hidden_sizes") or []
        return {out: (*first[:-1], int(sizes[2]) if sizes else second[1] // 3)}
    return {}


def _with_cache(node: Node, values: Values, queries: Shape) -> dict[str, Shape]:
    """Return the shapes of an attention over a cache."""
    heads, shared = int(node.attributes["num_heads"]), int(node.attributes["kv_num_heads"])
    width = queries[2] // (heads if node.input(1) else heads + 2 * shared)
    found: dict[str, Shape] = {node.outputs[0]: (queries[0], queries[1], heads * width)}
    past = values.shape(node.input(3)) if node.input(3) else None
    length = queries[1] + (past[2] if past is not None and len(past) == 4 else 0)
    for name in node.outputs[1:3]:
        if name:
            found[name] = (queries[0], shared, length, width)
    return found
