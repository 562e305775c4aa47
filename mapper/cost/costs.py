"""What the mappings of a search cost, whichever mapspace they are from.

The cost models stay out of this file: a search of loop nests need not load the latency model of hardware loops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.cost.objective import Goal, ranking_keys
from simulator.arrays import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What a search compares (columns)."""

    cycles: Floats
    energy_pj: Floats
    footprint_bytes: Ints
    """On-chip bytes that the tiles occupy."""

    def keys(self, goal: Goal) -> tuple[Floats, ...]:
        """Return the columns to minimise, most important first: the objective, the other metrics, the footprint."""
        return *ranking_keys(goal, self.cycles, self.energy_pj), self.footprint_bytes.astype(np.float64)
