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
lie one stride apart; they become the rows of one instance, so that each cached key and value is read once.
"""

from __future__ import annotations

from workloads.iteration_space import Operand
from workloads.models.block import BlockBuilder
from workloads.ops import Matmul, Softmax
from workloads.tensor import Tensor

AS_ATTENDED = {"query": "attended"}
"""New keys and values are made per query position and read per attended position."""


def attention(block: BlockBuilder, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Add scores, softmax and context to ``block``; return the context (tokens, heads * head_dim)."""
    config, shape = block.config, block.shape
    head_dim, attended = config.head_size, shape.attended
    rows = shape.tokens * config.heads
    pairs = (*block.tokens[:1], *block.heads[:2], *block.tokens[1:])
    scores = block.tensor("scores", (rows, attended), (pairs, "attended"))
    out = block.tensor("context", (shape.tokens, config.heads * head_dim), (block.tokens, block.heads))
    keys, values = _attended(block, k, "k_cache"), _attended(block, v, "v_cache")
    block.add(
        Matmul(
            name="scores", inputs=(q, keys), output=scores, op_class="act_to_act",
            b_indexing=Operand.by_name(keys, AS_ATTENDED).axes,
        )
    )  # fmt: skip
    probabilities = block.like(scores, "softmax")
    block.add(
        Softmax(
            name="softmax", inputs=(scores,), output=probabilities, rows=rows, cols=attended,
            scale=head_dim**-0.5, causal_tokens=shape.seq if block.family.is_decoder else None,
        )
    )  # fmt: skip
    return block.add(
        Matmul(
            name="context", inputs=(probabilities, values), output=out, op_class="act_to_act",
            b_indexing=Operand.by_name(values, AS_ATTENDED).axes,
        )
    )  # fmt: skip


def _attended(block: BlockBuilder, new: Tensor, cache_name: str) -> Tensor:
    """Return the tensor of keys or values that is read: the cache if there is one."""
    config, shape = block.config, block.shape
    if shape.phase == "prefill" and shape.context == 0:
        return new
    block.appends[cache_name] = new.name
    return Tensor(
        cache_name, (shape.batch, config.key_value_heads, shape.attended, config.head_size),
        ("batch", "head", "attended", "head_dim"), shape.bits.of(cache_name, "kv_cache"), "kv_cache",
    )  # fmt: skip
