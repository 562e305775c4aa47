"""Steady-state fast-forward: loops whose time is certain are passed over instead of simulated.

A tiled product repeats one sequence of hardware loops. Its pace is steady when two neighbouring windows of loops of the
same shapes took the same time. Loops ahead that have those shapes, and that need the memory as long, then take that
time too and are passed over in whole windows:

    loops       A A A B  A A A B  A A A B  A A A B  A A A B  C
    simulated   |-- window --|-- window --|                  |-- simulated again
                  as long as this one        passed over

A window may itself hold loops that were passed over: once two tiles took the same time, so do the tiles after them.
What is counted (requests, misses, energy) always covers every loop; only the time of the loops passed over is inferred.
``exact`` switches this off.

How long a loop needs the memory is found by putting its requests through it (`MemoryTimes`). Alike are windows whose
difference in time is bounded below a tolerance by one of two arguments:

- a window is slower or faster by no more than its memory is (`simulator.fast_forward.memory_differences`);
- it is faster by no more than the time in which the busiest unit did nothing, and slower by no more than memory times
  exceed what did not hold that unit up: those that were seen, and for loads as much again as they have been early.

What a window met is what the units were done with in it: the host asks for loops well before they load and store. What
loops under way need has held nothing up yet, lends no time, and is met behind the windows that are passed over: they
have to be alike as well.

Neither argument holds for conflicts in the banks of the scratchpad: single cycles decide which rows meet. Where memory
times are not equal, all the time of such conflicts counts as a difference, unless the loads alone set the pace.

Error: passed-over windows are at most `Tolerances.mean` off in the mean by these bounds, and the windows that lend
their time differ by at most `Tolerances.time` from each other, so by half of it from their mean: 0.75 % in all where
only what is `CERTAIN` is passed over. Mappings that are only compared are judged by a `STRETCH` of their loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simulator.arrays import Floats, Ints
from simulator.cycle_account import CycleAccount
from simulator.fast_forward.memory_differences import conflicts_that_matter
from simulator.fast_forward.memory_times import STORES, MemoryTimes
from simulator.fast_forward.pace import Pace, Tolerances
from simulator.fast_forward.periods import Period, periods
from simulator.frontend.command_queues import CommandQueues
from simulator.frontend.loop_works import Step, templates

FILLING_LOOPS = 3
"""Loops at the start whose pace says nothing: the machine takes in as many as it holds before one has run."""

MOST_TOGETHER = 256
"""Windows that are compared in one go: enough to keep numpy busy, and few megabytes."""

CERTAIN = Tolerances(time=0.005, busy=0.05, window=0.05, mean=0.005, conflicts_differ=True, loops=4)
"""What the default simulation passes over (results: see tests/benchmarks/default_against_exact.py)."""

STRETCH = Tolerances(time=0.01, busy=0.1, window=0.2, mean=0.02, conflicts_differ=False, loops=2)
"""What is enough to tell mappings apart, when each is judged by a stretch of its loops."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """State of the accounts when the host asked for a work."""

    time: int
    """When it asked, cycles passed over included."""
    accounts: list[tuple[int, dict[str, int]]]
    """Busy cycles and stalls of each unit."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Stalls that tell whether windows ahead may differ, by the index of their account."""

    loader: int
    loading: tuple[str, ...]
    """While a load is under way."""
    array: int
    conflict: str
    """While rows that are written keep others of their bank from being read."""
    awaiting: str
    """While the array waits for loads."""
    uses_loads: str
    """The unit that waits for loads: loads of works that it is done with have held up what they could."""
    stores: str
    """The unit of which the same holds for stores."""


