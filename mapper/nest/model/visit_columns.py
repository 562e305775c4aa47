"""The loops of a batch with their columns, and what they make each tensor move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from mapper.nest.model.batch import NestBatch
from mapper.nest.model.hoisting import Hoisting, Path, loops_of, step_paths
from mapper.nest.model.tile_counts import EvenTileCounts, Real, TileCounts, ceil_div, chosen, column, larger, weighted
from simulator.arrays import Bools, Ints
from workloads.iteration_space import Axis

Mask: TypeAlias = Bools | bool
Term: TypeAlias = tuple[float, Real]
"""Constant factor and column: their product is the value."""


class VisitColumns:
    """The nests of a batch; every quantity is computed when first asked for, and once."""

    def __init__(self, batch: NestBatch, *, even: bool = False) -> None:
        """``even``: every step divides the one outside, which is not checked here."""
        self.problem, self.skeleton, self.depth = batch.problem, batch.skeleton, len(batch.skeleton.levels)
        self.loops = loops_of(batch.skeleton)
        root = EvenTileCounts if even else TileCounts
        self._whole: dict[str, TileCounts] = {dim: root.whole(float(size)) for dim, size in self.problem.dims}
        self.steps: list[Real] = []
        """Tile that each loop hands inward [elements]."""
        self.outside: list[Real] = []
        """Largest extent that each loop walks [elements]."""
        self._read(batch)
        self._masks: dict[int, Mask] = {}

    def _read(self, batch: NestBatch) -> None:
        extent: dict[str, Real] = {dim: float(size) for dim, size in self.problem.dims}
        temporal = (_column(tile, batch.rows) for level in batch.tiles for tile in level)
        for loop in self.loops:
            outside = extent[loop.dim]
            step = ceil_div(outside, float(loop.parts)) if loop.parts else next(temporal)
            self.outside.append(outside)
            self.steps.append(step)
            extent[loop.dim] = step

    def words(self, hoisting: Hoisting) -> Term:
        """Return the words moved, as a constant times a column."""
        term = self.hoisted(
            hoisting, lambda stage: product([self.tiles(path).number for path in hoisting.stages[stage].paths])
        )
        for path in hoisting.covered:
            term = term * self.tiles(path).covered
        for axis, first, second in hoisting.halos:
            term = term * self._halo(axis, self.tiles(first), self.tiles(second))
        return hoisting.elements, term

    def hoisted(self, hoisting: Hoisting, value: Callable[[int], Real]) -> Real:
        """Return ``value`` of the stage that each mapping is in."""
        result = value(0)
        # Later stages count more loops: a mapping is in the last one of which a loop makes trips.
        for number, stage in enumerate(hoisting.stages[1:], 1):
            moves = self.any_moves(stage.loops)
            if moves is not False:
                result = chosen(moves, value(number), result)
        return result

    def tiles(self, path: Path) -> TileCounts:
        """Return the tiles after the loops of a path."""
        dim, cuts = path
        tiles = self._whole[dim]
        for index, counted in cuts:
            tiles = tiles.cut(self.steps[index], counted)
        return tiles

    def any_moves(self, loops: Iterable[int]) -> Mask:
        """Return whether at least one of some loops has more than one trip."""
        any_moves: Mask = False
        for index in loops:
            if index not in self._masks:
                self._masks[index] = self.steps[index] < self.outside[index]
            any_moves = self._masks[index] if any_moves is False else any_moves | self._masks[index]
        return any_moves

    def tile(self, level: int, dim: str) -> Real:
        """Return the largest extent of ``dim`` inside one instance of ``level`` [elements]."""
        extent: Real = self._whole[dim].step
        for loop, step in zip(self.loops, self.steps, strict=True):
            if loop.dim == dim and loop.level < level:
                extent = step
        return extent

    def is_cut(self, level: int, tensor: str) -> Mask:
        """Return whether a tile of ``tensor`` at ``level`` is less than the whole tensor."""
        irrelevant = self.problem.irrelevant(tensor)
        outside = (index for index, loop in enumerate(self.loops) if loop.level < level and loop.dim not in irrelevant)
        return self.any_moves(outside)

    def array_steps(self) -> Real:
        """Return the steps of the array: trips of all temporal loops, each as many as its busiest instance makes."""
        return product([self.tiles(path).number for path in step_paths(self.problem, self.skeleton)])

    def paired_steps(self, hoisting: Hoisting, tensor: str, least: int) -> Real:
        """Return `array_steps`, each visit of a tile of ``tensor`` in the innermost memory lasting ``least`` or more.

        ``hoisting`` is that of the tensor's transfer to the innermost memory.
        """

        def lasting(stage: int) -> Real:
            # A visit lasts the product of its dimensions' trips inside; each dimension has a few sizes of runs, and
            # every combination of them occurs as often as the product of their numbers.
            visits: list[tuple[Real, Real]] = [(1.0, 1.0)]
            for dim in self._whole:
                runs = self._runs(dim, tensor, hoisting.stages[stage].position)
                visits = [(length * run, many * more) for length, many in visits for run, more in runs]
            return weighted([(larger(length, float(least)), many) for length, many in visits])

        return self.hoisted(hoisting, lasting)

    def _runs(self, dim: str, tensor: str, position: int) -> list[tuple[Real, Real]]:
        """(trips inside, how many) of the visits that one dimension makes to the innermost memory."""
        tiles, inner = self._whole[dim], list[int]()
        limit = position if dim in self.problem.irrelevant(tensor) else len(self.loops)
        for index, loop in enumerate(self.loops):
            if loop.dim != dim:
                continue
            # Outside: loops that count for the tensor. From the first loop on that does not, all trips are one visit's.
            if inner or loop.level >= self.depth - 1 or (index >= limit and not loop.parts):
                inner.append(index)
            else:
                tiles = tiles.cut(self.steps[index], not loop.parts)
        if not inner:
            return [(1.0, tiles.number)]
        return [(self._trips(size, inner), many) for size, many in tiles.classes]

    def _trips(self, size: Real, loops: list[int]) -> Real:
        """Trips of the temporal ones of ``loops`` over a tile."""
        tiles: TileCounts = TileCounts.whole(size)
        for index in loops:
            tiles = tiles.cut(self.steps[index], not self.loops[index].parts)
        return tiles.number

    def _halo(self, axis: Axis, a: TileCounts, b: TileCounts) -> Real:
        """Sum of the extents of a sliding axis over all tiles; instances beside each other share no halo."""
        # Extents are a b - max(0, a - first) max(0, b - second); both parts sum over tiles as products of sums.
        first, second = axis.overlap
        return a.covered * b.covered - _beyond(a, first) * _beyond(b, second)


def product(factors: Iterable[Real]) -> Real:
    """Return the product; 1 if there are no factors."""
    result: Real = 1.0
    for factor in factors:
        result = factor if isinstance(result, float) and result == 1.0 else result * factor
    return result


def _column(tile: Ints | int, rows: int) -> Real:
    """Tiles to compute with; Python's floats give the same bits for a batch of one in a fraction of the time."""
    return float(tile[0]) if rows == 1 and isinstance(tile, np.ndarray) else column(tile)


def _beyond(tiles: TileCounts, overlap: int) -> Real:
    """Sum over tiles of max(0, size - overlap)."""
    return weighted([(larger(size - overlap, 0.0), many) for size, many in tiles.classes])
