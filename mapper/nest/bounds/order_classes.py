"""Equivalence classes of loop orders: the few that can hold an optimum, derived from levels and pairs.

A tensor that is held at level c is delivered again whenever a relevant loop outside it advances, so the words moved
are |tensor| x c(d, j): the number of tiles of its irrelevant dimensions d after the j outer levels that count. Scanning
from the child outwards, irrelevant loops drop out until the first relevant loop with more than one trip; everything
outside that counts. At one level only two facts matter: which loops have more than one trip, and which of them is
innermost:

    every loop free, g innermost    g drops out here and everything else stops the scan
    only g has more than one trip   the scan for g goes on to the next level out, the others stop
    no loop has more than one trip  every scan goes on

Any order is one of these states per level, with "forced" loops that must have one trip. A class is a choice of states;
class B dominates A if B forces a subset of A's loops and, under A's forced loops, counts no longer prefix anywhere:
every mapping of A is then a mapping of B with counts no larger. What is not dominated is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from simulator.arrays import Bools, Ints


@dataclass(frozen=True, slots=True, order=True)
class State:
    """What one level's order and trip counts let the scans see."""

    forced: tuple[int, ...]
    """Groups whose loops have one trip here."""
    inner: int
    """Group of the innermost loop with more than one trip; -1 if there is none."""
    passes: bool
    """Whether at most one group has more than one trip: its own scan then goes on outwards."""


@dataclass(frozen=True, slots=True)
class OrderClass:
    """One choice of states with the prefixes that they count."""

    states: tuple[State, ...]
    """Per level, outermost first."""
    prefix: tuple[int, ...]
    """Per pair: how many outer levels' irrelevant loops count."""

    def forced(self, group: int) -> tuple[bool, ...]:
        """Per level, whether the loops of a group must have one trip."""
        return tuple(group in state.forced for state in self.states)

    @property
    def order(self) -> tuple[int, ...]:
        """Per level, the group that goes innermost; -1 if any will do."""
        return tuple(state.inner for state in self.states)


@lru_cache(maxsize=256)
def level_states(groups: int, orders: tuple[tuple[int, ...], ...] | None = None) -> tuple[State, ...]:
    """States that one level can take, without those another one covers.

    Parameters
    ----------
    groups
        Number of groups of loops. A group is the irrelevant dimensions of one tensor, or dimensions that index every
        tensor and only stop scans.
    orders
        The loop orders (outer to inner) that are allowed; None for all of them.
    """
    every = tuple(permutations(range(groups))) if orders is None else orders
    found = set()
    for order in every:
        for mask in range(1 << groups):
            free = [group for group in order if mask >> group & 1]
            forced = tuple(group for group in range(groups) if not mask >> group & 1)
            found.add(State(forced, free[-1] if free else -1, len(free) <= 1))

    def covers(a: State, b: State) -> bool:
        """Same sight, fewer forced loops; a single free loop lets its scan pass, so it is not covered by more."""
        return a != b and a.inner == b.inner and a.passes == b.passes and set(a.forced) <= set(b.forced)

    return tuple(sorted(b for b in found if not any(covers(a, b) for a in found)))


@lru_cache(maxsize=256)
def order_classes(
    levels: int,
    pairs: tuple[tuple[int, int], ...],
    groups: int = 3,
    orders: tuple[tuple[tuple[int, ...], ...] | None, ...] | None = None,
) -> tuple[OrderClass, ...]:
    """Non-dominated classes of the loop orders of a nest.

    Parameters
    ----------
    levels
        Levels with temporal loops.
    pairs
        (group, child): a tensor with irrelevant dimensions ``group`` and a copy inside the outermost ``child`` levels.
    groups
        Number of groups of loops.
    orders
        Per level the allowed orders, None for all.

    Returns
    -------
    tuple of OrderClass
        In a fixed order.
    """
    states = tuple(level_states(groups, None if orders is None else orders[level]) for level in range(levels))
    table = _Signatures.of(states, pairs, groups)
    return tuple(
        OrderClass(tuple(states[level][code] for level, code in enumerate(codes)), tuple(prefix))
        for codes, prefix in table.undominated()
    )


