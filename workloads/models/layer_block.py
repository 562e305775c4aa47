"""The operators of one `Layer`: branches between normalisations and residual additions.

        before   x ─ norm ─ branch ────── + x            output   x ─ branch ─ norm ─ + x
        after    x ─ branch ─ + x ─ norm                 both     x ─ norm ─ branch ─ norm ─ + x

Not counted, as the weights before it absorb them: gains and offsets of normalisations, scales of layers (DINOv2), of
residuals (Granite) and of embeddings. Tables of relative positions and slopes (ALiBi) belong to the softmax.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from workloads.models.attention import HeadSizes, attend, cache, reads_cache
from workloads.models.experts_block import experts
from workloads.models.latent_block import latent_attention
from workloads.models.layer_builder import LayerBuilder
from workloads.models.layers import Attention, CrossAttention, Layer
from workloads.models.operator_builder import Shape
from workloads.ops import Operator, RmsNorm
from workloads.tensor import Tensor

_Branch: TypeAlias = Callable[[LayerBuilder, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Built:
    """Operators of one layer."""

    operators: tuple[Operator, ...]
    appends: dict[str, str]


def build_layer(layer: Layer, shape: Shape, *, prefix: str = "", source: int = 0) -> Built:
    """Return the operators of a layer.

    Parameters
    ----------
    prefix
        Before all names, where a graph holds several kinds of layers.
    source
        States of the encoder per sequence, for cross-attention.
    """
    block = LayerBuilder(shape, layer, prefix=prefix)
    x = block.input(layer.d_model)
    if layer.parallel:
        _parallel(block, x)
    else:
        if layer.has_attention:
            x = _branch(block, "attention", x, self_attention)
        if layer.cross is not None:
            x = _branch(block, "cross", x, lambda block, x: cross_attention(block, x, source))
        if layer.ffn is not None or layer.experts is not None:
            _branch(block, "ffn", x, feed_forward)
    return Built(tuple(block.operators), block.appends)


def _parallel(block: LayerBuilder, x: Tensor) -> None:
    """Add attention and the feed-forward part side by side; both take the layer's input, behind one norm or two."""
    normed = block.norm("attention_norm", x)
    attended = self_attention(block, normed)
    other = normed if block.layer.parallel == 1 else block.norm("ffn_norm", x)
    ffn = feed_forward(block, other)
    block.residual("ffn_add", block.residual("attention_add", attended, x), ffn)


def _branch(block: LayerBuilder, name: str, x: Tensor, branch: _Branch) -> Tensor:
    """Add a branch with its norms and its residual addition; return the stream behind it."""
    place, layer = block.layer.place, block.layer
    plain = name == "attention" and not layer.normed_input
    into = block.norm(f"{name}_norm", x) if place in ("before", "both") and not plain else x
    out = branch(block, into)
    if place in ("output", "both"):
        out = block.norm(f"{name}_norm_out" if place == "both" else f"{name}_norm", out)
    added = block.residual(f"{name}_add", out, x)
    return block.norm(f"{name}_norm", added) if place == "after" else added


def self_attention(block: LayerBuilder, x: Tensor) -> Tensor:
    """Add the projections, attention over the new tokens and the cache, and the output projection."""
    spec, layer = block.layer.attention, block.layer
    if spec.latent is not None:
        return latent_attention(block, x, spec.latent)
    heads = HeadSizes(spec.heads, spec.kv_heads, spec.head_dim, spec.value_dim, spec.repeats_cache)
    kv = spec.causal
    q = block.linear("q", x, heads.queries, "mha_projection", bias="q" in spec.bias)
    k = block.linear("k", x, heads.keys, "mha_projection", bias="k" in spec.bias, kv=kv)
    v = k if not spec.has_values else None
    if v is None:
        v = block.linear("v", x, heads.values, "mha_projection", bias="v" in spec.bias, kv=kv)
    q, k = _positioned(block, "q", q, spec.heads), _positioned(block, "k", k, spec.kv_heads)
    if spec.value_norm:
        v = block.rows_norm("v_norm", v, spec.kv_heads, RmsNorm.kind)
    keys = spec.keys_read(block.shape)
    if reads_cache(block, keys):
        k = cache(block, "k_cache", k, heads, heads.dim, keys)
        v = cache(block, "v_cache", v, heads, heads.value_dim, keys)
    context = attend(block, q, k, v, heads, keys, causal=spec.causal)
    return block.linear("out", context, block.channels(layer.d_model), "mha_projection", bias="o" in spec.bias)


def _positioned(block: LayerBuilder, name: str, x: Tensor, heads: int) -> Tensor:
    """Add the norm and the rotation of queries or keys, as far as the layer has them."""
    spec: Attention = block.layer.attention
    if spec.head_norm:
        rows = heads if spec.head_norm == "head" else 1
        x = block.rows_norm(f"{name}_norm", x, rows, spec.head_norm_kind)
    return block.rope(f"rope_{name}", x, spec.head_dim, spec.rotary) if spec.rotary else x


def cross_attention(block: LayerBuilder, x: Tensor, source: int) -> Tensor:
    """Add attention of the new tokens to ``source`` states per sequence; in decode their k and v are kept."""
    spec: CrossAttention | None = block.layer.cross
    assert spec is not None
    heads = HeadSizes(spec.heads, spec.heads, spec.head_dim, spec.head_dim)
    q = block.linear("cross_q", x, heads.queries, "mha_projection", bias="q" in spec.bias)
    if block.shape.phase == "decode":
        k = cache(block, "cross_k_cache", None, heads, heads.dim, source)
        v = cache(block, "cross_v_cache", None, heads, heads.dim, source)
    else:
        rows, width = (("batch", block.shape.batch), ("attended", source)), block.channels(block.layer.d_model)
        count = math.prod(size for _, size in rows)
        states = block.tensor("states", (count, block.layer.d_model), (rows, width))
        k = block.linear("cross_k", states, heads.keys, "mha_projection", bias="k" in spec.bias, kv=True)
        v = block.linear("cross_v", states, heads.values, "mha_projection", bias="v" in spec.bias, kv=True)
    context = attend(block, q, k, v, heads, source, causal=False, part="cross_")
    return block.linear(
        "cross_out", context, block.channels(block.layer.d_model), "mha_projection", bias="o" in spec.bias
    )


def feed_forward(block: LayerBuilder, x: Tensor) -> Tensor:
    """Add the dense part, the experts, or both."""
    layer = block.layer
    if layer.experts is None:
        assert layer.ffn is not None
        return block.feed_forward(x, layer.ffn)
    if layer.experts.beside and layer.ffn is not None:
        dense = block.norm("dense_norm_out", block.feed_forward(x, layer.ffn))
        sparse = block.norm("experts_norm_out", experts(block, block.norm("experts_norm", x), layer.experts))
        return block.residual("beside_add", dense, sparse)
    return experts(block, x, layer.experts)
