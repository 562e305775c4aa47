"""Softmax and LayerNorm on the normalisation unit: rows into the accumulator, normalised on the way out.

    per tile of at most 16 rows    mvin of each block column, widened to 32 bits     -> one half of the accumulator
                                   one mvout with the activation: three passes       -> int8 rows in DRAM

Tiles alternate between the halves, so that a tile is loaded while the one before is normalised. A row must lie in a
half with all its blocks: when 16 rows do not fit, tiles have fewer rows; when a single one does not, the operator
stays on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.graph.capabilities import rows_per_tile
from mapper.lowering.series import Piece, Series
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Activation, Fence, HostTask, Item, Matrix, Mvin, Mvout, Program

TILES_PER_PROGRAM = 32
"""Tiles in one program of a series."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A matrix that streams through the accumulator: rows x cols from one matrix to another."""

    name: str
    activation: Activation
    rows: int
    cols: int
    source: Matrix
    source_bits: int
    target: Matrix


def row_tiles(stream: Stream, spec: HardwareSpec) -> tuple[Series, ...]:
    """Return the programs of a row-wise operator: a series of groups of tiles, and the ragged rest."""
    height = rows_per_tile(stream.cols, spec)
    group = height * TILES_PER_PROGRAM

    def make(first_row: int) -> Piece:
        rows = range(first_row, min(first_row + group, stream.rows), height)
        items: list[Item] = [call(spec)] if first_row == 0 else []
        for number, row in enumerate(rows):
            items += _tile(stream, row, min(height, stream.rows - row), number % 2, spec)
        return Piece(Program(stream.name, (*items, Fence())))

    return groups(stream.rows, group, make)


def groups(total: int, group: int, make: Callable[[int], Piece]) -> tuple[Series, ...]:
    """Cut ``total`` rows in equal groups, made by their first row, and a smaller last one."""
    whole, rest = divmod(total, group)
    series = [Series(whole, lambda index: make(index * group))] if whole else []
    if rest:
        series.append(Series(1, lambda _: make(whole * group)))
    return tuple(series)


def call(spec: HardwareSpec) -> HostTask:
    """Return the library call that starts an operator."""
    return HostTask("library call", round(spec.host.call_cycles))


def _tile(stream: Stream, row: int, rows: int, half: int, spec: HardwareSpec) -> Iterator[Item]:
    starts = range(0, stream.cols, spec.array.cols)
    base = half * (spec.accumulator.rows // 2)
    pitch = min(spec.array.rows, rows_per_tile(stream.cols, spec))
    yield from load_columns(stream.source, stream.source_bits, row, rows, starts, stream.cols, base, pitch, spec)
    target = Matrix(stream.target.address + row * stream.target.row_stride_bytes, stream.target.row_stride_bytes)
    yield Mvout(target, rows, stream.cols, "accumulator", base, 8, stream.activation, pitch)


def load_columns(
    source: Matrix, bits: int, row: int, rows: int, starts: range, end: int, base: int, pitch: int, spec: HardwareSpec
) -> Iterator[Mvin]:
    """Yield the mvins of some rows into the accumulator, one block column every ``pitch`` rows.

    int8 elements come several block columns at a time when the blocks lie a whole array height apart, int32 ones one
    by one.
    """
    dim = spec.array.cols
    wide = blocks_per_segment(spec) if bits <= 8 and pitch == spec.array.rows else 1
    element = bits // 8
    for number in range(0, len(starts), wide):
        col = starts[number]
        address = source.address + row * source.row_stride_bytes + col * element
        cols = min(wide * dim, end - col)
        part = Matrix(address, source.row_stride_bytes)
        yield Mvin(part, rows, cols, "accumulator", base + number * pitch, bits)