class FastForward:
    """Hands out steps in order; passes over loops once their pace is certain.

    Parameters
    ----------
    steps
        The program.
    times
        How long each of its works needs the memory.
    accounts
        Cycle accounts of the units; time passed over is added to them in proportion.
    watched
        Stalls that matter.
    tolerances
        What counts as alike; None: hand out every step.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        times: MemoryTimes,
        accounts: Sequence[CycleAccount],
        watched: Watched,
        tolerances: Tolerances | None,
    ) -> None:
        self.steps = steps
        self._accounts = accounts
        self._watched = watched
        self._next = 0
        self._works = 0
        self._tolerances = tolerances
        self._shapes: list[int] = []
        self._halves: list[tuple[int, int, int]] = []
        self._periods: list[Period] = []
        self._times = times
        if tolerances is not None:
            self._learn(templates(steps))
        self._filling = FILLING_LOOPS
        self._snapshots: dict[int, _Snapshot] = {}
        self._leads: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        """When the array began each work, the last one last."""
        self._handed_out = 0
        """Works that were handed out, those passed over not counted."""
        self._done: Counter[str] = Counter()
        """How many of them each unit is done with."""
        self.cycles_passed_over = 0
        self.loops_passed_over = 0
        self.is_certain = True
        """Nothing was passed over that the default simulation would not pass over as well."""

    def _learn(self, works: Sequence[CommandQueues]) -> None:
        """Number the shapes of the works, and find where they repeat."""
        layouts: dict[int, int] = {}
        known: dict[tuple[object, ...], int] = {}
        for work in works:
            # Works that differ in addresses alone share the list of their pairs' rows.
            layout = id(work.pairs.rows)
            if layout not in layouts:
                layouts[layout] = known.setdefault(_shape(work), len(known))
            self._shapes.append(layouts[layout])
        self._periods = periods(self._shapes)
        self._halves = [work.halves for work in works]

    def begins(self, work: int, now: int, lead: int | None) -> None:
        """Take note that the array begins a work, and for how long its loads have been complete. [cycles]"""
        self._begun[work] = now
        if lead is not None:
            self._leads[work] = lead

    def done(self, unit: str) -> None:
        """Take note that a unit is done with one more work."""
        self._done[unit] += 1

    def next(self, now: int) -> tuple[int, Step] | None:
        """The next step and, for works, its number; None at the end. ``now`` is when the host asks."""
        if self._next == len(self.steps):
            return None
        step = self.steps[self._next]
        if isinstance(step, CommandQueues) and step.is_loop and self._tolerances is not None:
            ahead = self._next
            self._record(now)
            self._pass_over()
            if self._next != ahead:
                step = self.steps[self._next]
        elif not isinstance(step, CommandQueues):
            self._snapshots.clear()
            self._filling = FILLING_LOOPS
        self._next += 1
        if isinstance(step, CommandQueues):
            self._works += 1
            self._handed_out += 1
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
        work, best, tolerances, under_way = self._works, (0, 0, 0), self._tolerances, max(self._under_way())
        assert tolerances is not None
        for period in self._periods:
            window = -(-tolerances.loops // period.length) * period.length
            # Two windows are compared; nothing stands before their first period that it would have to equal.
            if period.behind[work] < window + max(window, under_way) - period.length:
                continue
            windows = self._windows_ahead(work, window, period, tolerances)
            # The loop after them runs in the place of the loop they begin with, behind loops in the other halves of the
            # memories: it must use the same halves.
            while windows and self._halves[work + windows * window] != self._halves[work]:
                windows -= 1
            if windows * window > best[0]:
                best = windows * window, windows, window
                is_certain = window >= CERTAIN.loops and (
                    tolerances is CERTAIN or self._windows_ahead(work, window, period, CERTAIN) >= windows
                )
        if best[0]:
            self.is_certain &= is_certain
            self._skip(best[1], best[2])

    def _steady(self, work: int, window: int, tolerances: Tolerances) -> bool:
        """Whether the last two windows took the same time, and kept every unit equally busy."""
        now, middle, start = (self._snapshots.get(work - back * window) for back in range(3))
        if now is None or middle is None or start is None:
            return False
        latest, before = now.time - middle.time, middle.time - start.time
        if latest <= 0 or abs(latest - before) > tolerances.time * latest or self._piles_up(window, latest, tolerances):
            return False
        busy = ([busy for busy, _ in snapshot.accounts] for snapshot in (now, middle, start))
        # The second difference: busy cycles of the latest window less those of the one before it.
        return all(abs(c - 2 * b + a) <= tolerances.busy * latest for c, b, a in zip(*busy, strict=True))

    def _piles_up(self, window: int, latest: int, tolerances: Tolerances) -> bool:
        """Whether the array begins works more slowly than the host asks for them, as it does until queues are full."""
        last = next(reversed(self._begun), -1)
        # What it began before the last works were passed over tells nothing.
        earlier = self._begun.get(last - window)
        return earlier is None or self._begun[last] - earlier > (1 + tolerances.time) * latest

    def _windows_ahead(self, work: int, window: int, period: Period, tolerances: Tolerances) -> int:
        """Return how many whole windows ahead are alike; the last few works of the program are left to run."""
        if not self._steady(work, window, tolerances):
            return 0
        most = min(int(period.ahead[work]) // window, (len(self._shapes) - work - CERTAIN.loops) // window)
        if most < 1 or self._loads_fall_back(work, window, tolerances):
            return 0
        # What works under way need shows in the windows ahead, as if these were behind it.
        before = -(-max(self._under_way()) // window)
        times = self._memory_times(work - before * window, window, before + most)
        return max(0, self._pace(work, window, tolerances).alike(times) - before)

    def _loads_fall_back(self, work: int, window: int, tolerances: Tolerances) -> bool:
        """Whether loads take longer and longer, and will set the pace once they are no earlier than they are used.

        Loads run ahead of the array at first. Where they cannot keep its pace they lose a little of that in every
        window, unseen, until nothing of it is left.
        """
        now, middle, start = (self._snapshots[work - back * window] for back in range(3))
        latest, before = self._loading(middle, now), self._loading(start, middle)
        return latest - before > tolerances.time * (now.time - middle.time)

    def _loading(self, start: _Snapshot, end: _Snapshot) -> int:
        """Return how long loads were under way between two moments. [cycles]"""
        loader, causes = self._watched.loader, self._watched.loading
        busy = end.accounts[loader][0] - start.accounts[loader][0]
        return busy + sum(_stalled(end, start, loader, cause) for cause in causes)

    def _memory_times(self, work: int, window: int, most: int) -> Iterator[Ints]:
        """Yield the memory times of windows from a work on: those that are known together, others one by one."""
        end = work + most * window
        while work < end:
            together = min(max(1, self._times.known(work, end) // window), MOST_TOGETHER)
            times = self._times.of(work, work + together * window)
            yield times.reshape(len(times), together, window).swapaxes(0, 1)
            work += together * window

    def _pace(self, work: int, window: int, tolerances: Tolerances) -> Pace:
        """What the two windows before a work have shown."""
        now, earlier = self._snapshots[work], self._snapshots[work - 2 * window]
        two = now.time - earlier.time
        busy = [end - start for (end, _), (start, _) in zip(now.accounts, earlier.accounts, strict=True)]
        conflicts = _stalled(now, earlier, self._watched.array, self._watched.conflict)
        waited = _stalled(now, earlier, self._watched.array, self._watched.awaiting)
        pause = max(0, two - self._loading(earlier, now))
        first, second = self._met(work, window)
        hidden = np.maximum(first, second)
        spare, uneven = max(0, two - max(busy)) / 2, float(np.abs(first - second).sum())
        lead = min((self._leads[at] for at in range(work - 2 * window, work) if at in self._leads), default=0)
        matter = conflicts_that_matter(conflicts, waited, pause)
        return Pace(two / 2, (first + second) / 2, hidden, lead, spare, uneven, matter / 2, tolerances)

    def _under_way(self) -> tuple[int, int]:
        """Of how many works that were handed out the loads, and the stores, may yet hold something up."""
        loads, stores = (
            self._handed_out - self._done[unit] for unit in (self._watched.uses_loads, self._watched.stores)
        )
        return loads, stores

    def _met(self, work: int, window: int) -> Floats:
        """Memory times that the two windows before a work met, by the works they hold: 2 x rows x works. [cycles]"""
        loads, stores = self._under_way()
        met = self._met_behind(work, window, loads)
        met[:, STORES] = self._met_behind(work, window, stores)[:, STORES]
        return met

    def _met_behind(self, work: int, window: int, under_way: int) -> Floats:
        """The same if the last works are under way: in their place stand works that are one window older, or more."""
        at = np.arange(work - 2 * window, work)
        at -= window * np.maximum(0, (at - work + under_way) // window + 1)
        first = int(at.min())
        times = self._times.of(first, work)[:, at - first].astype(np.float64)
        return times.reshape(-1, 2, window).swapaxes(0, 1)

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


def _stalled(now: _Snapshot, earlier: _Snapshot, account: int, cause: str) -> int:
    return now.accounts[account][1].get(cause, 0) - earlier.accounts[account][1].get(cause, 0)


def _shape(work: CommandQueues) -> tuple[object, ...]:
    """What works have in common that differ in addresses and halves of the memories alone."""
    loads, pairs, stores = work.loads, work.pairs, work.stores
    commands = len(loads), sum(loads.to_accumulator), len(pairs), len(stores)
    kinds = pairs.weights_transposed, tuple(stores.full[:1]), tuple(stores.activation[:1])
    return (work.is_loop, work.name, work.whole_memory, *commands, *kinds, tuple(pairs.accumulates[:1]))
