"""A graph cut in fusion groups: which edges leave the chip.

A cut names the operators of every group. Whoever proposes one, `fusion_groups` makes the groups of it, or says which
rule of `mapper.graph.fusion_rules` they break; without a proposal a graph is cut by `default_cut`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.errors import MappingError
from mapper.graph.capabilities import OPERAND_BITS, RESULT_BITS
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.fusion_rules import obstacles
from mapper.graph.placement import assign
from workloads import Operator, OpGraph
from workloads.ordering import CircleError, ordered

Cut: TypeAlias = Sequence[Sequence[str]]
"""Names of the operators of each group: first the one that leads, then its epilogue."""


def default_cut(graph: OpGraph, spec: HardwareSpec) -> Cut:
    """Cut every edge, except before an element-wise activation that the stores of the operator before it can apply."""
    cut: list[tuple[str, ...]] = []
    fused: set[str] = set()
    for op in graph.operators:
        if op.name in fused:
            continue
        members = [op]
        readers = graph.consumers(op.name)
        if len(readers) == 1 and _is_elementwise(readers[0]) and not obstacles((op, *readers), graph, spec):
            members += readers
        fused.update(member.name for member in members)
        cut.append(tuple(member.name for member in members))
    return tuple(cut)


def _is_elementwise(op: Operator) -> bool:
    kernel = kernel_named(op.kind)
    return kernel.is_activation and not kernel.whole_rows


def fusion_groups(graph: OpGraph, spec: HardwareSpec, cut: Cut | None = None) -> tuple[FusionGroup, ...]:
    """Return the groups of a cut in an order in which they can run.

    Parameters
    ----------
    graph, spec
        What runs on which machine.
    cut
        Any cut of the graph; None: `default_cut`.

    Raises
    ------
    GraphError
        When the cut names an operator that is not there.
    MappingError
        When an operator is in no group or in several, when a group is empty, when operators cannot run as one group
        (with every reason), or when groups would have to wait for each other.
    """
    cut = default_cut(graph, spec) if cut is None else cut
    _check_partition(graph, cut)
    groups = {names[0]: fusion_group([graph.operator(name) for name in names], graph, spec) for names in cut}
    group_of = {op.name: group for group in groups.values() for op in group.operators}
    return tuple(groups[name] for name in _order(graph, group_of))


def _check_partition(graph: OpGraph, cut: Cut) -> None:
    if not all(cut):
        raise MappingError(f"graph {graph.name}: a group of the cut has no operator")
    times = Counter(name for names in cut for name in names)
    wrong = [f"{op.name} is in {times[op.name]} groups" for op in graph.operators if times[op.name] != 1]
    if wrong:
        raise MappingError(f"graph {graph.name}: every operator is in one group; {', '.join(wrong)}")


def fusion_group(operators: Sequence[Operator], graph: OpGraph, spec: HardwareSpec) -> FusionGroup:
    """Return operators as one group, the one that leads first; it is the same in every cut that has it.

    Raises
    ------
    MappingError
        When a rule forbids it.
    """
    reasons = obstacles(operators, graph, spec)
    if reasons:
        names = ", ".join(op.name for op in operators)
        raise MappingError("\n  ".join([f"{names} cannot run as one group on {spec.name}", *map(str, reasons)]))
    assignment = assign(operators[0], spec)
    group = FusionGroup(tuple(operators), assignment.unit, assignment.note, operators[-1].output.bits)
    return replace(group, result_bits=_result_bits(group, graph, spec))


def _result_bits(group: FusionGroup, graph: OpGraph, spec: HardwareSpec) -> int:
    """Width in which a group computes its result. [bits]

    The array leaves its sums unrounded if every reader streams them through the accumulator again, so that rows are
    normalised as they were summed; or if the tensor is that wide anyway.
    """
    bits = group.result.bits
    if group.unit != "array" or group.epilogue:
        return bits
    readers = graph.consumers(group.operators[-1].name)
    streamed = bool(readers) and all(_streams(reader, spec) for reader in readers)
    return RESULT_BITS if streamed or bits > OPERAND_BITS else bits


def _streams(reader: Operator, spec: HardwareSpec) -> bool:
    """Whether an operator streams its one operand through the accumulator, whose stores apply it.

    It then leads a group: what it could be the epilogue of is the operator before it, which is in another one.
    """
    unit, kernel = assign(reader, spec).unit, kernel_named(reader.kind)
    # Polynomials on integers want the fine steps of sums; what other lanes compute takes bytes as well.
    takes_sums = unit in ("normaliser", "accumulator") or (unit == "simd" and kernel.integer is not None)
    return takes_sums and kernel.is_activation


def _order(graph: OpGraph, group_of: Mapping[str, FusionGroup]) -> list[str]:
    """Names of the groups, producers first and otherwise in the order of the graph's operators."""
    names = [op.name for op in graph.operators if group_of[op.name].name == op.name]
    waits_for: dict[str, set[str]] = {name: set() for name in names}
    for op in graph.operators:
        for reader in graph.consumers(op.name):
            producer, consumer = group_of[op.name].name, group_of[reader.name].name
            if producer != consumer:
                waits_for[consumer].add(producer)
    try:
        return ordered(names, waits_for)
    except CircleError as circle:
        raise MappingError(f"graph {graph.name}: groups wait for each other: {circle}") from None
