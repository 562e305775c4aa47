"""The best mapping of a loop-nest mapspace, with proof.

Outer choices (keep sets, spatial loops, second copies) share one best-so-far; a first pass over a coarse grid of tiles
finds a good one in milliseconds, then every class of loop orders is exhausted or proved worse
(`mapper.search.exact.branch_and_bound`). Finalists are priced by the kernel, which alone says what a mapping costs.

"optimal" holds for the mapspace (keep sets, units of tiles, perfect or ragged), the static hoisting of ragged tiles and
the accounting that the result names. Words moved are |tensor| x visits, whatever the order, so nothing outside the
searched classes can be better; proofs in the order of the modules `classes`, `chains`, `branch`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from math import isinf
from typing import Literal, TypeAlias

import numpy as np

from mapper.cost.objective import Goal as SearchGoal
from mapper.cost.objective import objective_value, ranking_keys
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.bounds.order_classes import OrderClass, State, order_classes
from mapper.nest.bounds.reuse_structure import Structure, structure
from mapper.nest.mapspace.constraints import Constraints
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.assemble import assemble
from mapper.nest.model.cost import evaluate
from mapper.nest.model.reuse_groups import COMMON
from mapper.search.exact.branch_and_bound import Effort, Stopped, ideal_costs, search_class
from mapper.search.exact.incumbents import Candidate, Front, Goal, Least
from mapper.search.space import require_goal

Progress: TypeAlias = Callable[[int, float, float], None]
"""Hears rows evaluated, best score and proved lower bound."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A mapping and what the kernel says of it."""

    mapping: LoopNest
    cycles: int
    energy_pj: float
    footprint_words: int

    @property
    def edp(self) -> float:
        """Energy times delay [pJ cycles]."""
        return self.score("edp")

    def score(self, goal: SearchGoal) -> float:
        """Return the number that a goal minimises [cycles, pJ or pJ cycles]."""
        return objective_value(goal, float(self.cycles), self.energy_pj)

    def constraints(self) -> Constraints:
        """The constraints that leave exactly this mapping."""
        return Constraints.of(self.mapping)


@dataclass(frozen=True, slots=True)
class NestResult:
    """What a search found and what it proved."""

    objective: SearchGoal
    status: Literal["optimal", "stopped"]
    """optimal: nothing in the space is better; stopped: the budget or an interrupt came first."""
    best: Priced
    """Of ``"pareto"``, the point with the least EDP."""
    front: tuple[Priced, ...]
    """Points that no other one beats in cycles and energy, fewest cycles first; of one objective, the best alone."""
    lower_bound: float
    """No mapping has a smaller score [cycles, pJ or pJ cycles; of ``"pareto"`` the EDP]."""
    covered: int
    """Mappings of the space, legal or not: all of them are ruled out or found when the status is optimal."""
    rows: int
    """Combinations of chains whose cost was computed."""
    classes: int
    """Classes of loop orders, over all outer choices."""
    pruned: int
    """Those that bounds ruled out before any combination was priced."""
    space: str
    """Axes with units, keep sets and the rule for ragged tiles: what the proof is about."""
    accounting: str
    """Its name and switches."""
    cpu_s: float
    wall_s: float

    @property
    def score(self) -> float:
        """Of the best mapping."""
        return self.best.score(self.objective)

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum, relative to the bound; 0 when proved."""
        return self.score / self.lower_bound - 1.0 if self.lower_bound > 0 else np.inf

    def claim(self) -> str:
        """What holds, in words."""
        where = f"{self.covered:,} mappings, accounting {self.accounting}"
        if self.status == "optimal":
            return f"optimal ({self.objective}) among {where}: {self.rows:,} rows, {self.classes} order classes"
        return f"stopped ({self.objective}) among {where}: at most {self.gap:.2%} above the optimum"


def search(
    space: NestSpace,
    objective: SearchGoal = "edp",
    *,
    max_rows: int | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> NestResult:
    """Return the best mapping of a space.

    Parameters
    ----------
    space
        What is searched.
    objective
        ``"latency"`` [cycles], ``"energy"`` [pJ], ``"edp"`` [pJ cycles], or ``"pareto"`` for all mappings that no other
        one beats in cycles and energy. Ties are broken by the other metrics, the room taken, and the order in which
        the space lists its choices and classes; the result is the same on every run.
    max_rows, seconds
        Budget; an interrupt from the keyboard ends the search in the same way, with what was found so far.
    progress
        Called now and then.

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
    tasks = _tasks(space)
    hunt = _Hunt(space, tasks, effort, progress)
    status = hunt.run(objective)
    front = hunt.priced(objective)
    if not front and status == "stopped":
        raise KeyboardInterrupt  # a budget does not end before something was found
    if not front:
        raise MappingError(f"no mapping of {space.problem.name} fits {space.hierarchy.name}", space.census())
    best = front[0] if objective != "pareto" else min(front, key=lambda item: (item.edp, item.cycles))
    bound = best.score(objective) if status == "optimal" else min(hunt.bound, best.score(objective))
    return NestResult(
        objective,
        status,
        best,
        tuple(front) if objective == "pareto" else (best,),
        bound,
        space.total,
        effort.rows,
        hunt.classes,
        hunt.pruned,
        space.describe(),
        _switches(space.accounting),
        time.process_time() - cpu,
        time.perf_counter() - wall,
    )


