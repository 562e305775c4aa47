"""What the units need for one hardware loop, as tables over the kinds of loops of each mapping.

The loops of a mapping differ in whether their tile is a full one or the last one along m, k and n: the first three axes
of every table, of length 1 where a dimension does not matter; the last axis are the mappings. They also differ in how
their operands come (`mapper.cost.latency.load_times`), for which there are tables of their own. Sources of the unit
times: `simulator.units`, timing notes sections 3 and 5.2, calibration notes sections 1.1 to 1.5.
"""

from __future__ import annotations

import numpy as np

from mapper.cost.cache_reuse import Lines
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.load_times import AGAIN, BIAS, LoadTimes, Mvin
from mapper.cost.latency.store_times import StoreTimes
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiles import cuts
from simulator.arrays import Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.systolic_array import compute_cycles, preload_cycles

LOAD_TO_USE = 3.0
"""Cycles from a load to a step that reads it (`simulator.units.execute`)."""

GROUP_GAP_CYCLES = 36.0
"""DRAM idles when the few commands of A stand between those of B that miss: once per group of A, 64 bytes of k.
Fitted to our own event simulation of 14 widths of 1x768x768 (32 to 39 cycles)."""

CHASE = 0.9
"""Share of the time in which the array cannot read A while A arrives without a pause, though A fills several banks:
both walk through the banks, the array four times as fast, and it has to follow the writes."""


PAIRS_AHEAD = 6.0
"""Pairs that are still to be fed when the last one enters the execute queue: 16 entries, two per pair that waits and
one per pair whose result is not written yet (`simulator.frontend.reservation_station`)."""


