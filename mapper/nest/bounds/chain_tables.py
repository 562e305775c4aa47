"""Per reuse group, the chains that may be part of an optimum, with what they contribute to every cost.

A row stands for one chain of the group's dimension (one per dimension, where a group has several). Costs and room grow
with every column but two that are the better the larger they are: whole tiles, and what exceeds halos. So the columns'
best values together bound all rows, and a row that is no better in any column than another can be dropped without
losing an optimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from mapper.errors import MappingError
from mapper.nest.bounds.chain_shape import Chains, ChainShape
from mapper.nest.bounds.order_classes import OrderClass
from mapper.nest.bounds.pareto import beaten, thinned
from mapper.nest.bounds.reuse_structure import Affine, Pair, ReuseStructure
from mapper.nest.bounds.tile_chains import chains, cut, expanded, joined
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.model.reuse_groups import COMMON
from mapper.nest.model.tile_counts import TileCounts, weighted
from simulator.arrays import Bools, Floats, Ints

LARGEST_GROUP = 4_000_000
"""Rows of a table above which a search is refused: about a gigabyte of columns."""


@dataclass(frozen=True, slots=True)
class ChainTable:
    """One row per chain (per combination of chains, for a group of several dimensions)."""

    units: Mapping[str, Ints]
    """Per dimension (levels - 1, rows): tiles [units]."""
    energy: Floats
    loads: Floats
    """(ports, rows)."""
    serial: Floats
    """(copies, rows)."""
    steps: Floats
    """Trips of all loops: factor of the array's steps."""
    extents: Mapping[tuple[int, str], Floats]
    """Tile extents as capacities count them, per (level, dimension)."""
    whole: Mapping[tuple[int, str], Bools]
    """Whether the tile is the whole dimension, per (level, dimension)."""
    spilled: Mapping[int, Bools]
    """Per copy of the output: whether partial sums come there."""
    beyond: Mapping[tuple[int, str], Floats]
    """Per (child, sliding dimension): sum over tiles of what exceeds the overlap; the more the better."""
    exact: Bools
    """Whether a row is a combination of chains; otherwise it bounds some."""
    visits: Mapping[Pair, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.energy)

    def take(self, rows: Ints | Bools) -> ChainTable:
        """Return rows in the shape of an index array."""
        return ChainTable(
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

    def ideal(self) -> ChainTable:
        """Return one row that is as good as the best in every column: what an undecided group adds to a bound."""
        return ChainTable(
            {},
            self.energy.min(keepdims=True),
            self.loads.min(axis=1, keepdims=True),
            self.serial.min(axis=1, keepdims=True),
            self.steps.min(keepdims=True),
            {key: column.min(keepdims=True) for key, column in self.extents.items()},
            {key: column.max(keepdims=True) for key, column in self.whole.items()},
            {key: column.min(keepdims=True) for key, column in self.spilled.items()},
            {key: column.max(keepdims=True) for key, column in self.beyond.items()},
            np.zeros(1, bool),  # the best of different rows is no chain
            {key: column.min(keepdims=True) for key, column in self.visits.items()},
        )

    def _attributes(self) -> list[Floats | Ints]:
        """Columns that decide dominance, each to be small: energy, loads and room are functions of them."""
        # Every cost and every room is a non-decreasing function of these and of the other groups' rows alone: a row
        # that is no better in any of them is no better in any combination.
        columns: list[Floats | Ints] = [*self.extents.values(), *self.visits.values(), self.steps]
        columns += [column.max(initial=0.0) - column for column in self.beyond.values()]
        columns += [(~column).astype(np.int64) for column in self.whole.values()]
        return columns

    def thinned(self) -> ChainTable:
        """Return the rows that no other one dominates.

        A row that only bounds chains dominates nothing: it need not be attained by any. It may be dominated, and then
        so are all chains that it stands for.
        """
        if self.exact.all():
            return self.take(thinned(self._attributes()))
        exact = np.flatnonzero(self.exact)
        front = exact[thinned([column[exact] for column in self._attributes()])] if len(exact) else exact
        rest = np.flatnonzero(~self.exact)
        columns = np.stack(self._attributes(), axis=1)
        return self.take(np.sort(np.concatenate([front, rest[~beaten(columns[rest], columns[front])]])))


@dataclass(frozen=True, slots=True)
class GroupTables:
    """Makes the tables of one structure under one class of orders."""

    structure: ReuseStructure
    order: OrderClass
    grids: Mapping[str, Grid]
    """Sizes by dimension."""
    smallest: Mapping[str, tuple[int, ...]]
    """Smallest tiles worth a look by dimension [units]; a missing one is free."""

    def relaxed(self, group: int) -> ChainTable:
        """Return the chains of a group; with rows that bound many where it is one dimension.

        Those of the common dimensions are taken one by one, so each is a chain.
        """
        shapes = self._shapes(group)
        parts = {
            dim: chains(replace(shape, relaxed=len(shapes) == 1 and group != COMMON)) for dim, shape in shapes.items()
        }
        return self._table(group, parts)

    def expanded(self, group: int, table: ChainTable) -> ChainTable:
        """Return the chains that the rows of a relaxed table stand for."""
        if table.exact.all():
            return table
        # Only groups of one dimension are relaxed. Exact rows are chains already and are only cut once more.
        ((dim, shape),) = self._shapes(group).items()
        tiles = table.units[dim]
        tables = [cut(shape, tiles[:, table.exact]), expanded(shape, tiles[:, ~table.exact])]
        return self._table(group, {dim: joined(tables, shape)})

    def _counted(self, group: int) -> dict[int, int]:
        """Per child of the group's tensor: the outer levels whose loops count."""
        prefixes = zip(self.structure.pairs, self.order.prefix, strict=True)
        return {child: prefix for (owner, child), prefix in prefixes if owner == group}

    def _shapes(self, group: int) -> dict[str, ChainShape]:
        return {dim: self._shape(group, dim) for dim in self.structure.groups[group]}

    def _shape(self, group: int, dim: str) -> ChainShape:
        """The chains of one dimension that costs can tell apart."""
        structure, grid = self.structure, self.grids[dim]
        prefixes, levels = set(self._counted(group).values()), self.structure.levels
        return ChainShape(
            grid.units,
            grid.last,
            self.order.forced(group),
            tuple(
                any(copy.level == level and dim in copy.dims for copy in structure.copies) for level in range(1, levels)
            ),
            # A count that no pair's prefix ends at is seen by no cost; the array's steps see the last one.
            tuple(level in prefixes or level == levels for level in range(1, levels + 1)),
            grid.perfect,
            any(copy.serial is not None for copy in structure.copies),
            self.smallest.get(dim, ()),
            grid.allowed,
            grid.trips,
            grid.coarse,
            every=any(dim in axis.dims for axis in structure.sliding),
        )

    def _table(self, group: int, parts: Mapping[str, Chains]) -> ChainTable:
        structure, grids = self.structure, self.grids
        rows = _combinations(parts)
        part = _crossed(parts)
        steps = _array_steps(grids, part, rows)
        visits = {(group, child): _visits(part, prefix, rows) for child, prefix in self._counted(group).items()}
        every = {**visits, (group, structure.multipliers): steps}
        slides = group == 0 and bool(structure.sliding)
        # The words of a sliding input are no sum over groups (halos multiply them): its visits are kept, and
        # `mapper.nest.bounds.combine` adds what they cost.
        added = {} if slides else every
        extents, whole = _extents(structure, grids, part, rows)
        return ChainTable(
            {dim: chain.tiles for dim, chain in part.items()},
            _weighed(structure.energy, added, rows),
            _stacked([_weighed(port, added, rows) for port in structure.ports], rows),
            _stacked([_weighed(copy.serial, added, rows) for copy in structure.copies], rows),
            steps,
            extents,
            whole,
            _spilled(structure, group, every),
            _beyond(structure, grids, part),
            np.logical_and.reduce([chain.exact for chain in part.values()]) if part else np.ones(rows, bool),
            every if slides else visits,
        )


def _combinations(parts: Mapping[str, Chains]) -> int:
    """How many combinations of chains there are, one per dimension; too many are refused."""
    rows = prod(len(chain) for chain in parts.values())
    if rows > LARGEST_GROUP:
        raise MappingError(
            f"{rows:,} combinations of tiles of {', '.join(parts)}, more than {LARGEST_GROUP:,}; "
            "take perfect factors or coarser units"
        )
    return rows


def _crossed(parts: Mapping[str, Chains]) -> dict[str, Chains]:
    """The chains of every dimension, one row per combination."""
    if not parts:
        return {}
    index = np.indices([len(chain) for chain in parts.values()]).reshape(len(parts), -1)
    return {dim: chain.take(index[position]) for position, (dim, chain) in enumerate(parts.items())}


def _visits(part: Mapping[str, Chains], prefix: int, rows: int) -> Floats:
    """Tiles after ``prefix`` counted levels: dimensions of one group multiply."""
    counts = [chain.counts[prefix] for chain in part.values()]
    return prod(counts[1:], start=counts[0]).astype(np.float64) if counts else np.ones(rows)


def _array_steps(grids: Mapping[str, Grid], part: Mapping[str, Chains], rows: int) -> Floats:
    """Trips of all loops over the group's dimensions."""
    steps = np.ones(rows)
    for dim, chain in part.items():
        grid = grids[dim]
        # A unit of whole array tiles is never cut across one: every chain takes ceil(D / array) steps.
        steps = steps * (-(-grid.size // grid.array) if grid.last == 1 else chain.counts[-1])
    return steps


def _spilled(structure: ReuseStructure, group: int, visits: Mapping[Pair, Floats]) -> dict[int, Bools]:
    """Partial sums come to a copy exactly if it is visited more than once."""
    return {
        number: visits[copy.spill_pair] > 1.0
        for number, copy in enumerate(structure.copies)
        if copy.spill_pair is not None and copy.spill_pair[0] == group
    }


def _extents(
    structure: ReuseStructure, grids: Mapping[str, Grid], part: Mapping[str, Chains], rows: int
) -> tuple[dict[tuple[int, str], Floats], dict[tuple[int, str], Bools]]:
    """(extents of tiles as capacities count them, whether they are the whole dimension) per (level, dimension)."""
    extents: dict[tuple[int, str], Floats] = {}
    whole: dict[tuple[int, str], Bools] = {}
    for dim, chain in part.items():
        for level in range(1, len(structure.kept)):
            copies = [copy for copy in structure.copies if copy.level == level and dim in copy.dims]
            if not copies:
                continue
            is_register = level >= structure.levels  # one element in each instance
            sizes = np.ones(rows, np.int64) if is_register else grids[dim].elements(chain.tiles[level - 1])
            block = 1 if is_register else structure.blocks[level].get(dim, 1)
            extents[level, dim] = (-(-sizes // block) * block).astype(np.float64)
            # Only where a missing second copy takes time does it pay to keep a tensor whole.
            if any(copy.serial is not None for copy in copies):
                whole[level, dim] = sizes == grids[dim].size
    return extents, whole


def _beyond(
    structure: ReuseStructure, grids: Mapping[str, Grid], part: Mapping[str, Chains]
) -> dict[tuple[int, str], Floats]:
    """What tiles of sliding dimensions have beyond the overlap, for every copy of the input."""
    children = [level for level in range(1, structure.levels) if "input" in structure.kept[level]]
    beyond = {}
    for axis in structure.sliding:
        for dim, overlap in zip(axis.dims, axis.overlap, strict=True):
            for child in children if dim in part else ():
                tiles = TileCounts.whole(grids[dim].size)
                for level in range(child):
                    tiles = tiles.cut(grids[dim].elements(part[dim].tiles[level]).astype(np.float64), True)
                pieces = [(np.maximum(size - overlap, 0.0), many) for size, many in tiles.classes]
                beyond[child, dim] = np.broadcast_to(np.asarray(weighted(pieces)), (len(part[dim]),))
    return beyond


def _weighed(line: Affine | None, visits: Mapping[Pair, Floats], rows: int) -> Floats:
    """The group's part of an affine cost."""
    total = np.zeros(rows)
    for pair, weight in line.terms if line is not None else ():
        if pair in visits:
            total += weight * visits[pair]
    return total


def _stacked(columns: Sequence[Floats], rows: int) -> Floats:
    return np.stack(columns) if columns else np.zeros((0, rows))