def _switches(accounting: Accounting) -> str:
    """The name of an accounting with everything that it counts."""
    parts = [f"partial sums of {accounting.partial_word_bits or 'word'} bits".replace("word bits", "one word")]
    flags = ("drain_reads", "first_read_elision", "double_buffer_capacity", "serial_transfers")
    parts += [f"{'' if getattr(accounting, flag) else 'no '}{flag.replace('_', ' ')}" for flag in flags]
    return f"{accounting.name} ({', '.join(parts)}, capacity in {accounting.capacity_unit})"


def floor(space: NestSpace) -> tuple[float, float]:
    """(cycles, energy_pj) that no mapping of a space is below: everything moves once and nothing takes room."""
    costs = [ideal_costs(task.item, task.grids) for task in _tasks(space)]
    return min(float(cost.cycles[0]) for cost in costs), min(float(cost.energy[0]) for cost in costs)


@dataclass(frozen=True, slots=True)
class _Task:
    """One combination of keep sets and spatial loops."""

    number: int
    item: Structure
    classes: tuple[OrderClass, ...]
    grids: Mapping[str, Grid]
    choices: tuple[frozenset[int], ...]
    """Tiles with a second copy."""
    doubled: tuple[tuple[frozenset[str], ...], ...]
    """The same by memory, parallel to ``choices``."""


def _tasks(space: NestSpace) -> list[_Task]:
    tasks: list[_Task] = []
    groups: dict[tuple[object, ...], list[tuple[frozenset[str], ...]]] = {}
    for variant in space.axes.variants:
        groups.setdefault((variant.kept, variant.spatial), []).append(variant.doubled)
    first = {(variant.kept, variant.spatial): variant for variant in reversed(space.axes.variants)}
    for number, ((kept, spatial), doubled) in enumerate(groups.items()):
        variant = first[kept, spatial]  # type: ignore[index]
        item = structure(space.problem, space.hierarchy, space.accounting, variant.kept, variant.spatial)
        choices = tuple(
            frozenset(i for i, tile in enumerate(item.tiles) if tile.tensor in names[tile.level]) for names in doubled
        )
        grids = {dim: space.axes.grid(variant, dim) for dim in space.axes.dims}
        orders = _group_orders(space, item)
        groups_used = COMMON + bool(item.groups[COMMON])
        classes = order_classes(item.levels, item.pairs, groups_used, orders)
        tasks.append(_Task(number, item, classes, grids, choices, tuple(doubled)))
    return tasks


