"""The normaliser's time follows from the statistics of a kernel's row."""

from __future__ import annotations

from dataclasses import replace

import pytest

import hwconfigs
from hwconfigs.kernels import KERNELS, Kernel, Statistic, kernel_named
from simulator.units import normaliser
from simulator.units.normaliser import readout_cycles

IBERT = hwconfigs.load("gemmini_ibert")
NORMALISED = [kernel for kernel in KERNELS if kernel.whole_rows]


def test_every_statistic_has_its_time() -> None:
    assert IBERT.vector is not None
    assert set(normaliser.times(IBERT)) == set(Statistic)


@pytest.mark.parametrize("kernel", NORMALISED, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("issued", [False, True])
def test_longer_rows_more_rows_and_more_passes_take_longer(kernel: Kernel, issued: bool) -> None:
    cycles = readout_cycles(16, 8, kernel, IBERT, issued=issued)
    assert readout_cycles(16, 9, kernel, IBERT, issued=issued) > cycles
    assert readout_cycles(17, 8, kernel, IBERT, issued=issued) > cycles
    fewer = replace(kernel, statistics=kernel.statistics[1:])
    assert readout_cycles(16, 8, fewer, IBERT, issued=issued) < cycles


def test_one_row_of_one_block_by_hand() -> None:
    """A row of one block, command distance 1: a pass of the lanes is 1 + 1 cycles of overhead.

    Inverse sum alone, one pass before the results: command at 1, lanes until 3, division until 3 + 25 = 28, results
    from 28 to 30.
    """
    times = {"issued_command_cycles": 1, "slot_cycles": 0, "block_overhead_cycles": 1, "inverse_sum_cycles": 25}
    spec = hwconfigs.override(IBERT, {f"vector.{name}": cycles for name, cycles in times.items()})
    once = replace(kernel_named("softmax"), statistics=(Statistic.INVERSE_SUM,))
    assert readout_cycles(1, 1, once, spec) == 30


def test_a_machine_without_the_unit() -> None:
    with pytest.raises(ValueError, match="gemmini has no normalisation unit"):
        readout_cycles(1, 1, kernel_named("softmax"), hwconfigs.load("gemmini"))


def test_few_lanes_take_a_block_in_parts() -> None:
    """A row of one block on 4 lanes instead of 16: of 30 cycles the two passes of 1 cycle each become 4."""
    times = {"issued_command_cycles": 1, "slot_cycles": 0, "block_overhead_cycles": 1, "inverse_sum_cycles": 25}
    spec = hwconfigs.override(IBERT, {"vector.lanes": 4, **{f"vector.{name}": value for name, value in times.items()}})
    once = replace(kernel_named("softmax"), statistics=(Statistic.INVERSE_SUM,))
    assert readout_cycles(1, 1, once, spec) == 36
