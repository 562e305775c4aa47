"""Macro-loop unroller: from one LOOP_WS to its mvins, pairs and mvouts, in the RTL's order.

    loads   D blocks, a residual on top of them, then A and B interleaved: B first, B again while A's next k is ahead,
            else A
    pairs   for k, for j, for i: preload (new weights only at i = 0) + compute
    stores  for j in steps of one 64-byte segment, for i

A grows from the bottom of its scratchpad half, B ends at its top; the result fills the accumulator half. Sources:
LOOP_WS of ucb-bar/gemmini as described in the project's timing notes, section 5.2, and calibration notes, section 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bools, Ints
from simulator.program import MatmulLoop, Matrix
from simulator.tile_footprint import scratchpad_blocks

INPUT, WEIGHT, BIAS, RESIDUAL = 0, 1, 2, 3
"""Kinds of loads of a loop."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that decides the command order of a loop."""

    i: int
    j: int
    k: int
    blocks_per_mvin: int
    blocks_per_mvout: int
    load_a: bool
    load_b: bool
    load_d: bool
    b_transposed: bool
    load_residual: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Command order of all loops of one ``Shape``: loads as columns, pairs with the load each one needs."""

    kind: Ints
    """INPUT, WEIGHT, BIAS or RESIDUAL of each load."""
    outer: Ints
    """Row block of the DRAM matrix: i for inputs and bias, k (n when transposed) for weights."""
    inner: Ints
    """First column block: k for inputs, j (k when transposed) for weights, j for bias."""
    need: list[int]
    """Per pair: loads that must be complete before it may start (count, in load order)."""
    pair_i: Ints
    pair_j: Ints
    pair_k: Ints
    store_j: Ints
    store_i: Ints
    store_need: list[int]
    """Per mvout: index of the pair whose result completes it."""


def blocks(size: int, side: int) -> int:
    """Array blocks that cover ``size`` elements."""
    return -(-size // side)


def blocks_per_segment(spec: HardwareSpec, element_bits: int = 8) -> int:
    """Blocks moved by one mvin or mvout: as many as fit the largest request, at least one."""
    return max(1, spec.dma.max_request_bytes // (spec.array.cols * element_bits // 8))


def shape_of(loop: MatmulLoop, spec: HardwareSpec) -> Shape:
    """Shape of a loop on a machine."""
    rows, cols = spec.array.rows, spec.array.cols
    return Shape(
        i=blocks(loop.m, rows),
        j=blocks(loop.n, cols),
        k=blocks(loop.k, rows),
        blocks_per_mvin=blocks_per_segment(spec),
        blocks_per_mvout=1 if loop.c_full else blocks_per_segment(spec),
        load_a=loop.a is not None,
        load_b=loop.b is not None,
        load_d=loop.d is not None,
        load_residual=loop.residual is not None,
        b_transposed=loop.b_transposed,
    )


@lru_cache(maxsize=512)
def plan(shape: Shape) -> Plan:
    """Command order of a loop."""
    loads = _bias_order(shape) + _residual_order(shape) + _operand_order(shape)
    kind, outer, inner = (
        np.array(column, dtype=np.int64) for column in (zip(*loads, strict=True) if loads else ((),) * 3)
    )
    k, j, i = (axis.ravel() for axis in np.meshgrid(*map(np.arange, (shape.k, shape.j, shape.i)), indexing="ij"))
    steps = range(0, shape.j, shape.blocks_per_mvout)
    last = (shape.k - 1) * shape.j * shape.i
    store_j = np.repeat(np.array(steps, dtype=np.int64), shape.i)
    store_i = np.tile(np.arange(shape.i, dtype=np.int64), len(steps))
    group_end = np.minimum(store_j + shape.blocks_per_mvout, shape.j) - 1
    return Plan(
        kind=kind,
        outer=outer,
        inner=inner,
        need=_needs(shape, kind, outer, inner, i, j, k),
        pair_i=i,
        pair_j=j,
        pair_k=k,
        store_j=store_j,
        store_i=store_i,
        store_need=(last + group_end * shape.i + store_i).tolist(),
    )


def _bias_order(shape: Shape) -> list[tuple[int, int, int]]:
    if not shape.load_d:
        return []
    return [(BIAS, i, j) for j in range(shape.j) for i in range(shape.i)]


def _residual_order(shape: Shape) -> list[tuple[int, int, int]]:
    if not shape.load_residual:
        return []
    return [(RESIDUAL, i, j) for j in range(0, shape.j, shape.blocks_per_mvin) for i in range(shape.i)]


def _operand_order(shape: Shape) -> list[tuple[int, int, int]]:
    """Interleave the A and B generators by their next k."""
    step = shape.blocks_per_mvin
    a = [(INPUT, i, k) for k in range(0, shape.k, step) for i in range(shape.i)] if shape.load_a else []
    if not shape.load_b:
        b: list[tuple[int, int, int]] = []
    elif shape.b_transposed:
        b = [(WEIGHT, j, k) for k in range(0, shape.k, step) for j in range(shape.j)]
    else:
        b = [(WEIGHT, k, j) for k in range(shape.k) for j in range(0, shape.j, step)]
    order: list[tuple[int, int, int]] = []
    at_a = at_b = 0
    while at_a < len(a) or at_b < len(b):
        if (at_b == 0 and b) or at_a == len(a):
            take_b = True
        elif at_b == len(b):
            take_b = False
        else:
            k_of_b = b[at_b][2] if shape.b_transposed else b[at_b][1]
            take_b = a[at_a][2] > k_of_b
        if take_b:
            order.append(b[at_b])
            at_b += 1
        else:
            order.append(a[at_a])
            at_a += 1
    return order


def _needs(shape: Shape, kind: Ints, outer: Ints, inner: Ints, i: Ints, j: Ints, k: Ints) -> list[int]:
    """Loads each pair waits for: its A block, its B block and, at k = 0, all of D and of the residual.

    They only grow, because queues are in order.
    """
    step = shape.blocks_per_mvin
    position = np.arange(len(kind), dtype=np.int64) + 1
    need = np.zeros(len(i), dtype=np.int64)
    if shape.load_d or shape.load_residual:
        need = np.maximum(need, int((kind >= BIAS).sum()))
    if shape.load_a:
        table = np.zeros((shape.i, blocks(shape.k, step)), dtype=np.int64)
        inputs = kind == INPUT
        table[outer[inputs], inner[inputs] // step] = position[inputs]
        need = np.maximum(need, table[i, k // step])
    if shape.load_b:
        weights = kind == WEIGHT
        if shape.b_transposed:
            table = np.zeros((shape.j, blocks(shape.k, step)), dtype=np.int64)
            table[outer[weights], inner[weights] // step] = position[weights]
            need = np.maximum(need, table[j, k // step])
        else:
            table = np.zeros((shape.k, blocks(shape.j, step)), dtype=np.int64)
            table[outer[weights], inner[weights] // step] = position[weights]
            need = np.maximum(need, table[k, j // step])
    result: list[int] = np.maximum.accumulate(need).tolist()
    return result


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a loop's tiles lie on chip [rows]."""

    a_row: int
    b_row: int
    c_row: int
    a_across: int
    """Blocks of A from one of its rows of blocks to the next."""


