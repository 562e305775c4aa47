"""What a branch and bound looks for: the least of one score with all that ties, or the front of cycles and energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mapper.cost.objective import Objective, objective_value
from mapper.nest.bounds.combine import Combined
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.pareto import staircase
from mapper.nest.bounds.reuse_structure import Structure
from mapper.nest.mapspace.tile_grid import Grid
from simulator.arrays import Bools, Floats, Ints

TIE = 1e-12
"""Relative: energies closer than this count as equal until the kernel has settled them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A combination that may be the optimum."""

    energy: float
    cycles: float
    item: Structure
    order: OrderClass
    units: Mapping[str, tuple[int, ...]]
    """Tiles T1 .. T(L-1) by dimension [units]."""
    grids: Mapping[str, Grid]
    doubled: frozenset[int]
    words: float
    """Words taken in all memories: the smaller of equals wins."""
    rank: int
    """Position of structure and class in the fixed order."""

    def score(self, objective: Objective) -> float:
        """Return the value of an objective [cycles, pJ or pJ cycles]."""
        return objective_value(objective, self.cycles, self.energy)


@dataclass(frozen=True, slots=True)
class Limits:
    """Costs that no result exceeds."""

    energy: float = np.inf
    cycles: float = np.inf


class Goal(Protocol):
    """What is minimised; keeps the best so far."""

    version: int
    """Grows with every improvement."""

    def bound(self, costs: Combined) -> Floats:
        """A number per combination by which the most promising come first."""

    def hopeless(self, costs: Combined) -> Bools:
        """Whether neither a combination nor anything it bounds can be a result."""

    def promising(self, scores: Floats) -> Bools:
        """Which bounds that once were not hopeless may still hide a result; infinite ones do not."""

    def offer(self, costs: Combined, describe: Callable[[Ints], list[Candidate]]) -> None:
        """Look at evaluated combinations (one column); infinite cycles stand for none."""

    def limits(self, ideal: Combined) -> Limits:
        """Most energy and cycles that a result can have, for a structure whose ideal costs are given."""


@dataclass(slots=True)
class Least:
    """The least of one score, with all that ties.

    ``ceiling`` bounds the cycles: the least energy among the fastest mappings is ``Least("energy", ceiling=C)``.
    ``ties`` keeps what is as good as the best; without it only what is better counts.
    """

    objective: Objective
    ceiling: float = np.inf
    ties: bool = True
    best: float = np.inf
    version: int = 0
    found: dict[tuple[float, float], Candidate] = field(default_factory=dict)

    def bound(self, costs: Combined) -> Floats:
        score = objective_value(self.objective, costs.cycles, costs.energy)
        return np.where((costs.cycles <= self.ceiling) & np.isfinite(costs.cycles), score, np.inf)

    @property
    def _limit(self) -> float:
        return self.best * (1.0 + TIE) if self.ties else self.best * (1.0 - TIE)

    def hopeless(self, costs: Combined) -> Bools:
        score = self.bound(costs)
        return ~(np.isfinite(score) & (score <= self._limit))

    def promising(self, scores: Floats) -> Bools:
        return np.isfinite(scores) & (scores <= self._limit)

    def offer(self, costs: Combined, describe: Callable[[Ints], list[Candidate]]) -> None:
        score = self.bound(costs)
        least = float(score.min(initial=np.inf))
        if not np.isfinite(least) or least > self._limit:
            return
        if least < self.best:
            self.best = least
            self.version += 1
        rows = np.flatnonzero(score <= self.best * (1.0 + TIE))
        for candidate in describe(rows):
            key = candidate.energy, candidate.cycles
            known = self.found.get(key)
            if known is None or (candidate.words, candidate.rank) < (known.words, known.rank):
                self.found[key] = candidate

    def limits(self, ideal: Combined) -> Limits:
        energy, cycles = float(ideal.energy.min()), float(ideal.cycles.min())
        if not np.isfinite(self.best):
            return Limits(cycles=self.ceiling)
        if self.objective == "energy":
            return Limits(self.best * (1.0 + TIE), self.ceiling)
        if self.objective == "latency":
            return Limits(cycles=min(self.best, self.ceiling))
        return Limits(self.best * (1.0 + TIE) / cycles, min(self.best * (1.0 + TIE) / energy, self.ceiling))

    def winners(self) -> list[Candidate]:
        """What is as good as the best, to a relative 1e-12."""
        return [item for item in self.found.values() if item.score(self.objective) <= self.best * (1.0 + TIE)]


@dataclass(slots=True)
class Front:
    """Combinations that no other one beats in cycles and energy at once, fewest cycles first."""

    version: int = 0
    found: list[Candidate] = field(default_factory=list)
    _cycles: Floats = field(default_factory=lambda: np.zeros(0))
    _energy: Floats = field(default_factory=lambda: np.zeros(0))

    def bound(self, costs: Combined) -> Floats:
        return objective_value("pareto", costs.cycles, costs.energy)

    def hopeless(self, costs: Combined) -> Bools:
        hopeless = ~np.isfinite(costs.cycles)
        if len(self._cycles):
            at = np.searchsorted(self._cycles, costs.cycles, side="right") - 1
            hopeless |= (at >= 0) & (self._energy[np.maximum(at, 0)] <= costs.energy * (1.0 + TIE))
        return hopeless

    def promising(self, scores: Floats) -> Bools:
        return np.isfinite(scores)

    def offer(self, costs: Combined, describe: Callable[[Ints], list[Candidate]]) -> None:
        rows = np.flatnonzero(~self.hopeless(costs))
        if not len(rows):
            return
        self.found += describe(rows[staircase(costs.cycles[rows], costs.energy[rows])])
        self.found.sort(key=lambda item: (item.cycles, item.energy, item.words, item.rank))
        left: list[Candidate] = []
        for item in self.found:
            if not left or item.energy < left[-1].energy * (1.0 - TIE):
                left.append(item)
        self.found = left
        self._cycles = np.array([item.cycles for item in left])
        self._energy = np.array([item.energy for item in left])
        self.version += 1

    def limits(self, ideal: Combined) -> Limits:
        del ideal
        return Limits()
