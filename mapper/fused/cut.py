"""The best cut of a graph into groups that run one after another: dynamic programming over what is done.

A state is the set of operators that are done. From it any group may follow whose operators need nothing else, hang
together by tensors and are few enough; its front does not depend on what came before, since tensors between groups
pass through DRAM and groups' costs add. Branches need no order of their own: every set that can be done is a state.
Groups of equal shape, as q, k and v, are searched once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from mapper.cost.objective import Goal, Objective, objective_value
from mapper.errors import MappingError
from mapper.fused.build_tree import build_tree
from mapper.fused.dim_names import one_name_each
from mapper.fused.einsum import FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.group_search import MAPSPACE, TreePoint, search_group
from mapper.fused.loop_tree import Hold, LoopTree
from mapper.fused.normal_form import NormalGroup, merged_dims, normal_group
from mapper.fused.rules import STRICT, Rules
from mapper.fused.tree_check import too_long_rows
from mapper.fused.tree_costs import TreeCosts, leaves_of, resident
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

    @property
    def kept(self) -> tuple[str, ...]:
        """Tensors that are made and read here without passing through DRAM in between."""
        leaves = leaves_of(self.tree, self.graph)
        return tuple(tensor for tensor in self.graph.makers if resident(tensor, leaves, self.graph) is not None)

    @property
    def held(self) -> tuple[str, ...]:
        """Tensors from outside that stay in the scratchpad for several operators or turns of a loop."""
        shared = (step for step in self.tree.steps if isinstance(step, Hold) and step.memory == "scratchpad")
        inner = (step for part in self.tree.parts if part.parts for step in part.steps if isinstance(step, Hold))
        tensors = dict.fromkeys(step.tensor for step in (*shared, *inner)) if self.tree.parts else {}
        return tuple(tensor for tensor in tensors if tensor not in self.graph.makers)


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

    @property
    def statement(self) -> str:
        """What was found, and in which mapspace it holds."""
        what = (
            f"{self.groups} groups asked about, {self.searched} of different shape searched, {self.rows:,} nests priced"
        )
        if self.status == "stopped":
            return f"stopped before the end, the best of the groups known so far, not proved: {what}"
        return f"proved optimal in the mapspace of fused loop nests ({MAPSPACE}): {what}"

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
class FusedCutSearch:
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
            Before the operators alone are priced; later ones end the search with the best cut of the groups known.
        """
        deadline = None if self.seconds is None else time.perf_counter() + self.seconds
        status: Literal["optimal", "stopped"] = "optimal"
        paths = self._paths(1, None)
        if not paths:
            raise self._nothing_fits()
        try:
            if largest_group > 1:
                paths = self._paths(largest_group, deadline)
        except (TimeoutError, KeyboardInterrupt):
            status = "stopped"
            paths = self._paths(largest_group, None, only_known=True)
        cuts = tuple(self._cut(path) for path in _chosen(paths, objective))
        return CutResult(status, cuts, self._asked, len(self._fronts), self.rows)

    def _nothing_fits(self) -> MappingError:
        """The operators that fit nowhere, with the rows that are too long."""
        unfit = [operator for operator in self.graph.operators if not self._front((operator.name,), None)]
        names = ", ".join(operator.name for operator in unfit)
        rows = [broken for operator in unfit for broken in too_long_rows(operator, self.graph, self.machine)]
        return MappingError(f"no loop nest of {names} fits {self.machine.name}", rows)

    def _paths(self, largest: int, deadline: float | None, *, only_known: bool = False) -> list[_Path]:
        """The front of whole cuts, over states in the order of their sizes; perhaps of groups known so far alone."""
        everything = frozenset(operator.name for operator in self.graph.operators)
        fronts: dict[State, list[_Path]] = {frozenset(): [_Path(0.0, 0.0, None, (), None)]}
        for size in range(len(everything)):
            for state in sorted((state for state in fronts if len(state) == size), key=sorted):
                reached = _staircase(fronts.pop(state))
                for names in _groups(self.graph, state, largest):
                    if only_known and self._normal(names).signature not in self._fronts:
                        continue
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
        return normal_group(merged_group(self.graph, names))

    def _cut(self, path: _Path) -> Cut:
        groups: list[CutGroup] = []
        step: _Path | None = path
        while step is not None and step.point is not None:
            tree, costs = build_tree(step.point, self.machine, self.rules)
            normal = self._normal(step.group)
            groups.append(CutGroup(normal.merged, normal.renamed_tree(tree), normal.renamed_costs(costs)))
            step = step.before
        return Cut(tuple(reversed(groups)))


def merged_group(graph: FusedGraph, names: Iterable[str]) -> FusedGraph:
    """Return some operators with one name for each dimension, those that always occur together merged."""
    return merged_dims(one_name_each(graph.group(names)))


def _groups(graph: FusedGraph, done: State, largest: int) -> Iterator[tuple[str, ...]]:
    """Yield the groups that can follow, each once, in the graph's order."""
    found: dict[tuple[str, ...], None] = {}
    position = {operator.name: place for place, operator in enumerate(graph.operators)}

    def grow(chosen: tuple[str, ...]) -> None:
        for operator in graph.operators:
            if operator.name in done or operator.name in chosen or not graph.needs(operator) <= {*done, *chosen}:
                continue
            larger = tuple(sorted((*chosen, operator.name), key=position.__getitem__))
            if larger not in found:
                found[larger] = None
                if len(larger) < largest:
                    grow(larger)

    grow(())
    yield from (names for names in found if _hangs_together(names, graph))


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
