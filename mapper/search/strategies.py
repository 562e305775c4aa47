"""Which mapping a matmul runs with, and how it was found: proved, searched, the library's or from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.objective import Objective
from mapper.cost.simulation_limits import check_floor
from mapper.errors import MappingError
from mapper.graph.capabilities import require
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import require_for
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.budget import Budget
from mapper.search.driver import Found, Progress, find
from mapper.search.exact import hardware_loops
from mapper.search.finalists import Finalists, finalists
from mapper.search.policy import Policy, library_mapping
from mapper.search.spaces.hardware_loops import LoopSpace


@dataclass(frozen=True, slots=True)
class Choice:
    """The mapping of a matmul."""

    mapping: LoopNest
    statement: str = ""
    """One sentence on how it was found, and what is known of better ones."""
    details: Mapping[str, object] = field(default_factory=dict)
    """The same as plain data."""
    finalists: Finalists | None = None
    """The best few by the estimate with their simulations, if the winner was to be simulated."""
    found: Found | None = None
    """What the search came back with, if a search of `mapper.search.driver` was asked for."""


Chooser: TypeAlias = Callable[[MatmulProblem, HardwareSpec, EnergyModel], Choice]


class SearchInterrupted(KeyboardInterrupt):
    """The user interrupted a search that had found something already."""

    def __init__(self, choice: Choice) -> None:
        super().__init__()
        self.choice = choice


@dataclass(frozen=True, slots=True)
class Optimal:
    """The optimum of the mapspace under the estimate, proved."""

    objective: Objective = "latency"
    budget: int | None = None
    """Evaluations; None until it is proved."""
    count: int | None = None
    """Finalists that are simulated; the winner of the simulation is taken. None: the best by the estimate."""

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Choice:
        if self.count is not None:
            return self._final(problem, spec, prices)
        result = hardware_loops.search(problem, spec, prices, self.objective, self.budget)
        statement = result.statement()
        if result.status != "optimal":
            statement = (
                f"not proved: least {self.objective} of {result.evaluated:,} evaluated of {result.legal:,} legal "
                f"mappings, most promising first (end of the budget); at most {result.gap:.1%} above what is possible "
                "at all"
            )
        return Choice(result.mapping, statement, self._details(result))

    def _final(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Choice:
        final = finalists(problem, spec, prices, self.objective, self.count or 0)
        return Choice(final.winner.mapping, final.proved.statement(), self._details(final.proved), final)

    def _details(self, result: hardware_loops.Proved) -> dict[str, object]:
        return {
            "search": "optimal",
            "objective": self.objective,
            "status": result.status,
            "candidates": result.candidates,
            "legal": result.legal,
            "evaluated": result.evaluated,
            "lower_bound": result.lower_bound,
            "value": result.value,
            "gap": result.gap,
        }


@dataclass(frozen=True, slots=True)
class Searched:
    """The best of a search that need not see everything."""

    search: str
    objective: Objective = "latency"
    budget: Budget | None = None
    seed: int = 0
    workers: int = 1
    progress: Progress | None = None

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Choice:
        require(spec)
        check_floor(problem, spec)
        space = LoopSpace.of(problem, spec, prices)
        found = find(
            space,
            self.objective,
            self.search,
            budget=self.budget,
            seed=self.seed,
            workers=self.workers,
            progress=self.progress,
        )
        statement = found.statement(f"{space.maps.legal:,} legal mappings")
        choice = Choice(found.mapping, statement, found.details(), found=found)
        if found.status == "interrupted":
            raise SearchInterrupted(choice)
        return choice


@dataclass(frozen=True, slots=True)
class Library:
    """The tile of Gemmini's library."""

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Choice:
        del prices
        return Choice(library_mapping(problem, spec), "gemmini_auto: the tile of Gemmini's library, not searched")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A mapping that is given."""

    mapping: LoopNest
    origin: str = "mapping"

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Choice:
        del prices
        require_for(self.mapping, problem=problem.dims, machine=spec.name, origin=self.origin)
        space = MapSpace(problem, spec)
        violations = space.violations(space.loop(self.mapping))
        if violations:
            raise MappingError(f"{self.origin}: does not fit {spec.name}", violations)
        return Choice(self.mapping, f"fixed: {self.origin}, not searched")


def chooser(policy: Policy, objective: Objective) -> Chooser:
    """Return the chooser of a named policy."""
    return Library() if policy == "gemmini_auto" else Optimal(objective)
