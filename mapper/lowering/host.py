"""Work of the host core: an operator as one task that reads and writes DRAM, and the code in front of a program."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.lowering.repeated_program import CommandInstance, RepeatedProgram
from simulator.program import HostTask, Program, Region


def host_program(
    name: str, kernel: str, elements: int, reads: tuple[Region, ...], writes: tuple[Region, ...], spec: HardwareSpec
) -> RepeatedProgram:
    """Return an operator as host work.

    Cycles are those of the kernel per element, plus one blocking cache access per line read or written.
    """
    lines = sum(region.size_bytes for region in (*reads, *writes)) / spec.line_bytes
    cycles = math.ceil(elements * spec.host.cycles_per_element(kernel) + lines * spec.host.line_cycles)
    task = HostTask(kernel, cycles, elements, reads, writes)
    program = Program(name, (task,), (*reads, *writes))
    return RepeatedProgram(1, lambda _: CommandInstance(program))


def call_overhead(spec: HardwareSpec) -> HostTask:
    """Return the library code before the first command of an operator."""
    return HostTask("library call", round(spec.host.call_cycles))
