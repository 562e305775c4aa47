"""A mixture of experts: a router, the feed-forward parts that it chooses for each token, and their weighted sum.

    x ─ router ─ softmax ─ choice ─► dispatch: one row per token and choice, sorted by expert
                    │                   experts: as many matmuls as experts are hit
                    └────────────────► combine ─ + shared part ─►

Unless a router is described (`workloads.routing`), all experts are equally likely: so many get tokens as are expected
to (`Experts.expected_hit`), and the tokens are spread over them as evenly as they go. The weights of the others are
stored, but not read. A bias of the experts is one row for all of them: what it costs is the same.
"""

from __future__ import annotations

from workloads.models.layer_builder import LayerBuilder
from workloads.models.layers import Experts, FeedForward
from workloads.ops import Combine, Dispatch, Matmul, Softmax, TopK
from workloads.tensor import Extents, Tensor

INDEX_BITS = 16
"""Width of the number of an expert. [bits]"""


def experts(block: LayerBuilder, x: Tensor, spec: Experts) -> Tensor:
    """Add the router, the experts and the shared part; return (tokens, d_model)."""
    tokens = block.shape.tokens
    logits = block.linear("router", x, (("expert", spec.count),), "ffn_projection", bias=spec.each.bias)
    shares = block.like(logits, "router_softmax")
    block.add(Softmax(name=shares.name, inputs=(logits,), output=shares, rows=tokens, cols=spec.count))
    name = block.named("choice")
    choice = Tensor(name, (tokens, spec.chosen), (block.tokens, (("choice", spec.chosen),)), INDEX_BITS)
    block.add(TopK(name=name, inputs=(shares,), output=choice))
    results, first = [], 0
    for number, (count, each) in enumerate(spec.loads(tokens)):
        part = ("expert_", "rest_expert_")[number] if number < 2 else f"rest_{number}_expert_"
        results.append(_experts(block, x, choice, spec.each, part, (("expert", count), ("slot", each)), first))
        first += count * each
    out = block.like(x, "combine")
    block.add(Combine(name=out.name, inputs=(choice, shares, *results), output=out))
    return out if spec.shared is None else block.residual("shared_add", out, _shared(block, x, spec, spec.shared))


def _shared(block: LayerBuilder, x: Tensor, spec: Experts, part: FeedForward) -> Tensor:
    """Add the part that all tokens run through; the product with its gate is absorbed by the sum."""
    if spec.shared_gate:
        block.linear("shared_scale", x, (("gate", 1),), "ffn_projection", bias=False)
    return block.feed_forward(x, part, "shared_")


def _experts(
    block: LayerBuilder, x: Tensor, choice: Tensor, spec: FeedForward, part: str, rows: Extents, first: int
) -> Tensor:
    """Add experts that get equally many tokens; ``rows`` tells how many they are and how many each gets."""
    (_, count), (_, each) = rows
    sorted_rows = block.tensor(f"{part}rows", (count * each, x.shape[1]), (rows, block.channels(x.shape[1])))
    block.add(Dispatch(name=sorted_rows.name, inputs=(x, choice), output=sorted_rows, first=first))
    inner, width = (("hidden", spec.inner),), block.channels(x.shape[1])
    up_name = "up" if spec.gated else "ffn1"
    if spec.gated:
        gate = _each(block, f"{part}gate", sorted_rows, inner, bias=spec.bias)
        active = block.activation(f"{part}activation", gate, spec.activation)
        up = _each(block, f"{part}{up_name}", sorted_rows, inner, bias=spec.bias)
        active = block.product(f"{part}mul", active, up)
    else:
        active = _each(block, f"{part}{up_name}", sorted_rows, inner, bias=spec.bias)
        active = block.activation(f"{part}activation", active, spec.activation)
    return _each(block, f"{part}down", active, width, bias=spec.bias)


def _each(block: LayerBuilder, name: str, x: Tensor, to: Extents, *, bias: bool) -> Tensor:
    """Multiply the rows of each expert by its own weights, to columns ``to``."""
    rows, inner = x.axes
    ((_, columns),) = to
    weight = block.tensor(f"{name}.weight", (rows[0][1], x.shape[1], columns), (rows[:1], inner, to), "weight")
    row_bias = block.tensor(f"{name}.bias", (columns,), (to,), "bias") if bias else None
    out = block.tensor(name, (x.shape[0], columns), (rows, to))
    inputs = (x, weight) if row_bias is None else (x, weight, row_bias)
    return block.add(Matmul(name=out.name, inputs=inputs, output=out, op_class="ffn_projection", bias=row_bias))
