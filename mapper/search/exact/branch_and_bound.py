"""Branch and bound over tile chains: the best combination of one chain per group, and proof that it is.

For every class of loop orders each group of dimensions has a table of chains (`mapper.nest.bounds.chain_tables`).
All costs grow with every column, so evaluating some groups' rows with the others' ideal row bounds every completion.
Tables lose the rows whose bound is beaten, then those that another row dominates; the two shorter ones are paired,
pairs sorted by bound, and blocks of pairs evaluated against the third table until the next bound is beaten: what is
left is proved worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mapper.nest.bounds.chain_tables import Table, expanded_table, group_table
from mapper.nest.bounds.combine import Combined, Combiner
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.reuse_structure import Structure
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.model.reuse_groups import COMMON
from mapper.search.exact.incumbents import Candidate, Goal
from simulator.arrays import Floats, Ints

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

    def check(self, *, started: bool) -> None:
        """Raise `Stopped` at the limit; not before there is something to return."""
        if not started:
            return
        if self.max_rows is not None and self.rows >= self.max_rows:
            raise Stopped
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            raise Stopped


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
    combiner = Combiner(item, choices)
    floors = _floors(item, order, grids, goal)
    full = [group_table(item, order, group, grids, floors) for group in range(len(item.groups))]
    if min(map(len, full)) == 0:
        return
    effort.chains += sum(map(len, full))
    for row in range(len(full[COMMON])):
        tables = [*full[:COMMON], full[COMMON].take(np.array([row]))]
        reduced = _reduced(combiner, tables, goal)
        if reduced is None:
            continue
        left = _exhaust(combiner, order, rank, grids, reduced, goal, effort, report)
        if left is None:
            continue
        chains = [expanded_table(item, order, group, grids, floors, left[group]) for group in range(COMMON)]
        reduced = _reduced(combiner, [*chains, tables[COMMON]], goal)
        if reduced is not None:
            _exhaust(combiner, order, rank, grids, reduced, goal, effort, report)


def ideal_costs(item: Structure, grids: Mapping[str, Grid]) -> Combined:
    """Costs if everything moved once and nothing took room: below every mapping of the structure."""
    visits = dict.fromkeys((*item.pairs, *((group, item.levels + 1) for group in range(COMMON + 1))), 1.0)
    steps = 1.0
    for group, dims in enumerate(item.groups):
        trips = float(np.prod([-(-grids[dim].size // grids[dim].array) for dim in dims], initial=1.0))
        visits[group, item.levels + 1] = trips
        steps *= trips
    energy = item.energy.constant + sum(weight * visits[pair] for pair, weight in item.energy.terms)
    loads = [port.constant + sum(weight * visits[pair] for pair, weight in port.terms) for port in item.ports]
    cycles = np.ceil(max([steps, *loads]))
    return Combined(np.array([energy]), np.array([cycles]), np.zeros(1, np.int64))


def _floors(item: Structure, order: OrderClass, grids: Mapping[str, Grid], goal: Goal) -> dict[str, tuple[int, ...]]:
    """Least tiles by dimension: with smaller ones, some counted visits alone would cost more than a result may."""
    ideal = ideal_costs(item, grids)
    limits = goal.limits(ideal)
    most: dict[tuple[int, int], float] = {}
    spare = limits.energy - float(ideal.energy[0])
    lines = [(item.energy.terms, spare)] if np.isfinite(spare) else []
    for port in item.ports:
        least = port.constant + sum(weight * _least(item, pair, grids) for pair, weight in port.terms)
        lines += [(port.terms, limits.cycles - least)] if np.isfinite(limits.cycles) else []
    prefix = dict(zip(item.pairs, order.prefix, strict=True))
    for terms, left in lines:
        for pair, weight in terms:
            if prefix.get(pair, 0) and weight > 0:
                key = pair[0], prefix[pair]
                most[key] = min(most.get(key, np.inf), 1.0 + max(left, 0.0) / weight * (1.0 + 1e-9) + 1e-6)
    floors = {}
    for group, dims in enumerate(item.groups):
        if len(dims) == 1:
            caps = [most.get((group, level), np.inf) for level in range(1, item.levels)]
            units = grids[dims[0]].units
            floors[dims[0]] = tuple(max(1, -(-units // int(min(cap, 2**40)))) for cap in caps)
    return floors


def _least(item: Structure, pair: tuple[int, int], grids: Mapping[str, Grid]) -> float:
    if pair[1] <= item.levels:
        return 1.0
    return float(np.prod([-(-grids[dim].size // grids[dim].array) for dim in item.groups[pair[0]]], initial=1.0))


def _reduced(combiner: Combiner, tables: list[Table], goal: Goal) -> list[Table] | None:
    """Drop chains that cannot be part of a result; None if nothing is left."""
    for _ in range(2):
        for group in range(COMMON):
            if len(tables[group]) == 1:
                continue
            row = [table if index == group else table.ideal() for index, table in enumerate(tables)]
            keep = ~goal.hopeless(combiner(row))
            if not keep.any():
                return None
            if not keep.all():
                tables[group] = tables[group].take(keep)
    return [table.thinned() if group < COMMON else table for group, table in enumerate(tables)]


def _exhaust(
    combiner: Combiner,
    order: OrderClass,
    rank: int,
    grids: Mapping[str, Grid],
    tables: list[Table],
    goal: Goal,
    effort: Effort,
    report: Callable[[float], None],
) -> list[Table] | None:
    """Pairs of the shorter tables by bound, each block against the longest.

    Returns
    -------
    list of Table or None
        Rows that are to be expanded, because combinations with rows that only bound chains could not be ruled out,
        with the exact rows beside them; None if there are none.
    """
    a, b, last = sorted(range(COMMON), key=lambda group: (len(tables[group]), group))
    first, second, costs = _paired(combiner, tables, (a, b, last), goal)
    bounds, version, keep = goal.bound(costs), goal.version, np.arange(len(first))
    longest, size = np.arange(len(tables[last])), 16
    open_rows = [np.full(len(table), np.inf) for table in tables[:COMMON]]
    is_exact = all(table.exact.all() for table in tables)
    effort.pairs += len(tables[a]) * len(tables[b])
    while True:
        if goal.version != version:
            keep, version = keep[~goal.hopeless(_pick(costs, keep))], goal.version
        if not len(keep):
            return None if is_exact else _to_expand(tables, open_rows, goal)
        report(min(float(bounds[keep[0]]), *(float(scores.min()) for scores in open_rows)))
        effort.check(started=goal.version > 0)
        block, keep = keep[:size], keep[size:]
        rows = {a: first[block][:, None], b: second[block][:, None], last: longest[None, :]}
        found = combiner([*(tables[group].take(rows[group]) for group in range(COMMON)), tables[COMMON]])
        effort.rows += found.energy.size
        shape = found.energy.shape
        cycles = found.cycles
        if not is_exact:
            exact = tables[a].exact[rows[a]] & tables[b].exact[rows[b]] & tables[last].exact[rows[last]]
            cells = np.nonzero(~exact & ~goal.hopeless(found))
            scores = goal.bound(found)[cells]
            for group, index in ((a, first[block][cells[0]]), (b, second[block][cells[0]]), (last, cells[1])):
                np.minimum.at(open_rows[group], index, scores)
            cycles = np.where(exact, cycles, np.inf)
        flat = Combined(found.energy.ravel(), cycles.ravel(), found.choice.ravel())

        def describe(cells: Ints) -> list[Candidate]:
            across, along = np.unravel_index(cells, shape)  # noqa: B023 - called before the next round
            index = {a: first[block][across], b: second[block][across], last: longest[along]}  # noqa: B023
            chosen = [*(tables[group].take(index[group]) for group in range(COMMON)), tables[COMMON]]
            return _candidates(combiner, order, rank, grids, chosen, _pick(flat, cells))  # noqa: B023

        goal.offer(flat, describe)
        size = max(16, min(size * 4, CELLS // len(longest)))


def _paired(
    combiner: Combiner, tables: Sequence[Table], groups: tuple[int, int, int], goal: Goal
) -> tuple[Ints, Ints, Combined]:
    """(rows of the first, rows of the second, bounds) of the pairs that are not hopeless, most promising first."""
    a, b, last = groups
    ideal, width = tables[last].ideal(), len(tables[b])
    step = max(1, CELLS * 4 // width)
    parts = []
    for start in range(0, len(tables[a]), step):
        rows = np.arange(start, min(start + step, len(tables[a])))
        first, second = np.repeat(rows, width), np.tile(np.arange(width), len(rows))
        view = {a: tables[a].take(first), b: tables[b].take(second), last: ideal, COMMON: tables[COMMON]}
        costs = combiner([view[group] for group in range(COMMON + 1)])
        keep = np.flatnonzero(~goal.hopeless(costs))
        parts.append((first[keep], second[keep], _pick(costs, keep)))
    first, second = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    costs = Combined(
        np.concatenate([part[2].energy for part in parts]),
        np.concatenate([part[2].cycles for part in parts]),
        np.concatenate([part[2].choice for part in parts]),
    )
    order = np.argsort(goal.bound(costs), kind="stable")
    return first[order], second[order], _pick(costs, order)


def _to_expand(tables: Sequence[Table], open_rows: Sequence[Floats], goal: Goal) -> list[Table] | None:
    """Rows of combinations that may still be results, and all exact rows."""
    left, any_open = [], False
    for table, scores in zip(tables, open_rows, strict=False):
        is_open = goal.promising(scores)
        any_open |= bool(is_open.any())
        left.append(table.take(np.flatnonzero(table.exact | is_open)))
    return left if any_open else None


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
        doubled = combiner.doubled(int(costs.choice[row]))
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
