"""Random search: legal candidates drawn uniformly, without end."""

from __future__ import annotations

from mapper.cost.objective import Goal
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from simulator.arrays import Rows

FEW, MANY = 64, 4096
"""Candidates asked for at first, and at most: each batch is twice the one before, so that a short budget of time is met
where candidates are costly to draw."""


class RandomSearcher(Searcher):
    """Draws from all legal candidates alike. The baseline that every other search must beat."""

    name = "random"

    def __init__(self, space: Space, goal: Goal, seed: int = 0) -> None:
        super().__init__(space, goal, seed)
        self._count = FEW

    def propose(self) -> Rows:
        count, self._count = self._count, min(2 * self._count, MANY)
        return self.space.sample(count, self.random)
