"""Closed forms of visit counts for chains of tiles, ragged or not.

Loops cut a dimension of size D into tiles of T1 >= T2 >= ... elements. A cut turns every tile of size s into
ceil(s / T) - 1 tiles of T and one of what remains, so there is at most one more size than before: a few columns
(size, how many) describe all tiles exactly, also where nothing divides.

A loop that does not count for a tensor (its tile is not moved again, or another copy lies beside it) only makes the
tile smaller: the largest trip stands for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Real: TypeAlias = Floats | float
"""A column, or one value for all rows. Integers below 2^52 throughout, hence exact, ratios of them included: a quotient
is at least 1 / divisor away from the next integer, more than float64 rounds."""


def ceil_div(a: Real, b: Real) -> Real:
    """Smallest integer of at least ``a / b``."""
    ratio = a / b
    if isinstance(ratio, np.ndarray):
        return np.ceil(ratio, out=ratio)
    return float(math.ceil(ratio))


class Cut:
    """Tiles of one dimension after the loops from the outermost to this one; a tree, one branch per counted or not.

    Parameters
    ----------
    outer
        The tiles that are cut.
    step
        Size of the new ones [elements].
    counted
        Whether every trip counts as a tile of its own.
    """

    def __init__(self, outer: Cut | None, step: Real, counted: bool) -> None:
        self.outer, self.step, self.counted = outer, step, counted
        self._inner: dict[bool, Cut] = {}

    @classmethod
    def whole(cls, size: int) -> Cut:
        """The uncut dimension."""
        return cls(None, float(size), False)

    def cut(self, step: Real, counted: bool) -> Cut:
        """The tiles after one more loop; the same object for the same question."""
        if counted not in self._inner:
            self._inner[counted] = Cut(self, step, counted)
        return self._inner[counted]

    @property
    def _single(self) -> bool:
        """Whether all tiles have one element."""
        return isinstance(self.step, float) and self.step == 1.0

    @cached_property
    def trips(self) -> list[Real]:
        """Tiles that each size of the outer tiles is cut into."""
        assert self.outer is not None
        return [ceil_div(size, self.step) for size, _ in self.outer.classes]

    @cached_property
    def number(self) -> Real:
        """How many tiles there are."""
        if self.outer is None:
            return 1.0
        if not self.counted:
            return self.outer.number
        if self._single:
            return self.outer.covered
        return weighted([(trips, many) for trips, (_, many) in zip(self.trips, self.outer.classes, strict=True)])

    @cached_property
    def classes(self) -> list[tuple[Real, Real]]:
        """(size, how many): the sizes that occur, the regular one first."""
        if self.outer is None:
            return [(self.step, 1.0)]
        if self._single:
            return [(1.0, self.number)]
        if not self.counted:
            return [(np.minimum(size, self.step), many) for size, many in self.outer.classes]
        rest = [
            (size - (trips - 1.0) * self.step, many)
            for trips, (size, many) in zip(self.trips, self.outer.classes, strict=True)
        ]
        return [(self.step, self.number - self.outer.number), *rest]

    @cached_property
    def covered(self) -> Real:
        """Elements in all tiles together."""
        if self.outer is None:
            return self.step
        return self.outer.covered if self.counted else weighted(self.classes)


class EvenCut(Cut):
    """As `Cut` where every step divides the one outside: one size."""

    def cut(self, step: Real, counted: bool) -> Cut:
        if counted not in self._inner:
            self._inner[counted] = EvenCut(self, step, counted)
        return self._inner[counted]

    @cached_property
    def number(self) -> Real:
        if self.outer is None:
            return 1.0
        return self.outer.number * (self.outer.step / self.step) if self.counted else self.outer.number

    @cached_property
    def classes(self) -> list[tuple[Real, Real]]:
        return [(self.step, self.number)]


def weighted(terms: Sequence[tuple[Real, Real]]) -> Real:
    """Sum of products; factors of one cost nothing."""
    total: Real | None = None
    for value, weight in terms:
        product = value if isinstance(weight, float) and weight == 1.0 else value * weight
        total = product if total is None else total + product
    return 0.0 if total is None else total


def visits(size: int, steps: Sequence[NDArray[np.int64] | int], counted: Sequence[bool]) -> NDArray[np.int64]:
    """c(d, j): tiles of a dimension of ``size`` after loops with ``steps``, of which only some count.

    Parameters
    ----------
    size
        The dimension [elements].
    steps
        Tile of each loop, outer to inner, columns of one length or integers; none larger than the one before.
    counted
        Per loop. ``[True] * j + [False] * rest`` gives c(d, j).

    Examples
    --------
    >>> visits(10, [8, 4], [True, True]), visits(10, [5, 4], [True, True])
    (array(3), array(4))
    """
    tiles = Cut.whole(size)
    for step, counts in zip(steps, counted, strict=True):
        tiles = tiles.cut(column(step), counts)
    return np.asarray(tiles.number).astype(np.int64)


def column(values: NDArray[np.int64] | int) -> Real:
    """Tile sizes as the kernel computes with them."""
    return values.astype(np.float64) if isinstance(values, np.ndarray) else float(values)
