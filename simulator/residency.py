"""What lies in scratchpad, accumulator and L2 over time, by tensor: for traces and pictures.

On chip, a tile of A or B lies in its rows from the begin of its loads to the end of the last work that reads it, a
result from its first load or sum to the end of its stores; what others load over it ends it earlier. Rows count whole,
as the machine reserves them. The L2 is looked at behind the loads of a work: its lines belong to the tensor in whose
range of DRAM they lie.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from hwconfigs import HardwareSpec
from simulator.frontend import loop_unroller
from simulator.memory.cache import CacheState
from simulator.memory.traffic import Traffic
from simulator.program import (
    Compute,
    Fence,
    HostTask,
    Item,
    MatmulLoop,
    Memory,
    Mvin,
    Mvout,
    Preload,
    Program,
    Region,
)
from simulator.report import Level, Report, Span
from simulator.units.execute import ExecuteController
from simulator.units.load import LoadController
from simulator.units.store import StoreController

LOAD, EXECUTE, STORE = LoadController.name, ExecuteController.name, StoreController.name

L2 = "l2"
OTHER, OTHER_PROGRAMS = "other", "other programs"
"""Owners of bytes outside all ranges, and of lines that were in the L2 before."""

SUMS = "sums"
"""Results that no store of their program takes to DRAM."""

L2_SAMPLES = 256
"""Works of a program behind which the L2 is looked at."""


def levels_of(
    program: Program, spec: HardwareSpec, traffic: Traffic, report: Report, owners: Sequence[Region]
) -> tuple[Level, ...]:
    """Return the contents of the memories during a program, by cycle.

    Parameters
    ----------
    program, spec, traffic
        What ran, where, and its requests.
    report
        Of every loop, with spans.
    owners
        Ranges of DRAM by tensor.
    """
    index = _Owners(owners)
    times = _Times.of(report.spans)
    on_chip = _OnChip(spec, index, times)
    for work, items in enumerate(_works(program.items)):
        on_chip.add(work, items)
    levels = [*_levels(on_chip.holdings), *_cache_levels(traffic, index, times)]
    return tuple(sorted(levels, key=lambda level: level.cycle))


def with_tensors(program: Program, spans: Sequence[Span], owners: Sequence[Region]) -> tuple[Span, ...]:
    """Return the spans of a program with the tensors that loads and stores move; the parameters are of `levels_of`."""
    index = _Owners(owners)
    moved = [_moved(items, index) for items in _works(program.items)]
    return tuple(
        replace(span, tensors=moved[span.work].get(span.unit, ())) if span.work is not None else span for span in spans
    )


def _moved(items: Sequence[Item], owners: _Owners) -> dict[str, tuple[str, ...]]:
    """Return what a work loads and stores, by unit."""
    loads: list[int] = []
    stores: list[int] = []
    for item in items:
        if isinstance(item, MatmulLoop):
            loads += [one.address for one in (item.a, item.b, item.d, item.residual) if one is not None]
            stores += [item.c.address] if item.c is not None else []
        elif isinstance(item, Mvin):
            loads.append(item.source.address)
        elif isinstance(item, Mvout):
            stores.append(item.target.address)
    pairs = ((LOAD, loads), (STORE, stores))
    return {unit: tuple(dict.fromkeys(map(owners.of, addresses))) for unit, addresses in pairs}


class _Owners:
    """Tensors by address; of ranges that overlap, the one that begins last."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = sorted(regions, key=lambda region: region.address)
        self._starts = [region.address for region in self._regions]

    def of(self, address: int) -> str:
        """Return the tensor to which a byte belongs."""
        place = bisect_right(self._starts, address) - 1
        region = self._regions[place] if place >= 0 else None
        return region.name if region and address < region.address + region.size_bytes else OTHER

    def lines(self, cache: CacheState) -> dict[str, int]:
        """Return the bytes of each tensor in a cache, also of those that have none there."""
        tags, line_bytes = cache.contents()[0].ravel(), cache.spec.line_bytes
        own, count = np.unique(tags[tags >= 0], return_counts=True)
        place = np.searchsorted(self._starts, own * line_bytes + line_bytes - 1, side="right")
        counted = np.bincount(place, weights=count, minlength=len(self._regions) + 1) * line_bytes
        size = {region.name: 0 for region in self._regions}
        for region, found in zip(self._regions, counted[1:], strict=True):
            size[region.name] += int(found)
        foreign = int((tags < -1).sum()) * line_bytes
        return {**size, OTHER: int(counted[0]), OTHER_PROGRAMS: foreign}


