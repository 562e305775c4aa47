"""The optimum of the hardware-loop mapspace, proved: best-first by lower bounds.

    bound       every candidate: its energy exactly, cycles that its units' own work needs (`mapper.floors`)
    evaluate    in order of the bound, as long as it is not above the best full estimate
    stop        what is left cannot be better, nor as good

So the proof holds for the full estimate, whatever is not monotone in it. Ties go to the better of the other metrics,
then to the smaller footprint, then to the candidate that the space lists first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import OBJECTIVES, CostModel, Objective
from mapper.effort import check_floor
from mapper.errors import MappingError
from mapper.mapping import HardwareLoop, Mapping
from mapper.mapspace import Batch, MapSpace, nothing_fits
from mapper.problem import MatmulProblem
from mapper.supported import require

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FIRST, MORE = 64, 2048
"""Candidates evaluated together: few until there is something to compare with, then enough to keep numpy busy."""

ROUNDING = 1.0 - 1e-9
"""Bounds and estimates add the same numbers in different orders."""

MAPSPACE = "hardware loops: tiles in array blocks, six DRAM orders, halves or whole memories, operands held if possible"
ACCOUNTING = "the estimate on cold caches: latency with fill, drain, issue and memory rates; exact counts"


@dataclass(frozen=True, slots=True)
class Proved:
    """The best mapping of a space, and what is known of the others."""

    mapping: Mapping
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
        return {"latency": self.cycles, "energy": self.energy_pj}.get(self.objective, self.cycles * self.energy_pj)

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum [fraction]; 0 if it is proved."""
        return self.value / self.lower_bound - 1.0

    def statement(self) -> str:
        """Return one sentence on what was proved."""
        found = (
            f"least {self.objective}" if self.status == "optimal" else f"{self.objective} within {self.gap:.1%} of it"
        )
        return (
            f"{self.status}: {found} of {self.legal:,} legal mappings ({self.candidates:,} in all); {self.evaluated:,} "
            f"evaluated, {self.pruned:,} excluded by their bounds, {self.same:,} the same as others; "
            f"holds for {self.mapspace}; {self.accounting}"
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One member of a Pareto front."""

    mapping: Mapping
    loop: HardwareLoop
    cycles: float
    energy_pj: float
    footprint_bytes: int


@dataclass(frozen=True, slots=True)
class ProvedFront:
    """The members of a space of which no other one is better in one of cycles and energy and no worse in the other."""

    points: tuple[Point, ...]
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

    mapping: Mapping
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
    if objective not in OBJECTIVES:
        raise MappingError(f"unknown objective {objective!r}; use {', '.join(OBJECTIVES)}")
    if budget is not None and budget < 1:
        raise MappingError(f"budget of {budget} evaluations; at least 1 is needed")
    space = _space(problem, spec)
    candidates = _Candidates(space, CostModel.of(problem, spec, energy))
    hunt = _Hunt(candidates, objective, min(wanted, candidates.number), budget)
    hunt.run()
    loops = [candidates.loop(found.place) for found in hunt.best]
    rows = tuple(
        Ranked(_mapping(loop, space), loop, found.cycles, found.energy_pj)
        for loop, found in zip(loops, hunt.best, strict=True)
    )
    value = hunt.best[0].key[0]
    proved = Proved(
        mapping=rows[0].mapping,
        loop=rows[0].loop,
        cycles=rows[0].cycles,
        energy_pj=rows[0].energy_pj,
        objective=objective,
        status="optimal" if hunt.left is None else "budget",
        candidates=space.size,
        legal=space.legal,
        evaluated=hunt.evaluated,
        pruned=candidates.number - hunt.evaluated,
        same=space.legal - candidates.number,
        lower_bound=value if hunt.left is None else min(hunt.left, value),
    )
    return proved, rows


def front(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> ProvedFront:
    """Return the Pareto front of cycles and energy of ``problem`` on ``spec`` by the estimate; raises as `search`."""
    space = _space(problem, spec)
    candidates = _Candidates(space, CostModel.of(problem, spec, energy))
    hunt = _FrontHunt(candidates)
    hunt.run()
    points = []
    for place in hunt.front:
        loop = candidates.loop(place)
        cycles, pj, footprint = (float(column[place]) for column in hunt.known)
        points.append(Point(_mapping(loop, space), loop, cycles, pj, int(footprint)))
    return ProvedFront(
        tuple(points),
        space.size,
        space.legal,
        hunt.evaluated,
        candidates.number - hunt.evaluated,
        space.legal - candidates.number,
    )


def lower_bound(problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> tuple[float, float]:
    """Return cycles and energy that no mapping of a problem is below [cycles, pJ]; raises as `search`."""
    candidates = _Candidates(_space(problem, spec), CostModel.of(problem, spec, energy))
    cycles = min(float(candidates.least_cycles(at).min()) for at in range(len(candidates.batches)))
    return cycles * ROUNDING, min(float(candidates.energy_pj(at).min()) for at in range(len(candidates.batches)))


def _space(problem: MatmulProblem, spec: HardwareSpec) -> MapSpace:
    require(spec)
    check_floor(problem, spec)
    return MapSpace(problem, spec)


def _mapping(loop: HardwareLoop, space: MapSpace) -> Mapping:
    problem = space.problem
    return loop.mapping((problem.name,), problem.dims, space.spec.name, space.dim)


class _Candidates:
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

    def least_cycles(self, at: int) -> Floats:
        """Return lower bounds of the cycles of a batch."""
        return self.model.least_cycles(self.batches[at]) * ROUNDING

    def energy_pj(self, at: int) -> Floats:
        """Return the energy of a batch."""
        return self.model.energy_pj(self.batches[at])

    def take(self, at: int, rows: Ints) -> Batch:
        """Return some rows of a batch."""
        return self.batches[at].take(rows)


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    """An evaluated candidate: what is compared, most important first, then its place in the list."""

    key: tuple[float, ...]
    place: int
    cycles: float
    energy_pj: float


class _Hunt:
    """Evaluates candidates of the batch whose next bound is least, until no bound is as good as the worst wanted."""

    def __init__(self, candidates: _Candidates, objective: Objective, wanted: int, budget: int | None) -> None:
        self._candidates = candidates
        self._objective: Objective = objective
        self._wanted = wanted
        self._budget = candidates.number if budget is None else min(budget, candidates.number)
        self.best: list[_Found] = []
        """The best so far, as many as are wanted."""
        self.evaluated = 0
        self.left: float | None = None
        """Least bound of what was not evaluated though it might be better: the budget ended first."""

    def run(self) -> None:
        """Find the best."""
        waiting: list[tuple[float, int]] = []
        bounds: dict[int, tuple[Floats, Ints]] = {}
        for at in range(len(self._candidates.batches)):
            bound = self._bounds(at)
            order = np.argsort(bound, kind="stable")
            bounds[at] = bound[order], order
            heapq.heappush(waiting, (float(bound[order[0]]), at))
        while waiting and waiting[0][0] <= self._worst:
            if self.evaluated >= self._budget:
                self.left = waiting[0][0]
                return
            _, at = heapq.heappop(waiting)
            bound, order = bounds[at]
            most = min(MORE if self.evaluated else FIRST, self._budget - self.evaluated)
            number = max(1, int(np.searchsorted(bound[:most], self._worst, side="right")))
            self._evaluate(at, order[:number])
            bounds[at] = bound[number:], order[number:]
            if len(bound) > number:
                heapq.heappush(waiting, (float(bound[number]), at))

    @property
    def _worst(self) -> float:
        """What a candidate must not be above to be wanted."""
        return self.best[-1].key[0] if len(self.best) == self._wanted else math.inf

    def _bounds(self, at: int) -> Floats:
        if self._objective == "energy":
            return self._candidates.energy_pj(at)
        cycles = self._candidates.least_cycles(at)
        return cycles if self._objective == "latency" else cycles * self._candidates.energy_pj(at)

    def _evaluate(self, at: int, rows: Ints) -> None:
        costs = self._candidates.model.costs(self._candidates.take(at, rows))
        self.evaluated += len(rows)
        places = rows + self._candidates.starts[at]
        keys = costs.keys(self._objective)
        if self._wanted == 1:
            first = [_least((*keys, places))]
        else:
            first = np.lexsort((places, *keys[::-1]))[: self._wanted].tolist()
        found = [
            _Found(
                tuple(float(column[row]) for column in keys),
                int(places[row]),
                float(costs.cycles[row]),
                float(costs.energy_pj[row]),
            )
            for row in first
        ]
        self.best = sorted([*self.best, *found])[: self._wanted]


def _least(columns: Sequence[Floats | Ints]) -> int:
    """Return the row that is lexicographically least, without sorting."""
    rows = np.arange(len(columns[0]))
    for column in columns:
        values = column[rows]
        rows = rows[values == values.min()]
    return int(rows[0])


class _FrontHunt:
    """Evaluates candidates that no known one dominates by their bounds, most promising EDP first."""

    def __init__(self, candidates: _Candidates) -> None:
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
        order = np.lexsort((among, footprint, energy, cycles))
        before = np.minimum.accumulate(np.concatenate([[np.inf], energy[order][:-1]]))
        self.front = among[order][energy[order] < before].tolist()
