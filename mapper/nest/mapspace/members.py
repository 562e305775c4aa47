"""Members of a mapspace as rows of integers: what they cost, which are legal, and the loop nests they stand for.

What a nest costs depends on its loop orders only through the *innermost run* of each level: scanned from the inside
out, the loops with more than one trip that leave one tensor's tile in place, until the first that does not. Outside the
run every loop counts for every tensor, in whatever order. Of the 5,040 orders of a convolution's level at most 16 can
be told apart, so rows are sorted by their runs and each group is one batch of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.level_capacity import holds, needs_kernel
from mapper.nest.model.assemble import assemble
from mapper.nest.model.batch import NestBatch, Skeleton
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.reuse_groups import COMMON, groups_of
from simulator.arrays import Bools, Floats, Ints, Rows

NOBODY = -1
"""Owner of a run in which no loop is yet."""


@dataclass(frozen=True, slots=True)
class MemberCosts:
    """Costs of rows, one entry each."""

    cycles: Ints
    energy_pj: Floats
    footprint_bytes: Ints
    """Room that tiles take in all memories of limited size."""
    valid: Bools
    """Whether the memories hold the tiles."""

    @property
    def edp(self) -> Floats:
        """Energy times delay [pJ cycles]."""
        return self.energy_pj * self.cycles


def tiles_of(axes: NestAxes, rows: Rows) -> Rows:
    """Return (rows, levels + 1, dimensions): T0 .. TL [elements]; TL is the array's own tile."""
    count, dims = len(rows), len(axes.dims)
    tiles = np.empty((count, axes.levels + 1, dims), np.int64)
    tiles[:, 0] = [axes.problem.size(dim) for dim in axes.dims]
    tiles[:, 1:-1] = rows[:, axes.levels + 1 :].reshape(count, axes.levels - 1, dims)
    array = np.array([[variant.array_tile(dim) for dim in axes.dims] for variant in axes.variants])
    tiles[:, -1] = np.minimum(array[rows[:, axes.levels]], tiles[:, -2])
    return tiles


