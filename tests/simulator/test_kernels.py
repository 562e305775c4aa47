"""Every kernel of the table that a store evaluates, on the machine: what is counted, computed and refused."""

from __future__ import annotations

import numpy as np
import pytest

import hwconfigs
from hwconfigs.kernels import IDENTITY, KERNELS, Kernel
from simulator.checks.validate import check
from simulator.functional import Dram, Scaling, execute, results, saturate
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix, Mvin, Mvout, Program, ProgramError

STORED = (IDENTITY, *(kernel for kernel in KERNELS if kernel.is_activation))
READ_OUT = {kernel.name for kernel in STORED if kernel.needs_unit}
IBERT = hwconfigs.override(hwconfigs.load("gemmini_ibert"), {"vector.kernels": sorted(READ_OUT)})
"""With a readout for every kernel that a store evaluates."""
A, B, C = Matrix(0, 64), Matrix(0x1000, 64), Matrix(0x2000, 64)
ROWS, COLS = 20, 40
"""Two blocks of rows and three of columns on a 16 x 16 array, both ragged."""


def loop(kernel: Kernel, *, full: bool = False) -> Program:
    item = MatmulLoop(ROWS, 24, COLS, A, B, Matrix(0x2000, 256) if full else C, activation=kernel.name, c_full=full)
    return Program("loop", (item,))


@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
def test_each_pass_reads_the_accumulator_and_each_element_is_an_action(kernel: Kernel) -> None:
    """One step along k, so that the array only writes the accumulator: 20 rows of three blocks per pass."""
    one_step = Program("loop", (MatmulLoop(ROWS, 16, COLS, A, B, C, activation=kernel.name),))
    counts = simulate(one_step, IBERT).counts
    assert counts["accumulator", "read_row"] == kernel.passes * ROWS * 3
    assert counts.get(("vector", kernel.name), 0) == (ROWS * COLS if kernel.needs_unit else 0)
    assert counts["vector", "requantise"] == ROWS * COLS


@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
def test_a_loop_computes_the_kernel_on_its_sums(kernel: Kernel) -> None:
    random = np.random.default_rng(3)
    dram = Dram(0, np.zeros(0x4000, dtype=np.uint8))
    dram.write(A, random.integers(-4, 5, (ROWS, 24)))
    dram.write(B, random.integers(-4, 5, (24, COLS)))
    scaling = Scaling(1 / 16, 32.0)
    sums = dram.read(A, ROWS, 24) @ dram.read(B, 24, COLS)
    assert kernel.reference is not None
    expected = saturate(np.rint(kernel.reference(sums / 16) * 32.0).astype(np.int64), 8)
    stored = execute(loop(kernel), dram, IBERT, scaling=scaling).read(C, ROWS, COLS)
    np.testing.assert_array_equal(stored, expected)


@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
def test_rows_that_stream_through_the_accumulator(kernel: Kernel) -> None:
    """The rows of a single command of 16 x 16 elements are the complete rows."""
    dram = Dram(0, np.zeros(0x4000, dtype=np.uint8))
    dram.write(A, np.random.default_rng(4).integers(-90, 90, (16, 16)))
    commands = (Mvin(A, 16, 16, "accumulator", 0), Mvout(C, 16, 16, "accumulator", 0, activation=kernel.name))
    stored = execute(Program("stream", commands), dram, IBERT, scaling=Scaling(1 / 16, 32.0)).read(C, 16, 16)
    np.testing.assert_array_equal(stored, results(dram.read(A, 16, 16), kernel.name, Scaling(1 / 16, 32.0)))


@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
def test_only_kernels_before_the_scaling_give_full_rows(kernel: Kernel) -> None:
    if kernel.needs_unit:
        with pytest.raises(ProgramError, match=f"{kernel.name} results are 8-bit, not int32"):
            check(loop(kernel, full=True), IBERT)
    else:
        check(loop(kernel, full=True), IBERT)


@pytest.mark.parametrize("kernel", [*KERNELS, Kernel("softcap")], ids=lambda kernel: kernel.name)
def test_machines_refuse_what_their_stores_do_not_evaluate(kernel: Kernel) -> None:
    lean = hwconfigs.load("gemmini")
    if kernel.is_activation and not kernel.needs_unit:
        check(loop(kernel), lean)
    else:
        with pytest.raises(ProgramError, match=f"gemmini has no unit for {kernel.name}"):
            check(loop(kernel), lean)
    if kernel.reference is None:
        with pytest.raises(ProgramError, match=f"no store evaluates {kernel.name}"):
            results(np.zeros((1, 1), dtype=np.int64), kernel.name, Scaling())
