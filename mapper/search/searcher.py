"""The interface of a search: it proposes candidates and hears what they cost.

A searcher knows a mapspace only through `mapper.search.space.Space`: candidates are rows of integers, and the space can
draw, vary, mix and price them. Its life is

    ask -> rows      candidates to price, all legal; None when the search is over
    tell(rows, costs)    in the order asked, each answer once

until a budget ends or ``ask`` returns None. The best so far, and the front so far, are known at any time: they are
kept here, so that no algorithm can lose them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from mapper.cost.costs import Costs
from mapper.cost.objective import Goal
from mapper.search.budget import DEFAULT_EVALUATIONS, Budget
from mapper.search.front import ParetoFront, least
from mapper.search.space import Space
from simulator.arrays import Rows


@dataclass(frozen=True, slots=True)
class PricedRow:
    """One member of a space and its price."""

    row: tuple[int, ...]
    cycles: float
    energy_pj: float
    footprint_bytes: float
    keys: tuple[float, ...]
    """What is compared, most important first; the row itself settles what is left."""


class Searcher(ABC):
    """One search of one space.

    Parameters
    ----------
    space
        What to search.
    goal
        Objective, or ``"pareto"``: then ``best`` is the least EDP and ``front`` is what is looked for.
    seed
        Of the only random numbers that are used.
    """

    name: str
    repeats = True
    """Whether a candidate may be proposed twice."""
    default_budget = Budget(evaluations=DEFAULT_EVALUATIONS)
    """Ends the search if the user sets no budget."""

    def __init__(self, space: Space, goal: Goal, seed: int = 0) -> None:
        self.space = space
        self.goal = goal
        self.random = np.random.default_rng(seed)
        self.best: PricedRow | None = None
        self.front = ParetoFront()
        self._asked: Rows | None = None
        self._over = False

    @final
    def ask(self) -> Rows | None:
        """Return the next candidates, all legal, or None when the search is over."""
        if self._asked is not None:
            raise RuntimeError("ask: the candidates asked for before have not been told")
        if self._over:
            return None
        rows = self.propose()
        if rows is None or not len(rows):
            self._over = True
            return None
        self._asked = rows
        return rows

    @final
    def tell(self, rows: Rows, costs: Costs) -> None:
        """Take the costs of the candidates asked for; of the first few only if the budget ends there."""
        if self._asked is None or not np.array_equal(rows, self._asked[: len(rows)]):
            raise RuntimeError("tell: these are not the candidates asked for")
        whole = len(rows) == len(self._asked)
        self._asked = None
        if len(rows):
            self._remember(rows, costs)
        if whole:
            self.learn(rows, costs)
        else:
            self._over = True

    @abstractmethod
    def propose(self) -> Rows | None:
        """Return new candidates, None at the end."""

    def learn(self, rows: Rows, costs: Costs) -> None:  # noqa: B027 - not every search learns
        """Hear what ``propose`` brought."""

    def _remember(self, rows: Rows, costs: Costs) -> None:
        """Keep the best and the front. Each is replaced by one assignment: an interrupt finds the old or the new."""
        if self.goal == "pareto":
            self.front = self.front.joined(rows, costs)
        keys = costs.keys(self.goal)
        best_row = least([*keys, *rows.T])
        candidate = PricedRow(
            tuple(int(gene) for gene in rows[best_row]),
            float(costs.cycles[best_row]),
            float(costs.energy_pj[best_row]),
            float(costs.footprint_bytes[best_row]),
            tuple(float(column[best_row]) for column in keys),
        )
        if self.best is None or (candidate.keys, candidate.row) < (self.best.keys, self.best.row):
            self.best = candidate
