"""Sequences that shrink from layer to layer: what token pruning and merging leave to compute.

A layer with hidden width d, feed-forward width 4 d and l tokens takes 24 d^2 l + 4 d l^2 operations.

References
----------
.. [1] S. Kim et al., "Learned Token Pruning for Transformers", arXiv:2107.00910.
"""

from __future__ import annotations

from collections.abc import Sequence

from workloads.errors import GraphError


def operations(d_model: int, tokens: Sequence[float]) -> float:
    """Return the operations of all products of layers that see ``tokens``, one number for each layer."""
    if d_model < 1 or not tokens or min(tokens) < 0:
        raise GraphError("a schedule needs a width and a number of tokens, at least 0, for each layer")
    return sum(24 * d_model**2 * one + 4 * d_model * one**2 for one in tokens)


def top_k_schedule(layers: int, tokens: int, kept: float, whole: int = 3) -> tuple[float, ...]:
    """Return the tokens of each layer if the first ``whole`` see all, and then fewer on a line to ``kept`` of them.

    This is the baseline of [1]_, with a share of ``kept`` left in the last layer.

    Raises
    ------
    GraphError
        For shares outside 0..1, and more whole layers than there are.
    """
    if not 0 <= kept <= 1:
        raise GraphError(f"kept={kept}: must lie in 0..1")
    if not 1 <= whole < layers:
        raise GraphError(f"whole={whole}: must lie in 1..{layers - 1}, below the {layers} layers")
    lost = (1 - kept) / (layers - whole)
    return tuple(tokens * (1 - lost * max(0, layer + 1 - whole)) for layer in range(layers))


def saving(d_model: int, layers: int, tokens: int, schedule: Sequence[float]) -> float:
    """Return how many times fewer operations a schedule takes than all tokens in all layers.

    Raises
    ------
    GraphError
        For a schedule of another number of layers.
    """
    if len(schedule) != layers:
        raise GraphError(f"schedule: {len(schedule)} numbers of tokens for {layers} layers")
    return operations(d_model, [tokens] * layers) / operations(d_model, schedule)
