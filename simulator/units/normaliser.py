"""Normaliser: three passes over the rows of an accumulator tile, for softmax and LayerNorm.

    pass 1  LayerNorm: sum, mean            softmax: maximum (two cycles per block)
    pass 2  LayerNorm: variance, 1/stddev   softmax: sum of exponentials, 1/sum
    pass 3  the scaled result leaves for memory

Rows are taken in groups of the statistics slots; within a pass each row is read by one-row mvouts of up to four
blocks, which the store queue issues at its own pace, ahead of the reduction lanes. Those take the commands in order:
the next pass over a row waits for its statistics. One iterative divider serves mean, variance and exponential sum of
all slots in the order of their requests; root and reciprocal of the deviation follow it (timing notes, section 4;
hybrid measurement in ``gemmini_rtl.csv``: wide rows are bound by the commands, short ones by the divider).
"""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec, VectorSpec
from simulator.cycle_account import Meter

BLOCKS_PER_COMMAND = 4
"""Blocks read by one one-row mvout."""


def _commands(blocks: int) -> list[int]:
    """Blocks of each one-row command of a row."""
    whole, rest = divmod(blocks, BLOCKS_PER_COMMAND)
    return [BLOCKS_PER_COMMAND] * whole + [rest] * (rest > 0)


def readout_cycles(rows: int, blocks: int, kernel: str, spec: HardwareSpec, *, issued: bool = True) -> int:
    """Normalise and store ``rows`` rows of ``blocks`` array blocks. [cycles]

    Parameters
    ----------
    rows, blocks
        Shape of the tile: rows, and array blocks per row.
    kernel
        "softmax" or "layernorm".
    spec
        A machine with normalisation units.
    issued
        The core issues the commands; otherwise a hardware loop does, which is faster.
    """
    vector = _vector(spec)
    pace = vector.issued_command_cycles if issued else vector.command_cycles
    unit = _Lanes(vector, kernel == "softmax", _commands(blocks), pace)
    for first in range(0, rows, vector.statistics_slots):
        unit.group(min(vector.statistics_slots, rows - first))
    return math.ceil(unit.end)


class _Lanes:
    """Reduction lanes and divider, with the times at which they are free [cycles]."""

    def __init__(self, vector: VectorSpec, softmax: bool, commands: list[int], pace: float) -> None:
        self.end = 0.0
        self._pace = pace
        self._vector = vector
        self._softmax = softmax
        self._commands = commands
        self._issued = 0.0
        self._free = 0.0
        self._divider = 0.0

    def group(self, rows: int) -> None:
        """Three passes over a group of rows, one per statistics slot."""
        ready = [0.0] * rows
        for number in range(3):
            for slot in range(rows):
                self._read(number, ready[slot])
                if number < 2:
                    ready[slot] = self._statistics(number)

    def _read(self, number: int, ready: float) -> None:
        """One pass over one row."""
        vector = self._vector
        per_block = vector.max_cycles_per_block if self._softmax and number == 0 else 1
        for blocks in self._commands:
            self._issued += self._pace
            start = max(self._issued, self._free, ready)
            self._free = self.end = start + blocks * per_block + vector.block_overhead_cycles
        self._issued += vector.slot_cycles

    def _statistics(self, number: int) -> float:
        """End of a pass: when the row's statistics are there."""
        vector = self._vector
        if self._softmax:
            if number == 0:
                return 0.0
            self._free += 1
            self._divider = max(self._divider, self.end) + vector.inverse_sum_cycles
            return self._divider
        self._free += vector.drain_cycles
        self._divider = max(self._divider, self._free) + vector.mean_cycles
        return self._divider + (vector.inverse_deviation_cycles if number else 0)


def _vector(spec: HardwareSpec) -> VectorSpec:
    if spec.vector is None:
        raise ValueError(f"{spec.name} has no normalisation unit")
    return spec.vector


class Normaliser:
    """The unit of one machine: time account and memo of equal tiles."""

    def __init__(self, spec: HardwareSpec, meter: Meter) -> None:
        self._spec = spec
        self._meter = meter
        self._known: dict[tuple[int, int, str, bool], int] = {}

    def readout(self, tile: tuple[int, int], kernel: str, name: str, now: int, part: tuple[int, int] = (0, 0)) -> int:
        """Cycles of one part of a tile; books them. [cycles]

        Parameters
        ----------
        tile
            Rows, and array blocks per row.
        kernel, name
            "softmax" or "layernorm"; what it belongs to.
        now
            When it begins.
        part
            Number of the part and how many equal ones there are: the mvouts of a hardware loop; 0: none, issued alone.
        """
        total, (number, parts) = self._cycles(*tile, kernel, part[1] == 0), part
        parts = max(parts, 1)
        cycles = total * (number + 1) // parts - total * number // parts
        self._meter.busy += cycles
        self._meter.span(f"{kernel} {name}", now, now + cycles)
        return cycles

    def _cycles(self, rows: int, blocks: int, kernel: str, issued: bool) -> int:
        key = (rows, blocks, kernel, issued)
        if key not in self._known:
            self._known[key] = readout_cycles(rows, blocks, kernel, self._spec, issued=issued)
        return self._known[key]
