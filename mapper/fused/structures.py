"""The trees of a group, tiles apart: shared loops, who stands inside them, and what lies in shared places.

Level j of s shared loops is inside the first j of them. A tensor from outside may lie above a loop that does not index
it, where it is loaded less often; inside all loops, if several operators read it; or each operator loads its own tiles.
What an operator makes and another reads lies inside all loops. An operator that lacks their dimensions runs before
them, its result kept whole, or is computed anew in every turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mapper.fused.blocks import main_dims
from mapper.fused.einsum import Einsum, FusedGraph
from mapper.fused.rules import Rules

MOST_LOOPS = 2
"""Shared loops around one group, besides those over dimensions that everything has."""


@dataclass(frozen=True)
class Placement:
    """Shared loops and the operators before and inside them."""

    graph: FusedGraph
    loops: tuple[str, ...]
    lead: tuple[str, ...]
    """Dimensions that every tensor has, outside of everything in steps of one."""
    before: tuple[Einsum, ...]
    inside: tuple[Einsum, ...]

    @property
    def operators(self) -> tuple[Einsum, ...]:
        """In the order in which they run."""
        return (*self.before, *self.inside)

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Positions of the first and the last operator that uses each tensor."""
        spans: dict[str, tuple[int, int]] = {}
        for place, op in enumerate(self.operators):
            for access in op.accesses:
                spans[access.tensor] = (spans.get(access.tensor, (place, 0))[0], place)
        return spans

    def first_reader(self, tensor: str) -> Einsum:
        """Return the operator that loads a shared tile."""
        return next(op for op in self.operators if any(access.tensor == tensor for access in op.inputs))


@dataclass(frozen=True)
class Structure:
    """A placement with the levels of shared tiles."""

    placement: Placement
    levels: dict[str, int] = field(hash=False)
    """Of tensors that lie in the scratchpad for several operators, or for several turns of a loop."""
    sums: dict[str, int] = field(hash=False, default_factory=dict)
    """Of results whose partial sums lie in the scratchpad."""

    @cached_property
    def shared(self) -> dict[str, int]:
        """All shared tiles of the scratchpad."""
        return {**self.levels, **self.sums}

    def alive(self, operator: Einsum) -> tuple[str, ...]:
        """Return the tensors of which a shared tile lies in the scratchpad while an operator runs."""
        placement, last_level = self.placement, len(self.placement.loops)
        at, begin = placement.operators.index(operator), len(placement.before)
        alive = []
        for tensor, level in self.shared.items():
            first, last = placement.spans[tensor]
            if level < last_level and last >= begin:  # a loop turns below: the tile stays to its end
                first, last = min(first, begin), len(placement.operators) - 1
            if first <= at <= last:
                alive.append(tensor)
        replaced = self._replaced(operator)
        return tuple(tensor for tensor in alive if tensor != replaced)

    def _replaced(self, operator: Einsum) -> str | None:
        """The operand whose rows a row-wise operator overwrites (see `mapper.fused.tree_check`)."""
        graph, result = self.placement.graph, operator.output.tensor
        if operator.is_product or result not in self.levels:
            return None
        for access in operator.inputs:
            made = access.tensor in graph.makers and graph.readers[access.tensor][-1] == operator
            if made and self.levels.get(access.tensor) == self.levels[result]:
                return access.tensor
        return None


def lead_dims(graph: FusedGraph) -> tuple[str, ...]:
    """Return the dimensions that every tensor of every operator has, rows of a lone product not among them."""
    every = [set(access.dims) for operator in graph.operators for access in operator.accesses]
    common = set.intersection(*every)
    if not any(operator.is_product for operator in graph.operators):
        return ()
    return tuple(dim for dim in graph.operators[0].dims if dim in common)


def _is_indexed_one_way(graph: FusedGraph) -> bool:
    ways: dict[str, frozenset[str]] = {}
    accesses = [access for operator in graph.operators for access in operator.accesses]
    return all(ways.setdefault(access.tensor, frozenset(access.dims)) == frozenset(access.dims) for access in accesses)


def placements(graph: FusedGraph, rules: Rules) -> Iterator[Placement]:
    """Yield the shared loops that are possible, with the operators before and inside them.

    There are none if two operators index one tensor in different ways.
    """
    if not _is_indexed_one_way(graph):
        return
    lead = lead_dims(graph)
    yield Placement(graph, (), lead, (), graph.operators)
    if len(graph.operators) == 1:
        for loops in _loops_around_sums(graph, lead, rules):
            yield Placement(graph, loops, lead, (), graph.operators)
        return
    dims = [dim for dim in dict.fromkeys(d for op in graph.operators for d in op.dims) if dim not in lead]
    for number in range(1, MOST_LOOPS + 1):
        for loops in itertools.permutations(dims, number):
            yield from _with_loops(graph, loops, lead, rules)