class LoopTimes:
    """Tables of cycles; axes: full or last tile along m, along k, along n, mapping."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> None:
        self.spec, self.problem, self.batch = traffic.spec, traffic.problem, batch
        self.cuts = cuts(batch, self.problem, self.spec.array.rows)
        self.loads = LoadTimes(batch, seen, traffic, lines, self.cuts)
        self.m = self.cuts["m"].blocks[:, None, None, :]
        self.k = self.cuts["k"].blocks[None, :, None, :]
        self.n = self.cuts["n"].blocks[None, None, :, :]
        self.m_last_rows = np.array(self.cuts["m"].last_rows, dtype=np.int64)[:, None, None, None]
        segment = blocks_per_segment(self.spec)
        self.k_segments, self.n_segments = -(-self.k // segment), -(-self.n // segment)
        self.segment = segment
        self.spilled = np.asarray(seen.spilled > 0)
        rows = (self.m - 1) * self.spec.array.rows + self.m_last_rows
        self.stores = StoreTimes(seen, traffic, lines, (rows, self.m, self.n), self.cuts["n"])
        self._bank_shares()
        self.column = self._column()
        self.compute = self.k * self.n * self.column

    # ---- array

    def _column(self) -> Floats:
        """Execute cycles of the pairs of one block of weights: new ones at i = 0, kept ones for the other rows."""
        array, transposed = self.spec.array, self.problem.b_transposed
        kept = (self.m - 2) * array.rows + compute_cycles(self.m_last_rows, array, transposed)
        factor = float(array.transpose_factor) if transposed else 1.0 + self._same_bank
        cycles: Floats = array.rows * factor + np.where(self.m > 1, kept, 0)
        return cycles

    @property
    def preload(self) -> int:
        """Cycles of new weights that nothing overlaps."""
        return preload_cycles(self.spec.array, self.problem.b_transposed)

    @property
    def spared(self) -> Ints:
        """Cycles that the last step takes less when the next loop's first weights are not loaded under it."""
        return self.preload - compute_cycles(self.m_last_rows, self.spec.array, self.problem.b_transposed)

    def _bank_shares(self) -> None:
        """Chances that two rows share a bank: A fills rows upwards, B downwards, of the memory or of a half."""
        scratchpad, whole = self.spec.scratchpad, not self.batch.double_buffered
        dim = self.spec.array.rows
        a, b = self.batch.tile_m * self.batch.tile_k * dim, self.batch.tile_k * self.batch.tile_n * dim
        half = scratchpad.rows // 2
        rows = np.where(whole & (a + b > half), scratchpad.rows, half)
        bank = min(scratchpad.rows_per_bank, half)
        self._same_bank, self._a_bank, self._b_bank = np.zeros(len(a)), np.zeros(len(a)), np.zeros(len(a))
        for start in range(0, scratchpad.rows if whole else half, bank):
            a_here = np.clip(a - start, 0, bank) / a
            b_here = np.clip(np.minimum(start + bank, rows) - np.maximum(start, rows - b), 0, bank) / b
            self._same_bank = self._same_bank + a_here * b_here
            self._a_bank = self._a_bank + a_here**2
            self._b_bank = self._b_bank + b_here**2

    def lead(self) -> Floats:
        """Cycles before the end of a loop at which its last pair enters the execute queue."""
        pairs = self.m * self.k * self.n
        cycles: Floats = np.minimum(pairs, PAIRS_AHEAD) * self.compute / pairs
        return cycles

    @property
    def after_first_weights(self) -> Floats:
        """Execute cycles after the last pair that reads the weights of the first load."""
        if self.problem.b_transposed:
            last = np.minimum(self.k, self.segment) - 1
            return self.compute * (1.0 - (last + 1.0 / self.n) / self.k)
        return self.compute * (1.0 - 1.0 / (self.k * self.n_segments))

    # ---- loads

    def a_commands(self, visit: int) -> Ints:
        """Loads of A; a held operand comes once."""
        return self.m * self.k_segments * int(visit != AGAIN or "input" not in self.batch.held)

    def b_commands(self, visit: int) -> Ints:
        """Loads of B."""
        number = self.n * self.k_segments if self.problem.b_transposed else self.k * self.n_segments
        return number * int(visit != AGAIN or "weight" not in self.batch.held)

    def d_commands(self, start: int) -> Ints:
        """Loads of what the sums start from."""
        there = self.problem.bias_address is not None if start == BIAS else self.spilled
        return self.m * self.n * there

    def load(self, a: int, b: int, d: int) -> Floats:
        """Load cycles of a loop whose operands come like that."""
        gaps = np.zeros(1)
        if a != AGAIN or "input" not in self.batch.held:
            groups = self.k_segments
            if not self.batch.double_buffered:
                groups = np.minimum(groups, self.b_commands(b) - 1)
            gaps = self.loads.b[b].missing * groups * GROUP_GAP_CYCLES
        return self._loads(a, b, d, "cycles") + gaps

    def memory(self, a: int, b: int, d: int) -> Floats:
        """DRAM cycles of a loop's loads."""
        return self._loads(a, b, d, "memory")

    def entries(self, a: int, b: int, d: int) -> Floats:
        """Cycles of the miss entries of a loop's loads."""
        return self._loads(a, b, d, "entries")

    def beats(self, a: int, b: int, d: int) -> Floats:
        """Cycles of the response bus of a loop's loads."""
        return self._loads(a, b, d, "beats")

    def _loads(self, a: int, b: int, d: int, what: str) -> Floats:
        def of(command: Mvin) -> Floats:
            column: Floats = getattr(command, what)
            return column

        total: Floats = self.a_commands(a) * of(self.loads.a[a]) + self.b_commands(b) * of(self.loads.b[b])
        return total + self.sums(d, what)

    def sums(self, d: int, what: str = "cycles") -> Floats:
        """Load cycles of what the sums start from, which come before all operands."""
        cycles: Floats = self.d_commands(d) * getattr(self.loads.d[d], what)
        return cycles

    def command(self, a: int, b: int) -> Floats:
        """Cycles of a load of A or B, on average."""
        return (self.loads.a[a].cycles + self.loads.b[b].cycles) / 2

    def head(self, a: int, b: int) -> Floats:
        """Cycles of the operands before the array can run freely, less what it does meanwhile.

        The first weights, then the first group of A: until then only the pairs of those weights can run.
        """
        of_a, of_b = self.loads.a[a].cycles, self.loads.b[b].cycles
        if a == AGAIN and "input" in self.batch.held:
            return np.broadcast_to(of_b, self.compute.shape)
        first = self.compute / (self.k * (self.n if self.problem.b_transposed else self.n_segments))
        found: Floats = np.maximum(of_a + of_b, of_b + self.m * of_a - first)
        return found

    def last_weights(self, b: int) -> Floats:
        """Cycles of the last load of B alone; none if B stays (mappings)."""
        loads = self.loads.b[b]
        return (loads.cycles + loads.fill) * int(b != AGAIN or "weight" not in self.batch.held)

    def fill(self, b: int) -> Floats:
        """Cycles until the first command is complete, beyond its share of the stream (mappings)."""
        return self.loads.b[b].fill

    def burst(self) -> Ints:
        """Scratchpad rows of the first group of A, which arrive without a pause."""
        rows: Ints = ((self.m - 1) * self.spec.array.rows + self.m_last_rows) * np.minimum(self.k, self.segment)
        return rows

    @property
    def parts(self) -> Ints:
        """Steps along n after which stores can follow: those of a segment."""
        return self.n_segments

    def hits(self, a: int, b: int) -> Floats:
        """Share of the rows of A and B that the L2 holds."""
        of_a, of_b = self.a_commands(a), self.b_commands(b)
        missing = of_a * self.loads.a[a].missing + of_b * self.loads.b[b].missing
        share: Floats = 1.0 - missing / np.maximum(of_a + of_b, 1)
        return share

    def taken(self, a: int, b: int) -> Floats:
        """Scratchpad cycles that the array loses to a loop's own operands while they arrive.

        A row that arrives takes the place of a read of A if it lies in the bank that is read; of a read of weights in
        the one step in as many as there are row blocks. Rows of B that arrive without a pause stop that step until the
        group is there.
        """
        dim = self.spec.array.rows
        a_rows = ((self.m - 1) * dim + self.m_last_rows) * self.k * (self.a_commands(a) > 0)
        b_rows = self.n * self.k * dim * (self.b_commands(b) > 0)
        of_a, of_b = 1.0 - self.loads.a[a].missing, 1.0 - self.loads.b[b].missing
        a_bank = of_a * np.maximum(self._a_bank, CHASE) + (1.0 - of_a) * self._a_bank
        group = np.minimum(self.k, self.segment) * self.n
        stuck = np.maximum(1.0 / self.m, of_b * (1.0 - np.minimum(1.0, self.m / group)))
        of_inputs = a_rows * a_bank + b_rows * self._same_bank
        cycles: Floats = of_inputs + a_rows * self._same_bank / self.m + b_rows * self._b_bank * stuck
        return cycles

    def tail(self, a: int, b: int) -> Floats:
        """Execute cycles that are left at least when the last operand arrives.

        Pairs and loads run along k outermost. A comes in groups of several k, behind the weights of the first of them:
        so behind the last group of A are its pairs, less those that run under the rest of its weights. Transposed
        weights come in such groups, too: behind the last of them are all pairs of the group but those of its first k
        with earlier weights. If the last row block of A comes last, those of the first weights with earlier row blocks
        are over.
        """
        last = self.k - (self.k_segments - 1) * self.segment
        over = (1.0 - 1.0 / self.m) / self.n
        if self.problem.b_transposed:
            a_last = (self.n == 1) & (self.k_segments == 1) | (b == AGAIN and "weight" in self.batch.held)
            left: Floats = self.compute * (last - np.where(a_last, over, 1.0 - 1.0 / self.n)) / self.k
            return left
        step = self.compute / (self.k * self.n_segments)
        if a == AGAIN and "input" in self.batch.held:
            return step
        group = self.compute * (last / self.k) - np.where(self.k_segments == 1, step, 0.0)
        behind = np.maximum(step, group - (last * self.n_segments - 1) * self.loads.b[b].cycles)
        return np.where((self.k == 1) & (self.n_segments == 1), self.compute * (1.0 - over), behind)
