"""Branch and bound over tile chains: the best combination of one chain per group, and proof that it is.

For every class of loop orders each reuse group has a table of chains (`mapper.nest.bounds.chain_tables`).

    tables      lose the rows whose bound (the others at their ideal) is beaten, then those that another row dominates
    pairs       of rows of the two shorter tables, sorted by bound
    blocks      of pairs are evaluated against the whole third table, until the next pair's bound is beaten

What is left then is proved worse. A table may hold rows that stand for many chains; combinations with them are bounds
too, and only where one could not be ruled out are its rows expanded and the class searched once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from mapper.nest.bounds.chain_tables import ChainTable, GroupTables
from mapper.nest.bounds.combine import Combined, Combiner
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.reuse_structure import Pair, ReuseStructure
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.model.reuse_groups import COMMON
from mapper.search.exact.incumbents import Incumbent, Incumbents
from simulator.arrays import Bools, Floats, Ints

CELLS = 1 << 18
"""Combinations evaluated at once, at most."""

FIRST_PAIRS = 16
"""Pairs in the first block: few, because one good combination rules out most of the others."""

MOST_TIES = 256
"""Combinations of one block that are described: of distinct costs, and hence rarely more than a few."""


class Stopped(Exception):
    """The budget is spent."""


@dataclass(slots=True)
class Effort:
    """Work done, and the limit on it."""

    rows: int = 0
    """Combinations evaluated."""
    max_rows: int | None = None
    deadline: float | None = None

    def check(self, *, started: bool) -> None:
        """Raise `Stopped` when the budget is spent, but only after a first incumbent was found."""
        if not started:
            return
        if self.max_rows is not None and self.rows >= self.max_rows:
            raise Stopped
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            raise Stopped


@dataclass(frozen=True, slots=True)
class ClassProblem:
    """One class of loop orders of one structure: all of its tiles are searched."""

    structure: ReuseStructure
    order: OrderClass
    rank: int
    """Position of structure and class in the fixed order."""
    grids: Mapping[str, Grid]
    """Sizes of the tiles by dimension."""
    choices: tuple[frozenset[int], ...]
    """Allowed sets of second copies."""


def search_class(
    problem: ClassProblem,
    incumbents: Incumbents,
    effort: Effort,
    report: Callable[[float], None] = lambda bound: None,
) -> None:
    """Exhaust one class of orders; ``report`` is called with the least bound of the open combinations."""
    search = _ClassSearch(problem, incumbents, effort, report)
    tables = GroupTables(problem.structure, problem.order, problem.grids, _smallest_tiles(problem, incumbents))
    relaxed = [tables.relaxed(group) for group in range(len(problem.structure.groups))]
    # A group without a chain leaves the class without a mapping.
    if min(map(len, relaxed)) == 0:
        return
    # Dimensions that index every tensor drop out of no scan: their rows are taken one by one, as an outer loop.
    for row in range(len(relaxed[COMMON])):
        common = relaxed[COMMON].take(np.array([row]))
        undecided = search.exhaust([*relaxed[:COMMON], common])
        if undecided is not None:
            search.exhaust([*(tables.expanded(group, undecided[group]) for group in range(COMMON)), common])


def ideal_costs(structure: ReuseStructure, grids: Mapping[str, Grid]) -> Combined:
    """Return the costs if everything moved once and nothing took room: below every mapping of the structure.

    A copy is visited at least once, the multipliers at least once per array tile, and no coefficient is negative.
    """
    visits = dict.fromkeys(structure.pairs, 1.0)
    steps = 1.0
    for group, dims in enumerate(structure.groups):
        trips = float(np.prod([-(-grids[dim].size // grids[dim].array) for dim in dims], initial=1.0))
        visits[group, structure.multipliers] = trips
        steps *= trips
    # Halos and capacities are left out: both only add to the cost of a mapping.
    energy = structure.energy.constant + sum(weight * visits[pair] for pair, weight in structure.energy.terms)
    loads = [port.constant + sum(weight * visits[pair] for pair, weight in port.terms) for port in structure.ports]
    cycles = np.ceil(max([steps, *loads]))
    return Combined(np.array([energy]), np.array([cycles]), np.zeros(1, np.int64))


def _smallest_tiles(problem: ClassProblem, incumbents: Incumbents) -> dict[str, tuple[int, ...]]:
    """Smallest tiles by dimension [units]: with smaller ones, visits alone would cost more than a result may."""
    most = _most_visits(problem, incumbents)
    smallest = {}
    for group, dims in enumerate(problem.structure.groups):
        if len(dims) == 1:
            units = problem.grids[dims[0]].units
            caps = [most.get((group, prefix), np.inf) for prefix in range(1, problem.structure.levels)]
            # U units in tiles of T make at least U / T visits, whatever the tiles outside.
            smallest[dims[0]] = tuple(max(1, -(-units // int(min(cap, 2**40)))) for cap in caps)
    return smallest


def _most_visits(problem: ClassProblem, incumbents: Incumbents) -> dict[tuple[int, int], float]:
    """Per (group, counted prefix): visits above which energy or one port's load alone excludes a result."""
    structure = problem.structure
    ideal = ideal_costs(structure, problem.grids)
    limits = incumbents.limits(ideal)
    lines = []
    if np.isfinite(limits.energy):
        lines.append((structure.energy.terms, limits.energy - float(ideal.energy[0])))
    for port in structure.ports if np.isfinite(limits.cycles) else ():
        least = port.constant + sum(weight * _least_visits(problem, pair) for pair, weight in port.terms)
        lines.append((port.terms, limits.cycles - least))
    prefix = dict(zip(structure.pairs, problem.order.prefix, strict=True))
    most: dict[tuple[int, int], float] = {}
    for terms, spare in lines:
        for pair, weight in terms:
            if prefix.get(pair, 0) and weight > 0:
                # With all other counts at their least, what is spare pays for the visits beyond the first; the two
                # small terms keep the cap above what rounding may have taken off.
                cap = 1.0 + max(spare, 0.0) / weight * (1.0 + 1e-9) + 1e-6
                key = pair[0], prefix[pair]
                most[key] = min(most.get(key, np.inf), cap)
    return most


