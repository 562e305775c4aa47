"""Cycles for which the DRAM is busy with a matmul, whatever its mapping."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.cost.cache_contents import SAMPLES, held_in
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.memory.request_stream import MemoryState

CERTAINTY = 3.0
"""Standard deviations by which more may be held than a sample of places shows."""


def memory_floor(problem: MatmulProblem, spec: HardwareSpec, memory: MemoryState) -> float:
    """Return cycles that no mapping stays below: each operand byte that no cache holds crosses the DRAM's bus once.

    A line that comes into a full set of the L2 takes the bus for the time of its eviction, too. Of a last-level cache
    it is not asked what it holds; behind one there is no floor.

    Parameters
    ----------
    problem
        The matmul, with its matrices in DRAM.
    spec
        The machine.
    memory
        The caches that it finds.
    """
    if spec.llc is not None:
        return 0.0
    held = held_in(memory, problem)
    operands = (problem.m * problem.k, held.a), (problem.b_rows * problem.b_row_bytes, held.b)
    missing = sum(size * (1.0 - _at_most(share)) for size, share in operands)
    cycles = missing / spec.dram.bytes_per_cycle
    if memory.l2 is not None:
        cycles += missing / spec.line_bytes * spec.dram.evict_cycles * memory.l2.valid_share()
    return cycles


def _at_most(share: float) -> float:
    return min(1.0, share + CERTAINTY * math.sqrt(share * (1.0 - share) / SAMPLES))
