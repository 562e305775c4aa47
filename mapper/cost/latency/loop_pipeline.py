"""Cycles of the hardware loops of a matmul, for columns of mappings.

Two loops are in flight. The walk follows the front of each unit from loop to loop:

    start      when the loop before the last is released: all its commands have entered the queues
    loads      in order; partial sums wait for the stores of their accumulator half
    array      when the loop before is done and the first operands are there; rows that still arrive take its banks
    stores     when the results are there, in order

A tile in the whole memories starts when everything before is complete. Loops along a dimension repeat, so the first few
stand for themselves, one stands for all that follow, and the last, which may be ragged, for itself: however many loops
a mapping has, at most 4 x 4 x 5 are walked. Sources: `mapper.cost.latency.loop_times`; calibration notes, sections
1.1 to 1.6.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mapper.cost.cache_reuse import Lines
from mapper.cost.counts import Visits, dma
from mapper.cost.dma_traffic import BYTES, Traffic
from mapper.cost.latency.load_times import AGAIN, BIAS, EDGE, NEW, RETURN
from mapper.cost.latency.loop_times import LOAD_TO_USE, LoopTimes
from mapper.cost.latency.lower_bounds import floor
from mapper.cost.latency.memory_system import memory_busy
from mapper.cost.latency.store_times import BEHIND, NEW_SUMS, SUMS
from mapper.cost.latency.store_times import EDGE as FIRST_IN_ROW
from mapper.mapping.loop_nest import DIMS
from mapper.mapspace.batch import Batch
from simulator.arrays import Floats, Ints
from simulator.units.systolic_array import completion_delay

OUTER, INNERMOST = 4, 5
"""Loops walked along a dimension, and along the innermost one that has several: there the two loops in flight need a
few to find their pace."""

EARLY_RELEASE_CYCLES = 250.0
"""Most bank conflicts of a loop whose last pairs are still to be fed when the loads of the loop after next, which fill
the same half, begin: the first group of A takes the bank. Fitted to our own event simulation of the mappings of
`mapper.validation.estimate_accuracy`, another seed."""

MOST_TAKEN = 0.95
"""Most that arriving operands take of the scratchpad: between their bursts the array gets a read."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Cycles of each mapping, and the busy time of each unit (columns)."""

    cycles: Floats
    compute: Floats
    load: Floats
    store: Floats