@dataclass(frozen=True)
class _Times:
    """When each unit began and ended its part of each work [cycles]."""

    ends: dict[tuple[str, int], tuple[int, int]]

    @classmethod
    def of(cls, spans: Sequence[Span]) -> _Times:
        ends: dict[tuple[str, int], tuple[int, int]] = {}
        for span in spans:
            if span.work is not None:
                first, last = ends.get((span.unit, span.work), (span.start, span.end))
                ends[span.unit, span.work] = min(first, span.start), max(last, span.end)
        return cls(ends)

    def begin(self, work: int, *units: str) -> int:
        """Return when the first of some units that took part began; 0 if none did."""
        return min((self.ends[unit, work][0] for unit in units if (unit, work) in self.ends), default=0)

    def end(self, work: int, *units: str) -> int:
        """Return when the last of some units ended."""
        return max((self.ends[unit, work][1] for unit in units if (unit, work) in self.ends), default=0)


@dataclass(slots=True)
class _Holding:
    """Rows of a memory that hold a tensor for a while."""

    memory: Memory
    tensor: str
    first_row: int
    end_row: int
    size_bytes: int
    start: int
    end: int

    def meets(self, other: _Holding) -> bool:
        """Whether both lie in one place."""
        return self.memory == other.memory and self.first_row < other.end_row and other.first_row < self.end_row


