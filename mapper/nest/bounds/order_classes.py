"""Equivalence classes of loop orders: the few that can hold an optimum, derived from levels and pairs.

A tensor that is held at level c is delivered again whenever a relevant loop outside it advances, so the words moved
are |tensor| x c(d, j): the number of tiles of its irrelevant dimensions d after the j outer levels that count. Scanning
from the child outwards, irrelevant loops drop out until the first relevant loop with more than one trip; everything
outside that counts. At one level only two facts matter: which loops have more than one trip, and which of them is
innermost:

    every loop free, g innermost    g drops out here and everything else stops the scan
    only g has more than one trip   the scan for g goes on to the next level out, the others stop
    no loop has more than one trip  every scan goes on

Any order is one of these cases per level, with "forced" loops that must have one trip. A class is a choice of cases;
class B dominates A if B forces a subset of A's loops and, under A's forced loops, counts no longer prefix anywhere:
every mapping of A is then a mapping of B with counts no larger. What is not dominated is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import prod

import numpy as np
from numpy.typing import NDArray

from simulator.arrays import Bools, Ints


@dataclass(frozen=True, slots=True, order=True)
class LevelClass:
    """Loop orders and trip counts of one level that the scans cannot tell apart."""

    forced: tuple[int, ...]
    """Groups whose loops have one trip here."""
    inner: int
    """Group of the innermost loop with more than one trip; -1 if there is none."""
    passes: bool
    """Whether at most one group has more than one trip: its own scan then goes on outwards."""


@dataclass(frozen=True, slots=True)
class OrderClass:
    """Loop orders of a whole nest that cost the same: a class per level, and the prefixes that they count."""

    levels: tuple[LevelClass, ...]
    """Outermost first."""
    prefix: tuple[int, ...]
    """Per pair: how many outer levels' irrelevant loops count."""

    def forced(self, group: int) -> tuple[bool, ...]:
        """Return, per level, whether the loops of a group must have one trip."""
        return tuple(group in level.forced for level in self.levels)


@lru_cache(maxsize=256)
def level_classes(groups: int, orders: tuple[tuple[int, ...], ...] | None = None) -> tuple[LevelClass, ...]:
    """Return the classes of one level, without those that another one covers.

    Parameters
    ----------
    groups
        Number of groups of loops. A group is the irrelevant dimensions of one tensor, or dimensions that index every
        tensor and only stop scans.
    orders
        The loop orders (outer to inner) that are allowed; None for all of them.
    """
    classes = set()
    for order in tuple(permutations(range(groups))) if orders is None else orders:
        # Which loops have more than one trip depends on the tiles, so every subset is a case of the order.
        for mask in range(1 << groups):
            free = [group for group in order if mask >> group & 1]
            forced = tuple(group for group in range(groups) if not mask >> group & 1)
            classes.add(LevelClass(forced, free[-1] if free else -1, len(free) <= 1))
    return tuple(sorted(b for b in classes if not any(_covers(a, b) for a in classes)))


def _covers(a: LevelClass, b: LevelClass) -> bool:
    """Whether ``a`` shows the scans what ``b`` does, with fewer forced loops.

    A class with a single free loop lets that loop's scan pass: one with more free loops does not cover it.
    """
    return a != b and a.inner == b.inner and a.passes == b.passes and set(a.forced) <= set(b.forced)


