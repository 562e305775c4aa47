"""Best-first hunts through all candidates of a hardware-loop mapspace, by lower bounds that are made as needed.

Every candidate has a rough bound, for a few operations; a closer one (`mapper.cost.latency.lower_bounds`) is
computed where the rough one does not exclude it already, and the full estimate where the closer one does not either.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from mapper.cost.model import CostModel
from mapper.cost.objective import Objective, lazy_objective_value
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapspace.batch import Batch
from mapper.mapspace.hardware_loops import MapSpace, nothing_fits
from mapper.nest.bounds.pareto import staircase
from mapper.search.front import least
from simulator.arrays import Floats, Ints

FIRST, MORE = 64, 2048
"""Candidates evaluated together: few until there is something to compare with, then enough to keep numpy busy."""

ROUNDING = 1.0 - 1e-9
"""Bounds and estimates add the same numbers in different orders."""


class Candidates:
    """All candidates in batches of one order and buffering; a place is (batch, row), counted through."""

    def __init__(self, space: MapSpace, model: CostModel) -> None:
        self.model = model
        self.batches = [batch for batch in space.batches(rows=1 << 62) if len(batch)]
        self.starts = np.cumsum([0, *(len(batch) for batch in self.batches)])
        self.number = int(self.starts[-1])
        if not self.number:
            raise nothing_fits(space)

    def loop(self, place: int) -> HardwareLoop:
        """Return one candidate."""
        at = int(np.searchsorted(self.starts, place, side="right")) - 1
        return self.batches[at].loop(place - int(self.starts[at]))

    def rough_cycles(self, at: int) -> Floats:
        """Return rough lower bounds of the cycles of a batch."""
        return self.model.rough_cycles(self.batches[at]) * ROUNDING

    def least_cycles(self, at: int, rows: Ints | None = None) -> Floats:
        """Return lower bounds of the cycles of a batch, or of some of its rows."""
        return self.model.least_cycles(self._some(at, rows)) * ROUNDING

    def energy_pj(self, at: int, rows: Ints | None = None) -> Floats:
        """Return the energy of a batch, or of some of its rows."""
        return self.model.energy_pj(self._some(at, rows))

    def _some(self, at: int, rows: Ints | None) -> Batch:
        return self.batches[at] if rows is None else self.take(at, rows)

    def take(self, at: int, rows: Ints) -> Batch:
        """Return some rows of a batch."""
        return self.batches[at].take(rows)


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """An evaluated candidate: what is compared, most important first, then its place in the list."""

    key: tuple[float, ...]
    place: int
    cycles: float
    energy_pj: float


class Hunt:
    """Evaluates candidates of the batch whose next bound is least, until no bound is as good as the worst wanted."""

    def __init__(self, candidates: Candidates, objective: Objective, wanted: int, budget: int | None) -> None:
        self._candidates = candidates
        self._objective: Objective = objective
        self._wanted = wanted
        self._budget = candidates.number if budget is None else min(budget, candidates.number)
        self.best: list[Found] = []
        """The best so far, as many as are wanted."""
        self.evaluated = 0
        self.left: float | None = None
        """Least bound of what was not evaluated though it might be better: the budget ended first."""

    def run(self) -> None:
        """Find the best."""
        rough = [self._rough(at) for at in range(len(self._candidates.batches))]
        waiting = [(float(bound.min()), at) for at, bound in enumerate(rough)]
        heapq.heapify(waiting)
        closer: dict[int, tuple[Floats, Ints]] = {}
        while waiting and waiting[0][0] <= self._worst:
            if self.evaluated >= self._budget:
                self.left = waiting[0][0]
                return
            _, at = heapq.heappop(waiting)
            if at in closer:
                closer[at] = self._next(at, *closer[at])
            else:
                closer[at] = self._closer(at, np.flatnonzero(rough[at] <= self._worst))
            if len(closer[at][0]):
                heapq.heappush(waiting, (float(closer[at][0][0]), at))

    def _next(self, at: int, bound: Floats, rows: Ints) -> tuple[Floats, Ints]:
        """Evaluate the first of a batch's rows, in the order of their bounds; return the others."""
        most = min(MORE if self.evaluated else FIRST, self._budget - self.evaluated)
        number = max(1, int(np.searchsorted(bound[:most], self._worst, side="right")))
        self._evaluate(at, rows[:number])
        return bound[number:], rows[number:]

    def _closer(self, at: int, rows: Ints) -> tuple[Floats, Ints]:
        """Return the bounds of some rows of a batch, least first, and the rows."""
        bound = self._bounds(at, rows)
        order = np.argsort(bound, kind="stable")
        return bound[order], rows[order]

    @property
    def _worst(self) -> float:
        """What a candidate must not be above to be wanted."""
        return self.best[-1].key[0] if len(self.best) == self._wanted else math.inf

    def _rough(self, at: int) -> Floats:
        candidates = self._candidates
        return lazy_objective_value(
            self._objective, lambda: candidates.rough_cycles(at), lambda: candidates.energy_pj(at)
        )

    def _bounds(self, at: int, rows: Ints) -> Floats:
        candidates = self._candidates
        return lazy_objective_value(
            self._objective, lambda: candidates.least_cycles(at, rows), lambda: candidates.energy_pj(at, rows)
        )

    def _evaluate(self, at: int, rows: Ints) -> None:
        costs = self._candidates.model.costs(self._candidates.take(at, rows))
        self.evaluated += len(rows)
        places = rows + self._candidates.starts[at]
        keys = costs.keys(self._objective)
        if self._wanted == 1:
            first = [least((*keys, places))]
        else:
            first = np.lexsort((places, *keys[::-1]))[: self._wanted].tolist()
        found = [
            Found(
                tuple(float(column[row]) for column in keys),
                int(places[row]),
                float(costs.cycles[row]),
                float(costs.energy_pj[row]),
            )
            for row in first
        ]
        self.best = sorted([*self.best, *found])[: self._wanted]


class FrontHunt:
    """Evaluates candidates that no known one dominates by their bounds, most promising EDP first."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self.evaluated = 0
        self.front: list[int] = []
        self.known = np.full((3, candidates.number), np.inf)
        """Cycles, energy and footprint of what was evaluated."""

    def run(self) -> None:
        """Find the front."""
        candidates = self._candidates
        every = range(len(candidates.batches))
        cycles = np.concatenate([candidates.least_cycles(at) for at in every])
        energy = np.concatenate([candidates.energy_pj(at) for at in every])
        left = np.argsort(cycles * energy, kind="stable")
        most = FIRST
        while len(left):
            self._evaluate(left[:most])
            left = left[most:]
            for place in self.front:
                known_cycles, known_energy, _ = self.known[:, place]
                worse = (known_cycles <= cycles[left]) & (known_energy <= energy[left])
                equal = (known_cycles == cycles[left]) & (known_energy == energy[left])
                left = left[~worse | equal]
            most = MORE

    def _evaluate(self, places: Ints) -> None:
        starts = self._candidates.starts
        owner = np.searchsorted(starts, places, side="right") - 1
        for at in np.unique(owner).tolist():
            mine = places[owner == at]
            costs = self._candidates.model.costs(self._candidates.take(at, mine - starts[at]))
            self.known[:, mine] = costs.cycles, costs.energy_pj, costs.footprint_bytes
        self.evaluated += len(places)
        among = np.concatenate([np.array(self.front, dtype=np.int64), places])
        cycles, energy, footprint = self.known[:, among]
        self.front = among[staircase(cycles, energy, footprint, among)].tolist()
