"""The commands of a program in the order of their requests: loads of a loop before the stores of the loop ahead of it.

    loads 0, loads 1, stores 0, loads 2, stores 1, ...          queues of the stream
    first byte, rows, bytes, distance, on-chip row              columns of their commands, of any queues in a row

Those of hardware loops are put together from the commands of a few layouts when they are asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bools, Ints
from simulator.frontend.command_queues import CommandQueues, Loads, Stores
from simulator.frontend.loop_works import LoopSteps, LoopWorks
from simulator.program import HostTask, Region

MOST_LINES = 1 << 16
"""Lines that the host core touches in one queue of a stream: no more than a chunk of requests has."""

_COLUMNS = 5


class Commands(NamedTuple):
    """Commands of queues that follow one another in a stream, or accesses of the host core."""

    columns: Ints
    """First byte, row segments that are moved, bytes of each, distance, and bytes of an on-chip row (5 x commands)."""
    numbers: Ints
    """Commands of each queue."""
    writes: Bools
    """Whether a queue writes."""
    dma: Bools
    """Whether the DMA moves a queue, not the host core."""


class CommandStream(ABC):
    """Queues of commands in the order of their requests.

    Attributes
    ----------
    numbers, segments
        Commands, and row segments, of each queue.
    writes, dma
        As of `Commands`.
    """

    numbers: Ints
    segments: Ints
    writes: Bools
    dma: Bools

    def __len__(self) -> int:
        return len(self.numbers)

    def commands(self, first: int, end: int) -> Commands:
        """Return the commands of queues ``[first, end)``."""
        queues = slice(first, end)
        return Commands(self.columns(first, end), self.numbers[queues], self.writes[queues], self.dma[queues])

    @abstractmethod
    def columns(self, first: int, end: int) -> Ints:
        """Return the columns of queues ``[first, end)``."""


class ListedStream(CommandStream):
    """Queues whose commands are all there.

    Parameters
    ----------
    queues
        Their columns, whether each writes, and whether the DMA moves it.
    """

    def __init__(self, queues: Sequence[tuple[Ints, bool, bool]]) -> None:
        self._queues = [columns for columns, _, _ in queues]
        self.numbers = np.array([columns.shape[1] for columns in self._queues], dtype=np.int64)
        self.segments = np.array([columns[1].sum() for columns in self._queues], dtype=np.int64)
        self.writes = np.array([write for _, write, _ in queues], dtype=bool)
        self.dma = np.array([dma for _, _, dma in queues], dtype=bool)

    def columns(self, first: int, end: int) -> Ints:
        """Return the columns of queues ``[first, end)``."""
        return np.concatenate(self._queues[first:end], axis=1)


class LoopStream(CommandStream):
    """Queues of hardware loops, of which only those of each layout are there."""

    def __init__(self, works: LoopWorks, spec: HardwareSpec) -> None:
        self._addresses = works.addresses
        queues = [layout.queues for layout in works.layouts]
        parts = [part for one in queues for part in (_loads(one.loads, spec), _stores(one.stores, spec))]
        self._parts = np.concatenate(parts, axis=1) if parts else np.zeros((_COLUMNS, 0), dtype=np.int64)
        # Commands of stores belong to the last of the matrices.
        matrices = [
            one
            for layout in works.layouts
            for one in (layout.load_kind, np.full(len(layout.queues.stores), len(works.addresses) - 1, dtype=np.int64))
        ]
        self._matrix = np.concatenate(matrices) if matrices else np.zeros(0, dtype=np.int64)
        """Whose address is added to the first byte of each command of a layout."""
        numbers = np.array([part.shape[1] for part in parts], dtype=np.int64)
        self._begins = np.cumsum(numbers) - numbers
        loads_first = np.arange(2 * len(works), dtype=np.int64)
        # Behind the first loads, stores of one loop come after the loads of the next.
        self._loop = np.where(loads_first % 2, (loads_first + 1) // 2, loads_first // 2 - 1)
        self._loop[:1], self._loop[-1:] = 0, len(works) - 1
        self.writes = loads_first % 2 == 0
        self.writes[:1], self.writes[-1:] = False, True
        self.dma = np.ones(len(self._loop), dtype=bool)
        self._part = 2 * works.layout[self._loop] + self.writes
        self.numbers = numbers[self._part]
        segments = np.array([part[1].sum() for part in parts], dtype=np.int64)
        self.segments = segments[self._part]

    def columns(self, first: int, end: int) -> Ints:
        """Return the columns of queues ``[first, end)``."""
        numbers = self.numbers[first:end]
        shift = self._begins[self._part[first:end]] - (np.cumsum(numbers) - numbers)
        place = np.repeat(shift, numbers) + np.arange(int(numbers.sum()), dtype=np.int64)
        columns: Ints = self._parts[:, place]
        columns[0] += self._addresses[self._matrix[place], np.repeat(self._loop[first:end], numbers)]
        return columns


_Shapes: TypeAlias = dict[int, tuple[Loads | Stores, Ints]]
"""A queue of each shape, and its columns, by the identity of its rows."""


def stream_of(steps: Sequence[CommandQueues | HostTask | None], spec: HardwareSpec) -> CommandStream:
    """Return the commands of a program.

    Parameters
    ----------
    steps
        Works and host tasks in program order; None is a fence.
    """
    if isinstance(steps, LoopSteps):
        tasks = [task for task in (*steps.before, *steps.behind) if task is not None]
        if not any(task.reads or task.writes for task in tasks):
            return LoopStream(steps.works, spec)
    return ListedStream(list(_queues(steps, spec)))


def _queues(steps: Iterable[CommandQueues | HostTask | None], spec: HardwareSpec) -> Iterator[tuple[Ints, bool, bool]]:
    """Yield the queues of a program, as `ListedStream` takes them."""
    shapes: _Shapes = {}
    # The stores of a loop run beside the loads of the next one and are requested after those.
    waiting: Ints | None = None
    for step in steps:
        if isinstance(step, CommandQueues):
            yield _queue(step.loads, spec, shapes), False, True
            if waiting is not None:
                yield waiting, True, True
            waiting = _queue(step.stores, spec, shapes)
            continue
        if waiting is not None:
            yield waiting, True, True
            waiting = None
        if step is not None:
            for write, regions in ((False, step.reads), (True, step.writes)):
                yield from ((columns, write, False) for one in regions for columns in _host_accesses(one, spec))
    if waiting is not None:
        yield waiting, True, True


def _queue(commands: Loads | Stores, spec: HardwareSpec, shapes: _Shapes) -> Ints:
    """Return the columns of DMA commands; queues that differ in addresses alone share the list of their rows."""
    key = id(commands.rows)
    if key not in shapes:
        columns = _loads(commands, spec) if isinstance(commands, Loads) else _stores(commands, spec)
        shapes[key] = commands, columns
    columns = shapes[key][1].copy()
    columns[0] = commands.base
    return columns


def _loads(loads: Loads, spec: HardwareSpec) -> Ints:
    """Return the columns of mvins."""
    return _columns(loads, _row_bytes(loads, spec))


def _stores(stores: Stores, spec: HardwareSpec) -> Ints:
    """Return the columns of mvouts."""
    return _columns(stores, np.full(len(stores.base), spec.scratchpad.row_bytes, dtype=np.int64))


def _columns(commands: Loads | Stores, row_bytes: Ints) -> Ints:
    # Stride 0 reads one row.
    rows = np.where(commands.stride == 0, 1, commands.rows)
    return np.stack([commands.base, rows, commands.size_bytes, commands.stride, row_bytes])


def _row_bytes(loads: Loads, spec: HardwareSpec) -> Ints:
    """Bytes of the on-chip rows that each load writes; int8 data in the accumulator come in blocks of the array."""
    narrow, wide = spec.scratchpad.row_bytes, spec.accumulator.row_bytes
    blocks = np.array(loads.local_rows, dtype=np.int64) // spec.array.rows
    full = np.array(loads.to_accumulator, dtype=bool) & (loads.size_bytes >= blocks * wide)
    if loads.packed is not None:
        return np.where(full, wide, np.where(loads.packed, int(narrow * loads.packed_bits // 8), narrow))
    return np.where(full, wide, narrow)


def _host_accesses(region: Region, spec: HardwareSpec) -> Iterator[Ints]:
    """Yield the columns of lines of a range that the host core touches once each."""
    line = spec.dma.max_request_bytes
    begin, last = region.address // line, -(-(region.address + region.size_bytes) // line)
    for first in range(begin, last, MOST_LINES):
        yield np.array([[first * line], [min(MOST_LINES, last - first)], [line], [line], [line]], dtype=np.int64)
