"""What the units need for one hardware loop, as tables over the kinds of loops of each mapping.

The loops of a mapping differ in whether their tile is a full one or the last one along m, k and n: the first three axes
of every table, of length 1 where a dimension does not matter; the last axis are the mappings. They also differ in what
the L2 holds of their operands (`mapper.cost.latency.load_times`), for which there are tables of their own. Sources of
the unit times: `simulator.units`, timing notes sections 3 and 5.2, calibration notes sections 1.1 to 1.5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.bank_sharing import bank_sharing
from mapper.cost.latency.load_times import Addend, AverageLoad, LoadTimes, Touch
from mapper.cost.latency.memory_system import fetch_cycles
from mapper.cost.latency.store_times import Stored, StoreTimes
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiling import FULL, LAST, tilings_of
from simulator.arrays import Bools, Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.systolic_array import (
    completion_delay,
    compute_cycles,
    entry_cycles,
    keep_cycles,
    pairs_behind,
    preload_cycles,
)

FOLLOWED_BANK_SHARE = 0.9
"""Least share of arriving rows of A that stop a read of A, though A fills several banks: writes and reads walk through
the banks in the same order, and the array catches up with the writes. It decides little: of 22 random mappings whose
array loses more than 4 % to bank conflicts, 0.5 to 1 give the same median error, 3.1 %."""


class LoopTimes:
    """Tables of cycles; axes: full or last tile along m, along k, along n, mapping."""

    def __init__(self, batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None) -> None:
        self.spec, self.problem, self.batch = traffic.spec, traffic.problem, batch
        self.tilings = tilings_of(batch, self.problem, self.spec.array.rows)
        self._group_gap = traffic.group_gap
        self.loads = LoadTimes(batch, traffic, reuse, self.tilings)
        self.m = self.tilings.m.blocks[:, None, None, :]
        self.k = self.tilings.k.blocks[None, :, None, :]
        self.n = self.tilings.n.blocks[None, None, :, :]
        self.m_last_rows = np.array(self.tilings.m.last_rows, dtype=np.int64)[:, None, None, None]
        self.rows = (self.m - 1) * self.spec.array.rows + self.m_last_rows
        self.segment = blocks_per_segment(self.spec)
        self.k_segments, self.n_segments = -(-self.k // self.segment), -(-self.n // self.segment)
        self.spilled = np.asarray(visits.spilled > 0)
        self._loops = visits.loops
        self.stores = StoreTimes(visits, traffic, reuse, batch, self.tilings)
        self._sharing = bank_sharing(batch, self.spec)
        self.column = self._column_cycles()
        self._compute = self.k * self.n * self.column

    def _column_cycles(self) -> Floats:
        """Execute cycles of the pairs of one block of weights: one loads the next weights, the others keep theirs."""
        array, transposed = self.spec.array, self.problem.transposes_b
        # Rows of A and of the next weights that lie in one bank are read one after the other. The transposer takes two
        # cycles per row anyway, under which the reads of A are hidden.
        factor = float(array.transpose_factor) if transposed else 1.0 + self._sharing.a_with_b
        # Only the last row block may be short, and under its step the next weights are loaded: that takes all rows.
        new = self._queued(array.rows * factor, self.preload + compute_cycles(array.rows, array, transposed))
        reused = compute_cycles(array.rows, array, transposed)
        cycles: Floats = new + (self.m - 1) * self._queued(reused, keep_cycles(array) + reused)
        return cycles

    def _queued(self, step: Floats | float, alone: float) -> Floats:
        """Cycles of a step whose next pair may enter the queue too late to have its weights loaded under it."""
        # So many steps have to last until a result is written; each alone, if the queue holds two pairs at most.
        behind, late = pairs_behind(self.spec), entry_cycles(self.spec)
        cycles: Floats = np.clip(late / behind if behind else np.inf, step, alone)
        return cycles

    def usual(self, table: Floats | Ints) -> Floats:
        """Return the entries of the first loop (mappings): of a full tile where there are several, else of the last."""
        mappings = np.arange(len(self.batch), dtype=np.int64)
        kind = (np.where(tiling.trips > 1, FULL, LAST) for tiling in (self.tilings.m, self.tilings.k, self.tilings.n))
        every = np.broadcast_to(table, (2, 2, 2, len(mappings)))
        usual: Floats = every[(*kind, mappings)].astype(np.float64)
        return usual

    def compute(self) -> Floats:
        """Execute cycles of all pairs of a loop."""
        return self._compute

    @property
    def preload(self) -> int:
        """Cycles of new weights that nothing overlaps."""
        return preload_cycles(self.spec.array, self.problem.transposes_b)

    def spared(self) -> Ints:
        """Cycles that the last step takes less when the next loop's first weights are not loaded under it."""
        return self.preload - compute_cycles(self.m_last_rows, self.spec.array, self.problem.transposes_b)

    def lead(self) -> Floats:
        """Cycles of as many pairs as wait in the execute queue when the last one enters it, its own included.

        Until it is fed a pair takes two entries, and one until its result is written
        (`simulator.frontend.reservation_station`).
        """
        pairs = self.m * self.k * self.n
        # The last pair enters with those before it that still wait, beside those whose results are under way.
        step = self._compute / pairs
        unwritten = np.ceil(completion_delay(self.spec.array) / step)
        ahead = 1 + np.maximum(0, (self.spec.front_end.execute_entries - 2 - unwritten) // 2)
        cycles: Floats = ahead * step
        return cycles

    def after_first_weights(self) -> Floats:
        """Execute cycles after the last pair that reads the weights of the first load."""
        if self.problem.transposes_b:
            # The first load holds a group of k blocks of one n: its last pair is the first n of the group's last k.
            last = np.minimum(self.k, self.segment) - 1
            return self._compute * (1.0 - (last + 1.0 / self.n) / self.k)
        return self._compute * (1.0 - 1.0 / (self.k * self.n_segments))

    def depth(self) -> Ints:
        """Blocks along k."""
        return self.k

    @property
    def stores_follow_pairs(self) -> Bools:
        """Whether no store may begin before the last pair of its loop (mappings).

        A tile that the array accumulates keeps its bank until then, and a unit that normalises needs complete rows.
        """
        tiling = self.tilings.k
        return accumulates(tiling.trips, tiling.blocks[LAST], self.problem) | self.problem.whole_rows

    def before_store(self, stored: Stored) -> Floats:
        """Execute cycles of the pairs before the first store of a tile that is one block deep.

        They run down the rows of one column after another, and the first store takes the first rows of a segment.
        """
        columns = np.minimum(self.n, 1 if self.stores.full(stored) else self.segment)
        cycles: Floats = self._compute * (((columns - 1) * self.m + 1) / (self.m * self.n))
        return cycles

    def a_commands(self, touch: Touch) -> Ints:
        """Loads of A; none if it is held and was loaded before."""
        return self.m * self.k_segments * int(self._loads_a(touch))

    def b_commands(self, touch: Touch) -> Ints:
        """Loads of B; none if it is held and was loaded before."""
        rows, contiguous = self.problem.b_axes
        number = {"k": self.k, "n": self.n}[rows] * {"k": self.k_segments, "n": self.n_segments}[contiguous]
        return number * int(self._loads_b(touch))

    def d_commands(self, addend: Addend) -> Ints:
        """Loads of the bias or of partial sums, a block each."""
        present = self.problem.bias_address is not None if addend == Addend.BIAS else self.spilled
        return self.m * self.n * present

    def residual_commands(self, addend: Addend) -> Ints:
        """Loads of the residual, which comes with the bias."""
        number: Ints = self.m * self.n_segments * (addend == Addend.BIAS and self.problem.residual is not None)
        return number

    def issued(self, addend: Addend) -> Floats:
        """Cycles in which the core issues the loads that stand in front of a loop with a residual."""
        if self.problem.residual is None or addend != Addend.BIAS:
            return np.zeros((1, 1, 1, 1))
        commands = self.d_commands(addend) + self.residual_commands(addend)
        cycles: Floats = commands.astype(np.float64) * self.spec.host.command_cycles
        return cycles

    def _loads_a(self, touch: Touch) -> bool:
        if self.problem.a_kept is not None:
            return False
        return touch != Touch.REFETCH or "input" not in self.batch.held

    def _loads_b(self, touch: Touch) -> bool:
        return touch != Touch.REFETCH or "weight" not in self.batch.held

    def load(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Load cycles of a loop."""
        gaps = np.zeros(1)
        if self._loads_a(a):
            groups = self.k_segments
            # A gap lies between two loads of B: behind the last one of a loop only if the next loop's follow it.
            last = groups - np.minimum(groups, self.b_commands(b) - 1)
            alone = 1.0 / self._loops if self.batch.double_buffered else 1.0
            gaps = self.loads.b[b].missing * (groups - alone * last) * self._group_gap
        return self._sum_of_loads(a, b, d, lambda average: average.cycles) + gaps

    def streamed(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Load cycles of a loop whose operands came in streams of their own."""
        return self._sum_of_loads(a, b, d, lambda average: average.cycles)

    def repeated(self, d: Addend) -> Floats:
        """Cycles in which rows of the bias, read once, are written on chip again."""
        if self.problem.bias_address is None or d != Addend.BIAS:
            return np.zeros(1)
        return self.n * (self.rows - self.m) / self.spec.dma.max_commands_in_flight

    def memory(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """DRAM cycles of a loop's loads."""
        return self._sum_of_loads(a, b, d, lambda average: average.memory)

    def entries(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Cycles of the miss entries of a loop's loads."""
        return self._sum_of_loads(a, b, d, lambda average: average.entries)

    def beats(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Cycles of the response bus of a loop's loads."""
        return self._sum_of_loads(a, b, d, lambda average: average.beats)

    def _sum_of_loads(self, a: Touch, b: Touch, d: Addend, cycles_of: Callable[[AverageLoad], Floats]) -> Floats:
        total: Floats = self.a_commands(a) * cycles_of(self.loads.a[a]) + self.b_commands(b) * cycles_of(
            self.loads.b[b]
        )
        of_residual: Floats = self.residual_commands(d) * cycles_of(self.loads.residual)
        return total + of_residual + self.d_commands(d) * cycles_of(self.loads.d[d])

    def addend(self, d: Addend) -> Floats:
        """Load cycles of the bias or of partial sums, which precede all operands."""
        cycles: Floats = self.d_commands(d) * self.loads.d[d].cycles
        return cycles + self.residual_commands(d) * self.loads.residual.cycles

    def command(self, a: Touch, b: Touch) -> Floats:
        """Cycles of a load of A or B, on average."""
        return (self.loads.a[a].cycles + self.loads.b[b].cycles) / 2

    def head(self, a: Touch, b: Touch) -> Floats:
        """Load cycles of the operands before the array can run freely, less what it computes meanwhile.

        The first weights, then the first group of A: until then only the pairs of those weights can run.
        """
        of_a, of_b = self.loads.a[a].cycles, self.loads.b[b].cycles
        if not self._loads_a(a):
            return np.broadcast_to(of_b, self._compute.shape)
        first_pairs = self._compute / (self.k * (self.n if self.problem.transposes_b else self.n_segments))
        # The first pair waits for one load of each; the others of its weights for the rest of the group, under which
        # they run. Whatever is longer decides.
        cycles: Floats = np.maximum(of_a + of_b, of_b + self.m * of_a - first_pairs)
        return cycles

    def head_behind_store(self, a: Touch, b: Touch, stored: Stored) -> Floats:
        """Cycles of `head` in which the first store of a tile that is one block deep may be computed already."""
        if not (self._loads_a(a) and self._loads_b(b)):
            return np.zeros(1)
        alone = np.minimum(self.n, self.segment) == 1
        cycles: Floats = self.head(a, b) - self.loads.a[a].cycles - self.loads.b[b].cycles
        return np.where(alone | self.stores.full(stored), cycles, 0.0)

    def last_weights(self, b: Touch) -> Floats:
        """Cycles of the last load of B alone; none if B is held (mappings)."""
        loads = self.loads.b[b]
        return (loads.cycles + loads.fill) * int(self._loads_b(b))

    def fill(self, a: Touch, b: Touch) -> Floats:
        """Cycles until a command is complete, beyond its share of the stream: the slowest of either operand."""
        cycles: Floats = np.maximum(self.loads.a[a].fill * int(self._loads_a(a)), self.loads.b[b].fill)
        return cycles

    def burst(self) -> Ints:
        """Scratchpad rows of the first group of A, which arrive without a pause."""
        rows: Ints = self.rows * np.minimum(self.k, self.segment)
        return rows

    def commands(self, a: Touch, b: Touch, d: Addend) -> Ints:
        """Loads of a loop."""
        number: Ints = self.a_commands(a) + self.b_commands(b) + self.d_commands(d) + self.residual_commands(d)
        return number

    def missing_commands(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Share of the loads that fetch a line."""
        if self.spec.l2 is None:
            return np.ones(1)
        line = fetch_cycles(self.spec, self.spec.line_bytes)
        missing = self._sum_of_loads(a, b, d, lambda average: np.minimum(1.0, average.memory / line))
        return missing / np.maximum(1, self.commands(a, b, d))

    def waiting_commands(self, a: Touch, b: Touch, d: Addend) -> Floats:
        """Share of the loads that wait for the response bus: some request in their slots fetches nothing."""
        slots = self.spec.dma.max_in_flight
        waiting = self._sum_of_loads(a, b, d, lambda average: 1.0 - (1.0 - average.served) ** slots)
        return waiting / np.maximum(1, self.commands(a, b, d))

    def early_stores(self, a: Touch, b: Touch) -> Floats:
        """Share of the stores whose pairs are over when the last operand arrives.

        Of the pairs of the last k block those of the last operand remain, and a store of several blocks waits for all.
        """
        over = np.clip(1.0 - self.tail(a, b) * self.k / self._compute, 0.0, 1.0)
        if self.problem.whole_rows or self.problem.c_full:
            return over * (not self.problem.whole_rows)
        columns = 1.0 - 1.0 / self.n_segments
        share: Floats = np.where(self.n > 1, np.minimum(over, columns), over)
        return share

    def hits(self, a: Touch, b: Touch) -> Floats:
        """Share of the rows of A and B that the L2 holds."""
        of_a, of_b = self.a_commands(a), self.b_commands(b)
        missing = of_a * self.loads.a[a].missing + of_b * self.loads.b[b].missing
        share: Floats = 1.0 - missing / np.maximum(of_a + of_b, 1)
        return share

    def bank_conflicts(self, a: Touch, b: Touch) -> Floats:
        """Scratchpad reads that the array loses to a loop's own operands while they arrive. [cycles]

        Writes win. A row that arrives delays a read of A if it goes to the bank that is read; it delays a read of
        weights in the one step that reads them, of as many as there are row blocks. Rows of B that arrive without a
        pause stop that step until their group is complete.
        """
        a_rows, b_rows = self._rows_of_a(a), self._rows_of_b(b)
        hits_b = 1.0 - self.loads.b[b].missing
        same_bank = np.maximum(self._sharing.a_with_a, FOLLOWED_BANK_SHARE)
        group = np.minimum(self.k, self.segment) * self.n
        stopped = np.maximum(1.0 / self.m, hits_b * (1.0 - np.minimum(1.0, self.m / group)))
        of_inputs = a_rows * same_bank + b_rows * self._sharing.a_with_b
        of_weights = a_rows * self._sharing.a_with_b / self.m
        cycles: Floats = of_inputs + of_weights + b_rows * self._sharing.b_with_b * stopped
        return cycles if self.single_ported else np.zeros(1)

    def conflicts_between_halves(self, a: Touch, b: Touch) -> Ints:
        """Scratchpad rows that the loads of the next loop write into the bank of this one."""
        return self._rows_of_a(a) + self._rows_of_b(b)

    @property
    def halves_share_bank(self) -> bool:
        """Whether the loads of the next loop stop the reads of this one."""
        return self.single_ported and self.batch.double_buffered and self.spec.scratchpad.banks == 1

    @property
    def single_ported(self) -> bool:
        """Whether writes stop reads of their bank in the scratchpad."""
        return self.spec.scratchpad.ports == 1

    def _rows_of_a(self, touch: Touch) -> Ints:
        """Scratchpad rows that a loop loads of A."""
        rows: Ints = self.rows * self.k * (self.a_commands(touch) > 0)
        return rows

    def _rows_of_b(self, touch: Touch) -> Ints:
        """Scratchpad rows that a loop loads of B."""
        rows: Ints = self.n * self.k * self.spec.array.rows * (self.b_commands(touch) > 0)
        return rows

    def tail(self, a: Touch, b: Touch) -> Floats:
        """Least execute cycles that remain when the last operand has arrived.

        Pairs and loads run along k outermost. A comes in groups of several k, behind the weights of the first of them:
        after the last group of A remain its pairs, less those that run under the rest of its weights.
        """
        if self.problem.transposes_b:
            return self._transposed_tail(b)
        step = self._compute / (self.k * self.n_segments)
        if not self._loads_a(a):
            return step
        group = self._compute * (self._last_group() / self.k) - np.where(self.k_segments == 1, step, 0.0)
        rest_of_weights = (self._last_group() * self.n_segments - 1) * self.loads.b[b].cycles
        remaining = np.maximum(step, group - rest_of_weights)
        alone = (self.k == 1) & (self.n_segments == 1)
        return np.where(alone, self._compute * (1.0 - self._earlier_row_blocks()), remaining)

    def _transposed_tail(self, b: Touch) -> Floats:
        """`tail` where weights come in groups of several k, too.

        After the last load of B remain all pairs of its group but those of its first k with earlier weights. If the
        last row block of A is the last to come instead, the pairs of the first weights with earlier row blocks are
        over.
        """
        a_is_last = (self.n == 1) & (self.k_segments == 1) | (not self._loads_b(b))
        done = np.where(a_is_last, self._earlier_row_blocks(), 1.0 - 1.0 / self.n)
        remaining: Floats = self._compute * (self._last_group() - done) / self.k
        return remaining

    def _last_group(self) -> Ints:
        """Blocks along k of the last group of A."""
        return self.k - (self.k_segments - 1) * self.segment

    def _earlier_row_blocks(self) -> Floats:
        """Share of the pairs of one k block that belong to the first weights and to all row blocks but the last."""
        share: Floats = (1.0 - 1.0 / self.m) / self.n
        return share


def accumulates(trips: Ints, last_blocks: Ints, problem: MatmulProblem) -> Bools:
    """Whether the loop that stores a tile adds to it more than once: its k tile is deep, or brings in an addend.

    Parameters
    ----------
    trips, last_blocks
        Loops along k, and blocks along k of the last of them (mappings).
    problem
        The matmul.
    """
    result: Bools = (last_blocks > 1) | ((trips == 1) & problem.has_addend)
    return result
