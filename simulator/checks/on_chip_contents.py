"""What the rows on chip hold: which were written, and which tile of which loop they are.

A program is followed in its order, loop by loop and command by command, without values and without time. A read of
rows that no command wrote is a complaint, and so is a kept operand, or a kept sum, that is not there: never loaded,
loaded with another shape, or overwritten by a later loop.

Rows that are overwritten while an earlier command still reads them are no complaint: reservation station and loop
unroller order such commands (write after read, write after write), so the program means what its order says.

Writes start at the first column of a row, so that what has been written of a row is one number: its columns.

Most programs are long and periodic: a loop of a known kind, met in a known state, leads where it led before, and is
followed by looking that up (`DefUseCheck.repeats`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwconfigs import HardwareSpec
from simulator.checks.kept_blocks import parts_of
from simulator.frontend.loop_unroller import blocks, halves, placed, shape_of
from simulator.program import Compute, Config, Fence, HostTask, Item, MatmulLoop, Mvin, Mvout, OnChip, Preload

Columns = NDArray[np.int32]

NO_LOAD = "keeps an operand, but no loop before it loaded one"
NO_SUM = "accumulates, but the loop before it left no result in the accumulator"


PAGE_ROWS = 4096
"""Rows whose columns are kept together; pages exist from their first write on."""


class WrittenRows:
    """Columns written of each row of one on-chip memory of any size. Nothing is ever unwritten."""

    def __init__(self) -> None:
        self._pages: dict[int, Columns] = {}
        self._known: set[tuple[int, int, int]] = set()
        self._known_tiles: set[tuple[int, int, int]] = set()

    def write(self, row: int, height: int, width: int) -> None:
        """Note ``height`` rows of ``width`` columns."""
        if (row, height, width) not in self._known:
            self._widen(row, np.full(height, width, dtype=np.int32))
            self._known.add((row, height, width))

    def missing(self, row: int, height: int, width: int) -> int | None:
        """First of ``height`` rows that has not ``width`` columns written."""
        if (row, height, width) in self._known:
            return None
        at = self._first_short(row, np.full(height, width, dtype=np.int32))
        if at is None:
            self._known.add((row, height, width))
            return None
        return row + at

    def write_tile(self, row: int, height: int, width: int, side: int) -> None:
        """Note a tile of ``height`` x ``width`` elements in blocks of ``side`` x ``side``."""
        if (row, height, width) not in self._known_tiles:
            self._widen(row, tile_columns(height, width, side))
            self._known_tiles.add((row, height, width))

    def missing_in_tile(self, row: int, height: int, width: int, side: int) -> tuple[int, int] | None:
        """First row of a tile that lacks columns, and the columns it should have."""
        tile = tile_columns(height, width, side)
        at = self._first_short(row, tile)
        return None if at is None else (row + at, int(tile[at]))

    def _widen(self, row: int, columns: Columns) -> None:
        for noted, given in self._parts(row, columns):
            np.maximum(noted, given, out=noted)

    def _first_short(self, row: int, columns: Columns) -> int | None:
        done = 0
        for noted, given in self._parts(row, columns):
            short = noted < given
            if short.any():
                return done + int(short.argmax())
            done += len(noted)
        return None

    def _parts(self, row: int, columns: Columns) -> Iterator[tuple[Columns, Columns]]:
        """The noted columns of each page from ``row`` on, with those of ``columns`` that fall there."""
        done = 0
        while done < len(columns):
            page, first = divmod(row + done, PAGE_ROWS)
            if page not in self._pages:
                self._pages[page] = np.zeros(PAGE_ROWS, dtype=np.int32)
            count = min(PAGE_ROWS - first, len(columns) - done)
            yield self._pages[page][first : first + count], columns[done : done + count]
            done += count


@lru_cache(maxsize=512)
def tile_columns(height: int, width: int, side: int) -> Columns:
    """Columns of each on-chip row of a tile: blocks of ``side`` x ``side``, block rows one after the other."""
    down, across = blocks(height, side), blocks(width, side)
    rows = np.minimum(side, height - np.arange(down) * side)
    cols = np.minimum(side, width - np.arange(across) * side)
    inside = np.arange(side)[None, None, :] < rows[:, None, None]
    tile: Columns = np.where(inside, cols[None, :, None], 0).astype(np.int32).ravel()
    return tile


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A matrix on chip: where it starts, its elements, and how many blocks make one block row."""

    name: str
    row: int
    height: int
    width: int
    side: int
    end: int

    def holds(self, tile: _Tile) -> bool:
        """Whether ``tile`` is the upper left part of this one, at the same rows."""
        # Block rows follow one another: their distance matters as soon as there are two.
        same_pitch = blocks(self.width, self.side) == blocks(tile.width, self.side) or tile.height <= self.side
        inside = tile.height <= self.height and tile.width <= self.width
        return self.name == tile.name and self.row == tile.row and same_pitch and inside

    def __str__(self) -> str:
        return f"{self.name} {self.height}x{self.width}"


