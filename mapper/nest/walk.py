"""The loops of a batch in order, and what they make each tensor move: columns for the cost kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mapper.nest.counts import Cut, EvenCut, Real, ceil_div, column, weighted
from mapper.nest.moves import Move
from mapper.nest.nest import NestBatch
from mapper.nest.problem import Axis

Mask: TypeAlias = NDArray[np.bool_] | bool
Term: TypeAlias = tuple[float, Real]
"""Constant factor and column: their product is the value."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of every mapping of the batch."""

    level: int
    dim: str
    parts: int
    """Instances that a spatial loop spreads over; 0 for a temporal loop."""
    step: Real
    """Tile it hands inward [elements]."""
    outside: Real
    """Largest extent it walks [elements]."""

    @property
    def is_spatial(self) -> bool:
        return self.parts > 0


class Walk:
    """The nests of a batch; every quantity is computed when first asked for, and once."""

    def __init__(self, batch: NestBatch, *, even: bool = False) -> None:
        """``even``: every step divides the one outside, which is not checked here."""
        self.problem, self.depth = batch.problem, len(batch.skeleton.levels)
        root = EvenCut if even else Cut
        self._whole = {dim: root.whole(size) for dim, size in self.problem.dims}
        self.loops = _loops(batch)
        self._chains = {dim: [item for item in enumerate(self.loops) if item[1].dim == dim] for dim in self._whole}
        self._visits: dict[Move, Real] = {}
        self._masks: dict[int, Mask] = {}

    def visits(self, move: Move) -> Real:
        """Product of c(irrelevant dimension)."""
        if move not in self._visits:
            self._visits[move] = self._hoisted(move, lambda position: self._product(move, position))
        return self._visits[move]

    def words(self, move: Move) -> Term:
        """Words moved, as a constant times a column."""
        scale, term = 1.0, self.visits(move)
        for axis in self.problem.tensor(move.tensor).axes:
            if axis.is_plain and not move.busiest:
                scale *= self.problem.size(axis.dims[0])
            elif axis.is_plain:
                term = term * self._relevant(move, axis.dims[0]).covered
            else:
                term = term * self._halo(move, axis)
        return scale, term

    def tile(self, level: int, dim: str) -> Real:
        """Largest extent of ``dim`` inside one instance of ``level`` [elements]."""
        steps = [loop.step for _, loop in self._chains[dim] if loop.level < level]
        return steps[-1] if steps else float(self.problem.size(dim))

    @cached_property
    def steps(self) -> Real:
        """Steps of the array: trips of all temporal loops, each as many as its busiest instance makes."""
        everything = Move("input", self.depth, 0)
        return prod_of([self._tiles(everything, dim, len(self.loops)).number for dim in self._whole])

    def paired_steps(self, tensor: str, least: int) -> Real:
        """As `steps`, where every visit of a tile of ``tensor`` in the innermost memory lasts at least ``least``."""
        move = Move(tensor, self.depth - 1, 0)

        def lasting(position: int) -> Real:
            stays: list[tuple[Real, Real]] = [(1.0, 1.0)]
            for dim in self._whole:
                runs = self._runs(move, dim, position)
                stays = [(length * run, many * more) for length, many in stays for run, more in runs]
            return weighted([(np.maximum(length, float(least)), many) for length, many in stays])

        return self._hoisted(move, lasting)

    def _runs(self, move: Move, dim: str, position: int) -> list[tuple[Real, Real]]:
        """(trips inside, how many) of the visits that one dimension makes."""
        tiles, inner = self._whole[dim], list[Loop]()
        limit = len(self.loops) if dim in self.problem.relevant(move.tensor) else position
        for index, loop in self._chains[dim]:
            if inner or loop.level >= move.child or (index >= limit and not loop.is_spatial):
                inner.append(loop)
            else:
                tiles = tiles.cut(loop.step, not loop.is_spatial)
        if not inner:
            return [(1.0, tiles.number)]
        return [(_trips(size, inner), many) for size, many in tiles.classes]

    def _hoisted(self, move: Move, value: Callable[[int], Real]) -> Real:
        """``value`` at the hoisting position: outside the innermost run of loops that leave the tile in place."""
        if move.distinct:
            return value(0)
        if move.child == self.depth:
            return value(len(self.loops))
        irrelevant = self.problem.irrelevant(move.tensor)
        found, position = value(0), 0
        moves: Mask = False
        for index, loop in enumerate(self.loops):
            if loop.is_spatial or loop.level >= move.child:
                continue
            if loop.dim in irrelevant:
                found, moves = _chosen(moves, value, position, found), False
                position = index + 1
            elif position:
                moves = moves | self._moves(index)
        return _chosen(moves, value, position, found)

    def _moves(self, index: int) -> Mask:
        """Whether a loop has more than one trip."""
        if index not in self._masks:
            self._masks[index] = self.loops[index].step < self.loops[index].outside
        return self._masks[index]

    def _product(self, move: Move, position: int) -> Real:
        irrelevant = self.problem.irrelevant(move.tensor)
        return prod_of([self._tiles(move, dim, position).number for dim in self._whole if dim in irrelevant])

    def _tiles(self, move: Move, dim: str, position: int) -> Cut:
        """Tiles of an irrelevant dimension outside the inner copy, counted up to the hoisting position."""
        tiles = self._whole[dim]
        for index, loop in self._chains[dim]:
            if loop.level >= move.child:
                break
            counted = (loop.level < move.spread and not move.busiest) if loop.is_spatial else index < position
            tiles = tiles.cut(loop.step, counted)
        return tiles

    def _relevant(self, move: Move, dim: str) -> Cut:
        """Tiles of a relevant dimension outside the inner copy: every one is moved."""
        tiles = self._whole[dim]
        for _, loop in self._chains[dim]:
            if loop.level >= move.child:
                break
            tiles = tiles.cut(loop.step, not (loop.is_spatial and move.busiest and loop.level < move.spread))
        return tiles

    def _halo(self, move: Move, axis: Axis) -> Real:
        """Sum of the extents of a sliding axis over all tiles; instances beside each other share no halo."""
        (first, second), (a, b) = axis.overlap, (self._relevant(move, dim) for dim in axis.dims)
        return a.covered * b.covered - _beyond(a, first) * _beyond(b, second)