def cycles(batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> Times:
    """Return the cycles of each mapping, library call included."""
    spec = traffic.spec
    times = LoopTimes(batch, seen, traffic, lines)
    walked = _Walk(times, seen).run()
    least = floor(times, seen, memory_cycles(batch, seen, traffic, lines))
    return replace(walked, cycles=np.maximum(walked.cycles, least) + spec.host.call_cycles)


def least_cycles(batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> Floats:
    """Return a lower bound of `cycles` for a fraction of the effort."""
    times = LoopTimes(batch, seen, traffic, lines)
    return floor(times, seen, memory_cycles(batch, seen, traffic, lines)) + traffic.spec.host.call_cycles


def memory_cycles(batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> Floats:
    """Return the cycles of the DRAM bus."""
    if lines is not None:
        return memory_busy(lines.fetched, lines.written - lines.c, traffic.spec)
    loads, stores = dma(batch, seen, traffic)
    busy: Floats = (loads[:, BYTES] + stores[:, BYTES]) / traffic.spec.dram.bytes_per_cycle
    return busy


class _Walk:
    """The fronts of the units, after the loops walked so far (columns, in cycles from the first loop on)."""

    def __init__(self, times: LoopTimes, seen: Visits) -> None:
        self.times = times
        self._trips = {"m": seen.trips_m, "k": seen.trips_k, "n": seen.trips_n}
        self._most = self._walked_at_most()
        self.walked = {name: np.minimum(self._trips[name], self._most[name]) for name in DIMS}
        number = len(times.batch)
        self._fronts = np.zeros((len(_Fronts._fields), number))
        self._fronts[[_Fronts._fields.index(name) for name in _NEVER]] = -np.inf
        self._sums = np.zeros((4, number))
        self._tables: dict[tuple[str, tuple[int, ...]], Floats] = {}

    def run(self) -> Times:
        """Walk the loops; the cycles returned are those from the first loop to the fence."""
        order = self.times.batch.order
        for places in itertools.product(*(range(int(self.walked[name].max())) for name in order)):
            at = dict(zip(order, places, strict=True))
            rows = np.flatnonzero(np.logical_and.reduce([self.walked[name] > place for name, place in at.items()]))
            if len(rows):
                self._loop(at, rows)
        total, compute, load, store = self._sums
        return Times(total + self.times.spec.front_end.fence_cycles, compute, load, store)

    def _walked_at_most(self) -> dict[str, Ints]:
        """Loops to walk along each dimension: more along the innermost one that has several."""
        inside = np.zeros(len(self.times.batch), dtype=bool)
        most: dict[str, Ints] = {}
        for name in reversed(self.times.batch.order):
            several = self._trips[name] > 1
            most[name] = np.where(several & ~inside, INNERMOST, OUTER)
            inside |= several
        return most

    def _weight(self, at: dict[str, int], rows: Ints) -> Floats:
        """How many loops the one at these places stands for."""
        weight = np.ones(len(rows))
        for name, place in at.items():
            if place:
                most, trips = self._most[name][rows], self._trips[name][rows]
                weight *= np.where((place == most - 2) & (trips > most), trips - most + 1, 1)
        return weight

    def table(self, name: str, *how: int) -> Floats:
        """Return a table of `LoopTimes` or of its stores, flat: full or last along m, k, n, then mappings."""
        key = name, how
        if key not in self._tables:
            owner = self.times.stores if name.startswith("store_") else self.times
            found = getattr(owner, name.removeprefix("store_"))
            values = found(*how) if callable(found) else found
            shape = (2, 2, 2, len(self.times.batch))
            self._tables[key] = np.ascontiguousarray(np.broadcast_to(values, shape), dtype=np.float64).ravel()
        return self._tables[key]

    def _loop(self, at: dict[str, int], rows: Ints) -> None:
        """Move the fronts over one loop of some mappings."""
        everyone = len(rows) == self._fronts.shape[1]
        before = _Fronts(*(self._fronts if everyone else self._fronts[:, rows]))
        loop = _Loop(self, at, rows)
        after = loop.move(before)
        gained = self._weight(at, rows) * np.stack(
            [loop.complete(after) - loop.complete(before), loop.compute, loop.load, loop.store]
        )
        if everyone:
            self._fronts = np.stack(after)
            self._sums += gained
        else:
            self._fronts[:, rows] = after
            self._sums[:, rows] += gained


class _Fronts(NamedTuple):
    """What is known of the loops before (columns, in cycles)."""

    start: Floats
    """When the last one was configured."""
    released: Floats
    released_before: Floats
    """When all commands of the last and of the last but one had entered the queues."""
    loaded: Floats
    fed: Floats
    fed_before: Floats
    """When the pairs of the last and of the last but one were fed."""
    stored: Floats
    tile_stored: Floats
    tile_stored_before: Floats
    """When the last result tile had left, and the one before, which had the same accumulator half as the next."""
    store_memory: Floats
    store_entries: Floats
    store_beats: Floats
    """Cycles of the DRAM bus, of the miss entries and of the response bus of the last loop's stores, which meet the
    loads of the next."""


_NEVER = ("start", "released", "released_before")
"""Fronts that are at minus infinity before the first loop; the others are at zero."""


class _Loop:
    """One step of the walk, for some of the mappings."""

    def __init__(self, walk: _Walk, at: dict[str, int], rows: Ints) -> None:
        times = self._times = walk.times
        self._spec, self._walk = times.spec, walk
        last = {name: at[name] == walk.walked[name][rows] - 1 for name in DIMS}
        self._kind = (last["m"] * 4 + last["k"] * 2 + last["n"]) * len(times.batch) + rows
        edge_b = at["k" if times.problem.b_transposed else "n"] == 0
        self._a = AGAIN if at["n"] else NEW if at["k"] else EDGE
        self._b = AGAIN if at["m"] else EDGE if edge_b else NEW
        self._d = RETURN if at["k"] else BIAS
        self._result = BEHIND if at["n"] else FIRST_IN_ROW
        self._partial = SUMS if at["k"] else NEW_SUMS
        spilled = times.spilled[rows]
        every = np.ones(len(rows), dtype=bool)
        self._from_sums = spilled if at["k"] else every & (times.problem.bias_address is not None)
        self._new_tile = spilled if at["k"] else every
        self._last_k, self._leaves = last["k"], last["k"] | spilled
        self.compute = self._take("compute")
        self.load = self._take("load", self._a, self._b, self._d)
        self.store = self._leaving("cycles")

    def _take(self, name: str, *how: int) -> Floats:
        return self._walk.table(name, *how)[self._kind]

    def _leaving(self, what: str) -> Floats:
        """Return entries of a store table: of results behind the last k tile, of partial sums behind others."""
        partial = np.where(self._leaves, self._take(f"store_{what}", self._partial), 0.0)
        return np.where(self._last_k, self._take(f"store_{what}", self._result), partial)

    def move(self, before: _Fronts) -> _Fronts:
        """Return the fronts after the loop."""
        front_end = self._spec.front_end
        start = self._configured(before)
        begin = start + front_end.first_command_cycles
        ready = np.where(self._from_sums, np.maximum(begin, before.tile_stored_before), begin)
        arriving = np.maximum(before.loaded, ready + self._take("fill", self._b))
        load = self._contended(before)
        if self._times.batch.double_buffered:
            arriving, load = self._behind_reads(before, arriving, load)
        loaded = arriving + load
        fed = self._fed(before, arriving, load)
        last_commands = front_end.load_entries * self._take("command", self._a, self._b)
        released = np.maximum(np.maximum(begin, loaded - last_commands), fed - self._take("lead"))
        stored = np.where(self._leaves, self._stored(before.stored, fed), before.stored)
        mvouts, entries = np.maximum(self._leaving("mvouts"), 1.0), front_end.store_entries
        emitted = np.where(mvouts > entries, stored - self.store * (entries / mvouts), released)
        return _Fronts(
            start=start,
            released=np.maximum(released, np.where(self._leaves, emitted, 0.0)),
            released_before=before.released,
            loaded=loaded,
            fed=fed,
            fed_before=before.fed,
            stored=stored,
            tile_stored=np.where(self._leaves, stored, before.tile_stored),
            tile_stored_before=np.where(self._leaves, before.tile_stored, before.tile_stored_before),
            store_memory=self._leaving("memory"),
            store_entries=self._leaving("entries"),
            store_beats=self._leaving("beats"),
        )

    def _behind_reads(self, before: _Fronts, arriving: Floats, load: Floats) -> tuple[Floats, Floats]:
        """Loads that wait for the pairs, two loops ago, whose weights they overwrite: the first ones and the last."""
        read = before.fed_before + completion_delay(self._spec.array)
        first = np.where(before.fed_before > 0.0, read - self._take("after_first_weights"), 0.0)
        arriving = np.maximum(arriving, first + self._take("fill", self._b))
        last = np.where(before.fed_before > 0.0, read + self._take("last_weights", self._b), 0.0)
        return arriving, np.maximum(load, last - arriving)

    def _stored(self, before: Floats, fed: Floats) -> Floats:
        """When the stores are through: they cannot read a bank that the array accumulates into."""
        written = fed + completion_delay(self._spec.array)
        accumulates = (self._take("k") > 1.0) | self._from_sums
        parts = self._take("parts")
        begun = np.where(accumulates, written, written - self.compute * (1.0 - 1.0 / parts))
        through = np.maximum(np.maximum(before, begun) + self.store, written + self.store / parts)
        return through + self._spec.dma.store_completion_cycles

    def complete(self, fronts: _Fronts) -> Floats:
        """When all that was begun is complete; at the beginning nothing was."""
        fed = np.where(fronts.fed > 0.0, fronts.fed + completion_delay(self._spec.array), 0.0)
        return np.maximum(fed, fronts.stored)

    def _configured(self, before: _Fronts) -> Floats:
        """When the loop is configured: a place is free; or, in the whole memories, everything is complete."""
        paced = before.start + self._spec.host.loop_cycles
        if self._times.batch.double_buffered:
            free = before.released_before + self._spec.front_end.loop_config_cycles
            return np.maximum(np.maximum(paced, free), 0.0)
        return np.maximum(np.maximum(paced, before.loaded), self.complete(before))

    def _contended(self, before: _Fronts) -> Floats:
        """Load cycles, with the stores of the loop before on the same buses, which take turns with loads."""
        if not self._times.batch.double_buffered:
            return self.load
        load = self.load
        for name, stores in (
            ("memory", before.store_memory),
            ("entries", before.store_entries),
            ("beats", before.store_beats),
        ):
            own = self._take(name, self._a, self._b, self._d)
            load = np.maximum(load, own + np.minimum(own, stores))
        return load

    def _fed(self, before: _Fronts, arriving: Floats, load: Floats) -> Floats:
        """When the last pair is fed."""
        spared, preload = self._take("spared"), float(self._times.preload)
        free = before.fed + self._early_release(before, load)
        usable = arriving + self._take("sums", self._d) + self._take("head", self._a, self._b) + LOAD_TO_USE + preload
        usable = np.maximum(usable, np.where(self._new_tile, before.tile_stored_before + preload, 0.0))
        begun = np.maximum(free, usable)
        compute = self.compute - np.where(usable > free + preload, spared, 0.0)
        loaded = arriving + load
        window = np.maximum(0.0, loaded - begun)
        left = 1.0 - np.minimum(MOST_TAKEN, self._take("taken", self._a, self._b) / np.maximum(self.load, 1.0))
        behind = loaded + np.maximum(compute - window * left, self._take("tail", self._a, self._b))
        return np.maximum(begun + compute, np.where(window > 0.0, behind, 0.0))

    def _early_release(self, before: _Fronts, load: Floats) -> Floats:
        """Delay of the loop before when this one's loads began under the last pairs of the one before that."""
        if not self._times.batch.double_buffered:
            return np.zeros(len(load))
        began = (before.loaded < before.fed_before) & (before.released_before < before.fed_before - 1.0)
        conflicts = np.minimum(EARLY_RELEASE_CYCLES, self._take("burst")) * self._take("hits", self._a, self._b)
        return np.where(began, np.minimum(conflicts, np.minimum(load, self.compute)), 0.0)
