"""Lines that the caches in front of DRAM fetch, estimated from reuse distances.

A matrix that is swept again finds a line gone with a probability that follows from the fetches in between: each
evicts a given one of C lines with probability 1 / C, since the victim is random. With F lines swept again and X lines
of other data streaming by, the share r fetched again obeys, from sweep to sweep,

    r' = 1 - exp(-(r F + X) / C),      r = 1 in the first sweep.

So a sweep that fits settles at few fetches only after many rounds, and never if something streams by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hwconfigs import CacheSpec
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import LINES, PARTIAL_LINES, Traffic
from mapper.mapping.loop_nest import DIMS, DIMS_OF
from mapper.mapping.matmul_problem import INT32_BYTES
from mapper.mapspace.batch import Batch
from simulator.arrays import Floats, Ints

ROUNDS = 8
"""Sweeps that are followed one by one; later ones are taken to be like the last of them."""

WITHOUT: dict[str, str] = {"n": "input", "m": "weight", "k": "output"}
"""The operand that a loop over a dimension sweeps again."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Estimated fetches of the L2 by matrix, and what becomes of them (columns, in lines)."""

    unique_a: float
    """Distinct lines of A."""
    unique_b: float
    unique_c: float
    cold: Floats
    """Share of lines that the cache does not hold before; those that it holds are scattered."""
    first_a: Floats
    """Fetched in the first sweep of A."""
    again_a: Floats
    """In each later sweep, on average."""
    first_b: Floats
    again_b: Floats
    bias: Floats
    again_d: Floats
    """Each time partial sums come back."""
    c: Floats
    """Fetched because a store covered only a part."""
    fetched: Floats
    """All of these over the run."""
    written: Floats
    """Lines written back to DRAM."""
    fresh: Floats
    """Share of the lines stored that the cache does not hold before."""
    dirty: Floats
    """Share of the cache's lines that are dirty, on average over the run."""
    from_dram: Floats
    """Share of the fetches that a last-level cache does not serve."""


def lines(batch: Batch, seen: Visits, traffic: Traffic) -> Lines:
    """Estimate what a cold hierarchy fetches, full of other data, as dirty as a run of the same leaves it."""
    spec = traffic.spec
    if spec.l2 is None:
        raise ValueError(f"{spec.name} has no L2")
    found = _fetches(batch, seen, traffic, spec.l2)
    if spec.llc is None:
        return found
    behind = _fetches(batch, seen, traffic, spec.llc)
    return replace(found, from_dram=np.minimum(1.0, behind.fetched / np.maximum(found.fetched, 1e-9)))


def _fetches(batch: Batch, seen: Visits, traffic: Traffic, cache: CacheSpec) -> Lines:
    """Return the fetches and the lines written, for one cache."""
    problem = traffic.problem
    again = _Refetch(batch, seen, traffic, cache)
    b_width, b_along = (batch.tile_k, "k") if problem.b_transposed else (batch.tile_n, "n")
    unique_a, unique_b, unique_c = traffic.compulsory
    first_a = again.first_sweep(traffic.a[batch.tile_k, LINES], unique_a, problem.m, "k", "input")
    first_b = again.first_sweep(traffic.b[b_width, LINES], unique_b, problem.b_rows, b_along, "weight")
    again_a, again_b = first_a * again.share("n"), first_b * again.share("m")
    stores = traffic.c[batch.tile_n]
    partial_lines = float(traffic.partial[LINES])
    again_d = partial_lines * again.share("k")
    bias = np.full(len(batch), float(traffic.compulsory_bias))
    touched = again.first_sweep(stores[:, LINES], unique_c, problem.m, "n", "output")
    c = np.minimum(stores[:, PARTIAL_LINES].astype(np.float64), touched)
    separate = 0.0 if problem.c_full else 1.0
    rewritten = (seen.spilled > 0) * (separate * partial_lines + np.maximum(seen.spilled - separate, 0.0) * again_d)
    fetched = first_a + (seen.loads_a - 1) * again_a + first_b + (seen.loads_b - 1) * again_b
    fetched = fetched + bias + seen.spilled * again_d + c
    written = touched + rewritten
    return Lines(
        unique_a=unique_a,
        unique_b=unique_b,
        unique_c=unique_c,
        cold=np.ones(len(batch)),
        first_a=first_a,
        again_a=again_a,
        first_b=first_b,
        again_b=again_b,
        bias=bias,
        again_d=again_d,
        c=c,
        fetched=fetched,
        written=written,
        fresh=np.ones(len(batch)),
        dirty=written / np.maximum(fetched + written, 1.0),
        from_dram=np.ones(len(batch)),
    )


