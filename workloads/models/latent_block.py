"""Attention with low-rank keys and values (DeepSeek-V2) [1]_, as the transformers library runs it.

    x ─ kv_down ─ norm ─► latent (tokens, rank) ──► k_up ─► keys, values of all heads
    x ─ k_rotary ─ rope ► one turned part of the key for all heads

The cache keeps latents and turned parts. Each step expands all of them again: ``k_up`` and ``v_up`` run over every
cached token, which serving software avoids by folding ``k_up`` into the queries and ``v_up`` into the output. Scores
are two products, of the plain and of the turned channels, and their sum, so that nothing is copied.

References
----------
.. [1] DeepSeek-AI, "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model",
   arXiv:2405.04434, section 2.1.
"""

from __future__ import annotations

from workloads.models.attention import HeadSizes, reads_cache, score, weigh
from workloads.models.layer_builder import LayerBuilder
from workloads.models.layers import Latent
from workloads.ops import RmsNorm
from workloads.tensor import Extents, Tensor


def latent_attention(block: LayerBuilder, x: Tensor, low: Latent) -> Tensor:
    """Add the projections, attention and the output projection; return (tokens, d_model)."""
    layer, spec = block.layer, block.layer.attention
    down = "a" in spec.bias
    keys = spec.keys_read(block.shape)
    plain = HeadSizes(spec.heads, spec.heads, low.plain, spec.value_dim)
    turned = HeadSizes(spec.heads, 1, low.rotary, spec.value_dim)
    queries = _queries(block, x, low, plain, turned)
    latent = block.linear("kv_down", x, (("latent", low.rank),), "mha_projection", bias=down, kv=True)
    latent = block.rows_norm("kv_norm", latent, 1, RmsNorm.kind)
    rotary = block.linear("k_rotary", x, turned.keys, "mha_projection", bias=down, kv=True)
    rotary = block.rope("rope_k", rotary, low.rotary, low.rotary)
    if reads_cache(block, keys):
        latent = _cached(block, "latent_cache", latent, keys, (("latent", low.rank),))
        rotary = _cached(block, "rotary_cache", rotary, keys, turned.keys)
    k = block.linear("k_up", latent, plain.keys, "mha_projection", bias=False, kv=True)
    v = block.linear("v_up", latent, plain.values, "mha_projection", bias=False, kv=True)
    scores = block.residual(
        "scores_add",
        score(block, "scores_plain", queries[0], k, plain, keys),
        score(block, "scores_rotary", queries[1], rotary, turned, keys),
    )
    context = weigh(block, scores, v, plain, keys, causal=True, scale=spec.head_dim**-0.5)
    return block.linear("out", context, block.channels(layer.d_model), "mha_projection", bias="o" in spec.bias)


def _queries(block: LayerBuilder, x: Tensor, low: Latent, plain: HeadSizes, turned: HeadSizes) -> tuple[Tensor, Tensor]:
    """Add the projection of the queries, of low rank if the layer says so; return the plain and the turned part."""
    bias = "q" in block.layer.attention.bias
    if low.query_rank is not None:
        down = "a" in block.layer.attention.bias
        x = block.linear("q_down", x, (("query_latent", low.query_rank),), "mha_projection", bias=down)
        x = block.rows_norm("q_norm", x, 1, RmsNorm.kind)
    first = block.linear("q", x, plain.queries, "mha_projection", bias=bias)
    second = block.linear("q_rotary", x, turned.queries, "mha_projection", bias=bias)
    return first, block.rope("rope_q", second, low.rotary, low.rotary)


def _cached(block: LayerBuilder, name: str, new: Tensor, keys: int, columns: Extents) -> Tensor:
    """Return the cache that ``new`` is appended to, one row per cached or new token."""
    full, batch = block.named(name), block.shape.batch
    block.appends[full] = new.name
    rows = (("batch", batch), ("attended", keys))
    return Tensor(
        full, (batch * keys, new.shape[1]), (rows, columns), block.shape.bits.of(full, "kv_cache"), "kv_cache"
    )  # fmt: skip
