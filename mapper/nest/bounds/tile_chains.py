"""Tile chains of one dimension: those that can be part of an optimum.

A dimension of U units is cut by levels 0 .. L-1 into tiles T1 >= T2 >= ... >= TL (units; TL is the array's own). What
costs see of a chain is the tiles that some memory keeps and the tile counts c(j) after j levels that some transfer
counts, all of them the smaller the better. So

* a tile that is kept but not counted takes the next inner tile's size: least space, no inner count grows;
* a tile that is counted but not kept takes the next outer one's: least count, no space;
* a tile that is the last to be counted needs only the smallest size of each combination of counts of the tiles it cuts:
  the break points of the full tile AND of the smaller last ones. Outer tiles need every size: 8 splits 10 into fewer
  quarters of 4 than 5 does.

Tables of three free tiles have millions of rows. *Relaxed* ones have thousands: every tile is lowered to the smallest
of the same ceil(U / T), and every count to that number, which no nest can undercut. Rows that a nest attains are exact;
others stand for the nests whose tiles lie in their ranges, and are `expanded` only if a search cannot rule them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mapper.errors import MappingError
from mapper.nest.bounds.chain_shape import Chains, ChainShape
from mapper.nest.mapspace.divisions import break_points, divisors
from simulator.arrays import Bools, Ints

LARGEST_TABLE = 30_000_000
"""Rows above which a table of chains is refused: about 1.5 GB of columns."""


@dataclass(slots=True)
class _Block:
    """Neighbouring tiles that are equal in every chain of interest: one free choice."""

    first: int
    last: int
    """Levels of the outermost and the innermost of the tiles."""
    kept: bool
    counted: bool
    tied: bool
    array: bool
    """Must fit in the array's own tile."""

    def join(self, inner: _Block) -> None:
        """Take in the next block further inside."""
        self.last = inner.last
        self.kept |= inner.kept
        self.counted |= inner.counted
        self.tied |= inner.tied
        self.array |= inner.array


class _Growing:
    """Rows of partial chains, with the tiles they have cut so far by size."""

    def __init__(self, size: int, levels: int) -> None:
        self.size = size
        self.tiles: list[Ints] = [np.array([size], np.int64)]
        self.counts: list[Ints] = [np.ones(1, np.int64)]
        self.pieces: list[tuple[Ints, Ints]] = [(np.array([size], np.int64), np.ones(1, np.int64))]
        """(size, how many) of the tiles of the innermost level so far; later entries are smaller last ones."""
        self.levels = levels

    @property
    def outer(self) -> Ints:
        return self.tiles[-1]

    def repeat(self, times: Ints) -> None:
        """Repeat every row, each as often as ``times`` says."""
        if int(times.sum()) > LARGEST_TABLE:
            raise MappingError(
                f"{int(times.sum()):,} chains of tiles for a dimension of {self.size:,} units, more than "
                f"{LARGEST_TABLE:,}; take coarser units or fix a tile"
            )
        self.take(np.repeat(np.arange(len(times)), times))

    def take(self, rows: Ints | Bools) -> None:
        """Keep some rows."""
        self.tiles = [column[rows] for column in self.tiles]
        self.counts = [column[rows] for column in self.counts]
        self.pieces = [(size[rows], number[rows]) for size, number in self.pieces]

    def cut(self, tile: Ints) -> None:
        """Add a level that hands tiles of size ``tile`` inward."""
        count = np.zeros(len(tile), np.int64)
        full = np.zeros(len(tile), np.int64)
        rest: list[tuple[Ints, Ints]] = []
        for size, number in self.pieces:
            # ceil(size / tile) tiles, of which the last one is smaller where nothing divides.
            pieces, left = np.divmod(size, tile)
            full += number * pieces
            count += number * (pieces + (left > 0))
            if left.any():
                rest.append((left, np.where(left > 0, number, 0)))
        self.tiles.append(tile)
        self.counts.append(count)
        self.pieces = [(tile, full), *rest]

    def same(self) -> None:
        """Add a level with one trip."""
        self.tiles.append(self.tiles[-1])
        self.counts.append(self.counts[-1])


@lru_cache(maxsize=64)
def chains(shape: ChainShape) -> Chains:
    """Return the chains that can be part of an optimum: a superset of the Pareto-minimal ones, without repetition.

    Raises
    ------
    MappingError
        When constraints leave no short cut and the table would not fit in memory.
    """
    # A tile that is the whole dimension may do without its second copy. That is a reason for it to be large which the
    # rules below do not see, so chains that begin with whole tiles are made beside the others.
    starts = [whole for whole in range(1, shape.levels) if shape.whole and shape.kept[whole - 1]]
    tables = [_grow(shape, whole) for whole in (0, *starts)]
    tables = [table for table in tables if len(table)]
    return joined(tables, shape) if tables else _no_chains(shape)


