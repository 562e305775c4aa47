"""The memory stream of a program: its requests in program order, replayed through the caches.

Which request hits depends on this order alone: the loads of a loop come before the stores of the loop ahead of it, as
double buffering issues them. So the estimate and the simulation of one mapping count the same DRAM traffic; only the
timing of that is simulated. A line that turns dirty is charged one write-back, whenever it is evicted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bools, Ints
from simulator.frontend.command_queues import CommandQueues, Loads, Stores
from simulator.frontend.dma_requests import request_patterns
from simulator.memory import cache_replay, recurrences
from simulator.memory.cache import CacheState
from simulator.memory.compiled import use
from simulator.memory.open_pages import OpenPages
from simulator.memory.recurrences import (
    BEATS,
    CODE,
    DIRTY,
    FETCH,
    LINE,
    LLC_HIT,
    MISS,
    PLACE,
    ROW_HIT,
    ROW_STATES,
    SHARES,
    SIZE,
    VALID_WAY,
)
from simulator.program import HostTask, Region


class MemoryState:
    """Contents of the caches between programs, and open pages of the DRAM.

    Cold when new: full of other programs' lines, or empty as after reset; no page is open.
    """

    def __init__(self, spec: HardwareSpec, *, empty: bool = False, foreign: float = 1.0, dirty: float = 0.0) -> None:
        self.l2 = CacheState(spec.l2, empty=empty, foreign=foreign, dirty=dirty) if spec.l2 is not None else None
        self.llc = CacheState(spec.llc, empty=empty, foreign=foreign) if spec.llc is not None else None
        pages = spec.dram.pages
        self.pages = OpenPages(pages, spec.line_bytes) if pages is not None else None

    def copy(self) -> MemoryState:
        """An independent state with the same contents."""
        twin = MemoryState.__new__(MemoryState)
        twin.l2 = None if self.l2 is None else self.l2.copy()
        twin.llc = None if self.llc is None else self.llc.copy()
        twin.pages = None if self.pages is None else self.pages.copy()
        return twin


@dataclass(frozen=True, eq=False)
class CommandTraffic:
    """Requests of the loads (or stores) of one work: ``first[c]:first[c + 1]`` belong to command ``c``.

    The lists that the units walk through are made when a unit first asks for them, which it never does for works that
    are passed over.
    """

    table: Ints
    """All requests of the program: rows as named in ``simulator.memory.recurrences``."""
    starts: Ints
    missed: Ints
    """Requests that miss the L2 before each command, and in all."""

    @property
    def requests(self) -> int:
        """Requests of all commands."""
        return int(self.starts[-1] - self.starts[0])

    @property
    def misses(self) -> int:
        """Requests that miss the L2."""
        return int(self.missed[-1] - self.missed[0])

    @cached_property
    def first(self) -> list[int]:
        """Where each command's requests start, and the end."""
        return self.starts.tolist()  # type: ignore[no-any-return]

    @cached_property
    def beats(self) -> list[int]:
        """Bus beats of each command [cycles]."""
        beats = np.concatenate(([0], np.cumsum(self.table[BEATS, self.starts[0] : self.starts[-1]])))
        return np.diff(beats[self.starts - self.starts[0]]).tolist()  # type: ignore[no-any-return]

    @cached_property
    def hits_only(self) -> list[bool]:
        """Per command: every request hits."""
        return (self.missed[1:] == self.missed[:-1]).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Everything a program moves over the memory port."""

    loads: list[CommandTraffic]
    stores: list[CommandTraffic]
    counts: dict[tuple[str, str], int]
    table: Ints
    """All requests: rows as named in ``simulator.memory.recurrences``."""


@dataclass(frozen=True, slots=True)
class _Commands:
    """Commands that follow one another in the stream, or accesses of the host core (columns of equal length)."""

    base: Ints
    rows: Ints
    """Row segments that are moved."""
    size: Ints
    stride: Ints
    row_bytes: Ints
    """Bytes of an on-chip row."""
    write: bool
    dma: bool
    """The DMA moves them, not the host core."""

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Return first byte, row segments, bytes of each, distance, and bytes of an on-chip row."""
        return self.base, self.rows, self.size, self.stride, self.row_bytes


_Shapes: TypeAlias = dict[int, tuple[Loads | Stores, Ints, Ints]]
"""A queue of each shape, its row segments and the bytes of its on-chip rows, by the identity of the list of its rows.
"""


