"""Mappings as columns: many loop nests that differ in their tile sizes only.

A `Skeleton` fixes what decides the shape of the formulas: loop order per level, spatial loops, keep sets, buffering. A
`NestBatch` adds one column of step sizes per loop. One mapping is a batch of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mapper.mapping import Mapping, SpatialLoop
from mapper.nest.hierarchy import Hierarchy
from mapper.nest.problem import NestProblem

Column: TypeAlias = NDArray[np.int64] | int
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
    def of(cls, mappings: Iterable[Mapping], problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
        """Columns of mappings with one skeleton; raises `MappingError` if they are for another problem or machine."""
        raise NotImplementedError

    def mapping(self, row: int) -> Mapping:
        """The loop nest of one row."""
        raise NotImplementedError

    def take(self, rows: NDArray[np.int64]) -> NestBatch:
        """The batch of some rows."""
        raise NotImplementedError


def batch_of(mapping: Mapping, problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
    """A batch of one."""
    return NestBatch.of([mapping], problem, hierarchy)
