"""What it costs that the misses of neighbouring loops come in bunches.

Tiles narrower than a line share its lines: the first of them misses with every row, the others hit. The time of a loop
is convex in its loads, so that the loops that miss cannot pass on their time to those that hit:

    loads      ████████████ ██ ██ ██ ████████████ ██ ██ ██        average  █████
    array      ▒▒▒▒▒        ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒       ▒▒▒▒▒ ...
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mapper.cost.counts import Visits
from mapper.cost.latency.load_times import Addend, Bunch, Touch
from mapper.cost.latency.loop_times import LoopTimes
from mapper.cost.latency.store_times import Stored
from simulator.arrays import Floats, Ints


class _Loops(NamedTuple):
    """Loops whose loads are alike but for the bunches (columns)."""

    number: Ints
    a: Bunch
    b: Bunch


def bunched_cycles(times: LoopTimes, visits: Visits) -> Floats:
    """Return the cycles by which the loops take longer than loops that all miss as often as their average."""
    trips_m, trips_k, trips_n = visits.trips_m, visits.trips_k, visits.trips_n
    a, b = times.loads.a, times.loads.b
    again_a, again_b = Bunch.even(a[Touch.REFETCH].cycles), Bunch.even(b[Touch.REFETCH].cycles)
    first_a, first_b = times.loads.bunch_a, times.loads.bunch_b
    # A is swept for the first time by the loops of the first tile along n, B by those of the first tile along m.
    kinds = [_Loops((trips_m - 1) * (trips_k - 1), first_a, again_b)]
    if times.problem.transposes_b:
        kinds += [_Loops((trips_k - 1) * (trips_n - 1), again_a, first_b), _Loops(trips_k - 1, first_a, first_b)]
    else:
        kinds += [
            _Loops(trips_k * (trips_n - 1), again_a, first_b),
            _Loops(trips_k - 1, first_a, Bunch.even(b[Touch.FIRST_IN_ROW].cycles)),
        ]
    commands_a = times.usual(times.a_commands(Touch.FIRST))
    commands_b = times.usual(times.b_commands(Touch.FIRST))
    addend = times.spilled * times.usual(times.addend(Addend.PARTIAL_SUMS))
    others = np.maximum(times.usual(times.compute()), _store(times, visits))
    total = np.zeros(len(times.batch))
    for loops in kinds:
        lows, highs = (
            addend + commands_a * of_a + commands_b * of_b
            for of_a, of_b in ((loops.a.holding, loops.b.holding), (loops.a.missing, loops.b.missing))
        )
        # Where both come in bunches, they lie along the same dimension and begin together.
        share = np.maximum(loops.a.share, loops.b.share)
        mean = share * highs + (1.0 - share) * lows
        mixed = share * np.maximum(others, highs) + (1.0 - share) * np.maximum(others, lows)
        total = total + loops.number * np.maximum(0.0, mixed - np.maximum(others, mean))
    return total


def _store(times: LoopTimes, visits: Visits) -> Floats:
    """Return the store cycles of an average loop, or the host's pace if that is slower."""
    result = times.usual(times.stores.cycles(Stored.RESULT))
    partial = times.usual(times.stores.cycles(Stored.RELOADED_SUMS))
    stores: Floats = np.where(times.spilled, partial, result / visits.trips_k)
    return np.maximum(stores, times.spec.host.loop_cycles)
