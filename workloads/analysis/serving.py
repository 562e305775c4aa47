"""What a generation costs by formulas: bounds of bandwidth, use of a machine, money, and a published look-up.

References
----------
.. [1] D. Narayanan et al., "Cheaply Estimating Inference Efficiency Metrics for Autoregressive Transformer Models",
   arXiv:2305.02440; times by prompt length F and per token g are fitted by `mapper.generation.runtime_model`.
.. [2] R. Pope et al., "Efficiently Scaling Transformer Inference", arXiv:2211.05102, for the use of a machine.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping

from workloads.errors import GraphError

CENTS_PER_HOUR = 36
"""Seconds times machines times dollars an hour, over this, are cents."""


def bandwidth_bound(weight_bytes: float, kv_bytes: float, batch: int, bytes_per_s: float) -> float:
    """Return the tokens per second at most, if weights are read once a step and every sequence's cache once. [1/s]"""
    _positive(weight_bytes=weight_bytes, batch=batch, bytes_per_s=bytes_per_s)
    return batch * bytes_per_s / (weight_bytes + batch * kv_bytes)


def batch_gain(weight_bytes: float, kv_bytes: float, batch: int) -> float:
    """Return the tokens per second of a batch over those of one sequence, where memory bounds both."""
    _positive(weight_bytes=weight_bytes, batch=batch)
    return batch * (weight_bytes + kv_bytes) / (weight_bytes + batch * kv_bytes)


def generation_bound(
    parameters: float,
    weight_bytes: float,
    kv_bytes: float,
    *,
    batch: int,
    prompt: int,
    tokens: int,
    peak_per_s: float,
    bytes_per_s: float,
) -> float:
    """Return the least time of a prompt and the steps behind it: each takes the longer of arithmetic and memory. [s]

    Parameters
    ----------
    parameters
        Weights of matrices that every token meets: two operations each.
    weight_bytes, kv_bytes
        What a pass reads of the weights, and what one token of one sequence keeps in the cache. [bytes]
    batch, prompt, tokens
        Sequences, tokens read of each, and tokens written of each, of which the first falls out of the prompt's pass.
    peak_per_s, bytes_per_s
        Operations and bytes a second of all chips together.

    Raises
    ------
    GraphError
        A size or a rate is not positive.
    """
    _positive(parameters=parameters, weight_bytes=weight_bytes, batch=batch, prompt=prompt, tokens=tokens)
    _positive(peak_per_s=peak_per_s, bytes_per_s=bytes_per_s)
    arithmetic = 2 * parameters * batch / peak_per_s
    first = max(arithmetic * prompt, weight_bytes / bytes_per_s)
    steps = (weight_bytes + kv_bytes * (prompt + step) * batch for step in range(1, tokens))
    return first + sum(max(arithmetic, moved / bytes_per_s) for moved in steps)


def compute_use(parameters: float, tokens: float, seconds: float, peak_per_s: float) -> float:
    """Return the share of a machine's arithmetic that went into two operations per parameter and token [2]_.

    The tokens must be those whose time is given: prompts and steps have very different shares.
    """
    _positive(seconds=seconds, peak_per_s=peak_per_s)
    return 2 * parameters * tokens / (seconds * peak_per_s)


def bandwidth_use(touched_bytes: float, seconds: float, bytes_per_s: float) -> float:
    """Return the share of a machine's bandwidth that weights and cache needed."""
    _positive(seconds=seconds, bytes_per_s=bytes_per_s)
    return touched_bytes / (seconds * bytes_per_s)


def cents(seconds: float, machines: int, dollars_per_hour: float) -> float:
    """Return the cost of a run as [1]_ states it. [US cents]"""
    _positive(machines=machines)
    return seconds * machines * dollars_per_hour / CENTS_PER_HOUR


def helm_first(first: Mapping[int, float], prompt: int) -> float:
    """Return F between measured prompt lengths as the code of [1]_ looks it up: in proportion to the next longer one.

    It falls behind most measured lengths; lines between them do not, and are what `TwoTerms` takes.

    Raises
    ------
    GraphError
        For no lengths, and a prompt below one token.
    """
    lengths = sorted(first)
    if not lengths or lengths[0] < 1:
        raise GraphError("first: needs times by prompt length, from one token on")
    _positive(prompt=prompt)
    place = bisect.bisect_left(lengths, prompt)
    nearest = lengths[min(place, len(lengths) - 1)]
    return first[nearest] if nearest == prompt else first[nearest] * prompt / nearest


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise GraphError(f"{name}={value}: must be positive")
