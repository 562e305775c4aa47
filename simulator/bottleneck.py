"""What bounds a run: two rules for the ``bound`` of a report, read from one table of units.

A simulation knows what the array waited for; an estimate knows only how long each unit works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from simulator.report import UnitTime
from simulator.units import ARRAY, BOUNDS, BY_NAME, UNITS
from simulator.units.unit import Unit


def bound_of_simulation(times: Mapping[str, UnitTime]) -> str:
    """Return which of ``simulator.units.BOUNDS`` takes most of the array's time.

    The array's time is divided by what it did: steps, and waits that are charged to the unit that was late. Time in
    which it had nothing to do goes to the unit that worked most meanwhile.

    Parameters
    ----------
    times
        Cycle account of every unit, by name.
    """
    array = times[ARRAY.name]
    shares = dict.fromkeys(BOUNDS, 0)
    shares[ARRAY.bound] = array.busy_cycles
    for stall in ARRAY.stalls:
        if stall.charged_to:
            shares[BY_NAME[stall.charged_to].bound] += array.stall_cycles.get(stall.cause, 0)
    meanwhile: Counter[str] = Counter()
    for unit in UNITS:
        if unit is not ARRAY:
            meanwhile[unit.bound] += _own_work(unit, times)
    shares[max(meanwhile, key=lambda bound: meanwhile[bound])] += array.idle_cycles
    return max(shares, key=lambda bound: shares[bound])


def bound_of_estimate(work: Mapping[type[Unit], int]) -> str:
    """Return the bound of the unit that works, or waits for the memory, longest.

    Parameters
    ----------
    work
        Cycles of each unit, waits for the memory included; units that are missing do nothing.
    """
    return max(UNITS, key=lambda unit: work.get(unit, 0)).bound


def working_cycles(unit: type[Unit], time: UnitTime) -> int:
    """Return the cycles in which a unit works or waits for the memory on behalf of its own commands."""
    waits = sum(time.stall_cycles.get(stall.cause, 0) for stall in unit.stalls if stall.counts_as_work)
    return time.busy_cycles + waits


def _own_work(unit: type[Unit], times: Mapping[str, UnitTime]) -> int:
    """Work of a unit without that of the units inside it, which it only waits for."""
    inside = sum(times[inner.name].busy_cycles for inner in UNITS if inner.inside == unit.name)
    return working_cycles(unit, times[unit.name]) - inside
