"""Rows measured in Verilator (``gemmini_rtl.csv``): each test becomes the program that was timed.

The measured programs ended in a fence; operands lie page-aligned one after the other. Rows of whole products also
contain the core's work before the first hardware loop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.lowering.gemmini_library import Product, Tiling, auto_tiling, library_call, tiled
from mapper.validation.measured.command_streams import STREAMS
from mapper.validation.measured.rows import ValidationError, whole
from simulator.frontend.loop_unroller import blocks
from simulator.program import (
    EVERYTHING_ON_CHIP,
    Activation,
    Command,
    Fence,
    HostTask,
    Item,
    Matrix,
    Mvin,
    Mvout,
    Program,
)
from workloads.ops.matrices import MatrixAxes

Row = dict[str, str]

REQUIRED = (
    "gemmini_config", "test", "M", "N", "K", "tile_i", "tile_j", "tile_k", "n_ops", "rows", "cols", "stride_bytes",
    "state", "dram_latency", "cycles",
)  # fmt: skip
"""Columns a file of this kind must have."""

PAGE, LINE = 4096, 64
"""Alignment of the operands of products, and of those of command streams [bytes]."""


class NotModelled(ValidationError):
    """A row of a kind that is listed, not run."""


@dataclass(frozen=True, slots=True)
class CallCost:
    """Core cycles before the first hardware loop: with a given tile; with a search, and per round of it."""

    given_tile: int
    searched: int
    per_round: float


@dataclass(frozen=True, slots=True)
class Operands:
    """Operands of one product of a sequence."""

    a: int
    c: int


@dataclass(frozen=True, slots=True)
class Built:
    """A timed program and the end of the memory it uses."""

    program: Program
    end: int


def identity(row: Row) -> tuple[str, ...]:
    """What makes a ``repeat`` row the repetition of an earlier one.

    ``mvout_spad`` rows write where the ``mvout_acc_int8`` row of their shape wrote: "cold" ones take as long as warm
    ones.
    """
    test = re.sub(r"^mvout_spad$", "mvout_acc_int8", row["test"])
    names = ("M", "N", "K", "tile_i", "tile_j", "tile_k", "n_ops", "rows", "cols", "stride_bytes")
    return (test, *(row.get(name, "") for name in (*names, "offset_bytes", "group", "part")))


def build(row: Row, spec: HardwareSpec, base: int, cost: CallCost, sequence: dict[str, Operands]) -> Built:
    """The timed program of a row.

    Parameters
    ----------
    row
        One measurement.
    spec
        The machine.
    base
        Where its operands start.
    cost
        Core cycles of a library call in the measuring program.
    sequence
        Operands of the latest part of each group of products; updated.
    """
    test = row["test"]
    if re.match(r"loop_ws_|seq_part", test):
        return _product(row, spec, base, cost, sequence)
    if test.startswith("resadd_auto"):
        return _residual(row, spec, base, cost)
    for pattern, stream in STREAMS:
        if re.fullmatch(pattern, test):
            commands = stream(row, spec, base)
            reach = [_reach(command) for command in commands if isinstance(command, (Mvin, Mvout))]
            items: list[Item] = [*commands, Fence()]
            # The streams were timed on whatever the memories and the array held.
            program = Program(test, tuple(items), preloaded=EVERYTHING_ON_CHIP)
            return Built(program, _aligned(max(reach, default=base), LINE))
    raise NotModelled(f"test {test!r} is not modelled")


def _reach(command: Mvin | Mvout) -> int:
    matrix = command.source if isinstance(command, Mvin) else command.target
    return matrix.address + command.rows * max(matrix.row_stride_bytes, command.cols * command.element_bits // 8)


@dataclass(frozen=True, slots=True)
class _Suffixes:
    """What the suffixes of a product's name say."""

    b_axes: MatrixAxes
    c_full: bool
    bias: str
    activation: Activation
    strides: dict[str, int]


def _suffixes(test: str) -> _Suffixes:
    activation: Activation = "none"
    if "_relu" in test:
        activation = "relu"
    elif "_softmax" in test:
        activation = "softmax"
    elif "_layernorm" in test:
        activation = "layernorm"
    return _Suffixes(
        b_axes=("n", "k") if "_Btransposed" in test else ("k", "n"),
        c_full="_fullC32" in test,
        bias="matrix" if "_bias32" in test else "row" if "_rowbias" in test else "",
        activation=activation,
        strides={key: int(value) for key, value in re.findall(r"_s([ABC])(\d+)", test)},
    )


def _page(size: int) -> int:
    return _aligned(size, PAGE)