def halves(loop: MatmulLoop, loops: int, stored: int) -> tuple[int, int, int]:
    """Scratchpad halves of A and B and the accumulator half of a loop.

    Halves alternate from loop to loop unless the loop names them, the accumulator half only after a loop that stores.

    Parameters
    ----------
    loops, stored
        Loops before this one, and how many of them stored their result.
    """
    half = 0 if loop.whole_memory else loops % 2
    return (
        half if loop.a_half is None else loop.a_half,
        half if loop.b_half is None else loop.b_half,
        0 if loop.whole_memory else stored % 2,
    )


def placed(loop: MatmulLoop, shape: Shape, spec: HardwareSpec, halves: tuple[int, int, int]) -> Placement:
    """Rows of the tiles of a loop in its halves; A is where an earlier loop left it, if one did."""
    where = placement(shape, spec, *halves, loop.whole_memory, loop.reserved_rows)
    kept = loop.a_kept
    return where if kept is None else replace(where, a_row=kept.row, a_across=kept.across)


def placement(
    shape: Shape, spec: HardwareSpec, a_half: int, b_half: int, c_half: int, whole: bool, reserved: int = 0
) -> Placement:
    """Rows of the A, B and C tiles: A from the bottom of its half, B up to the top of its half.

    A tile that may use the whole memory but fits a half lies in the first half. Reserved rows belong to no half.
    """
    side = spec.array.rows
    free = spec.scratchpad.rows - reserved
    scratchpad = free // 2
    if whole and scratchpad_blocks(shape.i, shape.k, shape.j) * side > scratchpad:
        scratchpad = free
    accumulator = spec.accumulator.rows if whole else spec.accumulator.rows // 2
    b_row = (b_half + 1) * scratchpad - shape.k * shape.j * side
    return Placement(a_half * scratchpad, b_row, c_half * accumulator, shape.k)


