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
from typing import Self, TypeAlias

import numpy as np

from simulator.arrays import Bools, Floats, Ints

Real: TypeAlias = Floats | float
"""A column, or one value for all rows. Integers below 2^52 throughout, hence exact, ratios of them included: a quotient
is at least 1 / divisor away from the next integer, more than float64 rounds."""


def ceil_div(a: Real, b: Real) -> Real:
    """Return the smallest integer of at least ``a / b``."""
    # A power of two divides exactly by multiplication, in less time.
    ratio = a * (1.0 / b) if isinstance(b, float) and math.frexp(b)[0] == 0.5 else a / b
    if isinstance(ratio, np.ndarray):
        return np.ceil(ratio, out=ratio)
    return float(math.ceil(ratio))


def larger(a: Real, b: Real) -> Real:
    """Return the larger one."""
    if isinstance(a, float) and isinstance(b, float):
        return max(a, b)
    maximum: Floats = np.maximum(a, b)
    return maximum


def chosen(where: Bools | bool, a: Real, b: Real) -> Real:
    """Return ``a`` where the mask says so, ``b`` elsewhere."""
    if isinstance(where, np.ndarray):
        values: Floats = np.where(where, a, b)
        return values
    return a if where else b


def as_number(mask: Bools | bool) -> Real:
    """Return 1 where the mask says so, 0 elsewhere."""
    return mask.astype(np.float64) if isinstance(mask, np.ndarray) else float(mask)


class TileCounts:
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

    __slots__ = ("_classes", "_inner", "_number", "_trips", "counted", "outer", "step")

    def __init__(self, outer: TileCounts | None, step: Real, counted: bool) -> None:
        self.outer, self.step, self.counted = outer, step, counted
        self._inner: list[TileCounts | None] = [None, None]
        self._trips: list[Real] | None = None
        self._number: Real | None = None
        self._classes: list[tuple[Real, Real]] | None = None

    @classmethod
    def whole(cls, size: Real) -> Self:
        """Return the uncut dimension."""
        return cls(None, size, False)

    def cut(self, step: Real, counted: bool) -> TileCounts:
        """Return the tiles after one more loop; the same object for the same question."""
        inner = self._inner[counted]
        if inner is None:
            inner = self._inner[counted] = type(self)(self, step, counted)
        return inner

    @property
    def _single(self) -> bool:
        """Whether all tiles have one element."""
        return isinstance(self.step, float) and self.step == 1.0

    @property
    def trips(self) -> list[Real]:
        """Tiles that each size of the outer tiles is cut into."""
        if self._trips is None:
            assert self.outer is not None
            self._trips = [ceil_div(size, self.step) for size, _ in self.outer.classes]
        return self._trips

    @property
    def number(self) -> Real:
        """How many tiles there are."""
        if self._number is None:
            self._number = self._count()
        return self._number

    @property
    def classes(self) -> list[tuple[Real, Real]]:
        """(size, how many): the sizes that occur, the regular one first."""
        if self._classes is None:
            self._classes = self._sizes()
        return self._classes

    @property
    def covered(self) -> Real:
        """Elements in all tiles together."""
        if self.outer is None:
            return self.step
        return self.outer.covered if self.counted else weighted(self.classes)

    def _count(self) -> Real:
        if self.outer is None:
            return 1.0
        if not self.counted:
            return self.outer.number
        if self._single:  # a tile per element: the sizes outside do not matter
            return self.outer.covered
        return weighted([(trips, many) for trips, (_, many) in zip(self.trips, self.outer.classes, strict=True)])

    def _sizes(self) -> list[tuple[Real, Real]]:
        if self.outer is None:
            return [(self.step, 1.0)]
        if self._single:
            return [(1.0, self.number)]
        if not self.counted:
            # The largest trip stands for all, in each of the outer tiles.
            return [(np.minimum(size, self.step), many) for size, many in self.outer.classes]
        # Of ceil(s / T) tiles the last one is what remains, a whole one included; all others have T elements. Tiles of
        # one size outside leave one size, so that there is at most one more size than outside.
        rest = [
            (_rest(size, trips, self.step), many)
            for trips, (size, many) in zip(self.trips, self.outer.classes, strict=True)
        ]
        return [(self.step, self.number - self.outer.number), *rest]


class EvenTileCounts(TileCounts):
    """As `TileCounts` where every step divides the one outside: one size."""

    __slots__ = ()

    def _count(self) -> Real:
        if self.outer is None:
            return 1.0
        return self.outer.number * (self.outer.step / self.step) if self.counted else self.outer.number

    def _sizes(self) -> list[tuple[Real, Real]]:
        return [(self.step, self.number)]


def _rest(size: Real, trips: Real, step: Real) -> Real:
    """The last tile of a trip: size - (trips - 1) step."""
    full = trips * step
    if isinstance(full, np.ndarray):
        np.subtract(size, full, out=full)
        full += step
        return full
    return size - full + step


def weighted(terms: Sequence[tuple[Real, Real]]) -> Real:
    """Return the sum of products; factors of one take no time."""
    total: Real | None = None
    for value, weight in terms:
        product = value if isinstance(weight, float) and weight == 1.0 else value * weight
        if total is None:
            total = product
        elif isinstance(product, np.ndarray) and product is not value:
            total = np.add(total, product, out=product)
        else:
            total = total + product
    return 0.0 if total is None else total


def visits(size: int, steps: Sequence[Ints | int], counted: Sequence[bool]) -> Ints:
    """Return c(d, j): tiles of a dimension of ``size`` after loops with ``steps``, of which only some count.

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
    tiles: TileCounts = TileCounts.whole(float(size))
    for step, counts in zip(steps, counted, strict=True):
        tiles = tiles.cut(column(step), counts)
    return np.asarray(tiles.number).astype(np.int64)


def column(values: Ints | int) -> Real:
    """Return tile sizes as the kernel computes with them."""
    return values.astype(np.float64) if isinstance(values, np.ndarray) else float(values)
