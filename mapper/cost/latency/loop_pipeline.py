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

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.counts import Visits, dma_totals
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.bunching import bunched_cycles
from mapper.cost.latency.kind_tables import Kinds, KindTables
from mapper.cost.latency.load_times import Addend, Touch
from mapper.cost.latency.loop_state import NEVER, LoopState
from mapper.cost.latency.loop_times import LoopTimes, fence_cycles
from mapper.cost.latency.lower_bounds import lower_bound
from mapper.cost.latency.memory_system import memory_busy
from mapper.cost.latency.store_times import Stored
from mapper.cost.sweep import BYTES
from mapper.mapping.loop_nest import DIMS
from mapper.mapspace.batch import Batch
from simulator.arrays import Bools, Floats, Ints
from simulator.units.store import LOADS_ON_THE_WAY
from simulator.units.systolic_array import completion_delay

OUTER, INNERMOST = 4, 5
"""Loops stepped through along a dimension, and along the innermost one that has several: there the two loops in flight
need a few to find their pace."""

EARLY_RELEASE_CYCLES = 250.0
"""Most bank conflicts of a loop whose last pairs are still to be fed when the loads of the loop after next, which fill
the same half, begin: the first group of A takes the bank. Fitted to our own event simulation of the mappings of
`mapper.validation.estimate_accuracy`, another seed."""


@dataclass(frozen=True, slots=True, eq=False)
class PipelineCycles:
    """Cycles of each mapping, and the busy time of each unit (columns)."""

    cycles: Floats
    compute: Floats
    load: Floats
    store: Floats


def cycles(batch: Batch, visits: Visits, traffic: Traffic, reuse: CacheReuse | None) -> PipelineCycles:
    """Return the cycles of each mapping, library call included."""
    spec = traffic.spec
    times = LoopTimes(batch, visits, traffic, reuse)
    stepped = _Pipeline(times, visits).run()
    least = lower_bound(times, visits, memory_cycles(batch, visits, traffic, reuse))
    bunched = bunched_cycles(times, visits)
    return replace(stepped, cycles=np.maximum(stepped.cycles, least) + bunched + spec.host.call_cycles)


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


class _Pipeline:
    """The recurrence over the loops of all mappings of a batch, and the sums it adds up."""

    def __init__(self, times: LoopTimes, visits: Visits) -> None:
        self.times = times
        self.tables = KindTables(len(times.batch))
        self._trips = {"m": visits.trips_m, "k": visits.trips_k, "n": visits.trips_n}
        self._most = self._steps_at_most()
        self.steps = {name: np.minimum(self._trips[name], self._most[name]) for name in DIMS}
        number = len(times.batch)
        self._state = np.zeros((len(LoopState._fields), number))
        self._state[[LoopState._fields.index(name) for name in NEVER]] = -np.inf
        self._sums = np.zeros((4, number))

    def run(self) -> PipelineCycles:
        """Step through the loops; the cycles returned are those from the first loop to the fence."""
        order = self.times.batch.order
        for places in itertools.product(*(range(int(self.steps[name].max())) for name in order)):
            at = dict(zip(order, places, strict=True))
            rows = np.flatnonzero(np.logical_and.reduce([self.steps[name] > place for name, place in at.items()]))
            if len(rows):
                self._step(at, rows)
        total, compute, load, store = self._sums
        return PipelineCycles(total + fence_cycles(self.times), compute, load, store)

    def _steps_at_most(self) -> dict[str, Ints]:
        """Loops to step through along each dimension: more along the innermost one that has several."""
        inside = np.zeros(len(self.times.batch), dtype=bool)
        most: dict[str, Ints] = {}
        for name in reversed(self.times.batch.order):
            several = self._trips[name] > 1
            most[name] = np.where(several & ~inside, INNERMOST, OUTER)
            inside |= several
        return most

    def _weight(self, at: dict[str, int], rows: Ints) -> Floats:
        """How many loops the one at these places stands for.

        Along a dimension of more loops than are stepped through, the last but one stands for all those left out.
        """
        weight = np.ones(len(rows))
        for name, place in at.items():
            if place:
                most, trips = self._most[name][rows], self._trips[name][rows]
                weight *= np.where((place == most - 2) & (trips > most), trips - most + 1, 1)
        return weight

    def _step(self, at: dict[str, int], rows: Ints) -> None:
        """Advance some mappings by one loop."""
        everyone = len(rows) == self._state.shape[1]
        before = LoopState(*(self._state if everyone else self._state[:, rows]))
        loop = _Loop(self, at, rows)
        after = loop.advance(before)
        gained = self._weight(at, rows) * np.stack(
            [loop.complete(after) - loop.complete(before), loop.compute, loop.load, loop.store]
        )
        # Most steps concern every mapping: whole arrays are replaced then, not copied through an index.
        if everyone:
            self._state = np.stack(after)
            self._sums += gained
        else:
            self._state[:, rows] = after
            self._sums[:, rows] += gained


