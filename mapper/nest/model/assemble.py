"""From tiles per dimension and orders per level to the kernel's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mapper.nest.model.batch import LevelShape, NestBatch, Skeleton
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.transfers import Kept, Spread
from simulator.arrays import Ints


def assemble(
    problem: NestProblem,
    hierarchy: Hierarchy,
    kept: Kept,
    spatial: Spread,
    orders: Sequence[Sequence[str]],
    tiles: Mapping[str, Sequence[Ints]],
    doubled: Sequence[frozenset[str]],
) -> NestBatch:
    """Return a batch of mappings with one order.

    Parameters
    ----------
    orders
        Per level with temporal loops, dimensions outer to inner.
    tiles
        Per dimension the tiles T1 .. T(L-1) handed inward [elements], columns; the innermost level hands the array its
        own tile.
    doubled
        Double-buffered tensors per memory.
    """
    array = {loop.dim: 1 for loops in spatial for loop in loops}
    for loops in spatial:
        for loop in loops:
            array[loop.dim] *= loop.size
    steps = {
        dim: [*columns, np.minimum(array.get(dim, 1), columns[-1] if len(columns) else problem.size(dim))]
        for dim, columns in tiles.items()
    }
    rows = max((len(np.atleast_1d(column)) for columns in steps.values() for column in columns), default=1)
    shapes, levels = [], []
    for level, memory in enumerate(hierarchy.memories):
        order = tuple(orders[level]) if level < len(orders) else ()
        shapes.append(LevelShape(memory.name, order, kept[level], spatial[level], doubled[level]))
        levels.append(tuple(_column(steps[dim][level], rows) for dim in order))
    return NestBatch(problem, hierarchy, Skeleton(tuple(shapes)), tuple(levels), rows)


def _column(values: Ints, rows: int) -> Ints:
    values = np.asarray(values, np.int64)
    return values if values.shape == (rows,) else np.broadcast_to(values, (rows,))
