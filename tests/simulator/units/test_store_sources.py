"""Stores of both on-chip memories have times of their own."""

from __future__ import annotations

import pytest

import hwconfigs
from simulator.machine import simulate
from simulator.program import Matrix, Mvout, Program

GEMMINI = hwconfigs.load("gemmini")


def cycles(memory: str, rows: int, **dma: int) -> int:
    spec = hwconfigs.override(GEMMINI, {f"dma.{key}": value for key, value in dma.items()})
    (out,) = (Mvout(Matrix(0x1000, 16), rows, 16, memory, 0),)
    return simulate(Program("store", (out,), preloaded=("scratchpad", "accumulator")), spec).cycles


@pytest.mark.parametrize("rows", [1, 4, 16])
def test_a_store_from_the_scratchpad_is_complete_by_its_own_time(rows: int) -> None:
    """gemmini: complete 14 cycles after its last row was read from the scratchpad, 22 from the accumulator."""
    assert cycles("accumulator", rows) - cycles("scratchpad", rows) == 22 - 14
    assert cycles("scratchpad", rows, scratchpad_store_completion=30) == cycles("scratchpad", rows) + 16
    assert cycles("accumulator", rows, scratchpad_store_completion=30) == cycles("accumulator", rows)
    assert cycles("accumulator", rows, store_completion=32) == cycles("accumulator", rows) + 10