def _loops(batch: NestBatch) -> list[Loop]:
    found: list[Loop] = []
    extent: dict[str, Real] = {dim: float(size) for dim, size in batch.problem.dims}
    for index, (level, tiles) in enumerate(zip(batch.skeleton.levels, batch.tiles, strict=True)):
        for dim, tile in zip(level.order, tiles, strict=True):
            step = column(tile)
            found.append(Loop(index, dim, 0, step, extent[dim]))
            extent[dim] = step
        for spread in level.spatial:
            step = ceil_div(extent[spread.dim], float(spread.size))
            found.append(Loop(index, spread.dim, spread.size, step, extent[spread.dim]))
            extent[spread.dim] = step
    return found


def _chosen(moves: Mask, value: Callable[[int], Real], position: int, otherwise: Real) -> Real:
    if isinstance(moves, np.ndarray):
        return np.where(moves, value(position), otherwise)
    return value(position) if moves else otherwise


def _beyond(tiles: Cut, overlap: int) -> Real:
    """Sum over tiles of max(0, size - overlap)."""
    return weighted([(np.maximum(size - overlap, 0.0), many) for size, many in tiles.classes])


def _trips(size: Real, loops: list[Loop]) -> Real:
    """Trips of the temporal ``loops`` over a tile."""
    tiles = Cut(None, size, False)
    for loop in loops:
        tiles = tiles.cut(loop.step, not loop.is_spatial)
    return tiles.number


def prod_of(factors: list[Real]) -> Real:
    """Product; 1 if there are none."""
    return prod(factors[1:], start=factors[0]) if factors else 1.0
