"""Mappings as columns: many loop nests that differ in their tile sizes only.

A `Skeleton` fixes what decides the shape of the formulas: loop order per level, spatial loops, keep sets, buffering. A
`NestBatch` adds one column of step sizes per loop. One mapping is a batch of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mapper.errors import MappingError
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.mapping.mapping_file import require_for
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.legality import require_legal
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

    @property
    def loops(self) -> tuple[tuple[int, str], ...]:
        """(level, dimension) of every temporal loop, outer to inner."""
        return tuple((index, dim) for index, level in enumerate(self.levels) for dim in level.order)


@dataclass(frozen=True, slots=True)
class NestBatch:
    """Mappings under one skeleton."""

    problem: NestProblem
    hierarchy: Hierarchy
    skeleton: Skeleton
    tiles: tuple[tuple[Column, ...], ...]
    """Per level, parallel to ``order``: step of each temporal loop, which is the tile it hands inward [elements].

    Along the nest the steps of a dimension never grow and start at or below its size. Inside a spatial loop of ``size``
    parts the tile is the ceil(size)-th part of the step outside; after all loops it is one element."""
    rows: int

    def __len__(self) -> int:
        return self.rows

    @classmethod
    def of(cls, mappings: Sequence[LoopNest], problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
        """Columns of mappings with one skeleton.

        Spatial loops listed at the innermost memory, if that is the array's own, are taken as around it: Gemmini's
        hardware loop writes them there.

        Raises
        ------
        MappingError
            If a mapping is for another problem or machine (both are named), has another skeleton than the first, or
            breaks a rule of the nest; violations carry the inequalities.
        """
        shapes = [skeleton_of(mapping, problem, hierarchy) for mapping in mappings]
        if not shapes:
            raise MappingError("a batch needs at least one mapping")
        if any(shape != shapes[0] for shape in shapes):
            raise MappingError(
                "mappings of one batch must agree in loop orders, spatial loops, keep sets and buffering"
            )
        tiles = tuple(
            tuple(
                np.array([mapping.levels[level].temporal[index].tile for mapping in mappings], np.int64)
                for index in range(len(shape.order))
            )
            for level, shape in enumerate(shapes[0].levels)
        )
        batch = cls(problem, hierarchy, shapes[0], tiles, len(mappings))
        require_legal(batch)
        return batch

    def mapping(self, row: int) -> LoopNest:
        """The loop nest of one row."""
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
        """The batch of some rows."""
        tiles = tuple(tuple(tile if isinstance(tile, int) else tile[rows] for tile in level) for level in self.tiles)
        return NestBatch(self.problem, self.hierarchy, self.skeleton, tiles, len(rows))


def batch_of(mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
    """A batch of one."""
    return NestBatch.of([mapping], problem, hierarchy)


def skeleton_of(mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy) -> Skeleton:
    """What a mapping shares with others; a `MappingError` if it is for another problem or machine."""
    require_for(mapping, problem=problem.sizes, machine=hierarchy.name)
    names = tuple(level.memory for level in mapping.levels)
    if names != hierarchy.names:
        raise MappingError(
            f"the mapping has the levels {', '.join(names)}; {hierarchy.name} has {', '.join(hierarchy.names)}"
        )
    held = sorted(set().union(*(level.held for level in mapping.levels)))
    if held:
        raise MappingError(
            f"{', '.join(held)}: 'held' belongs to the hardware loop; in a nest the loop order says what stays"
        )
    shapes = [
        LevelShape(
            level.memory, tuple(loop.dim for loop in level.temporal), level.kept, level.spatial, level.double_buffered
        )
        for level in mapping.levels
    ]
    if len(shapes) > 1 and hierarchy.memories[-1].instances == hierarchy.macs > 1:
        shapes[-2] = replace(shapes[-2], spatial=shapes[-2].spatial + shapes[-1].spatial)
        shapes[-1] = replace(shapes[-1], spatial=())
    return Skeleton(tuple(shapes))
