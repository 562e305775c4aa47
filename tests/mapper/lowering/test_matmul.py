"""Lowering a matmul: the program computes A B, loads what the mapping says, and is refused when it does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapper.errors import MappingError
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from mapper.mapspace.batch import ORDERS
from simulator.program import Fence, HostTask, MatmulLoop
from tests.mapper.lowering.interpreter import execute
from tests.mapper.tiny import MACHINES, legal_loops, machine, problems


@settings(max_examples=150)
@given(st.data())
def test_programs_compute_the_product(data: st.DataObject) -> None:
    """Every order, ragged edges, held operands, spilled sums, bias, transposition, int32 results, odd layouts."""
    spec = machine(data.draw(st.sampled_from(MACHINES)))
    problem = data.draw(problems(spec))
    loop = data.draw(legal_loops(problem, spec))
    program = lower_matmul(problem, loop, spec)
    result, expected, chip = execute(problem, program, seed=7)
    np.testing.assert_array_equal(result, expected)
    assert program.macs == problem.macs
    dim = spec.array.rows
    trips_m, trips_n = -(-problem.m // (loop.tile_m * dim)), -(-problem.n // (loop.tile_n * dim))
    assert chip.loads["a"] == problem.m * problem.k * (1 if "input" in loop.held else trips_n)
    assert chip.loads["b"] == problem.k * problem.n * (1 if "weight" in loop.held else trips_m)


@pytest.mark.parametrize("order", ORDERS)
def test_partial_sums_leave_only_when_another_tile_comes_between(order: str) -> None:
    """8x8x8 in blocks of 4: two tiles each way. With k innermost 4 of 8 loops store, otherwise all, 4 of them int32."""
    spec = machine("tiny_4x4")
    problem = contiguous(8, 8, 8)
    program = lower_matmul(problem, HardwareLoop(1, 1, 1, order), spec)
    loops = [item for item in program.items if isinstance(item, MatmulLoop)]
    stored = [loop for loop in loops if loop.c is not None]
    assert len(loops) == 8
    assert len(stored) == (4 if order.endswith("k") else 8)
    assert sum(loop.c_full for loop in stored) == len(stored) - 4
    assert sum(loop.accumulate for loop in loops) == 8 - len(stored)


def test_a_call_starts_with_library_code_and_ends_with_a_fence() -> None:
    spec = machine("gemmini")
    problem = contiguous(16, 16, 16)
    program = lower_matmul(problem, HardwareLoop(1, 1, 1), spec)
    first, *_, last = program.items
    assert isinstance(first, HostTask)
    assert first.cycles == round(spec.host.call_cycles)
    assert isinstance(last, Fence)
    assert [region.size_bytes for region in program.regions] == [256, 256, 256]


def test_refuses_what_does_not_fit() -> None:
    spec = machine("gemmini")
    problem = contiguous(512, 768, 768)
    with pytest.raises(MappingError, match="scratchpad: .* needs 196,608 bytes > 131,072"):
        lower_matmul(problem, HardwareLoop(4, 48, 12), spec)
