"""Matrices that lie alike in their lines share the times of their loads: whole lines of an address change nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import hwconfigs
from mapper.cost.command_times import command_times
from mapper.cost.dma_traffic import lying_alike
from mapper.cost.sweep import Sweep
from mapper.cost.sweep_times import SweepTimes, sweep_times
from simulator.program import Matrix

PAGED = hwconfigs.load("gemmini", {"dram.pages": "DDR4-2400"})


@pytest.mark.parametrize("machine", ["gemmini", "gemmini_lean", "firesim_dosa"])
@pytest.mark.parametrize(("address", "stride"), [(4096 + 48, 768), (7 * 64, 16384), (123456, 100), (999 * 64 + 16, 0)])
@pytest.mark.parametrize("along", [False, True])
def test_times_are_those_of_the_matrix_itself(machine: str, address: int, stride: int, along: bool) -> None:
    spec = hwconfigs.load(machine, {"dram.pages": "none"} if machine == "firesim_dosa" else {})
    sweep = Sweep(Matrix(address, stride), 40, 96, spec.array.cols, 4 * spec.array.cols)
    near = replace(sweep, matrix=lying_alike(sweep.matrix, spec))
    assert near.matrix.address < 128
    widths = np.array([1, 2, 5], dtype=np.int64)
    times, same = (
        sweep_times(one, widths, spec, partial(command_times, spec=spec), along=along) for one in (sweep, near)
    )
    for name in SweepTimes.__slots__:
        assert np.array_equal(getattr(times, name), getattr(same, name)), name


def test_banks_of_the_dram_tell_addresses_apart() -> None:
    assert lying_alike(Matrix(1 << 20, 768), PAGED) == Matrix(1 << 20, 768)
