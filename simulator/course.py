"""The course of a run: which step comes next, and which loops need no simulation because the machine is in a steady
state.

A tiled product repeats one sequence of hardware loops. Its pace is steady when two neighbouring windows of loops of the
same shapes took the same time; loops ahead that have those shapes, and that miss the caches as often, then take that
time too
and are passed over in whole windows. What is counted (requests, misses, energy) always covers every loop; only the
time of the loops passed over
is inferred. ``exact`` switches this off.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.memory.traffic import Traffic
from simulator.program import HostTask
from simulator.units.meter import Meter
from simulator.units.work import Work

Step = Work | HostTask | None
"""What the host does next; None is a fence."""

WINDOW_LOOPS = 4
"""Shortest window whose time is compared [loops]."""

LONGEST_PERIOD = 64
"""Longest repeating sequence that is looked for [loops]."""

FILLING_LOOPS = 3
"""Loops at the start whose pace says nothing: the machine takes in as many as it holds before one has run."""

TIME_TOLERANCE = 0.005
"""Relative difference of the times of two windows that counts as steady (results: see tests/benchmarks)."""

MISS_TOLERANCE = 0.05
"""Relative difference of the misses of a window ahead that is still the same work."""

CYCLES_PER_MISS = 12
"""A window whose misses, at this rate, need under 70 % of its time is bound by the array: more misses change
nothing."""


class Course:
    """Hands out steps in order; passes over loops once their pace is certain.

    Parameters
    ----------
    steps
        The program.
    traffic
        Its memory requests, by work.
    meters
        Time accounts of the units; time passed over is added to them in proportion.
    exact
        Hand out every step.
    """

    def __init__(self, steps: Sequence[Step], traffic: Traffic, meters: Sequence[Meter], *, exact: bool) -> None:
        self._steps = steps
        self._meters = meters
        self._next = 0
        self._works = 0
        self._exact = exact
        self._shapes: list[tuple[int, ...]] = []
        self._misses: list[int] = []
        if not exact:
            self._learn(traffic)
        self._filling = FILLING_LOOPS
        self._times: list[tuple[int, int]] = []
        self._accounts: list[list[tuple[int, dict[str, int]]]] = []
        self.cycles_passed_over = 0
        self.loops_passed_over = 0

    def _learn(self, traffic: Traffic) -> None:
        """Shape and misses of each work, in order."""
        works = [step for step in self._steps if isinstance(step, Work)]
        known: dict[tuple[int, ...], tuple[int, ...]] = {}
        for work, loads in zip(works, traffic.loads, strict=True):
            shape = (
                work.is_loop,
                work.macs,
                len(work.loads),
                len(work.pairs),
                len(work.stores),
                loads.requests,
            )
            self._shapes.append(known.setdefault(shape, shape))
            self._misses.append(loads.misses)

    def next(self, now: int) -> tuple[int, Step] | None:
        """The next step and, for works, its number; None at the end. ``now`` is when the host asks."""
        if self._next == len(self._steps):
            return None
        step = self._steps[self._next]
        if isinstance(step, Work) and step.is_loop and not self._exact:
            self._note(now)
            self._pass_over()
            step = self._steps[self._next]
        elif not isinstance(step, Work):
            self._times.clear()
            self._accounts.clear()
            self._filling = FILLING_LOOPS
        self._next += 1
        if isinstance(step, Work):
            self._works += 1
            return self._works - 1, step
        return -1, step

    def _note(self, now: int) -> None:
        """When the host asks for work ``self._works``, and the accounts at that time."""
        if self._filling:
            self._filling -= 1
            return
        self._times.append((self._works, now))
        self._accounts.append([(meter.busy, dict(meter.stalls)) for meter in self._meters])

    def _pass_over(self) -> None:
        """Skip whole windows ahead if the last two took the same time."""
        here = self._works
        period = self._period(here)
        if not period:
            return
        window = -(-WINDOW_LOOPS // period) * period
        window += window % 2  # halves alternate: an even number of loops keeps their turn
        times = self._times
        if len(times) <= 2 * window or times[-1 - 2 * window][0] != here - 2 * window:
            return
        latest = times[-1][1] - times[-1 - window][1]
        before = times[-1 - window][1] - times[-1 - 2 * window][1]
        if latest <= 0 or abs(latest - before) > TIME_TOLERANCE * latest:
            return
        windows = self._windows_ahead(here, window, latest)
        if windows:
            self._skip(windows, window, latest + before)

    def _period(self, here: int) -> int:
        """Length of the sequence of shapes that ends here and repeats."""
        shapes = self._shapes
        longest = min(LONGEST_PERIOD, here // 2, here - WINDOW_LOOPS)
        for period in range(1, longest + 1):
            if all(shapes[here - 1 - i] is shapes[here - 1 - i - period] for i in range(max(period, WINDOW_LOOPS))):
                return period
        return 0

    def _windows_ahead(self, here: int, window: int, cycles: int) -> int:
        """Whole windows that follow with the same shapes and misses; the last one is left to be simulated."""
        shapes, misses = self._shapes, self._misses
        recent = sum(misses[here - window : here])
        count = 0
        while here + (count + 2) * window <= len(shapes):
            start = here + count * window
            if any(shapes[start + i] is not shapes[here - window + i] for i in range(window)):
                break
            ahead = sum(misses[start : start + window])
            same = abs(ahead - recent) <= MISS_TOLERANCE * max(recent, 1)
            if not same and max(ahead, recent) * CYCLES_PER_MISS > 0.7 * cycles:
                break
            count += 1
        return count

    def _skip(self, windows: int, window: int, cycles_of_two: int) -> None:
        loops = windows * window
        self.cycles_passed_over += round(windows * cycles_of_two / 2)
        self.loops_passed_over += loops
        earlier = self._accounts[-1 - 2 * window]
        for meter, (busy, stalls) in zip(self._meters, earlier, strict=True):
            meter.busy += min(meter.busy - busy, cycles_of_two) * windows // 2
            for cause, cycles in list(meter.stalls.items()):
                meter.stalls[cause] += (cycles - stalls.get(cause, 0)) * windows // 2
        self._next += loops
        self._works += loops
        self._times.clear()
        self._accounts.clear()