def joined(tables: Sequence[Chains], shape: ChainShape) -> Chains:
    """Return the rows of several tables, each chain once; at least one table."""
    if len(tables) == 1:
        return tables[0]
    joined = Chains(
        np.concatenate([table.tiles for table in tables], axis=1),
        np.concatenate([table.counts for table in tables], axis=1),
        np.concatenate([table.exact for table in tables]),
    )
    return joined.take(_first_of_each(joined.tiles, shape.size))


def expanded(shape: ChainShape, rows: Ints) -> Chains:
    """Return the chains that relaxed rows stand for.

    Parameters
    ----------
    shape
        Of the relaxed table.
    rows
        (levels - 1, rows): their tiles.
    """
    tables = []
    for row in rows.T.tolist():
        counts = [-(-shape.size // tile) for tile in row]
        # The sizes t with ceil(U / t) = c are those from ceil(U / c) to ceil(U / (c - 1)) - 1.
        smallest = tuple(-(-shape.size // count) for count in counts)
        largest = tuple(-(-shape.size // (count - 1)) - 1 if count > 1 else shape.size for count in counts)
        tables.append(chains(replace(shape, relaxed=False, smallest=smallest, largest=largest)))
    return joined(tables, shape) if tables else _no_chains(shape)


def cut(shape: ChainShape, tiles: Ints) -> Chains:
    """Return the chains of given tiles, (levels - 1, rows)."""
    growing = _Growing(shape.size, shape.levels)
    growing.repeat(np.array([tiles.shape[1]], np.int64))
    for column in tiles:
        growing.cut(column)
    return _table(growing, replace(shape, relaxed=False))


def _no_chains(shape: ChainShape) -> Chains:
    empty = np.zeros((shape.levels - 1, 0), np.int64)
    return Chains(empty, np.zeros((shape.levels + 1, 0), np.int64), np.zeros(0, bool))


def _first_of_each(columns: Ints, size: int) -> Ints:
    """Rows with distinct columns, the first of each."""
    # Tiles as the digits of one number of base U + 1: 64 bits hold three of up to two million units.
    key = np.zeros(columns.shape[1], np.int64)
    for column in columns:
        key = key * (size + 1) + column
    return np.sort(np.unique(key, return_index=True)[1])


def _grow(shape: ChainShape, whole: int) -> Chains:
    """Chains whose first ``whole`` tiles are the whole dimension."""
    growing = _Growing(shape.size, shape.levels)
    blocks = _blocks(shape, whole)
    uncut = blocks[0].first - 1 if blocks else shape.levels - 1
    # Tiles outside the first free choice are the dimension: constraints must leave them so.
    if any(not _permits(shape, level, shape.size) for level in range(1, uncut + 1)):
        return _no_chains(shape)
    for _ in range(uncut):
        growing.same()
    for index, block in enumerate(blocks):
        _expand(growing, shape, block, is_last=index == len(blocks) - 1)
        for _ in range(block.first, block.last):
            growing.same()
    return _table(growing, shape)


def _permits(shape: ChainShape, level: int, tile: int) -> bool:
    sizes = shape.allowed[level - 1] if shape.allowed else None
    return (sizes is None or tile in sizes) and (not shape.largest or tile <= shape.largest[level - 1])


def _table(growing: _Growing, shape: ChainShape) -> Chains:
    """Finish a table: cut to the array's tile, apply the remaining constraints, lower the counts of a relaxed table."""
    growing.cut(np.minimum(shape.last, growing.outer))
    tiles, counts = np.stack(growing.tiles), np.stack(growing.counts)
    good = np.ones(tiles.shape[1], bool)
    if shape.forced[-1]:  # the innermost loops have one trip: the array must take the whole tile
        good &= tiles[-2] <= shape.last
    for level, bounds in enumerate(shape.trips):
        if bounds is not None:
            trips = -(-tiles[level] // tiles[level + 1])
            good &= np.isin(trips, np.array(bounds, np.int64))
    exact = np.ones(tiles.shape[1], bool)
    if shape.is_relaxed:
        # However a dimension is cut outside, tiles of T are at least ceil(U / T): a bound of every chain in the range.
        least = -(-shape.size // tiles)
        observed = np.array([False, *shape.counted[:-1], shape.counts_array])
        exact = (least == counts)[observed].all(axis=0)
        counts = np.where(exact, counts, least)
    table = Chains(tiles[1:-1], counts, exact)
    return table if good.all() else table.take(good)


def _blocks(shape: ChainShape, whole: int) -> list[_Block]:
    """Free choices, outer to inner, after the rules of the module's text; tiles outside the first are the dimension."""
    every_level = [
        _Block(level, level, shape.kept[level - 1], shape.counted[level - 1], shape.tied(level), False)
        for level in range(1, shape.levels)
    ]
    if every_level:
        every_level[-1].array = shape.forced[-1]
    blocks: list[_Block] = []
    for block in every_level:
        if blocks and shape.forced[block.first - 1]:
            blocks[-1].join(block)  # one trip: the tile is the one outside it
        else:
            blocks.append(block)
    while blocks and blocks[0].first <= max(whole, int(shape.forced[0])):
        blocks.pop(0)
    return _merged(blocks, shape.counts_array)


def _merged(blocks: list[_Block], counts_array: bool) -> list[_Block]:
    """Take out cuts that no cost wants. An outermost tile that nobody keeps becomes the whole dimension.

    Taking out a cut never raises an inner count as long as at most one cut lies further inside (the ceiling function is
    subadditive). With two it can: 16 is six pieces under steps 8, 5, 3 but seven under 5, 3.
    """
    index = len(blocks) - 1
    while index >= 0:
        block = blocks[index]
        inner = index + 1 < len(blocks)
        cuts_inside = len(blocks) - 1 - index + counts_array
        is_bound = block.tied or block.array or cuts_inside > 1
        if is_bound or (block.kept and (block.counted or not inner)):
            index -= 1
        elif inner and (block.kept or not block.counted):
            # Not counted: the next inner tile's size takes the least space and adds no cut.
            block.join(blocks.pop(index + 1))
        elif block.counted or counts_array:
            # Counted but not kept: as large as the tile outside, for the least count.
            merged = blocks.pop(index)
            if index:
                blocks[index - 1].join(merged)
            index = min(index, len(blocks)) - 1
        else:
            index -= 1
    return blocks


def _expand(growing: _Growing, shape: ChainShape, block: _Block, is_last: bool) -> None:
    """Cut every row to each tile worth trying at one block."""
    if not block.tied and is_last and (block.array or not block.counted):
        # Only the array cuts it further: least space. Below the array's own tile the passes grow.
        _try(growing, shape, block, np.arange(1, shape.last + 1, dtype=np.int64))
    elif block.tied or not is_last or shape.counts_array:
        _try(growing, shape, block, _grid(shape))
    else:
        _try_break_points(growing, shape, block)


def _grid(shape: ChainShape) -> Ints:
    """Sizes that a tile may have at all [units]."""
    if shape.coarse:
        return np.array(shape.coarse, np.int64)
    if shape.perfect:
        return np.array(divisors(shape.size), np.int64)
    if shape.is_relaxed:
        # One size for each value of ceil(U / T), the smallest: about 2 sqrt(U) instead of U.
        offsets, points = break_points(shape.size)
        return points[offsets[shape.size] : offsets[shape.size + 1]]
    return np.arange(1, shape.size + 1, dtype=np.int64)


def _limits(shape: ChainShape, block: _Block, values: Ints) -> Ints:
    """Drop the sizes that constraints or limits exclude at any level of the block."""
    for level in range(block.first, block.last + 1):
        if shape.allowed and shape.allowed[level - 1] is not None:
            values = values[np.isin(values, np.array(shape.allowed[level - 1], np.int64))]
        if shape.smallest:
            values = values[values >= shape.smallest[level - 1]]
        if shape.largest:
            values = values[values <= shape.largest[level - 1]]
    return values


def _try(growing: _Growing, shape: ChainShape, block: _Block, values: Ints) -> None:
    """Every value up to the tile outside; it must divide that with perfect factors."""
    values = _limits(shape, block, np.sort(values))
    outer = growing.outer
    if shape.perfect:
        pairs = (outer[:, None] % values[None, :] == 0) & (values[None, :] <= outer[:, None])
        rows, columns = np.nonzero(pairs)
        growing.take(rows)
        growing.cut(values[columns])
        return
    # Every row goes on with all values up to its own tile: row r is repeated times[r] times, and its copies run
    # through the values from the start.
    times = np.searchsorted(values, outer, side="right").astype(np.int64)
    growing.repeat(times)
    starts = np.cumsum(times) - times
    growing.cut(values[np.arange(int(times.sum())) - np.repeat(starts, times)])


def _try_break_points(growing: _Growing, shape: ChainShape, block: _Block) -> None:
    """The smallest value of each combination of counts.

    Only where a count changes, at the break points of one of the sizes that are cut, can a smaller tile cost more. A
    break point below a limit stands for the limit itself: the next size that has the same count.
    """
    if shape.perfect or shape.coarse or shape.is_relaxed:
        _try(growing, shape, block, _grid(shape))
        return
    levels = range(block.first - 1, block.last)
    smallest = max((shape.smallest[level] for level in levels if shape.smallest), default=1)
    largest = min((shape.largest[level] for level in levels if shape.largest), default=shape.size)
    offsets, points = break_points(shape.size)
    rows_of, values_of = [], []
    for size, number in growing.pieces:
        times = np.where(number > 0, offsets[size + 1] - offsets[size], 0)
        rows = np.repeat(np.arange(len(size)), times)
        starts = np.cumsum(times) - times
        values = points[np.arange(len(rows)) - starts[rows] + offsets[size][rows]]
        rows_of.append(rows)
        values_of.append(np.maximum(values, smallest))
    rows, values = np.concatenate(rows_of), np.concatenate(values_of)
    fits = (values <= growing.outer[rows]) & (values <= largest)
    key = np.unique(rows[fits] * (shape.size + 1) + values[fits])
    growing.take(key // (shape.size + 1))
    growing.cut(key % (shape.size + 1))
