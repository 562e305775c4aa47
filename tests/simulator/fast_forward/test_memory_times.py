"""Times of works in the memory: equal works take equal times, and their differences bound those of runs."""

from __future__ import annotations

import numpy as np
import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.lowering.gemmini_library import Product, Tiling, tiled
from simulator.arrays import Ints
from simulator.fast_forward.memory_differences import longer
from simulator.fast_forward.memory_times import BESIDE, LOADS, STORES
from simulator.machine import prepare
from simulator.memory import recurrences
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, Matrix, Program
from tests.simulator.memory.forms import FORMS, form_of

LINE = 64


def program(spec: HardwareSpec, shift: int = 0) -> Program:
    """A product of 32 loops of 16 x 64 x 64, the operands ``shift`` bytes off their pages."""
    a, b, c = (page * 0x10_0000 + shift for page in (1, 2, 3))
    product = Product(128, 256, 64, Matrix(a, 256), Matrix(b, 64), Matrix(c, 64))
    return Program("product", (*tiled(product, Tiling(1, 4, 4), spec), Fence()))


def times(spec: HardwareSpec, memory: MemoryState, shift: int = 0) -> Ints:
    return prepare(program(spec, shift), spec, memory).memory_times.all()


def test_loops_of_one_shape_take_equal_times_without_a_cache() -> None:
    spec = hwconfigs.load("tiny_4x4")
    found = times(spec, MemoryState(spec))
    assert len(set(found[LOADS])) == len(set(found[STORES][found[STORES] > 0])) == 1


def test_cold_loops_take_longer_than_warm_ones() -> None:
    spec = hwconfigs.load("gemmini")
    memory = MemoryState(spec)
    cold, warm = times(spec, memory), times(spec, memory)
    assert cold[LOADS].sum() > 1.2 * warm[LOADS].sum()


def test_rows_that_cross_lines_take_longer() -> None:
    spec = hwconfigs.load("tiny_4x4")
    aligned, shifted = (times(spec, MemoryState(spec), shift) for shift in (0, 2))
    assert (shifted[LOADS] > aligned[LOADS]).all()


def test_latency_is_seen_by_every_work() -> None:
    """Without a cache each work waits for its first data, however fast the bus is."""
    slow, fast = (
        hwconfigs.override(hwconfigs.load("gemmini"), {"l2": None, "dram.latency": latency}) for latency in (200, 100)
    )
    difference = times(slow, MemoryState(slow)) - times(fast, MemoryState(fast))
    assert (difference[LOADS] >= 100).all()


@pytest.mark.parametrize("form", FORMS)
def test_found_in_parts(form: str) -> None:
    """Asked for bit by bit, works have the times that they have all at once, and compiled code agrees."""
    spec = hwconfigs.load("gemmini")
    whole = times(spec, MemoryState(spec))
    with form_of(recurrences, form):
        parts = prepare(program(spec), spec, MemoryState(spec)).memory_times
        assert (parts.of(0, 16) == whole[:, :16]).all()
        assert (parts.all() == whole).all()


def test_loads_that_meet_fetches_of_stores_are_told_apart() -> None:
    """One set only: every load waits for the line that a narrow store fetches."""
    spec = hwconfigs.override(hwconfigs.load("gemmini"), {"l2.capacity": "1 KiB", "l2.ways": 16})
    found = prepare(narrow(spec), spec, MemoryState(spec)).memory_times.all()
    assert found[BESIDE:].any()


def narrow(spec: HardwareSpec) -> Program:
    """Results of 16 bytes per row, which do not cover their lines."""
    product = Product(64, 16, 16, Matrix(0x1000, 16), Matrix(0x8000, 16), Matrix(0x10000, LINE))
    return Program("narrow", (*tiled(product, Tiling(1, 1, 1), spec), Fence()))


@pytest.mark.parametrize("latency", [1, 40, 300])
def test_memory_times_bound_the_difference_of_runs(latency: int) -> None:
    spec = hwconfigs.override(hwconfigs.load("gemmini"), {"dram.latency": latency})
    memory = MemoryState(spec)
    runs = []
    for _ in range(3):
        prepared = prepare(program(spec), spec, memory)
        runs.append((prepared.simulate(exact=True).cycles, prepared.memory_times.all().astype(np.float64)))
    for cycles, found in runs:
        for others, other in runs:
            assert cycles - others <= np.maximum(found - other, 0.0).sum()


def test_differences_cancel_within_groups_only() -> None:
    """Of eight works: chance cancels, a slower half or every second slower work does not."""
    runs = np.array([[1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0], [1.0] * 4 + [-1.0] * 4, [1.0, -1.0] * 4])
    assert longer(runs[:, np.newaxis]).tolist() == [2.0, 4.0, 4.0]
    assert longer(np.array([[[1.0, -1.0]]])).tolist() == [1.0]
    assert longer(np.full((1, STORES + 1, 8), 1.0)).tolist() == [16.0]