@dataclass(slots=True)
class _OnChip:
    """Follows the works of a program through scratchpad and accumulator."""

    spec: HardwareSpec
    owners: _Owners
    times: _Times
    holdings: list[_Holding] = field(default_factory=list)
    _live: list[_Holding] = field(default_factory=list)
    """What no later work was written over."""
    _tiles: dict[tuple[str, int], _Holding] = field(default_factory=dict)
    """The tile of each operand in each half."""
    _loops: int = 0
    _stored: int = 0

    def add(self, work: int, items: Sequence[Item]) -> None:
        """Enter the next work: a loop, or a run of single commands."""
        if isinstance(items[0], MatmulLoop):
            new = [*self._operands(work, items[0]), *self._result(work, items[0])]
            self._loops += 1
            self._stored += items[0].c is not None
        else:
            new = self._of_commands(work, items)
        for before in self._live:
            over = [holding.start for holding in new if holding.meets(before)]
            before.end = min([before.end, *over])
        self._live = [before for before in self._live if not any(holding.meets(before) for holding in new)] + new
        self.holdings += new

    def _place(self, loop: MatmulLoop) -> tuple[tuple[int, int, int], loop_unroller.Placement, loop_unroller.Shape]:
        """Return the halves of a loop, its rows, and its blocks."""
        shape = loop_unroller.shape_of(loop, self.spec)
        halves = loop_unroller.halves(loop, self._loops, self._stored)
        return halves, loop_unroller.placed(loop, shape, self.spec, halves), shape

    def _operands(self, work: int, loop: MatmulLoop) -> Iterator[_Holding]:
        """Yield the tiles that a loop loads; those that it finds are held longer."""
        halves, where, shape = self._place(loop)
        used = self.times.end(work, EXECUTE)
        for operand, matrix, half, row, blocks in (
            ("a", loop.a, halves[0], where.a_row, shape.i * shape.k),
            ("b", loop.b, halves[1], where.b_row, shape.k * shape.j),
        ):
            if operand == "a" and loop.a_kept is not None:
                # Nobody loads what an earlier program left.
                continue
            kept = self._tiles.get((operand, half)) if matrix is None else None
            if kept is not None:
                kept.end = max(kept.end, used)
                continue
            name = OTHER if matrix is None else self.owners.of(matrix.address)
            begin = self.times.begin(work, EXECUTE if matrix is None else LOAD)
            tile = self._held("scratchpad", name, row, blocks * self.spec.array.rows, begin, used)
            self._tiles[operand, half] = tile
            yield tile

    def _result(self, work: int, loop: MatmulLoop) -> Iterator[_Holding]:
        """Yield the tile of C if a loop begins it; its name is that of the matrix in which it ends up."""
        halves, where, shape = self._place(loop)
        sums = self._tiles.get(("c", halves[2])) if loop.accumulate else None
        if sums is None:
            begin = self.times.begin(work, EXECUTE if loop.d is None and loop.residual is None else LOAD)
            rows = shape.i * shape.j * self.spec.array.rows
            sums = self._tiles["c", halves[2]] = self._held("accumulator", SUMS, where.c_row, rows, begin, begin)
            yield sums
        if loop.c is not None:
            sums.tensor = self.owners.of(loop.c.address)
        sums.end = max(sums.end, self.times.end(work, EXECUTE, STORE))

    def _of_commands(self, work: int, items: Sequence[Item]) -> list[_Holding]:
        """Return what single commands write; rows that several write are those of the first."""
        units = LOAD, EXECUTE, STORE
        begin, end = self.times.begin(work, *units), self.times.end(work, *units)
        free = {"scratchpad": np.ones(self.spec.scratchpad.rows, bool)}
        free["accumulator"] = np.ones(self.spec.accumulator.rows, bool)
        found: dict[tuple[Memory, str], _Holding] = {}
        for memory, name, first, rows in self._written(items):
            new = int(free[memory][first : first + rows].sum())
            free[memory][first : first + rows] = False
            held = found.setdefault((memory, name), self._held(memory, name, first, 0, begin, end))
            held.first_row, held.end_row = min(held.first_row, first), max(held.end_row, first + rows)
            held.size_bytes += new * self._row_bytes(memory)
        return list(found.values())

    def _written(self, items: Sequence[Item]) -> Iterator[tuple[Memory, str, int, int]]:
        """Yield memory, tensor, first row and rows of what each command writes."""
        result: Preload | None = None
        for item in items:
            if isinstance(item, Mvin):
                blocks = -(-item.cols // self.spec.array.cols)
                rows = (blocks - 1) * self.spec.array.rows + item.rows
                yield item.memory, self.owners.of(item.source.address), item.row, rows
            elif isinstance(item, Preload):
                result = item
            elif isinstance(item, Compute) and result is not None:
                yield result.result, SUMS, result.result_row, item.m

    def _held(self, memory: Memory, tensor: str, row: int, rows: int, start: int, end: int) -> _Holding:
        return _Holding(memory, tensor, row, row + rows, rows * self._row_bytes(memory), start, end)

    def _row_bytes(self, memory: Memory) -> int:
        return (self.spec.scratchpad if memory == "scratchpad" else self.spec.accumulator).row_bytes


def _works(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items of each work, as the machine takes them: a loop, or neighbouring single commands."""
    for single, group in groupby(items, lambda item: not isinstance(item, (MatmulLoop, Fence, HostTask))):
        if single:
            yield list(group)
        else:
            yield from ([item] for item in group if isinstance(item, MatmulLoop))


def _levels(holdings: Sequence[_Holding]) -> Iterator[Level]:
    """Yield the levels of scratchpad and accumulator, each where it changes."""
    changes: dict[tuple[str, str], dict[int, int]] = {}
    for held in holdings:
        if held.end > held.start:
            of_tensor = changes.setdefault((held.memory, held.tensor), {})
            of_tensor[held.start] = of_tensor.get(held.start, 0) + held.size_bytes
            of_tensor[held.end] = of_tensor.get(held.end, 0) - held.size_bytes
    for (memory, tensor), of_tensor in changes.items():
        size = 0
        for cycle in sorted(of_tensor):
            if of_tensor[cycle]:
                size += of_tensor[cycle]
                yield Level(memory, tensor, cycle, size)


def _cache_levels(traffic: Traffic, owners: _Owners, times: _Times) -> Iterator[Level]:
    """Yield the levels of the L2 behind the loads of works, of each tensor where it changes."""
    last: dict[str, int] = {}
    for work, memory in traffic.states(L2_SAMPLES):
        if memory.l2 is None:
            return
        cycle = 0 if work < 0 else times.end(work, LOAD) or times.begin(work, EXECUTE, STORE)
        for tensor, size in owners.lines(memory.l2).items():
            if last.get(tensor) != size:
                last[tensor] = size
                yield Level(L2, tensor, cycle, size)
