"""Attention between queries and keys: two repeated matmuls around a softmax.

    q (tokens, heads*head_dim) ──┐
                                 ├─ scores = Q K^T ─ softmax ─┐
    k (tokens, kv_heads*head_dim)┘                            ├─ context = P V (tokens, heads*value_dim)
    v (tokens, kv_heads*value_dim)────────────────────────────┘

Scores and probabilities are stored (batch * heads * seq) x keys, so the softmax is one operator over all
heads. The scale 1/sqrt(head_dim) and the causal mask belong to it. With a cache, K and V are read from
tensors (batch, kv_heads, keys, head_dim), the new rows included; appending them is free (their
projections write in place).

One instance of a matmul is one query head. When one token is decoded, the query heads that share a key head
lie one stride apart; they become the rows of one instance, so that each cached key and value is read once.
"""

from __future__ import annotations

from dataclasses import dataclass

from workloads.iteration_space import Operand
from workloads.models.block import BlockBuilder
from workloads.models.layers import Attention
from workloads.models.operator_builder import OperatorBuilder
from workloads.ops import Matmul, Softmax
from workloads.tensor import Extents, Tensor

AS_ATTENDED = {"query": "attended"}
"""New keys and values are made per query position and read per attended position."""


@dataclass(frozen=True, slots=True)
class HeadSizes:
    """Heads of an attention and what each of them holds."""

    query: int
    key: int
    """Heads of keys and values; each serves ``query`` / ``key`` query heads."""
    dim: int
    value_dim: int
    repeated: bool = False
    """Whether the cache holds keys and values once per query head."""

    @property
    def queries(self) -> Extents:
        """Dimensions of the columns of queries."""
        return ("head", self.key), ("query_head", self.query // self.key), ("head_dim", self.dim)

    @property
    def keys(self) -> Extents:
        """Dimensions of the columns of keys."""
        return ("head", self.key), ("head_dim", self.dim)

    @property
    def values(self) -> Extents:
        """Dimensions of the columns of values."""
        return ("head", self.key), ("head_dim", self.value_dim)

    @property
    def results(self) -> Extents:
        """Dimensions of the columns of the result."""
        return ("head", self.key), ("query_head", self.query // self.key), ("head_dim", self.value_dim)


def attention(block: BlockBuilder, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Add scores, softmax and context to ``block``; return the context (tokens, heads * head_dim)."""
    config, shape = block.config, block.shape
    heads = HeadSizes(config.heads, config.key_value_heads, config.head_size, config.head_size)
    causal = block.family.is_decoder
    spec = Attention(heads=heads.query, kv_heads=heads.key, head_dim=heads.dim, value_dim=heads.dim, causal=causal)
    read = spec.keys_read(shape)
    if reads_cache(block, read):
        k = cache(block, "k_cache", k, heads, heads.dim, read)
        v = cache(block, "v_cache", v, heads, heads.value_dim, read)
    return attend(block, q, k, v, heads, read, causal=causal)


def attend(
    block: OperatorBuilder, q: Tensor, k: Tensor, v: Tensor, heads: HeadSizes, keys: int, *, causal: bool,
    part: str = "",
) -> Tensor:  # fmt: skip
    """Add scores, softmax and context; return the context (tokens, query heads * value_dim).

    Parameters
    ----------
    k, v
        New keys and values, or the tensors of a cache.
    keys
        Positions that they hold per sequence.
    part
        Before the names of the operators: ``"cross_"`` for attention to an encoder.
    """
    scores = score(block, f"{part}scores", q, k, heads, keys)
    return weigh(block, scores, v, heads, keys, causal=causal, scale=heads.dim**-0.5, part=part)


def score(block: OperatorBuilder, name: str, q: Tensor, k: Tensor, heads: HeadSizes, keys: int) -> Tensor:
    """Add the product of queries and keys; return the scores (batch * heads * tokens, keys)."""
    rows = block.shape.tokens * heads.query
    pairs = (*block.tokens[:1], *heads.queries[:2], *block.tokens[1:])
    scores = block.tensor(name, (rows, keys), (pairs, "attended"))
    return block.add(
        Matmul(
            name=scores.name, inputs=(q, k), output=scores, op_class="act_to_act",
            b_indexing=Operand.by_name(k, AS_ATTENDED).axes,
        )
    )  # fmt: skip


def weigh(
    block: OperatorBuilder, scores: Tensor, v: Tensor, heads: HeadSizes, keys: int, *, causal: bool, scale: float,
    part: str = "",
) -> Tensor:  # fmt: skip
    """Add the softmax of scores and their product with the values; return (tokens, query heads * value_dim)."""
    shape = block.shape
    probabilities = block.like(scores, f"{part}softmax")
    block.add(
        Softmax(
            name=probabilities.name, inputs=(scores,), output=probabilities, rows=scores.shape[0], cols=keys,
            scale=scale, causal_tokens=shape.seq if causal else None,
        )
    )  # fmt: skip
    out = block.tensor(f"{part}context", (shape.tokens, heads.query * heads.value_dim), (block.tokens, heads.results))
    return block.add(
        Matmul(
            name=out.name, inputs=(probabilities, v), output=out, op_class="act_to_act",
            b_indexing=Operand.by_name(v, AS_ATTENDED).axes,
        )
    )  # fmt: skip


def reads_cache(block: OperatorBuilder, keys: int) -> bool:
    """Whether others than the new keys and values are read: those of earlier tokens too, or fewer than all."""
    return block.shape.phase == "decode" or block.shape.context > 0 or keys != block.shape.seq


def cache(block: OperatorBuilder, name: str, new: Tensor | None, heads: HeadSizes, width: int, keys: int) -> Tensor:
    """Return the cache of keys or values, ``width`` channels per head; ``new`` is appended to it before it is read."""
    full = block.named(name)
    if new is not None:
        block.appends[full] = new.name
    lead: tuple[tuple[str, int], ...] = (("batch", block.shape.batch), ("head", heads.key))
    if heads.repeated:
        lead = (*lead, ("query_head", heads.query // heads.key))
    dims = (*lead, ("attended", keys), ("head_dim", width))
    shape, names = tuple(size for _, size in dims), tuple(name for name, _ in dims)
    return Tensor(full, shape, names, block.shape.bits.of(full, "kv_cache"), "kv_cache")
