"""Cycles of the store unit for one hardware loop: results, requantised or int32, and spilled partial sums."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.memory_system import entry_cycles, fetch_cycles
from mapper.mapspace.tiling import FULL, DimensionTiling
from simulator.arrays import Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.store import epilogue_cycles, row_period


class Stored(IntEnum):
    """What a loop stores, and what the L2 holds of its lines."""

    RELOADED_SUMS = 0
    """Partial sums that were loaded for this loop: their lines are still in the L2."""
    NEW_SUMS = 1
    """Partial sums of the first k tile: first touches of lines that are written whole."""
    RESULT = 2
    """Results behind another tile of the same rows: lines that both share were fetched by the first."""
    RESULT_FIRST_IN_ROW = 3
    """Results of the first tile of its rows: a line that it covers only a part of is fetched."""


@dataclass(frozen=True, slots=True, eq=False)
class _LineCycles:
    """Cycles per line's worth of data stored (columns)."""

    memory: Floats
    """Of the DRAM bus."""
    entries: Floats
    """Of the miss entries, all of them together."""


class StoreTimes:
    """Tables of store cycles; axes as in `mapper.cost.latency.loop_times`, of length one along k."""

    def __init__(
        self,
        visits: Visits,
        traffic: Traffic,
        reuse: CacheReuse | None,
        tile: tuple[Ints, Ints, Ints],
        along_n: DimensionTiling,
    ) -> None:
        self._spec, self._problem = traffic.spec, traffic.problem
        self._rows, self._m, self._n = tile
        self._segment = blocks_per_segment(self._spec)
        self._per_line = self._line_cycles(visits, reuse, along_n)

    def full(self, stored: Stored) -> bool:
        """Whether int32 is stored."""
        return stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS) or self._problem.c_full

    def mvouts(self, stored: Stored) -> Ints:
        """Store commands: one per block of int32, one per segment of int8."""
        number: Ints = self._m * (self._n if self.full(stored) else -(-self._n // self._segment))
        return number

    def cycles(self, stored: Stored) -> Floats:
        """Serial commands of whole row segments, or the memory if it is slower."""
        dma, rows = self._spec.dma, self._rows
        if self.full(stored):
            cycles = np.asarray(rows * self._n * dma.store_full_row_cycles, dtype=np.float64)
        else:
            # A row of several blocks is read from the accumulator at a period of its own, measured for each width.
            widths = range(1, self._segment + 1)
            periods = np.array([0.0, *(self._row_period(blocks) for blocks in widths)], dtype=np.float64)
            groups, rest = self._n // self._segment, self._n % self._segment
            cycles = rows * (groups * periods[-1] + periods[rest])
        # Rows overlap with the acknowledgement of the command before: the slower of both paces the unit, not their sum.
        cycles = np.maximum(cycles, (self.mvouts(stored) - 1) * float(dma.store_command_cycles))
        slowest: Floats = np.maximum(cycles, np.maximum(self.memory(stored), self.entries(stored)))
        return slowest

    def _row_period(self, blocks: int) -> float:
        """Cycles of a row of int8 results: those of the store unit, or those of their activation's lanes."""
        lanes = epilogue_cycles(blocks, self._problem.activation, self._spec)
        return max(row_period(blocks, False, False, self._spec.dma), lanes)

    def memory(self, stored: Stored) -> Floats:
        """Cycles of the DRAM bus."""
        return self._lines(stored) * self._per_line[stored].memory

    def entries(self, stored: Stored) -> Floats:
        """Cycles of the miss entries, all of them together."""
        return self._lines(stored) * self._per_line[stored].entries

    def beats(self, stored: Stored) -> Floats:
        """Cycles of the bus that loads share."""
        per_row = max(1.0, self._row_bytes(stored) / self._spec.dma.bus_bytes_per_cycle)
        return np.asarray(self._rows * self._n * per_row, dtype=np.float64)

    def _lines(self, stored: Stored) -> Floats:
        per_row = self._row_bytes(stored) / self._spec.dma.max_request_bytes
        return np.asarray(self._rows * self._n * per_row, dtype=np.float64)

    def _row_bytes(self, stored: Stored) -> int:
        memory = self._spec.accumulator if self.full(stored) else self._spec.scratchpad
        return memory.row_bytes

    def _line_cycles(
        self, visits: Visits, reuse: CacheReuse | None, along_n: DimensionTiling
    ) -> tuple[_LineCycles, _LineCycles, _LineCycles, _LineCycles]:
        """Return what a line stored costs the memory, by `Stored`.

        Without an L2 all data go to DRAM. With one, a line that is written whole takes a miss entry if the L2 did not
        hold it, and one that is written in part is fetched by the first store that touches it.
        """
        spec, problem = self._spec, self._problem
        dram, line = spec.dram, spec.dma.max_request_bytes
        if reuse is None or spec.l2 is None:
            every = _LineCycles(np.full(1, line / dram.bytes_per_cycle), np.zeros(1))
            return every, every, every, every
        per_fetch = fetch_cycles(spec, line)
        latency = float(dram.request_cycles + dram.latency_cycles)
        occupied = entry_cycles(spec.l2, latency, per_fetch) / spec.l2.mshrs
        # A line that enters dirty evicts a dirty one in their share of the cases; its write-back and the entry that
        # waits for it run side by side, so the slower counts.
        entry = dram.write_miss_cycles + dram.write_back_hold_cycles / spec.l2.mshrs * reuse.dirty_share
        new = np.maximum(entry, dram.write_back_cycles * reuse.dirty_share) * reuse.fresh_share
        worth = problem.m * (problem.n * problem.c_bytes) / line
        whole = np.clip(reuse.unique_c - reuse.merged_c, 0.0, None) / max(worth, 1.0) * new
        if problem.c_full:
            # int32 results reuse the lines of the partial sums, which the L2 took in already.
            whole = np.where(visits.spilled > 0, 0.0, whole)
        first_share, later_share = self._merged_shares(reuse, along_n, worth)
        return (
            _LineCycles(np.zeros(1), np.zeros(1)),
            _LineCycles(np.zeros(1), new),
            _LineCycles(per_fetch * later_share, occupied * later_share + whole),
            _LineCycles(per_fetch * first_share, occupied * first_share + whole),
        )

    def _merged_shares(self, reuse: CacheReuse, along_n: DimensionTiling, worth: float) -> tuple[Floats, Floats]:
        """Return the fetches per line's worth of results: of the first tiles of their rows, and of later ones.

        A tile whose rows are no whole lines ends inside a line, which its store has to fetch. The next tile continues
        in that line and finds it. ``worth``: lines' worth of all results.
        """
        spec, problem, line = self._spec, self._problem, self._spec.dma.max_request_bytes
        row_bytes = problem.n * problem.c_bytes
        tile_bytes = np.minimum(along_n.blocks[FULL] * spec.array.cols * problem.c_bytes, row_bytes)
        by_first_tiles = np.minimum(reuse.merged_c, problem.m * -(-tile_bytes // line) * (tile_bytes % line > 0))
        first_worth = problem.m * tile_bytes / line
        first = by_first_tiles / first_worth
        rest = (reuse.merged_c - by_first_tiles) / np.maximum(worth - first_worth, 1e-9)
        return first, np.where(along_n.trips > 1, rest, first)
