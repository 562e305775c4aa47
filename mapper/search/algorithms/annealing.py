"""Simulated annealing by a population of chains that copy from each other.

Each chain proposes a neighbour of its candidate and accepts it if it is better, or else with probability
exp(-loss / temperature) [1]_; the loss is the difference of logarithms, so that temperatures mean fractions whatever
the units. Now and then a chain takes the place of another one by the same rule, which is the resampling of population
annealing [2]_ done in pairs. When a schedule has cooled down, the worse half of the chains starts anew elsewhere and
the next, longer schedule begins; so the search never ends by itself, and a larger budget only continues it.

.. [1] S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Optimization by simulated annealing, Science 220 (1983).
.. [2] K. Hukushima, Y. Iba, Population annealing and its application to a spin glass, AIP Conf. Proc. 690 (2003).
"""

from __future__ import annotations

import numpy as np

from mapper.cost.costs import Costs
from mapper.cost.objective import Goal
from mapper.search.algorithms.fitness import mixed, weights
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from simulator.arrays import Bools, Rows

CHAINS = 256
TRIES = 4
"""Neighbours that a chain proposes at once and decides on one by one: large batches cost less per candidate."""
HOT, COLD = 0.3, 0.003
"""Loss accepted with probability 1/e at the begin and the end of a schedule [fraction]."""
STEPS = 5
"""Steps of the first schedule; each later one is half as long again."""
EXCHANGE = 2
"""Steps between two exchanges of places."""


class AnnealingSearcher(Searcher):
    """Chains that cool down together."""

    name = "annealing"

    def __init__(self, space: Space, goal: Goal, seed: int = 0) -> None:
        super().__init__(space, goal, seed)
        self._weights = weights(goal, CHAINS)
        self._rows: Rows | None = None
        self._costs = Costs(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
        self._newcomers = np.ones(CHAINS, dtype=bool)
        self._step, self._steps = 0, STEPS

    def propose(self) -> Rows:
        if self._rows is None:
            return self.space.sample(CHAINS, self.random)
        rows = self.space.neighbours(np.tile(self._rows, (TRIES, 1)), self.random)
        if self._newcomers.any():
            fresh = np.tile(self._newcomers, TRIES)
            rows[fresh] = self.space.sample(int(fresh.sum()), self.random)
        return rows

    def learn(self, rows: Rows, costs: Costs) -> None:
        if self._rows is None:
            self._rows, self._costs = rows.copy(), costs
            self._newcomers[:] = False
            return
        for start in range(0, len(rows), CHAINS):
            part = slice(start, start + CHAINS)
            offered = Costs(costs.cycles[part], costs.energy_pj[part], costs.footprint_bytes[part])
            self._adopt(rows[part], offered, self._accepted(offered) | self._newcomers)
            self._newcomers[:] = False
        self._step += 1
        if self._step % EXCHANGE == 0:
            partner = self.random.integers(CHAINS, size=CHAINS)
            costs = Costs(
                self._costs.cycles[partner], self._costs.energy_pj[partner], self._costs.footprint_bytes[partner]
            )
            self._adopt(self._rows[partner], costs, self._accepted(costs))
        if self._step >= self._steps:
            self._start_anew()

    def _accepted(self, costs: Costs) -> Bools:
        """Which chains take what they are offered."""
        loss = mixed(costs, self._weights) - mixed(self._costs, self._weights)
        temperature = HOT * (COLD / HOT) ** (self._step / self._steps)
        accepted: Bools = self.random.random(CHAINS) < np.exp(-np.maximum(loss, 0.0) / temperature)
        return accepted

    def _adopt(self, rows: Rows, costs: Costs, accepted: Bools) -> None:
        assert self._rows is not None
        self._rows = np.where(accepted[:, None], rows, self._rows)
        self._costs = Costs(
            np.where(accepted, costs.cycles, self._costs.cycles),
            np.where(accepted, costs.energy_pj, self._costs.energy_pj),
            np.where(accepted, costs.footprint_bytes, self._costs.footprint_bytes),
        )

    def _start_anew(self) -> None:
        """The worse half of the chains leaves its places; of several goals, the worse half of neighbouring ones."""
        self._step, self._steps = 0, self._steps * 3 // 2
        value = mixed(self._costs, self._weights)
        if self.goal == "pareto":
            self._newcomers[:] = np.arange(CHAINS) % 2 == 0
        else:
            self._newcomers[np.argsort(value, kind="stable")[CHAINS // 2 :]] = True
