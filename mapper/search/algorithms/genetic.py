"""Genetic search: tournaments, crossover, mutation, survival of the best of both generations.

For a Pareto front a candidate is as good as few others dominate it [1]_, so that survivors gather along the whole
front. When nothing better was born for a while, a few survivors start over among newcomers.

.. [1] C. M. Fonseca, P. J. Fleming, Genetic algorithms for multiobjective optimization, ICGA 1993 (rank by the number
   of candidates that dominate).
"""

from __future__ import annotations

import numpy as np

from mapper.cost.costs import Costs
from mapper.cost.objective import Goal
from mapper.search.algorithms.fitness import mixed, weights
from mapper.search.searcher import Searcher
from mapper.search.space import Space, names
from simulator.arrays import Bools, Floats, Ints, Rows

MEMBERS = 512
CHILDREN = 1024
"""Candidates of a generation that were never proposed before: large, for a batch costs little more than a few of it."""
ATTEMPTS = 4
"""Broods from which a generation of new candidates is picked."""
TOURNAMENT = 3
"""Candidates of whom the best becomes a parent."""
CROSSOVER = 0.7
"""Share of children with two parents."""
MUTATION = 0.8
"""Share of children that are moved to a neighbour."""
IMMIGRANTS = 64
"""Newcomers in each generation."""
PATIENCE = 4
"""Generations without a better best after which all but `ELDERS` are replaced."""
ELDERS = 32


class GeneticSearcher(Searcher):
    """Generations of candidates."""

    name = "genetic"

    def __init__(self, space: Space, goal: Goal, seed: int = 0) -> None:
        super().__init__(space, goal, seed)
        self._rows: Rows | None = None
        self._cycles: Floats = np.empty(0)
        self._energy: Floats = np.empty(0)
        self._record = np.inf
        self._waited = 0
        self._seen: set[bytes] = set()

    def propose(self) -> Rows:
        broods: list[Rows] = []
        for _ in range(ATTEMPTS):
            brood = self.space.sample(CHILDREN, self.random) if self._rows is None else self._born()
            fresh = self._unseen(brood)
            broods.append(brood[fresh])
            if sum(map(len, broods)) >= CHILDREN:
                break
        new = np.concatenate(broods)[:CHILDREN]
        if len(new) < IMMIGRANTS:  # almost all that can be reached was seen: the driver will notice that, too
            return np.concatenate([new, self.space.sample(CHILDREN, self.random)])
        return new

    def _born(self) -> Rows:
        """Children of the present members, and newcomers."""
        assert self._rows is not None
        children = CHILDREN - IMMIGRANTS
        born = self._rows[self._parents(children)]
        pairs = self.random.random(children) < CROSSOVER
        second_parents = self._rows[self._parents(int(pairs.sum()))]
        born[pairs] = self.space.crossover(born[pairs], second_parents, self.random)
        moved = self.random.random(children) < MUTATION
        born[moved] = self.space.neighbours(born[moved], self.random)
        return np.concatenate([self.space.sample(IMMIGRANTS, self.random), born])

    def _unseen(self, rows: Rows) -> Bools:
        """Tell which candidates were never proposed; they count as seen from now on."""
        fresh = np.zeros(len(rows), dtype=bool)
        for at, name in enumerate(names(rows)):
            if name not in self._seen:
                fresh[at] = True
                self._seen.add(name)
        return fresh

    def _parents(self, count: int) -> Ints:
        """Winners of tournaments; members stand in order of their fitness, the best first."""
        assert self._rows is not None
        chosen: Ints = self.random.integers(len(self._rows), size=(count, TOURNAMENT)).min(axis=1)
        return chosen

    def learn(self, rows: Rows, costs: Costs) -> None:
        old = np.empty((0, rows.shape[1]), dtype=np.int64) if self._rows is None else self._rows
        all_rows = np.concatenate([old, rows])
        cycles = np.concatenate([self._cycles, costs.cycles])
        energy = np.concatenate([self._energy, costs.energy_pj])
        _, first = np.unique(all_rows, axis=0, return_index=True)
        first.sort()
        fitness = self._fitness(cycles[first], energy[first])
        chosen = first[np.argsort(fitness, kind="stable")]
        best = float(fitness.min())
        self._waited = 0 if best < self._record - 1e-12 else self._waited + 1
        self._record = min(self._record, best)
        if self.goal != "pareto" and self._waited >= PATIENCE:
            self._waited, self._record = 0, np.inf
            chosen = chosen[:ELDERS]
        chosen = chosen[:MEMBERS]
        self._rows, self._cycles, self._energy = all_rows[chosen], cycles[chosen], energy[chosen]

    def _fitness(self, cycles: Floats, energy: Floats) -> Floats:
        """What is minimised; for a front the number of dominating members, the EDP among equals."""
        costs = Costs(cycles, energy, np.zeros(len(cycles), dtype=np.int64))
        goal: Goal = "edp" if self.goal == "pareto" else self.goal
        value = mixed(costs, weights(goal, len(cycles)))
        if self.goal != "pareto":
            return value
        no_worse = (cycles[:, None] <= cycles) & (energy[:, None] <= energy)
        better = (cycles[:, None] < cycles) | (energy[:, None] < energy)
        dominated: Floats = (no_worse & better).sum(axis=0).astype(np.float64)
        return dominated + 0.5 * np.argsort(np.argsort(value)) / len(value)
