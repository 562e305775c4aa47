"""Best-first search of all candidates of a hardware-loop mapspace, by lower bounds that are made as needed.

Every candidate has a rough bound, for a few operations; a closer one (`mapper.cost.latency.lower_bounds`) is
computed where the rough one does not exclude it already, and the full estimate where the closer one does not either.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mapper.cost.model import CostModel
from mapper.cost.objective import Objective, least_objective, objective_value
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
    """All candidates of a mapspace, in batches of one order and buffering, and numbered through in their order.

    Bounds and dynamic energies are kept, so that searches for several objectives share them.
    """

    def __init__(self, space: MapSpace, model: CostModel) -> None:
        self.space = space
        self.model = model
        self.batches = [batch for batch in space.batches(rows=1 << 62) if len(batch)]
        self.starts = np.cumsum([0, *(len(batch) for batch in self.batches)])
        """Number of each batch's first candidate."""
        self.count = int(self.starts[-1])
        if not self.count:
            raise nothing_fits(space)
        self._least_cycles: dict[int, Floats] = {}
        self._dynamic_pj: dict[int, Floats] = {}

    def loop(self, number: int) -> HardwareLoop:
        """Return one candidate."""
        batch = int(np.searchsorted(self.starts, number, side="right")) - 1
        return self.batches[batch].loop(number - int(self.starts[batch]))

    def rough_cycles(self, batch: int) -> Floats:
        """Return rough lower bounds of the cycles of a batch."""
        return self.model.rough_cycles(self.batches[batch]) * ROUNDING

    def least_cycles(self, batch: int, rows: Ints | None = None) -> Floats:
        """Return lower bounds of the cycles of a batch, or of some of its rows."""
        return self._column(self._least_cycles, self.model.least_cycles, batch, rows) * ROUNDING

    def least_energy(self, batch: int, cycles: Floats, rows: Ints | None = None) -> Floats:
        """Return lower bounds of the energy of a batch, or of some of its rows, from those of its cycles.

        What follows from counts alone is exact; the rest leaks in the cycles.
        """
        return self.model.with_leakage(self._column(self._dynamic_pj, self.model.dynamic_pj, batch, rows), cycles)

    def bound(self, objective: Objective, batch: int, cycles: Floats, rows: Ints | None = None) -> Floats:
        """Return lower bounds of an objective of a batch, or of some of its rows, from those of its cycles."""
        return least_objective(objective, cycles, lambda cycles: self.least_energy(batch, cycles, rows))

    def _column(
        self, known: dict[int, Floats], price: Callable[[Batch], Floats], batch: int, rows: Ints | None
    ) -> Floats:
        """Return a column of a batch, or some rows of it; what was not asked for before is computed."""
        if batch not in known and rows is None:
            known[batch] = price(self.batches[batch])
        column = known.setdefault(batch, np.full(len(self.batches[batch]), np.nan))
        if rows is None:
            rows = np.arange(len(column))
        new = rows[np.isnan(column[rows])]
        if len(new):
            column[new] = price(self.take(batch, new))
        return column[rows]

    def take(self, batch: int, rows: Ints) -> Batch:
        """Return some rows of a batch."""
        return self.batches[batch].take(rows)


@dataclass(frozen=True, slots=True, order=True)
class Evaluated:
    """An evaluated candidate: what is compared, most important first, then its number, so that ties have one order."""

    key: tuple[float, ...]
    number: int
    cycles: float
    energy_pj: float


