"""The pace of two windows of loops, and which windows ahead take it: see ``simulator.fast_forward.steady_state``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulator.arrays import Floats, Ints
from simulator.fast_forward.memory_differences import longer
from simulator.fast_forward.memory_times import BEHIND, STORES


class Tolerances(NamedTuple):
    """What counts as alike; all are relative to the time of a window."""

    time: float
    """Difference of the times of two windows that counts as steady."""
    busy: float
    """Difference of a unit's busy cycles in two windows that counts as steady."""
    window: float
    """Bound of the difference of one window that may be chance."""
    mean: float
    """The same for the mean of all windows passed over at once: chance evens out, a drift does not."""
    conflicts_differ: bool
    """All the time of bank conflicts counts as a difference; otherwise windows are taken to have equally many."""
    loops: int
    """Shortest window whose time is compared [loops]."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What two neighbouring windows that took the same time have shown, and how windows ahead compare with them."""

    cycles: float
    """Time of a window."""
    usual: Floats
    """Memory times of its works (rows x works)."""
    hidden: Floats
    """Memory times that held nothing up."""
    lead: float
    """Least time by which loads were there before the first of them was used [cycles]."""
    spare: float
    """By how much a window is longer than its busiest unit works in it [cycles]."""
    uneven: float
    """Difference of the memory times of the two windows [cycles]."""
    conflicts: float
    """By how much it may matter for how long rows that are written keep rows from being read [cycles]."""
    tolerances: Tolerances

    def alike(self, windows: Iterable[Ints]) -> int:
        """Return how many of the windows ahead take this pace.

        Parameters
        ----------
        windows
            Their memory times, some windows at a time (windows x rows x works) [cycles].
        """
        passed, alike, total, above = 0, 0, np.zeros_like(self.usual), 0.0
        chance = self.tolerances.window * self.cycles
        if min(self.uneven, self.spare) > chance:
            return 0
        # Loads that follow each other more slowly than loops do pile up, until the loops have to wait for them.
        if self.usual[BEHIND].sum() > (1 + self.tolerances.time) * self.cycles:
            return 0
        for times in windows:
            differences, over = times - self.usual, self._over(times)
            strange = np.minimum(np.abs(differences).sum(axis=(1, 2)), self.spare + over) > chance
            end = int(strange.argmax()) if strange.any() else len(times)
            if end:
                totals = total + np.cumsum(differences[:end], axis=0)
                aboves = above + np.cumsum(over[:end])
                within = np.flatnonzero(self._bounds(totals, aboves, passed) <= self._allowed(passed, end))
                alike = passed + int(within[-1]) + 1 if len(within) else alike
                passed, total, above = passed + end, totals[-1], float(aboves[-1])
            if end < len(times):
                break
        return alike

    def _over(self, times: Ints) -> Floats:
        """By how much memory times exceed what held nothing up, in all works of each window. [cycles]"""
        excess = np.maximum(times - self.hidden, 0.0)
        stores = excess[:, STORES]
        # Loads are early by a lead: only what they are later than that is waited for.
        late = np.maximum(excess.sum(axis=1) - stores - self.lead, 0.0)
        over: Floats = (late + stores).sum(axis=1)
        return over

    def _bounds(self, totals: Floats, aboves: Floats, passed: int) -> Floats:
        """Bounds of what the next windows, each with all before it, differ from the pace. [cycles]

        ``totals`` are the sums of their differences, ``aboves`` those of what did not stay hidden, and ``passed`` is
        how many windows stand before them.
        """
        counts = passed + np.arange(1, len(totals) + 1)
        bounds = np.minimum(np.maximum(longer(totals), longer(-totals)), counts * self.spare + aboves)
        # Which rows meet in a bank depends on single cycles: only an exact repetition repeats it.
        if self.tolerances.conflicts_differ:
            repeated = ~totals.any(axis=(1, 2)) & (aboves == 0)
            bounds += np.where(repeated, 0.0, counts * self.conflicts)
        return bounds

    def _allowed(self, passed: int, number: int) -> Floats:
        """Differences that the next windows may have, each with all before it. [cycles]"""
        allowed: Floats = self.tolerances.mean * self.cycles * (passed + np.arange(1.0, number + 1))
        return allowed
