"""Per group of dimensions, the chains that may be part of an optimum, with what they contribute to every cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from mapper.errors import MappingError
from mapper.nest.bounds.chain_shape import Chains, ChainShape
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.pareto import beaten, thinned
from mapper.nest.bounds.reuse_structure import Affine, Pair, Structure
from mapper.nest.bounds.tile_chains import chains, cut, expanded, joined
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.model.tile_counts import Cut, weighted
from simulator.arrays import Bools, Floats, Ints

LARGEST_GROUP = 4_000_000
"""Rows of a table above which a search is refused: about a gigabyte of columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """One row per chain (per combination of chains, for a group of several dimensions)."""

    units: Mapping[str, Ints]
    """Per dimension (levels - 1, rows): tiles [units]."""
    energy: Floats
    loads: Floats
    """(ports, rows)."""
    serial: Floats
    """(tiles, rows)."""
    steps: Floats
    """Trips of all loops: factor of the array's steps."""
    extents: Mapping[tuple[int, str], Floats]
    """Tile extents as capacities count them, per (level, dimension)."""
    whole: Mapping[tuple[int, str], Bools]
    spilled: Mapping[int, Bools]
    """Per tile of partial sums: whether they come there."""
    beyond: Mapping[tuple[int, str], Floats]
    """Per (child, sliding dimension): sum over tiles of what exceeds the overlap; the more the better."""
    exact: Bools
    """Whether a row is a combination of chains; otherwise it bounds some."""
    visits: Mapping[Pair, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.energy)

    def take(self, rows: Ints | Bools) -> Table:
        """Rows in the shape of an index array."""
        return Table(
            {dim: tiles[:, rows] for dim, tiles in self.units.items()},
            self.energy[rows],
            self.loads[:, rows],
            self.serial[:, rows],
            self.steps[rows],
            {key: column[rows] for key, column in self.extents.items()},
            {key: column[rows] for key, column in self.whole.items()},
            {key: column[rows] for key, column in self.spilled.items()},
            {key: column[rows] for key, column in self.beyond.items()},
            self.exact[rows],
            {key: column[rows] for key, column in self.visits.items()},
        )

    def ideal(self) -> Table:
        """One row that is as good as the best in every column: what an undecided group contributes to a bound."""
        return Table(
            {},
            self.energy.min(keepdims=True),
            self.loads.min(axis=1, keepdims=True),
            self.serial.min(axis=1, keepdims=True),
            self.steps.min(keepdims=True),
            {key: column.min(keepdims=True) for key, column in self.extents.items()},
            {key: column.max(keepdims=True) for key, column in self.whole.items()},
            {key: column.min(keepdims=True) for key, column in self.spilled.items()},
            {key: column.max(keepdims=True) for key, column in self.beyond.items()},
            np.zeros(1, bool),
            {key: column.min(keepdims=True) for key, column in self.visits.items()},
        )

    def attributes(self) -> list[Floats | Ints]:
        """Columns that decide dominance, each to be small."""
        columns: list[Floats | Ints] = [*self.extents.values(), *self.visits.values(), self.steps]
        columns += [column.max(initial=0.0) - column for column in self.beyond.values()]
        columns += [(~column).astype(np.int64) for column in self.whole.values()]
        return columns

    def thinned(self) -> Table:
        """Without rows that another one dominates; rows that only bound chains dominate nothing."""
        if self.exact.all():
            return self.take(thinned(self.attributes()))
        exact = np.flatnonzero(self.exact)
        front = exact[thinned([column[exact] for column in self.attributes()])] if len(exact) else exact
        rest = np.flatnonzero(~self.exact)
        columns = np.stack(self.attributes(), axis=1)
        return self.take(np.sort(np.concatenate([front, rest[~beaten(columns[rest], columns[front])]])))


def group_table(
    item: Structure, order: OrderClass, group: int, grids: Mapping[str, Grid], floors: Mapping[str, tuple[int, ...]]
) -> Table:
    """Chains of a group under one class of orders; relaxed if it is one dimension.

    Parameters
    ----------
    item, order, group
        What is searched, the class, and the group's index in ``item.groups``.
    grids
        Sizes by dimension.
    floors
        Least tiles by dimension [units]; a missing one is free.
    """
    shapes = _shapes(item, order, group, grids, floors)
    parts = {dim: chains(replace(shape, relaxed=len(shapes) == 1)) for dim, shape in shapes.items()}
    return _table(item, group, _counted(item, order, group), grids, parts)


def expanded_table(
    item: Structure,
    order: OrderClass,
    group: int,
    grids: Mapping[str, Grid],
    floors: Mapping[str, tuple[int, ...]],
    table: Table,
) -> Table:
    """The chains that the rows of a relaxed table stand for."""
    if table.exact.all():
        return table
    ((dim, shape),) = _shapes(item, order, group, grids, floors).items()
    tiles = table.units[dim]
    tables = [cut(shape, tiles[:, table.exact]), expanded(shape, tiles[:, ~table.exact])]
    parts = {dim: joined(tables, shape)}
    return _table(item, group, _counted(item, order, group), grids, parts)


def _counted(item: Structure, order: OrderClass, group: int) -> dict[int, int]:
    """Per child of the group's tensor: the outer levels whose loops count."""
    prefixes = zip(item.pairs, order.prefix, strict=True)
    return {child: prefix for (owner, child), prefix in prefixes if owner == group}


