"""DRAM ranges that get in each other's way.

What counts as an error, and what does not:

- A hardware loop that writes C over bytes of its own A or B: its loads and stores are not ordered. (C over its own D
  is accumulation in place: D is complete before the first block is computed.)
- Bytes that loops of one stretch without a fence load as A or B, that one of them writes as C, and that a later one
  loads as A or B again: an output laid over an operand that is still read. After a fence the same order is an update.
- Two named regions of the program that overlap in part while both are in use, one of them being written, and whose
  overlap is really touched by two commands. A region is in use from its first access, or from the start if that is a
  read, to its last read, or to the end if its last access is a write. Regions that are equal, or lie one in the other,
  are views of one tensor: rows appended to a cache, heads of a projection, an operator in place.

No error: a result read by a later command, a result written again, memory reused after its last read, element-wise
operators and host kernels in place, and matrices that interleave without sharing a byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bytes, Ints
from simulator.loop_columns import MATRICES, LoopColumns, LoopItems, besides_columns
from simulator.program import Fence, HostTask, Item, MatmulLoop, Matrix, Mvin, Mvout, Program, Region

WINDOW = 1 << 24
"""Pieces of an overlap that are looked at together; only the memory of the check depends on it."""

UNTOUCHED, LOADED, OVERWRITTEN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Access:
    """Bytes that a command reads or writes: ``rows`` of ``width``, ``stride`` apart."""

    item: int
    name: str
    """Operand, or region of a host task."""
    address: int
    rows: int
    stride: int
    width: int
    write: bool
    operand: bool = False
    """A or B of a loop."""

    @property
    def end(self) -> int:
        return self.address + (self.rows - 1) * self.stride + self.width

    def meets(self, access: Access) -> bool:
        """Whether the two share a byte."""
        if self.address >= access.end or access.address >= self.end:
            return False
        starts, others = self._starts(), access._starts()
        # For each row, the first row of the access that does not end before it.
        at = np.searchsorted(others + access.width, starts, side="right")
        inside = at < len(others)
        return bool(np.any(others[at[inside]] < starts[inside] + self.width))

    def _starts(self) -> Ints:
        return self.address + np.arange(self.rows, dtype=np.int64) * self.stride

    def within(self, region: Region) -> bool:
        return region.address <= self.address and self.end <= region.address + region.size_bytes

    def places(self, start: int, end: int) -> Ints:
        """Its bytes between two addresses, counted from the first."""
        first, last = 0, self.rows
        if self.stride:
            first = max(0, -(-(start - self.address - self.width + 1) // self.stride))
            last = min(self.rows, -(-(end - self.address) // self.stride))
        rows = self.address + np.arange(first, last, dtype=np.int64) * self.stride
        every = (rows[:, None] + np.arange(self.width, dtype=np.int64)).ravel() - start
        return every[(every >= 0) & (every < end - start)]


def clashes(program: Program, spec: HardwareSpec, kinds: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield the number of each command that gets in another's way, and how; ``kinds`` of `loop_kinds`."""
    yield from _loops_that_clash(program, spec, kinds)
    yield from _regions_in_use(program, spec)


def _loops_that_clash(program: Program, spec: HardwareSpec, kinds: Sequence[int]) -> Iterator[tuple[int, str]]:
    """`clashes` of loops."""
    if isinstance(program.items, LoopItems) and _are_apart(program.items.loops, spec):
        return
    stretch = _Unfenced()
    reach: dict[int, tuple[int, int, int]] = {}
    for index, (item, kind) in enumerate(zip(program.items, kinds, strict=True)):
        if isinstance(item, MatmulLoop):
            if kind not in reach:
                reach[kind] = _reach(index, item, spec)
            if stretch.add(index, item, reach[kind]):
                yield from _own_operands(index, item, spec)
        elif isinstance(item, Fence):
            yield from stretch.clashes(spec)
            stretch = _Unfenced()
    yield from stretch.clashes(spec)


