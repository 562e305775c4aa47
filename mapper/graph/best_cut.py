"""The best cut of a graph by what its groups cost: dynamic programming over the operators in their order.

      q  k  v  scores  softmax  context ...           state: operators ahead that an earlier group took along
                 └──── or ────┘                       scores alone, or scores with softmax: then softmax is taken

A group costs the same whatever the cut makes of the other operators: how wide its result is, and so what its readers
load, follows from the operators that read it (`mapper.graph.fusion_cuts`). So of all cuts of the operators so far that
took the same ones along, only those can be part of the best that no other one beats: one for an objective that adds
up, and a Pareto set of cycles and energy for their product. Branches need no care of their own: an operator that reads
two tensors stands behind both of their groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mapper.graph.fusion_group import FusionGroup
from workloads import OpGraph

Objective: TypeAlias = Callable[[float, float], float]
"""Cycles and energy to the number that is minimised."""


@dataclass(frozen=True, slots=True)
class PricedCut:
    """Groups that cover the operators so far, and what they cost together."""

    groups: tuple[FusionGroup, ...] = ()
    cycles: float = 0.0
    energy_pj: float = 0.0

    def followed_by(self, group: FusionGroup, price: tuple[float, float]) -> PricedCut:
        """Return the cut with one more group."""
        return PricedCut((*self.groups, group), self.cycles + price[0], self.energy_pj + price[1])

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the operators of each group."""
        return tuple(tuple(op.name for op in group.operators) for group in self.groups)


def best_cut(
    graph: OpGraph,
    candidates: Mapping[str, Sequence[FusionGroup]],
    prices: Mapping[FusionGroup, tuple[float, float]],
    objective: Objective,
    without: FusionGroup | None = None,
) -> PricedCut | None:
    """Return the cut with the least objective; of equal ones the one whose groups are listed first.

    Parameters
    ----------
    graph
        What is cut.
    candidates
        Groups by the operator that leads them.
    prices
        Cycles and energy of the groups that may be used [cycles, pJ].
    objective
        What is minimised. It must not fall when cycles or energy grow.
    without
        A group that the cut must not have. None: any.
    """
    states: dict[frozenset[str], list[PricedCut]] = {frozenset(): [PricedCut()]}
    for op in graph.operators:
        usable = [group for group in candidates[op.name] if group in prices and group != without]
        states = _advanced(op.name, usable, states, prices)
    return min(states.get(frozenset(), []), key=lambda cut: objective(cut.cycles, cut.energy_pj), default=None)


def next_best_cut(
    graph: OpGraph,
    candidates: Mapping[str, Sequence[FusionGroup]],
    prices: Mapping[FusionGroup, tuple[float, float]],
    objective: Objective,
    best: PricedCut,
) -> PricedCut | None:
    """Return the best of all other cuts, None if there is only one.

    Another cut lacks at least one group of the best: so the best without each of them is looked for.
    """
    others = (best_cut(graph, candidates, prices, objective, group) for group in best.groups)
    return min(
        (cut for cut in others if cut is not None),
        key=lambda cut: objective(cut.cycles, cut.energy_pj),
        default=None,
    )


def _advanced(
    name: str,
    usable: Sequence[FusionGroup],
    states: Mapping[frozenset[str], list[PricedCut]],
    prices: Mapping[FusionGroup, tuple[float, float]],
) -> dict[frozenset[str], list[PricedCut]]:
    """Return the states behind one more operator: it was taken along, or it leads one of its groups."""
    after: dict[frozenset[str], list[PricedCut]] = {}
    for taken, cuts in states.items():
        if name in taken:
            after.setdefault(taken - {name}, []).extend(cuts)
            continue
        for group in usable:
            members = {op.name for op in group.epilogue}
            if members.isdisjoint(taken):
                longer = [cut.followed_by(group, prices[group]) for cut in cuts]
                after.setdefault(taken | members, []).extend(longer)
    return {taken: _pareto(cuts) for taken, cuts in after.items()}


def _pareto(cuts: Iterable[PricedCut]) -> list[PricedCut]:
    """Return the cuts that no other one equals or beats in cycles and energy at once; the first of equal ones."""
    kept: list[PricedCut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.cycles, cut.energy_pj)):
        if not kept or cut.energy_pj < kept[-1].energy_pj:
            kept.append(cut)
    return kept
