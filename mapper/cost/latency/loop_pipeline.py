"""Cycles of the hardware loops of a matmul, for columns of mappings.

Two loops are in flight. A recurrence over the loops follows when each unit is free:

    start      when the loop before the last is released: all its commands have entered the queues
    loads      in order; partial sums wait for the stores of their accumulator half
    array      when the loop before is done and the first operands are there; rows that still arrive take its banks
    stores     when the results are there, in order

A tile in the whole memories starts when everything before is complete. Loops along a dimension repeat, so the first few
stand for themselves, one stands for all that follow, and the last, which may be ragged, for itself: however many loops
a mapping has, at most 4 x 4 x 5 are stepped through. Sources: `mapper.cost.latency.loop_times`; calibration notes,
sections 1.1 to 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.counts import Visits, dma_totals
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency import loop_recurrence as recurrence
from mapper.cost.latency.bunching import bunched_cycles
from mapper.cost.latency.kind_tables import KindTables
from mapper.cost.latency.load_times import Addend, Touch
from mapper.cost.latency.loop_rules import rules_of
from mapper.cost.latency.loop_times import LoopTimes
from mapper.cost.latency.lower_bounds import lower_bound
from mapper.cost.latency.memory_system import memory_busy
from mapper.cost.latency.replayed_loops import ReplayedLoops
from mapper.cost.latency.store_times import Stored
from mapper.cost.sweep import BYTES
from mapper.mapping.loop_nest import DIMS
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiling import LAST
from simulator.arrays import Floats, Ints
from simulator.memory.compiled import use
from simulator.units.systolic_array import completion_delay

OUTER, INNERMOST = 4, 5
"""Loops stepped through along a dimension, and along the innermost one that has several: there the two loops in flight
need a few to find their pace."""


@dataclass(frozen=True, slots=True, eq=False)
class PipelineCycles:
    """Cycles of each mapping, and the busy time of each unit (columns)."""

    cycles: Floats
    compute: Floats
    load: Floats
    store: Floats
    stepped: Floats
    """Of the loops alone, without the call of the library, and whatever the DRAM bus needs for all of them."""
    elapsed: Floats
    """Of a single mapping whose loops are stepped through one by one: the sums behind each of them
    (`mapper.cost.latency.loop_recurrence.SUMS` x loops), without the call of the library."""


def cycles(batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None) -> PipelineCycles:
    """Return the cycles of each mapping, library call included, as a search sees it."""
    times = LoopTimes(batch, visits, traffic, reuse)
    return _at_least(_Pipeline(times, visits).run(), times, visits, memory_cycles(batch, visits, traffic, reuse))


def cycles_one_by_one(
    batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None, replayed: ReplayedLoops | None
) -> PipelineCycles:
    """Return the cycles of the only mapping of a batch, library call included, every loop stepped through.

    ``replayed``: memory times of its loops, if they are known. Rare loops that are long then hold up those around them.
    """
    times = LoopTimes(batch, visits, traffic, reuse)
    stepped = _Pipeline(times, visits, one_by_one=True, replayed=replayed).run()
    memory = memory_cycles(batch, visits, traffic, reuse)
    if replayed is None:
        return _at_least(stepped, times, visits, memory)
    return replace(stepped, cycles=np.maximum(stepped.cycles, memory) + traffic.spec.host.call_cycles)


def _at_least(stepped: PipelineCycles, times: LoopTimes, visits: Visits, memory: Floats) -> PipelineCycles:
    """Return cycles with the call of the library, above their bounds, and what bunched misses add."""
    least, bunched = lower_bound(times, visits, memory), bunched_cycles(times, visits)
    return replace(stepped, cycles=np.maximum(stepped.cycles, least) + bunched + times.spec.host.call_cycles)


def least_cycles(batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None) -> Floats:
    """Return a lower bound of `cycles` for a fraction of the effort."""
    times = LoopTimes(batch, visits, traffic, reuse)
    least = lower_bound(times, visits, memory_cycles(batch, visits, traffic, reuse))
    return least + traffic.spec.host.call_cycles


def memory_cycles(batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None) -> Floats:
    """Return the cycles of the DRAM bus."""
    if reuse is not None:
        # A line that a store covers in part costs a fetch; only lines that are written whole cost a write of their own.
        return memory_busy(reuse.fetched, (reuse.written - reuse.merged_c) * reuse.fresh_share, traffic.spec)
    loads, stores = dma_totals(batch, visits, traffic)
    busy: Floats = (loads[:, BYTES] + stores[:, BYTES]) / traffic.spec.dram.bytes_per_cycle
    return busy


def fence_cycles(times: LoopTimes) -> Floats:
    """Cycles from the completion of the last store to the core going on: its writes are acknowledged first."""
    several = times.tilings.n.trips > 1
    last, alone = (
        np.broadcast_to(times.stores.acknowledged(stored), (2, 1, 2, len(several)))[LAST, 0, LAST]
        for stored in (Stored.RESULT, Stored.RESULT_FIRST_IN_ROW)
    )
    acknowledged: Floats = np.where(several, last, alone)
    return acknowledged + times.spec.front_end.fence_cycles


class _Pipeline:
    """The recurrence over the loops of all mappings of a batch, and the sums it adds up."""

    def __init__(
        self, times: LoopTimes, visits: Visits, *, one_by_one: bool = False, replayed: ReplayedLoops | None = None
    ) -> None:
        self._times, self._loops = times, replayed
        self._one_by_one = one_by_one
        """Of a single mapping; otherwise loops repeat, and some stand for others."""
        self._trips = np.stack([visits.trips_m, visits.trips_k, visits.trips_n])
        self._most = self._steps_at_most() if not one_by_one else self._trips
        self._steps = np.minimum(self._trips, self._most)

    def run(self) -> PipelineCycles:
        """Step through the loops; the cycles returned are those from the first loop to the fence."""
        state, (total, compute, load, store), elapsed = self._stepped()
        fence = fence_cycles(self._times)
        if self._loops is not None:
            spec = self._times.spec
            fed, stored = state[recurrence.FED] + completion_delay(spec.array), state[recurrence.TILE_STORED]
            waited = state[recurrence.ACKNOWLEDGED] - np.maximum(fed, stored)
            fence = np.maximum(fence, waited + spec.front_end.fence_cycles)
        return PipelineCycles(total + fence, compute, load, store, total + fence, elapsed)

    def _stepped(self) -> tuple[Floats, Floats, Floats]:
        """Return the state behind the loops, the sums over them, and those sums behind each of them."""
        times, number = self._times, len(self._times.batch)
        places = self._places()
        state, sums = np.zeros((len(recurrence.STATES), number)), np.zeros((len(recurrence.SUMS), number))
        elapsed = np.zeros((len(recurrence.SUMS), len(places) if self._one_by_one else 0))
        replayed = np.zeros((len(recurrence.REPLAYED), 0)) if self._loops is None else self._loops.each(len(places))
        state[: recurrence.NEVER] = -np.inf
        tables = KindTables()
        rows = self._rows(tables, places)
        use(len(places) * number, recurrence)
        recurrence.run(
            places,
            (self._steps, self._trips, self._most),
            np.broadcast_to(times.spilled, number).copy(),
            rows,
            tables.stacked(number),
            replayed,
            rules_of(times, self._loops is not None),
            (state, sums, elapsed, np.zeros(recurrence.LAST_COLUMN + 1)),
        )
        return state, sums, elapsed

    def _places(self) -> Ints:
        """Return the places along m, k and n of all steps, in the order of the loops (steps x 3)."""
        order = self._times.batch.order
        most = dict(zip(DIMS, self._steps.max(axis=1).tolist(), strict=True))
        every = np.indices([most[name] for name in order]).reshape(len(order), -1)
        return np.stack([every[order.index(name)] for name in DIMS], axis=1)

    def _steps_at_most(self) -> Ints:
        """Loops to step through along each dimension: more along the innermost one that has several."""
        inside = np.zeros(len(self._times.batch), dtype=bool)
        most = np.zeros_like(self._trips)
        for name in reversed(self._times.batch.order):
            several = self._trips[DIMS.index(name)] > 1
            most[DIMS.index(name)] = np.where(several & ~inside, INNERMOST, OUTER)
            inside |= several
        return most

    def _rows(self, tables: KindTables, places: Ints) -> Ints:
        """Return the rows of the stacked tables: of the last k tile and of others, by what is past its first tile."""
        rows = np.zeros((2, 8, len(recurrence.COLUMNS)), dtype=np.int64)
        for past in np.unique(places > 0, axis=0).tolist():
            number = (past[0] * 2 + past[1]) * 2 + past[2]
            kinds = _Kinds(self._times, *past)
            of_loop = tuple(kinds.of_loop(tables))
            rows[0, number] = *of_loop, *kinds.of_stores(tables, kinds.result)
            rows[1, number] = *of_loop, *kinds.of_stores(tables, kinds.partial)
        return rows


class _Kinds:
    """How the L2 meets each operand of a loop: one over a dimension that an operand lacks sweeps it again."""

    def __init__(self, times: LoopTimes, past_m: bool, past_k: bool, past_n: bool) -> None:
        self._times = times
        b_first_in_row = not (past_k if times.problem.b_axes[1] == "k" else past_n)
        self._a = Touch.REFETCH if past_n else Touch.FIRST if past_k else Touch.FIRST_IN_ROW
        self._b = Touch.REFETCH if past_m else Touch.FIRST_IN_ROW if b_first_in_row else Touch.FIRST
        self._d = Addend.PARTIAL_SUMS if past_k else Addend.BIAS
        self.result = Stored.RESULT if past_n else Stored.RESULT_FIRST_IN_ROW
        self.partial = Stored.RELOADED_SUMS if past_k else Stored.NEW_SUMS

    def of_loop(self, tables: KindTables) -> Iterator[int]:
        """Yield the rows of the columns before `loop_recurrence.STORE`, in their order."""
        times, a, b, d = self._times, self._a, self._b, self._d
        yield tables.row(times.issued, d)
        yield tables.row(times.fill, a, b)
        shares = times.missing_commands, times.waiting_commands
        yield tables.row(times.load, a, b, d)
        yield tables.row(times.streamed, a, b, d)
        yield tables.row(times.repeated, d)
        for table in (times.memory, times.entries, times.beats, times.commands, *shares):
            yield tables.row(table, a, b, d)
        yield tables.row(times.compute)
        yield tables.row(times.after_first_weights)
        yield tables.row(times.last_weights, b)
        yield tables.row(times.command, a, b)
        yield tables.row(times.addend, d)
        yield tables.row(times.head, a, b)
        yield tables.row(times.spared)
        yield tables.row(times.bank_conflicts, a, b)
        yield tables.row(times.conflicts_between_halves, a, b)
        yield tables.row(times.tail, a, b)
        yield tables.row(times.burst)
        yield tables.row(times.hits, a, b)
        yield tables.row(times.depth)
        yield tables.row(times.early_stores, a, b)
        yield tables.row(times.lead)

    def of_stores(self, tables: KindTables, stored: Stored) -> Iterator[int]:
        """Yield the rows of the other columns: of results behind the last k tile, of partial sums behind others."""
        if stored is self.partial and not self._times.spilled.any():
            stored = self.result  # which nothing looks up
        stores = self._times.stores
        yield tables.row(stores.cycles, stored)
        yield tables.row(stores.serial, stored)
        yield tables.row(stores.after_last, stored)
        yield tables.row(stores.memory, stored)
        yield tables.row(stores.entries, stored)
        yield tables.row(stores.beats, stored)
        yield tables.row(stores.writes, stored)
        yield tables.row(stores.ahead, stored)
        yield tables.row(stores.mvouts, stored)
        yield tables.row(stores.requests, stored)
        yield tables.row(stores.acknowledged, stored)
        yield tables.row(self._times.before_store, stored)
        yield tables.row(self._times.head_behind_store, self._a, self._b, stored)
