"""A fusion plan: which operators run as one group, which groups take turns, and what is known of their mappings.

A cut alone leaves turns and mappings to the run. A plan that a run wrote has all three, so that a later run does the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.graph.fusion_cuts import Cut
from mapper.graph.fusion_group import FusionGroup, executed
from mapper.graph.interleaving import Interleaving, block_between, may_interleave
from mapper.mapping.hardware_loop import HardwareLoop
from workloads import OpGraph
from workloads.ops import Matmul


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """A cut, its turns, and mappings that are not searched."""

    cut: Cut
    turns: tuple[Interleaving, ...] = ()
    mappings: Mapping[str, HardwareLoop] = field(default_factory=dict)
    """By name of the group; others are searched."""


def together(
    groups: Sequence[FusionGroup], turns: Sequence[Interleaving], graph: OpGraph, spec: HardwareSpec
) -> tuple[tuple[FusionGroup, ...], ...]:
    """Return groups in an order in which they can run, two together where they are to take turns.

    Raises
    ------
    MappingError
        When a turn names no group, or groups that cannot take turns, or is of more rows than there are, or its block
        would stay in a scratchpad that cannot take it.
    """
    named = {group.name: group for group in groups}
    producers: dict[str, Interleaving] = {}
    busy: set[str] = set()
    for how in turns:
        _check(how, named, graph, spec)
        for name in (how.producer, how.consumer):
            if name in busy:
                raise MappingError(f"turns: {name} takes turns with one group only")
            busy.add(name)
        producers[how.consumer] = how
    first = {how.producer for how in turns}
    return tuple(
        (named[producers[group.name].producer], group) if group.name in producers else (group,)
        for group in groups
        if group.name not in first
    )


def _check(how: Interleaving, named: Mapping[str, FusionGroup], graph: OpGraph, spec: HardwareSpec) -> None:
    for name in (how.producer, how.consumer):
        if name not in named:
            raise MappingError(f"turns: no group is led by {name!r}; groups are {', '.join(named)}")
    producer, consumer = named[how.producer], named[how.consumer]
    if not may_interleave(producer, consumer, graph):
        raise MappingError(
            f"turns: {how.producer} and {how.consumer} cannot take turns: every row of the second matmul has to need "
            "that row of the first one's rounded result, and nobody else may read it"
        )
    lead = executed(producer.lead)
    assert isinstance(lead, Matmul), "only groups of matmuls take turns"
    if how.rows > lead.m:
        raise MappingError(f"turns: {how.producer}: blocks of {how.rows:,} rows, and an instance has {lead.m:,}")
    if how.in_scratchpad:
        block_between(how, lead.n, spec)
