"""Matmuls whose complete rows a unit normalises on their way out: estimate, counts and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hwconfigs
from mapper.cost.estimate import estimate
from mapper.cost.latency.readout_times import readout_cycles
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix
from simulator.units import readout_unit
from tests.mapper.tiny import machine, prices

CASES = (
    ((100, 200, 512), "softmax", HardwareLoop(2, 4, 32)),
    ((100, 200, 512), "softmax", HardwareLoop(3, 2, 32, double_buffered=False)),
    ((37, 70, 130), "layernorm", HardwareLoop(1, 5, 9)),
    ((64, 64, 16), "layernorm", HardwareLoop(4, 1, 1)),
    ((1, 64, 500), "softmax", HardwareLoop(1, 2, 32)),
)


@pytest.mark.parametrize(("shape", "kernel", "loop"), CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_counts_equal_the_simulation_and_cycles_are_near(
    shape: tuple[int, int, int], kernel: str, loop: HardwareLoop, bias: bool
) -> None:
    spec = machine("gemmini_ibert")
    problem = contiguous(*shape, activation=kernel, bias=bias)
    simulated = simulate(lower_matmul(problem, loop, spec), spec, exact=True)
    expected = estimate(loop, problem, spec, prices(spec))
    assert expected.counts == simulated.counts
    assert expected.counts["vector", kernel] == shape[0] * shape[2]
    busy = simulated.units["normaliser"].busy_cycles
    assert expected.units["normaliser"].busy_cycles == pytest.approx(busy, rel=0.02)
    assert expected.cycles == pytest.approx(simulated.cycles, rel=0.2)


@pytest.mark.parametrize("name", ["gemmini_ibert", "tiny_4x4"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("loop", [HardwareLoop(2, 3, 4, "nmk"), HardwareLoop(1, 2, 3, "kmn", double_buffered=False)])
def test_a_residual_is_counted_and_timed_as_it_is_simulated(name: str, bias: bool, loop: HardwareLoop) -> None:
    """Its rows are loaded on top of the bias, by mvins that the core issues in front of each tile's first loop."""
    spec = machine(name)
    side = spec.array.rows
    problem = replace(contiguous(4 * side + 1, 5 * side, 9 * side - 2, bias=bias), residual=Matrix(1 << 24, 9 * side))
    program = lower_matmul(problem, loop, spec)
    simulated = simulate(program, spec, exact=True)
    expected = estimate(loop, problem, spec, prices(spec))
    assert expected.counts == simulated.counts
    assert expected.cycles == pytest.approx(simulated.cycles, rel=0.2)
    plain = replace(problem, residual=None)
    apart = simulate(lower_matmul(plain, loop, spec), spec, exact=True)
    rows = problem.m * -(-problem.n // side)
    assert simulated.counts["accumulator", "write_row"] - apart.counts["accumulator", "write_row"] == rows
    assert simulated.counts["accumulator", "read_row"] - apart.counts["accumulator", "read_row"] == rows
    first = [item for item in program.items if isinstance(item, MatmulLoop) and item.residual is not None]
    assert len(first) == -(-9 // loop.tile_n) * -(-5 // loop.tile_m)
    assert simulated.cycles > apart.cycles


@pytest.mark.parametrize("kernel", ["softmax", "layernorm"])
@pytest.mark.parametrize("blocks", [1, 4, 33])
def test_high_tiles_go_on_at_the_pace_of_low_ones(kernel: str, blocks: int) -> None:
    spec = hwconfigs.load("gemmini_ibert")
    unit = readout_unit(kernel, spec)
    assert unit is not None
    rows = np.array([1, 15, 16, 64, 65, 130, 512])
    exact = [unit.cycles(int(number), blocks, kernel, spec, issued=False) for number in rows]
    np.testing.assert_allclose(readout_cycles(rows, blocks, kernel, spec), exact, rtol=2e-3, atol=2)