def _aligned(size: int, to: int) -> int:
    return -(-size // to) * to


def _product(row: Row, spec: HardwareSpec, base: int, cost: CallCost, sequence: dict[str, Operands]) -> Built:
    m, n, k = (whole(row, column) for column in "MNK")
    suffix = _suffixes(row["test"])
    b_rows, b_cols = ({"m": m, "k": k, "n": n}[dim] for dim in suffix.b_axes)
    stride_a = suffix.strides.get("A", k)
    stride_b = suffix.strides.get("B", b_cols)
    stride_c = suffix.strides.get("C", n) * (spec.array.sum_bytes if suffix.c_full else 1)
    a = base
    b = a + _page(m * stride_a)
    d = b + _page(b_rows * stride_b)
    c = d + (_page(m * n * spec.array.sum_bytes) if suffix.bias else 0)
    group = row.get("group", "")
    if group and group in sequence and whole(row, "part") > 1:
        a = sequence[group].a if group.startswith("qkv") else sequence[group].c
    if group:
        sequence[group] = Operands(a, c)
    product = Product(
        m=m,
        k=k,
        n=n,
        a=Matrix(a, stride_a),
        b=Matrix(b, stride_b),
        c=Matrix(c, stride_c),
        d=Matrix(d, 0 if suffix.bias == "row" else n * spec.array.sum_bytes) if suffix.bias else None,
        b_axes=suffix.b_axes,
        c_full=suffix.c_full,
        activation=suffix.activation,
    )
    return Built(_call(product, row, spec, cost), c + _page(m * stride_c))


def _call(product: Product, row: Row, spec: HardwareSpec, cost: CallCost) -> Program:
    """The library call of a product row."""
    test = row["test"]
    whole_rows = kernel_named(product.activation).whole_rows
    searched = auto_tiling(product.m, product.k, product.n, spec, whole_rows=whole_rows)
    given = searched
    if row["tile_i"]:
        given = Tiling(*(whole(row, column) for column in ("tile_i", "tile_j", "tile_k")))
    if test.startswith("loop_ws_single"):
        loop = replace(tiled(product, given, spec)[0], whole_memory=True)
        return Program(test, (HostTask("loop call", cost.given_tile), loop, Fence()))
    rounds = round(cost.per_round * searched.rounds)
    software = cost.given_tile if test.startswith("loop_ws_tile") else cost.searched + rounds
    return library_call(product, given, spec, software)


def _residual(row: Row, spec: HardwareSpec, base: int, cost: CallCost) -> Built:
    """Residual addition: per tile A into the accumulator, B added to it, the sum out.

    The library takes the whole accumulator, and shrinks its tile by one row or column at a time until it fits. The
    default SoC's issues three commands per segment of up to four blocks from the core; that of the second SoC is one
    hardware loop per tile, whose stores the single port keeps apart from its loads.
    """
    m, n = whole(row, "M"), whole(row, "N")
    side, looped = spec.array.rows, spec.front_end.keeps_operands
    a, b = Matrix(base, n), Matrix(base + _page(m * n), n)
    c = Matrix(b.address + _page(m * n), n)
    tile_m, tile_n, steps = residual_tile(m, n, spec)
    items: list[Item] = [HostTask("library call", cost.given_tile + round(cost.per_round * steps))]
    for m0 in range(0, m, tile_m):
        for n0 in range(0, n, tile_n):
            rows, cols = min(tile_m, m - m0), min(tile_n, n - n0)
            segments = _segments(m0, n0, rows, cols, spec.dma.max_request_bytes, side)
            loads, stores = _sums(segments, (a, b, c), blocks(cols, side), spec)
            if looped:
                items += [*loads, Fence(), *stores, Fence()]
            else:
                items += [item for trio in zip(loads[::2], loads[1::2], stores, strict=True) for item in trio]
    return Built(Program("resadd", (*items, Fence())), c.address + _page(m * n))


def residual_tile(m: int, n: int, spec: HardwareSpec) -> tuple[int, int, int]:
    """Rows and columns of the library's tile of a residual addition, and the steps of its search."""
    side, most = spec.array.rows, spec.accumulator.rows // spec.array.rows
    rows, cols, steps = m, n, 0
    while blocks(rows, side) * blocks(cols, side) > most:
        rows, cols, steps = (rows - 1, cols, steps + 1) if rows > cols else (rows, cols - 1, steps + 1)
    return rows, cols, steps


@dataclass(frozen=True, slots=True)
class _Segment:
    """A piece of a tile that one command moves: its place in the matrix and in the tile [elements]."""

    row: int
    col: int
    rows: int
    cols: int
    tile_row: int
    tile_col: int


def _segments(m0: int, n0: int, rows: int, cols: int, width: int, side: int) -> list[_Segment]:
    return [
        _Segment(m0 + i, n0 + j, min(side, rows - i), min(width, cols - j), i, j)
        for i in range(0, rows, side)
        for j in range(0, cols, width)
    ]


def _sums(
    segments: list[_Segment], operands: tuple[Matrix, Matrix, Matrix], blocks_wide: int, spec: HardwareSpec
) -> tuple[list[Command], list[Command]]:
    """Loads of A and B of each segment, and the stores of their sums."""
    side, (a, b, c) = spec.array.rows, operands
    loads: list[Command] = []
    stores: list[Command] = []
    for part in segments:
        at, size = part.row * a.row_stride_bytes + part.col, (part.rows, part.cols)
        where = (part.tile_row // side * blocks_wide + part.tile_col // side) * side
        for matrix, add in ((a, False), (b, True)):
            source = Matrix(matrix.address + at, matrix.row_stride_bytes)
            loads.append(Mvin(source, *size, "accumulator", where, 8, accumulate=add))
        stores.append(Mvout(Matrix(c.address + at, c.row_stride_bytes), *size, "accumulator", where))
    return loads, stores
