"""The best mapping of a loop-nest mapspace, with proof.

All subproblems (`mapper.search.exact.nest_subproblems`) share their incumbents; a first pass over a coarse grid of
tiles finds good ones in milliseconds, then every class of loop orders is exhausted or proved worse
(`mapper.search.exact.branch_and_bound`). Finalists are priced by the kernel, which alone says what a mapping costs.

"optimal" holds for the mapspace (keep sets, units of tiles, perfect or ragged), the static hoisting of ragged tiles and
the accounting that the result names. Words moved are |tensor| x visits, whatever the order, so nothing outside the
searched classes can be better; the proofs are in `mapper.nest.bounds`: `order_classes`, `tile_chains`, `combine`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isinf
from typing import Literal, TypeAlias

from mapper.cost.objective import Goal, Objective, ranking_keys, tie_breaker
from mapper.errors import MappingError
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.cost import evaluate
from mapper.search.exact.branch_and_bound import Effort, Stopped, search_class
from mapper.search.exact.incumbents import FrontIncumbents, Incumbent, Incumbents, LeastIncumbents
from mapper.search.exact.nest_result import NestResult, PricedNest
from mapper.search.exact.nest_subproblems import Subproblem, subproblems
from mapper.search.space import require_goal

Progress: TypeAlias = Callable[[int, float, float], None]
"""Hears rows evaluated, best score and proved lower bound."""

AGREEMENT = 1e-9
"""Relative: kernel and search add the same numbers in different orders."""


def search(
    space: NestSpace,
    objective: Goal = "edp",
    *,
    max_rows: int | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> NestResult:
    """Return the best mapping of a space.

    Parameters
    ----------
    objective
        ``"latency"`` [cycles], ``"energy"`` [pJ], ``"edp"`` [pJ cycles], or ``"pareto"`` for all mappings that no other
        one beats in cycles and energy. Ties are broken by the other metrics, the room taken, and the order in which
        the space lists its variants and classes; the result is the same on every run.
    max_rows, seconds
        Budget; an interrupt from the keyboard ends the search in the same way, with what was found so far.

    Raises
    ------
    MappingError
        For an unknown objective, a budget that allows nothing, or a space without a legal mapping (with a census).
    KeyboardInterrupt
        Only when nothing was found yet.
    """
    require_goal(objective)
    if (max_rows is not None and max_rows < 1) or (seconds is not None and seconds <= 0):
        raise MappingError(f"a budget of {max_rows if max_rows is not None else seconds} allows no search")
    wall, cpu = time.perf_counter(), time.process_time()
    effort = Effort(max_rows=max_rows, deadline=None if seconds is None else wall + seconds)
    exact = _ExactSearch(subproblems(space.axes), effort, progress)
    status = exact.run(objective)
    front = exact.priced(objective)
    if not front and status == "stopped":
        raise KeyboardInterrupt  # a budget does not end before something was found
    if not front:
        raise MappingError(f"no mapping of {space.problem.name} fits {space.hierarchy.name}", space.census())
    seconds_taken = time.process_time() - cpu, time.perf_counter() - wall
    return _result(space, objective, status, front, exact, seconds_taken)


def _result(
    space: NestSpace,
    objective: Goal,
    status: Literal["optimal", "stopped"],
    front: list[PricedNest],
    exact: _ExactSearch,
    seconds_taken: tuple[float, float],
) -> NestResult:
    # What was not searched is at least ``exact.bound``; what was searched is at least the best.
    best = front[0] if objective != "pareto" else min(front, key=lambda point: (point.edp, point.cycles))
    score = best.score(objective)
    return NestResult(
        objective,
        status,
        best,
        tuple(front) if objective == "pareto" else (best,),
        score if status == "optimal" else min(exact.bound, score),
        space.total,
        exact.effort.rows,
        exact.classes,
        exact.pruned,
        space.describe(),
        space.accounting.describe(),
        *seconds_taken,
    )


def lower_bound(space: NestSpace) -> tuple[float, float]:
    """Return cycles and energy that no mapping of a space is below [cycles, pJ].

    Everything moves once and nothing takes room.
    """
    ideals = [subproblem.ideal() for subproblem in subproblems(space.axes)]
    return min(float(ideal.cycles[0]) for ideal in ideals), min(float(ideal.energy[0]) for ideal in ideals)


@dataclass(frozen=True, slots=True)
class _OpenClass:
    """A class of loop orders that a pass is to search; sorted, the one with the least bound comes first."""

    bound: float
    """Of the ideal costs: no mapping of the class is below."""
    subproblem: int
    rank: int


@dataclass(slots=True)
class _BoundReport:
    """Hears the bound of what is open in one class and keeps the search's own lower bound and progress up to date."""

    exact: _ExactSearch
    own: float
    """Bound of the whole class."""
    later: float
    """Least bound of the classes behind it."""
    proves: bool
    """Whether the pass proves anything: not the coarse one, nor one among ties."""

    def __call__(self, open_bound: float) -> None:
        """Hear the least bound of what is still open in the class."""
        if self.proves:
            # What is open is here or in a later class; what came before was searched whole.
            self.exact.bound = max(self.exact.bound, min(max(open_bound, self.own), self.later))
        self.exact.tell_progress()


