"""The functional executor: single commands, kept operands, activations, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwconfigs import HardwareSpec
from hwconfigs.kernel_arithmetic import exponential, gelu
from simulator.functional import Dram, Scaling, execute, results
from simulator.program import (
    Compute,
    Fence,
    HostTask,
    Item,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
    ProgramError,
)

A, B, C, D = (Matrix(address, 8) for address in (0, 0x100, 0x200, 0x300))
"""8x8 int8 matrices; D has int32 rows of 32 bytes in ``BIAS``."""
BIAS = Matrix(0x300, 32)


@pytest.fixture
def dram() -> Dram:
    random = np.random.default_rng(7)
    image = Dram(0, np.zeros(0x800, dtype=np.uint8))
    image.write(A, random.integers(-4, 5, (8, 8)))
    image.write(B, random.integers(-4, 5, (8, 8)))
    image.write(BIAS, random.integers(-40, 40, (8, 8)), 32)
    return image


def run(spec: HardwareSpec, dram: Dram, *items: Item, scaling: Scaling | None = None) -> Dram:
    return execute(Program("test", items), dram, spec, scaling=scaling)


def test_loop(tiny: HardwareSpec, dram: Dram) -> None:
    """A 7x6x5 loop writes 7x5 elements of C and nothing else; the image given is left alone."""
    before = dram.copy()
    after = run(tiny, dram, MatmulLoop(7, 6, 5, A, B, C))
    np.testing.assert_array_equal(after.read(C, 7, 5), dram.read(A, 7, 6) @ dram.read(B, 6, 5))
    assert not after.read(C, 8, 8)[7:].any()
    assert not after.read(C, 8, 8)[:, 5:].any()
    np.testing.assert_array_equal(dram.data, before.data)


def test_single_commands_are_the_same_product(tiny: HardwareSpec, dram: Dram) -> None:
    """One 4x4x4 block by hand: mvin A, mvin B, preload, compute, mvout."""
    items = (
        Mvin(A, 4, 4, "scratchpad", 0),
        Mvin(B, 4, 4, "scratchpad", 64),
        Preload(64, 4, 4, "accumulator", 8),
        Compute(0, 4, 4, 4),
        Mvout(C, 4, 4, "accumulator", 8),
    )
    np.testing.assert_array_equal(run(tiny, dram, *items).read(C, 4, 4), dram.read(A, 4, 4) @ dram.read(B, 4, 4))


def test_kept_weights_and_transposes(tiny: HardwareSpec, dram: Dram) -> None:
    """Two computes on one preloaded B^T, the second of A^T, with an accumulating result."""
    items = (
        Mvin(A, 4, 4, "scratchpad", 0),
        Mvin(B, 4, 4, "scratchpad", 64),
        Preload(64, 4, 4, "accumulator", 0, weights_transposed=True),
        Compute(0, 4, 4, 4),
        Preload(None, 4, 4, "accumulator", 0, accumulate=True),
        Compute(0, 4, 4, 4, inputs_transposed=True),
        Mvout(Matrix(0x400, 16), 4, 4, "accumulator", 0, element_bits=32),
    )
    a, b = dram.read(A, 4, 4), dram.read(B, 4, 4)
    np.testing.assert_array_equal(run(tiny, dram, *items).read(Matrix(0x400, 16), 4, 4, 32), (a + a.T) @ b.T)


def test_output_stationary_sums_stay_until_the_last_block(tiny: HardwareSpec, dram: Dram) -> None:
    items = (
        Mvin(A, 4, 8, "scratchpad", 0),
        Mvin(B, 4, 4, "scratchpad", 64),
        Mvin(Matrix(B.address + 4 * 8, 8), 4, 4, "scratchpad", 68),
        Preload(64, 4, 4, "accumulator", 0),
        Compute(0, 4, 4, 4, output_stationary=True, last_of_output=False),
        Preload(68, 4, 4, "accumulator", 0),
        Compute(4, 4, 4, 4, output_stationary=True),
        Mvout(C, 4, 4, "accumulator", 0),
    )
    np.testing.assert_array_equal(run(tiny, dram, *items).read(C, 4, 4), dram.read(A, 4, 8) @ dram.read(B, 8, 4))


def test_residual_addition_in_the_accumulator(tiny: HardwareSpec, dram: Dram) -> None:
    """int8 rows of A and B widened into the accumulator, the second added to the first."""
    items = (
        Mvin(A, 4, 8, "accumulator", 0),
        Mvin(B, 4, 8, "accumulator", 0, accumulate=True),
        Mvout(C, 4, 8, "accumulator", 0),
    )
    np.testing.assert_array_equal(run(tiny, dram, *items).read(C, 4, 8), dram.read(A, 4, 8) + dram.read(B, 4, 8))


def test_a_result_through_the_scratchpad(tiny: HardwareSpec, dram: Dram) -> None:
    """A result in the scratchpad is saturated int8 and can be stored as it is, whatever the scale."""
    items = (
        Mvin(A, 4, 4, "scratchpad", 0),
        Mvin(B, 4, 4, "scratchpad", 64),
        Preload(64, 4, 4, "scratchpad", 128),
        Compute(0, 4, 4, 4),
        Mvout(C, 4, 4, "scratchpad", 128),
    )
    after = run(tiny, dram, *items, scaling=Scaling(output=0.5))
    np.testing.assert_array_equal(after.read(C, 4, 4), dram.read(A, 4, 4) @ dram.read(B, 4, 4))


def test_kept_operand_of_two_loops_ago(tiny: HardwareSpec, dram: Dram) -> None:
    """Halves alternate: the third loop finds the A of the first one in its half."""
    loop = MatmulLoop(4, 4, 4, A, B, C)
    second = replace(loop, a=Matrix(A.address + 32, 8))
    kept = replace(loop, a=None, c=Matrix(0x600, 8))
    after = run(tiny, dram, loop, second, kept)
    np.testing.assert_array_equal(after.read(Matrix(0x600, 8), 4, 4), dram.read(A, 4, 4) @ dram.read(B, 4, 4))


def test_broadcast_bias_and_relu(tiny: HardwareSpec, dram: Dram) -> None:
    loop = MatmulLoop(6, 8, 7, A, B, C, d=Matrix(BIAS.address, 0), activation="relu")
    sums = dram.read(A, 6, 8) @ dram.read(B, 8, 7) + dram.read(BIAS, 1, 7, 32)
    np.testing.assert_array_equal(run(tiny, dram, loop).read(C, 6, 7), np.clip(sums, 0, 127))


def test_scale_rounds_to_even_and_saturates() -> None:
    sums = np.array([[1, 3, 5, -1, -3, 254, 255, 1000, -1000]])
    assert results(sums, "none", Scaling(input=0.5)).tolist() == [[0, 2, 2, 0, -2, 127, 127, 127, -128]]


def test_int32_rows_leave_unscaled() -> None:
    sums = np.array([[-100_000, 100_000]])
    assert results(sums, "none", Scaling(0.5, 0.5), full=True).tolist() == [[-100_000, 100_000]]
    assert results(sums, "relu", Scaling(), full=True).tolist() == [[0, 100_000]]
    with pytest.raises(ProgramError, match="softmax gives int8 results"):
        results(sums, "softmax", Scaling(), full=True)


def test_polynomials_are_as_close_as_published() -> None:
    """I-BERT publishes 0.018 for i-GELU and 0.0019 for i-exp; with its rounded constants the latter is 0.0021."""
    x = np.linspace(-6, 6, 2001)
    exact = np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x])
    assert np.abs(gelu(x) - exact).max() < 0.02
    falling = np.linspace(-20, 0, 2001)
    assert np.abs(exponential(falling) - np.exp(falling)).max() < 0.0022


@pytest.mark.parametrize("activation", ["softmax", "layernorm", "gelu"])
def test_fused_activation_sees_whole_rows(tiny: HardwareSpec, dram: Dram, activation: str) -> None:
    """An 8-wide row leaves in one mvout, a 20-wide one in two: both are normalised as one row."""
    scaling = Scaling(input=1 / 16, output=127.0 if activation == "softmax" else 32.0)
    for n in (8, 20):
        a, b, c = Matrix(0x100, 8), Matrix(0x400, 24), Matrix(0x600, 24)
        dram.write(b, np.random.default_rng(n).integers(-4, 5, (8, n)))
        loop = MatmulLoop(4, 8, n, a, b, c, activation=activation)
        got = run(tiny, dram, loop, scaling=scaling).read(c, 4, n)
        x = (dram.read(a, 4, 8) @ dram.read(b, 8, n)) / 16
        if activation == "softmax":
            exact = np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
        elif activation == "layernorm":
            exact = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
        else:
            exact = np.vectorize(lambda v: 0.5 * v * (1 + math.erf(v / math.sqrt(2))))(x)
        assert np.abs(got - np.clip(exact * scaling.output, -128, 127)).max() <= 1.2


def test_host_tasks_are_the_caller_s(tiny: HardwareSpec, dram: Dram) -> None:
    """The callable sees results of the loops before it."""

    def halve(task: HostTask, image: Dram) -> None:
        assert task.kernel == "halve"
        image.write(C, image.read(C, 4, 4) // 2)

    items = (MatmulLoop(4, 4, 4, A, B, C, activation="relu"), Fence(), HostTask("halve", 10))
    once = execute(Program("p", items), dram, tiny)
    half = execute(Program("p", items), dram, tiny, host=halve)
    np.testing.assert_array_equal(half.read(C, 4, 4), once.read(C, 4, 4) // 2)


REFUSED = [
    ((MatmulLoop(4, 4, 4, A, None, C),), "item 0 (MatmulLoop): keeps an operand, but no loop before it loaded one"),
    ((MatmulLoop(4, 4, 4, None, B, C),), "item 0 (MatmulLoop): keeps an operand, but no loop before it loaded one"),
    (
        (MatmulLoop(4, 4, 4, A, B, C), MatmulLoop(4, 4, 4, None, B, C)),
        "item 1 (MatmulLoop): reads scratchpad row 128, columns 0..3",
    ),
    (
        (MatmulLoop(4, 4, 4, A, B, C, accumulate=True),),
        "item 0 (MatmulLoop): accumulates, but the loop before it left no result in the accumulator",
    ),
    ((Mvin(A, 4, 3, "scratchpad", 0), Mvout(C, 4, 4, "scratchpad", 0)), "item 1 (Mvout): reads scratchpad row 0"),
    ((Mvin(A, 3, 4, "scratchpad", 0), Mvout(C, 4, 4, "scratchpad", 0)), "item 1 (Mvout): reads scratchpad row 3"),
    ((Mvout(C, 4, 4, "accumulator", 8),), "item 0 (Mvout): reads accumulator row 8, columns 0..3"),
    ((Mvin(Matrix(0x7FE, 4), 1, 4, "scratchpad", 0),), "item 0 (Mvin): DRAM bytes 0x7fe..0x801 outside 0x0..0x7ff"),
    (
        (Mvin(A, 4, 4, "scratchpad", 0), Preload(0, 4, 4, "accumulator", 0), Compute(0, 4, 3, 4)),
        "item 2 (Compute): block 4x3x4 on weights 4x4",
    ),
]


@pytest.mark.parametrize(("items", "message"), REFUSED)
def test_reads_of_nothing_are_errors(tiny: HardwareSpec, dram: Dram, items: tuple[Item, ...], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        run(tiny, dram, *items)
    assert message in str(caught.value)


def test_a_program_that_does_not_fit_is_not_executed(tiny: HardwareSpec, dram: Dram) -> None:
    with pytest.raises(ProgramError, match="scratchpad: tile 64x64x4 needs"):
        run(tiny, dram, MatmulLoop(64, 64, 4, A, B, C))
