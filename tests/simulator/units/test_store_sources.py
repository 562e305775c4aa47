"""Stores of both on-chip memories have times of their own."""

from __future__ import annotations

import pytest

import hwconfigs
from simulator.machine import simulate
from simulator.program import Fence, Matrix, Mvout, Program

GEMMINI = hwconfigs.load("gemmini")


def cycles(memory: str, rows: int, *, fenced: bool = False, **dma: int) -> int:
    spec = hwconfigs.override(GEMMINI, {f"dma.{key}": value for key, value in dma.items()})
    (out,) = (Mvout(Matrix(0x1000, 16), rows, 16, memory, 0),)
    items = (out, Fence()) if fenced else (out,)
    return simulate(Program("store", items, preloaded=("scratchpad", "accumulator")), spec).cycles


@pytest.mark.parametrize("rows", [1, 4, 16])
def test_a_store_from_the_scratchpad_is_complete_by_its_own_time(rows: int) -> None:
    """gemmini: complete 14 cycles after its last row was read from the scratchpad, 22 from the accumulator."""
    assert cycles("accumulator", rows) - cycles("scratchpad", rows) == 22 - 14
    assert cycles("scratchpad", rows, scratchpad_store_completion=30) == cycles("scratchpad", rows) + 16
    assert cycles("accumulator", rows, scratchpad_store_completion=30) == cycles("accumulator", rows)
    assert cycles("accumulator", rows, store_completion=32) == cycles("accumulator", rows) + 10


def test_rows_from_the_scratchpad_are_sent_by_their_own_time() -> None:
    """gemmini: requests leave 9 cycles after a read-out from the scratchpad begins, 11 from the accumulator."""
    assert cycles("accumulator", 1, fenced=True) - cycles("scratchpad", 1, fenced=True) == 11 - 9
    for rows in (1, 16):
        for memory, own, other in (
            ("scratchpad", "scratchpad_store_first", "store_first"),
            ("accumulator", "store_first", "scratchpad_store_first"),
        ):
            times = [cycles(memory, rows, fenced=True, **{key: at}) for key, at in ((own, 30), (own, 50), (other, 50))]
            assert times[1] - times[0] == 20
            assert times[2] == cycles(memory, rows, fenced=True)
