"""Mappings as columns: many loop nests that differ in their tile sizes only.

A `Skeleton` fixes what decides the shape of the formulas: loop order per level, spatial loops, keep sets, buffering. A
`NestBatch` adds one column of step sizes per loop. One mapping is a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from simulator.arrays import Ints

Column: TypeAlias = Ints | int
"""One value per mapping, or one for all of them."""


@dataclass(frozen=True, slots=True)
class LevelShape:
    """What all mappings of a batch share at one memory."""

    memory: str
    order: tuple[str, ...]
    """Dimensions of the temporal loops, outer to inner; a dimension may occur twice."""
    kept: frozenset[str]
    spatial: tuple[SpatialLoop, ...] = ()
    """Spread over the instances of the next level; inside the temporal loops. ``size`` is the number of parts."""
    double_buffered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Levels outermost first, one per memory of the hierarchy."""

    levels: tuple[LevelShape, ...]


@dataclass(frozen=True, slots=True)
class NestBatch:
    """Mappings under one skeleton."""

    problem: NestProblem
    hierarchy: Hierarchy
    skeleton: Skeleton
    tiles: tuple[tuple[Column, ...], ...]
    """Per level, parallel to ``order``: step of each temporal loop, which is the tile it hands inward [elements].

    Along the nest the steps of a dimension never grow and start at or below its size. Inside a spatial loop over
    ``size`` parts the tile is ceil(step outside / size); after all loops it is one element."""
    rows: int

    def __len__(self) -> int:
        return self.rows

    def mapping(self, row: int) -> LoopNest:
        """Return the loop nest of one row."""
        levels = tuple(
            LevelMapping(
                shape.memory,
                shape.kept,
                tuple(
                    TemporalLoop(dim, int(tile) if isinstance(tile, int) else int(tile[row]))
                    for dim, tile in zip(shape.order, tiles, strict=True)
                ),
                shape.spatial,
                shape.double_buffered,
            )
            for shape, tiles in zip(self.skeleton.levels, self.tiles, strict=True)
        )
        return LoopNest((self.problem.name,), self.problem.dims, self.hierarchy.name, levels)

    def take(self, rows: Ints) -> NestBatch:
        """Return the batch of some rows."""
        tiles = tuple(tuple(tile if isinstance(tile, int) else tile[rows] for tile in level) for level in self.tiles)
        return NestBatch(self.problem, self.hierarchy, self.skeleton, tiles, len(rows))
