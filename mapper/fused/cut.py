"""The best cut of a graph into groups that run one after another: dynamic programming over what is done.

A state is the set of operators that are done. From it any group may follow whose operators need nothing else, hang
together by tensors and are few enough; its front does not depend on what came before, since tensors between groups
pass through DRAM and groups' costs add. Branches need no order of their own: every set that can be done is a state.
Groups of equal shape, as q, k and v, are searched once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from mapper.cost.objective import Goal, Objective, objective_value
from mapper.errors import MappingError
from mapper.fused.build_tree import build_tree
from mapper.fused.einsum import Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.group_search import TreePoint, search_group
from mapper.fused.loop_tree import LoopTree
from mapper.fused.normal_form import NormalGroup, normal_group
from mapper.fused.rules import STRICT, Rules
from mapper.fused.tree_costs import TreeCosts
from mapper.nest.bounds.pareto import staircase

LARGEST_GROUP = 6
"""Operators of a group, unless told otherwise."""

MOST_POINTS = 4_000
"""Points of one state: more have not been seen; beyond, the search would take minutes."""

State: TypeAlias = frozenset[str]


@dataclass(frozen=True)
class CutGroup:
    """One group of a cut with its tree."""

    graph: FusedGraph
    tree: LoopTree
    costs: TreeCosts

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the graph's operators, in their order."""
        return tuple(operator.name for operator in self.graph.operators)


@dataclass(frozen=True)
class Cut:
    """Groups in an order in which they can run."""

    groups: tuple[CutGroup, ...]

    @property
    def cycles(self) -> int:
        return sum(group.costs.cycles for group in self.groups)

    @property
    def energy_pj(self) -> float:
        return sum(group.costs.energy_pj for group in self.groups)

    @property
    def edp(self) -> float:
        """Energy times delay. [pJ cycles]"""
        return self.energy_pj * self.cycles

    @property
    def dram_words(self) -> int:
        """Words that pass between DRAM and the chip."""
        return sum(group.costs.words("dram") for group in self.groups)


@dataclass(frozen=True)
class CutResult:
    """What a search found."""

    status: Literal["optimal", "stopped"]
    cuts: tuple[Cut, ...]
    """The best one, or the front, fewest cycles first."""
    groups: int
    """Groups that fit together; those of one shape count once in ``searched``."""
    searched: int
    rows: int
    """Nests priced."""

    def best(self, objective: Objective) -> Cut:
        """Return the best cut for an objective."""
        return min(self.cuts, key=lambda cut: (objective_value(objective, cut.cycles, cut.energy_pj), cut.edp))


@dataclass(frozen=True)
class _Path:
    """Costs of what is done so far, and its last group."""

    cycles: float
    energy: float
    before: _Path | None
    group: tuple[str, ...]
    point: TreePoint | None