def _group_orders(space: NestSpace, item: Structure) -> tuple[tuple[tuple[int, ...], ...] | None, ...] | None:
    """Allowed orders in terms of groups, None where all are."""
    found: list[tuple[tuple[int, ...], ...] | None] = []
    every = len(list(permutations(space.axes.dims))) if len(space.axes.dims) < 8 else 0
    group_of = {dim: group for group, dims in enumerate(item.groups) for dim in dims}
    single = all(len(dims) <= 1 for dims in item.groups)
    missing = [group for group in range(COMMON) if not item.groups[group]]
    for level, orders in enumerate(space.axes.orders):
        if len(orders) == every:
            found.append(None)
        elif not single:
            memory = space.hierarchy.memories[level].name
            raise MappingError(f"{memory}.order: loop orders of a convolution cannot be constrained in a proof")
        else:
            found.append(tuple(dict.fromkeys((*missing, *(group_of[dim] for dim in order)) for order in orders)))
    return None if all(orders is None for orders in found) else tuple(found)


class _Hunt:
    """The passes of one search over all tasks."""

    def __init__(self, space: NestSpace, tasks: list[_Task], effort: Effort, progress: Progress | None) -> None:
        self.space, self.tasks, self.effort, self.progress = space, tasks, effort, progress
        self.classes = sum(len(task.classes) for task in tasks)
        self.pruned = 0
        self.bound = 0.0
        """Of what was not searched when stopped."""
        self._goal: Goal = Least("edp")

    def run(self, objective: SearchGoal) -> Literal["optimal", "stopped"]:
        try:
            if objective == "pareto":
                self._pass(Front())
            elif objective == "latency":
                fastest = Least("latency", ties=False)
                self._pass(fastest)
                if not isinf(fastest.best):
                    self._among_fastest(fastest)
            else:
                self._pass(Least(objective))
        except (Stopped, KeyboardInterrupt):
            return "stopped"
        return "optimal"

    def _among_fastest(self, fastest: Least) -> None:
        """The least energy among the fastest mappings; until one is found the fastest itself stands."""
        self.bound = fastest.best
        second = Least("energy", ceiling=fastest.best)
        second.found = {(item.energy, item.cycles): item for item in fastest.winners()}
        second.best = min(item.energy for item in fastest.winners())
        self._pass(second, keeps_bound=True)

    def _pass(self, goal: Goal, *, keeps_bound: bool = False) -> None:
        """Search all classes for one goal."""
        self._goal = goal
        open_classes = []
        for task in self.tasks:
            ideal = ideal_costs(task.item, task.grids)
            bound = float(goal.bound(ideal)[0])
            open_classes += [(bound, task.number, rank) for rank in range(len(task.classes))]
        open_classes.sort()
        if not keeps_bound:
            self.bound = open_classes[0][0] if open_classes else 0.0
        self.pruned = 0
        for coarse in (True, False):
            for index, (bound, number, rank) in enumerate(open_classes):
                task = self.tasks[number]
                if bool(goal.hopeless(ideal_costs(task.item, task.grids))[0]):
                    self.pruned += not coarse
                    continue
                grids = {dim: _coarse(grid) for dim, grid in task.grids.items()} if coarse else task.grids
                if coarse and all(grids[dim] is task.grids[dim] for dim in grids):
                    continue
                later = open_classes[index + 1][0] if index + 1 < len(open_classes) else np.inf

                def report(
                    open_bound: float,
                    least: float = later,
                    own: float = bound,
                    counts: bool = not (coarse or keeps_bound),
                ) -> None:
                    if counts:
                        self.bound = max(self.bound, min(max(open_bound, own), least))
                    if self.progress is not None:
                        self.progress(self.effort.rows, getattr(goal, "best", np.nan), self.bound)

                rank_all = number * 10_000 + rank
                rows = self.effort.rows
                search_class(task.item, task.classes[rank], rank_all, grids, task.choices, goal, self.effort, report)
                self.pruned += not coarse and self.effort.rows == rows

    def priced(self, objective: SearchGoal) -> list[Priced]:
        """Finalists with the kernel's numbers, best first; of a front one per point, fewest cycles first."""
        goal = self._goal
        candidates = goal.found if isinstance(goal, Front) else goal.winners() if isinstance(goal, Least) else []
        found = [(self._price(item), item.rank) for item in candidates]
        if objective == "pareto":
            found.sort(key=lambda pair: (pair[0].cycles, pair[0].energy_pj))
            return [priced for priced, _ in found]
        found.sort(key=lambda pair: (*_keys(pair[0], objective), pair[1]))
        if found and isinstance(goal, Least) and found[0][0].score(goal.objective) < goal.best * (1.0 - 1e-9):
            raise RuntimeError(f"the kernel finds less than the search did:\n{found[0][0].mapping.loop_nest()}")
        return [priced for priced, _ in found]

    def _price(self, item: Candidate) -> Priced:
        """The mapping of a candidate and the kernel's costs.

        They are no larger than what the search saw, and of the best the same: the class it was found in may charge a
        mapping for a loop that has one trip, but then its own class finds it cheaper.
        """
        task = next(task for task in self.tasks if task.item == item.item)
        orders = [self._order(task, level, state) for level, state in enumerate(item.order.states)]
        tiles = {
            dim: [item.grids[dim].elements(np.array([size])) for size in sizes] for dim, sizes in item.units.items()
        }
        doubled = task.doubled[task.choices.index(item.doubled)]
        space = self.space
        batch = assemble(space.problem, space.hierarchy, item.item.kept, item.item.spatial, orders, tiles, doubled)
        costs = evaluate(batch, space.accounting)
        words = int(sum(column[0] for column in costs.footprint.values()))
        energy = float(costs.energy_pj[0])
        if not costs.valid[0] or costs.cycles[0] > item.cycles or energy > item.energy * (1.0 + 1e-9):
            raise RuntimeError(f"the kernel finds more than the search did:\n{batch.mapping(0).loop_nest()}")
        return Priced(batch.mapping(0), int(costs.cycles[0]), energy, words)

    def _order(self, task: _Task, level: int, state: State) -> tuple[str, ...]:
        return _order_of(self.space.axes.orders[level], task.item.groups, state)


