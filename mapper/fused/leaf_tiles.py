"""The nests of one product inside a block, as columns of tiles: which of them can be best.

Places of the two operands and of the sums come in some order, with loops between them. Only the loop in front of a
place makes its tile smaller, and a loop that does not index a tensor multiplies its words; so every other loop goes as
far in as it can. The reduction stays inside the accumulator's tile (sums leave complete). What is left, for b rows and
y columns of that tile, and a rows of the moving operand's:

    I W O   I: a x K, W: K x 1 array      moving once, stationary once per a rows, registers once per b rows
    W I O   W: K x y, I: b x K            stationary once, moving once per y columns
    I O W   I: b x K, W: one array        as I W O with a = b, in less room
    W O I   W: K x y, I: b x 1 array      as W I O, its room against the accumulator's
    O I W   I: b x 1 array, W: one array  moving once per y columns, stationary once per b rows

An operand that lies there already has no place of its own. Fewer tiles of rows are never dearer, so b is as large as
memories allow; a smaller y only costs trips. Where the accumulator's tile is shorter than a, ragged rests decide: every
a is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from mapper.fused.blocks import Kind
from simulator.arrays import Bools, Floats, Ints

Order: TypeAlias = Literal["IWO", "WIO", "IOW", "WOI", "OIW", "WO", "OW", "IO", "OI", "O"]


EVERY_TRIP = 64
"""Array widths up to which blocks of different columns are cut into every number of tiles."""


@dataclass(frozen=True)
class Room:
    """What a product may use, by row of the grid. [words]"""

    scratchpad: Floats
    accumulator: Floats
    rows: int
    """Of the array."""
    cols: int


@dataclass(frozen=True)
class Tiles:
    """Some nests of one order: one column per row of the grid; zero rows where nothing fits."""

    order: Order
    outer_rows: Floats
    """Rows of the moving operand's tile."""
    rows: Floats
    """Rows of the accumulator's tile."""
    columns: Floats
    """Columns of the accumulator's tile or of the stationary operand's, whichever cut the result first."""

    @property
    def fits(self) -> Bools:
        """Whether there is such a nest."""
        result: Bools = (self.rows >= 1) & (self.outer_rows >= 1)
        return result


def orders(*, moving_is_there: bool, stationary_is_there: bool) -> tuple[Order, ...]:
    """Return the orders that can be best."""
    if moving_is_there and stationary_is_there:
        return ("O",)
    if moving_is_there:
        return ("WO", "OW")
    return ("IO", "OI") if stationary_is_there else ("IWO", "WIO", "IOW", "WOI", "OIW")


def tiles_of(order: Order, kinds: list[Kind], room: Room) -> Iterator[Tiles]:
    """Yield the nests of one order, for all rows of a grid at once."""
    block = _LargestBlock.of(kinds, room)
    if order in ("IWO", "IOW", "WO", "OW", "IO", "O"):
        taken = _fixed_words(order, block)
        per_row = block.reduced if order in ("IWO", "IOW", "IO") else 0.0 * block.reduced
        most = np.minimum(_quotient(room.scratchpad - taken, per_row), block.rows)
        rows = np.minimum(most, np.floor(room.accumulator / block.narrow))
        yield Tiles(order, most, rows, block.narrow)
        if order == "IWO":
            yield from _longer(block, most, rows)
        return
    for columns in block.column_tiles():
        accumulator = room.accumulator / (block.narrow if order == "WIO" else columns)
        per_row = block.reduced if order == "WIO" else block.piece
        taken = {
            "WIO": block.reduced * columns,
            "WOI": block.reduced * columns,
            "OIW": block.piece * block.narrow,
            "OI": 0.0 * block.piece,
        }[order]
        most = np.minimum(_quotient(room.scratchpad - taken, per_row), block.rows)
        rows = np.minimum(most, np.floor(accumulator))
        yield Tiles(order, rows, rows, columns)


@dataclass(frozen=True)
class _LargestBlock:
    """The largest block of a product, and the smallest tiles of it."""

    rows: Floats
    reduced: Floats
    columns: Floats
    narrow: Floats
    """Columns of the array, or all there are."""
    piece: Floats
    """Rows of the array, or the whole reduction."""
    array_cols: int

    @classmethod
    def of(cls, kinds: list[Kind], room: Room) -> _LargestBlock:
        rows, reduced, columns, piece = (
            np.maximum.reduce([np.where(kind.number > 0, getattr(kind, name), 0.0) for kind in kinds])
            for name in ("rows", "reduced", "columns", "piece")
        )
        return cls(rows, reduced, columns, np.minimum(columns, float(room.cols)), piece, room.cols)

    def column_tiles(self) -> Iterator[Floats]:
        """Yield the smallest tile of the columns for each number of trips."""
        units = np.ceil(self.columns / self.array_cols)
        most = int(units.max())
        constant = bool((units == units[0]).all())
        every_trip = not constant and most <= EVERY_TRIP
        for number in range(1, most + 1) if every_trip else _distinct_trips(most):
            tile = np.ceil(units / number) * self.array_cols
            yield np.minimum(tile, self.columns)


def _distinct_trips(units: int) -> list[int]:
    """Every number of trips that some tile of a dimension has."""
    return sorted({-(-units // tile) for tile in range(1, units + 1)})


def _quotient(words: Floats, per_row: Floats) -> Floats:
    """How many rows there is room for; none where not even the rest fits."""
    many = np.divide(words, per_row, out=np.full_like(words, np.inf), where=per_row > 0)
    result: Floats = np.where(words >= 0, np.floor(many), 0.0)
    return result


def _fixed_words(order: Order, block: _LargestBlock) -> Floats:
    """Words of the scratchpad that do not depend on the rows."""
    if order in ("IWO", "WO"):
        return block.reduced * block.narrow
    if order in ("IOW", "OW"):
        return block.piece * block.narrow
    return 0.0 * block.piece


def _longer(block: _LargestBlock, most: Floats, rows: Floats) -> Iterator[Tiles]:
    """Other tiles of the moving operand where it is longer than the accumulator's and shorter than the block.

    Fewer of them cost less of the stationary operand, multiples of the accumulator's rows less of the registers.
    """
    choose = np.flatnonzero((rows >= 1) & (rows < most) & (most < block.rows))
    if not len(choose):
        return
    for outer in range(int(rows[choose].min()) + 1, int(most[choose].max()) + 1):
        column = np.zeros_like(most)
        here: Ints = choose[(rows[choose] < outer) & (outer <= most[choose])]
        column[here] = outer
        yield Tiles("IWO", column, rows, block.narrow)
