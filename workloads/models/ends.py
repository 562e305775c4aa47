"""What a language model does before its first and behind its last layer: embedding, final norm and LM head.

The head runs for one token per sequence, the last of a prompt: its logits make the next token. Tables of positions are
added by the embedding and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workloads.graph import BlockKind
from workloads.models.operator_builder import OperatorBuilder, Shape
from workloads.ops import LayerNorm, Lookup, Operator, RmsNorm

NAME = "ends"


@dataclass(frozen=True, slots=True)
class Ends:
    """Sizes of the ends."""

    d_model: int
    vocabulary: int
    norm: type[LayerNorm] | type[RmsNorm]
    epsilon: float


def build_ends(ends: Ends, shape: Shape) -> tuple[tuple[Operator, ...], BlockKind]:
    """Return the operators of the ends, and how the graph counts them: once."""
    first = OperatorBuilder(shape)
    rows, width = (shape.tokens, ends.d_model), (("channel", ends.d_model),)
    table = first.tensor("embedding.rows", rows, (first.tokens, width))
    out = first.tensor("embedding", rows, (first.tokens, width))
    first.add(Lookup(name="embedding", inputs=(table,), output=out, rows=rows[0], cols=rows[1]))
    last = OperatorBuilder(replace(shape, seq=1))
    stream = last.tensor("last", (shape.batch, ends.d_model), (last.tokens, width))
    normed = last.like(stream, "final_norm")
    last.add(
        ends.norm(
            name="final_norm", inputs=(stream,), output=normed, rows=shape.batch, cols=ends.d_model,
            epsilon=ends.epsilon,
        )
    )  # fmt: skip
    last.linear("lm_head", normed, (("classes", ends.vocabulary),), "other", bias=False)
    operators = (*first.operators, *last.operators)
    return operators, BlockKind(NAME, (0,), tuple(op.name for op in operators))
