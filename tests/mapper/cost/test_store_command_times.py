"""Streams of stores take the longest of what paces them: the unit, the DRAM bus, the entries of lines fetched."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.cost.command_times import Segments
from mapper.cost.estimate import estimate
from mapper.cost.store_command_times import store_command_times
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem, contiguous
from simulator.machine import simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Matrix
from simulator.units.store_pipeline import row_period
from tests.mapper.tiny import prices

ROWS = 16


def stored(spec: HardwareSpec, size: int, stride: int) -> Segments:
    """Return stores of sixteen rows, ``size`` bytes each, from the begin of a row of a matrix."""
    one = np.ones(1, dtype=bool)
    return Segments(
        matrix=Matrix(0, stride),
        row_bytes=stride,
        starts=np.zeros(1, dtype=np.int64),
        sizes=np.full(1, size, dtype=np.int64),
        first=one,
        last=~one,
        rows=ROWS,
        on_chip_bytes=spec.scratchpad.row_bytes,
        to_accumulator=False,
        along=False,
    )


def test_lines_that_are_held_leave_at_the_pace_of_the_unit() -> None:
    spec = hwconfigs.load("gemmini")
    times = store_command_times(stored(spec, 64, 4096 + 64), 16, "none", spec)
    assert times.scattered[0, 0] == pytest.approx(ROWS * row_period(4, False, False, spec.dma), abs=1)


@pytest.mark.parametrize("bandwidth", [0.5, 1, 2])
def test_without_an_l2_the_dram_bus_sets_the_pace(bandwidth: float) -> None:
    spec = hwconfigs.load("gemmini", {"l2": "none", "llc": "none", "dram.bytes_per_cycle": bandwidth})
    times = store_command_times(stored(spec, 64, 4096 + 64), 16, "none", spec)
    assert times.fresh[0] == pytest.approx(ROWS * 64 / bandwidth, rel=0.01)


@pytest.mark.parametrize(("latency", "entries"), [(100, 4), (300, 4), (300, 10)])
def test_lines_covered_in_part_wait_for_their_entries(latency: int, entries: int) -> None:
    spec = hwconfigs.load("gemmini", {"dram.latency": latency, "l2.mshrs": entries})
    times = store_command_times(stored(spec, 48, 4096 + 64), 16, "none", spec)
    assert times.fresh[0] >= ROWS * latency / entries
    assert times.fresh[0] == pytest.approx(ROWS * latency / entries, rel=0.3)
    assert times.fresh_alone[0] < times.fresh[0]


CASES: list[tuple[str, Mapping[str, object], MatmulProblem, HardwareLoop]] = [
    (
        "gemmini_ibert",
        {"array.size": 24, "scratchpad.capacity": 1048512, "accumulator.capacity": 2097024, "dram.latency": 67,
         "l2.capacity": 504320},
        contiguous(256, 2, 2048),
        HardwareLoop(7, 1, 23, "nmk", double_buffered=False),
    ),
    (
        "gemmini_lean",
        {"array.size": 2, "scratchpad.capacity": 13720, "accumulator.capacity": 32768, "dram.latency": 9,
         "dram.bytes_per_cycle": 1, "l2.capacity": 32768},
        contiguous(16, 5, 1693),
        HardwareLoop(7, 2, 224, "nmk", double_buffered=False),
    ),
    (
        "gemmini_lean",
        {"array.size": 24, "scratchpad.capacity": 1048512, "accumulator.capacity": 2097024, "dram.latency": 9,
         "dram.bytes_per_cycle": 1, "l2": "none", "llc": "none"},
        contiguous(99, 4, 17),
        HardwareLoop(2, 1, 1, "knm", double_buffered=False),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("machine", "changes", "problem", "loop"), CASES)
def test_estimates_of_tiles_that_the_memory_holds_up(
    machine: str, changes: Mapping[str, object], problem: MatmulProblem, loop: HardwareLoop
) -> None:
    """Store segments that share lines, a last k tile of one block, and writes that drain under the next loads."""
    spec = hwconfigs.load(machine, changes)
    simulated = simulate(lower_matmul(problem, loop, spec), spec, memory=MemoryState(spec), exact=True)
    assert estimate(loop, problem, spec, prices(spec)).cycles == pytest.approx(simulated.cycles, rel=0.1)
