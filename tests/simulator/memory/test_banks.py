"""Bookkeeping of scratchpad and accumulator banks."""

from __future__ import annotations

from hwconfigs import HardwareSpec, SramSpec
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.scratchpad import ScratchpadBanks


def scratchpad(spec: HardwareSpec, **changes: int) -> ScratchpadBanks:
    return ScratchpadBanks(SramSpec(**(spec.scratchpad.model_dump() | changes)))


def test_rows_belong_to_banks_in_order(tiny: HardwareSpec) -> None:
    banks = scratchpad(tiny)
    assert [banks.bank_of(row) for row in (0, 63, 64, 255)] == [0, 0, 1, 3]


def test_each_row_written_delays_the_step_by_a_cycle(tiny: HardwareSpec) -> None:
    banks = scratchpad(tiny)
    banks.write(0, [9, 10, 11, 14, 15], [1, 1, 4, 1, 1])
    assert banks.delay(0, -1, 10, 14) == 5
    assert banks.delay(0, -1, 14, 20) == 1
    assert banks.delay(0, -1, 0, 100) == 0


def test_rows_of_two_loads_arrive_in_turns(tiny: HardwareSpec) -> None:
    """The second load hits while the first still waits for a line: all that is written in a step delays it."""
    banks = scratchpad(tiny)
    banks.write(0, [1, 20], [1, 1])
    banks.write(0, [5, 6, 25], [1, 1, 1])
    assert banks.delay(0, -1, 0, 10) == 3
    assert banks.delay(0, -1, 10, 30) == 2


def test_a_step_that_reads_two_banks_waits_for_the_busier(tiny: HardwareSpec) -> None:
    banks = scratchpad(tiny)
    banks.write(0, [1], [2])
    banks.write(1, [1], [3])
    assert banks.delay(0, 1, 0, 4) == 3


def test_one_bank_is_counted_once(tiny: HardwareSpec) -> None:
    banks = scratchpad(tiny)
    banks.write(2, [1], [2])
    assert banks.delay(2, 2, 0, 4) == 2


def test_two_ports_never_conflict(tiny: HardwareSpec) -> None:
    banks = scratchpad(tiny, ports=2)
    banks.write(0, [1], [4])
    assert banks.delay(0, -1, 0, 4) == 0


def test_a_store_waits_while_its_bank_accumulates(tiny: HardwareSpec) -> None:
    """Adjacent write-backs leave no gap; the other bank is free."""
    banks = AccumulatorBanks(tiny.accumulator)
    banks.accumulate(0, 10, 14)
    banks.accumulate(0, 14, 18)
    banks.accumulate(0, 30, 34)
    assert banks.window(1, 12) == (12, None)
    assert banks.window(0, 5) == (5, 10)
    assert banks.window(0, 12) == (18, 30)
    assert banks.window(0, 18) == (18, 30)
    assert banks.window(0, 34) == (34, None)


def test_a_load_across_a_bank_border_is_booked_in_both(tiny: HardwareSpec) -> None:
    """Two blocks of four rows from row 60 on, one in each bank of 64: every DRAM row writes one row of each."""
    banks = scratchpad(tiny)
    banks.load(60, 8, [5, 6, 7, 8], [2, 2, 2, 2])
    assert banks.delay(0, -1, 4, 6) == 2
    assert banks.delay(1, -1, 4, 8) == 4
    assert banks.delay(0, -1, 6, 8) == 2
