"""Uniform draws from the valid tiles of a mapspace, without rejection, and their exact number.

A mapping's tiles are one size per dimension and level, each cut from the one outside it; capacities look at the sizes
of one level at a time. So the number of valid ways to go on inside given tiles is a sum over the tiles of the next
level in,

    ways[level](tiles) = fits(tiles) x sum over next tiles within these of ways[level + 1](next),

and a sum over a prefix of a table, or over divisors, is a running sum or a small matrix product along each axis. Tiles
are then drawn from the outermost level in, dimension by dimension, each with the weight of what it leaves possible.
Dimensions that no capacity couples to the others from some level on have tables of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mapper.errors import MappingError
from simulator.arrays import Bools, Ints, Numbers

LARGEST_TABLE = 40_000_000
"""Cells of a table of inner levels: 320 MB."""

SLAB = 2_000_000
"""Cells of the outermost level's table that exist at once."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Sizes of the tiles of one dimension and which may follow which."""

    values: Ints
    """Possible sizes, ascending; the last one is the whole dimension."""
    masks: tuple[Bools, ...]
    """Per level of a tile, outermost first: sizes that are left."""
    relations: tuple[Bools | None, ...]
    """Per level of a tile: (outer, inner) sizes that may follow; None if all sizes up to the outer one may."""

    def inside(self, table: Numbers, level: int, axis: int) -> Numbers:
        """Return, per outer size, the sum of ``table`` along ``axis`` over the sizes that may follow at ``level``."""
        relation = self.relations[level]
        if relation is None:
            return np.cumsum(table, axis=axis)
        moved = np.tensordot(relation.astype(table.dtype), table, axes=(1, axis))
        return np.moveaxis(moved, 0, axis)

    def chains(self, exact: type = object) -> int:
        """Return the number of chains of tiles, whether or not they fit."""
        ways: NDArray[np.object_] = np.array([1] * len(self.values), dtype=exact)
        for level in reversed(range(len(self.masks))):
            ways = np.where(self.masks[level], ways, 0)
            relation = self.relations[level]
            ways = np.cumsum(ways) if relation is None else relation.astype(exact) @ ways
        return int(ways[-1]) if len(ways) else 0


@dataclass(frozen=True, slots=True)
class _Inner:
    """Ways to go on at one inner level."""

    tables: tuple[Numbers, ...]
    """Along the coupled dimensions: the first is summed over all of them, the last over none."""
    coupled: tuple[int, ...]
    free: dict[int, tuple[Numbers, Numbers]]
    """Per other dimension: (summed, plain)."""