@dataclass(slots=True)
class _Held:
    """A tile that a loop put on chip."""

    tile: _Tile
    item: int
    overwritten_by: int | None = None
    stored: bool = False
    """A result that was stored: its rows are free."""


class DefUseCheck:
    """Follows a program item by item; ``enter`` says what is wrong with the next one."""

    def __init__(self, spec: HardwareSpec, preloaded: tuple[OnChip, ...] = (), found: tuple[range, ...] = ()) -> None:
        self._spec = spec
        self._side = spec.array.rows
        self._preloaded = preloaded
        self._rows = {"scratchpad": WrittenRows(), "accumulator": WrittenRows()}
        for rows in found:
            self._rows["scratchpad"].write(rows.start, len(rows), spec.array.cols)
        self._loops = self._stored = 0
        self._tiles: dict[tuple[str, int], _Held] = {}
        self._sums: dict[int, _Held] = {}
        self._layouts: dict[tuple[int | bool, ...], tuple[_Tile, _Tile, _Tile]] = {}
        self._preload: Preload | None = None
        self._weights = "weights" in preloaded
        self._state: int | None = None
        """Number of the state after the last loop; None: not known."""
        self._behind = False
        """The tiles below are not those of that state: loops were looked up."""
        self._numbers: dict[tuple[object, ...], int] = {}
        self._states: list[tuple[dict[tuple[str, int], _Held], dict[int, _Held], int, int]] = []
        self._steps: dict[tuple[int, int], int] = {}

    def repeats(self, kind: int) -> bool:
        """Skip a loop of a ``kind`` that was already checked in the present state; False if it must be entered.

        Loops of one kind differ by the addresses of their matrices alone. Complaints of loops entered later name other
        items than they should: enter every item to have them exact.
        """
        after = None if self._state is None else self._steps.get((self._state, kind))
        if after is None:
            return False
        self._state, self._behind = after, True
        return True

    def learn(self, before: int | None, kind: int) -> None:
        """Note where a loop that was entered without complaint leads; ``before``: `state` before it."""
        tiles = sorted((place, id(held.tile), held.overwritten_by is None) for place, held in self._tiles.items())
        sums = sorted(
            (half, id(held.tile), held.overwritten_by is None, held.stored) for half, held in self._sums.items()
        )
        name = (*tiles, *sums, self._loops % 2, self._stored % 2)
        if name not in self._numbers:
            self._numbers[name] = len(self._states)
            copied = {place: replace(held) for place, held in self._tiles.items()}
            copied_sums = {half: replace(held) for half, held in self._sums.items()}
            self._states.append((copied, copied_sums, self._loops % 2, self._stored % 2))
        self._state = self._numbers[name]
        if before is not None:
            self._steps[before, kind] = self._state

    @property
    def state(self) -> int | None:
        """Number of the present state, None if it has none."""
        return self._state

    def _catch_up(self) -> None:
        """Make the tiles those of the present state."""
        if self._behind and self._state is not None:
            tiles, sums, loops, stored = self._states[self._state]
            self._tiles = {place: replace(held) for place, held in tiles.items()}
            self._sums = {half: replace(held) for half, held in sums.items()}
            self._loops, self._stored = 2 + loops, 2 + stored
        self._behind, self._state = False, None

    def enter(self, index: int, item: Item) -> Iterator[str]:
        """Follow item ``index``, which fits the machine; yield complaints."""
        if isinstance(item, (Config, Fence, HostTask)):
            return
        self._catch_up()
        match item:
            case MatmulLoop():
                yield from self._loop(index, item)
            case Mvin():
                for row, width in self._blocks(item.row, item.cols, self._side):
                    if item.accumulate:
                        yield from self._read(item.memory, row, item.rows, width)
                    self._write(item.memory, row, item.rows, width)
            case Mvout():
                pitch = item.block_stride or self._side
                height = -(-item.columns // self._side) * pitch
                for operand in range(item.operands):
                    for row, width in self._blocks(item.row + operand * height, item.columns, pitch):
                        yield from self._read(item.memory, row, item.rows, width)
            case Preload():
                self._preload = item
                yield from self._take_weights(item)
            case Compute():
                yield from self._compute(item)

    def _blocks(self, row: int, cols: int, pitch: int) -> Iterator[tuple[int, int]]:
        """First row and columns of each block of one transfer."""
        for first in range(0, cols, self._side):
            yield row + first // self._side * pitch, min(self._side, cols - first)

    def _take_weights(self, item: Preload) -> Iterator[str]:
        if item.weights_row is not None:
            shape = (item.n, item.k) if item.weights_transposed else (item.k, item.n)
            yield from self._read("scratchpad", item.weights_row, *shape)
        elif not self._weights:
            yield "keeps the weights of the array, but no preload or loop before it loaded any" + _hint("weights")
        self._weights = True

    def _compute(self, item: Compute) -> Iterator[str]:
        shape = (item.k, item.m) if item.inputs_transposed else (item.m, item.k)
        yield from self._read("scratchpad", item.inputs_row, *shape)
        preload = self._preload
        if preload is None or (item.output_stationary and not item.last_of_output):
            return
        if preload.accumulate:
            yield from self._read(preload.result, preload.result_row, item.m, item.n)
        self._write(preload.result, preload.result_row, item.m, item.n)

    def _read(self, memory: str, row: int, height: int, width: int) -> Iterator[str]:
        if memory in self._preloaded:
            return
        at = self._rows[memory].missing(row, height, width)
        if at is not None:
            yield _unwritten(memory, at, width) + _hint(memory)
            self._rows[memory].write(row, height, width)

    def _write(self, memory: str, row: int, height: int, width: int) -> None:
        """Rows written by a single command; a loop's tile that it changes is the program's own business from now on."""
        self._rows[memory].write(row, height, width)
        held: dict[tuple[str, int], _Held] | dict[int, _Held]
        held = self._tiles if memory == "scratchpad" else self._sums
        if held:
            touched = [key for key, tile in held.items() if tile.tile.row < row + height and row < tile.tile.end]
            for key in touched:
                del held[key]  # type: ignore[arg-type]

    def _loop(self, index: int, loop: MatmulLoop) -> Iterator[str]:
        a_half, b_half, c_half = halves(loop, self._loops, self._stored)
        a, b, c = self._layout(loop, a_half, b_half, c_half)
        for matrix, half, tile in ((loop.a, a_half, a), (loop.b, b_half, b)):
            place = tile.name[0], half
            if tile is a and loop.a_kept is not None:
                yield from self._kept_inputs(loop)
            elif matrix is None:
                if "scratchpad" not in self._preloaded:
                    yield from self._keep(place, tile)
            else:
                self._load(index, place, tile)
        if loop.accumulate and loop.d is None and "accumulator" not in self._preloaded:
            yield from self._accumulate(c_half, c)
        self._sum(index, c_half, c, stored=loop.stores)
        for row, height, width in parts_of(loop.c_kept, loop.m, loop.n, self._side):
            self._rows["scratchpad"].write(row, height, width)
        self._loops += 1
        self._stored += loop.stores
        self._weights = True
        self._preload = None

    def _kept_inputs(self, loop: MatmulLoop) -> Iterator[str]:
        for row, height, width in parts_of(loop.a_kept, loop.m, loop.k, self._side):
            yield from self._read("scratchpad", row, height, width)

    def _layout(self, loop: MatmulLoop, a_half: int, b_half: int, c_half: int) -> tuple[_Tile, _Tile, _Tile]:
        key = (loop.m, loop.k, loop.n, loop.b_transposed, a_half, b_half, c_half, loop.whole_memory, loop.reserved_rows)
        if key not in self._layouts:
            where = placed(loop, shape_of(loop, self._spec), self._spec, (a_half, b_half, c_half))
            shape_b = (loop.n, loop.k) if loop.b_transposed else (loop.k, loop.n)
            name_b = "B^T" if loop.b_transposed else "B"
            self._layouts[key] = (
                self._tile("A", where.a_row, loop.m, loop.k),
                self._tile(name_b, where.b_row, *shape_b),
                self._tile("sums", where.c_row, loop.m, loop.n),
            )
        return self._layouts[key]

    def _tile(self, name: str, row: int, height: int, width: int) -> _Tile:
        end = row + blocks(height, self._side) * blocks(width, self._side) * self._side
        return _Tile(name, row, height, width, self._side, end)

    def _load(self, index: int, place: tuple[str, int], tile: _Tile) -> None:
        self._rows["scratchpad"].write_tile(tile.row, tile.height, tile.width, self._side)
        for held_at, held in self._tiles.items():
            if held_at != place and held.tile.row < tile.end and tile.row < held.tile.end:
                held.overwritten_by = index
        self._tiles[place] = _Held(tile, index)

    def _keep(self, place: tuple[str, int], tile: _Tile) -> Iterator[str]:
        held = self._tiles.get(place)
        where = f"scratchpad half {place[1]}"
        if held is None:
            missing = self._rows["scratchpad"].missing_in_tile(tile.row, tile.height, tile.width, self._side)
            if missing is not None and not self._loops:
                yield f"{NO_LOAD}: {tile} in {where}" + _hint("scratchpad")
            elif missing is not None:
                yield f"{_unwritten('scratchpad', *missing)}: keeps {tile} in {where}" + _hint("scratchpad")
        elif held.overwritten_by is not None:
            yield (
                f"keeps {tile} in {where}, but item {held.overwritten_by} has overwritten what item {held.item} loaded "
                "there; load it again or in the other half"
            )
        elif not held.tile.holds(tile):
            yield f"keeps {tile} in {where}, which holds {held.tile}, loaded by item {held.item}; load it again"

    def _accumulate(self, half: int, tile: _Tile) -> Iterator[str]:
        held = self._sums.get(half)
        if held is None:
            missing = self._rows["accumulator"].missing_in_tile(tile.row, tile.height, tile.width, self._side)
            if missing is not None:
                yield f"{NO_SUM}: {_unwritten('accumulator', *missing)}" + _hint("accumulator")
        elif held.stored or held.overwritten_by is not None:
            yield f"{NO_SUM}; only a loop without C leaves one"
        elif not held.tile.holds(tile):
            was = held.tile
            yield (
                f"accumulates {tile.height}x{tile.width} sums, but item {held.item} left {was.height}x{was.width} of "
                "them; tiles of one sum must be of one size"
            )

    def _sum(self, index: int, half: int, tile: _Tile, *, stored: bool) -> None:
        self._rows["accumulator"].write_tile(tile.row, tile.height, tile.width, self._side)
        for held_in, held in self._sums.items():
            if held_in != half and held.tile.row < tile.end and tile.row < held.tile.end:
                held.overwritten_by = index
        self._sums[half] = _Held(tile, index, stored=stored)


def _unwritten(memory: str, row: int, columns: int) -> str:
    return f"reads {memory} row {row}, columns 0..{columns - 1}, that nothing has written"


def _hint(memory: str) -> str:
    return f"; load it first, or say preloaded=({memory!r},) if it is there before the program"
