"""Interpolated times: between those of the neighbours, and every unit's account still adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper.evaluation.interpolate import drift, interpolated
from simulator.report import Counts, Report, UnitTime


def report(cycles: int, busy: int, **stalls: int) -> Report:
    """A report of one unit that is idle for the rest of the cycles."""
    units = {"load": UnitTime(busy, stalls, cycles - busy - sum(stalls.values()))}
    return Report("x", "simulate", "m", 1000.0, cycles, Counts(), units, 256)


@pytest.mark.parametrize(
    ("first", "last", "memory_cycles", "share"),
    [(100, 200, 150, 0.5), (200, 100, 175, 0.25), (100, 200, 90, 0.0), (100, 200, 300, 1.0), (100, 100, 130, 0.5)],
)
def test_drift_is_a_share_of_the_way(first: float, last: float, memory_cycles: float, share: float) -> None:
    assert drift(first, last, memory_cycles) == share


def test_halfway_by_hand() -> None:
    """Cycles 100 and 140: 120; busy 50 and 60: 55; latency 20 and 30: 25; a stall of the last alone, 10: 5."""
    between = interpolated(report(100, 50, latency=20), report(140, 60, bus=10, latency=30), 0.5)
    assert between.cycles == 120
    assert between.units["load"] == UnitTime(55, {"bus": 5, "latency": 25}, 35)


@given(st.data(), st.floats(0.0, 1.0))
def test_accounts_add_up(data: st.DataObject, share: float) -> None:
    ends = []
    for _ in range(2):
        parts = data.draw(st.lists(st.integers(0, 50), min_size=4, max_size=4))
        ends.append(report(sum(parts), parts[0], latency=parts[1], bus=parts[2]))
    between = interpolated(ends[0], ends[1], share)
    assert between.units["load"].total_cycles == between.cycles
    assert min(ends[0].cycles, ends[1].cycles) <= between.cycles <= max(ends[0].cycles, ends[1].cycles)
    assert between.units["load"].idle_cycles >= 0
