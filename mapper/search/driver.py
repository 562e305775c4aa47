"""Drives a search: asks, prices, tells, until its budget ends, it is over, or the user interrupts it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mapper.cost.objective import OBJECTIVE_NAMES, Goal
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.search import registry
from mapper.search.budget import Budget
from mapper.search.evaluation import CandidateEvaluator
from mapper.search.front import ParetoFront
from mapper.search.options import SearchProgress
from mapper.search.searcher import PricedRow, Searcher
from mapper.search.space import Floor, Space, require_goal

STALE_BATCHES = 32
"""Batches in a row with hardly a new candidate after which a search is taken to have seen what it can reach."""

HARDLY = 0.01
"""Share of new candidates of such a batch."""

Status: TypeAlias = Literal["optimal", "budget", "stale", "interrupted"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search came back with."""

    algorithm: str
    goal: Goal
    mapping: LoopNest
    best: PricedRow
    front: ParetoFront
    """Only for the goal ``"pareto"``."""
    status: Status
    """optimal: every candidate was priced or is dominated by one that was; budget: the budget ended; stale: hardly
    anything new came for `STALE_BATCHES` batches; interrupted: by the user."""
    evaluated: int
    """Different candidates priced."""
    asked: int
    """Candidates proposed, those already known among them."""
    seconds: float
    """Wall time."""
    floor: Floor
    """Proved lower bounds of the space."""

    @property
    def value(self) -> float:
        """The best value of the objective; for ``"pareto"`` the least EDP."""
        return self.best.keys[0]

    @property
    def gap(self) -> float:
        """How far the best is above the lower bound, as a fraction of the bound; 0 if it is proved."""
        if self.status == "optimal":
            return 0.0
        return self.value / self.floor.of(self.goal) - 1.0

    def statement(self, population: str) -> str:
        """One sentence on a ``population``: what was proved, or how far the best may be from the optimum."""
        least = f"least {OBJECTIVE_NAMES[self.goal]}"
        rate = f"{self.evaluated / max(self.seconds, 1e-9):,.0f}/s"
        if self.status == "optimal":
            target = "whole front" if self.goal == "pareto" else least
            return f"optimal: {target} of {population}, all but equal ones evaluated ({self.evaluated:,}, {rate})"
        ended = {"budget": "end of its budget", "stale": "nothing new to be found", "interrupted": "interrupted"}
        target, measure = ("front", "its least EDP is ") if self.goal == "pareto" else (least, "")
        return (
            f"not proved: {target} of {self.evaluated:,} evaluated of {population} ({self.algorithm}, {rate}, "
            f"{ended[self.status]}); {measure}at most {self.gap:.1%} above what is possible at all"
        )

    def details(self) -> dict[str, object]:
        """Everything but the mapping and the times, as plain data."""
        return {
            "search": self.algorithm,
            "objective": self.goal,
            "status": self.status,
            "evaluated": self.evaluated,
            "lower_bound": self.value if self.status == "optimal" else self.floor.of(self.goal),
            "value": self.value,
            "gap": self.gap,
        }


def searchers() -> dict[str, type[Searcher]]:
    """Return the searches of the registry that propose candidates and are told their costs, by name."""
    loaded = {method.name: registry.load(method) for method in registry.METHODS}
    return {name: kind for name, kind in loaded.items() if isinstance(kind, type) and issubclass(kind, Searcher)}


def find(
    space: Space,
    goal: Goal = "latency",
    search: str | type[Searcher] = "genetic",
    *,
    budget: Budget | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: SearchProgress | None = None,
) -> SearchResult:
    """Search ``space`` and return the best that was found.

    Parameters
    ----------
    space
        What to search.
    goal
        ``"latency"``, ``"energy"``, ``"edp"`` or ``"pareto"``.
    search
        A subclass of `Searcher`, or the name of one in `mapper.search.registry`: ``"exhaustive"``, ``"random"``,
        ``"annealing"`` or ``"genetic"``.
    budget
        None: the searcher's `Searcher.default_budget`.
    seed
        Equal seeds and budgets of evaluations give equal results, whatever the number of workers.
    workers
        Processes that price candidates.
    progress
        Told after each batch.

    Raises
    ------
    MappingError
        When no candidate is legal, or an argument makes no sense.
    KeyboardInterrupt
        Only when nothing was priced yet; later an interrupt returns the best so far.
    """
    require_goal(goal)
    kind = _searcher(search) if isinstance(search, str) else search
    if seed < 0:
        raise MappingError(f"seed={seed}: must not be negative")
    return drive(kind(space, goal, seed), budget or kind.default_budget, workers, progress)


def _searcher(name: str) -> type[Searcher]:
    known = searchers()
    if name not in known:
        raise MappingError(f"unknown search {name!r}; use {', '.join(known)}")
    return known[name]


def drive(searcher: Searcher, budget: Budget, workers: int = 1, progress: SearchProgress | None = None) -> SearchResult:
    """Run a searcher to the end of its budget."""
    state = _Drive(searcher, budget, progress)
    interrupted = False
    with CandidateEvaluator(searcher.space, workers) as evaluator:
        try:
            while state.step(evaluator):
                pass
        except KeyboardInterrupt:
            if searcher.best is None:
                raise
            interrupted = True
    if searcher.best is None:
        searcher.space.sample(1, searcher.random)  # raises with the census, for there is no candidate at all
        raise MappingError(f"{searcher.name}: nothing was proposed")
    return SearchResult(
        searcher.name,
        searcher.goal,
        searcher.space.mapping(searcher.best.row),
        searcher.best,
        searcher.front,
        "interrupted" if interrupted else state.status,
        state.evaluated,
        state.asked,
        time.perf_counter() - state.start,
        searcher.space.floor(),
    )


class _Drive:
    """Where a search is: what it has spent of its budget."""

    def __init__(self, searcher: Searcher, budget: Budget, progress: SearchProgress | None) -> None:
        self.searcher = searcher
        self.budget = budget
        self.progress = progress
        self.start = time.perf_counter()
        self.evaluated = 0
        self.asked = 0
        self.stale = 0
        self.status: Status = "budget"

    def step(self, evaluator: CandidateEvaluator) -> bool:
        """Price one batch; False at the end."""
        rows = self.searcher.ask()
        if rows is None:
            self.status = "optimal"
            return False
        left = None if self.budget.evaluations is None else self.budget.evaluations - self.evaluated
        if self.searcher.repeats:
            fresh = evaluator.news(rows)
            new = int(fresh.sum())
            if left is not None and new > left:
                rows = rows[: int(fresh.cumsum().searchsorted(left, side="right"))]
                fresh, new = fresh[: len(rows)], left
            costs = evaluator.costs(rows, fresh)
        else:
            rows = rows[:left]
            new, costs = len(rows), evaluator.price(rows)
        self.searcher.tell(rows, costs)
        return self._spend(len(rows), new)

    def _spend(self, asked: int, new: int) -> bool:
        self.asked += asked
        self.evaluated += new
        self.stale = 0 if new > HARDLY * asked else self.stale + 1
        seconds = time.perf_counter() - self.start
        if self.progress is not None and self.searcher.best is not None:
            self.progress(self.evaluated, seconds, self.searcher.best.keys[0])
        if self.stale >= STALE_BATCHES:
            self.status = "stale"
            return False
        within_count = self.budget.evaluations is None or self.evaluated < self.budget.evaluations
        return within_count and (self.budget.seconds is None or seconds < self.budget.seconds)
