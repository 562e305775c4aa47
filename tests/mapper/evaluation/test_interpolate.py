"""Lent times: between the bounds that simulated programs set, and every unit's account still adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper.evaluation.interpolate import Simulated, lent, stretched
from simulator.report import Counts, Report, UnitTime


def report(cycles: int, busy: int, **stalls: int) -> Report:
    """A report of one unit that is idle for the rest of the cycles."""
    units = {"load": UnitTime(busy, stalls, cycles - busy - sum(stalls.values()))}
    return Report("x", "simulate", "m", 1000.0, cycles, Counts(), units, 256)


def simulated(cycles: int, *times: int, busy: int = 0) -> Simulated:
    return Simulated(report(cycles, busy), lambda: np.array([times]))


def cycles(times: list[int], *known: Simulated, wait: int = 1) -> int | None:
    """The time lent to a program of one row of works."""
    result = lent(np.array([times]), known, wait)
    return None if result is None else result.cycles


def test_equal_memory_times_lend_the_time() -> None:
    assert cycles([50, 50], simulated(1000, 50, 50)) == 1000


def test_half_of_a_small_difference_is_added() -> None:
    """8 cycles more of the memory: 1,000 to 1,008."""
    assert cycles([54, 54], simulated(1000, 50, 50)) == 1004


def test_a_large_difference_lends_nothing() -> None:
    """Bounds of 1,000 and 1,020 are 1 % from their middle."""
    assert cycles([60, 60], simulated(1000, 50, 50)) is None


def test_faster_and_slower_works_do_not_cancel_in_a_short_run() -> None:
    assert cycles([40, 60], simulated(1000, 50, 50)) is None


def test_bounds_of_two_programs_are_closer_than_those_of_one() -> None:
    """At least the 1,000 of the first, at most the 1,010 of the second."""
    known = simulated(1000, 50, 50), simulated(1010, 80, 50)
    assert cycles([65, 50], *known) == 1005
    assert cycles([65, 50], known[0]) is None


def test_no_run_is_shorter_than_its_busiest_unit_works() -> None:
    """The memory is 100 cycles faster, but the array works for 995 of 1,000 cycles."""
    assert cycles([0, 0], simulated(1000, 50, 50, busy=995)) == 998
    assert cycles([0, 0], simulated(1000, 50, 50, busy=900)) is None


def test_contradictions_lend_nothing() -> None:
    """Two programs of equal memory times took different times: something else decides."""
    assert cycles([50, 50], simulated(1000, 50, 50), simulated(1050, 50, 50)) is None


def with_conflicts(one: Simulated, lost: int, side: int) -> Simulated:
    """The same program, whose array of some rows loses cycles to bank conflicts."""
    array = UnitTime(0, {"bank conflict": lost}, one.report.cycles - lost)
    return replace(one, report=replace(one.report, units={"execute": array}, peak_macs_per_cycle=side * side))


@pytest.mark.parametrize(("side", "expected"), [(2, None), (16, 1002)])
def test_bank_conflicts_of_a_small_array_lend_nothing(side: int, expected: int | None) -> None:
    """20 cycles of conflicts may all come or go on an array of 2 x 2, and 2.5 of them on one of 16 x 16."""
    known = with_conflicts(simulated(1000, 50, 50), 20, side)
    assert cycles([52, 52], known) == expected
    assert cycles([50, 50], known) == 1000


@pytest.mark.parametrize(
    ("side", "known", "expected"),
    [(16, (1000, 1001, 1001), 1002), (16, (1000, 1001), None), (16, (1000, 1010, 1020), None),
     (2, (1000, 1001, 1001), None)],
)  # fmt: skip
def test_three_programs_tell_how_far_conflicts_come_and_go(
    side: int, known: tuple[int, ...], expected: int | None
) -> None:
    """Of 200 cycles of conflicts 25 count, until three programs like this one were within one cycle of each other."""
    times = ((50, 50), (51, 50), (50, 51))
    programs = [with_conflicts(simulated(took, *at), 200, side) for took, at in zip(known, times, strict=False)]
    assert cycles([51, 51], *programs) == expected


@pytest.mark.parametrize(("longest", "expected"), [(100, 1000), (101, None)])
def test_neighbours_in_the_memory_are_too_much_of_a_run_of_few_works(longest: int, expected: int | None) -> None:
    """Ten times the longest work; one work alone has no neighbour."""
    assert cycles([longest, 10], simulated(1000, longest, 10)) == expected
    assert cycles([longest], simulated(1000, longest)) == 1000


def test_short_runs_are_simulated() -> None:
    assert cycles([50, 50], simulated(1000, 50, 50), wait=11) is None
    assert cycles([50, 50]) is None


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.integers(-200, 200))
def test_accounts_add_up(parts: list[int], more: int) -> None:
    whole = report(sum(parts), parts[0], latency=parts[1], bus=parts[2])
    other = stretched(whole, whole.cycles + more)
    assert other.units["load"].total_cycles == other.cycles == max(parts[0], whole.cycles + more)
    assert other.units["load"].busy_cycles == parts[0]
    assert other.units["load"].idle_cycles >= 0


@pytest.mark.parametrize("more", [0, 30])
def test_waits_are_kept_where_they_fit(more: int) -> None:
    other = stretched(report(100, 50, latency=20, bus=10), 100 + more)
    assert other.units["load"] == UnitTime(50, {"latency": 20, "bus": 10}, 20 + more)
