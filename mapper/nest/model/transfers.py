"""Which words move, and who pays for them.

A tensor has copies in the memories that keep it; between neighbouring copies (and between the innermost and the
multipliers) its tiles are transferred. How often is one number per pair, a `Transfer`; reads, fills and updates of
every memory are sums of such numbers (`Flow`), whatever the loop order. So energy and the load of every port are linear
in the words transferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mapper.mapping.loop_nest import SpatialLoop
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, NestProblem

Kept: TypeAlias = tuple[frozenset[str], ...]
"""Tensors with a copy, per level outermost first."""
Spread: TypeAlias = tuple[tuple[SpatialLoop, ...], ...]
"""Spatial loops per level: they lie inside its temporal loops, around the next level."""
Kind: TypeAlias = Literal["read", "fill", "update"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Words of a tensor that cross between two copies, or the elements that a copy ever holds.

    words = elements (each tile with its halo) x product over irrelevant dimensions of c(dimension), where c counts the
    temporal loops outside the hoisting position and the spatial loops at levels below ``spread``.
    """

    tensor: str
    child: int
    """Level of the inner copy; the number of levels stands for the multipliers, which store nothing: for them every
    temporal loop counts."""
    spread: int
    """The outer copy's level: what it sends or receives, spatial loops inside are multicast or reduced on the way. The
    inner copy's level: what arrives, once per instance."""
    distinct: bool = False
    """No temporal loop of an irrelevant dimension counts: elements held, once per instance."""
    busiest: bool = False
    """Words of the instance of level ``spread`` that has most to do instead of the sum over instances."""


@dataclass(frozen=True, slots=True)
class Flow:
    """``weight`` x words of ``transfer`` are accesses of one kind to ``tensor`` at ``level``."""

    level: int
    tensor: str
    kind: Kind
    transfer: Transfer
    weight: float
    pair: tuple[int, int]
    """Levels of the outer and the inner copy between which the words transfer."""


def pairs(kept: Kept) -> Iterator[tuple[str, int | None, int]]:
    """Yield (tensor, level of the outer copy, level of the inner copy), outermost first.

    The outermost copy is the source: None is outside it. The multipliers are level ``len(kept)``.
    """
    for tensor in TENSORS:
        outer: int | None = None
        for level, names in enumerate(kept):
            if tensor in names:
                yield tensor, outer, level
                outer = level
        yield tensor, outer, len(kept)


def partial_words(hierarchy: Hierarchy, level: int, accounting: Accounting) -> int:
    """Return the words of one partial sum at a level."""
    bits = accounting.partial_word_bits
    return 1 if bits is None else -(-bits // hierarchy.memories[level].word_bits)


def flows(
    problem: NestProblem, hierarchy: Hierarchy, kept: Kept, spatial: Spread, accounting: Accounting
) -> tuple[Flow, ...]:
    """Return reads, fills and updates of every memory as sums of transfers.

    These are rules 4 to 7 of Timeloop and their alternatives.
    """
    every: list[Flow] = []
    for tensor, parent, child in pairs(kept):
        if parent is None:
            continue
        if tensor == "output":
            every += _output(problem, hierarchy, spatial, accounting, parent, child)
            continue
        every.append(Flow(parent, tensor, "read", Transfer(tensor, child, parent), 1.0, (parent, child)))
        if child < len(kept):
            every.append(Flow(child, tensor, "fill", Transfer(tensor, child, child), 1.0, (parent, child)))
    return tuple(every)


def _output(
    problem: NestProblem, hierarchy: Hierarchy, spatial: Spread, accounting: Accounting, parent: int, child: int
) -> Iterator[Flow]:
    """Sums are read, modified and written; a visit that is not the last leaves a partial sum.

    Of what reaches a copy, one word per element is the final value and the others are partial sums, ``width`` words
    each; where the reduction is spread over several instances of the copy, all of them are partial.
    """
    # Every word that leaves the child updates the parent and is read again for the next visit; the first visit of an
    # element finds nothing to read, the last one leaves a final value.
    first = 1.0 if accounting.first_read_elision else 0.0
    pair = parent, child
    width = partial_words(hierarchy, parent, accounting)
    moved, held = Transfer("output", child, parent), Transfer("output", parent, parent, distinct=True)
    yield Flow(parent, "output", "update", moved, width, pair)
    if width > 1 and not _is_spread(problem, spatial, parent):
        yield Flow(parent, "output", "update", held, 1.0 - width, pair)
    yield Flow(parent, "output", "read", moved, width, pair)
    yield Flow(parent, "output", "read", held, -width * first, pair)
    if child == len(spatial):  # the multipliers store nothing
        return
    width = partial_words(hierarchy, child, accounting)
    moved, held = Transfer("output", child, child), Transfer("output", child, child, distinct=True)
    yield Flow(child, "output", "fill", moved, width, pair)
    yield Flow(child, "output", "fill", held, -width * first, pair)
    if accounting.drain_reads:
        yield Flow(child, "output", "read", moved, width, pair)
        if width > 1 and not _is_spread(problem, spatial, child):
            yield Flow(child, "output", "read", held, 1.0 - width, pair)


def canonical(transfer: Transfer, problem: NestProblem, spatial: Spread) -> Transfer:
    """Return one name for all transfers of the same words.

    Spatial loops that the tensor's tiles do not share make no difference.
    """
    if transfer.busiest:
        return transfer
    irrelevant, spread = problem.irrelevant(transfer.tensor), transfer.spread
    while spread and not any(loop.dim in irrelevant for loop in spatial[spread - 1]):
        spread -= 1
    return replace(transfer, spread=spread, child=spread if transfer.distinct else transfer.child)


def _is_spread(problem: NestProblem, spatial: Spread, level: int) -> bool:
    """Whether several instances of ``level`` hold parts of the same sum."""
    irrelevant = problem.irrelevant("output")
    return any(loop.dim in irrelevant and loop.size > 1 for loops in spatial[:level] for loop in loops)
