"""Operators that stream through the accumulator: loads, and one store that applies the activation.

    per tile of at most 16 rows    mvin of each operand, block column by block column    -> one half of the accumulator
                                   one mvout with the activation                         -> int8 rows in DRAM

Tiles alternate between the halves, so that a tile is loaded while the one before is stored. A kernel that needs whole
rows (softmax, LayerNorm) gets tiles as wide as the matrix: when 16 such rows do not fit a half, tiles have fewer rows.
Other tiles are as wide as one row segment of int8, or as half of the accumulator holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hwconfigs import HardwareSpec
from hwconfigs.kernels import gathering, giving_results, kernel_named
from mapper.graph.capabilities import OPERAND_BITS, rows_per_tile
from mapper.lowering.host import call_overhead
from mapper.lowering.repeated_program import CommandInstance, RepeatedProgram
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Activation, Fence, Item, Matrix, Mvin, Mvout, Program

WHOLE_ROW_TILES = 32
"""Tiles in one instance of a program that streams whole rows."""

TILES = 64
"""Tiles in one instance of other programs, before the number is rounded down to whole rows of tiles."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix that is read, and the width of its elements in DRAM [bits]."""

    matrix: Matrix
    bits: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Operands of rows x cols, added, and an activation applied to the sum."""

    name: str
    rows: int
    cols: int
    operands: tuple[Operand, ...]
    target: Matrix
    activation: Activation = "none"
    together: int = 1
    """Neighbouring columns that one tile has to hold, such as a head of rotary embeddings."""
    stored_cols: int | None = None
    """Columns of the results, if they are fewer than those of the operands."""
    by_row: bool = False
    """Rows lie anywhere: a load brings one."""

    @property
    def side_by_side(self) -> int:
        """Operands that lie one below the other in the accumulator; the others are added as they are loaded."""
        return kernel_named(self.activation).operands

    @property
    def whole_rows(self) -> bool:
        """Whether the activation needs complete rows in the accumulator."""
        return kernel_named(self.activation).whole_rows


@dataclass(frozen=True, slots=True)
class _Tile:
    """Part of a stream that is in one half of the accumulator: its first element, its size, and that half."""

    row: int
    col: int
    rows: int
    cols: int
    half: int


def stream_programs(stream: Stream, spec: HardwareSpec) -> tuple[RepeatedProgram, ...]:
    """Return the programs of a stream: equal groups of rows of tiles, and the rows that are left."""
    if stream.whole_rows and rows_per_tile(stream.cols, spec) < 1:
        return _in_parts(stream, spec)
    width = tile_width(stream, spec)
    height = _height(stream, width, spec)
    across = -(-stream.cols // width)
    group = height * (WHOLE_ROW_TILES if stream.whole_rows else max(1, TILES // across))

    @lru_cache(maxsize=2)
    def program(first_row: int) -> Program:
        items: list[Item] = [call_overhead(spec)] if first_row == 0 else []
        for tile in _tiles(stream, range(first_row, min(first_row + group, stream.rows)), width, height):
            items += _tile_commands(stream, tile, spec)
        return Program(stream.name, (*items, Fence()))

    return _groups(stream.rows, group, program)


def _in_parts(stream: Stream, spec: HardwareSpec) -> tuple[RepeatedProgram, ...]:
    """Return the programs of rows that do not fit: all parts of some rows for their statistics, then for results.

    A vector unit keeps statistics of so many rows as it has slots; machines without one are never asked.
    """
    slots = spec.simd.statistics_slots if spec.simd is not None else 1
    height = min(spec.array.rows, slots)
    width = spec.accumulator.rows // 2 // spec.array.rows * spec.array.cols
    kernel = stream.activation
    ways = [
        replace(stream, activation=gathering(kernel), stored_cols=0),
        replace(stream, activation=giving_results(kernel)),
    ]

    @lru_cache(maxsize=2)
    def program(first_row: int) -> Program:
        items: list[Item] = [call_overhead(spec)] if first_row == 0 else []
        half = 0
        for way in ways:
            for tile in _tiles(way, range(first_row, min(first_row + height, stream.rows)), width, height):
                items += _tile_commands(way, replace(tile, half=half), spec)
                half = 1 - half
        return Program(stream.name, (*items, Fence()))

    return _groups(stream.rows, height, program)


def tile_width(stream: Stream, spec: HardwareSpec) -> int:
    """Columns of a tile: all of them, or one row segment of int8, or what fits half of the accumulator."""
    if stream.whole_rows:
        return stream.cols
    half = spec.accumulator.rows // 2 // spec.array.rows // stream.side_by_side
    width = max(1, min(blocks_per_segment(spec), half)) * spec.array.cols
    return max(1, width // stream.together) * stream.together


def _is_part(stream: Stream) -> bool:
    return kernel_named(stream.activation).part_of != ""


def _height(stream: Stream, width: int, spec: HardwareSpec) -> int:
    """Rows of a tile, all operands of which lie in half of the accumulator."""
    return rows_per_tile(-(-width // spec.array.cols) * spec.array.cols * stream.side_by_side, spec)


def _groups(total: int, group: int, program: Callable[[int], Program]) -> tuple[RepeatedProgram, ...]:
    """Cut ``total`` rows in equal groups, made from their first row, and a smaller last one."""
    whole, rest = divmod(total, group)

    def instance(number: int) -> CommandInstance:
        # The first one calls the library; all others are the second one, so many rows further down.
        return CommandInstance(program(min(number, 1) * group), max(number - 1, 0) * group)

    programs = [RepeatedProgram(whole, instance)] if whole else []
    if rest:
        programs.append(RepeatedProgram(1, lambda _: CommandInstance(program(whole * group))))
    return tuple(programs)


def _tiles(stream: Stream, rows: range, width: int, height: int) -> Iterator[_Tile]:
    """Yield the tiles of some rows, row by row, in alternating halves."""
    half = 0
    for row in rows[::height]:
        for col in range(0, stream.cols, width):
            yield _Tile(row, col, min(height, stream.rows - row), min(width, stream.cols - col), half)
            half = 1 - half


def _tile_commands(stream: Stream, tile: _Tile, spec: HardwareSpec) -> Iterator[Item]:
    """Yield the commands of a tile: the first of several operands is brought to the scale of the next, which adds."""
    base = tile.half * (spec.accumulator.rows // 2)
    # Blocks of a row lie one below the other, as far apart as a tile has rows, so that the widest rows just fit.
    pitch = _height(stream, tile_width(stream, spec), spec) if not _is_part(stream) else spec.array.rows
    height = -(-tile.cols // spec.array.cols) * pitch
    for number in range(len(stream.operands)):
        below = base + number * height if stream.side_by_side > 1 else base
        yield from _loads(stream, number, tile, below, pitch, spec)
    stored = tile.cols if stream.stored_cols is None else stream.stored_cols
    yield Mvout(
        stream.target.part(tile.row, tile.col),
        tile.rows,
        stored,
        "accumulator",
        base,
        OPERAND_BITS,
        stream.activation,
        pitch if stream.whole_rows or pitch != spec.array.rows else None,
        None if stored == tile.cols else tile.cols,
    )


def _loads(stream: Stream, number: int, tile: _Tile, base: int, pitch: int, spec: HardwareSpec) -> Iterator[Mvin]:
    """Yield the mvins of a tile of one operand, one block column every ``pitch`` rows of the accumulator.

    int8 elements come several block columns at a time when the blocks lie a whole array height apart, int32 ones one
    by one.
    """
    operand, summed = stream.operands[number], len(stream.operands) > stream.side_by_side
    # The scaler of the loads brings the first of two summands to the scale of the next, or weights all of them.
    scaled = summed and operand.bits <= OPERAND_BITS and (number == 0 or stream.by_row)
    element_bytes = operand.bits // 8
    blocks = blocks_per_segment(spec) if operand.bits <= OPERAND_BITS and pitch == spec.array.rows else 1
    width = blocks * spec.array.cols
    height = 1 if stream.by_row else tile.rows
    for row in range(0, tile.rows, height):
        for block, col in enumerate(range(0, tile.cols, width)):
            yield Mvin(
                operand.matrix.part(tile.row + row, tile.col + col, element_bytes),
                height,
                min(width, tile.cols - col),
                "accumulator",
                base + row + block * blocks * pitch,
                operand.bits,
                summed and number > 0,
                scaled,
            )
