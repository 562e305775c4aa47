"""Memory cycles of the loops of one mapping, from a replay of its requests: what is printed knows them.

The loads of a loop are put through the machine's memory path, then its stores, each on idle ports and behind those of
the loop before (`simulator.fast_forward.memory_times`, which the simulation makes in any case). A search, which cannot
replay every candidate, has the average commands of `mapper.cost.latency.load_times` and `store_times` in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulator.arrays import Floats
from simulator.fast_forward.memory_times import BEHIND, LOADS, STORES, WorkTimes
from simulator.report import Counts


class Replayed(Protocol):
    """A program whose requests went through the caches: `simulator.machine.PreparedProgram`, or what is kept of one."""

    @property
    def counts(self) -> Counts:
        """Actions of the program."""

    @property
    def memory_times(self) -> WorkTimes:
        """Times of its works."""


@dataclass(frozen=True, slots=True)
class ReplayedLoops:
    """The loops of a mapping, in their order."""

    times: WorkTimes
    overlap: bool
    """Commands of the load unit overlap, so that a loop's loads begin under the last of those before them."""

    def each(self, loops: int) -> Floats:
        """Return the cycles of each loop (`mapper.cost.latency.loop_recurrence.REPLAYED` x loops)."""
        times = self.times.of(0, loops).astype(np.float64)
        # Loops that are long, or the first, are not told apart from those behind others.
        behind = np.where((times[BEHIND] > 0) & self.overlap, times[BEHIND], times[LOADS])
        return np.stack([times[LOADS], behind, times[STORES]])
