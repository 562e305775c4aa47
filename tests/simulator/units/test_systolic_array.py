"""Costs of array steps against the measured and documented table, for ints and for columns."""

from __future__ import annotations

import numpy as np
import pytest

from hwconfigs import HardwareSpec
from simulator.units.systolic_array import (
    completion_delay,
    compute_cycles,
    keep_cycles,
    preload_cycles,
    result_delay,
    step_cycles,
)

# rows of A, next weights new, one bank, transposed: cycles on the 16x16 array.
TABLE = [
    (16, 1, 0, False, 16),
    (1, 1, 0, False, 16),
    (16, 1, 1, False, 32),
    (16, 1, 0, True, 32),
    (16, 1, 1, True, 32),
    (1, 1, 0, True, 32),
    (16, 0, 0, False, 16),
    (16, 0, 1, False, 16),
    (12, 0, 0, False, 12),
    (1, 0, 0, True, 16),
]


@pytest.mark.parametrize(("rows", "new", "same", "transposed", "cycles"), TABLE)
def test_step(gemmini: HardwareSpec, rows: int, new: int, same: int, transposed: bool, cycles: int) -> None:
    assert step_cycles(rows, new, same, gemmini.array, transposed) == cycles


@pytest.mark.parametrize("rows", range(1, 17))
def test_kept_weights_and_few_rows(gemmini: HardwareSpec, rows: int) -> None:
    """At most six blocks are between feed and output: about (34 + 2 rows) / 6 cycles or the rows, whichever is more.

    Measured: 6.2 for 3 rows and 12.1 for 12, in chains of 96 pairs with new weights every four.
    """
    cycles = step_cycles(rows, 0, 0, gemmini.array)
    assert abs(cycles - max(rows, (34 + 2 * rows) / 6)) < 1


def test_floor_of_kept_weights_to_the_cycle(gemmini: HardwareSpec) -> None:
    """A block is on its way for 2 x 16 + 2 + 2 rows cycles, and six are: 2 rows take 38 / 6, so 7 cycles and not 6."""
    exact = [6, 7, 7, 7, 8, 8, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16]
    assert [compute_cycles(rows, gemmini.array) for rows in range(1, 17)] == exact


@pytest.mark.parametrize("transposed", [False, True])
def test_columns_equal_ints(gemmini: HardwareSpec, transposed: bool) -> None:
    """The simulation asks for one step, the cost model for a column: one formula, two users."""
    rows, new, same = (axis.ravel() for axis in np.meshgrid(np.arange(1, 17), [0, 1], [0, 1]))
    column = step_cycles(rows, new, same, gemmini.array, transposed)
    single = [
        step_cycles(int(r), int(n), int(s), gemmini.array, transposed) for r, n, s in zip(rows, new, same, strict=True)
    ]
    assert column.tolist() == single
    assert all(isinstance(cycles, int) for cycles in single)
    assert compute_cycles(rows, gemmini.array).tolist() == [compute_cycles(int(r), gemmini.array) for r in rows]


def test_starved_preloads(gemmini: HardwareSpec) -> None:
    """A starved pair pays 16 + 16 with new weights, 16 + 4 with kept ones, 32 for weights through the transposer."""
    assert preload_cycles(gemmini.array) == 16
    assert preload_cycles(gemmini.array, transposed=True) == 32
    assert keep_cycles(gemmini.array) == 4


def test_delays(gemmini: HardwareSpec, tiny: HardwareSpec) -> None:
    """37 and 38 cycles as measured on the 16x16 array; 10 and 10 on the 4x4 one."""
    assert (result_delay(gemmini.array), completion_delay(gemmini.array)) == (37, 38)
    assert (result_delay(tiny.array), completion_delay(tiny.array)) == (10, 10)