def _shapes(
    item: Structure, order: OrderClass, group: int, grids: Mapping[str, Grid], floors: Mapping[str, tuple[int, ...]]
) -> dict[str, ChainShape]:
    dims = item.groups[group]
    return {dim: shape_of(item, order, group, grids[dim], dim, floors.get(dim, ())) for dim in dims}


def shape_of(
    item: Structure, order: OrderClass, group: int, grid: Grid, dim: str, floor: tuple[int, ...]
) -> ChainShape:
    """The chains of one dimension that costs can tell apart."""
    prefixes = {prefix for (owner, _), prefix in zip(item.pairs, order.prefix, strict=True) if owner == group}
    levels = item.levels
    has_serial = any(tile.serial is not None for tile in item.tiles)
    return ChainShape(
        grid.units,
        grid.last,
        order.forced(group),
        tuple(any(tile.level == level and dim in tile.dims for tile in item.tiles) for level in range(1, levels)),
        tuple(level in prefixes or level == levels for level in range(1, levels + 1)),
        grid.perfect,
        has_serial,
        floor,
        grid.allowed,
        grid.trips,
        grid.coarse,
        every=any(dim in slide.dims for slide in item.slides),
    )


def _table(
    item: Structure, group: int, counted: Mapping[int, int], grids: Mapping[str, Grid], parts: Mapping[str, Chains]
) -> Table:
    lengths = [len(chain) for chain in parts.values()]
    rows = prod(lengths)
    if rows > LARGEST_GROUP:
        raise MappingError(
            f"{rows:,} combinations of tiles of {', '.join(parts)}, more than {LARGEST_GROUP:,}; "
            "take perfect factors or coarser units"
        )
    index = np.indices(lengths).reshape(len(lengths), -1) if lengths else np.zeros((0, 1), np.int64)
    part = {dim: chain.take(index[position]) for position, (dim, chain) in enumerate(parts.items())}

    def count(prefix: int) -> Floats:
        values = [chain.counts[prefix] for chain in part.values()]
        return prod(values[1:], start=values[0]).astype(np.float64) if values else np.ones(rows)

    steps = np.ones(rows)
    for dim, chain in part.items():
        grid = grids[dim]
        array = -(-grid.size // grid.array) if grid.last == 1 else chain.counts[-1]
        steps = steps * array
    visits = {(group, child): count(prefix) for child, prefix in counted.items()}
    every = {**visits, (group, item.levels + 1): steps}
    added = {} if group == 0 and item.slides else every  # words of a sliding input are no sum over groups
    extents, whole = _extents(item, grids, part, rows)
    spilled = {
        number: every[tile.spilled] > 1.0
        for number, tile in enumerate(item.tiles)
        if tile.spilled is not None and tile.spilled[0] == group
    }
    return Table(
        {dim: chain.tiles for dim, chain in part.items()},
        _sum(item.energy, added, rows),
        _stack([_sum(port, added, rows) for port in item.ports], rows),
        _stack([_sum(tile.serial, added, rows) for tile in item.tiles], rows),
        steps,
        extents,
        whole,
        spilled,
        _beyond(item, grids, part),
        np.logical_and.reduce([chain.exact for chain in part.values()]) if part else np.ones(rows, bool),
        every if group == 0 and item.slides else visits,
    )


def _extents(
    item: Structure, grids: Mapping[str, Grid], part: Mapping[str, Chains], rows: int
) -> tuple[dict[tuple[int, str], Floats], dict[tuple[int, str], Bools]]:
    """(extents of tiles as capacities count them, whether they are the whole dimension) per (level, dimension)."""
    extents: dict[tuple[int, str], Floats] = {}
    whole: dict[tuple[int, str], Bools] = {}
    for dim, chain in part.items():
        for level in range(1, len(item.kept)):
            tiles = [tile for tile in item.tiles if tile.level == level and dim in tile.dims]
            if not tiles:
                continue
            inside = level >= item.levels  # one element in each instance
            sizes = np.ones(rows, np.int64) if inside else grids[dim].elements(chain.tiles[level - 1])
            block = 1 if inside else item.blocks[level].get(dim, 1)
            extents[level, dim] = (-(-sizes // block) * block).astype(np.float64)
            if any(tile.serial is not None for tile in tiles):
                whole[level, dim] = sizes == grids[dim].size
    return extents, whole


def _beyond(item: Structure, grids: Mapping[str, Grid], part: Mapping[str, Chains]) -> dict[tuple[int, str], Floats]:
    """What tiles of sliding dimensions have beyond the overlap, for every copy of the input."""
    children = [level for level in range(1, item.levels) if "input" in item.kept[level]]
    found = {}
    for slide in item.slides:
        for dim, overlap in zip(slide.dims, slide.overlap, strict=True):
            for child in children if dim in part else ():
                tiles = Cut.whole(grids[dim].size)
                for level in range(child):
                    tiles = tiles.cut(grids[dim].elements(part[dim].tiles[level]).astype(np.float64), True)
                pieces = [(np.maximum(size - overlap, 0.0), many) for size, many in tiles.classes]
                found[child, dim] = np.broadcast_to(np.asarray(weighted(pieces)), (len(part[dim]),))
    return found


def _sum(line: Affine | None, visits: Mapping[Pair, Floats], rows: int) -> Floats:
    """The group's part of an affine cost."""
    total = np.zeros(rows)
    for pair, weight in line.terms if line is not None else ():
        if pair in visits:
            total += weight * visits[pair]
    return total


def _stack(columns: Sequence[Floats], rows: int) -> Floats:
    return np.stack(columns) if columns else np.zeros((0, rows))
