"""Lines that the caches in front of DRAM fetch, estimated from reuse distances.

A later sweep over a matrix finds a line evicted with a probability that follows from the fetches in between: each
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
from mapper.cost.cache_contents import COLD, Held
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.sweep import LINES, PARTIAL_LINES
from mapper.mapping.loop_nest import DIMS, OPERAND_AXES
from mapper.mapping.matmul_problem import INT32_BYTES
from mapper.mapspace.batch import Batch
from simulator.arrays import Floats, Ints

ROUNDS = 8
"""Sweeps that are followed one by one; later ones are taken to be like the last of them."""

SWEPT_AGAIN_BY: dict[str, str] = {"n": "input", "m": "weight", "k": "output"}
"""The operand that a loop over a dimension sweeps again: the one that the dimension does not index."""


@dataclass(frozen=True, slots=True, eq=False)
class CacheReuse:
    """Estimated fetches of the L2 by matrix, and what becomes of them (columns, in lines)."""

    unique_a: float
    """Distinct lines of A."""
    unique_b: float
    unique_c: float
    cold_a: Floats
    """Share of the lines of A that the cache does not hold before; those that it holds are scattered."""
    cold_b: Floats
    cold_c: Floats
    first_a: Floats
    """Fetched in the first sweep of A."""
    refetched_a: Floats
    """In each later sweep, on average."""
    first_b: Floats
    refetched_b: Floats
    bias: Floats
    refetched_sums: Floats
    """Each time all partial sums are loaded."""
    merged_c: Floats
    """Fetched because a store covered only a part."""
    merged_sums: Floats
    """The same of partial sums, when they are first stored."""
    fetched: Floats
    """All of these over the run."""
    written: Floats
    """Lines written back to DRAM."""
    fresh_share: Floats
    """Share of the lines stored that the cache does not hold before."""
    dirty_share: Floats
    """Share of the cache's lines that are dirty, on average over the run."""
    from_dram: Floats
    """Share of the fetches that a last-level cache does not serve."""

    @property
    def cold_share(self) -> Floats:
        """Share of the lines stored that the cache does not hold before."""
        return self.cold_c


