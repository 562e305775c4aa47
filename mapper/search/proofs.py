"""The optimum of a space with its proof, as every search says it: a mapping or a front, a sentence, and plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.objective import OBJECTIVE_NAMES, OBJECTIVES, Goal, Objective, objective_value
from mapper.errors import MappingError
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.search.budget import Budget
from mapper.search.contenders import Contenders
from mapper.search.exact import hardware_loops
from mapper.search.mapping_result import FrontPoint, MappingResult
from mapper.search.options import SearchOptions
from mapper.search.space import Scope, Space, require_goal

if TYPE_CHECKING:
    from mapper.nest.mapspace.nest_space import NestSpace
    from mapper.search.exact.nest_result import NestResult


@runtime_checkable
class Provable(Protocol):
    """A space whose optimum can be proved."""

    def prove(self, goal: Goal, options: SearchOptions) -> MappingResult:
        """Return the optimum, or what is known of it when the budget ends first."""


def prove(space: Space, goal: Goal, options: SearchOptions) -> MappingResult:
    """Return the proved optimum of a space.

    Raises
    ------
    MappingError
        When there is no proof for spaces of this kind, no mapping is legal, or an option makes no sense.
    """
    require_goal(goal)
    if not isinstance(space, Provable):
        raise MappingError(f"search optimal: there is no proof for {type(space).__name__}; take another search")
    return space.prove(goal, options)


def prove_hardware_loops(
    problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel, goal: Goal, options: SearchOptions
) -> MappingResult:
    """Return the best hardware loop by the estimate, with those who may win by simulation, or the front."""
    budget = options.budget or Budget()
    if budget.seconds is not None:
        raise MappingError(f"budget {budget}: the proof for hardware loops counts evaluations, not seconds")
    if goal == "pareto":
        if options.budget is not None or options.finalists:
            raise MappingError("the front of hardware loops is proved whole: it takes neither a budget nor finalists")
        return _hardware_loop_front(problem, spec, energy)
    if options.finalists == 0 or options.budget is not None:
        if options.finalists:
            raise MappingError("finalists are ranked by a whole proof, which takes no budget")
        proved = hardware_loops.search(problem, spec, energy, goal, budget.evaluations)
        return _proved_hardware_loop(proved, goal)
    require_goal(goal, OBJECTIVES)
    company = Contenders(hardware_loops.candidates_of(problem, spec, energy), goal, options.finalists or 1)
    return replace(_proved_hardware_loop(company.proved, goal), contenders=company)


def _proved_hardware_loop(proved: hardware_loops.Proved, goal: Objective) -> MappingResult:
    statement = proved.statement()
    if proved.status != "optimal":
        statement = (
            f"not proved: least {goal} of {proved.evaluated:,} evaluated of {proved.legal:,} legal mappings, most "
            f"promising first (end of the budget); at most {proved.gap:.1%} above what is possible at all"
        )
    estimated = FrontPoint(proved.mapping, proved.cycles, proved.energy_pj)
    return MappingResult(proved.mapping, statement, _hardware_loop_details(proved, goal), estimated=estimated)


def _hardware_loop_details(proved: hardware_loops.Proved, goal: Objective) -> dict[str, object]:
    return {
        "search": "optimal",
        "objective": goal,
        "status": proved.status,
        "candidates": proved.candidates,
        "legal": proved.legal,
        "evaluated": proved.evaluated,
        "lower_bound": proved.lower_bound,
        "value": proved.value,
        "gap": proved.gap,
    }


def _hardware_loop_front(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> MappingResult:
    proved = hardware_loops.front(problem, spec, energy)
    statement = (
        f"optimal: the whole front of {proved.legal:,} legal mappings ({proved.candidates:,} in all); "
        f"{proved.evaluated:,} evaluated, {proved.pruned:,} excluded by their bounds; "
        f"holds for {proved.mapspace}; {proved.accounting}"
    )
    details = {
        "search": "optimal",
        "objective": "pareto",
        "status": "optimal",
        "candidates": proved.candidates,
        "legal": proved.legal,
        "evaluated": proved.evaluated,
    }
    points = tuple(FrontPoint(point.mapping, point.cycles, point.energy_pj) for point in proved.points)
    best = min(points, key=lambda point: objective_value("pareto", point.cycles, point.energy_pj))
    return MappingResult(best.mapping, statement, details, estimated=best, front=points)


def prove_loop_nests(space: NestSpace, scope: Scope, goal: Goal, options: SearchOptions) -> MappingResult:
    """Return the best loop nest of a space by the formulas of its accounting, or the front.

    ``scope`` says what the proof is about.
    """
    # Nests of any number of levels are a package of their own, which no run of a model needs.
    from mapper.search.exact import loop_nests

    if options.finalists:
        raise MappingError("finalists are simulated; loop nests cannot be")
    budget = options.budget or Budget()

    def told(rows: int, best: float, bound: float) -> None:
        del bound
        if options.progress is not None:
            options.progress(rows, 0.0, best)

    proved = loop_nests.search(space, goal, max_rows=budget.evaluations, seconds=budget.seconds, progress=told)
    status = _status(proved, budget)
    details: dict[str, object] = {
        "search": "optimal",
        **scope.details,
        "objective": goal,
        "status": status,
        "covered": proved.covered,
        "rows": proved.rows,
        "classes": proved.classes,
        "classes_pruned": proved.pruned,
        "lower_bound": proved.lower_bound,
        "value": proved.score,
        "gap": proved.gap,
    }
    points = tuple(FrontPoint(point.mapping, float(point.cycles), point.energy_pj) for point in proved.front)
    best = FrontPoint(proved.best.mapping, float(proved.best.cycles), proved.best.energy_pj)
    return MappingResult(
        best.mapping,
        _loop_nest_statement(proved, status, scope, goal),
        details,
        estimated=best,
        front=points if goal == "pareto" else (),
        interrupted=status == "interrupted",
    )


def _status(proved: NestResult, budget: Budget) -> str:
    """``"optimal"``, or what ended the search before: ``"budget"`` or ``"interrupted"``."""
    if proved.status == "optimal":
        return "optimal"
    out_of_rows = budget.evaluations is not None and proved.rows >= budget.evaluations
    out_of_time = budget.seconds is not None and proved.wall_s >= budget.seconds
    return "budget" if out_of_rows or out_of_time else "interrupted"


def _loop_nest_statement(proved: NestResult, status: str, scope: Scope, goal: Goal) -> str:
    extent = "covered" if status == "optimal" else "in the space"
    effort = (
        f"{proved.covered:,} mappings {extent}, {proved.rows:,} rows evaluated, {proved.pruned} of {proved.classes} "
        f"classes of loop orders excluded by their bound; {proved.cpu_s:.2f} CPU s"
    )
    if status == "optimal":
        target = "the whole front" if goal == "pareto" else f"least {OBJECTIVE_NAMES[goal]}"
        return f"optimal: {target}, proved: {effort}; {scope.premises}"
    reason = "end of the budget" if status == "budget" else "interrupted"
    return f"not proved: {reason}; at most {proved.gap:.1%} above what is possible at all; {effort}"
