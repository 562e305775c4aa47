"""The loops of a batch with their columns, and what they make each tensor move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from mapper.nest.model.batch import NestBatch
from mapper.nest.model.hoisting import Path, Route, places, step_paths
from mapper.nest.model.tile_counts import EvenTileCounts, Real, TileCounts, ceil_div, chosen, column, larger, weighted
from simulator.arrays import Bools, Ints
from workloads.iteration_space import Axis

Mask: TypeAlias = Bools | bool
Term: TypeAlias = tuple[float, Real]
"""Constant factor and column: their product is the value."""


class Walk:
    """The nests of a batch; every quantity is computed when first asked for, and once."""

    def __init__(self, batch: NestBatch, *, even: bool = False) -> None:
        """``even``: every step divides the one outside, which is not checked here."""
        self.problem, self.skeleton, self.depth = batch.problem, batch.skeleton, len(batch.skeleton.levels)
        self.places = places(batch.skeleton)
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
        for loop in self.places:
            outside = extent[loop.dim]
            step = ceil_div(outside, float(loop.parts)) if loop.parts else next(temporal)
            self.outside.append(outside)
            self.steps.append(step)
            extent[loop.dim] = step

    def words(self, route: Route) -> Term:
        """Words moved, as a constant times a column."""
        term = self.hoisted(
            route, lambda stage: product([self.tiles(path).number for path in route.stages[stage].paths])
        )
        for path in route.covered:
            term = term * self.tiles(path).covered
        for axis, first, second in route.halos:
            term = term * self._halo(axis, self.tiles(first), self.tiles(second))
        return route.elements, term

    def hoisted(self, route: Route, value: Callable[[int], Real]) -> Real:
        """``value`` of the stage that each mapping is in."""
        found = value(0)
        for number, stage in enumerate(route.stages[1:], 1):
            moves = self.any_moves(stage.loops)
            if moves is not False:
                found = chosen(moves, value(number), found)
        return found

    def tiles(self, path: Path) -> TileCounts:
        """Tiles after the loops of a path."""
        dim, cuts = path
        tiles = self._whole[dim]
        for index, counted in cuts:
            tiles = tiles.cut(self.steps[index], counted)
        return tiles

    def any_moves(self, loops: Iterable[int]) -> Mask:
        """Whether at least one of some loops has more than one trip."""
        found: Mask = False
        for index in loops:
            if index not in self._masks:
                self._masks[index] = self.steps[index] < self.outside[index]
            found = self._masks[index] if found is False else found | self._masks[index]
        return found

    def tile(self, level: int, dim: str) -> Real:
        """Largest extent of ``dim`` inside one instance of ``level`` [elements]."""
        found: Real = self._whole[dim].step
        for loop, step in zip(self.places, self.steps, strict=True):
            if loop.dim == dim and loop.level < level:
                found = step
        return found

    def is_cut(self, level: int, tensor: str) -> Mask:
        """Whether a tile of ``tensor`` at ``level`` is less than the whole tensor."""
        irrelevant = self.problem.irrelevant(tensor)
        outside = (index for index, loop in enumerate(self.places) if loop.level < level and loop.dim not in irrelevant)
        return self.any_moves(outside)

    def array_steps(self) -> Real:
        """Steps of the array: trips of all temporal loops, each as many as its busiest instance makes."""
        return product([self.tiles(path).number for path in step_paths(self.problem, self.skeleton)])

    def paired_steps(self, route: Route, tensor: str, least: int) -> Real:
        """As `array_steps`, where every visit of a tile of ``tensor`` in the innermost memory lasts ``least`` or more.

        ``route`` is that of the tensor's move to the innermost memory.
        """

        def lasting(stage: int) -> Real:
            stays: list[tuple[Real, Real]] = [(1.0, 1.0)]
            for dim in self._whole:
                runs = self._runs(dim, tensor, route.stages[stage].position)
                stays = [(length * run, many * more) for length, many in stays for run, more in runs]
            return weighted([(larger(length, float(least)), many) for length, many in stays])

        return self.hoisted(route, lasting)

    def _runs(self, dim: str, tensor: str, position: int) -> list[tuple[Real, Real]]:
        """(trips inside, how many) of the visits that one dimension makes to the innermost memory."""
        tiles, inner = self._whole[dim], list[int]()
        limit = position if dim in self.problem.irrelevant(tensor) else len(self.places)
        for index, loop in enumerate(self.places):
            if loop.dim != dim:
                continue
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
            tiles = tiles.cut(self.steps[index], not self.places[index].parts)
        return tiles.number

    def _halo(self, axis: Axis, a: TileCounts, b: TileCounts) -> Real:
        """Sum of the extents of a sliding axis over all tiles; instances beside each other share no halo."""
        first, second = axis.overlap
        return a.covered * b.covered - _beyond(a, first) * _beyond(b, second)


def product(factors: Iterable[Real]) -> Real:
    """Product; 1 if there are none."""
    found: Real = 1.0
    for factor in factors:
        found = factor if isinstance(found, float) and found == 1.0 else found * factor
    return found


def _column(tile: Ints | int, rows: int) -> Real:
    """Tiles to compute with; Python's floats give the same bits for a batch of one in a fraction of the time."""
    return float(tile[0]) if rows == 1 and isinstance(tile, np.ndarray) else column(tile)


def _beyond(tiles: TileCounts, overlap: int) -> Real:
    """Sum over tiles of max(0, size - overlap)."""
    return weighted([(larger(size - overlap, 0.0), many) for size, many in tiles.classes])
