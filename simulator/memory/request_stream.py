"""The memory stream of a program: its requests in program order, replayed through the caches.

Which request hits depends on this order alone: the loads of a loop come before the stores of the loop ahead of it, as
double buffering issues them. So the estimate and the simulation of one mapping count the same DRAM traffic; only the
timing of that is simulated. A line that turns dirty is charged one write-back, whenever it is evicted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bools, Ints
from simulator.frontend.dma_requests import request_patterns
from simulator.memory import cache_replay
from simulator.memory.cache import CacheState
from simulator.memory.command_stream import Commands
from simulator.memory.open_pages import OpenPages
from simulator.memory.recurrences import (
    BEATS,
    CODE,
    FETCH,
    LINE,
    LLC_HIT,
    MISS,
    PLACE,
    ROW_HIT,
    ROW_STATES,
    SIZE,
)
from simulator.report import Action


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

    def fingerprint(self) -> str:
        """Return the hash of all contents: equal states answer every stream of requests alike."""
        digest = hashlib.sha256()
        for part in (self.l2, self.llc, self.pages):
            digest.update(b"none" if part is None else b"".join(content.tobytes() for content in part.contents()))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Requests of commands in a row, and what became of them."""

    table: Ints
    """Rows as named in ``simulator.memory.recurrences``."""
    starts: Ints
    """Where each command's requests start, and the end."""
    missed: Ints
    """Requests that miss the L2 before each command, and in all."""
    counts: Counter[Action]
    """Accesses of the memories."""


def replay(commands: Commands, spec: HardwareSpec, memory: MemoryState) -> Requests:
    """List the requests of some commands and run them through the caches of ``memory``, which is advanced."""
    base, rows, size, stride, row_bytes = commands.columns
    table, starts = requests_of(base, rows, size, stride, row_bytes, spec)
    counts = _decide(table, starts, np.repeat(commands.writes, commands.numbers), spec, memory)
    missed, beats = np.empty_like(starts), np.empty_like(starts)
    cache_replay.running_sums(starts, table[CODE], table[BEATS], missed, beats)
    ends = np.concatenate(([0], np.cumsum(commands.numbers)))
    for action, chosen in (("read", commands.dma & ~commands.writes), ("write", commands.dma & commands.writes)):
        counts["dma", f"{action}_request"] += int(np.diff(starts[ends])[chosen].sum())
        counts["dma", f"{action}_beat"] += int(np.diff(beats[ends])[chosen].sum())
    return Requests(table, starts, missed, counts)


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


def _decide(table: Ints, starts: Ints, writes: Bools, spec: HardwareSpec, memory: MemoryState) -> Counter[Action]:
    """Run the requests through the caches: ``table`` gets lines and outcomes; the totals."""
    counts: Counter[Action] = Counter()
    if memory.l2 is None:
        write = np.repeat(writes, np.diff(starts))
        table[LINE] //= spec.dma.max_request_bytes
        table[CODE] = np.where(write, MISS, MISS | FETCH)
        counts["dram", "read_byte"] += int(table[SIZE][~write].sum())
        counts["dram", "write_byte"] += int(table[SIZE][write].sum())
        _open_pages(table, np.arange(len(write)), memory, counts)
        return counts
    line_bytes = memory.l2.spec.line_bytes
    # A request covers a line, and spares its fetch, only where lines are no longer than requests.
    if spec.dma.max_request_bytes != line_bytes:
        table[CODE] = 0
    fetched, dirtied = memory.l2.replay(table[LINE], table[CODE], starts, writes, line_bytes)
    written = int(np.diff(starts)[writes].sum())
    counts["l2", "read"] += int(starts[-1]) - written
    counts["l2", "write"] += written
    counts["l2", "fill"] += fetched
    from_llc = memory.llc is not None or memory.pages is not None
    missed = np.flatnonzero(table[CODE] & FETCH) if from_llc else np.zeros(0, dtype=np.int64)
    if memory.llc is not None:
        missed, fetched = _second_level(table, missed, memory.llc, line_bytes, counts)
    counts["dram", "read_byte"] += line_bytes * fetched
    counts["dram", "write_byte"] += line_bytes * dirtied
    _open_pages(table, missed, memory, counts)
    return counts


def _second_level(
    table: Ints, missed: Ints, llc: CacheState, line_bytes: int, counts: Counter[Action]
) -> tuple[Ints, int]:
    """Run what the L2 fetches through the last-level cache; what that misses, and the L2's lines that it fetches."""
    lines_per_block = llc.spec.line_bytes // line_bytes
    outcome = np.zeros(len(missed), dtype=np.int64)
    ends = np.array([0, len(missed)], dtype=np.int64)
    llc.replay(table[LINE, missed], outcome, ends, np.zeros(1, dtype=bool), lines_per_block)
    hit = outcome == 0
    table[CODE, missed[hit]] += LLC_HIT
    counts["llc", "read"] += len(missed)
    missed = missed[~hit]
    counts["llc", "fill"] += len(missed)
    return missed, lines_per_block * len(missed)


def _open_pages(table: Ints, accesses: Ints, memory: MemoryState, counts: Counter[Action]) -> None:
    """Find the bank of every access of the DRAM and what it holds open: ``table[PLACE]`` and the activations."""
    if memory.pages is None:
        return
    table[PLACE] = 0
    table[PLACE, accesses] = memory.pages.replay(table[LINE, accesses])
    opened = np.count_nonzero(table[PLACE, accesses] % ROW_STATES != ROW_HIT)
    counts["dram", "activate"] += int(opened)