def costs(axes: NestAxes, rows: Rows) -> MemberCosts:
    """Return the costs of every row; a row's costs do not depend on the others beside it."""
    tiles = tiles_of(axes, rows)
    runs = _innermost_runs(axes, rows, tiles)
    cycles, energy = np.empty(len(rows), np.int64), np.empty(len(rows))
    footprint, valid = np.empty(len(rows), np.int64), np.empty(len(rows), bool)
    groups = groups_of(axes.problem)
    word_bits = {memory.name: memory.word_bits for memory in axes.hierarchy.memories}
    for alike in _rows_alike(np.column_stack([rows[:, axes.levels], runs])):
        orders = [_representative_order(axes.dims, groups, int(run)) for run in runs[alike[0]]]
        batch = _batch(axes, int(rows[alike[0], axes.levels]), orders, tiles[alike])
        priced = evaluate(batch, axes.accounting)
        cycles[alike], energy[alike], valid[alike] = priced.cycles, priced.energy_pj, priced.valid
        bits = sum((words * word_bits[name] for name, words in priced.footprint.items()), np.zeros(len(alike)))
        footprint[alike] = (bits // 8).astype(np.int64)
    return MemberCosts(cycles, energy, footprint, valid)


def _rows_alike(keys: Rows) -> list[Ints]:
    """Positions of the rows of each distinct key; none is empty."""
    _, key_of, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return np.split(np.argsort(key_of.ravel(), kind="stable"), np.cumsum(counts)[:-1]) if len(keys) else []


def _innermost_runs(axes: NestAxes, rows: Rows, tiles: Rows) -> Rows:
    """(rows, levels): innermost run of every level; bit d stands for the loop over dimension d."""
    moves = tiles[:, :-1] > tiles[:, 1:]
    group_of = _group_numbers(axes.problem)
    runs = np.empty((len(rows), axes.levels), np.int64)
    for level in range(axes.levels):
        order = axes.order_tables[level][rows[:, level]]
        runs[:, level] = _innermost_run(order, moves[:, level], group_of)
    return runs


def _group_numbers(problem: NestProblem) -> Ints:
    """Reuse group of each dimension."""
    group_of = np.empty(len(problem.names), np.int64)
    for number, dims in enumerate(groups_of(problem)):
        for dim in dims:
            group_of[problem.names.index(dim)] = number
    return group_of


def _innermost_run(order: Rows, moves: Bools, group_of: Ints) -> Ints:
    """Innermost run of one level, per row.

    Parameters
    ----------
    order
        (rows, dimensions): positions of the dimensions, outer to inner.
    moves
        (rows, dimensions): whether the loop over a dimension has more than one trip.
    group_of
        Reuse group of each dimension.
    """
    index = np.arange(len(order))
    run = np.zeros(len(order), np.int64)
    owner = np.full(len(order), NOBODY)
    scanning = np.ones(len(order), bool)
    for position in reversed(range(order.shape[1])):
        dim = order[:, position]
        moving = moves[index, dim] & scanning
        begins = moving & (owner == NOBODY)
        owner = np.where(begins, group_of[dim], owner)
        # A loop over a common dimension moves every tensor: it ends the run that it begins.
        joins = begins | (moving & (group_of[dim] == owner) & (owner != COMMON))
        run |= np.where(joins, 1 << dim, 0)
        scanning &= ~moving | joins  # loops of one trip are passed by, whoever owns them
    return run


def _representative_order(dims: Sequence[str], groups: Sequence[Sequence[str]], run: int) -> tuple[str, ...]:
    """A loop order that has this innermost run: the rest of its group outermost, where it cannot lengthen the run."""
    inner = tuple(dim for position, dim in enumerate(dims) if run >> position & 1)
    family = next((set(group) for group in groups if set(inner) & set(group)), set[str]())
    outermost = tuple(dim for dim in dims if dim in family and dim not in inner)
    return (*outermost, *(dim for dim in dims if dim not in family), *inner)


def _batch(axes: NestAxes, variant_number: int, orders: Sequence[Sequence[str]], tiles: Rows) -> NestBatch:
    variant = axes.variants[variant_number]
    columns = {
        dim: [tiles[:, level, position] for level in range(1, axes.levels)] for position, dim in enumerate(axes.dims)
    }
    return assemble(axes.problem, axes.hierarchy, variant.kept, variant.spatial, orders, columns, variant.doubled)


def mapping_of(axes: NestAxes, row: Sequence[int]) -> LoopNest:
    """Return the loop nest of a row."""
    orders = [axes.orders[level][int(row[level])] for level in range(axes.levels)]
    return _batch(axes, int(row[axes.levels]), orders, tiles_of(axes, np.array([row], np.int64))).mapping(0)


def row_of(axes: NestAxes, mapping: LoopNest) -> tuple[int, ...]:
    """Return the row of a loop nest.

    Raises
    ------
    MappingError
        If the mapping is for another problem or machine, or is no member: what is outside the space is named.
    """
    batch = batch_of(mapping, axes.problem, axes.hierarchy)
    shapes = batch.skeleton.levels
    variant = _variant_of(axes, batch.skeleton)
    orders, tiles = list[int](), list[int]()
    for level in range(axes.levels):
        shape = shapes[level]
        if shape.order not in axes.orders[level]:
            raise MappingError(f"not in this mapspace: order {''.join(shape.order)} at {shape.memory}")
        orders.append(axes.orders[level].index(shape.order))
        step = {dim: int(np.asarray(tile).flat[0]) for dim, tile in zip(shape.order, batch.tiles[level], strict=True)}
        tiles += [step[dim] for dim in axes.dims] if level < axes.levels - 1 else []
    row = (*orders, variant, *tiles)
    if not are_members(axes, np.array([row], np.int64))[0]:
        raise MappingError("not in this mapspace: its tiles are not of the allowed sizes")
    return row


def _variant_of(axes: NestAxes, skeleton: Skeleton) -> int:
    """Position of the variant that a skeleton follows."""
    for number, variant in enumerate(axes.variants):
        if all(
            shape.kept == variant.kept[level]
            and set(shape.spatial) == set(variant.spatial[level])
            and shape.double_buffered == variant.doubled[level]
            for level, shape in enumerate(skeleton.levels)
        ):
            return number
    raise MappingError("not in this mapspace: its keep sets, spatial loops and double buffers are none of the choices")


def are_members(axes: NestAxes, rows: Rows) -> Bools:
    """Return which rows are members, whether or not the memories hold their tiles."""
    return _checked(axes, rows, fits=False)


def legal(axes: NestAxes, rows: Rows) -> Bools:
    """Return which rows are members whose tiles the memories hold."""
    good = _checked(axes, rows, fits=True)
    if good.any() and any(needs_kernel(axes, variant) for variant in axes.variants):
        good[good] = costs(axes, rows[good]).valid
    return good


def _checked(axes: NestAxes, rows: Rows, *, fits: bool) -> Bools:
    if rows.shape[1] != axes.genes:
        return np.zeros(len(rows), bool)
    good = np.ones(len(rows), bool)
    for level, orders in enumerate(axes.orders):
        good &= (rows[:, level] >= 0) & (rows[:, level] < len(orders))
    good &= (rows[:, axes.levels] >= 0) & (rows[:, axes.levels] < len(axes.variants))
    for number in np.unique(rows[good, axes.levels]):
        where = np.flatnonzero(good & (rows[:, axes.levels] == number))
        good[where] = tiles_allowed(axes, int(number), rows[where], fits=fits)
    return good


def tiles_allowed(axes: NestAxes, variant_number: int, rows: Rows, *, fits: bool) -> Bools:
    """Return which rows of one variant have tiles of the space, and (``fits``) of which each level holds them."""
    variant = axes.variants[variant_number]
    tiles = tiles_of(axes, rows)
    good = np.ones(len(rows), bool)
    units = np.empty((len(rows), axes.levels - 1, len(axes.dims)), np.int64)
    for position, dim in enumerate(axes.dims):
        grid, steps = axes.grid(variant, dim), axes.steps(variant, dim)
        outer = np.full(len(rows), len(steps.values) - 1)
        for level in range(axes.levels - 1):
            size = tiles[:, level + 1, position]
            unit = -(-size // grid.unit)
            good &= (size >= 1) & (grid.elements(unit) == size)
            index = np.minimum(np.searchsorted(steps.values, unit), len(steps.values) - 1)
            good &= (steps.values[index] == unit) & steps.masks[level][index]
            relation = steps.relations[level]
            good &= index <= outer if relation is None else relation[outer, index]
            outer, units[:, level, position] = index, unit
    return good & holds(axes, variant, units) if fits else good
