"""One form for groups that differ in names only, with dimensions merged that always occur together.

Heads and channels of a projection's result are one dimension of 768 columns: every operand has both or none, so that
any tile of the merged dimension moves the same words. Groups with equal signatures have equal fronts.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from mapper.fused.einsum import Access, Einsum, FusedGraph
from mapper.fused.loop_tree import Block, Hold, Loop, LoopTree
from mapper.fused.tree_costs import TreeCosts


@dataclass(frozen=True)
class NormalGroup:
    """A group in normal form, and the way back."""

    merged: FusedGraph
    """The group with its own names, dimensions merged."""
    graph: FusedGraph
    """The same with canonical names."""
    signature: Hashable
    _names: dict[str, str] = field(hash=False)
    """The group's own name by canonical name, of operators, tensors and dimensions."""

    def renamed_tree(self, tree: LoopTree) -> LoopTree:
        """Return a tree of the canonical graph with the group's own names."""
        names = self._names
        steps = tuple(
            Loop(names[step.dim], step.step) if isinstance(step, Loop) else Hold(names[step.tensor], step.memory)
            for step in tree.steps
        )
        operator = None if tree.operator is None else names[tree.operator]
        return Block(steps, operator, tuple(self.renamed_tree(part) for part in tree.parts))

    def renamed_costs(self, costs: TreeCosts) -> TreeCosts:
        """Return costs of the canonical graph with the group's own names."""
        names = self._names
        traffic = tuple(
            replace(entry, operator=names[entry.operator], tensor=names[entry.tensor]) for entry in costs.traffic
        )
        by_operator = {names[operator]: cycles for operator, cycles in costs.cycles_by_operator.items()}
        return replace(costs, traffic=traffic, cycles_by_operator=by_operator)


def normal_group(merged: FusedGraph) -> NormalGroup:
    """Return a group, its dimensions merged, in normal form."""
    names: dict[str, str] = {}

    def canonical(kind: str, name: str) -> str:
        own = f"{kind}:{name}"
        return names.setdefault(own, f"{kind}{sum(key.startswith(f'{kind}:') for key in names)}")

    def access(item: Access) -> Access:
        return Access(canonical("t", item.tensor), tuple(canonical("d", dim) for dim in item.dims))

    operators = tuple(
        Einsum(
            canonical("o", op.name),
            tuple(access(item) for item in op.inputs),
            access(op.output),
            op.is_product,
            frozenset(canonical("d", dim) for dim in op.complete),
        )
        for op in merged.operators
    )
    sizes = {canonical("d", dim): size for dim, size in merged.sizes.items()}
    results = frozenset(canonical("t", tensor) for tensor in merged.results)
    graph = FusedGraph("group", sizes, operators, results)
    signature = (operators, tuple(sorted(sizes.items())), results)
    return NormalGroup(merged, graph, signature, {new: own.split(":", 1)[1] for own, new in names.items()})


def merged_dims(group: FusedGraph) -> FusedGraph:
    """Return a group in which dimensions that occur side by side in every access are one, named ``a.b``."""
    accesses = [access for operator in group.operators for access in operator.accesses]
    used = {dim for access in accesses for dim in access.dims}
    sizes = {dim: size for dim, size in group.sizes.items() if dim in used}
    current = FusedGraph(group.name, sizes, group.operators, group.results)
    while pair := _mergeable(current):
        current = _merged(current, *pair)
    return current


def _mergeable(group: FusedGraph) -> tuple[str, str] | None:
    accesses = [access.dims for operator in group.operators for access in operator.accesses]
    whole = [operator.complete for operator in group.operators]
    for dims in accesses:
        for first, second in pairwise(dims):
            beside = all(
                (first in other) == (second in other)
                and (first not in other or other.index(second) == other.index(first) + 1)
                for other in accesses
            )
            if beside and all((first in complete) == (second in complete) for complete in whole):
                return first, second
    return None


def _merged(group: FusedGraph, first: str, second: str) -> FusedGraph:
    name = f"{first}.{second}"

    def access(item: Access) -> Access:
        dims = tuple(name if dim == first else dim for dim in item.dims if dim != second)
        return Access(item.tensor, dims)

    def complete(dims: frozenset[str]) -> frozenset[str]:
        return frozenset(name if dim == first else dim for dim in dims if dim != second)

    operators = tuple(
        Einsum(op.name, tuple(map(access, op.inputs)), access(op.output), op.is_product, complete(op.complete))
        for op in group.operators
    )
    sizes = {dim: size for dim, size in group.sizes.items() if dim not in (first, second)}
    sizes[name] = group.sizes[first] * group.sizes[second]
    return FusedGraph(group.name, sizes, operators, group.results)
