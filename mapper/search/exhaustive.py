"""Exhaustive search: every legal candidate that no other one dominates, in a fixed order.

The result is the optimum of the mapspace under the analytical estimate. Ties go to the better of the other metrics,
then to the smaller footprint, then to the candidate that comes first.
"""

from __future__ import annotations

import numpy as np

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import OBJECTIVES, CostModel, Costs, Objective
from mapper.effort import check_floor
from mapper.errors import MappingError
from mapper.mapping import HardwareLoop
from mapper.mapspace import Batch, MapSpace, batch_of, nothing_fits
from mapper.problem import MatmulProblem
from mapper.search.searcher import SearchResult
from mapper.supported import require


class ExhaustiveSearcher:
    """Walks the whole space once."""

    def __init__(self, space: MapSpace, objective: Objective, rows: int = 8192) -> None:
        if objective not in OBJECTIVES:
            raise MappingError(f"unknown objective {objective!r}; use {', '.join(OBJECTIVES)}")
        self._batches = space.batches(rows)
        self._objective = objective
        self._best: HardwareLoop | None = None
        self._key: tuple[float, ...] = ()

    def ask(self) -> Batch | None:
        return next(self._batches, None)

    def tell(self, batch: Batch, costs: Costs) -> None:
        keys = costs.keys(self._objective)
        row = int(np.lexsort(keys[::-1])[0]) if len(batch) < 2 else _least(keys)
        key = tuple(float(column[row]) for column in keys)
        if self._best is None or key < self._key:
            self._best, self._key = batch.loop(row), key

    @property
    def best(self) -> HardwareLoop | None:
        return self._best


def _least(keys: tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]) -> int:
    """Return the first row that is lexicographically least, without sorting."""
    rows = np.arange(len(keys[0]))
    for column in keys:
        values = column[rows]
        rows = rows[values == values.min()]
    return int(rows[0])


def search(
    problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel, objective: Objective = "latency"
) -> SearchResult:
    """Return the best mapping of ``problem`` on ``spec`` by the analytical estimate.

    Raises
    ------
    MappingError
        When no tile fits, the objective is unknown, every mapping is too large to simulate, or the
        machine is none this version lowers for.
    """
    require(spec)
    check_floor(problem, spec)
    space = MapSpace(problem, spec)
    searcher = ExhaustiveSearcher(space, objective)
    model = CostModel.of(problem, spec, energy)
    evaluated = 0
    while (batch := searcher.ask()) is not None:
        evaluated += len(batch)
        searcher.tell(batch, model.costs(batch))
    best = searcher.best
    if best is None:
        raise nothing_fits(space)
    mapping = best.mapping((problem.name,), problem.dims, spec.name, space.dim)
    searched_cycles = float(model.costs(batch_of(best)).cycles[0])
    return SearchResult(mapping, searched_cycles, objective, space.size, space.legal, evaluated)
