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
from simulator.arrays import Bools, Ints
from simulator.frontend.command_queues import CommandQueues, Loads, Stores
from simulator.memory import recurrences, work_times
from simulator.memory.compiled import use
from simulator.memory.path import Arguments
from simulator.memory.traffic import RequestStretch, Traffic
from simulator.memory.work_times import BEHIND, BESIDE, LOADS, ROWS, STORES, Requested, Room

__all__ = ["BEHIND", "BESIDE", "LOADS", "ROWS", "STORES", "KnownTimes", "MemoryTimes", "WorkTimes"]

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
        self._path, self._idle = Arguments(spec), Arguments(spec).shared
        self._long = LONG * max(self._path.limits.latency, spec.line_bytes / spec.dram.bytes_per_cycle)
        self._room = Room(
            done=np.zeros(spec.dma.max_commands_in_flight, dtype=np.int64),
            log=np.empty((2, 64), dtype=np.int64),
            met=np.zeros((2, max(1, self._path.limits.sets)), dtype=np.int64),
        )
        self._rules: dict[int, tuple[Loads, Ints]] = {}
        self._durations: dict[int, tuple[Stores, Ints]] = {}
        self._times = np.full((ROWS, len(works)), -1, dtype=np.int64)

    def all(self) -> Ints:
        """Return the times of all works."""
        return self.of(0, len(self._works))

    def of(self, first: int, end: int) -> Ints:
        """Return the times of works ``[first, end)`` (``ROWS`` x works) [cycles]."""
        for begin, behind in _runs(self._times[LOADS, first:end] < 0):
            self._announce(first + begin, first + behind)
            self._find(first + begin, first + behind)
        return self._times[:, first:end]

    def known(self, first: int, end: int) -> int:
        """Return of how many works from ``first`` on, up to ``end``, the times were found before."""
        unknown = self._times[LOADS, first:end] < 0
        return int(unknown.argmax()) if unknown.any() else end - first

    def _find(self, begin: int, end: int) -> None:
        """Find the times of some works; each needs the work before it, too."""
        while begin < end:
            first = max(begin - 1, 0)
            stretch = self._traffic.stretch(first, begin + 1, end)
            requested = self._requested(first, stretch)
            times = np.zeros((ROWS, stretch.works), dtype=np.int64)
            work_times.of_works(
                self._path.constants, self._path.shared, self._idle, requested, self._room, begin - first, self._long,
                times,
            )  # fmt: skip
            self._times[:, begin : first + stretch.works] = times[:, begin - first :]
            begin = first + stretch.works

    def _requested(self, first: int, stretch: RequestStretch) -> Requested:
        """Return what the recurrences are told of a stretch of works."""
        works = self._works[first : first + stretch.works]
        rules, of_loads = _put_together([self._rules_of(work.loads) for work in works])
        durations, of_stores = _put_together([self._durations_of(work.stores) for work in works])
        loads, stores = stretch.loads, stretch.stores
        table = np.array([loads.first, loads.commands, of_loads, stores.first, stores.commands, of_stores])
        return Requested(stretch.table, stretch.starts, stretch.missed, table, rules, durations)

    def _announce(self, first: int, end: int) -> None:
        """Prepare for the requests of some works, and of those before them."""
        requests = self._traffic.loads.requests(max(first - 1, 0), end)
        use(PASSES * int(requests.sum() + self._traffic.stores.requests(first, end).sum()), recurrences, work_times)
        if requests.max() > self._room.log.shape[1]:
            self._room = self._room._replace(log=np.empty((2, requests.max()), dtype=np.int64))

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

    def _durations_of(self, stores: Stores) -> Ints:
        """Return the cycles in which the rows of each store are read; works of one shape share it."""
        key = id(stores.blocks)
        if key not in self._durations:
            self._durations[key] = stores, stores.rows * np.array(stores.blocks, dtype=np.int64)
        return self._durations[key][1]


def _runs(wanted: Bools) -> list[tuple[int, int]]:
    """Return where each run of wanted works begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False])))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _put_together(shapes: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Put arrays side by side, each one once; return them, and where that of each work begins."""
    places: dict[int, int] = {}
    different: list[Ints] = []
    width = 0
    for shape in shapes:
        if id(shape) not in places:
            places[id(shape)] = width
            different.append(shape)
            width += shape.shape[-1]
    return np.concatenate(different, axis=-1), np.array([places[id(shape)] for shape in shapes], dtype=np.int64)