def dirty_share(fetched: Floats, written: Floats, cache: CacheSpec, before: float) -> Floats:
    """Return the share of dirty lines, on average over a run, in a cache where it was ``before``.

    Each line that enters takes the place of any other: towards the share of those written among all that enter, with
    the time constant of the cache's size.
    """
    churn = np.maximum(fetched + written, 1.0) / (cache.capacity_bytes / cache.line_bytes)
    end = written / np.maximum(fetched + written, 1.0)
    share: Floats = end + (before - end) * -np.expm1(-churn) / churn
    return share


class _Refetch:
    """Share of lines that are gone when a DRAM loop comes round."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, cache: CacheSpec) -> None:
        problem = traffic.problem
        self._order = batch.order
        self._sizes = problem.dims
        dim = traffic.spec.array.rows
        tiles = dict(zip(DIMS, (batch.tile_m, batch.tile_k, batch.tile_n), strict=True))
        self._tile = {name: np.minimum(tiles[name] * dim, self._sizes[name]) for name in DIMS}
        self._trips = dict(zip(DIMS, (seen.trips_m, seen.trips_k, seen.trips_n), strict=True))
        self._cache = cache
        self._output_bytes = np.where((seen.spilled > 0) | problem.c_full, INT32_BYTES, 1)
        self._stride = {
            "input": problem.a.row_stride_bytes,
            "weight": problem.b.row_stride_bytes,
            "output": problem.c.row_stride_bytes,
        }
        self._axes = {**DIMS_OF, "weight": ("n", "k") if problem.b_transposed else ("k", "n")}
        self._spilled = seen.spilled > 0
        self._shares: dict[str, Floats] = {}

    def _footprint(self, tensor: str, over: str, own: bool = False) -> Floats:
        """Lines per way of the cache that one step of the loop ``over`` touches of a tensor.

        Its own lines meet in a part of the sets, if rows of a narrow tile lie several lines apart.
        """
        cache, stride = self._cache, self._stride[tensor]
        inside = self._order[self._order.index(over) + 1 :]
        rows, cols = (self._sizes[name] if name in inside else self._tile[name] for name in self._axes[tensor])
        width = self._output_bytes if tensor == "output" else np.ones_like(self._output_bytes)
        row_lines = np.minimum(-(-cols * width // cache.line_bytes), max(1, -(-stride // cache.line_bytes)))
        sets = max(1, cache.capacity_bytes // (cache.line_bytes * cache.ways))
        apart = math.gcd(stride // cache.line_bytes, sets) if stride % cache.line_bytes == 0 and stride else 1
        used = sets // apart * np.minimum(apart, row_lines) if own else sets
        lines: Floats = rows * row_lines / (used * cache.ways)
        return lines

    def share(self, over: str) -> Floats:
        """Average share fetched again of the operand that the loop ``over`` sweeps again."""
        if over not in self._shares:
            swept = WITHOUT[over]
            own = self._footprint(swept, over, own=True)
            streaming = np.zeros_like(own)
            for tensor in DIMS_OF:
                if tensor != swept:
                    streaming = streaming + self._footprint(tensor, over)
            left = np.maximum(self._trips[over] - 1, 1).astype(np.float64)
            rounds = np.minimum(left, ROUNDS)
            rate, total = np.ones_like(own), np.zeros_like(own)
            for number in range(ROUNDS):
                rate = np.where(number < rounds, -np.expm1(-(rate * own + streaming)), rate)
                total += np.where(number < rounds, rate, 0.0)
            self._shares[over] = (total + (left - rounds) * rate) / left
        return self._shares[over]

    def gone(self, over: str, tensor: str) -> Floats:
        """Share of lines gone after one step of the loop ``over``, of a tensor's that two neighbouring tiles share."""
        touched = self._footprint(tensor, over, own=True)
        for other in DIMS_OF:
            if other != tensor:
                streams = self._spilled if (other, over) == ("output", "k") else 1
                touched = touched + self._footprint(other, over) * streams
        share: Floats = np.where(self._trips[over] > 1, -np.expm1(-touched), 0.0)
        return share

    def first_sweep(self, touched: Ints, unique: int, rows: int, along: str, tensor: str) -> Floats:
        """Fetches of the first sweep over a matrix whose rows are cut ``along`` a dimension.

        Segments of one tile that share a line come one after the other; neighbouring tiles share one line per row.
        """
        shared = np.minimum(np.maximum(0, touched - unique), rows * (self._trips[along] - 1))
        first: Floats = unique + shared * self.gone(along, tensor)
        return first