def estimate_reuse(batch: Batch, visits: Visits, traffic: Traffic, held: Held = COLD) -> CacheReuse:
    """Estimate the fetches of caches that hold some of the matrices' lines, else other data."""
    spec = traffic.spec
    if spec.l2 is None:
        raise ValueError(f"{spec.name} has no L2")
    l2 = _reuse_in(batch, visits, traffic, spec.l2, held)
    if spec.llc is None:
        return l2
    # The last-level cache filters the L2's misses: what it would fetch by itself, if it saw everything, comes from
    # DRAM, and the rest of the L2's fetches from it.
    llc = _reuse_in(batch, visits, traffic, spec.llc, held)
    # A longer line of it brings the neighbours of the line that the L2 wants, for which it is asked next.
    blocks = llc.fetched / (spec.llc.line_bytes // spec.line_bytes)
    return replace(l2, from_dram=np.minimum(1.0, blocks / np.maximum(l2.fetched, 1e-9)))


def _reuse_in(batch: Batch, visits: Visits, traffic: Traffic, cache: CacheSpec, held: Held) -> CacheReuse:
    """Return the fetches and the lines written, for one cache."""
    problem = traffic.problem
    rates = RefetchRates(batch, visits, traffic, cache, held)
    b_dim = problem.b_axes[1]
    unique_a, unique_b, unique_c = traffic.compulsory
    whole_a = rates.first_sweep(traffic.a[batch.tile_k, LINES], unique_a, problem.m, "k", "input")
    whole_b = rates.first_sweep(traffic.b[batch.tile(b_dim), LINES], unique_b, problem.b_rows, b_dim, "weight")
    # A sweep can lose no more than the first one brought in or found.
    refetched_a, refetched_b = whole_a * rates.refetched("n"), whole_b * rates.refetched("m")
    first_a, first_b = whole_a * (1.0 - held.a), whole_b * (1.0 - held.b)
    refetched_sums = float(traffic.partial[LINES]) * rates.refetched("k")
    bias = np.full(len(batch), float(traffic.compulsory_bias))
    stores = traffic.c[batch.tile_n]
    touched = rates.first_sweep(stores[:, LINES], unique_c, problem.m, "n", "output")
    # A line that a store covers in part is fetched before it is merged, once for all tiles that share it. Results in
    # int32 find the lines of their partial sums.
    replaces = problem.c_full * (visits.spilled > 0)
    merged_c = np.minimum(stores[:, PARTIAL_LINES].astype(np.float64), touched) * (1.0 - held.c) * (1 - replaces)
    merged_sums = (visits.spilled > 0) * float(traffic.partial[PARTIAL_LINES]) * (1.0 - held.sums)
    merged_sums = np.minimum(merged_sums, traffic.unique_sums)
    fetched = first_a + (visits.loads_a - 1) * refetched_a + first_b + (visits.loads_b - 1) * refetched_b
    fetched = fetched + bias + visits.spilled * refetched_sums + merged_c + merged_sums
    written = touched + _rewritten_sums(visits, traffic, refetched_sums)
    ones = np.ones(len(batch))
    leaves = written / np.maximum(fetched + written, 1.0)
    return CacheReuse(
        unique_a=unique_a,
        unique_b=unique_b,
        unique_c=unique_c,
        cold_a=(1.0 - held.a) * ones,
        cold_b=(1.0 - held.b) * ones,
        cold_c=(1.0 - held.c) * ones,
        first_a=first_a,
        refetched_a=refetched_a,
        first_b=first_b,
        refetched_b=refetched_b,
        bias=bias,
        refetched_sums=refetched_sums,
        merged_c=merged_c,
        merged_sums=merged_sums,
        fetched=fetched,
        written=written,
        fresh_share=(1.0 - held.c) * ones,
        dirty_share=leaves if held.dirty is None else mean_dirty_share(fetched, written, cache, held.dirty),
        from_dram=ones,
    )


def _rewritten_sums(visits: Visits, traffic: Traffic, refetched_sums: Floats) -> Floats:
    """Return the lines of partial sums that are written back to DRAM, beside those of the results.

    Int32 results overwrite their partial sums. An int8 result has a workspace for them, whose lines enter the cache
    once. After that only what is evicted, and therefore fetched again, is written again.
    """
    workspaces = 0.0 if traffic.problem.c_full else 1.0
    entered = workspaces * float(traffic.partial[LINES])
    again = np.maximum(visits.spilled - workspaces, 0.0) * refetched_sums
    lines: Floats = (visits.spilled > 0) * (entered + again)
    return lines


def mean_dirty_share(fetched: Floats, written: Floats, cache: CacheSpec, before: float) -> Floats:
    """Return the share of dirty lines, on average over a run, in a cache where it was ``before``.

    Each line that enters takes the place of any other: towards the share of those written among all that enter, with
    the time constant of the cache's size.
    """
    churn = np.maximum(fetched + written, 1.0) / (cache.capacity_bytes / cache.line_bytes)
    end = written / np.maximum(fetched + written, 1.0)
    # The share relaxes to its end as exp(-t); this is the mean of that curve over t = 0 ... churn.
    share: Floats = end + (before - end) * -np.expm1(-churn) / churn
    return share


class RefetchRates:
    """Probabilities that a line was evicted between two uses, by the loop that separates them."""

    def __init__(self, batch: Batch, visits: Visits, traffic: Traffic, cache: CacheSpec, held: Held) -> None:
        problem = traffic.problem
        self._cold = {"input": 1.0 - held.a, "weight": 1.0 - held.b, "output": 1.0 - held.c}
        self._order = batch.order
        self._sizes = problem.dims
        side = traffic.spec.array.rows
        tiles = dict(zip(DIMS, (batch.tile_m, batch.tile_k, batch.tile_n), strict=True))
        self._tile = {name: np.minimum(tiles[name] * side, self._sizes[name]) for name in DIMS}
        self._trips = dict(zip(DIMS, (visits.trips_m, visits.trips_k, visits.trips_n), strict=True))
        self._cache = cache
        self._output_bytes = np.where((visits.spilled > 0) | problem.c_full, INT32_BYTES, 1)
        self._stride = {
            "input": problem.a.row_stride_bytes,
            "weight": problem.b.row_stride_bytes,
            "output": problem.c.row_stride_bytes,
        }
        self._axes = problem.axes
        self._spilled = visits.spilled > 0
        self._rates: dict[str, Floats] = {}

    def _lines_per_way(self, tensor: str, over: str, conflicting: bool = False) -> Floats:
        """Lines of a tensor that one step of the loop ``over`` touches, as a share of the cache that they compete for.

        Parameters
        ----------
        tensor, over
            Role of a matrix, and the DRAM loop between two uses: inside it whole dimensions are visited, else a tile.
        conflicting
            Lines compete with those of their own matrix. Rows of a narrow tile whose stride is a multiple of the line
            meet in a part of the sets (calibration notes, 1.8: 128x3072x768); other matrices spread over all of them.
        """
        cache, stride = self._cache, self._stride[tensor]
        inside = self._order[self._order.index(over) + 1 :]
        rows, cols = (self._sizes[name] if name in inside else self._tile[name] for name in self._axes[tensor])
        width = self._output_bytes if tensor == "output" else np.ones_like(self._output_bytes)
        row_lines = np.minimum(-(-cols * width // cache.line_bytes), max(1, -(-stride // cache.line_bytes)))
        sets = max(1, cache.capacity_bytes // (cache.line_bytes * cache.ways))
        # The set is the line number modulo the number of sets: a stride of s lines reaches sets / gcd(s, sets) of them,
        # and each further line of a row as many more.
        apart = math.gcd(stride // cache.line_bytes, sets) if stride % cache.line_bytes == 0 and stride else 1
        used = sets // apart * np.minimum(apart, row_lines) if conflicting else sets
        lines: Floats = rows * row_lines / (used * cache.ways)
        return lines

    def refetched(self, over: str) -> Floats:
        """Return the share that a later sweep fetches, on average, of the operand that the loop ``over`` sweeps again.

        This is the recurrence of the module: the first sweep fetches everything, each later one what the fetches since
        its line's last use have evicted.
        """
        if over not in self._rates:
            swept = SWEPT_AGAIN_BY[over]
            own = self._lines_per_way(swept, over, conflicting=True)
            streaming = np.zeros_like(own)
            for tensor in OPERAND_AXES:
                if tensor != swept:
                    streaming = streaming + self._cold[tensor] * self._lines_per_way(tensor, over)
            later_sweeps = np.maximum(self._trips[over] - 1, 1).astype(np.float64)
            rounds = np.minimum(later_sweeps, ROUNDS)
            # What the caches held of the operand before is not fetched in the first sweep, and evicts nothing.
            rate, total = np.full_like(own, self._cold[swept]), np.zeros_like(own)
            for number in range(ROUNDS):
                rate = np.where(number < rounds, -np.expm1(-(rate * own + streaming)), rate)
                total += np.where(number < rounds, rate, 0.0)
            self._rates[over] = (total + (later_sweeps - rounds) * rate) / later_sweeps
        return self._rates[over]

    def evicted_between(self, over: str, tensor: str) -> Floats:
        """Return how likely a common line of two neighbouring tiles is evicted before the second tile is loaded.

        The tiles are neighbours along the dimension ``over``: one step of its loop lies between their uses.
        """
        touched = self._lines_per_way(tensor, over, conflicting=True)
        for streaming in OPERAND_AXES:
            if streaming != tensor:
                # Results are stored once, behind the last k tile; inside the k loop they stream only if they spill.
                streams = self._spilled if (streaming, over) == ("output", "k") else 1
                touched = touched + self._lines_per_way(streaming, over) * streams
        probability: Floats = np.where(self._trips[over] > 1, -np.expm1(-touched), 0.0)
        return probability

    def first_sweep(self, touched: Ints, unique: int, rows: int, along: str, tensor: str) -> Floats:
        """Return the fetches of the first sweep over a matrix whose rows are tiled ``along`` a dimension.

        Segments of one tile that share a line follow each other at once; neighbouring tiles share one line per row, or
        all lines of a matrix whose rows are narrower than a line.
        """
        shared = np.minimum(np.maximum(0, touched - unique), min(rows, unique) * (self._trips[along] - 1))
        first: Floats = unique + shared * self.evicted_between(along, tensor)
        return first
