"""How long the memory needs for the works of a program: what tells works apart that differ in addresses alone.

The loads of a work, then its stores, are put through the recurrences of the memory path, one command behind the other,
on ports that are idle when the work begins. So latency, request slots, miss entries, conflicts inside a set, the pages
and the bus of the DRAM, evictions and write-backs all count as they will in the run; nothing else is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Ints
from simulator.frontend.command_queues import CommandQueues, Loads, Stores
from simulator.memory import recurrences
from simulator.memory.compiled import use
from simulator.memory.path import Arguments
from simulator.memory.recurrences import CODE, FETCH, LINE, NEXT_REQUEST
from simulator.memory.traffic import Traffic

LOADS, STORES, BEHIND, BESIDE = range(4)
"""Rows of memory times: loads alone, stores alone, by how much loads end later than those of the work before, and by
how much they take longer beside the stores of that work. Whether those meet depends on the pace, so that there is a row
for each of ``MEETINGS`` ways of meeting: works that meet in different ways are never alike."""

MEETINGS, PRIME = 16, 31
ROWS = BESIDE + MEETINGS

REST = 1 << 20
"""Cycles between two works in which every port becomes idle."""

PASSES = 3
"""How often the requests of most works go through the memory."""

LONG = 100
"""Works that need the memory for as many latencies, or lines on the DRAM's bus where those take longer, hide what
neighbours do to each other: at most a few of either."""


class WorkTimes(Protocol):
    """Times of the works of a program in the memory, however they are known."""

    def all(self) -> Ints:
        """Return the times of all works."""

    def of(self, first: int, end: int) -> Ints:
        """Return the times of works ``[first, end)`` (``ROWS`` x works) [cycles]."""


@dataclass(frozen=True, slots=True)
class KnownTimes:
    """Times that were found, of a program that is kept no longer."""

    times: Ints

    def all(self) -> Ints:
        """Return the times of all works."""
        return self.times

    def of(self, first: int, end: int) -> Ints:
        """Return the times of works ``[first, end)`` (``ROWS`` x works) [cycles]."""
        return self.times[:, first:end]


class MemoryTimes:
    """Times of the works of a program in the memory, found when they are first asked for.

    Parameters
    ----------
    works, traffic
        The works of a program and their requests, in order.
    spec
        The machine.
    """

    def __init__(self, works: Sequence[CommandQueues], traffic: Traffic, spec: HardwareSpec) -> None:
        self._works = works
        self._traffic = traffic
        self._spec = spec
        self._path = Arguments(spec)
        self._wait = max(self._path.limits.latency, spec.line_bytes / spec.dram.bytes_per_cycle)
        self._log = np.empty((2, 64), dtype=np.int64)
        self._done = np.zeros(spec.dma.max_commands_in_flight, dtype=np.int64)
        self._idle = REST
        """When all ports are idle."""
        self._rules: dict[int, tuple[Loads, Ints]] = {}
        self._durations: dict[int, tuple[Stores, Ints]] = {}
        self._times = np.full((ROWS, len(works)), -1, dtype=np.int64)

    def all(self) -> Ints:
        """Return the times of all works."""
        return self.of(0, len(self._works))

    def of(self, first: int, end: int) -> Ints:
        """Return the times of works ``[first, end)`` (``ROWS`` x works) [cycles]."""
        unknown = (first + np.flatnonzero(self._times[LOADS, first:end] < 0)).tolist()
        if unknown:
            self._announce(unknown)
        for work in unknown:
            self._find(work)
        return self._times[:, first:end]

    def known(self, first: int, end: int) -> int:
        """Return of how many works from ``first`` on, up to ``end``, the times were found before."""
        unknown = self._times[LOADS, first:end] < 0
        return int(unknown.argmax()) if unknown.any() else end - first

    def _find(self, work: int) -> None:
        times = self._times[:, work]
        times[:] = 0
        times[LOADS] = self._rest(self._loads(work))
        times[STORES] = self._rest(self._stores(work))
        if work and times[: STORES + 1].sum() < LONG * self._wait:
            self._find_beside(work, times)

    def _find_beside(self, work: int, times: Ints) -> None:
        """Find what the work before does to the loads of a work."""
        end = self._idle + self._loads(work - 1)
        # They begin as soon as the last request before them has left.
        self._idle = max(self._idle, int(self._path.ports.cycles[NEXT_REQUEST]))
        times[BEHIND] = self._idle + self._loads(work) - end
        self._rest(max(0, end - self._idle) + int(times[BEHIND]))
        if not self._path.limits.sets:
            return
        # Both begin at once, on the same ports.
        stores, loads = self._stores(work - 1), self._loads(work)
        self._rest(max(stores, loads))
        if loads > times[LOADS]:
            times[BESIDE + self._meeting(work)] = loads - times[LOADS]

    def _rest(self, cycles: int) -> int:
        """Let the ports become idle after some cycles."""
        self._idle += cycles + REST
        return cycles

    def _meeting(self, work: int) -> int:
        """Number the places at which a work's loads use sets into which the stores before them fetch."""
        loads, stores = self._traffic.loads[work], self._traffic.stores[work - 1]
        sets = self._path.limits.sets
        fetches = np.flatnonzero(stores.table[CODE, stores.starts[0] : stores.starts[-1]] & FETCH)
        into = stores.table[LINE, stores.starts[0] + fetches] % sets
        used = loads.table[LINE, loads.starts[0] : loads.starts[-1]] % sets
        # Each place is a load and a fetch of one set: how many fetches each load meets, and the sum of their numbers.
        met, numbers = np.bincount(into, minlength=sets), np.bincount(into, fetches, minlength=sets)
        loaded = np.arange(len(used), dtype=np.int64) * met[used]
        return int(loaded.sum() * PRIME + numbers[used].sum()) % MEETINGS

    def _loads(self, work: int) -> int:
        """Put the loads of a work through idle ports. [cycles]"""
        loads, traffic = self._works[work].loads, self._traffic.loads[work]
        if not len(loads):
            return 0
        rules = self._rules_of(loads)
        rules[0] = traffic.missed[1:] == traffic.missed[:-1]
        self._done[:] = 0
        end = recurrences.loads_alone(
            self._path.constants,
            self._path.shared,
            traffic.table,
            traffic.starts,
            rules,
            self._done,
            self._idle,
            self._log,
        )
        return int(end) - self._idle

    def _stores(self, work: int) -> int:
        """Put the stores of a work through idle ports. [cycles]"""
        stores, traffic = self._works[work].stores, self._traffic.stores[work]
        if not len(stores):
            return 0
        key = id(stores.blocks)
        if key not in self._durations:
            self._durations[key] = stores, stores.rows * np.array(stores.blocks, dtype=np.int64)
        durations = self._durations[key][1]
        end = recurrences.stores_alone(
            self._path.constants, self._path.shared, traffic.table, traffic.starts, durations, self._idle
        )
        return int(end) - self._idle

    def _announce(self, works: Sequence[int]) -> None:
        """Prepare for the requests of some works, and of those before them."""
        loads, stores = self._traffic.loads, self._traffic.stores
        use(PASSES * sum(loads.requests(work) + stores.requests(work) for work in works), recurrences)
        most = max(loads.requests(at) for work in works for at in (max(work - 1, 0), work))
        if most > self._log.shape[1]:
            self._log = np.empty((2, most), dtype=np.int64)

    def _rules_of(self, loads: Loads) -> Ints:
        """Return what `recurrences.loads_alone` is told of the loads of a work; works of one shape share it."""
        key = id(loads.local_row)
        if key not in self._rules:
            dma = self._spec.dma
            wide = np.array(loads.to_accumulator, dtype=bool)
            narrow_release = dma.completion_cycles if dma.release_cycles is None else dma.release_cycles
            wide_release = dma.accumulator_release_cycles
            if wide_release is None:
                wide_release = dma.accumulator_completion_cycles
            columns = (
                np.zeros(len(loads)),
                np.array([loads.row_cycles(index, self._spec) for index in range(len(loads))]),
                np.full(len(loads), dma.issue_cycles),
                np.maximum(loads.rows, dma.handover_cycles),
                np.where(wide, wide_release, narrow_release),
            )
            self._rules[key] = loads, np.stack(columns).astype(np.int64)
        return self._rules[key][1]
