"""Exhaustive search: every legal candidate that no other one dominates, in a fixed order."""

from __future__ import annotations

from mapper.cost.objective import Goal
from mapper.search.budget import Budget
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from simulator.arrays import Rows

ROWS = 16_384
"""Candidates asked for at once."""


class ExhaustiveSearcher(Searcher):
    """Walks the whole space once; at the end the best is proved by enumeration."""

    name = "exhaustive"
    repeats = False
    default_budget = Budget()

    def __init__(self, space: Space, goal: Goal, seed: int = 0) -> None:
        super().__init__(space, goal, seed)
        self._walk = space.walk(ROWS)

    def propose(self) -> Rows | None:
        return next(self._walk, None)
