"""Words that the tiles of a mapping take in each memory."""

from __future__ import annotations

from math import prod

import numpy as np

from mapper.mapping import SpatialLoop
from mapper.nest.accounting import Accounting
from mapper.nest.counts import Real, ceil_div
from mapper.nest.moves import Move, pairs, partial_words
from mapper.nest.nest import NestBatch
from mapper.nest.problem import Axis, NestTensor
from mapper.nest.walk import Mask, Walk


def footprint(batch: NestBatch, walk: Walk, level: int, accounting: Accounting) -> Real:
    """Words that one instance of ``level`` holds."""
    shape = batch.skeleton.levels[level]
    blocks = block_sizes(tuple(item.spatial for item in batch.skeleton.levels), level, accounting)
    total: Real = 0.0
    for tensor in batch.problem.tensors:
        if tensor.name not in shape.kept:
            continue
        sizes = {dim: walk.tile(level, dim) for dim in tensor.dims}
        rounded = {
            dim: ceil_div(size, float(blocks[dim])) * blocks[dim] if dim in blocks else size
            for dim, size in sizes.items()
        }
        words = tile_words(tensor, rounded)
        if tensor.name == "output":
            words = words * _partial_factor(batch, walk, level, accounting)
        if accounting.double_buffer_capacity and tensor.name in shape.double_buffered:
            words = np.where(is_whole(batch, sizes), words, 2.0 * words)
        total = total + words
    return total


def block_sizes(spatial: tuple[tuple[SpatialLoop, ...], ...], level: int, accounting: Accounting) -> dict[str, int]:
    """Multiples to which tile extents at ``level`` are rounded up [elements]; dimensions that are not are left out."""
    if accounting.capacity_unit == "elements":
        return {}
    loops = [loop for inner in spatial[level:] for loop in inner]
    return {dim: prod(loop.size for loop in loops if loop.dim == dim) for dim in {loop.dim for loop in loops}}


def tile_words(tensor: NestTensor, sizes: dict[str, Real]) -> Real:
    """Distinct elements of a tile."""
    words: Real = 1.0
    for axis in tensor.axes:
        words = words * _extent(axis, sizes)
    return words


def is_whole(batch: NestBatch, sizes: dict[str, Real]) -> Mask:
    """Whether tiles of these sizes are the whole tensor."""
    whole: Mask = True
    for dim, size in sizes.items():
        whole = whole & (size == float(batch.problem.size(dim)))
    return whole


def _extent(axis: Axis, sizes: dict[str, Real]) -> Real:
    if axis.is_plain:
        return sizes[axis.dims[0]]
    first, second = axis.overlap
    a, b = (sizes[dim] for dim in axis.dims)
    return a * b - np.maximum(a - first, 0.0) * np.maximum(b - second, 0.0)


def _partial_factor(batch: NestBatch, walk: Walk, level: int, accounting: Accounting) -> Real:
    """Words per element: one if only final values ever come to ``level``, else those of a partial sum."""
    words = partial_words(batch.hierarchy, level, accounting)
    if words == 1:
        return 1.0
    kept = tuple(shape.kept for shape in batch.skeleton.levels)
    inner = next(child for tensor, outer, child in pairs(kept) if tensor == "output" and outer == level)
    return np.where(np.equal(walk.visits(Move("output", inner, level)), 1.0), 1.0, float(words))