@lru_cache(maxsize=256)
def order_classes(
    levels: int,
    pairs: tuple[tuple[int, int], ...],
    groups: int = 3,
    orders: tuple[tuple[tuple[int, ...], ...] | None, ...] | None = None,
) -> tuple[OrderClass, ...]:
    """Return the non-dominated classes of the loop orders of a nest.

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
    by_level = tuple(level_classes(groups, None if orders is None else orders[level]) for level in range(levels))
    table = _Signatures.of(by_level, pairs, groups)
    return tuple(
        OrderClass(tuple(by_level[level][code] for level, code in enumerate(codes)), tuple(prefix))
        for codes, prefix in table.undominated()
    )


def signature_count(levels: int, pairs: tuple[tuple[int, int], ...], groups: int = 3) -> tuple[int, int]:
    """Return (choices of a class per level, distinct signatures) before dominance."""
    by_level = (level_classes(groups),) * levels
    table = _Signatures.of(by_level, pairs, groups)
    return prod(len(classes) for classes in by_level), len(table.codes)


@dataclass(frozen=True, slots=True)
class _Signatures:
    """Distinct (forced loops, prefixes) as columns, those that force least and count least first."""

    codes: NDArray[np.int8]
    """(signatures, levels): index of each level's class."""
    forced: Ints
    """Bit ``level * groups + group``."""
    prefix: NDArray[np.int8]
    """(signatures, pairs)."""
    shortest: NDArray[np.int8]
    """(signatures, groups, levels + 1): the prefix that counts as much as a given one, under the forced loops."""
    group_of: tuple[int, ...]
    """Group of each pair."""

    @classmethod
    def of(cls, by_level: Sequence[Sequence[LevelClass]], pairs: Iterable[tuple[int, int]], groups: int) -> _Signatures:
        """Build the table of all combinations of one class per level."""
        pairs = tuple(pairs)
        grids = np.meshgrid(*(np.arange(len(classes), dtype=np.int8) for classes in by_level), indexing="ij")
        codes = np.stack([grid.ravel() for grid in grids], axis=1)
        trivial = _trivial(codes, by_level, groups)
        shortest = _shortest(trivial)
        rows = np.arange(len(codes))
        prefix = np.zeros((len(codes), len(pairs)), np.int8)
        for column, (group, child) in enumerate(pairs):
            # A prefix that ends in a loop of one trip counts no more than the prefix without that loop.
            prefix[:, column] = shortest[rows, group, _scan(codes, by_level, group, child)]
        bits = 1 << np.arange(trivial[0].size, dtype=np.int64)
        forced = (trivial.reshape(len(codes), -1) * bits).sum(axis=1)
        # Costs depend on the orders through forced loops and prefixes alone: of equal signatures one is enough.
        _, first = np.unique(np.column_stack([forced, prefix]), axis=0, return_index=True)
        key = np.lexsort((first, prefix[first].sum(axis=1), trivial[first].sum(axis=(1, 2))))
        keep = first[key]
        return cls(codes[keep], forced[keep], prefix[keep], shortest[keep], tuple(group for group, _ in pairs))

    def undominated(self) -> Iterable[tuple[list[int], list[int]]]:
        """Yield (class per level, prefix per pair) of the rows that no other row dominates.

        A dominating row forces fewer loops or, with the same, counts less: it comes first, so that one pass suffices.
        """
        left = np.arange(len(self.codes))
        group_of = np.array(self.group_of, int)
        while len(left):
            row, left = left[0], left[1:]
            yield self.codes[row].tolist(), self.prefix[row].tolist()
            inside = (self.forced[left] & self.forced[row]) == self.forced[row]
            # The row's prefixes as they count under the other rows' forced loops, where more loops have one trip.
            counted = self.shortest[left][:, group_of, self.prefix[row]]
            left = left[~(inside & (counted <= self.prefix[left]).all(axis=1))]


def _trivial(codes: NDArray[np.int8], by_level: Sequence[Sequence[LevelClass]], groups: int) -> Bools:
    """(rows, levels, groups): whether the loops of a group must have one trip at a level."""
    forced = [
        np.array([[group in level_class.forced for group in range(groups)] for level_class in classes])
        for classes in by_level
    ]
    return np.stack([table[codes[:, level]] for level, table in enumerate(forced)], axis=1)


def _shortest(trivial: Bools) -> NDArray[np.int8]:
    """(rows, groups, prefix): drop the innermost counted levels while their loop of the group has one trip."""
    rows, levels, groups = trivial.shape
    # From the outermost level in: a level that counts nothing new hands on the shortest prefix of the one outside it.
    result = np.zeros((rows, groups, levels + 1), np.int8)
    for level in range(levels):
        result[:, :, level + 1] = np.where(trivial[:, level], result[:, :, level], level + 1)
    return result


def _scan(
    codes: NDArray[np.int8], by_level: Sequence[Sequence[LevelClass]], group: int, child: int
) -> NDArray[np.int8]:
    """Outer levels whose loops of ``group`` count for a copy inside ``child`` levels, per row."""
    prefix = np.full(len(codes), child, np.int8)
    scanning = np.ones(len(codes), bool)
    for level in reversed(range(child)):
        classes = by_level[level]
        # The group's own innermost loop drops out; the scan goes on outwards only if no other loop moves the tile.
        drops = np.array([level_class.inner in (group, -1) for level_class in classes])[codes[:, level]]
        passes = np.array([c.inner == -1 or (c.passes and c.inner == group) for c in classes])[codes[:, level]]
        prefix[scanning & drops] = level
        scanning &= passes
    return prefix
