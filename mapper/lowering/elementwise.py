"""Elementwise operators on the accelerator: residual additions and activations that could not be fused.

per tile of 16 rows x 64 columns    mvin A, scaled to B's scale        -> one half of the accumulator
                                    mvin B, accumulating (additions)
                                    mvout, requantised, with the activation

A tile has fewer columns when half of the accumulator holds less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.lowering.rowwise import TILES_PER_PROGRAM, call, groups, load_columns
from mapper.lowering.series import Piece, Series
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Activation, Fence, Item, Matrix, Mvin, Mvout, Program


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One or two matrices of rows x cols, added, then passed through an activation."""

    name: str
    rows: int
    cols: int
    operands: tuple[Matrix, ...]
    operand_bits: tuple[int, ...]
    target: Matrix
    activation: Activation = "none"


def tile_width(spec: HardwareSpec) -> int:
    """Columns of a tile: one row segment of int8, or what fits half of the accumulator (at least a block)."""
    return min(blocks_per_segment(spec), spec.accumulator.rows // 2 // spec.array.rows) * spec.array.cols


def elementwise_series(operation: Elementwise, spec: HardwareSpec) -> tuple[Series, ...]:
    """Return the programs of an elementwise operator, in groups of whole row blocks."""
    width = tile_width(spec)
    across = -(-operation.cols // width)
    height = spec.array.rows
    group = height * max(1, TILES_PER_PROGRAM * 2 // across)

    def make(first_row: int) -> Piece:
        items: list[Item] = [call(spec)] if first_row == 0 else []
        number = 0
        for row in range(first_row, min(first_row + group, operation.rows), height):
            for col in range(0, operation.cols, width):
                items += _tile(operation, row, col, number % 2, spec)
                number += 1
        return Piece(Program(operation.name, (*items, Fence())))

    return groups(operation.rows, group, make)


def _tile(operation: Elementwise, row: int, col: int, place: int, spec: HardwareSpec) -> Iterator[Item]:
    dim, width = spec.array.cols, tile_width(spec)
    rows, end = min(spec.array.rows, operation.rows - row), min(col + width, operation.cols)
    base = place * (spec.accumulator.rows // 2)
    for number, (source, bits) in enumerate(zip(operation.operands, operation.operand_bits, strict=True)):
        for mvin in load_columns(source, bits, row, rows, range(col, end, dim), end, base, spec.array.rows, spec):
            yield _operand(mvin, first=number == 0, alone=len(operation.operands) == 1)
    target = operation.target
    place_out = Matrix(target.address + row * target.row_stride_bytes + col, target.row_stride_bytes)
    yield Mvout(place_out, rows, end - col, "accumulator", base, 8, operation.activation)


def _operand(mvin: Mvin, *, first: bool, alone: bool) -> Mvin:
    """The first of two operands is brought to the second one's scale on its way in; the second accumulates."""
    scaled = first and not alone and mvin.element_bits <= 8
    return Mvin(
        mvin.source, mvin.rows, mvin.cols, mvin.memory, mvin.row, mvin.element_bits, accumulate=not first, scaled=scaled
    )
