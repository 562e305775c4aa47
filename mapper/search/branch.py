"""Branch and bound over tile chains: the best combination of one chain per group, and proof that it is.

For every class of loop orders each group of dimensions has a table of chains (`mapper.nest.tables`). All costs grow
with every column, so evaluating some groups' rows with the others' ideal row bounds every completion. Tables lose the
rows whose bound is beaten, then those that another row dominates; the two shorter ones are paired, pairs sorted by
bound, and blocks of pairs evaluated against the third table until the next bound is beaten: what is left is proved
worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mapper.nest.classes import OrderClass
from mapper.nest.combine import Combined, Combiner
from mapper.nest.structure import Structure
from mapper.nest.tables import Grid, Table, group_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIE = 1e-12
"""Relative: energies closer than this count as equal until the kernel has settled them."""

CELLS = 1 << 18
"""Combinations evaluated at once, at most."""


class Stopped(Exception):
    """The budget is spent."""


@dataclass(slots=True)
class Effort:
    """Work done, and the limit on it."""

    rows: int = 0
    pairs: int = 0
    chains: int = 0
    max_rows: int | None = None
    deadline: float | None = None

    def spend(self, rows: int) -> None:
        self.rows += rows
        if self.max_rows is not None and self.rows >= self.max_rows:
            raise Stopped
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            raise Stopped


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


class Goal(Protocol):
    """What is minimised; keeps the best so far."""

    needs_cycles: bool

    def bound(self, costs: Combined) -> Floats:
        """A number per combination; those that are `hopeless` cannot improve anything."""

    def hopeless(self, costs: Combined) -> NDArray[np.bool_]:
        """Whether neither a combination nor anything it bounds can be a result."""

    def offer(self, costs: Combined, describe: Callable[[Ints], list[Candidate]]) -> None:
        """Look at evaluated combinations (one column)."""


@dataclass(slots=True)
class Least:
    """The least of one score, with all that ties.

    ``ceiling`` bounds the cycles: the least energy among the fastest mappings is ``Least("energy", ceiling=C)``.
    """

    objective: str
    ceiling: float = np.inf
    best: float = np.inf
    found: dict[tuple[float, float], Candidate] = field(default_factory=dict)

    @property
    def needs_cycles(self) -> bool:
        return self.objective != "energy" or np.isfinite(self.ceiling)

    def bound(self, costs: Combined) -> Floats:
        if self.objective == "energy":
            score = costs.energy
        elif self.objective == "latency":
            score = costs.cycles
        else:
            score = costs.energy * costs.cycles
        return np.where(costs.cycles <= self.ceiling, np.where(np.isfinite(costs.cycles), score, np.inf), np.inf)

    def hopeless(self, costs: Combined) -> NDArray[np.bool_]:
        score = self.bound(costs)
        return ~(np.isfinite(score) & (score <= self.best * (1.0 + TIE)))

    def offer(self, costs: Combined, describe: Callable[[Ints], list[Candidate]]) -> None:
        score = self.bound(costs)
        least = float(score.min(initial=np.inf))
        if not np.isfinite(least) or least > self.best * (1.0 + TIE):
            return
        self.best = min(self.best, least)
        rows = np.flatnonzero(score <= self.best * (1.0 + TIE))
        for candidate in describe(rows):
            key = candidate.energy, candidate.cycles
            known = self.found.get(key)
            if known is None or (candidate.words, candidate.rank) < (known.words, known.rank):
                self.found[key] = candidate

    def ties(self) -> list[Candidate]:
        """What is as good as the best, to a relative 1e-12."""

        def score(candidate: Candidate) -> float:
            return {
                "energy": candidate.energy,
                "latency": candidate.cycles,
                "edp": candidate.energy * candidate.cycles,
            }[self.objective]

        return [item for item in self.found.values() if score(item) <= self.best * (1.0 + TIE)]


def search_class(
    item: Structure,
    order: OrderClass,
    rank: int,
    grids: Mapping[str, Grid],
    choices: Sequence[frozenset[int]],
    goal: Goal,
    effort: Effort,
    report: Callable[[float], None] = lambda bound: None,
) -> None:
    """Exhaust one class of orders; ``report`` hears the bound of what is still open."""
    combiner = Combiner(item, choices, needs_cycles=goal.needs_cycles)
    full = [group_table(item, order, group, grids, {}) for group in range(len(item.groups))]
    if min(map(len, full)) == 0:
        return
    effort.chains += sum(map(len, full))
    for row in range(len(full[3])):
        tables = [*full[:3], full[3].take(np.array([row]))]
        reduced = _reduced(combiner, tables, goal)
        if reduced is not None:
            _exhaust(combiner, order, rank, grids, reduced, goal, effort, report)


def _reduced(combiner: Combiner, tables: list[Table], goal: Goal) -> list[Table] | None:
    """Drop chains that cannot be part of a result; None if nothing is left."""
    for _ in range(2):
        for group in range(3):
            if len(tables[group]) == 1:
                continue
            row = [table if index == group else table.ideal() for index, table in enumerate(tables)]
            keep = ~goal.hopeless(combiner(row))
            if not keep.any():
                return None
            if not keep.all():
                tables[group] = tables[group].take(keep)
    return [table.thinned() if group < 3 else table for group, table in enumerate(tables)]


def _exhaust(
    combiner: Combiner,
    order: OrderClass,
    rank: int,
    grids: Mapping[str, Grid],
    tables: list[Table],
    goal: Goal,
    effort: Effort,
    report: Callable[[float], None],
) -> None:
    """Pairs of the shorter tables by bound, each block against the longest."""
    a, b, last = sorted(range(3), key=lambda group: (len(tables[group]), group))
    first, second = (grid.ravel() for grid in np.indices((len(tables[a]), len(tables[b]))))
    view = {a: tables[a].take(first), b: tables[b].take(second), last: tables[last].ideal(), 3: tables[3]}
    costs = combiner([view[group] for group in range(4)])
    keep = np.flatnonzero(~goal.hopeless(costs))
    bounds = goal.bound(costs)[keep]
    by_bound = np.argsort(bounds, kind="stable")
    keep, bounds = keep[by_bound], bounds[by_bound]
    effort.pairs += len(keep)
    longest = np.arange(len(tables[last]))
    start, size = 0, 16
    while start < len(keep):
        report(float(bounds[start]))
        block = keep[start : start + size]
        block = block[~goal.hopeless(_pick(costs, block))]
        start, size = start + size, max(16, min(size * 4, CELLS // len(longest)))
        if not len(block):
            if np.isfinite(getattr(goal, "best", np.nan)):
                return
            continue
        rows = {a: first[block][:, None], b: second[block][:, None], last: longest[None, :]}
        views = [tables[group].take(rows[group]) for group in range(3)] + [tables[3]]
        found = combiner(views)
        effort.spend(found.energy.size)
        flat = Combined(found.energy.ravel(), found.cycles.ravel(), found.choice.ravel())

        def describe(cells: Ints) -> list[Candidate]:
            where = np.unravel_index(cells, found.energy.shape)
            index = {a: first[block][where[0]], b: second[block][where[0]], last: longest[where[1]]}
            chosen = [tables[group].take(index[group]) for group in range(3)] + [tables[3]]
            return _candidates(
                combiner,
                order,
                rank,
                grids,
                chosen,
                Combined(*(c[cells] for c in (flat.energy, flat.cycles, flat.choice))),
            )

        goal.offer(flat, describe)


def _pick(costs: Combined, rows: Ints) -> Combined:
    return Combined(costs.energy[rows], costs.cycles[rows], costs.choice[rows])


def _candidates(
    combiner: Combiner,
    order: OrderClass,
    rank: int,
    grids: Mapping[str, Grid],
    tables: Sequence[Table],
    costs: Combined,
) -> list[Candidate]:
    """Describe combinations; of those with equal costs only the ones that take least room."""
    words = combiner.taken(tables, costs.choice)
    order_of = np.lexsort((words, costs.cycles, costs.energy))
    pairs = np.stack([costs.energy[order_of], costs.cycles[order_of]], axis=1)
    fresh = np.ones(len(order_of), bool)
    fresh[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    found = []
    for row in order_of[fresh][:256]:
        units = {
            dim: tuple(int(tile[row if tile.shape[0] > 1 else 0]) for tile in columns)
            for table in tables
            for dim, columns in table.units.items()
        }
        doubled = combiner.choices[int(costs.choice[row])]
        found.append(
            Candidate(
                float(costs.energy[row]),
                float(costs.cycles[row]),
                combiner.item,
                order,
                units,
                grids,
                doubled,
                float(words[row]),
                rank,
            )
        )
    return found
