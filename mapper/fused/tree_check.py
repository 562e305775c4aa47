"""Why a loop tree cannot be: what is not held where an operator needs it, and tiles that do not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mapper.errors import MappingError, Violation
from mapper.fused.einsum import Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.loop_tree import Hold, Leaf, Loop, LoopTree
from mapper.fused.rules import Rules
from mapper.fused.tree_costs import leaves_of, moved, repeats, resident

SUM_BYTES = 4


def require_form(tree: LoopTree, graph: FusedGraph) -> list[Leaf]:
    """Return the leaves of a tree.

    Raises
    ------
    MappingError
        When operators are missing or unknown, a loop or a tile names nothing of the graph, or an operand has no place
        that its operator needs.
    """
    leaves = leaves_of(tree, graph)
    for leaf in leaves:
        operator = graph.operator(leaf.operator)
        for step in leaf.path:
            if isinstance(step, Loop) and step.dim not in graph.sizes:
                raise MappingError(f"{operator.name}: loop over unknown dimension {step.dim!r}")
            if isinstance(step, Loop) and step.step < 1:
                raise MappingError(f"{operator.name}: loop over {step.dim} in steps of {step.step}; must be at least 1")
        _require_places(leaf, operator)
        _require_sums(leaf, operator)
    _require_users(leaves, graph)
    _require_complete(leaves, graph)
    return leaves


def _require_places(leaf: Leaf, operator: Einsum) -> None:
    """Operands in the scratchpad, the stationary one in the registers as well, the result in the accumulator last."""
    needs = [(access.tensor, "scratchpad") for access in operator.inputs]
    needs.append((operator.output.tensor, "accumulator"))
    if operator.is_product:
        needs.append((operator.inputs[1].tensor, "registers"))
    for tensor, memory in needs:
        if not leaf.holds(tensor, memory):
            raise MappingError(f"{operator.name}: nobody holds {tensor} in the {memory}")
    for access in operator.accesses:
        ranks = [
            ("scratchpad", "accumulator", "registers").index(_memory(leaf, place))
            for place in leaf.holds(access.tensor)
        ]
        if ranks != sorted(ranks):
            raise MappingError(f"{operator.name}: {access.tensor} is held in the scratchpad inside a smaller memory")
        if len([rank for rank in ranks if rank]) > 1:
            raise MappingError(f"{operator.name}: {access.tensor} is held twice in the accumulator or the registers")


def _memory(leaf: Leaf, place: int) -> str:
    step = leaf.path[place]
    assert isinstance(step, Hold)
    return step.memory


def _require_sums(leaf: Leaf, operator: Einsum) -> None:
    """Walking a part of a reduction twice would add it twice."""
    reduced = ""
    for step in leaf.path:
        if isinstance(step, Loop) and step.dim in operator.reduced:
            reduced = step.dim
        elif isinstance(step, Loop) and step.dim not in operator.dims and reduced:
            raise MappingError(
                f"{operator.name}: the loop over {step.dim} repeats it inside one over {reduced}, its reduction"
            )


def _require_complete(leaves: list[Leaf], graph: FusedGraph) -> None:
    """No reader stands inside a loop that walks a reduction of the maker: it would read partial sums."""
    by_name = {leaf.operator: leaf for leaf in leaves}
    for tensor, maker in graph.makers.items():
        for reader in graph.readers.get(tensor, ()):
            leaf = by_name[maker.name]
            for step in leaf.path[: leaf.common(by_name[reader.name])]:
                if isinstance(step, Loop) and step.dim in maker.reduced:
                    raise MappingError(
                        f"{reader.name} reads {tensor} inside a loop over {step.dim}, over which it is summed"
                    )


def _require_users(leaves: list[Leaf], graph: FusedGraph) -> None:
    """Every tile serves an operator inside; a tensor that is read in two places there is indexed alike."""
    for leaf in leaves:
        for place, step in enumerate(leaf.path):
            if not isinstance(step, Hold):
                continue
            inside = [graph.operator(other.operator) for other in leaves if other is leaf or other.common(leaf) > place]
            indexed = {
                frozenset(access.dims)
                for operator in inside
                for access in operator.accesses
                if access.tensor == step.tensor
            }
            if not indexed:
                raise MappingError(
                    f"{leaf.operator}: holds {step.tensor!r} in the {step.memory}, which nobody here uses"
                )
            if len(indexed) > 1:
                raise MappingError(f"{leaf.operator}: {step.tensor} is indexed in two ways inside one tile of it")
            _require_all_readers(step.tensor, inside, graph)


def _require_all_readers(tensor: str, inside: list[Einsum], graph: FusedGraph) -> None:
    """A tile that a maker and a reader share serves all readers, or it would not be known where it comes from."""
    readers = graph.readers.get(tensor, ())
    shared = graph.makers.get(tensor) in inside and any(reader in inside for reader in readers)
    outside = [reader.name for reader in readers if reader not in inside]
    if shared and outside:
        raise MappingError(f"{tensor} is held together with some of its readers, but not with {outside[0]}")


def violations(tree: LoopTree, graph: FusedGraph, machine: FlatMachine, rules: Rules) -> tuple[Violation, ...]:
    """Return the broken inequalities of a tree that has the right form; none if it can run."""
    leaves = require_form(tree, graph)
    found: list[Violation] = []
    for leaf in leaves:
        operator = graph.operator(leaf.operator)
        found += _rows(leaf, operator, graph, machine, rules)
        found += _register_tile(leaf, operator, graph, machine)
        found += _partial_sums(leaf, operator, graph, rules)
        for memory, entries in (("scratchpad", machine.scratchpad), ("accumulator", machine.accumulator)):
            words = alive_words(leaf, leaves, graph, memory)
            if words > entries:
                found.append(Violation(f"tiles of {leaf.operator}", memory, words, entries, "words"))
    return tuple(dict.fromkeys(found))


def _rows(leaf: Leaf, operator: Einsum, graph: FusedGraph, machine: FlatMachine, rules: Rules) -> Iterator[Violation]:
    """The accumulator must hold a whole row, and no loop around may cut it."""
    if rules.rows_may_be_cut or not operator.complete:
        return
    yield from too_long_rows(operator, graph, machine)
    for dim in sorted(operator.complete):
        smallest = min([graph.sizes[dim], *leaf.steps_of(dim)])
        if smallest < graph.sizes[dim]:
            hint = f"take the loop over {dim} away"
            yield Violation(
                f"a whole row of {operator.name}", f"loop {dim}", graph.sizes[dim], smallest, "elements", hint
            )


def too_long_rows(operator: Einsum, graph: FusedGraph, machine: FlatMachine) -> Iterator[Violation]:
    """Yield the inequality of a row-wise operator whose row the accumulator does not hold."""
    row = graph.words(sorted(operator.complete))
    if row > machine.accumulator:
        hint = f"the smallest accumulator that would do has {row * SUM_BYTES / 1024:,.4g} KiB"
        yield Violation(f"a whole row of {operator.name}", "accumulator", row, machine.accumulator, "words", hint)


def _register_tile(leaf: Leaf, operator: Einsum, graph: FusedGraph, machine: FlatMachine) -> Iterator[Violation]:
    if not operator.is_product:
        return
    stationary = operator.inputs[1]
    (place,) = leaf.holds(stationary.tensor, "registers")
    extents = _extents(leaf, place, stationary.dims, graph)
    limits = {operator.reduced[-1]: machine.rows, operator.columns[-1]: machine.cols}
    for dim in stationary.dims:
        limit = limits.get(dim, 1)
        if extents[dim] > limit:
            yield Violation(f"{stationary.tensor} along {dim}", "registers", extents[dim], limit, "elements")


def _partial_sums(leaf: Leaf, operator: Einsum, graph: FusedGraph, rules: Rules) -> Iterator[Violation]:
    """A result that is fetched into the accumulator again was a sum of 32 bits outside of it."""
    (place,) = leaf.holds(operator.output.tensor, "accumulator")
    once = graph.words(operator.output.dims) * repeats(leaf, operator, graph)
    visits = moved(leaf, operator.output, graph, place)
    if visits > once and not rules.narrow_sums:
        hint = "sums of 32 bits leave the accumulator only when complete"
        yield Violation(f"visits of {operator.output.tensor}", "accumulator", visits // once, 1, "times", hint)


def _extents(leaf: Leaf, place: int, dims: tuple[str, ...], graph: FusedGraph) -> dict[str, int]:
    """Extent of a tile at a place of a path: the smallest step outside."""
    return {dim: min([graph.sizes[dim], *leaf.steps_of(dim, place)]) for dim in dims}


def alive_words(leaf: Leaf, leaves: list[Leaf], graph: FusedGraph, memory: str) -> int:
    """Return the words in a memory while an operator runs.

    A tile above a loop lies there as long as the loop runs. One directly above a sequence comes with the first part
    that uses it and goes with the last; a row-wise operator writes each row over the one that it read last.
    """
    words: dict[str, int] = {}
    for place, step in enumerate(leaf.path):
        if isinstance(step, Hold) and step.memory == memory and _is_alive(leaf, place, step, leaves, graph):
            access = next(
                graph.operator(other.operator).access(step.tensor)
                for other in leaves
                if (other is leaf or other.common(leaf) > place) and _uses(graph.operator(other.operator), step.tensor)
            )
            size = math.prod(_extents(leaf, place, access.dims, graph).values())
            words[step.tensor] = words.get(step.tensor, 0) + size
    if memory == "scratchpad" and (replaced := _replaced(leaf, leaves, graph)) in words:
        result = graph.operator(leaf.operator).output.tensor
        if result in words and words[result] == words[replaced]:
            del words[replaced]
    return sum(words.values())


def _uses(operator: Einsum, tensor: str) -> bool:
    return any(access.tensor == tensor for access in operator.accesses)


def _is_alive(leaf: Leaf, place: int, hold: Hold, leaves: list[Leaf], graph: FusedGraph) -> bool:
    split = next((split for split in leaf.splits if split > place), len(leaf.path))
    if split == len(leaf.path) or any(isinstance(step, Loop) for step in leaf.path[place:split]):
        return True
    level = leaf.splits.index(split)
    inside = [other for other in leaves if other is leaf or other.common(leaf) > place]
    parts = [other.address[level] for other in inside if _uses(graph.operator(other.operator), hold.tensor)]
    return min(parts) <= leaf.address[level] <= max(parts)


def _replaced(leaf: Leaf, leaves: list[Leaf], graph: FusedGraph) -> str | None:
    """The operand whose rows a row-wise operator overwrites: a result of this group that nobody reads later."""
    operator = graph.operator(leaf.operator)
    if operator.is_product:
        return None
    own = resident(operator.output.tensor, leaves, graph)
    for access in operator.inputs:
        readers = graph.readers.get(access.tensor, ())
        if readers[-1:] == (operator,) and own is not None and _same_loops(leaf, own, access.tensor, leaves, graph):
            return access.tensor
    return None


def _same_loops(leaf: Leaf, place: int, tensor: str, leaves: list[Leaf], graph: FusedGraph) -> bool:
    """Whether an operand lies in the scratchpad inside the same loops as the result at ``place``."""
    other = resident(tensor, leaves, graph)
    if other is None:
        return False
    low, high = sorted((place, other))
    return not any(isinstance(step, Loop) for step in leaf.path[low:high])
