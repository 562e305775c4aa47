"""Normaliser: three passes over the rows of an accumulator tile, for softmax and LayerNorm.

    pass 1  LayerNorm: sum, mean            softmax: maximum (two cycles per block)
    pass 2  LayerNorm: variance, 1/stddev   softmax: sum of exponentials, 1/sum
    pass 3  the scaled result leaves for memory

Rows are taken in groups of the statistics slots; within a pass each row is read by one-row mvouts of up to four
blocks. A row's
next pass waits for its statistics, computed by one iterative divider that all slots share (timing notes, section 4;
hybrid measurement in ``gemmini_rtl.csv``).
"""

from __future__ import annotations

from hwconfigs import HardwareSpec, VectorSpec
from simulator.units.meter import Meter

BLOCKS_PER_COMMAND = 4
"""Blocks read by one one-row mvout."""


def command_cycles(blocks: int, doubled: bool, spec: HardwareSpec) -> int:
    """One one-row mvout: its serial command cost, or its block reads if those take longer. [cycles]"""
    vector = _vector(spec)
    reads = blocks * (vector.max_cycles_per_block if doubled else 1)
    in_flight = spec.dma.max_commands_in_flight
    return max(-(-spec.dma.store_completion_cycles // in_flight) - 1, 3 + reads)


def pass_cycles(blocks: int, doubled: bool, spec: HardwareSpec) -> int:
    """One pass over a row of ``blocks`` array blocks. [cycles]"""
    whole, rest = divmod(blocks, BLOCKS_PER_COMMAND)
    cycles = whole * command_cycles(BLOCKS_PER_COMMAND, doubled, spec)
    return cycles + (command_cycles(rest, doubled, spec) if rest else 0)


def readout_cycles(rows: int, blocks: int, kernel: str, spec: HardwareSpec) -> int:
    """Normalise and store ``rows`` rows of ``blocks`` array blocks. [cycles]

    Parameters
    ----------
    rows, blocks
        Shape of the tile: rows, and array blocks per row.
    kernel
        "softmax" or "layernorm".
    spec
        A machine with normalisation units.
    """
    vector = _vector(spec)
    softmax = kernel == "softmax"
    statistics = (0, vector.inverse_sum_cycles) if softmax else (vector.mean_cycles, vector.inverse_deviation_cycles)
    drains = (0, 1) if softmax else (vector.drain_cycles, vector.drain_cycles)
    passes = [pass_cycles(blocks, softmax and number == 0, spec) for number in range(3)]
    now = divider = 0
    for first in range(0, rows, vector.statistics_slots):
        group = min(vector.statistics_slots, rows - first)
        ready = [now] * group
        for number, cycles in enumerate(passes):
            for slot in range(group):
                now = max(now, ready[slot]) + cycles
                if number < 2 and statistics[number]:
                    now += drains[number]
                    divider = max(divider, now) + statistics[number]
                    ready[slot] = divider
                else:
                    ready[slot] = now
    return now


def _vector(spec: HardwareSpec) -> VectorSpec:
    if spec.vector is None:
        raise ValueError(f"{spec.name} has no normalisation unit")
    return spec.vector


class Normaliser:
    """The unit of one machine: time account and memo of equal tiles."""

    def __init__(self, spec: HardwareSpec, meter: Meter) -> None:
        self._spec = spec
        self._meter = meter
        self._known: dict[tuple[int, int, str], int] = {}

    def readout(self, rows: int, blocks: int, kernel: str, name: str, now: int) -> int:
        """Cycles of one tile; books them. [cycles]"""
        key = (rows, blocks, kernel)
        if key not in self._known:
            self._known[key] = readout_cycles(rows, blocks, kernel, self._spec)
        cycles = self._known[key]
        self._meter.busy += cycles
        self._meter.span(f"{kernel} {name}", now, now + cycles)
        return cycles
