"""Totals of generating a whole sequence token by token, without a prompt.

Step t of l attends to t positions; everything else is the same in every step, so a step's counts are an
affine function a + b t of t and the sum has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from workloads.building import build
from workloads.errors import GraphError
from workloads.tensor import Bits
from workloads.totals import Convention, Total

BYTE_PERIOD = 8
"""Packed tensors of any width grow by whole bytes when the context grows by eight positions."""


def generation_totals(
    model: str | Path | Mapping[str, object],
    *,
    tokens: int,
    batch: int = 1,
    bits: Bits | None = None,
    heads: int | None = None,
    overrides: Mapping[str, object] | None = None,
    convention: Convention = "natural",
) -> dict[str, Total]:
    """Return the totals by operator class over ``tokens`` decode steps, the first with an empty cache.

    Parameters
    ----------
    model, batch, bits, heads, overrides
        As in `build`.
    tokens
        Length l of the generated sequence.
    convention
        ``"natural"`` sums exactly; ``"paper"`` takes the sum of 1..l as l^2/2, as Table 11 of
        arXiv:2302.14017 does.
    """
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise GraphError(f"tokens={tokens!r} must be a whole number of at least 1")

    def step(context: int) -> dict[str, Total]:
        graph = build(
            model, phase="decode", context=context, batch=batch, bits=bits, heads=heads, overrides=overrides
        )  # fmt: skip
        return graph.totals(convention)

    return _paper_sum(step, tokens) if convention == "paper" else _exact_sum(step, tokens)


def _paper_sum(step: Callable[[int], dict[str, Total]], tokens: int) -> dict[str, Total]:
    """Sum a + b t over the steps with l^2/2 for the sum of t."""
    first, second = step(0), step(1)
    return {name: _combine(first[name], second[name], 1, tokens, tokens * tokens) for name in first}


def _exact_sum(step: Callable[[int], dict[str, Total]], tokens: int) -> dict[str, Total]:
    """Sum over all steps, those with equal remainder of the context by `BYTE_PERIOD` in closed form."""
    sums: dict[str, Total] = {}
    for remainder in range(min(BYTE_PERIOD, tokens)):
        count = len(range(remainder, tokens, BYTE_PERIOD))
        first, second = step(remainder), step(remainder + BYTE_PERIOD)
        for name, value in first.items():
            part = _combine(value, second[name], 0, count, count * (count - 1))
            sums[name] = sums.get(name, Total()) + part
    return sums


def _combine(first: Total, second: Total, start: int, count: int, twice_index_sum: int) -> Total:
    """Return the sum of an affine count over ``count`` steps whose indices sum to half of ``twice_index_sum``.

    ``first`` is its value at index ``start``, ``second`` that at ``start + 1``.
    """

    def field(low: int, high: int) -> int:
        slope = high - low
        return (low - start * slope) * count + slope * twice_index_sum // 2

    return Total(
        field(first.macs, second.macs), field(first.flops, second.flops), field(first.bytes, second.bytes)
    )  # fmt: skip
