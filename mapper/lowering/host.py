"""Operators on the host core: one task that reads its inputs and writes its output in DRAM."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.lowering.series import Piece, Series
from simulator.program import HostTask, Program, Region


def host_series(
    name: str, kernel: str, elements: int, reads: tuple[Region, ...], writes: tuple[Region, ...], spec: HardwareSpec
) -> Series:
    """Return an operator as host work.

    Cycles are those of the kernel per element, plus one blocking cache access per line read or written.

    Raises
    ------
    MappingError
        When the machine gives no cycles for this kernel.
    """
    costs: dict[str, float] = {str(key): value for key, value in spec.host.kernel_cycles.items()}
    if kernel not in costs:
        known = ", ".join(sorted(costs))
        raise MappingError(f"{name}: {spec.name} has no host.kernel_cycles for {kernel!r}; it has {known}")
    lines = sum(region.size_bytes for region in (*reads, *writes)) / spec.line_bytes
    cycles = math.ceil(elements * costs[kernel] + lines * spec.host.line_cycles)
    task = HostTask(kernel, cycles, elements, reads, writes)
    program = Program(name, (task,), (*reads, *writes))
    return Series(1, lambda _: Piece(program))
