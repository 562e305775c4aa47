"""What a layer of experts moves, holds and pads.

    T tokens choose k of E experts each; expert e gets T_e of them; an expert has W weights of b bytes

    read, expert by expert   W for each expert that is hit           buffer   two experts, one of them on its way
    read, token by token     W for each of the T k choices           buffer   all E experts, to read them once

References
----------
.. [1] R. Sarkar et al., "Edge-MoE: Memory-Efficient Multi-Task Vision Transformer Architecture with Task-level Sparsity
   via Mixture-of-Experts", arXiv:2305.18691.
.. [2] "SonicMoE", arXiv:2512.14080, for rows that are padded to whole tiles.
.. [3] "Insights into DeepSeek-V3: Scaling Challenges and Reflections on Hardware for AI Architectures",
   arXiv:2505.09343, for the exchange between chips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workloads.errors import GraphError
from workloads.models.layers import Stack
from workloads.models.parameters import total_parameters
from workloads.routing import BALANCED, Routing, tail

Order = Literal["expert", "token"]


@dataclass(frozen=True, slots=True)
class OrderCost:
    """One order of the work of a layer."""

    order: Order
    weights_read: int
    """[elements]"""
    buffer: int
    """Weights that must be on chip at once. [elements]"""


def orders(loads: Sequence[int], weights: int) -> tuple[OrderCost, OrderCost]:
    """Return both orders, the expert's first.

    Parameters
    ----------
    loads
        Tokens of each expert that gets some.
    weights
        Of one expert.
    """
    hit, choices = len(loads), sum(loads)
    return (
        OrderCost("expert", hit * weights, min(2, hit) * weights),
        OrderCost("token", choices * weights, min(2, choices) * weights),
    )


def best_order(loads: Sequence[int], experts: int, weights: int, room: int) -> OrderCost:
    """Return the order that reads fewer weights into a buffer of ``room`` elements.

    Token by token, weights are read once, too, if all experts fit.

    Raises
    ------
    GraphError
        If not even one expert fits.
    """
    if weights > room:
        raise GraphError(f"a buffer of {room:,} weights holds no expert of {weights:,}")
    by_expert, by_token = orders(loads, weights)
    if experts * weights <= room:
        by_token = OrderCost("token", by_expert.weights_read, experts * weights)
    fits = [cost for cost in (by_expert, by_token) if cost.buffer <= room or cost.order == "expert"]
    return min(fits, key=lambda cost: cost.weights_read)


def padded_work(experts: int, chosen: int, tokens: int, rows: int) -> float:
    """Return the rows computed over the rows needed, if each expert's are padded to whole tiles of ``rows``.

    The mean over a router without preferences: tokens of an expert are binomial, and the mean of a rounded number is
    not the rounded mean.

    Raises
    ------
    GraphError
        For numbers below one, and more experts per token than experts.
    """
    _check(experts, chosen, tokens)
    if rows < 1:
        raise GraphError(f"rows={rows}: a tile has at least 1")
    reach = tail(chosen / experts, tokens)
    tiles = sum(float(reach[start]) for start in range(1, tokens + 1, rows))
    return experts * tiles * rows / (tokens * chosen)


def imbalance(loads: Sequence[int], experts: int) -> float:
    """Return the busiest expert's tokens over the mean, which is the wait of experts that run side by side."""
    return max(loads) * experts / sum(loads)


def hiding_tokens(macs_per_cycle: float, bytes_per_cycle: float, bytes_per_weight: float = 1.0) -> float:
    """Return the tokens of an expert from which on its products take as long as reading the next one's weights.

    A weight is multiplied once per token and read once: neither width matters.
    """
    if min(macs_per_cycle, bytes_per_cycle, bytes_per_weight) <= 0:
        raise GraphError("hiding_tokens: rates and bytes must be positive")
    return macs_per_cycle * bytes_per_weight / bytes_per_cycle


def exchange_seconds(
    tokens: int,
    destinations: float,
    width: int,
    link_bytes_per_s: float,
    *,
    bytes_out: float = 1,
    bytes_back: float = 2,
) -> float:  # fmt: skip
    """Return the time of sending tokens to experts on other chips and their results back. [s]

    Parameters
    ----------
    destinations
        Chips that a token goes to.
    width
        Channels of a token.
    bytes_out, bytes_back
        Of one channel: fp8 and bf16 in [3]_.
    """
    if tokens < 1 or link_bytes_per_s <= 0:
        raise GraphError("exchange_seconds: tokens must be at least 1 and the link's rate positive")
    return (bytes_out + bytes_back) * tokens * destinations * width / link_bytes_per_s


def exchange_step_seconds(layers: int, exchange: float) -> float:
    """Return the time of a step of ``layers`` that exchange twice, two half batches in turn as in [3]_. [s]"""
    return layers * 2 * exchange


def repeats_first(experts: int) -> float:
    """Return how often the best expert of a token is that of the token before it, without preferences."""
    return 1 / experts


def repeats_any(experts: int, chosen: int) -> float:
    """Return how often a token shares an expert with the token before it, without preferences."""
    _check(experts, chosen, 1)
    return 1 - math.comb(experts - chosen, chosen) / math.comb(experts, chosen)


def step_weight_bytes(stack: Stack, batch: int, bits: float = 8, routing: Routing = BALANCED) -> float:
    """Return the expected bytes of weights that a decode step reads: all but the embedding, and experts if hit.

    Parameters
    ----------
    stack
        A model, as `workloads.load_config` reads it.
    bits
        Of a weight; all are taken to have as many.
    """
    if batch < 1:
        raise GraphError(f"batch={batch}: must be at least 1")
    layers = [layer for group in stack.groups for layer in group.layers]
    if stack.vocabulary is None:
        raise GraphError(f"{stack.name}: vocab_size is not known")
    read: float = total_parameters(stack) - (0 if stack.tied else stack.vocabulary * layers[-1].d_model)
    for layer in layers:
        if (spec := layer.experts) is not None:
            each = (3 if spec.each.gated else 2) * layer.d_model * spec.each.inner
            read -= (spec.count - routing.distinct(spec.count, spec.chosen, batch)) * each
    return read * bits / 8


def _check(experts: int, chosen: int, tokens: int) -> None:
    if not 1 <= chosen <= experts:
        raise GraphError(f"chosen={chosen}: must lie in 1..{experts}, the experts")
    if tokens < 1:
        raise GraphError(f"tokens={tokens}: must be at least 1")
