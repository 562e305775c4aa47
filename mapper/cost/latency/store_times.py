"""What the store unit needs for one hardware loop: results requantised or int32, and partial sums."""

from __future__ import annotations

import numpy as np

from mapper.cost.cache_reuse import Lines
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.memory_system import entry_cycles, fetch_cycles
from mapper.mapspace.tiles import Cut
from simulator.arrays import Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.store import row_period

SUMS, NEW_SUMS, BEHIND, EDGE = range(4)
"""What leaves: partial sums that had come back, whose lines are at hand, and those of the first k tile; results behind
others of their rows; results first in their rows, which fetch the lines that they cover only a part of."""


class StoreTimes:
    """Tables of store cycles; axes as in `mapper.cost.latency.loop_times`, one long along k."""

    def __init__(
        self,
        seen: Visits,
        traffic: Traffic,
        lines: Lines | None,
        tile: tuple[Ints, Ints, Ints],
        along_n: Cut,
    ) -> None:
        self._spec, self._problem = traffic.spec, traffic.problem
        self._rows, self._m, self._n = tile
        self._segment = blocks_per_segment(self._spec)
        self._per_line = self._memory_cycles(seen, lines, along_n)

    def full(self, what: int) -> bool:
        """Whether int32 leaves."""
        return what in (SUMS, NEW_SUMS) or self._problem.c_full

    def mvouts(self, what: int) -> Ints:
        """Store commands: one per block of int32, one per segment of int8."""
        number: Ints = self._m * (self._n if self.full(what) else -(-self._n // self._segment))
        return number

    def cycles(self, what: int) -> Floats:
        """Serial commands of whole row segments, or the memory if it is slower."""
        dma, rows = self._spec.dma, self._rows
        if self.full(what):
            cycles = np.asarray(rows * self._n * dma.store_full_row_cycles, dtype=np.float64)
        else:
            widths = range(1, self._segment + 1)
            periods = np.array([0.0, *(row_period(blocks, False, False, dma) for blocks in widths)], dtype=np.float64)
            groups, rest = self._n // self._segment, self._n % self._segment
            cycles = rows * (groups * periods[-1] + periods[rest])
        cycles = np.maximum(cycles, (self.mvouts(what) - 1) * float(dma.store_command_cycles))
        found: Floats = np.maximum(cycles, np.maximum(self.memory(what), self.entries(what)))
        return found

    def memory(self, what: int) -> Floats:
        """Cycles of the DRAM bus."""
        return self._lines(what) * self._per_line[what][0]

    def entries(self, what: int) -> Floats:
        """Cycles of the miss entries, all of them together."""
        return self._lines(what) * self._per_line[what][1]

    def _lines(self, what: int) -> Floats:
        per_row = self._row_bytes(what) / self._spec.dma.max_request_bytes
        return np.asarray(self._rows * self._n * per_row, dtype=np.float64)

    def beats(self, what: int) -> Floats:
        """Cycles of the bus that loads share."""
        per_row = max(1.0, self._row_bytes(what) / self._spec.dma.bus_bytes_per_cycle)
        return np.asarray(self._rows * self._n * per_row, dtype=np.float64)

    def _row_bytes(self, what: int) -> int:
        memory = self._spec.accumulator if self.full(what) else self._spec.scratchpad
        return memory.row_bytes

    def _memory_cycles(self, seen: Visits, lines: Lines | None, along_n: Cut) -> tuple[tuple[Floats, Floats], ...]:
        """Cycles of the DRAM bus and of the miss entries per line's worth of data stored, by what leaves.

        Without an L2 all goes to DRAM. With one, a line that is written whole takes an entry if the L2 did not hold it,
        and one that is written in part is fetched by the first that writes to it.
        """
        spec, problem = self._spec, self._problem
        dram, line = spec.dram, spec.dma.max_request_bytes
        if lines is None or spec.l2 is None:
            return ((np.full(1, line / dram.bytes_per_cycle), np.zeros(1)),) * 4
        row_bytes = problem.n * problem.c_bytes
        tile_bytes = np.minimum(along_n.blocks[0] * spec.array.cols * problem.c_bytes, row_bytes)
        per_fetch = fetch_cycles(spec, line)
        latency = float(dram.request_cycles + dram.latency_cycles)
        held = entry_cycles(spec.l2, latency, per_fetch) / spec.l2.mshrs
        worth = problem.m * row_bytes / line
        entry = dram.write_miss_cycles + dram.write_back_hold_cycles / spec.l2.mshrs * lines.dirty
        new = np.maximum(entry, dram.write_back_cycles * lines.dirty) * lines.fresh
        whole = np.clip(lines.unique_c - lines.c, 0.0, None) / max(worth, 1.0) * new
        if problem.c_full:
            whole = np.where(seen.spilled > 0, 0.0, whole)
        edge = np.minimum(lines.c, problem.m * -(-tile_bytes // line) * (tile_bytes % line > 0))
        here = problem.m * tile_bytes / line
        first = edge / here
        behind = np.where(along_n.trips > 1, (lines.c - edge) / np.maximum(worth - here, 1e-9), first)
        return (
            (np.zeros(1), np.zeros(1)),
            (np.zeros(1), new),
            (per_fetch * behind, held * behind + whole),
            (per_fetch * first, held * first + whole),
        )