def _are_apart(loops: LoopColumns, spec: HardwareSpec) -> bool:
    """Whether the hull of everything that loops write meets no A or B of theirs."""
    # A matrix that a kind has not, reaches over no bytes.
    reach = np.array([_reach(0, kind, spec) for kind in loops.kinds], dtype=np.int64).reshape(-1, 3)[loops.kind].T
    start = loops.addresses[[MATRICES.index(name) for name in "abc"]]
    end, there = start + reach, reach > 0
    if not there[2].any():
        return True
    first, last = start[2][there[2]].min(), end[2][there[2]].max()
    return not bool((there[:2] & (start[:2] < last) & (first < end[:2])).any())


def _reach(index: int, loop: MatmulLoop, spec: HardwareSpec) -> tuple[int, int, int]:
    """Bytes from the first to the last one of A, B and C."""
    sizes = {access.name: access.end - access.address for access in loop_accesses(index, loop, spec)}
    return sizes.get("A", 0), sizes.get("B", 0), sizes.get("C", 0)


def loop_accesses(index: int, loop: MatmulLoop, spec: HardwareSpec) -> list[Access]:
    """What a loop reads and writes in DRAM, reads first."""
    wide = spec.array.sum_bytes
    b_rows, b_cols = (loop.n, loop.k) if loop.b_transposed else (loop.k, loop.n)
    accesses = []
    for name, matrix, rows, width, write, operand in (
        ("A", loop.a, loop.m, loop.k, False, True),
        ("B", loop.b, b_rows, int(-(-b_cols * loop.b_bits // 8)), False, True),
        ("D", loop.d, loop.m, loop.n * wide, False, False),
        ("residual", loop.residual, loop.m, loop.n, False, False),
        ("C", loop.c, loop.m, loop.n * (wide if loop.c_full else 1), True, False),
    ):
        if matrix is not None:
            accesses.append(_access(index, name, matrix, rows, width, write=write, operand=operand))
    return accesses


def _access(
    index: int, name: str, matrix: Matrix, rows: int, width: int, *, write: bool, operand: bool = False
) -> Access:
    stride = matrix.row_stride_bytes
    return Access(index, name, matrix.address, rows if stride else 1, stride, width, write, operand)


def _accesses(index: int, item: Item, spec: HardwareSpec) -> list[Access]:
    match item:
        case MatmulLoop():
            return loop_accesses(index, item, spec)
        case Mvin():
            return [_access(index, "", item.source, item.rows, item.cols * item.element_bits // 8, write=False)]
        case Mvout():
            return [_access(index, "", item.target, item.rows, item.cols * item.element_bits // 8, write=True)]
        case HostTask():
            parts = [
                (region, write) for write, regions in ((False, item.reads), (True, item.writes)) for region in regions
            ]
            return [
                Access(index, r.name, r.address, 1, 0, r.size_bytes, write) for r, write in parts if r.size_bytes > 0
            ]
    return []


def _own_operands(index: int, loop: MatmulLoop, spec: HardwareSpec) -> Iterator[tuple[int, str]]:
    *reads, write = loop_accesses(index, loop, spec)
    for read in reads:
        if read.operand and read.meets(write):
            yield index, f"writes C over its own {read.name}, {_shared(read, write)}; give C its own memory"
            return


def _shared(first: Access | Region, second: Access | Region) -> str:
    start = max(first.address, second.address)
    end = min(_end(first), _end(second))
    return f"bytes 0x{start:x}..0x{end - 1:x}"


def _end(place: Access | Region) -> int:
    return place.end if isinstance(place, Access) else place.address + place.size_bytes


class _Unfenced:
    """Loops between two fences, with the hull of what they load and of what they write."""

    def __init__(self) -> None:
        self._loops: list[tuple[int, MatmulLoop]] = []
        self._first_loaded = self._first_written = 1 << 62
        self._end_loaded = self._end_written = 0

    def add(self, index: int, loop: MatmulLoop, reach: tuple[int, int, int]) -> bool:
        """Add a loop; say whether the hull of its C meets that of its A or B."""
        self._loops.append((index, loop))
        first = end = 0
        if loop.c is not None:
            first = loop.c.address
            end = first + reach[2]
            if first < self._first_written:
                self._first_written = first
            if end > self._end_written:
                self._end_written = end
        meets = False
        for matrix, size in ((loop.a, reach[0]), (loop.b, reach[1])):
            if matrix is not None:
                start = matrix.address
                stop = start + size
                meets |= start < end and first < stop
                if start < self._first_loaded:
                    self._first_loaded = start
                if stop > self._end_loaded:
                    self._end_loaded = stop
        return meets

    def clashes(self, spec: HardwareSpec) -> Iterator[tuple[int, str]]:
        """Operands written between two loads of them."""
        start = max(self._first_loaded, self._first_written)
        end = min(self._end_loaded, self._end_written)
        if start >= end:
            return
        accesses = [access for index, loop in self._loops for access in loop_accesses(index, loop, spec)]
        near = [
            access
            for access in accesses
            if (access.write or access.operand) and access.address < end and start < access.end
        ]
        # Everything in units of the largest piece that no access divides.
        unit = math.gcd(start, *(number for a in near for number in (a.address, a.stride, a.width)))
        near = [replace(a, address=a.address // unit, stride=a.stride // unit, width=a.width // unit) for a in near]
        for first in range(start // unit, -(-end // unit), WINDOW):
            hazard = _overwritten(near, first, min(-(-end // unit), first + WINDOW))
            if hazard is not None:
                writer, reader = hazard
                low, high = max(writer.address, reader.address) * unit, min(writer.end, reader.end) * unit
                yield (
                    writer.item,
                    f"writes C over the {reader.name} that item {reader.item} still loads, "
                    f"bytes 0x{low:x}..0x{high - 1:x}; give C its own memory, or fence before it is loaded as a result",
                )
                return


def _overwritten(accesses: Sequence[Access], start: int, end: int) -> tuple[Access, Access] | None:
    """First operand between two addresses that is loaded, written and loaded again: who writes, who loads."""
    state: Bytes = np.zeros(end - start, dtype=np.uint8)
    writers: list[Access] = []
    for access in accesses:
        places = access.places(start, end)
        if not access.write:
            if np.any(state[places] == OVERWRITTEN):
                return next(writer for writer in reversed(writers) if writer.meets(access)), access
            state[places] = LOADED
        else:
            state[places] = np.where(state[places] == UNTOUCHED, UNTOUCHED, OVERWRITTEN)
            writers.append(access)
    return None


def _regions_in_use(program: Program, spec: HardwareSpec) -> Iterator[tuple[int, str]]:
    """Named regions that overlap in part while both are in use."""
    regions = dict.fromkeys(program.regions)
    for item in besides_columns(program.items):
        if isinstance(item, HostTask):
            regions |= dict.fromkeys(item.reads) | dict.fromkeys(item.writes)
    pairs = list(_partly_overlapping([region for region in regions if region.size_bytes > 0]))
    if not pairs:
        return
    accesses = [access for index, item in enumerate(program.items) for access in _accesses(index, item, spec)]
    conflicts = _Conflicts(accesses)
    for lower, upper in pairs:
        first = _life(accesses, lower, upper)
        second = _life(accesses, upper, lower)
        if first is None or second is None or not (first.written or second.written):
            continue
        if first.start >= second.end or second.start >= first.end:
            continue
        touched = conflicts.between(max(lower.address, upper.address), min(_end(lower), _end(upper)))
        if touched is not None:
            writer, partner = (accesses[number] for number in touched)
            yield (
                writer.item,
                f"regions {lower.name} 0x{lower.address:x}..0x{_end(lower) - 1:x} and {upper.name} "
                f"0x{upper.address:x}..0x{_end(upper) - 1:x} overlap while both are in use: it writes "
                f"{_shared(writer, partner)}, which item {partner.item} uses too; place the regions apart",
            )


def _partly_overlapping(regions: Sequence[Region]) -> Iterator[tuple[Region, Region]]:
    """Pairs that overlap, neither inside the other."""
    active: list[Region] = []
    for region in sorted(regions, key=lambda region: (region.address, -region.size_bytes)):
        active = [earlier for earlier in active if _end(earlier) > region.address]
        for earlier in active:
            if earlier.address < region.address and _end(earlier) < _end(region):
                yield earlier, region
        active.append(region)


@dataclass(frozen=True, slots=True)
class _Life:
    """When a region is in use [item numbers]."""

    start: float
    end: float
    written: bool


def _life(accesses: Sequence[Access], region: Region, overlapping: Region) -> _Life | None:
    """Return the use of a region, by the accesses that cannot belong to the one that overlaps it."""
    own = [access for access in accesses if access.within(region) and not access.within(overlapping)]
    if not own:
        return None
    last = max(access.item for access in own)
    reads_last = all(not access.write for access in own if access.item == last)
    return _Life(
        start=own[0].item if own[0].write else -1,
        end=last if reads_last else float("inf"),
        written=any(access.write for access in own),
    )


class _Conflicts:
    """Bytes that one command writes and another one writes or reads."""

    def __init__(self, accesses: Sequence[Access]) -> None:
        self._items = np.array([access.item for access in accesses], dtype=np.int64)
        writes = _segments(accesses, [i for i, access in enumerate(accesses) if access.write])
        reads = _segments(accesses, [i for i, access in enumerate(accesses) if not access.write])
        # Writes in order of their start; `reach` is how far those up to each one go, `farthest` which one goes there.
        order = np.argsort(writes[0], kind="stable")
        start, end, owner = (column[order] for column in writes)
        reach = np.maximum.accumulate(end)
        goes_on = np.concatenate(([True], end[1:] > reach[:-1])) if len(end) else np.zeros(0, dtype=bool)
        farthest = np.maximum.accumulate(np.where(goes_on, np.arange(len(end)), 0))
        again = np.flatnonzero(start[1:] < reach[:-1]) + 1
        at = np.searchsorted(reach, reads[0], side="right")
        hit = np.flatnonzero(at < len(start))
        hit = hit[start[at[hit]] < reads[1][hit]]
        self._columns = tuple(
            np.concatenate(pair)
            for pair in (
                (start[again], np.maximum(reads[0][hit], start[at[hit]])),
                (np.minimum(end[again], reach[again - 1]), np.minimum(reads[1][hit], end[at[hit]])),
                (owner[again], owner[at[hit]]),
                (owner[farthest[again - 1]], reads[2][hit]),
            )
        )

    def between(self, start: int, end: int) -> tuple[int, int] | None:
        """First pair between two addresses: number of the writing access, and of the other one."""
        first, last, writer, partner = self._columns
        apart = self._items[writer] != self._items[partner]
        conflicts = np.flatnonzero((first < end) & (start < last) & apart)
        return (int(writer[conflicts[0]]), int(partner[conflicts[0]])) if len(conflicts) else None


def _segments(accesses: Sequence[Access], chosen: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """First byte, end and owner of every row of some accesses."""
    rows = np.array([accesses[i].rows for i in chosen], dtype=np.int64)
    first, stride, width = (
        np.repeat(np.array(column, dtype=np.int64), rows)
        for column in (
            [accesses[i].address for i in chosen],
            [accesses[i].stride for i in chosen],
            [accesses[i].width for i in chosen],
        )
    )
    within = np.arange(len(first), dtype=np.int64) - np.repeat(np.cumsum(rows) - rows, rows)
    start = first + within * stride
    return start, start + width, np.repeat(np.array(chosen, dtype=np.int64), rows)