def trace(steps: Iterable[CommandQueues | HostTask | None], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """List all requests of a program and replay them through the caches of ``memory``, which is advanced.

    Parameters
    ----------
    steps
        Works and host tasks in program order; None is a fence.
    """
    stream: list[_Commands] = []
    shapes: _Shapes = {}
    # The stores of a loop run beside the loads of the next one and are requested after those.
    waiting: _Commands | None = None
    for step in steps:
        if isinstance(step, CommandQueues):
            stream.append(_queue(step.loads, spec, shapes, write=False))
            if waiting is not None:
                stream.append(waiting)
            waiting = _queue(step.stores, spec, shapes, write=True)
            continue
        if waiting is not None:
            stream.append(waiting)
            waiting = None
        if step is not None:
            stream.extend(_host_accesses(region, spec, write=False) for region in step.reads)
            stream.extend(_host_accesses(region, spec, write=True) for region in step.writes)
    if waiting is not None:
        stream.append(waiting)
    return _replay(stream, spec, memory)


def _queue(commands: Loads | Stores, spec: HardwareSpec, shapes: _Shapes, *, write: bool) -> _Commands:
    """Rows of DMA commands; queues that differ in addresses alone share the list of their rows."""
    key = id(commands.rows)
    if key not in shapes:
        # Stride 0 reads one row.
        fetched = np.where(commands.stride == 0, 1, commands.rows)
        narrow = np.full(len(commands.base), spec.scratchpad.row_bytes, dtype=np.int64)
        shapes[key] = commands, fetched, _row_bytes(commands, spec) if isinstance(commands, Loads) else narrow
    _, fetched, row_bytes = shapes[key]
    return _Commands(commands.base, fetched, commands.size_bytes, commands.stride, row_bytes, write, True)


def _row_bytes(loads: Loads, spec: HardwareSpec) -> Ints:
    """Bytes of the on-chip rows that each load writes; int8 data in the accumulator come in blocks of the array."""
    narrow, wide = spec.scratchpad.row_bytes, spec.accumulator.row_bytes
    blocks = np.array(loads.local_rows, dtype=np.int64) // spec.array.rows
    full = np.array(loads.to_accumulator, dtype=bool) & (loads.size_bytes >= blocks * wide)
    return np.where(full, wide, narrow)


def _host_accesses(region: Region, spec: HardwareSpec, *, write: bool) -> _Commands:
    """Lines of a range that the host core touches once each."""
    line = spec.dma.max_request_bytes
    first, last = region.address // line, -(-(region.address + region.size_bytes) // line)
    base, rows, size = (np.array([value], dtype=np.int64) for value in (first * line, last - first, line))
    return _Commands(base, rows, size, size, size, write, False)


def _replay(stream: list[_Commands], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """Outcome of every request and the totals."""
    numbers = [len(commands.base) for commands in stream]
    base, rows, size, stride, row_bytes = (
        (np.concatenate(columns) for columns in zip(*(commands.columns() for commands in stream), strict=True))
        if stream
        else (np.zeros(0, dtype=np.int64) for _ in range(5))
    )
    use(int(rows.sum()), cache_replay, recurrences)
    table, starts = requests_of(base, rows, size, stride, row_bytes, spec)
    write = np.array([commands.write for commands in stream], dtype=bool)
    counts = _decide(table, np.repeat(np.repeat(write, numbers), np.diff(starts)), spec, memory)
    missed, beats = (
        np.concatenate(([0], np.cumsum(column)))[starts].astype(np.int64)
        for column in (table[CODE] & MISS, table[BEATS])
    )
    loads: list[CommandTraffic] = []
    stores: list[CommandTraffic] = []
    ends = np.cumsum(numbers, dtype=np.int64)
    for commands, end, count in zip(stream, ends, numbers, strict=True):
        if not commands.dma:
            continue
        columns = slice(end - count, end + 1)
        (stores if commands.write else loads).append(CommandTraffic(table, starts[columns], missed[columns]))
        action = "write" if commands.write else "read"
        _add(counts, "dma", f"{action}_request", int(starts[end] - starts[end - count]))
        _add(counts, "dma", f"{action}_beat", int(beats[end] - beats[end - count]))
    return Traffic(loads, stores, counts, table)


def requests_of(
    base: Ints, rows: Ints, size: Ints, stride: Ints, row_bytes: Ints, spec: HardwareSpec
) -> tuple[Ints, Ints]:
    """Requests of all commands, addresses in place of lines, and where each command's start."""
    dma = spec.dma
    above = int(row_bytes.max(initial=0)) + 1
    kinds, kind = np.unique(size * above + row_bytes, return_inverse=True)
    # Segments of one size that fill on-chip rows of one width are split alike, by where in a line they begin.
    split = [request_patterns(key // above, key % above, dma) for key in kinds.tolist()]
    pieces = np.stack([number for number, _ in split]) if split else np.zeros((0, 1), dtype=np.int64)
    patterns = np.concatenate([table for _, table in split], axis=1) if split else np.zeros((6, 0), dtype=np.int64)
    first = (np.cumsum(pieces) - pieces.ravel()).reshape(pieces.shape)
    starts = np.zeros(len(base) + 1, dtype=np.int64)
    cache_replay.requests_of_commands(base, rows, stride, kind, pieces, starts)
    table = np.empty((len(patterns) + (spec.dram.pages is not None), int(starts[-1])), dtype=np.int64)
    cache_replay.list_requests(base, rows, stride, kind, pieces, first, patterns, table)
    return table, starts


def _decide(table: Ints, writes: Bools, spec: HardwareSpec, memory: MemoryState) -> dict[tuple[str, str], int]:
    """Run the requests through the caches: ``table`` gets lines and outcomes; the totals."""
    counts: dict[tuple[str, str], int] = {}
    if memory.l2 is None:
        table[LINE] //= spec.dma.max_request_bytes
        table[CODE] = np.where(writes, MISS, MISS | FETCH)
        _add(counts, "dram", "read_byte", int(table[SIZE][~writes].sum()))
        _add(counts, "dram", "write_byte", int(table[SIZE][writes].sum()))
        _open_pages(table, np.arange(len(writes)), memory, counts)
        return counts
    line_bytes = memory.l2.spec.line_bytes
    table[LINE] //= line_bytes
    # A request covers a line, and spares its fetch, only where lines are no longer than requests.
    covers = (table[CODE] != 0) & (spec.dma.max_request_bytes == line_bytes)
    outcome = memory.l2.replay(table[LINE], writes, covers)
    table[CODE] = 0
    at = np.flatnonzero(~outcome.hit)
    dirty = outcome.dirty_lines[at] * SHARES // (memory.l2.sets * memory.l2.spec.ways)
    table[CODE, at] = MISS + outcome.fetched[at] * FETCH + outcome.valid_ways[at] * VALID_WAY + dirty * DIRTY
    missed = np.flatnonzero(outcome.fetched)
    fetched = len(missed)
    written = int(np.count_nonzero(writes))
    _add(counts, "l2", "read", len(writes) - written)
    _add(counts, "l2", "write", written)
    _add(counts, "l2", "fill", fetched)
    if memory.llc is not None:
        plain = np.zeros(len(missed), dtype=bool)
        lines_per_block = memory.llc.spec.line_bytes // line_bytes
        second = memory.llc.replay(table[LINE, missed] // lines_per_block, plain, plain)
        table[CODE, missed[second.hit]] += LLC_HIT
        _add(counts, "llc", "read", len(missed))
        missed = missed[~second.hit]
        fetched = lines_per_block * len(missed)
        _add(counts, "llc", "fill", len(missed))
    _add(counts, "dram", "read_byte", line_bytes * fetched)
    _add(counts, "dram", "write_byte", line_bytes * int(np.count_nonzero(outcome.dirtied)))
    _open_pages(table, missed, memory, counts)
    return counts


def _open_pages(table: Ints, accesses: Ints, memory: MemoryState, counts: dict[tuple[str, str], int]) -> None:
    """Find the bank of every access of the DRAM and what it holds open: ``table[PLACE]`` and the activations."""
    if memory.pages is None:
        return
    table[PLACE] = 0
    table[PLACE, accesses] = memory.pages.replay(table[LINE, accesses])
    opened = np.count_nonzero(table[PLACE, accesses] % ROW_STATES != ROW_HIT)
    _add(counts, "dram", "activate", int(opened))


def _add(counts: dict[tuple[str, str], int], unit: str, action: str, number: int) -> None:
    counts[unit, action] = counts.get((unit, action), 0) + number