def _loops_around_sums(graph: FusedGraph, lead: tuple[str, ...], rules: Rules) -> list[tuple[str, ...]]:
    """Loops around a lone product whose partial sums may leave the accumulator: to DRAM, or to a tile that stays.

    Its nests inside have every tile of rows and columns, so that loops over these matter only around such a tile.
    """
    (operator,) = graph.operators
    if not (rules.narrow_sums and operator.is_product):
        return []
    main = main_dims(operator, graph, (), lead)
    around = [dim for dim in (main.rows, main.columns) if dim]
    return [(main.reduced,), *((*order, main.reduced) for order in itertools.permutations(around))]


def _with_loops(graph: FusedGraph, loops: tuple[str, ...], lead: tuple[str, ...], rules: Rules) -> Iterator[Placement]:
    lacking = [op for op in graph.operators if not set(loops) & set(op.dims)]
    for count in range(len(lacking) + 1):
        for early in itertools.combinations(lacking, count):
            inside = tuple(op for op in graph.operators if op not in early)
            placement = Placement(graph, loops, lead, early, inside)
            if _is_possible(placement, rules):
                yield placement


def _is_possible(placement: Placement, rules: Rules) -> bool:
    made_inside = {op.output.tensor for op in placement.inside}
    if any(access.tensor in made_inside for op in placement.before for access in op.inputs):
        return False
    for dim in placement.loops:
        having = [op for op in placement.inside if dim in op.dims]
        if len(having) < 2 or not any(dim in op.output.dims for op in having):
            return False
    return all(_may_stand_inside(op, placement, rules) for op in placement.inside)


def _may_stand_inside(operator: Einsum, placement: Placement, rules: Rules) -> bool:
    graph = placement.graph
    readers = graph.readers.get(operator.output.tensor, ())
    seen_reduced = False
    for dim in placement.loops:
        if dim in operator.complete and not rules.rows_may_be_cut:
            return False
        if operator.is_product and dim in operator.reduced:
            # Partial sums leave the accumulator, and nobody may read them there.
            if not rules.narrow_sums or any(reader in placement.inside for reader in readers):
                return False
            seen_reduced = True
        elif seen_reduced and dim not in operator.dims:
            return False
    if not operator.is_product:
        return True
    main = main_dims(operator, graph, placement.loops, placement.lead)
    own = set(placement.loops) & set(operator.dims)
    return own <= {main.rows, main.reduced, main.columns}


def residencies(placement: Placement) -> Iterator[Structure]:
    """Yield the levels at which tensors of a placement may lie."""
    graph, loops = placement.graph, placement.loops
    fixed: dict[str, int] = {}
    options: list[list[tuple[str, int | None]]] = []
    early = {op.output.tensor for op in placement.before}
    for tensor in dict.fromkeys(access.tensor for op in placement.operators for access in op.accesses):
        if tensor in graph.makers:
            if tensor in graph.readers:
                fixed[tensor] = 0 if tensor in early else len(loops)
            continue
        options.append([(tensor, level) for level in _levels(tensor, placement)])
    sums: list[list[tuple[str, int | None]]] = []
    free: list[tuple[str, int | None]]
    for op in placement.inside:
        cut = [at for at, dim in enumerate(loops) if op.is_product and dim in op.reduced]
        if cut:
            # A lone product needs loops around its sums only if these have a tile of their own.
            free = [] if len(placement.operators) == 1 and cut[0] else [(op.output.tensor, None)]
            sums.append([*free, (op.output.tensor, cut[0])])
    for chosen in itertools.product(*options, *sums):
        external, kept = chosen[: len(options)], chosen[len(options) :]
        levels = {**fixed, **{tensor: level for tensor, level in external if level is not None}}
        yield Structure(placement, levels, {tensor: level for tensor, level in kept if level is not None})


def _levels(tensor: str, placement: Placement) -> list[int | None]:
    """Where a tensor from outside may lie: None for a place of its own in each operator that reads it."""
    readers = placement.graph.readers[tensor]
    dims = readers[0].access(tensor).dims
    levels: list[int | None] = [None]
    if all(reader in placement.inside for reader in readers):
        levels += [level for level, dim in enumerate(placement.loops) if dim not in dims]
        if len(readers) > 1:
            levels.append(len(placement.loops))
    elif len(readers) > 1:
        levels.append(0)
    return levels
