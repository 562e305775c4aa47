"""The pace of a mapping: how much longer its loops take on the machine than closed forms say.

Closed forms know how long each unit works, less well how far units that wait for one another overlap. So the first
loops of a mapping are simulated, never more than `MOST_LOOPS` and `MOST_COMMANDS`, and what closed forms say of all
that follow is taken at the pace that those show:

    loops      0 1 2 ... half ... last | .................... end
    machine    simulated               | closed forms times the pace
    pace                 '---- of ---'

A mapping of no more loops than that is simulated whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from hwconfigs import HardwareSpec
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from simulator.machine import simulate
from simulator.memory.request_stream import MemoryState

MOST_LOOPS, MOST_COMMANDS = 48, 8_000
"""A command takes 3 to 14 us of CPU time."""

FEWEST_LOOPS = 8
"""Fewer loops show the filling of the machine and no pace; those that are so long leave little to it."""


TRUST = 0.8
"""Of a pace: later loops may be of kinds that the first ones are not. Least squares of the logarithms on 20 random
mappings of more loops than are simulated (`estimate_error.py`, seed 715): 0.82; 95 % of them are then within 5.4 %,
with 1 within 6.3 %, without a pace within 20.5 %."""


Recalled: TypeAlias = Callable[[int | None, Callable[[], int]], int]
"""Takes a number of loops (None: all, and the fence behind them) and what simulates them; returns their cycles."""


def _simulated(_: int | None, cycles: Callable[[], int]) -> int:
    return cycles()


@dataclass(slots=True)
class Pace:
    """Of one mapping, and of those that differ from it in addresses alone; unknown until the first is estimated."""

    ratio: float | None = None
    """Cycles by those of closed forms."""
    recalled: Recalled = field(default=_simulated, repr=False)
    """Asks for the cycles of the first loops, which another run may have simulated."""


class Elapsed(NamedTuple):
    """What closed forms say of some loops [cycles]."""

    cycles: float
    array: float
    """In which the array works."""

    @property
    def waits(self) -> float:
        """In which it does not."""
        return max(0.0, self.cycles - self.array)

    def less(self, earlier: Elapsed) -> Elapsed:
        """Return what came since."""
        return Elapsed(self.cycles - earlier.cycles, self.array - earlier.array)


@dataclass(frozen=True, slots=True)
class Sample:
    """Two times as many of the first loops of a mapping, each alone on the machine."""

    half: int
    last: int
    """Loops."""
    half_cycles: int
    last_cycles: int
    whole: bool
    """These are all loops, and the fence."""

    def cycles(self, closed_form: Elapsed, until: Callable[[int], Elapsed], least: float) -> float:
        """Return the cycles of the whole mapping.

        Parameters
        ----------
        closed_form
            What closed forms say of it, from the first loop on.
        until
            Returns what they say of so many of its first loops.
        least
            Cycles that no pace stays below.
        """
        if self.whole:
            return float(self.last_cycles)
        before, after = until(self.half), until(self.last)
        expected, ahead = after.less(before), closed_form.less(after)
        found = float(self.last_cycles - self.half_cycles)
        # A machine that is faster than closed forms overlaps more of what its array waits for; its array is no faster.
        if found < expected.cycles:
            pace = max(0.0, found - expected.array) / max(1.0, expected.waits)
            rest = ahead.array + ahead.waits * math.pow(pace, TRUST)
        else:
            rest = ahead.cycles * math.pow(found / max(1.0, expected.cycles), TRUST)
        return max(least, self.last_cycles + rest)


def sample_size(loop: HardwareLoop, loops: int) -> int:
    """Return how many of a mapping's loops are simulated; 0: they are too long for that."""
    m, k, n = loop.tiles
    commands = m * k * n + m * k + k * n + m * n
    size = min(MOST_LOOPS, MOST_COMMANDS // commands)
    return min(size, loops) if size >= min(FEWEST_LOOPS, loops) else 0


def sample(
    loop: HardwareLoop,
    problem: MatmulProblem,
    spec: HardwareSpec,
    memory: MemoryState,
    recalled: Recalled = _simulated,
) -> Sample | None:
    """Simulate the first loops of a mapping in caches that stay as they are; None if its loops are too long."""
    trips = dict(zip(DIMS, MapSpace(problem, spec).tile_counts(loop), strict=True))
    loops = math.prod(trips.values())
    size = sample_size(loop, loops)
    if not size:
        return None

    def simulated(first: int | None) -> int:
        return simulate(lower_matmul(problem, loop, spec, first=first), spec, memory=memory.copy(), exact=True).cycles

    def cycles(first: int | None) -> int:
        return recalled(first, lambda: simulated(first))

    if size == loops:
        return Sample(0, size, 0, cycles(None), whole=True)
    # Whole periods: what ends each of them is then in either half as often.
    period = 1
    for name in reversed(loop.order):
        if 2 * period * trips[name] > size:
            break
        period *= trips[name]
    half, last = size // period // 2 * period, size // period * period
    return Sample(half, last, cycles(half), cycles(last), whole=False)
