"""Normaliser: several passes over the rows of an accumulator tile, one per statistic and one for the results.

    pass 1  LayerNorm: sum, mean            softmax: maximum (two cycles per block)
    pass 2  LayerNorm: variance, 1/stddev   softmax: sum of exponentials, 1/sum
    pass 3  the scaled result leaves for memory

Which statistics a kernel gathers, its row in `hwconfigs.kernels` says; how long each takes, this file says. Rows are
taken in groups of the statistics slots, never across row blocks of the array; a row of a pass is one configuration
command and one-row mvouts of up to four blocks (`simulator.units.readout_commands`). The lanes take their blocks in
order, one statistic after the other:

- one iterative divider serves all slots in the order in which their passes ended; root and reciprocal of the deviation
  follow it. A division starts when the lanes have drained. Behind a sum or a variance no other row enters them before;
  behind exponentials others do, so that the reciprocals of a group begin when its last exponential has drained.
- the next pass over a row waits for its statistics; exponentials wait for the max lanes of all rows.

All of it was found on the RTL of the unit, alone and behind Gemmini's store controller; what the versions of Gemmini
differ in stands in `hwconfigs.vector_unit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple

from hwconfigs import HardwareSpec, VectorSpec
from hwconfigs.kernels import KERNELS, Kernel, Site, Statistic, kernel_named
from simulator.report import Action
from simulator.units.readout_commands import BLOCKS_PER_COMMAND, CommandSource, RowWriter, row_writer
from simulator.units.store_pipeline import command_gap
from simulator.units.unit import ReadoutUnit

OTHER_ROW_CYCLES = 1
"""Lanes that stand idle between the last exponential of a row and the first of another (measured, all versions)."""

ONE_ELEMENT_CYCLES = 27
"""Division, root and reciprocal of the deviation of one element, a zero (fitted to rows of one column, four sets of two
versions, within 2 %). [cycles]"""

ZERO_DEVIATION = 0
"""What follows that division."""


class StatisticTimes(NamedTuple):
    """How long a pass that gathers one statistic holds lanes and divider."""

    block_cycles: int
    """Lanes, per block of the row."""
    drain_cycles: int
    """Last block to the division."""
    others_cycles: int
    """Last block until the lanes are free for another row, beyond their time for that block."""
    divide_cycles: int | None
    """Divider; None: the statistic needs no division."""
    finish_cycles: int
    """Division to the statistic: root and reciprocal, which hold neither."""


def statistics_of(kernel: Kernel, vector: VectorSpec) -> tuple[Statistic, ...]:
    """Return what each pass of a machine's unit gathers before the results."""
    both = (Statistic.MAXIMUM, Statistic.INVERSE_SUM)
    if vector.online_softmax and kernel.statistics == both:
        return (Statistic.RUNNING_SUM,)
    return kernel.statistics


def times(spec: HardwareSpec, *, cols: int | None = None) -> dict[Statistic, StatisticTimes]:
    """Return what each statistic takes on a machine, of rows of ``cols`` elements (None: of more than one block)."""
    vector, width = _vector(spec), spec.array.cols
    once = vector.block_cycles(width)
    lead = vector.one_block_lead_cycles if cols is not None and cols <= width else 0
    drain, sums = max(vector.drain_cycles - lead, 0), max(vector.sum_drain_cycles - lead, 0)
    mean, alone = vector.mean_cycles, cols == 1
    deviation = (ONE_ELEMENT_CYCLES, ZERO_DEVIATION) if alone else (mean, vector.inverse_deviation_cycles)
    divide = vector.one_exponential_cycles if alone else vector.inverse_sum_cycles
    maximum = vector.max_cycles_per_block * once
    running = max(maximum, once + vector.rescale_cycles)
    return {
        Statistic.MAXIMUM: StatisticTimes(maximum, 0, 0, None, 0),
        Statistic.MEAN: StatisticTimes(once, drain, drain, mean, 0),
        Statistic.INVERSE_DEVIATION: StatisticTimes(once, drain, drain, *deviation),
        Statistic.MEAN_SQUARE: StatisticTimes(once, drain, drain, *deviation),
        Statistic.INVERSE_SUM: StatisticTimes(once, sums, OTHER_ROW_CYCLES, divide, 0),
        Statistic.RUNNING_SUM: StatisticTimes(running, sums, OTHER_ROW_CYCLES, divide, 0),
    }


