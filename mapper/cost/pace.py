"""The pace of a mapping: how much longer its loops take on the machine than closed forms say.

Closed forms know how long each unit works, less well how far units that wait for one another overlap. So some loops of
a mapping are simulated: the first ones, and stretches that are spread over all of them, in the caches as they are then.
What closed forms say of the others is taken at the pace that those stretches show:

    loops      0 1 2 . . . . . . . . . . . . . . . . . . . . . . end
    machine    first        +++---         +++---         +++---
    pace                       '- of         '- these      '- loops, behind some that fill the machine

A mapping of few loops is simulated whole. The work is bounded: `MOST_LOOPS` and `MOST_COMMANDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from hwconfigs import HardwareSpec
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState

MOST_LOOPS, MOST_COMMANDS = 96, 12_000
"""That are simulated. A command takes 3 to 14 us of CPU time."""

FEWEST_LOOPS = 12
"""Fewer loops show the filling of the machine and no pace; those that are so long leave little to it."""

FIRST_SHARE = 6
"""One of so many simulated loops is among the first ones: their filling is in no stretch."""

FILLING = 3
"""Loops ahead of those whose pace counts: the machine takes in two, and the third waits as all others do."""

MEASURED = 6
"""Loops whose pace counts, at least, in each of several stretches."""

FEWEST_STRETCHES, MOST_STRETCHES = 2, 4
"""As many as the budget allows of whole periods, and of `MEASURED` loops. On 100 random mappings of more loops than are
simulated (`estimate_error.py`, seed 712) half of the errors are below 0.1 %, 95 % below 4.2 % and all below 6.3 %; on
50 others, of 200 to 972 loops, below 0.3, 2.3 and 6.3 %."""

SCATTER = (math.sqrt(5) - 1) / 2
"""Golden ratio: parts of its multiples fall where the last ones left most room."""

Recalled: TypeAlias = Callable[[range | None, Callable[[], int]], int]
"""Takes some loops (None: all, and the fence behind them) and what simulates them; returns their cycles."""


def _simulated(_: range | None, cycles: Callable[[], int]) -> int:
    return cycles()


@dataclass(slots=True)
class Pace:
    """Of one mapping, and of those that differ from it in addresses alone; unknown until the first is estimated."""

    ratio: float | None = None
    """Cycles by those of closed forms."""
    recalled: Recalled = field(default=_simulated, repr=False)
    """Asks for the cycles of some loops, which another run may have simulated."""


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


class Stretch(NamedTuple):
    """Loops that are simulated one after another; the pace is that from ``begin`` on."""

    first: int
    begin: int
    end: int

    @property
    def filling(self) -> range:
        """Loops before those whose pace counts."""
        return range(self.first, self.begin)

    @property
    def loops(self) -> range:
        """All loops."""
        return range(self.first, self.end)


@dataclass(frozen=True, slots=True)
class Sample:
    """Some loops of a mapping, each stretch of them alone on the machine."""

    first: range
    first_cycles: int
    stretches: tuple[Stretch, ...] = ()
    """None: the first loops are all loops, and the fence."""
    cycles_found: tuple[int, ...] = ()
    """Of the loops of each stretch that count."""

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
        if not self.stretches:
            return float(self.first_cycles)
        ahead = closed_form.less(until(len(self.first)))
        parts = [until(one.end).less(until(one.begin)) for one in self.stretches]
        expected = Elapsed(sum(part.cycles for part in parts), sum(part.array for part in parts))
        found = float(sum(self.cycles_found))
        # A machine that is faster than closed forms overlaps more of what its array waits for; its array is no faster.
        if found < expected.cycles:
            rest = ahead.array + ahead.waits * max(0.0, found - expected.array) / max(1.0, expected.waits)
        else:
            rest = ahead.cycles * found / max(1.0, expected.cycles)
        return max(least, self.first_cycles + rest)


@dataclass(slots=True)
class _Caches:
    """The caches as the loops of a mapping leave them, found without the time of those loops."""

    loop: HardwareLoop
    problem: MatmulProblem
    spec: HardwareSpec
    memory: MemoryState
    """Before the loop ``_done``, advanced."""
    _done: int = 0

    def before(self, part: range | None) -> MemoryState:
        """Return a copy of the caches before some loops, which do not begin ahead of those asked for last."""
        first = 0 if part is None else part.start
        if first > self._done and self.spec.l2 is not None:
            between = lower_matmul(self.problem, self.loop, self.spec, part=range(self._done, first))
            count(between, self.spec, self.memory)
            self._done = first
        return self.memory.copy()


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
    """Simulate some loops of a mapping in caches that stay as they are; None if its loops are too long."""
    trips = dict(zip(DIMS, MapSpace(problem, spec).tile_counts(loop), strict=True))
    loops = math.prod(trips.values())
    size = sample_size(loop, loops)
    if not size:
        return None
    caches = _Caches(loop, problem, spec, memory.copy())

    def cycles(part: range | None) -> int:
        def simulated() -> int:
            program = lower_matmul(problem, loop, spec, part=part)
            return simulate(program, spec, memory=caches.before(part), exact=True).cycles

        return recalled(part, simulated)

    if size == loops:
        return Sample(range(size), cycles(None))
    first = range(max(FILLING, size // FIRST_SHARE))
    stretches = tuple(spread(range(len(first), loops), size - len(first), [trips[name] for name in loop.order]))
    return Sample(first, cycles(first), stretches, tuple(cycles(one.loops) - cycles(one.filling) for one in stretches))


def spread(ahead: range, size: int, trips: Sequence[int]) -> Iterator[Stretch]:
    """Yield stretches of so many loops in all, spread over the loops ahead; ``trips``: of the mapping, outer first."""
    # The loops that fill the machine are simulated twice: alone, and ahead of the others.
    longest = max(1, size // FEWEST_STRETCHES - 2 * FILLING)
    # Whole periods: what ends each of them, as a short last tile and its stores, is then in each stretch as often.
    period = 1
    for trip in reversed(trips):
        if period * trip > longest:
            break
        period *= trip
    number = max(1, min(MOST_STRETCHES, size // (2 * FILLING + max(MEASURED, period))))
    most = max(1, size // number - 2 * FILLING)
    length = min(max(1, most // period) * period, len(ahead))
    for place in range(number):
        # Not at equal distances, which may all be at one place of a longer period.
        share = (place + (place + 1) * SCATTER % 1.0) / number
        begin = ahead.start + round((len(ahead) - length) * share)
        yield Stretch(begin - FILLING, begin, begin + length)