def _least_visits(problem: ClassProblem, pair: Pair) -> float:
    if pair[1] <= problem.structure.levels:
        return 1.0
    grids = [problem.grids[dim] for dim in problem.structure.groups[pair[0]]]
    return float(np.prod([-(-grid.size // grid.array) for grid in grids], initial=1.0))


class _ClassSearch:
    """The search of one class; tables are given per group, those of the common dimensions with one row."""

    def __init__(
        self, problem: ClassProblem, incumbents: Incumbents, effort: Effort, report: Callable[[float], None]
    ) -> None:
        self._problem, self._incumbents = problem, incumbents
        self._effort, self._report = effort, report
        self._combiner = Combiner(problem.structure, problem.choices)

    def exhaust(self, tables: list[ChainTable]) -> list[ChainTable] | None:
        """Evaluate every combination that may be a result.

        Returns
        -------
        list of ChainTable or None
            Rows that are to be expanded, because combinations with rows that only bound chains could not be ruled out,
            with the exact rows beside them; None if there are none.
        """
        reduced = self._reduced(tables)
        if reduced is None:
            return None
        pairs = _Pairs(self._combiner, reduced, self._incumbents)
        undecided = _Undecided(reduced)
        number = FIRST_PAIRS
        while pairs.keep_promising():
            self._report(min(pairs.bound, undecided.bound))
            self._effort.check(started=self._incumbents.version > 0)
            self._evaluate(reduced, pairs, *pairs.next(number), undecided)
            # The longer the incumbents stand, the fewer pairs a larger block evaluates in vain.
            number = max(FIRST_PAIRS, min(number * 4, CELLS // len(reduced[pairs.longest])))
        return undecided.to_expand(reduced, self._incumbents)

    def _reduced(self, tables: list[ChainTable]) -> list[ChainTable] | None:
        """Drop chains that cannot be part of a result; None if nothing is left."""
        tables = list(tables)
        for _ in range(2):  # a table that shrinks has a better ideal row, which helps to shrink those before it
            for group in range(COMMON):
                if len(tables[group]) == 1:
                    continue
                row = [table if index == group else table.ideal() for index, table in enumerate(tables)]
                keep = ~self._incumbents.hopeless(self._combiner(row))
                if not keep.any():
                    return None
                if not keep.all():
                    tables[group] = tables[group].take(keep)
        # Dominated rows last: the filter is the slow part, and the bounds have removed most of its work.
        return [table.thinned() if group < COMMON else table for group, table in enumerate(tables)]

    def _evaluate(
        self, tables: Sequence[ChainTable], pairs: _Pairs, first: Ints, second: Ints, undecided: _Undecided
    ) -> None:
        """Evaluate a block of pairs, rows ``first`` and ``second`` of the shorter tables, against the longest table."""
        every = np.arange(len(tables[pairs.longest]))
        rows = {pairs.a: first[:, None], pairs.b: second[:, None], pairs.longest: every[None, :]}
        costs = self._combiner(_taken(tables, rows))
        self._effort.rows += costs.energy.size
        attained = costs
        if not undecided.all_exact:
            exact: Bools = reduce(np.logical_and, (tables[group].exact[index] for group, index in rows.items()))
            open_cells = np.nonzero(~exact & ~self._incumbents.hopeless(costs))
            bounds = self._incumbents.bound(costs)[open_cells]
            across, along = open_cells
            undecided.add({pairs.a: first[across], pairs.b: second[across], pairs.longest: along}, bounds)
            # A bound is no mapping: only combinations of chains are offered.
            attained = Combined(costs.energy, np.where(exact, costs.cycles, np.inf), costs.doubled)
        flat = attained.flat()

        def describe(cells: Ints) -> list[Incumbent]:
            across, along = np.unravel_index(cells, costs.energy.shape)
            chosen = _taken(tables, {pairs.a: first[across], pairs.b: second[across], pairs.longest: along})
            return self._described(chosen, flat.take(cells))

        self._incumbents.offer(flat, describe)

    def _described(self, tables: Sequence[ChainTable], costs: Combined) -> list[Incumbent]:
        """Describe combinations; of those with equal costs only the one that takes least room."""
        words = self._combiner.room(tables, costs.doubled)
        # Sorted by costs, then by room: the first of each run of equal costs is the one to keep.
        by_costs = np.lexsort((words, costs.cycles, costs.energy))
        pairs = np.stack([costs.energy[by_costs], costs.cycles[by_costs]], axis=1)
        distinct = np.ones(len(by_costs), bool)
        distinct[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        return [
            Incumbent(
                float(costs.energy[row]),
                float(costs.cycles[row]),
                self._problem.structure,
                self._problem.order,
                _units(tables, row),
                self._problem.grids,
                self._combiner.doubled(int(costs.doubled[row])),
                float(words[row]),
                self._problem.rank,
            )
            for row in by_costs[distinct][:MOST_TIES]
        ]


def _taken(tables: Sequence[ChainTable], rows: Mapping[int, Ints]) -> list[ChainTable]:
    """Rows of the groups' tables, and the one row of the common dimensions."""
    return [*(tables[group].take(rows[group]) for group in range(COMMON)), tables[COMMON]]


def _units(tables: Sequence[ChainTable], row: int) -> dict[str, tuple[int, ...]]:
    """Tiles of one combination by dimension; a table of one row serves all."""
    return {
        dim: tuple(int(tile[row if tile.shape[0] > 1 else 0]) for tile in columns)
        for table in tables
        for dim, columns in table.units.items()
    }


class _Pairs:
    """Pairs of rows of the two shorter tables, most promising first; their bounds take the longest at its ideal."""

    def __init__(self, combiner: Combiner, tables: Sequence[ChainTable], incumbents: Incumbents) -> None:
        # The two shortest: their pairs are all bounded, while the longest is only met where a pair is promising.
        self.a, self.b, self.longest = sorted(range(COMMON), key=lambda group: (len(tables[group]), group))
        self._incumbents = incumbents
        first, second, costs = self._promising(combiner, tables)
        order = np.argsort(incumbents.bound(costs), kind="stable")
        self._first, self._second, self._costs = first[order], second[order], costs.take(order)
        self._bounds = incumbents.bound(self._costs)
        self._version = incumbents.version
        self._left = np.arange(len(order))

    def _promising(self, combiner: Combiner, tables: Sequence[ChainTable]) -> tuple[Ints, Ints, Combined]:
        """(rows of the first table, rows of the second, bounds) of the pairs that are not hopeless."""
        # In slabs of rows of the first table, so that the columns of all pairs never exist at once.
        ideal, width = tables[self.longest].ideal(), len(tables[self.b])
        step = max(1, CELLS * 4 // width)
        parts = []
        for start in range(0, len(tables[self.a]), step):
            rows = np.arange(start, min(start + step, len(tables[self.a])))
            first, second = np.repeat(rows, width), np.tile(np.arange(width), len(rows))
            row = {self.a: tables[self.a].take(first), self.b: tables[self.b].take(second), self.longest: ideal}
            costs = combiner([*(row[group] for group in range(COMMON)), tables[COMMON]])
            keep = np.flatnonzero(~self._incumbents.hopeless(costs))
            parts.append((first[keep], second[keep], costs.take(keep)))
        return (
            np.concatenate([first for first, _, _ in parts]),
            np.concatenate([second for _, second, _ in parts]),
            Combined(
                np.concatenate([costs.energy for _, _, costs in parts]),
                np.concatenate([costs.cycles for _, _, costs in parts]),
                np.concatenate([costs.doubled for _, _, costs in parts]),
            ),
        )

    def keep_promising(self) -> bool:
        """Drop the pairs that incumbents have made hopeless; return whether any is left."""
        # Pairs keep their order when some are dropped: only the limit moves, not their bounds.
        if self._incumbents.version != self._version:
            self._left = self._left[~self._incumbents.hopeless(self._costs.take(self._left))]
            self._version = self._incumbents.version
        return len(self._left) > 0

    @property
    def bound(self) -> float:
        """Of everything that is left."""
        return float(self._bounds[self._left[0]])

    def next(self, number: int) -> tuple[Ints, Ints]:
        """Take the first pairs out; return their rows of the two tables."""
        block, self._left = self._left[:number], self._left[number:]
        return self._first[block], self._second[block]


class _Undecided:
    """Rows of combinations that may hide a result behind a bound, with the least of these bounds per row."""

    def __init__(self, tables: Sequence[ChainTable]) -> None:
        self.all_exact = all(table.exact.all() for table in tables)
        self._least: list[Floats] = [np.full(len(table), np.inf) for table in tables[:COMMON]]

    def add(self, rows: Mapping[int, Ints], bounds: Floats) -> None:
        """Note the rows of each group that belong to ``bounds``."""
        # A row's least bound is enough: if that one is ruled out later, so are all others of the row.
        for group, index in rows.items():
            np.minimum.at(self._least[group], index, bounds)

    @property
    def bound(self) -> float:
        """Of all combinations noted."""
        return min(float(least.min()) for least in self._least)

    def to_expand(self, tables: Sequence[ChainTable], incumbents: Incumbents) -> list[ChainTable] | None:
        """Return the rows of combinations that may still be results and all exact rows; None without such ones."""
        if self.all_exact:
            return None
        rows, any_open = [], False
        for table, least in zip(tables, self._least, strict=False):
            is_open = incumbents.promising(least)
            any_open |= bool(is_open.any())
            # Exact rows stay although they may be closed: an expanded chain may need them as partners.
            rows.append(table.take(np.flatnonzero(table.exact | is_open)))
        return rows if any_open else None
