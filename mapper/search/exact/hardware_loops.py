"""The optimum of the hardware-loop mapspace, proved: best-first by lower bounds.

    bound       every candidate: cycles that its units' own work needs (`mapper.cost.latency.lower_bounds`), the energy
                of what it does exactly, and what leaks in those cycles
    evaluate    in order of the bound, as long as it is not above the best full estimate
    stop        what is left cannot be better, nor as good

So the proof holds for the full estimate, whatever is not monotone in it. Ties go to the better of the other metrics,
then to the smaller footprint, then to the candidate that the space lists first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.model import CostModel
from mapper.cost.objective import OBJECTIVES, Objective, objective_value
from mapper.cost.simulation_limits import check_problem
from mapper.errors import MappingError
from mapper.graph.capabilities import require
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.exact.best_first import BestFirstFront, BestFirstSearch, Candidates
from mapper.search.space import require_goal

MAPSPACE = "hardware loops: tiles in array blocks, six DRAM orders, halves or whole memories, operands held if possible"
ACCOUNTING = (
    "the estimate on cold caches, as dirty as a run of the same leaves them: latency with fill, drain, issue and "
    "memory rates; exact counts"
)


@dataclass(frozen=True, slots=True)
class Proved:
    """The best mapping of a space, and what is known of the others."""

    mapping: LoopNest
    loop: HardwareLoop
    cycles: float
    """By which it was chosen; the estimate of one mapping replays its requests through the caches and may differ."""
    energy_pj: float
    objective: Objective
    status: Literal["optimal", "budget"]
    """``"optimal"``: nothing in the space is better; ``"budget"``: evaluations ran out before that was certain."""
    candidates: int
    """Members of the space, legal or not."""
    legal: int
    """Members that fit the memories."""
    evaluated: int
    """Members whose full cost was computed."""
    pruned: int
    """Members whose bound is worse than the best."""
    same: int
    """Members that another one makes superfluous: loops of one tile in another place, or nothing held that could be."""
    lower_bound: float
    """Of the objective over the space: no member is below it [cycles, pJ, or their product]."""
    mapspace: str = MAPSPACE
    accounting: str = ACCOUNTING

    @property
    def value(self) -> float:
        """The objective of the best [cycles, pJ, or their product]."""
        return objective_value(self.objective, self.cycles, self.energy_pj)

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum [fraction]; 0 if it is proved."""
        return self.value / self.lower_bound - 1.0

    def statement(self) -> str:
        """Return one sentence on what was proved."""
        is_proved = self.status == "optimal"
        claim = f"least {self.objective}" if is_proved else f"{self.objective} within {self.gap:.1%} of it"
        return (
            f"{self.status}: {claim} of {self.legal:,} legal mappings ({self.candidates:,} in all); {self.evaluated:,} "
            f"evaluated, {self.pruned:,} excluded by their bounds, {self.same:,} the same as others; "
            f"holds for {self.mapspace}; {self.accounting}"
        )


@dataclass(frozen=True, slots=True)
class PricedLoop:
    """One member of a Pareto front."""

    mapping: LoopNest
    loop: HardwareLoop
    cycles: float
    energy_pj: float
    footprint_bytes: int


@dataclass(frozen=True, slots=True)
class ProvedFront:
    """The members of a space of which no other one is better in one of cycles and energy and no worse in the other."""

    points: tuple[PricedLoop, ...]
    """From the fastest to the most frugal; of equal ones that with the smallest footprint, listed first."""
    candidates: int
    legal: int
    evaluated: int
    pruned: int
    same: int
    mapspace: str = MAPSPACE
    accounting: str = ACCOUNTING


