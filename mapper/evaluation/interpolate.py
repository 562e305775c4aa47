"""The time of a program from those of simulated ones that differ from it in addresses alone.

What tells such programs apart is how long the memory needs for each of their works (`MemoryTimes`). A run is not faster
if its memory is slower, and it is slower by no more than its memory is. So each simulated program bounds the time of
another one: by its own time plus all that the memory takes longer there, and by its own less all that it takes less. No
run is shorter than its busiest unit works. Chance differences, as which lines a random victim was, even out: they are
added up over groups of works before they count.

Bank conflicts are no time of the memory: rows that arrive a cycle later may meet every read of the array, or none. A
step of two rows keeps step with them, so that all conflicts come or go; one of many rows meets some in any case. So
``PHASES`` of the rows of a step, as a share of the conflicts, widen the bounds where memory times differ at all. Unless
that is all of them, ``SPREAD`` times the range of the cycles of ``SEEN`` simulated programs is enough that the memory
alone hardly tells from this one: their conflicts came and went as well.

The time lent is the middle of these bounds, and it is lent only where they are close.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulator.arrays import Ints
from simulator.fast_forward.memory_differences import conflicts_that_matter, longer
from simulator.fast_forward.memory_times import LOADS, STORES
from simulator.report import Report, UnitTime
from simulator.units.execute import BANK_CONFLICT, OPERANDS_LATE, ExecuteController
from simulator.units.load import LOADING, LoadController

NOTHING = UnitTime(0, {}, 0)
"""Of a unit that a machine does not have."""

ERROR = 0.006
"""Largest distance of the bounds from a lent time, relative to it."""

UNSEEN = 100
"""Shorter runs, in waits for the DRAM, are always simulated: one wait that no memory time shows is too much of them."""

NEIGHBOURS = 10
"""Shorter runs, in memory times of their longest work, are always simulated where loads of one work meet stores of
another: which of them waits for the other one is in no time of a work, and evens out over many works only. Of four
works (3.3 times the longest), on an L2 of one way and one miss entry, one cycle of difference became 144."""

PHASES = 2
"""Found on an array of 2 x 2 (1.84 % from the exact simulation without, 0.22 with it); no larger one has shown it."""

SEEN, SPREAD = 3, 2.0
"""The range of three values of one distribution is 1.7 of its deviations in the mean. Of twelve heads of BERT-Base with
2,048 tokens an eighth of the conflicts is 1.5 % of the time, and all that were simulated are within 0.3 %."""

LATEST = 8
"""Programs simulated last that are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A program that was simulated."""

    report: Report
    memory_times: Callable[[], Ints]
    """Returns the times of its works in the memory (rows x works) [cycles]."""


def lent(times: Ints, simulated: Sequence[Simulated], wait: int) -> Report | None:
    """Return the report of a program that those of simulated ones tell; None if they do not.

    Parameters
    ----------
    times
        Times of its works in the memory (rows x works) [cycles].
    simulated
        Programs that differ from it in addresses alone.
    wait
        From a request to the DRAM until its data arrive, when nothing else is under way [cycles].
    """
    known = simulated[-LATEST:]
    if not known or known[0].report.cycles < max(UNSEEN * wait, NEIGHBOURS * _longest(times)):
        return None
    cycles = np.array([one.report.cycles for one in known], dtype=np.float64)
    differences = np.stack([times - one.memory_times() for one in known]).astype(np.float64)
    least, most = cycles - longer(-differences), cycles + longer(differences)
    busiest = max(unit.busy_cycles for unit in known[0].report.units.values())
    like = [one.report for one, low, high in zip(known, least, most, strict=True) if _close(low, high)]
    conflicts = np.array([_conflicts(one.report, like) for one in known]) * differences.any(axis=(1, 2))
    least, most = least - conflicts, most + conflicts
    low, high = max(float(least.max()), float(busiest)), float(most.min())
    nearest = int(np.argmin(most - least))
    # Bounds that contradict each other say that the memory times do not tell all.
    if high < low or not _close(low, high):
        return None
    return stretched(known[nearest].report, round((low + high) / 2))


def _longest(times: Ints) -> int:
    """Return how long the memory needs for a work, at most; 0 if no work has a neighbour [cycles]."""
    return int(times[LOADS : STORES + 1].sum(axis=0).max()) if times.shape[1] > 1 else 0


def _close(low: float, high: float) -> bool:
    """Return whether the middle of two bounds is near enough to both."""
    return high - low <= ERROR * (low + high)


def _conflicts(report: Report, like: Sequence[Report]) -> float:
    """Return the bank conflicts that may come or go with the moment at which rows arrive [cycles].

    Parameters
    ----------
    report
        Of the program whose conflicts they are.
    like
        Of those that the memory alone hardly tells from the program asked about.
    """
    array = report.units.get(ExecuteController.name, NOTHING)
    loader = report.units.get(LoadController.name, NOTHING)
    loading = loader.busy_cycles + sum(loader.stall_cycles.get(cause, 0) for cause in LOADING)
    conflicts, waited = (array.stall_cycles.get(cause, 0) for cause in (BANK_CONFLICT, OPERANDS_LATE))
    lost = conflicts_that_matter(conflicts, waited, max(0, report.cycles - loading))
    rows = math.isqrt(report.peak_macs_per_cycle)
    if rows <= PHASES or len(like) < SEEN:
        return lost * PHASES / max(PHASES, rows)
    cycles = [one.cycles for one in like]
    return min(lost * PHASES / rows, SPREAD * (max(cycles) - min(cycles)))


def stretched(report: Report, cycles: int) -> Report:
    """Return a report that takes another time, not less than its busiest unit works; waits are cut if it is shorter."""
    cycles = max(cycles, *(unit.busy_cycles for unit in report.units.values()))
    units = {name: _cut(unit.busy_cycles, unit.stall_cycles, cycles) for name, unit in report.units.items()}
    return replace(report, cycles=cycles, units=units)


def _cut(busy: int, stalls: Mapping[str, int], cycles: int) -> UnitTime:
    rest = cycles - busy
    fitting: dict[str, int] = {}
    for cause, stalled in stalls.items():
        fitting[cause] = min(rest, stalled)
        rest -= fitting[cause]
    return UnitTime(busy, fitting, rest)
