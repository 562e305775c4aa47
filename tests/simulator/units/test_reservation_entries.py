"""Entries of the reservation station: plenty hold nothing up, few hold up the queue they belong to."""

from __future__ import annotations

import hwconfigs
from hwconfigs import HardwareSpec
from simulator.machine import simulate
from simulator.program import Item, MatmulLoop, Matrix, Mvin, Mvout, Program
from simulator.report import Report

TINY = hwconfigs.load("tiny_4x4")


def run(spec: HardwareSpec, *items: Item) -> Report:
    return simulate(Program("case", items, preloaded=("accumulator",)), spec)


def entries(**numbers: int) -> HardwareSpec:
    return hwconfigs.override(TINY, {f"front_end.{name}_entries": number for name, number in numbers.items()})


def test_one_load_entry_keeps_loads_from_overlapping() -> None:
    """Alone: start 1, complete 16. With one entry the next one enters, is issued and starts 3 cycles later, at 19.

    It has all slots to itself again, 15 cycles: complete 34. With two entries they overlap as with eight, complete 27.
    """
    mvins = [Mvin(Matrix(64 * i, 4), 4, 4, "scratchpad", 4 * i) for i in range(2)]
    assert run(entries(load=1), *mvins).cycles == 34
    assert run(entries(load=2), *mvins).cycles == run(TINY, *mvins).cycles == 27


def test_one_store_entry_keeps_stores_from_overlapping() -> None:
    """Start 1, rows read in [1, 5), which frees the entry. One entry: the next mvout enters, is issued and starts at 8,
    complete 15. Two: it starts at 5 and is complete at 12."""
    mvouts = [Mvout(Matrix(64 * i, 4), 4, 4, "accumulator", 4 * i) for i in range(2)]
    assert run(entries(store=1), *mvouts).cycles == 15
    assert run(entries(store=2), *mvouts).cycles == run(TINY, *mvouts).cycles == 12


def test_few_execute_entries_keep_weights_from_being_loaded_under_a_step() -> None:
    """Eight pairs with new weights: with four entries the next pair enters when every earlier result is written.

    Then each preload of 4 cycles stands alone, but the one that begins when the array has long waited for its operands.
    """
    loop = MatmulLoop(4, 4, 32, Matrix(0, 4), Matrix(0x400, 32), Matrix(0x800, 32))
    plenty = hwconfigs.override(TINY, {"dram.bandwidth": 16, "dma.bus": 16})
    few = hwconfigs.override(plenty, {"front_end.execute_entries": 4})
    exposed = [run(spec, loop).units["execute"].stall_cycles.get("exposed preload", 0) for spec in (plenty, few)]
    assert exposed[0] < 4 * 4
    assert 7 * 4 <= exposed[1] <= 8 * 4
    assert run(few, loop).cycles > run(plenty, loop).cycles