def readout_cycles(rows: int, cols: int, kernel: Kernel, spec: HardwareSpec, *, issued: bool = True) -> int:
    """Normalise and store ``rows`` rows of ``cols`` elements. [cycles]

    Parameters
    ----------
    rows, cols
        Shape of the tile.
    kernel
        A kernel that runs on the normaliser.
    spec
        A machine with normalisation units.
    issued
        The core issues the commands, at its pace; otherwise a hardware loop does, one per cycle.
    """
    return _readout_cycles(rows, cols, kernel, spec, spec.host.command_cycles if issued else 1.0)


def fed_cycles(rows: int, cols: int, kernel: Kernel, spec: HardwareSpec) -> int:
    """Return the time of the unit alone, if blocks are there and results taken whenever it is ready. [cycles]"""
    blocks = -(-cols // spec.array.cols)
    writer = RowWriter([0.0] * (blocks + 1), None)
    lanes = _Lanes(spec, kernel, cols, [blocks], (CommandSource(0.0, 1, 0), writer))
    lanes.rows(rows)
    return math.ceil(lanes.end)


@lru_cache(maxsize=4096)
def _readout_cycles(rows: int, cols: int, kernel: Kernel, spec: HardwareSpec, pace: float) -> int:
    source = CommandSource(pace, spec.front_end.store_entries, command_gap(spec))
    lanes = _Lanes(spec, kernel, cols, _commands(-(-cols // spec.array.cols)), (source, row_writer(spec.dma)))
    side = spec.array.rows
    whole, rest = divmod(rows, side)
    before: tuple[float, ...] = ()
    end, extra = 0.0, 0.0
    for block in range(whole):
        lanes.rows(side)
        # Once a row block leaves the unit as it found it, all that follow take as long.
        state, taken = lanes.state(), lanes.end - end
        end = lanes.end
        if state == before:
            extra = taken * (whole - block - 1)
            break
        before = state
    lanes.rows(rest)
    return math.ceil(lanes.end + extra)


class _Lanes:
    """Reduction lanes and divider, with the times at which they are free [cycles]."""

    def __init__(
        self,
        spec: HardwareSpec,
        kernel: Kernel,
        cols: int,
        commands: Sequence[int],
        around: tuple[CommandSource, RowWriter],
    ) -> None:
        vector = self._vector = _vector(spec)
        known = times(spec, cols=cols)
        self._passes = [known[statistic] for statistic in statistics_of(kernel, vector)]
        self._once = vector.block_cycles(spec.array.cols)
        self._commands = commands
        self._source, self._writer = around
        self._free = self._divider = 0.0
        self._others = 0.0
        """When another row than the last may enter the lanes."""
        self._drained = 0.0
        """When the lanes are empty, if nothing more enters."""
        self._pending: list[tuple[int, StatisticTimes]] = []
        """Slots whose division waits for that."""
        self._ready = [0.0] * vector.statistics_slots
        self._slot = -1

    @property
    def end(self) -> float:
        """When the last result has left."""
        return self._writer.free

    def rows(self, number: int) -> None:
        """All passes over a row block, one group of rows after another."""
        slots = self._vector.statistics_slots
        for first in range(0, number, slots):
            group = range(min(slots, number - first))
            for statistic in self._passes:
                for slot in group:
                    self._gather(slot, statistic)
                if statistic.divide_cycles is None:
                    # Exponentials are added up behind the lanes that look for the maximum.
                    self._free += self._vector.max_drain_cycles
            for slot in group:
                self._results(slot)

    def state(self) -> tuple[float, ...]:
        """Return when everything is free, relative to the end of the last result."""
        own = (self._free, self._divider, self._others, *self._ready)
        return tuple(time - self.end for time in (*own, *self._source.times(), *self._writer.times()))

    def _gather(self, slot: int, statistic: StatisticTimes) -> None:
        """One pass over a row, and the division behind it."""
        self._source.configure()
        for blocks in self._commands:
            last = self._enter(slot, blocks, statistic.block_cycles, self._source.arrival())
            self._drained = last + statistic.drain_cycles
        self._others = self._free + statistic.others_cycles
        if statistic.divide_cycles is not None:
            self._pending.append((slot, statistic))

    def _results(self, slot: int) -> None:
        """The last pass over a row, as fast as its results leave."""
        self._source.configure()
        # Results are no exponentials: what waits for the lanes to drain goes on.
        self._divide()
        for blocks in self._commands:
            arrival = max(self._source.arrival(), self._writer.free)
            first = self._enter(slot, blocks, self._once, arrival) - (blocks - 1) * self._once
            self._writer.row(first, blocks, self._once)

    def _enter(self, slot: int, blocks: int, cycles: int, arrival: float) -> float:
        """Let the blocks of one command into the lanes; return when the last of them enters."""
        if any(waiting == slot for waiting, _ in self._pending):
            self._divide()
        start = max(arrival, self._free, self._ready[slot])
        if slot != self._slot:
            start = max(start, self._others)
        if self._pending and start >= self._drained:
            self._divide()
        self._slot = slot
        last = self._source.read(start, blocks, cycles)
        self._free = last + cycles
        return last

    def _divide(self) -> None:
        """Start the divisions that wait, one after the other."""
        for slot, statistic in self._pending:
            self._divider = max(self._divider, self._drained) + (statistic.divide_cycles or 0)
            self._ready[slot] = self._divider + statistic.finish_cycles
        self._pending.clear()


def _commands(blocks: int) -> list[int]:
    """Blocks of each one-row command of a row."""
    whole, rest = divmod(blocks, BLOCKS_PER_COMMAND)
    return [BLOCKS_PER_COMMAND] * whole + [rest] * (rest > 0)


def _vector(spec: HardwareSpec) -> VectorSpec:
    if spec.vector is None:
        raise ValueError(f"{spec.name} has no normalisation unit")
    return spec.vector


class Normaliser(ReadoutUnit):
    """Kernels that need whole rows: it passes over a row once for each statistic, and once for the results."""

    name = "normaliser"
    bound = "normaliser"
    kernels = tuple(kernel.name for kernel in KERNELS if Site.NORMALISER in kernel.sites)
    actions: ClassVar[tuple[Action, ...]] = (("accumulator", "read_row"), *(("vector", kernel) for kernel in kernels))

    @classmethod
    def is_part_of(cls, spec: HardwareSpec) -> bool:
        """Whether the machine has normalisation units."""
        return spec.vector is not None

    @classmethod
    def handles(cls, kernel: str, spec: HardwareSpec) -> bool:
        """Whether the unit reads out a kernel: any of its own that no vector unit beside it has instead."""
        row = kernel_named(kernel)
        return kernel in cls.kernels and (spec.evaluates(row) or not spec.has_lanes_for(row))

    @classmethod
    def passes(cls, kernel: str, spec: HardwareSpec) -> int:
        """Return how often each row is read."""
        return len(statistics_of(kernel_named(kernel), _vector(spec))) + 1

    @classmethod
    def cycles(cls, rows: int, cols: int, kernel: str, spec: HardwareSpec, *, issued: bool) -> int:
        """Return the time to normalise and store a tile. [cycles]"""
        return readout_cycles(rows, cols, kernel_named(kernel), spec, issued=issued)
