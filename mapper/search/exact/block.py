"""Proved optima of all matmuls of a graph; equal problems are searched once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from mapper.search.exact.loop_nests import NestResult, Objective, search


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One result per problem, in their order; equal problems share one."""

    results: tuple[NestResult, ...]
    searched: int
    """Distinct problems."""

    @property
    def cycles(self) -> int:
        """Of all, one after the other."""
        return sum(result.best.cycles for result in self.results)

    @property
    def energy_pj(self) -> float:
        return sum(result.best.energy_pj for result in self.results)


def search_all(
    problems: Iterable[NestProblem],
    hierarchy: Hierarchy,
    accounting: Accounting,
    objective: Objective = "edp",
    *,
    bypass: Iterable[str] = (),
    units: Mapping[str, int] | None = None,
) -> BlockResult:
    """Search every problem on one machine.

    For ``"edp"`` each problem's own product is minimised, as peers do; the product of the sums may have a better
    combination on the fronts.

    Raises
    ------
    MappingError
        When a problem has no legal mapping.
    """
    found: dict[tuple[object, ...], NestResult] = {}
    results = []
    for problem in problems:
        key = problem.dims, problem.tensors
        if key not in found:
            kept = {dim: unit for dim, unit in (units or {}).items() if dim in problem.names}
            space = NestSpace(problem, hierarchy, accounting, units=kept, bypass=tuple(bypass))
            found[key] = search(space, objective)
        results.append(found[key])
    return BlockResult(tuple(results), len(found))
