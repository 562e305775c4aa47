"""Lines that a cache in front of DRAM fetches, estimated from reuse distances.

A tile that is loaded again after ``footprint`` bytes of other data went by is still in a cache of random replacement
with a probability that follows from a steady state: of a cyclic walk over F lines through C, the share r fetched
again satisfies 1 - r = exp(-r F / C), since each of the r F fetches evicts a given line with probability 1 / C. There
is none for F <= C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapper.counts import Visits
from mapper.mapping import DIMS, DIMS_OF
from mapper.mapspace import Batch
from mapper.traffic import LINES, PARTIAL_LINES, Traffic

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def _refetch_curve() -> tuple[Floats, Floats]:
    """Tabulate F / C against r: for a given r, F / C = -ln(1 - r) / r."""
    share = np.concatenate(([0.0], np.linspace(1e-3, 0.999999, 2000)))
    load = np.concatenate(([1.0], -np.log1p(-share[1:]) / share[1:]))
    return load, share


_LOAD, _SHARE = _refetch_curve()


def refetched(footprint: Floats, capacity: float) -> Floats:
    """Share of a walk over ``footprint`` that a cache of ``capacity`` must fetch again; both in one unit."""
    result: Floats = np.interp(footprint / capacity, _LOAD, _SHARE)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Estimated fetches from DRAM by matrix, and lines written back (columns, in lines)."""

    a: Floats
    b: Floats
    d: Floats
    """Bias and partial sums."""
    c: Floats
    """Fetched because a store covered only a part."""
    written: Floats

    @property
    def fetched(self) -> Floats:
        return self.a + self.b + self.c + self.d


def lines(batch: Batch, seen: Visits, traffic: Traffic) -> Lines:
    """Estimate the DRAM traffic behind the last cache of a machine that has one."""
    spec, problem = traffic.spec, traffic.problem
    cache = spec.l2
    assert cache is not None
    capacity = cache.capacity_bytes + (spec.llc.capacity_bytes if spec.llc else 0)
    again = _Refetch(batch, seen, traffic, capacity)
    b_width, b_inner = (batch.tile_k, "k") if problem.b_transposed else (batch.tile_n, "n")
    compulsory = traffic.compulsory
    a = again.total(traffic.a[batch.tile_k, LINES], compulsory[0], "k", "n", seen.loads_a)
    b = again.total(traffic.b[b_width, LINES], compulsory[1], b_inner, "m", seen.loads_b)
    stores = traffic.c[batch.tile_n]
    spilled = np.asarray(seen.spilled > 0, dtype=np.float64)
    partial_lines = float(traffic.partial[LINES])
    d = float(traffic.compulsory_bias) + partial_lines * seen.spilled * again.share("k")
    touched_again = np.maximum(0.0, stores[:, LINES] - compulsory[2]) * again.share("n")
    fetched_for_store = np.minimum(stores[:, PARTIAL_LINES].astype(np.float64), compulsory[2] + touched_again)
    separate = 0.0 if problem.c_full else 1.0
    written = compulsory[2] + touched_again
    written += spilled * partial_lines * (separate + np.maximum(seen.spilled - separate, 0.0) * again.share("k"))
    return Lines(a, b, d, fetched_for_store, written)


class _Refetch:
    """Share of lines that are gone when a DRAM loop comes round."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, capacity_bytes: int) -> None:
        self._order = batch.order
        self._sizes = traffic.problem.dims
        dim = traffic.spec.array.rows
        tiles = dict(zip(DIMS, (batch.tile_m, batch.tile_k, batch.tile_n), strict=True))
        self._tile = {name: np.minimum(tiles[name] * dim, self._sizes[name]) for name in DIMS}
        self._capacity = capacity_bytes
        self._spilled = seen.spilled > 0
        self._full = traffic.problem.c_full
        self._shares: dict[str, Floats] = {}

    def share(self, dim: str) -> Floats:
        """Share fetched again between two steps of the loop over ``dim``: all that its inner loops touch goes by."""
        if dim not in self._shares:
            inside = self._order[self._order.index(dim) + 1 :]
            extent = {name: self._sizes[name] if name in inside else self._tile[name] for name in DIMS}
            footprint = np.zeros(len(self._spilled), dtype=np.float64)
            for tensor, (row, col) in DIMS_OF.items():
                bytes_each = np.where(self._spilled | self._full, 4, 1) if tensor == "output" else 1
                footprint += extent[row] * extent[col] * bytes_each
            self._shares[dim] = refetched(footprint, self._capacity)
        return self._shares[dim]

    def total(self, touched: Ints, unique: int, along: str, over: str, sweeps: Ints) -> Floats:
        """Fetches of a matrix whose rows are cut ``along`` one dimension and which is swept again ``over`` another."""
        first = unique + np.maximum(0, touched - unique) * self.share(along)
        return first + (sweeps - 1) * first * self.share(over)
