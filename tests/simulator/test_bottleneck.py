"""The two rules for what bounds a run, by cycle accounts small enough to read."""

from __future__ import annotations

import pytest

from simulator.bottleneck import bound_of_estimate, bound_of_simulation, working_cycles
from simulator.report import UnitTime
from simulator.units import BOUNDS, UNIT_NAMES
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.normaliser import Normaliser
from simulator.units.store import StoreController

CYCLES = 100


def accounts(**busy: int) -> dict[str, UnitTime]:
    """Accounts over 100 cycles in which units do nothing but work."""
    return {name: UnitTime(busy.get(name, 0), {}, CYCLES - busy.get(name, 0)) for name in UNIT_NAMES}


def array(busy: int, **stalls: int) -> UnitTime:
    causes = {cause.replace("_", " "): cycles for cause, cycles in stalls.items()}
    return UnitTime(busy, causes, CYCLES - busy - sum(stalls.values()))


@pytest.mark.parametrize(
    ("time", "bound"),
    [
        (array(60, load=40), "compute"),
        (array(30, load=25, bank_conflict=10, exposed_preload=10, store=25), "load"),
        (array(40, store=60), "store"),
        (array(40, issue=60), "host"),
        # A result that is still in the array is nobody's fault; a tie goes to the array.
        (array(20, result=50, load=15, store=15), "compute"),
        (array(50, load=50), "compute"),
    ],
)
def test_the_time_of_the_array_is_divided(time: UnitTime, bound: str) -> None:
    assert bound_of_simulation(accounts() | {"execute": time}) == bound


@pytest.mark.parametrize(
    ("busy", "bound"),
    [
        ({"load": 40, "store": 30}, "load"),
        ({"load": 40, "store": 60}, "store"),
        # The store controller waits while the normaliser works: 70 - 50 cycles are its own.
        ({"load": 40, "store": 70, "normaliser": 50}, "normaliser"),
        ({"host": 40, "load": 40}, "host"),
    ],
)
def test_idle_time_goes_to_the_unit_that_worked_most(busy: dict[str, int], bound: str) -> None:
    assert bound_of_simulation(accounts(**busy)) == bound


def test_waits_for_the_memory_are_work_of_the_load_unit() -> None:
    time = UnitTime(10, {"load latency": 50, "operands in use": 20}, 20)
    assert working_cycles(LoadController, time) == 60
    assert bound_of_simulation(accounts(store=50) | {"load": time}) == "load"


def test_an_estimate_is_bound_by_the_unit_that_works_longest() -> None:
    """Of two that work equally long, the one that reports list first."""
    assert bound_of_estimate({Host: 5, LoadController: 7, ExecuteController: 9}) == "compute"
    assert bound_of_estimate({StoreController: 3, Normaliser: 4}) == "normaliser"
    assert bound_of_estimate({LoadController: 9, ExecuteController: 9}) == "load"


def test_bounds_in_the_order_that_decides_ties() -> None:
    assert BOUNDS == ("compute", "load", "store", "normaliser", "host")
