"""Operators on the host core: one task that reads its inputs and writes its output in DRAM."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.lowering.series import Piece, Series
from simulator.program import HostTask, Program, Region


def host_series(
    name: str, kernel: str, elements: int, reads: tuple[Region, ...], writes: tuple[Region, ...], spec: HardwareSpec
) -> Series:
    """Return an operator as host work.

    Cycles are those of the kernel per element, plus one blocking cache access per line read or written.
    """
    lines = sum(region.size_bytes for region in (*reads, *writes)) / spec.line_bytes
    cycles = math.ceil(elements * spec.host.cycles_per_element(kernel) + lines * spec.host.line_cycles)
    task = HostTask(kernel, cycles, elements, reads, writes)
    program = Program(name, (task,), (*reads, *writes))
    return Series(1, lambda _: Piece(program))