class _Loop:
    """One step of the recurrence, for some of the mappings."""

    def __init__(self, pipeline: _Pipeline, at: dict[str, int], rows: Ints) -> None:
        times = self._times = pipeline.times
        self._spec, self._tables = times.spec, pipeline.tables
        last_m, last_k, last_n = (pipeline.steps[name][rows] == at[name] + 1 for name in DIMS)
        self._index = self._tables.index(last_m, last_k, last_n, rows)
        self._set_kinds(at)
        self._set_flows(at, last_k, times.spilled[rows])
        self.compute = self._take(times.compute)
        self.load = self._take(times.load, self._a, self._b, self._d)
        self.store = self._stored_part(times.stores.cycles)
        self._serial = self._stored_part(times.stores.serial)

    def _set_kinds(self, at: dict[str, int]) -> None:
        """Tell how the L2 meets each operand: a loop over a dimension that an operand lacks sweeps it again."""
        b_first_in_row = at[self._times.problem.b_axes[1]] == 0
        self._a = Touch.REFETCH if at["n"] else Touch.FIRST if at["k"] else Touch.FIRST_IN_ROW
        self._b = Touch.REFETCH if at["m"] else Touch.FIRST_IN_ROW if b_first_in_row else Touch.FIRST
        self._d = Addend.PARTIAL_SUMS if at["k"] else Addend.BIAS
        self._result = Stored.RESULT if at["n"] else Stored.RESULT_FIRST_IN_ROW
        self._partial = Stored.RELOADED_SUMS if at["k"] else Stored.NEW_SUMS

    def _set_flows(self, at: dict[str, int], last_k: Bools, spilled: Bools) -> None:
        """Tell which mappings load sums, begin another accumulator tile, and store."""
        every = np.ones(len(spilled), dtype=bool)
        self._loads_addend = spilled if at["k"] else every & self._times.problem.has_addend
        self._new_tile = spilled if at["k"] else every
        self._last_k, self._stores = last_k, last_k | spilled

    def _take(self, table: Callable[[*Kinds], Floats | Ints], *kinds: *Kinds) -> Floats:
        """Return the entries of a table for this loop."""
        return self._tables.take(self._index, table, *kinds)

    def _stored_part(self, table: Callable[[Stored], Floats | Ints]) -> Floats:
        """Return entries of a store table: of results behind the last k tile, of partial sums behind others."""
        partial = np.where(self._stores, self._take(table, self._partial), 0.0)
        return np.where(self._last_k, self._take(table, self._result), partial)

    def advance(self, before: LoopState) -> LoopState:
        """Return the state after the loop."""
        times = self._times
        start = self._configured(before)
        begin = start + self._spec.front_end.first_command_cycles
        # D enters the accumulator half that the tile before the last has to leave first.
        ready = np.where(self._loads_addend, np.maximum(begin, before.tile_stored_before), begin)
        arriving = np.maximum(before.loaded, ready + self._take(times.fill, self._a, self._b))
        load = self._contended(before)
        if times.batch.double_buffered:
            arriving, load = self._behind_reads(before, arriving, load)
            before = self._behind_mvins(before, start, arriving, load)
        else:
            # Lines come behind those that the last writes still fetch or fill.
            busy = before.drained + self._take(times.memory, self._a, self._b, self._d)
            load = np.maximum(load, busy - arriving)
        begun, fed = self._fed(before, arriving, load)
        stored, drained = self._stored(before, begun, fed)
        # The unit goes on to the next store while the last one is on its way.
        complete = np.where(self._stores, stored + self._stored_part(times.stores.after_last), before.tile_stored)
        return LoopState(
            start=start,
            released=self._released(begin, arriving + load, fed, stored),
            released_before=before.released,
            released_third=before.released_before,
            loaded=arriving + load,
            fed=fed,
            fed_before=before.fed,
            stored=stored,
            read_out=np.where(self._stores, np.maximum(stored - self.store, before.stored), 0.0),
            tile_stored=complete,
            tile_stored_before=np.where(self._stores, before.tile_stored, before.tile_stored_before),
            drained=drained,
            store_memory=self._stored_part(times.stores.memory),
            store_entries=self._stored_part(times.stores.entries),
            store_beats=self._stored_part(times.stores.beats),
        )

    def _configured(self, before: LoopState) -> Floats:
        """When the loop is configured: a context is free; or, in the whole memories, everything is complete."""
        paced = before.start + self._spec.host.loop_cycles + self._take(self._times.issued, self._d)
        if self._times.batch.double_buffered:
            front_end = self._spec.front_end
            # With more than three loops in flight the memories' halves hold a loop up, never its slot.
            last = (before.released, before.released_before, before.released_third)[
                min(front_end.loops_in_flight, 3) - 1
            ]
            free = last + front_end.loop_config_cycles
            return np.maximum(np.maximum(paced, free), 0.0)
        return np.maximum(np.maximum(paced, before.loaded), self.complete(before))

    def _contended(self, before: LoopState) -> Floats:
        """Load cycles, with the stores of the loop before on the same buses."""
        if not self._times.batch.double_buffered:
            return self.load
        times, load = self._times, self.load
        for own_cycles, stores in (
            (times.memory, before.store_memory),
            (times.entries, before.store_entries),
            (times.beats, before.store_beats),
        ):
            own = self._take(own_cycles, self._a, self._b, self._d)
            # Loads and stores take turns: while both last, each waits for the other once per turn, so that stores
            # delay loads by no more than the loads' own time. Three resources in parallel: the slowest one counts.
            load = np.maximum(load, own + np.minimum(own, stores))
        return load

    def _behind_reads(self, before: LoopState, arriving: Floats, load: Floats) -> tuple[Floats, Floats]:
        """Delay loads that would overwrite weights still in use.

        The scratchpad half is that of the loop before last. Its first weights must be read before the first load of B,
        its last ones before the last.
        """
        times = self._times
        read = before.fed_before + completion_delay(self._spec.array)
        first = np.where(before.fed_before > 0.0, read - self._take(times.after_first_weights), 0.0)
        arriving = np.maximum(arriving, first + self._take(times.fill, self._a, self._b))
        last = np.where(before.fed_before > 0.0, read + self._take(times.last_weights, self._b), 0.0)
        return arriving, np.maximum(load, last - arriving)

    def _behind_mvins(self, before: LoopState, start: Floats, arriving: Floats, load: Floats) -> LoopState:
        """Delay the read-out of the loop before until the last of this one's loads that were ahead of it are there."""
        times = self._times
        if not times.problem.whole_rows:
            return before
        began, loaded = before.read_out, arriving + load
        left = (loaded - began) / np.maximum(self._take(times.command, self._a, self._b), 1.0)
        waits = (began > start) & (left <= self._spec.front_end.load_entries + LOADS_ON_THE_WAY)
        delay = np.where(waits, np.maximum(0.0, loaded - began), 0.0)
        return before._replace(
            stored=before.stored + delay, released=before.released + delay, tile_stored=before.tile_stored + delay
        )

    def _fed(self, before: LoopState, arriving: Floats, load: Floats) -> tuple[Floats, Floats]:
        """When the first pair begins, and when the last is fed: behind the loop before, and every operand's arrival."""
        times = self._times
        preload = float(times.preload)
        free = before.fed + self._early_release(before, load)
        usable = arriving + self._take(times.addend, self._d) + self._take(times.head, self._a, self._b)
        usable = usable + self._spec.front_end.load_to_use_cycles + preload
        usable = np.maximum(usable, np.where(self._new_tile, before.tile_stored_before + preload, 0.0))
        if times.batch.double_buffered and self._spec.accumulator.banks == 1:
            # The loop before is stored from the bank that this one accumulates into: they take turns.
            free = np.maximum(free, before.fed + self.store)
        begun = np.maximum(free, usable)
        # An array that waits for its first weights has nothing to overlap their preload with, but its last step of the
        # loop before was shorter for it.
        compute = self.compute - np.where(usable > free + preload, self._take(times.spared), 0.0)
        if times.halves_share_bank:
            compute = compute + self._between_halves(compute, load)
        loaded = arriving + load
        window = np.maximum(0.0, loaded - begun)
        taken = self._take(times.bank_conflicts, self._a, self._b) / np.maximum(self.load, 1.0)
        tail = self._take(times.tail, self._a, self._b)
        # Rows that arrive while the array waits for operands cost it nothing; those that stop it draw out its steps.
        stepping = np.maximum(0.0, compute - tail) / np.maximum(1.0 - taken, 1e-9)
        lost = taken * np.minimum(window, stepping)
        remaining = np.maximum(compute - window + lost, tail)
        return begun, np.maximum(begun + compute, np.where(window > 0.0, loaded + remaining, 0.0))

    def _between_halves(self, compute: Floats, load: Floats) -> Floats:
        """Cycles that the array loses to rows of the next loop, which arrive while it computes."""
        # The array loses a cycle for each row that arrives, and as it takes longer more of them do.
        rows = self._take(self._times.conflicts_between_halves, self._a, self._b)
        rate = rows / np.maximum(load, 1.0)
        lost: Floats = np.minimum(rows, compute * rate / np.maximum(1.0 - rate, 1e-9))
        return lost

    def _early_release(self, before: LoopState, load: Floats) -> Floats:
        """Delay of the loop before when this one's loads began under the last pairs of the one before that.

        A loop of few stores is released while its last pairs wait to be fed. Loads into its half that hit the L2 write
        a row per cycle and stop the reads of these pairs (calibration notes, 1.1).
        """
        times = self._times
        if not (times.batch.double_buffered and times.single_ported):
            return np.zeros(len(load))
        began = (before.loaded < before.fed_before) & (before.released_before < before.fed_before - 1.0)
        burst = np.minimum(EARLY_RELEASE_CYCLES, self._take(times.burst))
        conflicts = burst * self._take(times.hits, self._a, self._b)
        return np.where(began, np.minimum(conflicts, np.minimum(load, self.compute)), 0.0)

    def _stored(self, before: LoopState, begun: Floats, fed: Floats) -> tuple[Floats, Floats]:
        """When the unit is through with the stores, and the memory with their writes.

        Rows cannot be read from a bank that the array accumulates into. Writes wait in their slots for the memory, and
        hold up the unit when all are taken.
        """
        times, delay = self._times, completion_delay(self._spec.array)
        written = fed + delay
        accumulates = (self._take(times.depth) > 1.0) | self._loads_addend | times.problem.whole_rows
        # A tile one block deep does not accumulate: rows are stored while others are computed.
        first = np.where(accumulates, written, np.minimum(written, begun + self._take(times.before_store) + delay))
        start = np.maximum(before.stored, first)
        read = np.maximum(start + self._serial, written + self._serial / np.maximum(1.0, self._mvouts()))
        drained = np.maximum(before.drained, start) + self._stored_part(times.stores.writes)
        through = np.maximum(read, drained - self._stored_part(times.stores.ahead))
        return np.where(self._stores, through, before.stored), np.where(self._stores, drained, before.drained)

    def _mvouts(self) -> Floats:
        return self._stored_part(self._times.stores.mvouts)

    def _released(self, begin: Floats, loaded: Floats, fed: Floats, stored: Floats) -> Floats:
        """When the last command of each queue has entered it: release takes no completion (calibration notes, 1.1)."""
        times, front_end = self._times, self._spec.front_end
        last_loads = front_end.load_entries * self._take(times.command, self._a, self._b)
        released = np.maximum(np.maximum(begin, loaded - last_loads), fed - self._take(times.lead))
        mvouts, entries = np.maximum(self._mvouts(), 1.0), front_end.store_entries
        if times.problem.whole_rows:
            # A loop that is normalised keeps its context until the end, and one without output until it is its turn.
            return np.maximum(released, stored)
        # Stores that all fit their queue enter it with the last pairs.
        emitted = np.where(mvouts > entries, stored - self.store * (entries / mvouts), released)
        return np.maximum(released, np.where(self._stores, emitted, 0.0))

    def complete(self, state: LoopState) -> Floats:
        """When all that was begun is complete; at the beginning nothing was."""
        fed = np.where(state.fed > 0.0, state.fed + completion_delay(self._spec.array), 0.0)
        return np.maximum(fed, state.tile_stored)
