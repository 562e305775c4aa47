"""The best combinations of a branch and bound so far, and what they rule out.

Two kinds: the least of one objective with all that ties, and the front of cycles and energy. Both decide by bounds: a
combination of which some rows are ideal stands for many, and is hopeless only if none of them can be a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np

from mapper.cost.objective import Objective, metric_limits, objective_value
from mapper.nest.bounds.combine import Combined
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.pareto import staircase
from mapper.nest.bounds.reuse_structure import ReuseStructure
from mapper.nest.mapspace.tile_grid import Grid
from simulator.arrays import Bools, Floats, Ints

TIE = 1e-12
"""Relative: energies closer than this count as equal until the kernel has settled them."""


@dataclass(frozen=True, slots=True)
class Incumbent:
    """A combination that may be the optimum."""

    energy: float
    cycles: float
    structure: ReuseStructure
    order: OrderClass
    units: Mapping[str, tuple[int, ...]]
    """Tiles T1 .. T(L-1) by dimension [units]."""
    grids: Mapping[str, Grid]
    doubled: frozenset[int]
    """Copies that have a second one."""
    words: float
    """Words taken in all memories: the smaller of equals wins."""
    rank: int
    """Position of structure and class in the fixed order."""

    def score(self, objective: Objective) -> float:
        """Return the value of an objective [cycles, pJ or pJ cycles]."""
        return objective_value(objective, self.cycles, self.energy)


Describe: TypeAlias = Callable[[Ints], list[Incumbent]]
"""Turns rows of evaluated combinations into incumbents."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Costs that no result exceeds."""

    energy: float = np.inf
    cycles: float = np.inf


class Incumbents(Protocol):
    """The best so far of what is minimised."""

    version: int
    """Grows with every improvement."""

    def bound(self, costs: Combined) -> Floats:
        """Return a number per combination by which the most promising come first."""

    def hopeless(self, costs: Combined) -> Bools:
        """Return whether neither a combination nor anything it bounds can be a result."""

    def promising(self, bounds: Floats) -> Bools:
        """Return which bounds, made before the last improvements, may still hide a result; infinite ones do not."""

    def offer(self, costs: Combined, describe: Describe) -> None:
        """Take in evaluated combinations (one column); infinite cycles stand for none."""

    def limits(self, ideal: Combined) -> Limits:
        """Return the most energy and cycles that a result can have, given the ideal costs of its structure."""

    def candidates(self) -> list[Incumbent]:
        """Return the incumbents that the kernel is to settle."""

    @property
    def best(self) -> float:
        """Least score so far, infinite before the first; not a number where there is no single one."""