@dataclass(frozen=True, slots=True, eq=False)
class LoadColumns:
    """Loads of one loop: DRAM side and on-chip side (columns, in generator order)."""

    base: Ints
    rows: Ints
    size_bytes: Ints
    stride: Ints
    local_row: Ints
    local_rows: Ints
    to_accumulator: Bools
    residual: Bools
    """int8 elements on their way to the accumulator."""


def load_columns(loop: MatmulLoop, shape: Shape, spec: HardwareSpec, where: Placement) -> LoadColumns:
    """Addresses and rows of all loads of a loop."""
    order = plan(shape)
    side = spec.array.rows
    step = shape.blocks_per_mvin
    count = len(order.kind)
    columns = np.zeros((6, count), dtype=np.int64)
    wide_bits = 8 * spec.array.sum_bytes
    for kind, matrix, height, width, local, pitch, bits in (
        (INPUT, loop.a, loop.m, loop.k, where.a_row, shape.k, 8),
        (
            WEIGHT,
            loop.b,
            loop.n if shape.b_transposed else loop.k,
            loop.k if shape.b_transposed else loop.n,
            where.b_row,
            shape.k if shape.b_transposed else shape.j,
            loop.b_bits,
        ),
        (BIAS, loop.d, loop.m, loop.n, where.c_row, shape.j, wide_bits),
        (RESIDUAL, loop.residual, loop.m, loop.n, where.c_row, shape.j, 8),
    ):
        if matrix is None:
            continue
        loads = order.kind == kind
        outer, inner = order.outer[loads], order.inner[loads]
        wide = 1 if kind == BIAS else step
        row = local + (outer * pitch + inner) * side
        elements = np.minimum(width - inner * side, wide * side)
        columns[:, loads] = (
            matrix.address + outer * side * matrix.row_stride_bytes + inner * side * bits // 8,
            np.minimum(side, height - outer * side),
            -(-elements * bits // 8),
            np.full(len(outer), matrix.row_stride_bytes),
            row,
            -(-elements // side) * side,
        )
    base, rows, size, stride, local_row, local_rows = columns
    return LoadColumns(base, rows, size, stride, local_row, local_rows, order.kind >= BIAS, order.kind == RESIDUAL)


@dataclass(frozen=True, slots=True, eq=False)
class StoreColumns:
    """Mvouts of one loop (columns)."""

    base: Ints
    rows: Ints
    size_bytes: Ints
    stride: Ints
    local_row: Ints
    blocks: Ints
    columns: Ints
    """Columns of each; all of them are in ``size_bytes``, unless they stay on chip."""
    kept_row: Ints | None = None
    """First row of the scratchpad to which each goes; None: to memory."""


def store_columns(loop: MatmulLoop, shape: Shape, spec: HardwareSpec, where: Placement) -> StoreColumns:
    """Addresses and rows of all mvouts of a loop; int32 results leave one block per command."""
    order = plan(shape)
    side = spec.array.rows
    kept = loop.c_kept
    if loop.c is None and kept is None:
        empty = np.zeros(0, dtype=np.int64)
        return StoreColumns(empty, empty, empty, empty, empty, empty, empty)
    # What stays on chip has no address: the distances of its rows are those of a matrix without gaps.
    matrix = loop.c or Matrix(0, shape.j * side)
    element = spec.array.sum_bytes if loop.c_full else 1
    i, j = order.store_i, order.store_j
    width = np.minimum(loop.n - j * side, shape.blocks_per_mvout * side)
    base = matrix.address + i * side * matrix.row_stride_bytes + j * side * element
    return StoreColumns(
        base=base,
        rows=np.minimum(side, loop.m - i * side),
        size_bytes=width * element * (kept is None),
        stride=np.full(len(i), matrix.row_stride_bytes, dtype=np.int64),
        local_row=where.c_row + (i * shape.j + j) * side,
        blocks=-(-width // side),
        columns=width,
        kept_row=None if kept is None else kept.row + (i * kept.across + j) * side,
    )
