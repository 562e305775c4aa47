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

PASSES = 3
"""How often the requests of most works go through the memory."""

LONG = 100
"""Works that need the memory for as many latencies, or lines on the DRAM's bus where those take longer, hide what
neighbours do to each other: at most a few of either."""


UNKNOWN = -1
"""Time of loads that were not put through the memory."""


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
        self._fresh = [port.copy() for port in self._path.ports]
        """All ports, idle."""
        self._begin = 0
        """When the next command begins."""
        self._ahead = (-1, UNKNOWN, UNKNOWN)
        """A work, when its loads end behind those of the work before, and beside its stores."""
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
        for place, work in enumerate(unknown, start=1):
            self._find(work, goes_on=work + 1 in unknown[place : place + 1])
        return self._times[:, first:end]

    def known(self, first: int, end: int) -> int:
        """Return of how many works from ``first`` on, up to ``end``, the times were found before."""
        unknown = self._times[LOADS, first:end] < 0
        return int(unknown.argmax()) if unknown.any() else end - first

    def _find(self, work: int, *, goes_on: bool) -> None:
        """Find the times of a work; ``goes_on``: those of the next one will be asked for, too.

        A run of loads, and one of stores, also tells what they do to the loads behind and beside them: where works are
        found in their order each of their commands goes through the memory at most three times.
        """
        times = self._times[:, work]
        times[:] = 0
        times[LOADS] = end = self._loads(work)
        goes_on = goes_on and self._is_short(times)
        behind = self._behind(work + 1) - end if goes_on else UNKNOWN
        self._rest()
        times[STORES] = self._stores(work)
        goes_on = goes_on and self._is_short(times)
        beside = self._loads(work + 1) if goes_on and self._may_meet(work + 1) else UNKNOWN
        self._rest()
        if work and self._is_short(times):
            self._find_beside(work, times)
        if goes_on:
            self._ahead = work + 1, behind, beside

    def _is_short(self, times: Ints) -> bool:
        return bool(times[LOADS] + times[STORES] < LONG * self._wait)

    def _find_beside(self, work: int, times: Ints) -> None:
        """Find what the work before does to the loads of a work."""
        found, behind, beside = self._ahead
        if found != work:
            behind, beside = self._found_behind(work)
        times[BEHIND] = behind
        if beside > times[LOADS]:
            times[BESIDE + self._meeting(work)] = beside - times[LOADS]

    def _found_behind(self, work: int) -> tuple[int, int]:
        """By how much loads end later than those of the work before, and when they end beside its stores."""
        end = self._loads(work - 1)
        behind, beside = self._behind(work) - end, UNKNOWN
        self._rest()
        if self._may_meet(work):
            self._stores(work - 1)
            beside = self._loads(work)
            self._rest()
        return behind, beside

    def _behind(self, work: int) -> int:
        """When the loads of a work end that begin as soon as the last request before them has left. [cycles]"""
        self._begin = int(self._path.ports.cycles[NEXT_REQUEST])
        end = self._begin + self._loads(work)
        self._begin = 0
        return end

    def _may_meet(self, work: int) -> bool:
        """Whether loads of a work may meet stores of the work before in a set of the L2."""
        return self._path.limits.sets > 0 and len(self._works[work - 1].stores) > 0

    def _rest(self) -> None:
        """Let all ports become idle, so that the next work begins as every work does."""
        for port, fresh in zip(self._path.ports, self._fresh, strict=True):
            port[...] = fresh

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
            self._begin,
            self._log,
        )
        return int(end) - self._begin

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
            self._path.constants, self._path.shared, traffic.table, traffic.starts, durations, self._begin
        )
        return int(end) - self._begin

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
