"""Words that the tiles of a mapping take in each memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from mapper.mapping.loop_nest import SpatialLoop
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.batch import Skeleton
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.hoisting import Hoisting, hoisting_of, loops_of
from mapper.nest.model.problem import NestProblem, NestTensor
from mapper.nest.model.tile_counts import Real, as_number, ceil_div, chosen, larger
from mapper.nest.model.transfers import Kept, Transfer, pairs, partial_words
from mapper.nest.model.visit_columns import VisitColumns, product
from workloads.iteration_space import Axis


@dataclass(frozen=True, slots=True)
class TileShape:
    """What the tile of one tensor in one memory depends on."""

    tensor: NestTensor
    plain: tuple[str, ...] | None
    """Dimensions, if each is an axis of its own."""
    outer: tuple[int, ...]
    """Loops outside that cut the tensor."""
    doubled: bool
    """Whether there are two tiles, unless one is the whole tensor."""
    partial: tuple[Hoisting, int] | None
    """Visits from inside, and words of an element that is visited more than once."""


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """The tiles in one memory."""

    level: int
    sources: tuple[tuple[str, int | None, int], ...]
    """(dimension, loop whose step is its extent or None for the whole dimension, multiple it is rounded up to)."""
    tiles: tuple[TileShape, ...]


def memory_shape(
    problem: NestProblem, hierarchy: Hierarchy, skeleton: Skeleton, level: int, accounting: Accounting
) -> MemoryShape:
    """Return the tiles of ``level``."""
    kept = tuple(shape.kept for shape in skeleton.levels)
    outside = [(index, loop) for index, loop in enumerate(loops_of(skeleton)) if loop.level < level]
    blocks = block_sizes(tuple(shape.spatial for shape in skeleton.levels), level, accounting)
    tensors = [tensor for tensor in problem.tensors if tensor.name in kept[level]]
    sources = []
    for dim in problem.names:
        if any(dim in tensor.dims for tensor in tensors):
            cuts = [index for index, loop in outside if loop.dim == dim]
            sources.append((dim, cuts[-1] if cuts else None, blocks.get(dim, 1)))
    transfer = partial_transfer(hierarchy, kept, level, accounting) if "output" in kept[level] else None
    partial = None
    if transfer is not None:
        partial = hoisting_of(problem, skeleton, transfer), partial_words(hierarchy, level, accounting)
    doubled = skeleton.levels[level].double_buffered if accounting.double_buffer_capacity else frozenset()
    tiles = tuple(
        TileShape(
            tensor,
            _plain_dims(tensor),
            tuple(index for index, loop in outside if loop.dim in tensor.dims),
            tensor.name in doubled,
            partial if tensor.name == "output" else None,
        )
        for tensor in tensors
    )
    return MemoryShape(level, tuple(sources), tiles)


def _plain_dims(tensor: NestTensor) -> tuple[str, ...] | None:
    """Dimensions of a tensor, if each is an axis of its own."""
    return tuple(axis.dims[0] for axis in tensor.axes) if all(axis.is_plain for axis in tensor.axes) else None


def footprint(visits: VisitColumns, shape: MemoryShape) -> Real:
    """Return the words that one instance of a memory holds."""
    sizes: dict[str, Real] = {}
    for dim, loop, block in shape.sources:
        size = float(visits.problem.size(dim)) if loop is None else visits.steps[loop]
        sizes[dim] = ceil_div(size, float(block)) * float(block) if block > 1 else size
    total: Real = 0.0
    for tile in shape.tiles:
        words = tile_words(tile.tensor, sizes) if tile.plain is None else product([sizes[dim] for dim in tile.plain])
        if tile.partial is not None:
            _, count = visits.words(tile.partial[0])
            words = words * chosen(count > 1.0, float(tile.partial[1]), 1.0)
        if tile.doubled:  # a second tile only if some loop replaces the first
            words = words * (1.0 + as_number(visits.any_moves(tile.outer)))
        total = words if isinstance(total, float) and total == 0.0 else total + words
    return total


def block_sizes(spatial: tuple[tuple[SpatialLoop, ...], ...], level: int, accounting: Accounting) -> dict[str, int]:
    """Return the multiples to which tile extents at ``level`` are rounded up [elements]; others are left out."""
    if accounting.capacity_unit == "elements":
        return {}
    loops = [loop for inner in spatial[level:] for loop in inner]
    return {dim: prod(loop.size for loop in loops if loop.dim == dim) for dim in {loop.dim for loop in loops}}


def tile_words(tensor: NestTensor, sizes: Mapping[str, Real]) -> Real:
    """Return the distinct elements of a tile."""
    return product([_extent(axis, sizes) for axis in tensor.axes])


def _extent(axis: Axis, sizes: Mapping[str, Real]) -> Real:
    if axis.is_plain:
        return sizes[axis.dims[0]]
    first, second = axis.overlap
    a, b = (sizes[dim] for dim in axis.dims)
    return a * b - larger(a - first, 0.0) * larger(b - second, 0.0)


def partial_transfer(hierarchy: Hierarchy, kept: Kept, level: int, accounting: Accounting) -> Transfer | None:
    """Return the transfer whose visits leave partial sums at ``level``; None if those are no wider than its words."""
    if partial_words(hierarchy, level, accounting) == 1:
        return None
    inner = next(child for tensor, outer, child in pairs(kept) if tensor == "output" and outer == level)
    return Transfer("output", inner, level)
