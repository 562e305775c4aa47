"""Batches made from written mappings: columns under their common skeleton, refused where they break a rule of nests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import require_for
from mapper.nest.model.batch import LevelShape, NestBatch, Skeleton
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.legality import require_legal
from mapper.nest.model.problem import NestProblem


def batch_of(mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
    """Return a batch of one; raises as `batch_of_all`."""
    return batch_of_all([mapping], problem, hierarchy)


def batch_of_all(mappings: Sequence[LoopNest], problem: NestProblem, hierarchy: Hierarchy) -> NestBatch:
    """Return mappings with one skeleton as the rows of a batch.

    Spatial loops listed at the innermost memory, if that is the array's own, are taken as around it: Gemmini's
    hardware loop writes them there.

    Raises
    ------
    MappingError
        If a mapping is for another problem or machine (both are named), has another skeleton than the first, or
        breaks a rule of the nest; violations carry the inequalities.
    """
    skeletons = [_skeleton(mapping, problem, hierarchy) for mapping in mappings]
    if not skeletons:
        raise MappingError("a batch needs at least one mapping")
    if any(skeleton != skeletons[0] for skeleton in skeletons):
        raise MappingError("mappings of one batch must agree in loop orders, spatial loops, keep sets and buffering")
    tiles = tuple(
        tuple(
            np.array([mapping.levels[level].temporal[index].tile for mapping in mappings], np.int64)
            for index in range(len(shape.order))
        )
        for level, shape in enumerate(skeletons[0].levels)
    )
    batch = NestBatch(problem, hierarchy, skeletons[0], tiles, len(mappings))
    require_legal(batch)
    return batch


def _skeleton(mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy) -> Skeleton:
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