class BestFirstSearch:
    """Evaluates candidates of the batch whose next bound is least, until no bound is as good as the worst wanted."""

    def __init__(self, candidates: Candidates, objective: Objective, wanted: int, budget: int | None) -> None:
        self._candidates = candidates
        self._objective: Objective = objective
        self._wanted = wanted
        self._budget = candidates.count if budget is None else min(budget, candidates.count)
        self.best: list[Evaluated] = []
        """The best so far, as many as are wanted."""
        self.evaluated = 0
        self.priced: list[tuple[Ints, Floats, Floats]] = []
        """Number, cycles and energy of everything that was evaluated, in pieces."""
        self.unevaluated_bound: float | None = None
        """Least bound of the candidates that the budget left unpriced; None if the search ended by itself."""

    def run(self) -> None:
        """Find the best."""
        # Batches are opened one by one: most of them never get a closer bound than the rough one.
        rough = [self._rough(batch) for batch in range(len(self._candidates.batches))]
        waiting = [(float(bound.min()), batch) for batch, bound in enumerate(rough)]
        heapq.heapify(waiting)
        closer: dict[int, tuple[Floats, Ints]] = {}
        # The heap holds the least bound of each batch. A candidate as good as the worst wanted is still evaluated,
        # because it may win the tie; so the loop ends only at a bound above it.
        while waiting and waiting[0][0] <= self._worst:
            if self.evaluated >= self._budget:
                self.unevaluated_bound = waiting[0][0]
                return
            _, batch = heapq.heappop(waiting)
            if batch in closer:
                closer[batch] = self._evaluate_next(batch, *closer[batch])
            else:
                closer[batch] = self._closer(batch, np.flatnonzero(rough[batch] <= self._worst))
            if len(closer[batch][0]):
                heapq.heappush(waiting, (float(closer[batch][0][0]), batch))

    def _evaluate_next(self, batch: int, bound: Floats, rows: Ints) -> tuple[Floats, Ints]:
        """Evaluate the first of a batch's rows, in the order of their bounds; return the others."""
        # All rows up to the worst wanted must be evaluated anyway, so they can be together.
        most = min(MORE if self.evaluated else FIRST, self._budget - self.evaluated)
        count = max(1, int(np.searchsorted(bound[:most], self._worst, side="right")))
        self._evaluate(batch, rows[:count])
        return bound[count:], rows[count:]

    def _closer(self, batch: int, rows: Ints) -> tuple[Floats, Ints]:
        """Bounds of some rows of a batch, least first, and the rows."""
        bound = self._bounds(batch, rows)
        order = np.argsort(bound, kind="stable")
        return bound[order], rows[order]

    @property
    def _worst(self) -> float:
        """What a candidate must not be above to be wanted."""
        return self.best[-1].key[0] if len(self.best) == self._wanted else math.inf

    def _rough(self, batch: int) -> Floats:
        return self._candidates.bound(self._objective, batch, self._candidates.rough_cycles(batch))

    def _bounds(self, batch: int, rows: Ints) -> Floats:
        return self._candidates.bound(self._objective, batch, self._candidates.least_cycles(batch, rows), rows)

    def _evaluate(self, batch: int, rows: Ints) -> None:
        costs = self._candidates.model.costs(self._candidates.take(batch, rows))
        self.evaluated += len(rows)
        numbers = rows + self._candidates.starts[batch]
        self.priced.append((numbers, costs.cycles, costs.energy_pj))
        keys = costs.keys(self._objective)
        if self._wanted == 1:  # the usual case: one pass over the columns instead of a sort
            first = [least((*keys, numbers))]
        else:
            first = np.lexsort((numbers, *keys[::-1]))[: self._wanted].tolist()
        evaluated = [
            Evaluated(
                tuple(float(column[row]) for column in keys),
                int(numbers[row]),
                float(costs.cycles[row]),
                float(costs.energy_pj[row]),
            )
            for row in first
        ]
        self.best = sorted([*self.best, *evaluated])[: self._wanted]


class BestFirstFront:
    """Evaluates candidates that no known one dominates by their bounds, most promising EDP first."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self.evaluated = 0
        self.front: list[int] = []
        """Numbers of the candidates on the front, fewest cycles first."""
        self.known = np.full((3, candidates.count), np.inf)
        """Cycles, energy and footprint of what was evaluated."""

    def run(self) -> None:
        """Find the front."""
        candidates = self._candidates
        batches = range(len(candidates.batches))
        bounds = [candidates.least_cycles(batch) for batch in batches]
        cycles = np.concatenate(bounds)
        energy = np.concatenate([candidates.least_energy(batch, bounds[batch]) for batch in batches])
        left = np.argsort(objective_value("pareto", cycles, energy), kind="stable")
        most = FIRST
        while len(left):
            self._evaluate(left[:most])
            left = left[most:]
            for point in self.front:
                point_cycles, point_energy, _ = self.known[:, point]
                # A point that is no worse than a candidate's bounds is no worse than its costs. Equal bounds are kept:
                # the candidate may attain them and take less room.
                worse = (point_cycles <= cycles[left]) & (point_energy <= energy[left])
                equal = (point_cycles == cycles[left]) & (point_energy == energy[left])
                left = left[~worse | equal]
            most = MORE

    def _evaluate(self, numbers: Ints) -> None:
        starts = self._candidates.starts
        batch_of = np.searchsorted(starts, numbers, side="right") - 1
        for batch in np.unique(batch_of).tolist():
            members = numbers[batch_of == batch]
            costs = self._candidates.model.costs(self._candidates.take(batch, members - starts[batch]))
            self.known[:, members] = costs.cycles, costs.energy_pj, costs.footprint_bytes
        self.evaluated += len(numbers)
        # The old points compete with the new ones; all others lost to one of them and would again.
        among = np.concatenate([np.array(self.front, dtype=np.int64), numbers])
        cycles, energy, footprint = self.known[:, among]
        self.front = among[staircase(cycles, energy, footprint, among)].tolist()