def signature_count(levels: int, pairs: tuple[tuple[int, int], ...], groups: int = 3) -> tuple[int, int]:
    """(choices of states, distinct signatures) before dominance."""
    states = (level_states(groups),) * levels
    table = _Signatures.of(states, pairs, groups)
    total = 1
    for level in states:
        total *= len(level)
    return total, len(table.codes)


@dataclass(frozen=True, slots=True)
class _Signatures:
    """Distinct (forced loops, prefixes) as columns, those that force least and count least first."""

    codes: NDArray[np.int8]
    """(signatures, levels): index of each level's state."""
    forced: Ints
    """Bit ``level * groups + group``."""
    prefix: NDArray[np.int8]
    """(signatures, pairs)."""
    shortest: NDArray[np.int8]
    """(signatures, groups, levels + 1): the prefix that counts as much as a given one, under the forced loops."""
    group_of: tuple[int, ...]
    """Group of each pair."""

    @classmethod
    def of(cls, states: Sequence[Sequence[State]], pairs: Iterable[tuple[int, int]], groups: int) -> _Signatures:
        pairs = tuple(pairs)
        grids = np.meshgrid(*(np.arange(len(level), dtype=np.int8) for level in states), indexing="ij")
        codes = np.stack([grid.ravel() for grid in grids], axis=1)
        trivial = np.stack(  # (rows, levels, groups)
            [
                np.array([[group in state.forced for group in range(groups)] for state in level])[codes[:, index]]
                for index, level in enumerate(states)
            ],
            axis=1,
        )
        shortest = _shortest(trivial)
        rows = np.arange(len(codes))
        prefix = np.zeros((len(codes), len(pairs)), np.int8)
        for column, (group, child) in enumerate(pairs):
            prefix[:, column] = shortest[rows, group, _scan(codes, states, group, child)]
        weights = 1 << np.arange(trivial[0].size, dtype=np.int64)
        forced = (trivial.reshape(len(codes), -1) * weights).sum(axis=1)
        _, first = np.unique(np.column_stack([forced, prefix]), axis=0, return_index=True)
        key = np.lexsort((first, prefix[first].sum(axis=1), trivial[first].sum(axis=(1, 2))))
        keep = first[key]
        return cls(codes[keep], forced[keep], prefix[keep], shortest[keep], tuple(group for group, _ in pairs))

    def undominated(self) -> Iterable[tuple[list[int], list[int]]]:
        """(state per level, prefix per pair) of the rows that no other row dominates.

        A dominating row forces fewer loops or, with the same, counts less: it comes first.
        """
        left = np.arange(len(self.codes))
        group_of = np.array(self.group_of, int)
        while len(left):
            row, left = left[0], left[1:]
            yield self.codes[row].tolist(), self.prefix[row].tolist()
            inside = (self.forced[left] & self.forced[row]) == self.forced[row]
            counted = self.shortest[left][:, group_of, self.prefix[row]]
            left = left[~(inside & (counted <= self.prefix[left]).all(axis=1))]


def _shortest(trivial: Bools) -> NDArray[np.int8]:
    """(rows, groups, prefix): drop the innermost counted levels while their loop of the group has one trip."""
    rows, levels, groups = trivial.shape
    result = np.zeros((rows, groups, levels + 1), np.int8)
    for level in range(levels):
        result[:, :, level + 1] = np.where(trivial[:, level], result[:, :, level], level + 1)
    return result


def _scan(codes: NDArray[np.int8], states: Sequence[Sequence[State]], group: int, child: int) -> NDArray[np.int8]:
    """Outer levels whose loops of ``group`` count for a copy inside ``child`` levels, per row."""
    prefix = np.full(len(codes), child, np.int8)
    scanning = np.ones(len(codes), bool)
    for level in reversed(range(child)):
        drops = np.array([state.inner in (group, -1) for state in states[level]])[codes[:, level]]
        passes = np.array([state.inner == -1 or (state.passes and state.inner == group) for state in states[level]])
        prefix[scanning & drops] = level
        scanning &= passes[codes[:, level]]
    return prefix