class TileSampler:
    """Draws tiles of one choice of keep sets, spatial loops and buffering.

    Parameters
    ----------
    steps
        Per dimension.
    fits
        Per level of a tile, outermost first: a function of the sizes of all dimensions (broadcast columns, in units)
        that tells where the tiles fit, and the dimensions it looks at; None if nothing can fail to fit.
    """

    def __init__(
        self,
        steps: Sequence[Steps],
        fits: Sequence[tuple[Callable[[Sequence[Ints]], Bools], frozenset[int]] | None],
    ) -> None:
        self.steps, self.fits, self.levels = tuple(steps), tuple(fits), len(fits)
        chains = prod(step.chains() for step in steps)
        self.is_exact = chains < 2**62
        """Whether counts are integers; beyond they are float64 and draws uniform to its precision."""
        self._dtype: type = np.int64 if self.is_exact else np.float64
        self._inner: dict[int, _Inner] = {}
        for level in reversed(range(1, self.levels)):
            self._inner[level] = self._table(level)
        self.last = int(np.argmin([len(step.values) for step in steps]))
        """Dimension that is drawn last at the outermost level."""
        self._marginal = self._outermost() if self.levels else np.ones(1, self._dtype)
        self.count = self._marginal.sum().item() if self._marginal.size else 0

    @property
    def cells(self) -> int:
        """Cells of all tables."""
        return self._marginal.size + sum(table.size for inner in self._inner.values() for table in inner.tables)

    def _table(self, level: int) -> _Inner:
        """Ways of an inner level from those inside it."""
        fits = self.fits[level]
        inner = self._inner.get(level + 1)
        coupled = sorted({*(fits[1] if fits else ()), *(inner.coupled if inner else ())})
        cells = prod(len(self.steps[dim].values) for dim in coupled)
        if cells > LARGEST_TABLE:
            raise MappingError(
                f"{cells:,} combinations of tiles at level {level + 1}, more than {LARGEST_TABLE:,}: "
                "take coarser units or perfect factors, or let optimal search"
            )
        ways = self._ways(level, coupled, [self.steps[dim].values for dim in coupled])
        tables = [ways]
        for axis in reversed(range(len(coupled))):
            tables.append(self.steps[coupled[axis]].inside(tables[-1], level, axis))
        free = {}
        for dim, step in enumerate(self.steps):
            if dim not in coupled:
                within = inner.free[dim][0] if inner else np.ones(len(step.values), self._dtype)
                plain = within * step.masks[level]
                free[dim] = step.inside(plain, level, 0), plain
        return _Inner(tuple(reversed(tables)), tuple(coupled), free)

    def _ways(self, level: int, dims: Sequence[int], values: Sequence[Ints]) -> Numbers:
        """Ways at ``level`` on the grid of ``values`` of ``dims`` (each a run of the dimension's values)."""
        shape = tuple(len(value) for value in values)
        total: Numbers = np.ones(shape, self._dtype)
        inner = self._inner.get(level + 1)
        index = {dim: np.searchsorted(self.steps[dim].values, value) for dim, value in zip(dims, values, strict=True)}

        def along(dim: int, column: Numbers) -> Numbers:
            return column.reshape([-1 if of_axis == dim else 1 for of_axis in dims])

        if inner is not None:
            if inner.coupled:
                picked = inner.tables[0][np.ix_(*(index[dim] for dim in inner.coupled))]
                total = total * picked.reshape([len(index[dim]) if dim in inner.coupled else 1 for dim in dims])
            for dim in dims:
                if dim in inner.free:
                    total = total * along(dim, inner.free[dim][0][index[dim]])
        for dim in dims:
            total = total * along(dim, self.steps[dim].masks[level][index[dim]])
        fits = self.fits[level]
        if fits is not None:
            sizes = [
                along(dim, values[dims.index(dim)]) if dim in dims else np.ones(1, np.int64)
                for dim in range(len(self.steps))
            ]
            total = total * fits[0](sizes)
        return total

    def _first(self, dim: int) -> Bools:
        """Sizes that may follow the whole dimension."""
        relation = self.steps[dim].relations[0]
        return np.ones(len(self.steps[dim].values), bool) if relation is None else relation[-1]

    def _outermost(self) -> Numbers:
        """Ways of the outermost level, summed over the dimension drawn last; in slabs, so that memory is bounded."""
        dims = [dim for dim in range(len(self.steps)) if dim != self.last]
        grids = [self.steps[dim].values for dim in dims]
        shape = tuple(len(grid) for grid in grids)
        if prod(shape) > LARGEST_TABLE:
            raise MappingError(
                f"{prod(shape):,} combinations of outer tiles, more than {LARGEST_TABLE:,}: take coarser units"
            )
        result: Numbers = np.zeros(shape, self._dtype)
        every = sorted([*dims, self.last])
        if not dims:
            result = result.reshape(())
        step = max(1, SLAB // max(1, prod(shape[1:]) * len(self.steps[self.last].values)))
        for start in range(0, shape[0] if shape else 1, step):
            part = slice(start, start + step)
            values = [
                self.steps[dim].values[part] if dims and dim == dims[0] else self.steps[dim].values for dim in every
            ]
            ways = self._ways(0, every, values)
            for axis, dim in enumerate(every):
                first = self._first(dim)[part] if dims and dim == dims[0] else self._first(dim)
                ways = ways * first.reshape([-1 if position == axis else 1 for position in range(len(every))])
            if dims:
                result[part] = ways.sum(axis=every.index(self.last))
            else:
                result = ways.sum()
        return np.asarray(result)

    def draw(self, count: int, random: Generator) -> Ints:
        """Return (count, levels, dimensions): tiles [units], uniform over all that are valid.

        Raises
        ------
        MappingError
            If nothing is valid.
        """
        if not self.count:
            raise MappingError("no valid tiles to draw from")
        index = np.zeros((count, self.levels, len(self.steps)), np.int64)
        if self.levels:
            self._draw_outermost(index, random)
        for level in range(1, self.levels):
            self._draw_inner(index, level, random)
        return np.stack([step.values[index[:, :, dim]] for dim, step in enumerate(self.steps)], axis=2)

    def _draw_outermost(self, index: Ints, random: Generator) -> None:
        dims = [dim for dim in range(len(self.steps)) if dim != self.last]
        running = np.cumsum(self._marginal.ravel())
        target = self._below(running[-1:], len(index), random)
        flat = np.searchsorted(running, target, side="right")
        for dim, where in zip(dims, np.unravel_index(flat, self._marginal.shape), strict=True):
            index[:, 0, dim] = where
        before = running[flat] - self._marginal.ravel()[flat]
        grid = self.steps[self.last].values
        rest = target - before
        step = max(1, SLAB // len(grid))
        for start in range(0, len(index), step):
            part = slice(start, start + step)
            weights = self._along_last(index[part, 0], self._first(self.last))
            index[part, 0, self.last] = _pick(weights, rest[part])

    def _along_last(self, rows: Ints, first: Bools) -> Numbers:
        """Ways of the outermost level along the dimension drawn last, one row per drawn combination of the others."""
        inner, last = self._inner.get(1), self.last
        grid = self.steps[last].values
        weights: Numbers = np.broadcast_to(
            (self.steps[last].masks[0] & first).astype(self._dtype), (len(rows), len(grid))
        )
        if inner is not None:
            if inner.coupled:
                where = tuple(
                    np.arange(len(grid))[None, :] if dim == last else rows[:, dim, None] for dim in inner.coupled
                )
                weights = weights * inner.tables[0][where]
            for dim, (summed, _) in inner.free.items():
                weights = weights * (summed[None, :] if dim == last else summed[rows[:, dim]][:, None])
        fits = self.fits[0]
        if fits is not None:
            sizes = [
                grid[None, :] if dim == last else step.values[rows[:, dim]][:, None]
                for dim, step in enumerate(self.steps)
            ]
            weights = weights * fits[0](sizes)
        return weights

    def _draw_inner(self, index: Ints, level: int, random: Generator) -> None:
        inner = self._inner[level]
        outer = index[:, level - 1]
        chosen: list[Ints] = []
        for axis, dim in enumerate(inner.coupled):
            # The first table is summed over all coupled dimensions, the last over none: those drawn already are fixed,
            # those still to be drawn are summed up to their outer tile.
            later = [outer[:, undrawn] for undrawn in inner.coupled[axis + 1 :]]
            relation = self.steps[dim].relations[level]
            if relation is None:
                drawn = self._draw_prefix(inner.tables[axis], chosen, outer[:, dim], later, random)
            else:
                grid = np.arange(len(self.steps[dim].values))[None, :]
                where = (*(column[:, None] for column in chosen), grid, *(column[:, None] for column in later))
                weights = inner.tables[axis + 1][where] * relation[outer[:, dim]]
                drawn = _pick(weights, self._below(weights.sum(axis=1), len(index), random))
            chosen.append(drawn)
            index[:, level, dim] = drawn
        for dim, (summed, plain) in inner.free.items():
            relation = self.steps[dim].relations[level]
            if relation is None:
                target = self._below(summed[outer[:, dim]], len(index), random)
                index[:, level, dim] = np.searchsorted(summed, target, side="right")
            else:
                weights = plain[None, :] * relation[outer[:, dim]]
                index[:, level, dim] = _pick(weights, self._below(weights.sum(axis=1), len(index), random))

    def _draw_prefix(
        self, summed: Numbers, chosen: list[Ints], outer: Ints, later: list[Ints], random: Generator
    ) -> Ints:
        """Positions up to ``outer``, each with the weight by which the running sums of ``summed`` grow there."""

        def running(position: Ints) -> Numbers:
            values: Numbers = summed[(*chosen, position, *later)]
            return values

        return _search(running, self._below(running(outer), len(outer), random), outer)

    def _below(self, limits: Numbers, count: int, random: Generator) -> Numbers:
        """One uniform number in [0, limit) per row."""
        limits = np.broadcast_to(limits, (count,))
        if self.is_exact:
            drawn: Ints = random.integers(0, limits)
            return drawn
        return random.random(count) * limits


def _pick(weights: Numbers, target: Numbers) -> Ints:
    """Per row the first column whose running sum exceeds the target."""
    running = np.cumsum(weights, axis=1)
    column: Ints = np.minimum((running <= target[:, None]).sum(axis=1), weights.shape[1] - 1)
    return column


def _search(summed: Callable[[Ints], Numbers], target: Numbers, high: Ints) -> Ints:
    """Per row the first position whose running sum exceeds the target; ``high`` is one that does."""
    low, high = np.zeros_like(high), high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        above = summed(middle) > target
        high = np.where(above, middle, high)
        low = np.where(above, low, np.minimum(middle + 1, high))
    return low
