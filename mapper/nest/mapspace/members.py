"""Members of a mapspace as rows of integers: what they cost, which are legal, and the loop nests they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from mapper.errors import MappingError, Violation
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.bounds.reuse_structure import COMMON, groups_of
from mapper.nest.mapspace.constraints import Sizes
from mapper.nest.model import fit
from mapper.nest.model.assemble import assemble
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from simulator.arrays import Bools, Floats, Ints, Rows

if TYPE_CHECKING:
    from mapper.nest.mapspace.nest_space import NestSpace


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


def tiles_of(space: NestSpace, rows: Rows) -> Rows:
    """(rows, levels + 1, dimensions): T0 .. TL [elements]; TL is the array's own tile."""
    count, dims = len(rows), len(space.dims)
    tiles = np.empty((count, space.levels + 1, dims), np.int64)
    tiles[:, 0] = [space.problem.size(dim) for dim in space.dims]
    tiles[:, 1:-1] = rows[:, space.levels + 1 :].reshape(count, space.levels - 1, dims)
    array = np.array([[variant.array_tile(dim) for dim in space.dims] for variant in space.variants])
    tiles[:, -1] = np.minimum(array[rows[:, space.levels]], tiles[:, -2])
    return tiles


def costs(space: NestSpace, rows: Rows) -> MemberCosts:
    """Costs of every row; a row's costs do not depend on the others beside it.

    Only which loops with more than one trip lie innermost matters to the counts, so rows are priced in groups that
    agree in that, whatever their orders.
    """
    tiles = tiles_of(space, rows)
    runs = _inner_runs(space, rows, tiles[:, :-1] > tiles[:, 1:])
    keys = np.column_stack([rows[:, space.levels], runs])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    cycles, energy = np.empty(len(rows), np.int64), np.empty(len(rows))
    footprint, valid = np.empty(len(rows), np.int64), np.empty(len(rows), bool)
    groups = groups_of(space.problem)
    bits = {memory.name: memory.word_bits for memory in space.hierarchy.memories}
    by_group = np.split(np.argsort(group.ravel(), kind="stable"), np.cumsum(np.bincount(group.ravel()))[:-1])
    for number, members in enumerate(by_group):
        orders = [_order(space.dims, groups, int(run)) for run in runs[first[number]]]
        batch = _batch(space, int(rows[first[number], space.levels]), orders, tiles[members])
        found = evaluate(batch, space.accounting)
        cycles[members], energy[members], valid[members] = found.cycles, found.energy_pj, found.valid
        taken = sum((words * bits[name] for name, words in found.footprint.items()), np.zeros(len(members)))
        footprint[members] = (taken // 8).astype(np.int64)
    return MemberCosts(cycles, energy, footprint, valid)


def _inner_runs(space: NestSpace, rows: Rows, moves: Bools) -> Rows:
    """(rows, levels): bits of the innermost loops with more than one trip that belong to one group."""
    group_of = np.empty(len(space.dims), np.int64)
    for number, dims in enumerate(groups_of(space.problem)):
        for dim in dims:
            group_of[space.dims.index(dim)] = number
    index = np.arange(len(rows))
    runs = np.zeros((len(rows), space.levels), np.int64)
    for level in range(space.levels):
        order = space.order_tables[level][rows[:, level]]
        owner = np.full(len(rows), -1)
        open_ = np.ones(len(rows), bool)
        for position in reversed(range(len(space.dims))):
            here = order[:, position]
            moving = moves[index, level, here] & open_
            fresh = moving & (owner == -1)
            owner = np.where(fresh, group_of[here], owner)
            joins = fresh | (moving & (group_of[here] == owner) & (owner != COMMON))
            runs[:, level] |= np.where(joins, 1 << here, 0)
            open_ &= ~moving | joins
    return runs


def _order(dims: Sequence[str], groups: Sequence[Sequence[str]], run: int) -> tuple[str, ...]:
    """A loop order with the loops of a run innermost and others of its group outermost, where they count."""
    inner = tuple(dim for position, dim in enumerate(dims) if run >> position & 1)
    family = next((set(group) for group in groups if set(inner) & set(group)), set[str]())
    outer = tuple(dim for dim in dims if dim in family and dim not in inner)
    return (*outer, *(dim for dim in dims if dim not in family), *inner)


def _batch(space: NestSpace, variant: int, orders: Sequence[Sequence[str]], tiles: Rows) -> NestBatch:
    choice = space.variants[variant]
    columns = {
        dim: [tiles[:, level, position] for level in range(1, space.levels)] for position, dim in enumerate(space.dims)
    }
    return assemble(space.problem, space.hierarchy, choice.kept, choice.spatial, orders, columns, choice.doubled)


def mapping_of(space: NestSpace, row: Sequence[int]) -> LoopNest:
    """The loop nest of a row."""
    line = np.array([row], np.int64)
    orders = [space.orders[level][int(row[level])] for level in range(space.levels)]
    return _batch(space, int(row[space.levels]), orders, tiles_of(space, line)).mapping(0)


def row_of(space: NestSpace, mapping: LoopNest) -> tuple[int, ...]:
    """The row of a loop nest.

    Raises
    ------
    MappingError
        If the mapping is for another problem or machine, or is no member: what is outside the space is named.
    """
    batch = batch_of(mapping, space.problem, space.hierarchy)
    shapes = batch.skeleton.levels
    variants = [
        number
        for number, choice in enumerate(space.variants)
        if all(
            shape.kept == choice.kept[level]
            and set(shape.spatial) == set(choice.spatial[level])
            and shape.double_buffered == choice.doubled[level]
            for level, shape in enumerate(shapes)
        )
    ]
    if not variants:
        raise MappingError(
            "not in this mapspace: its keep sets, spatial loops and double buffers are none of the choices"
        )
    genes, tiles = [], []
    for level in range(space.levels):
        shape = shapes[level]
        if shape.order not in space.orders[level]:
            raise MappingError(f"not in this mapspace: order {''.join(shape.order)} at {shape.memory}")
        genes.append(space.orders[level].index(shape.order))
        step = {dim: int(np.asarray(tile).flat[0]) for dim, tile in zip(shape.order, batch.tiles[level], strict=True)}
        tiles += [step[dim] for dim in space.dims] if level < space.levels - 1 else []
    row = (*genes, variants[0], *tiles)
    if not legal(space, np.array([row], np.int64), fits=False)[0]:
        raise MappingError("not in this mapspace: its tiles are not of the allowed sizes")
    return row


def legal(space: NestSpace, rows: Rows, *, fits: bool = True) -> Bools:
    """Which rows are members, and (``fits``) whose tiles the memories hold."""
    good = rows.shape[1] == space.genes and np.ones(len(rows), bool)
    for level, orders in enumerate(space.orders):
        good = good & (rows[:, level] >= 0) & (rows[:, level] < len(orders))
    good = good & (rows[:, space.levels] >= 0) & (rows[:, space.levels] < len(space.variants))
    for number in np.unique(rows[good, space.levels]):
        where = np.flatnonzero(good & (rows[:, space.levels] == number))
        good[where] = _legal_tiles(space, int(number), rows[where], fits)
    if fits and good.any() and any(map(space.needs_kernel, space.variants)):
        good[good] = costs(space, rows[good]).valid
    return np.asarray(good)


def _legal_tiles(space: NestSpace, number: int, rows: Rows, fits: bool) -> Bools:
    choice = space.variants[number]
    tiles = tiles_of(space, rows)
    good = np.ones(len(rows), bool)
    units = np.empty((len(rows), space.levels - 1, len(space.dims)), np.int64)
    for position, dim in enumerate(space.dims):
        grid, steps = space.grid(choice, dim), space.steps(choice, dim)
        outer = np.full(len(rows), len(steps.values) - 1)
        for level in range(space.levels - 1):
            size = tiles[:, level + 1, position]
            unit = -(-size // grid.unit)
            good &= (size >= 1) & (grid.elements(unit) == size)
            index = np.minimum(np.searchsorted(steps.values, unit), len(steps.values) - 1)
            good &= (steps.values[index] == unit) & steps.masks[level][index]
            relation = steps.relations[level]
            good &= index <= outer if relation is None else relation[outer, index]
            outer, units[:, level, position] = index, unit
    if fits:
        for level in range(1, space.levels):
            rule = space.fits(choice, level)
            if rule is not None:
                good &= rule[0]([units[:, level - 1, position] for position in range(len(space.dims))])
    return good


def walk(space: NestSpace, most: int) -> Iterator[Rows]:
    """Every legal member, at most ``most`` at a time, in a fixed order."""
    order_rows = np.array(list(product(*(range(len(orders)) for orders in space.orders))), np.int64)
    for number, choice in enumerate(space.variants):
        for tiles in all_tiles(space, number, most):
            per_block = max(1, most // max(1, len(tiles)))
            for start in range(0, len(order_rows), per_block):
                orders = order_rows[start : start + per_block]
                rows = np.column_stack(
                    [
                        np.repeat(orders, len(tiles), axis=0),
                        np.full(len(orders) * len(tiles), number),
                        np.tile(tiles, (len(orders), 1)),
                    ]
                )
                if space.needs_kernel(choice):
                    rows = rows[costs(space, rows).valid]
                if len(rows):
                    yield rows


def all_tiles(space: NestSpace, number: int, most: int) -> Iterator[Rows]:
    """Tile genes of one outer choice that fit, at most ``most`` at a time."""
    chains = [_chains(space, number, dim) for dim in space.dims]
    head, tail = chains[0], chains[1:]
    inner = np.array(list(product(*(range(len(chain)) for chain in tail))), np.int64).reshape(-1, len(tail))
    for outer in head:
        for start in range(0, len(inner), most):
            part = inner[start : start + most]
            columns = [np.broadcast_to(outer, (len(part), len(outer)))]
            columns += [chain[part[:, index]] for index, chain in enumerate(tail)]
            tiles = np.stack(columns, axis=2).reshape(len(part), -1)
            rows = np.column_stack([np.zeros((len(part), space.levels), np.int64), np.full(len(part), number), tiles])
            keep = _legal_tiles(space, number, rows, fits=True)
            if keep.any():
                yield tiles[keep]


def _chains(space: NestSpace, number: int, dim: str) -> Rows:
    """(chains, levels - 1): tiles of one dimension [elements]."""
    choice = space.variants[number]
    steps, grid = space.steps(choice, dim), space.grid(choice, dim)
    found: list[tuple[int, ...]] = [(len(steps.values) - 1,)]
    for level in range(space.levels - 1):
        relation = steps.relations[level]
        found = [
            (*chain, index)
            for chain in found
            for index in range(len(steps.values))
            if steps.masks[level][index] and (index <= chain[-1] if relation is None else relation[chain[-1], index])
        ]
    index = np.array([chain[1:] for chain in found], np.int64).reshape(len(found), space.levels - 1)
    return grid.elements(steps.values[index])


def violations(space: NestSpace, mapping: LoopNest) -> list[Violation]:
    """Broken inequalities of a loop nest: rules of the nest, rooms, constraints."""
    try:
        batch = batch_of(mapping, space.problem, space.hierarchy)
    except MappingError as error:
        if not error.violations:
            raise
        return list(error.violations)
    broken = fit.violations(batch, space.accounting)
    return [*broken, *_constraint_violations(space, batch)]


def _constraint_violations(space: NestSpace, batch: NestBatch) -> Iterator[Violation]:
    outside = {dim: space.problem.size(dim) for dim in space.dims}
    for shape, tiles in zip(batch.skeleton.levels, batch.tiles, strict=True):
        rule = space.constraints.rule(shape.memory)
        for dim, tile in zip(shape.order, tiles, strict=True):
            size = int(np.asarray(tile).flat[0])
            pairs: tuple[tuple[str, Sizes | None, int, str], ...] = (
                ("tile", rule.tile.get(dim), size, "elements"),
                ("factor", rule.factor.get(dim), -(-outside[dim] // size), "trips"),
            )
            for kind, sizes, value, unit in pairs:
                if sizes is not None and not sizes.allow(np.array([value]))[0]:
                    text = f"constraint {kind}.{dim}{sizes}"
                    yield Violation(text, shape.memory, value, sizes.most or (sizes.any or (0,))[0], unit)
            outside[dim] = size
        if shape.order and shape.order not in rule.order.of(space.dims):
            text = f"constraint order {list(rule.order.any or ())} for {''.join(shape.order)}"
            yield Violation(text, shape.memory, 1, 0, "orders")
        if not rule.keep.allow(shape.kept):
            yield Violation(f"constraint keep for {sorted(shape.kept)}", shape.memory, 1, 0, "sets")
        if not rule.double_buffer.allow(shape.double_buffered):
            text = f"constraint double_buffer for {sorted(shape.double_buffered)}"
            yield Violation(text, shape.memory, 1, 0, "sets")