def search(
    problem: MatmulProblem,
    spec: HardwareSpec,
    energy: EnergyModel,
    objective: Objective = "latency",
    budget: int | None = None,
) -> Proved:
    """Return the best mapping of ``problem`` on ``spec`` by the estimate.

    Parameters
    ----------
    budget
        Evaluations at most, at least one; None: until it is proved.

    Raises
    ------
    MappingError
        When no tile fits, the objective is unknown, every mapping is too large to simulate, the budget is not
        positive, or the machine is none this version lowers for.
    """
    return ranked(problem, spec, energy, objective, 1, budget)[0]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of the best members of a space."""

    number: int
    """Among the candidates of the search."""
    mapping: LoopNest
    loop: HardwareLoop
    cycles: float
    energy_pj: float


def ranked(
    problem: MatmulProblem,
    spec: HardwareSpec,
    energy: EnergyModel,
    objective: Objective,
    wanted: int,
    budget: int | None = None,
) -> tuple[Proved, tuple[Ranked, ...]]:
    """Return what `search` returns, and the ``wanted`` best mappings, best first: proved likewise; raises as it."""
    return prove(candidates_of(problem, spec, energy), objective, wanted, budget)


def prove(
    candidates: Candidates, objective: Objective, wanted: int, budget: int | None = None
) -> tuple[Proved, tuple[Ranked, ...]]:
    """Return what `ranked` returns, for candidates that several searches share."""
    require_goal(objective, OBJECTIVES)
    if budget is not None and budget < 1:
        raise MappingError(f"budget of {budget} evaluations; at least 1 is needed")
    best_first = BestFirstSearch(candidates, objective, min(wanted, candidates.count), budget)
    best_first.run()
    return proof_of(best_first, candidates, objective)


def proof_of(
    best_first: BestFirstSearch, candidates: Candidates, objective: Objective
) -> tuple[Proved, tuple[Ranked, ...]]:
    """Return what a search that has ended proves, and the best that it kept."""
    space = candidates.space
    # What the mapspace lists is legal; of loops that are the same to the machine it lists one. So all that is left out
    # of the candidates is told as ``same``, and a proof over the candidates is one over the space.
    # Only what is returned is made a mapping; all others were rows of a batch.
    loops = [candidates.loop(evaluated.number) for evaluated in best_first.best]
    rows = tuple(
        Ranked(evaluated.number, space.nest(loop), loop, evaluated.cycles, evaluated.energy_pj)
        for loop, evaluated in zip(loops, best_first.best, strict=True)
    )
    value, open_bound = best_first.best[0].key[0], best_first.unevaluated_bound
    proved = Proved(
        mapping=rows[0].mapping,
        loop=rows[0].loop,
        cycles=rows[0].cycles,
        energy_pj=rows[0].energy_pj,
        objective=objective,
        status="optimal" if open_bound is None else "budget",
        candidates=space.size,
        legal=space.legal,
        evaluated=best_first.evaluated,
        pruned=candidates.count - best_first.evaluated,
        same=space.legal - candidates.count,
        # Everything below the least open bound was evaluated, and the best is the least of that.
        lower_bound=value if open_bound is None else min(open_bound, value),
    )
    return proved, rows


def front(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> ProvedFront:
    """Return the Pareto front of cycles and energy of ``problem`` on ``spec`` by the estimate; raises as `search`."""
    candidates = candidates_of(problem, spec, energy)
    space = candidates.space
    best_first = BestFirstFront(candidates)
    best_first.run()
    points = []
    for number in best_first.front:
        loop = candidates.loop(number)
        cycles, pj, footprint = (float(column[number]) for column in best_first.known)
        points.append(PricedLoop(space.nest(loop), loop, cycles, pj, int(footprint)))
    return ProvedFront(
        tuple(points),
        space.size,
        space.legal,
        best_first.evaluated,
        candidates.count - best_first.evaluated,
        space.legal - candidates.count,
    )


def lower_bound(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> tuple[float, float]:
    """Return cycles and energy that no mapping of a problem is below [cycles, pJ]; raises as `search`."""
    candidates = candidates_of(problem, spec, energy)
    # The two may be those of different mappings: together they bound what any one of them can reach.
    batches = range(len(candidates.batches))
    cycles = [candidates.least_cycles(batch) for batch in batches]
    energy_pj = min(float(candidates.least_energy(batch, cycles[batch]).min()) for batch in batches)
    return min(float(least.min()) for least in cycles), energy_pj


def candidates_of(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> Candidates:
    """Return the candidates of a problem on a machine; raises as `search`."""
    require(spec)
    check_problem(problem, spec)  # before anything is searched that could not be simulated
    return Candidates(MapSpace(problem, spec), CostModel.of(problem, spec, energy))
