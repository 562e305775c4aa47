"""The best cut of a graph by the estimate: every group that may be is priced once, and the cheapest cover is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.cost.objective import Goal, objective_value
from mapper.errors import MappingError
from mapper.graph.best_cut import PricedCut, best_cut, next_best_cut
from mapper.graph.fusion_candidates import candidates
from mapper.graph.fusion_group import FusionGroup
from workloads import OpGraph


@dataclass(frozen=True, slots=True)
class CutSearch:
    """What the search of a cut found."""

    best: PricedCut
    next_best: PricedCut | None
    """The best of all other cuts; None if there is no other."""
    candidates: int
    """Groups that the rules allow, operators alone included."""
    without_mapping: int
    """Groups among them whose matmul has no mapping on this machine."""


def search_cut(
    graph: OpGraph,
    spec: HardwareSpec,
    price: Callable[[FusionGroup, Sequence[FusionGroup]], tuple[float, float]],
    objective: Goal,
) -> CutSearch:
    """Return the cut of a graph with the least objective by the estimate, each group alone on cold caches.

    Parameters
    ----------
    graph, spec
        What runs on which machine.
    price
        Returns cycles and energy of a group [cycles, pJ], given those that write its operands, or raises a
        `MappingError` if it has no mapping.
    objective
        What is minimised.

    Raises
    ------
    MappingError
        When an operator has no mapping in any group.
    """
    allowed = candidates(graph, spec)
    prices: dict[FusionGroup, tuple[float, float]] = {}
    refused: list[MappingError] = []
    # Who writes an operand wide leads a group of its own, the first that it can lead.
    alone = [groups[0] for groups in allowed.values() if groups]
    for groups in allowed.values():
        for group in groups:
            try:
                prices[group] = price(group, alone)
            except MappingError as problem:
                refused.append(problem)

    def value(cycles: float, energy_pj: float) -> float:
        return objective_value(objective, cycles, energy_pj)

    best = best_cut(graph, allowed, prices, value)
    if best is None:
        raise refused[0]
    other = next_best_cut(graph, allowed, prices, value, best)
    return CutSearch(best, other, sum(map(len, allowed.values())), len(refused))
