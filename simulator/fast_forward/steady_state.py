"""Steady-state fast-forward: loops whose time is certain are passed over instead of simulated.

A tiled product repeats one sequence of hardware loops. Its pace is steady when two neighbouring windows of loops of the
same shapes took the same time. Loops ahead that have those shapes, and that use the memory as long, then take that time
too and are passed over in whole windows:

    loops       A A A B  A A A B  A A A B  A A A B  A A A B  C
    simulated   |-- window --|-- window --|                  |-- simulated again
                  as long as this one        passed over

A window may itself hold loops that were passed over: once two tiles took the same time, so do the tiles after them.
What is counted (requests, misses, energy) always covers every loop; only the time of the loops passed over is inferred.
``exact`` switches this off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.arrays import Floats
from simulator.cycle_account import CycleAccount
from simulator.fast_forward.periods import Period, periods
from simulator.frontend.command_queues import CommandQueues
from simulator.memory.recurrences import BEATS
from simulator.memory.request_stream import Traffic
from simulator.program import HostTask

Step = CommandQueues | HostTask | None
"""What the host does next; None is a fence."""

WINDOW_LOOPS = 4
"""Shortest window whose time is compared [loops]."""

FILLING_LOOPS = 3
"""Loops at the start whose pace says nothing: the machine takes in as many as it holds before one has run."""

TIME_TOLERANCE = 0.005
"""Relative difference of the times of two windows that counts as steady (results: see tests/benchmarks)."""

BUSY_TOLERANCE = 0.05
"""Difference of a unit's busy cycles in two windows, relative to their time, that counts as steady."""

MEMORY_TOLERANCE = 0.05
"""Relative difference of the use of the memory, by a window ahead, that is still the same work."""

DRIFT_TOLERANCE = 0.015
"""The same for the mean of all windows passed over at once: chance evens out, a drift does not."""

FULL, FULL_SLACK = 0.98, 2.0
"""A unit that is busy for this share of the time sets the pace: both tolerances are then twice as wide."""