@dataclass
class CutSearch:
    """One search; groups found stay known, so that several objectives and limits share them."""

    graph: FusedGraph
    machine: FlatMachine
    rules: Rules = STRICT
    seconds: float | None = None
    """Budget; an interrupt from the keyboard ends the search in the same way."""
    progress: Callable[[int], None] = lambda rows: None
    """Hears the nests priced so far."""
    rows: int = 0
    _fronts: dict[object, list[TreePoint]] = field(default_factory=dict)
    _asked: int = 0

    def run(self, objective: Goal, largest_group: int = LARGEST_GROUP) -> CutResult:
        """Return the best cut, or the front of cuts.

        Parameters
        ----------
        objective
            ``"latency"`` [cycles], ``"energy"`` [pJ], ``"edp"`` [pJ cycles] or ``"pareto"``. Ties are broken by the
            other metric and by the order of the graph, so that the result is the same on every run.
        largest_group
            Operators of a group; 1 for no fusion at all.

        Raises
        ------
        MappingError
            When an operator fits nowhere.
        KeyboardInterrupt
            When nothing was found yet.
        """
        deadline = None if self.seconds is None else time.perf_counter() + self.seconds
        status: Literal["optimal", "stopped"] = "optimal"
        paths = self._paths(1, None)
        if not paths:
            raise MappingError(f"no loop nest of {self._unfit()} fits {self.machine.name}")
        try:
            if largest_group > 1:
                paths = self._paths(largest_group, deadline)
        except (TimeoutError, KeyboardInterrupt):
            status = "stopped"
        cuts = tuple(self._cut(path) for path in _chosen(paths, objective))
        return CutResult(status, cuts, self._asked, len(self._fronts), self.rows)

    def _unfit(self) -> str:
        alone = ((operator.name,) for operator in self.graph.operators)
        return ", ".join(names[0] for names in alone if not self._front(names, None))

    def _paths(self, largest: int, deadline: float | None) -> list[_Path]:
        """The front of whole cuts, over states in the order of their sizes."""
        everything = frozenset(operator.name for operator in self.graph.operators)
        fronts: dict[State, list[_Path]] = {frozenset(): [_Path(0.0, 0.0, None, (), None)]}
        for size in range(len(everything)):
            for state in sorted((state for state in fronts if len(state) == size), key=sorted):
                reached = _staircase(fronts.pop(state))
                for names in _groups(self.graph, state, largest):
                    points = self._front(names, deadline)
                    ahead = [
                        _Path(path.cycles + point.cycles, path.energy + point.energy, path, names, point)
                        for path in reached
                        for point in points
                    ]
                    fronts.setdefault(state | set(names), []).extend(ahead)
        return _staircase(fronts.get(everything, []))

    def _front(self, names: tuple[str, ...], deadline: float | None) -> list[TreePoint]:
        normal = self._normal(names)
        if normal.signature not in self._fronts:
            front = search_group(normal.graph, self.machine, self.rules, deadline=deadline)
            self.rows += front.rows
            self._fronts[normal.signature] = front.points
            self.progress(self.rows)
        self._asked += 1
        return self._fronts[normal.signature]

    def _normal(self, names: tuple[str, ...]) -> NormalGroup:
        return normal_group(self.graph.group(names))

    def _cut(self, path: _Path) -> Cut:
        groups: list[CutGroup] = []
        step: _Path | None = path
        while step is not None and step.point is not None:
            tree, costs = build_tree(step.point, self.machine, self.rules)
            normal = self._normal(step.group)
            groups.append(CutGroup(normal.merged, normal.renamed_tree(tree), normal.renamed_costs(costs)))
            step = step.before
        return Cut(tuple(reversed(groups)))


def _groups(graph: FusedGraph, done: State, largest: int) -> Iterator[tuple[str, ...]]:
    """Yield the groups that can follow, each once, in the graph's order."""
    found: dict[tuple[str, ...], None] = {}
    position = {operator.name: place for place, operator in enumerate(graph.operators)}

    def grow(chosen: tuple[str, ...]) -> None:
        for operator in graph.operators:
            if operator.name in done or operator.name in chosen or not _is_ready(operator, graph, {*done, *chosen}):
                continue
            larger = tuple(sorted((*chosen, operator.name), key=position.__getitem__))
            if larger not in found:
                found[larger] = None
                if len(larger) < largest:
                    grow(larger)

    grow(())
    yield from (names for names in found if _hangs_together(names, graph))


def _is_ready(operator: Einsum, graph: FusedGraph, done: set[str]) -> bool:
    makers = (graph.makers.get(access.tensor) for access in operator.inputs)
    return all(maker is None or maker.name in done for maker in makers)


def _hangs_together(names: tuple[str, ...], graph: FusedGraph) -> bool:
    """Whether every operator shares a tensor with another one, and these with the rest."""
    left = {name: {access.tensor for access in graph.operator(name).accesses} for name in names}
    reached = left.pop(names[0])
    while touching := [name for name, tensors in left.items() if tensors & reached]:
        for name in touching:
            reached |= left.pop(name)
    return not left


def _staircase(paths: list[_Path]) -> list[_Path]:
    if not paths:
        return []
    kept = staircase(np.array([path.cycles for path in paths]), np.array([path.energy for path in paths]))
    if len(kept) > MOST_POINTS:
        raise MappingError(f"a front of {len(kept):,} cuts; at most {MOST_POINTS:,} are kept apart")
    return [paths[index] for index in kept]


def _chosen(paths: list[_Path], objective: Goal) -> list[_Path]:
    if objective == "pareto":
        return paths
    return [
        min(paths, key=lambda path: (objective_value(objective, path.cycles, path.energy), path.cycles, path.energy))
    ]
