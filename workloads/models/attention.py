"""Attention between queries and keys: two repeated matmuls around a softmax.

    q (tokens, heads*head_dim) ──┐
                                 ├─ scores = Q K^T ─ softmax ─┐
    k (tokens, kv_heads*head_dim)┘                            ├─ context = P V (tokens, heads*head_dim)
    v (tokens, kv_heads*head_dim)─────────────────────────────┘

Scores and probabilities are stored (batch * heads * seq) x attended, so the softmax is one operator over all
heads. The scale 1/sqrt(head_dim) and the causal mask belong to it. With a cache, K and V are read from
tensors (batch, kv_heads, attended, head_dim), the new rows included; appending them is free (their
projections write in place).

One instance of a matmul is one query head. When one token is decoded, the query heads that share a key head
are the rows of one instance, so that each cached key and value is read once.
"""

from __future__ import annotations

from workloads.models.block import BlockBuilder
from workloads.ops import Matmul, Softmax
from workloads.tensor import Tensor, View

Strides = tuple[tuple[int, int], ...]


def attention(block: BlockBuilder, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Add scores, softmax and context to ``block``; return the context (tokens, heads * head_dim)."""
    config, shape = block.config, block.shape
    head_dim, attended = config.head_size, shape.attended
    rows = shape.tokens * config.heads
    scores = block.tensor("scores", (rows, attended), ("batch*heads*seq", "attended"))
    out = block.tensor("context", (shape.tokens, config.heads * head_dim), ("tokens", "channels"))
    queries, m = _head_views(block, q)
    results, _ = _head_views(block, out)
    keys = _key_view(block, k, "k_cache")
    values = _key_view(block, v, "v_cache")
    repeat = queries.instances

    def score_view(tensor: Tensor) -> View:
        return View(tensor, attended, _contiguous(queries.instance_strides, m * attended))

    block.add(
        Matmul(
            name="scores", inputs=(q, keys.tensor), output=scores, op_class="act_to_act", repeat=repeat,
            views=(queries, keys, score_view(scores)), b_transposed=True, m=m, k=head_dim, n=attended,
        )
    )  # fmt: skip
    probabilities = block.like(scores, "softmax")
    block.add(
        Softmax(
            name="softmax", inputs=(scores,), output=probabilities, rows=rows, cols=attended,
            scale=head_dim**-0.5, causal_tokens=shape.seq if config.is_decoder else None,
        )
    )  # fmt: skip
    return block.add(
        Matmul(
            name="context", inputs=(probabilities, values.tensor), output=out, op_class="act_to_act", repeat=repeat,
            views=(score_view(probabilities), values, results), m=m, k=attended, n=head_dim,
        )
    )  # fmt: skip


def _head_views(block: BlockBuilder, tensor: Tensor) -> tuple[View, int]:
    """Return the per-instance view of Q or of the context, and the rows m of an instance."""
    config, shape = block.config, block.shape
    width, head_dim = config.heads * config.head_size, config.head_size
    group = config.heads // config.key_value_heads
    if shape.seq == 1:
        return View(tensor, head_dim, ((shape.batch, width), (config.key_value_heads, group * head_dim))), group
    heads = ((shape.batch, shape.seq * width), (config.key_value_heads, group * head_dim), *_shared(group, head_dim))
    return View(tensor, width, heads), shape.seq


def _key_view(block: BlockBuilder, new: Tensor, cache_name: str) -> View:
    """Return the per-instance view (attended x head_dim) of keys or values, in the cache if there is one."""
    config, shape = block.config, block.shape
    kv_heads, head_dim, attended = config.key_value_heads, config.head_size, shape.attended
    shared = _shared(config.heads // kv_heads, 0) if shape.seq > 1 else ()
    if shape.phase == "prefill" and shape.context == 0:
        width = kv_heads * head_dim
        return View(new, width, ((shape.batch, shape.seq * width), (kv_heads, head_dim), *shared))
    cache = Tensor(
        cache_name, (shape.batch, kv_heads, attended, head_dim), ("batch", "kv_heads", "attended", "head_dim"),
        shape.bits.of(cache_name, "kv_cache"), "kv_cache",
    )  # fmt: skip
    block.appends[cache_name] = new.name
    per_head = attended * head_dim
    return View(cache, head_dim, ((shape.batch, kv_heads * per_head), (kv_heads, per_head), *shared))


def _shared(group: int, stride: int) -> Strides:
    """Return the instance dimension of the query heads that share a key head, if there are several."""
    return ((group, stride),) if group > 1 else ()


def _contiguous(like: Strides, matrix: int) -> Strides:
    """Return instance strides with the counts of ``like`` for matrices of ``matrix`` elements back to back."""
    strides: list[tuple[int, int]] = []
    step = matrix
    for count, _ in reversed(like):
        strides.insert(0, (count, step))
        step *= count
    return tuple(strides)