MEMORY_BOUND = 0.6
"""A window that uses the memory for less than this share of its time is not bound by it: more use changes nothing."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """State of the accounts when the host asked for a work."""

    time: int
    """When it asked, cycles passed over included."""
    accounts: list[tuple[int, dict[str, int]]]
    """Busy cycles and stalls of each unit."""


class FastForward:
    """Hands out steps in order; passes over loops once their pace is certain.

    Parameters
    ----------
    steps
        The program.
    traffic
        Its memory requests, by work.
    memory_cycles
        Time of each request in memory.
    accounts
        Cycle accounts of the units; time passed over is added to them in proportion.
    exact
        Hand out every step.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        traffic: Traffic,
        memory_cycles: Floats,
        accounts: Sequence[CycleAccount],
        *,
        exact: bool,
    ) -> None:
        self._steps = steps
        self._accounts = accounts
        self._next = 0
        self._works = 0
        self._exact = exact
        self._shapes: list[int] = []
        self._memory = [np.zeros(1), np.zeros(1)]
        self._halves: list[tuple[int, int, int]] = []
        self._periods: list[Period] = []
        if not exact:
            self._learn(traffic, memory_cycles)
        self._filling = FILLING_LOOPS
        self._snapshots: dict[int, _Snapshot] = {}
        self.cycles_passed_over = 0
        self.loops_passed_over = 0

    def _learn(self, traffic: Traffic, memory_cycles: Floats) -> None:
        """Shape of each work, as a number; time in memory and bus beats of all works before it."""
        works = [step for step in self._steps if isinstance(step, CommandQueues)]
        known: dict[tuple[int, ...], int] = {}
        for work in works:
            parts = (work.is_loop, work.macs, len(work.loads), len(work.pairs), len(work.stores))
            self._shapes.append(known.setdefault(parts, len(known)))
        beats = traffic.table[BEATS].astype(np.float64)
        for measure, of_request in enumerate((memory_cycles, beats)):
            before = np.concatenate(([0.0], np.cumsum(of_request)))
            pairs = zip(traffic.loads, traffic.stores, strict=True)
            of_work = [sum(before[part.starts[-1]] - before[part.starts[0]] for part in pair) for pair in pairs]
            self._memory[measure] = np.cumsum([0.0, *of_work])
        self._periods = periods(self._shapes)
        self._halves = [work.halves for work in works]

    def next(self, now: int) -> tuple[int, Step] | None:
        """The next step and, for works, its number; None at the end. ``now`` is when the host asks."""
        if self._next == len(self._steps):
            return None
        step = self._steps[self._next]
        if isinstance(step, CommandQueues) and step.is_loop and not self._exact:
            self._record(now)
            self._pass_over()
            step = self._steps[self._next]
        elif not isinstance(step, CommandQueues):
            self._snapshots.clear()
            self._filling = FILLING_LOOPS
        self._next += 1
        if isinstance(step, CommandQueues):
            self._works += 1
            return self._works - 1, step
        return -1, step

    def _record(self, now: int) -> None:
        """When the host asks for work ``self._works``, and the accounts at that time."""
        if self._filling:
            self._filling -= 1
            return
        accounts = [(account.busy, dict(account.stalls)) for account in self._accounts]
        self._snapshots[self._works] = _Snapshot(now + self.cycles_passed_over, accounts)

    def _pass_over(self) -> None:
        """Skip whole windows ahead if the last two took the same time; of several periods, take what skips most."""
        work, best = self._works, (0, 0, 0)
        for period in self._periods:
            window = -(-WINDOW_LOOPS // period.length) * period.length
            # Two windows are compared; nothing stands before their first period that it would have to equal.
            if period.behind[work] < 2 * window - period.length:
                continue
            if not self._steady(work, window):
                continue
            windows = self._windows_ahead(work, window, int(period.ahead[work]))
            # The loop after them runs in the place of the loop they begin with, behind loops in the other halves of the
            # memories: it must use the same halves.
            while windows and self._halves[work + windows * window] != self._halves[work]:
                windows -= 1
            best = max(best, (windows * window, windows, window))
        if best[0]:
            self._skip(best[1], best[2])

    def _steady(self, work: int, window: int) -> bool:
        """Whether the last two windows took the same time, and kept every unit equally busy."""
        now, middle, start = (self._snapshots.get(work - back * window) for back in range(3))
        if now is None or middle is None or start is None:
            return False
        latest, before = now.time - middle.time, middle.time - start.time
        if latest <= 0 or abs(latest - before) > TIME_TOLERANCE * latest:
            return False
        busy = ([busy for busy, _ in snapshot.accounts] for snapshot in (now, middle, start))
        # The second difference: busy cycles of the latest window less those of the one before it.
        return all(abs(c - 2 * b + a) <= BUSY_TOLERANCE * latest for c, b, a in zip(*busy, strict=True))

    def _windows_ahead(self, work: int, window: int, same: int) -> int:
        """Return how many windows among the next ``same`` works are alike; the last few works are left to run."""
        now, earlier = self._snapshots[work], self._snapshots[work - 2 * window]
        cycles = (now.time - earlier.time) // 2
        busiest = max(end - start for (end, _), (start, _) in zip(now.accounts, earlier.accounts, strict=True))
        # A unit that is always busy sets the pace, whatever the memory does meanwhile.
        slack = FULL_SLACK if busiest >= 2 * FULL * cycles else 1.0
        most = min(same // window, (len(self._shapes) - work - WINDOW_LOOPS) // window)
        for before in self._memory:
            most = min(most, _alike(before, work, window, most, cycles, slack))
        return most

    def _skip(self, windows: int, window: int) -> None:
        """Pass over some windows; each is assumed to last the mean time of the last two."""
        now, earlier = self._snapshots[self._works], self._snapshots[self._works - 2 * window]
        two = now.time - earlier.time
        for account, (busy, stalls) in zip(self._accounts, earlier.accounts, strict=True):
            # Work may have been booked ahead of the time it is done: no unit is busy for longer than the windows last.
            account.busy += min(account.busy - busy, two) * windows // 2
            for cause, cycles in list(account.stalls.items()):
                account.stalls[cause] += (cycles - stalls.get(cause, 0)) * windows // 2
        loops, clock = windows * window, now.time - self.cycles_passed_over
        self.cycles_passed_over += round(windows * two / 2)
        self.loops_passed_over += loops
        self._next += loops
        self._works += loops
        self._record(clock)


def _alike(before: Floats, work: int, window: int, most: int, cycles: int, slack: float) -> int:
    """Return how many of ``most`` windows from ``work`` on use the memory as the two before do, or use it little.

    Parameters
    ----------
    before
        Use of the memory by all works before each [cycles].
    work, window, most
        The first work ahead, works of a window, and windows that are looked at.
    cycles
        Time of a window.
    slack
        Factor by which the tolerances are wider.
    """
    recent = float(before[work] - before[work - 2 * window]) / 2
    alike = 0
    for count in range(1, most + 1):
        end = work + count * window
        ahead = float(before[end] - before[end - window])
        bound = max(ahead, recent) > MEMORY_BOUND * cycles
        if bound and abs(ahead - recent) > slack * MEMORY_TOLERANCE * recent:
            break
        # One window may differ by chance; the mean of all must not drift away.
        if not bound or abs(float(before[end] - before[work]) / count - recent) <= slack * DRIFT_TOLERANCE * recent:
            alike = count
    return alike