class _ExactSearch:
    """The passes of one search over all classes of all subproblems."""

    def __init__(self, parts: list[Subproblem], effort: Effort, progress: Progress | None) -> None:
        self.effort = effort
        self.classes = sum(len(part.classes) for part in parts)
        self.pruned = 0
        self.bound = 0.0
        """Lower bound of what was not searched when stopped."""
        self._parts, self._progress = parts, progress
        self._incumbents: Incumbents = LeastIncumbents("edp")

    def run(self, objective: Goal) -> Literal["optimal", "stopped"]:
        """Search until nothing is left, or the budget or an interrupt ends it."""
        try:
            if objective == "pareto":
                self._pass(FrontIncumbents())
                return "optimal"
            second = tie_breaker(objective)
            first = LeastIncumbents(objective, ties=second is None)
            self._pass(first)
            if second is not None and not isinf(first.best):
                self._among_ties(first, second)
        except (Stopped, KeyboardInterrupt):
            return "stopped"
        return "optimal"

    def tell_progress(self) -> None:
        """Tell the caller how far the search is."""
        if self._progress is not None:
            self._progress(self.effort.rows, self._incumbents.best, self.bound)

    def _among_ties(self, fastest: LeastIncumbents, second: Objective) -> None:
        """The least of another objective among the fastest mappings; until one is found the fastest itself stands.

        A small weight on energy in one pass instead would be lost in rounding, and would ruin the pruning.
        """
        self.bound = fastest.best
        frugal = LeastIncumbents(second, ceiling=fastest.best)
        frugal.by_costs = {(item.energy, item.cycles): item for item in fastest.candidates()}
        frugal.best = min(item.score(second) for item in fastest.candidates())
        self._pass(frugal, proves_bound=False)

    def _pass(self, incumbents: Incumbents, *, proves_bound: bool = True) -> None:
        """Search all classes for one kind of incumbents, the least bound first: coarsely, then whole."""
        self._incumbents = incumbents
        ideals = [part.ideal() for part in self._parts]
        open_classes = sorted(
            (
                _OpenClass(float(incumbents.bound(ideal)[0]), number, rank)
                for number, (part, ideal) in enumerate(zip(self._parts, ideals, strict=True))
                for rank in range(len(part.classes))
            ),
            key=lambda item: (item.bound, item.subproblem, item.rank),
        )
        if proves_bound:
            self.bound = open_classes[0].bound if open_classes else 0.0
        self.pruned = 0
        # The coarse pass proves nothing. Its incumbents are near the optimum after milliseconds, and with them the
        # bounds of the whole pass remove most chains before the slow filters see them.
        for coarse in (True, False):
            for index, item in enumerate(open_classes):
                if bool(incumbents.hopeless(ideals[item.subproblem])[0]):
                    self.pruned += not coarse
                    continue
                later = open_classes[index + 1].bound if index + 1 < len(open_classes) else float("inf")
                report = _BoundReport(self, item.bound, later, proves_bound and not coarse)
                self._search(item, report, coarse=coarse)

    def _search(self, item: _OpenClass, report: _BoundReport, *, coarse: bool) -> None:
        problem = self._parts[item.subproblem].class_problem(item.rank, coarse=coarse)
        if problem is None:
            return
        rows = self.effort.rows
        search_class(problem, self._incumbents, self.effort, report)
        self.pruned += not coarse and self.effort.rows == rows  # its tables went before any combination was priced

    def priced(self, objective: Goal) -> list[PricedNest]:
        """Return the finalists with the kernel's numbers, best first; of a front all, fewest cycles first."""
        incumbents = self._incumbents
        finalists = [(self._price(incumbent), incumbent.rank) for incumbent in incumbents.candidates()]
        if objective == "pareto":
            finalists.sort(key=lambda pair: (pair[0].cycles, pair[0].energy_pj))
            return [priced for priced, _ in finalists]
        finalists.sort(key=lambda pair: (*_ranking(pair[0], objective), pair[1]))
        nests = [priced for priced, _ in finalists]
        if nests and isinstance(incumbents, LeastIncumbents):
            score = nests[0].score(incumbents.objective)
            if score < incumbents.best * (1.0 - AGREEMENT):
                raise RuntimeError(f"the kernel finds less than the search did:\n{nests[0].mapping.loop_nest()}")
        return nests

    def _price(self, incumbent: Incumbent) -> PricedNest:
        """The mapping of an incumbent and the kernel's costs.

        They are no larger than what the search saw, and of the best the same: the class it was found in may charge a
        mapping for a loop that has one trip, but then its own class finds it cheaper.
        """
        # An incumbent carries the very structure of its subproblem.
        part = next(part for part in self._parts if part.structure is incumbent.structure)
        batch = part.batch(incumbent)
        costs = evaluate(batch, part.axes.accounting)
        words = int(sum(column[0] for column in costs.footprint.values()))
        cycles, energy = int(costs.cycles[0]), float(costs.energy_pj[0])
        if not costs.valid[0] or cycles > incumbent.cycles or energy > incumbent.energy * (1.0 + AGREEMENT):
            raise RuntimeError(f"the kernel finds more than the search did:\n{batch.mapping(0).loop_nest()}")
        return PricedNest(batch.mapping(0), cycles, energy, words)


def _ranking(priced: PricedNest, objective: Goal) -> tuple[float, ...]:
    return *ranking_keys(objective, float(priced.cycles), priced.energy_pj), priced.footprint_words
