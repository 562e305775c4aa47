"""Trace replay: the memory requests of a program, in order, through the cache tags. No timing."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from simulator.machine import count
from simulator.memory.request_stream import MemoryState
from simulator.program import Program
from simulator.report import Counts

MEMORY_UNITS = frozenset({"l2", "llc", "dram"})
"""Units whose counts depend on the contents of the caches."""


def replayed_counts(program: Program, spec: HardwareSpec, memory: MemoryState) -> Counts:
    """Count the accesses of ``program`` to the caches and DRAM; ``memory`` is advanced."""
    counted = count(program, spec, memory)
    return Counts({action: number for action, number in counted.items() if action[0] in MEMORY_UNITS})