def _keys(priced: Priced, objective: SearchGoal) -> tuple[float, ...]:
    return *ranking_keys(objective, float(priced.cycles), priced.energy_pj), priced.footprint_words


@lru_cache(maxsize=4096)
def _order_of(
    orders: tuple[tuple[str, ...], ...], groups: tuple[tuple[str, ...], ...], state: State
) -> tuple[str, ...]:
    """The first allowed order in which a state's loops lie as it says."""
    group_of = {dim: group for group, dims in enumerate(groups) for dim in dims}
    for order in orders:
        free = [group_of[dim] for dim in order if group_of[dim] not in state.forced]
        inner = [group for group in free if group == state.inner]
        if state.inner == -1 or not inner or free[-len(inner) :] == inner:
            return order
    raise MappingError("no allowed loop order for a class of orders")


def _coarse(grid: Grid) -> Grid:
    """A few sizes for a first look: even splits into few parts, and powers of two."""
    if grid.perfect or grid.units <= 12:
        return grid
    units = grid.units
    sizes = {units, 1, *(-(-units // parts) for parts in (1, 2, 3, 4, 5, 6, 8, 12, 16))}
    size = grid.last
    while size < units:
        sizes.add(size)
        size *= 4
    for allowed in grid.allowed:
        sizes |= set(allowed[:: max(1, len(allowed) // 8)]) | {allowed[-1]} if allowed else set()
    return replace(grid, coarse=tuple(sorted(sizes)))
