"""Normaliser: several passes over the rows of an accumulator tile, one per statistic and one for the results.

    pass 1  LayerNorm: sum, mean            softmax: maximum (two cycles per block)
    pass 2  LayerNorm: variance, 1/stddev   softmax: sum of exponentials, 1/sum
    pass 3  the scaled result leaves for memory

Which statistics a kernel gathers, its row in `hwconfigs.kernels` says; how long each takes, this file says.

Rows are taken in groups of the statistics slots; within a pass each row is read by one-row mvouts of up to four
blocks, which the store queue issues at its own pace, ahead of the reduction lanes. Those take the commands in order:
the next pass over a row waits for its statistics. One iterative divider serves mean, variance and exponential sum of
all slots in the order of their requests; root and reciprocal of the deviation follow it (timing notes, section 4;
hybrid measurement in ``gemmini_rtl.csv``: wide rows are bound by the commands, short ones by the divider).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from hwconfigs import HardwareSpec, VectorSpec
from hwconfigs.kernels import KERNELS, Kernel, Site, Statistic, kernel_named
from simulator.report import Action
from simulator.units.unit import ReadoutUnit

BLOCKS_PER_COMMAND = 4
"""Blocks read by one one-row mvout."""


def _commands(blocks: int) -> list[int]:
    """Blocks of each one-row command of a row."""
    whole, rest = divmod(blocks, BLOCKS_PER_COMMAND)
    return [BLOCKS_PER_COMMAND] * whole + [rest] * (rest > 0)


def readout_cycles(rows: int, blocks: int, kernel: Kernel, spec: HardwareSpec, *, issued: bool = True) -> int:
    """Normalise and store ``rows`` rows of ``blocks`` array blocks. [cycles]

    Parameters
    ----------
    rows, blocks
        Shape of the tile: rows, and array blocks per row.
    kernel
        A kernel that runs on the normaliser.
    spec
        A machine with normalisation units.
    issued
        The core issues the commands; otherwise a hardware loop does, which is faster.
    """
    vector = _vector(spec)
    pace = vector.issued_command_cycles if issued else vector.command_cycles
    gathered = times(spec)
    passes = [*(gathered[statistic] for statistic in kernel.statistics), result_pass(spec)]
    unit = _Lanes(vector, passes, _commands(blocks), pace)
    for first in range(0, rows, vector.statistics_slots):
        unit.group(min(vector.statistics_slots, rows - first))
    return math.ceil(unit.end)


class StatisticTimes(NamedTuple):
    """How long a pass that gathers one statistic holds lanes and divider."""

    block_cycles: int
    """Lanes, per block of the row."""
    drain_cycles: int
    """Lanes, after the last block of the row."""
    request_cycles: int
    """Last block to the request at the divider."""
    divide_cycles: int | None
    """Divider; None: the statistic needs no division."""
    finish_cycles: int
    """Division to the statistic: root and reciprocal, which hold neither."""


def result_pass(spec: HardwareSpec) -> StatisticTimes:
    """Return the last pass, whose rows leave for memory."""
    return StatisticTimes(_vector(spec).block_cycles(spec.array.cols), 0, 0, None, 0)


def times(spec: HardwareSpec) -> dict[Statistic, StatisticTimes]:
    """Return what each statistic takes on a machine."""
    vector = _vector(spec)
    once = vector.block_cycles(spec.array.cols)
    drain, mean = vector.drain_cycles, vector.mean_cycles
    return {
        Statistic.MAXIMUM: StatisticTimes(vector.max_cycles_per_block * once, 0, 0, None, 0),
        Statistic.MEAN: StatisticTimes(once, drain, drain, mean, 0),
        Statistic.INVERSE_DEVIATION: StatisticTimes(once, drain, drain, mean, vector.inverse_deviation_cycles),
        Statistic.INVERSE_SUM: StatisticTimes(once, 1, 0, vector.inverse_sum_cycles, 0),
    }


class _Lanes:
    """Reduction lanes and divider, with the times at which they are free [cycles]."""

    def __init__(self, vector: VectorSpec, passes: Sequence[StatisticTimes], commands: list[int], pace: float) -> None:
        self.end = 0.0
        self._pace = pace
        self._vector = vector
        self._passes = passes
        self._commands = commands
        self._issued = 0.0
        self._free = 0.0
        self._divider = 0.0

    def group(self, rows: int) -> None:
        """All passes over a group of rows, one row per statistics slot."""
        ready = [0.0] * rows
        *gathered, results = self._passes
        for statistic in gathered:
            for slot in range(rows):
                self._read(statistic, ready[slot])
                ready[slot] = self._gather(statistic)
        for slot in range(rows):
            self._read(results, ready[slot])

    def _read(self, statistic: StatisticTimes, ready: float) -> None:
        """One pass over one row, which begins when the statistics of the pass before are ready."""
        vector = self._vector
        for blocks in self._commands:
            self._issued += self._pace
            start = max(self._issued, self._free, ready)
            self._free = self.end = start + blocks * statistic.block_cycles + vector.block_overhead_cycles
        self._issued += vector.slot_cycles

    def _gather(self, statistic: StatisticTimes) -> float:
        """End of a pass over a row: when its statistic is ready for the next pass."""
        self._free += statistic.drain_cycles
        if statistic.divide_cycles is None:
            return self.end
        # One divider serves all slots in the order of their requests; what follows it is pipelined.
        self._divider = max(self._divider, self.end + statistic.request_cycles) + statistic.divide_cycles
        return self._divider + statistic.finish_cycles


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
    def passes(cls, kernel: str) -> int:
        """Return how often each row is read."""
        return kernel_named(kernel).passes

    @classmethod
    def cycles(cls, rows: int, blocks: int, kernel: str, spec: HardwareSpec, *, issued: bool) -> int:
        """Return the time to normalise and store a tile. [cycles]"""
        return readout_cycles(rows, blocks, kernel_named(kernel), spec, issued=issued)
