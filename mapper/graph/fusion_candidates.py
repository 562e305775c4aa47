"""Every fusion group that the rules allow in a graph: what a cut may be made of.

A group is a chain, from the operator that leads it to the last one that its stores apply; no tensor inside has a
reader outside. So the first of its members in the order of the graph leads it, and candidates are listed by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hwconfigs import HardwareSpec
from mapper.graph.fusion_cuts import fusion_group
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.fusion_rules import LONGEST_GROUP, obstacles
from workloads import Operator, OpGraph


def candidates(graph: OpGraph, spec: HardwareSpec) -> Mapping[str, tuple[FusionGroup, ...]]:
    """Return the groups that each operator can lead, itself alone first, then longer ones."""
    return {
        op.name: tuple(fusion_group(members, graph, spec) for members in _allowed(op, graph, spec))
        for op in graph.operators
    }


def _allowed(lead: Operator, graph: OpGraph, spec: HardwareSpec) -> Iterator[tuple[Operator, ...]]:
    for members in _chains(lead, graph):
        if not obstacles(members, graph, spec):
            yield members


def _chains(lead: Operator, graph: OpGraph) -> Iterator[tuple[Operator, ...]]:
    """Yield the operator alone, then with one reader after another, as long as there is only one."""
    members: tuple[Operator, ...] = (lead,)
    yield members
    while len(members) < LONGEST_GROUP:
        readers = graph.consumers(members[-1].name)
        if len(readers) != 1:
            return
        members = (*members, readers[0])
        yield members