@dataclass(slots=True)
class LeastIncumbents:
    """The least of one objective, with all that ties.

    ``ceiling`` bounds the cycles: the least energy among the fastest mappings is ``LeastIncumbents("energy",
    ceiling=C)``. ``ties`` keeps what is as good as the best; without it only what is better counts.
    """

    objective: Objective
    ceiling: float = np.inf
    ties: bool = True
    best: float = np.inf
    version: int = 0
    by_costs: dict[tuple[float, float], Incumbent] = field(default_factory=dict)
    """One incumbent for each (energy, cycles) that once tied with the best."""

    def bound(self, costs: Combined) -> Floats:
        """Return the objective; infinite beyond the ceiling."""
        score = objective_value(self.objective, costs.cycles, costs.energy)
        return np.where((costs.cycles <= self.ceiling) & np.isfinite(costs.cycles), score, np.inf)

    @property
    def _limit(self) -> float:
        # Rows and bounds add the same numbers in different orders: a tie is told within their rounding.
        return self.best * (1.0 + TIE) if self.ties else self.best * (1.0 - TIE)

    def hopeless(self, costs: Combined) -> Bools:
        """Return whether the objective's bound is above the best."""
        return ~self.promising(self.bound(costs))

    def promising(self, bounds: Floats) -> Bools:
        """Return which bounds are finite and not above the best."""
        return np.isfinite(bounds) & (bounds <= self._limit)

    def offer(self, costs: Combined, describe: Describe) -> None:
        """Take in what is better than the best, and what ties with it."""
        score = self.bound(costs)
        least = float(score.min(initial=np.inf))
        if not np.isfinite(least) or least > self._limit:
            return
        if least < self.best:
            self.best = least
            self.version += 1
        for incumbent in describe(np.flatnonzero(score <= self.best * (1.0 + TIE))):
            # Ties in one objective differ in the other metric: the kernel's numbers are to decide among them.
            key = incumbent.energy, incumbent.cycles
            known = self.by_costs.get(key)
            if known is None or (incumbent.words, incumbent.rank) < (known.words, known.rank):
                self.by_costs[key] = incumbent

    def limits(self, ideal: Combined) -> Limits:
        """Return what the best leaves of each metric; of a product, with the other one at its ideal."""
        if not np.isfinite(self.best):
            return Limits(cycles=self.ceiling)
        # The ideal costs are a lower bound of each factor, so what the best leaves of a product bounds the other one.
        least = float(ideal.cycles.min()), float(ideal.energy.min())
        cycles, energy = metric_limits(self.objective, self.best * (1.0 + TIE), *least)
        return Limits(energy, min(cycles, self.ceiling))

    def candidates(self) -> list[Incumbent]:
        """Return what is as good as the best, to a relative 1e-12."""
        most = self.best * (1.0 + TIE)
        return [incumbent for incumbent in self.by_costs.values() if incumbent.score(self.objective) <= most]


@dataclass(slots=True)
class FrontIncumbents:
    """Combinations that no other one beats in cycles and energy at once, fewest cycles first."""

    version: int = 0
    points: list[Incumbent] = field(default_factory=list)
    _cycles: Floats = field(default_factory=lambda: np.zeros(0))
    _energy: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def best(self) -> float:
        """Not a number: a front has no single best."""
        return np.nan

    def bound(self, costs: Combined) -> Floats:
        """Return the energy-delay product, by which points near the middle of the front come first."""
        return objective_value("pareto", costs.cycles, costs.energy)

    def hopeless(self, costs: Combined) -> Bools:
        """Return whether a point has no more cycles and no more energy."""
        hopeless = ~np.isfinite(costs.cycles)
        if len(self._cycles):
            # Along the front energy falls as cycles grow: of all points that are no slower, the slowest is the test.
            slowest = np.searchsorted(self._cycles, costs.cycles, side="right") - 1
            hopeless |= (slowest >= 0) & (self._energy[np.maximum(slowest, 0)] <= costs.energy * (1.0 + TIE))
        return hopeless

    def promising(self, bounds: Floats) -> Bools:
        """Return which bounds are finite: a product alone does not say whether a point is dominated."""
        return np.isfinite(bounds)

    def offer(self, costs: Combined, describe: Describe) -> None:
        """Take in what no point dominates, and drop the points that it dominates."""
        rows = np.flatnonzero(~self.hopeless(costs))
        if not len(rows):
            return
        self.points += describe(rows[staircase(costs.cycles[rows], costs.energy[rows])])
        self.points.sort(key=lambda point: (point.cycles, point.energy, point.words, point.rank))
        # Sorted by cycles, a point stays if it has less energy than all before it; within rounding the first one wins.
        undominated: list[Incumbent] = []
        for point in self.points:
            if not undominated or point.energy < undominated[-1].energy * (1.0 - TIE):
                undominated.append(point)
        self.points = undominated
        self._cycles = np.array([point.cycles for point in undominated])
        self._energy = np.array([point.energy for point in undominated])
        self.version += 1

    def limits(self, ideal: Combined) -> Limits:
        """Return none: the ends of the front are not known."""
        del ideal
        return Limits()

    def candidates(self) -> list[Incumbent]:
        """Return the points."""
        return self.points
