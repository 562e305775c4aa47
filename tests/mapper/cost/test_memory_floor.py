"""The time that the DRAM needs whatever the mapping: below every simulation, and near those that wait for it."""

from __future__ import annotations

import pytest

import hwconfigs
from mapper import pipeline
from mapper.cost.memory_floor import memory_floor
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.machine import count
from simulator.memory.request_stream import MemoryState

MACHINES = {
    "gemmini": {},
    "gemmini_decoder": {},
    "no L2": {"l2": None, "dram.bandwidth": "2 B/cycle"},
    "empty ways": {"l2.capacity": "64 KiB", "dram.evict": 9},
}


def problem_of(m: int, k: int, n: int, spec: hwconfigs.HardwareSpec) -> MatmulProblem:
    """Return a matmul with its matrices in DRAM."""
    groups = fusion_groups(pipeline.matmul_graph(m, k, n), spec)
    return matmul_problem(groups[0], lay_out(groups, spec), 0, spec.array.input_bits)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_simulation_is_below(machine: str) -> None:
    """A skinny product takes the floor and little more; one with many rows takes the array's time, far above it."""
    spec = hwconfigs.load(machine if machine.startswith("gemmini") else "gemmini", MACHINES[machine])
    skinny, square = (
        pipeline.map_matmul(m, 256, 512, spec, finalists=0).simulation.cycles / floor
        for m in (1, 32)
        if (floor := memory_floor(problem_of(m, 256, 512, spec), spec, MemoryState(spec)))
    )
    assert 1.0 <= skinny < 1.2
    assert square >= 1.0


def test_what_a_cache_holds_is_not_brought() -> None:
    """Run before, both operands lie in the L2: nothing is left to bring."""
    spec = hwconfigs.load("gemmini")
    problem, memory = problem_of(16, 64, 64, spec), MemoryState(spec)
    assert memory_floor(problem, spec, memory) >= (16 * 64 + 64 * 64) / spec.dram.bytes_per_cycle
    count(lower_matmul(problem, HardwareLoop(1, 4, 4), spec), spec, memory)
    assert memory_floor(problem, spec, memory) == 0.0
