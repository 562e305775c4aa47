"""Executes a program on real numbers: does the mapped program compute the right thing?

Hardware loops are expanded by the same unroller whose work orders are timed, and every mvin, pair and mvout moves
int8 and int32 values through explicit scratchpad and accumulator arrays: a wrong address, half, order or accumulate
flag gives a wrong number. Reads of rows that nothing has written are refused as for `simulate`, see
`simulator.checks.on_chip_contents`.

    DRAM image ── mvin ──► scratchpad (int8) ── preload, compute ──► accumulator (int32) ── mvout ──► DRAM image
         └──────── mvin of int32 rows ─────────────────────────────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import Kernel, kernel_named
from simulator.arrays import Bytes, Floats, Ints
from simulator.checks.validate import check
from simulator.frontend import loop_unroller
from simulator.frontend.command_queues import Loads, Pairs
from simulator.frontend.expand import LoopExpander
from simulator.program import (
    Compute,
    HostTask,
    Item,
    KeptBlocks,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
    ProgramError,
)
from simulator.units import readout_passes


@dataclass(frozen=True, slots=True, eq=False)
class Dram:
    """Bytes of DRAM from address ``base`` on; int32 values are little-endian."""

    base: int
    data: Bytes

    def copy(self) -> Dram:
        """An independent image with the same contents."""
        return replace(self, data=self.data.copy())

    def read(self, matrix: Matrix, rows: int, cols: int, bits: int = 8) -> Ints:
        """Signed elements (rows, cols); a row stride of 0 repeats one row.

        Raises
        ------
        ProgramError
            When the matrix reaches outside the image.
        """
        where = self._where(matrix, rows, cols * (bits // 8))
        return self.data[where].view(f"<i{bits // 8}").astype(np.int64)

    def write(self, matrix: Matrix, values: Ints, bits: int = 8) -> None:
        """Store signed elements (rows, cols)."""
        where = self._where(matrix, values.shape[0], values.shape[1] * (bits // 8))
        self.data[where] = np.ascontiguousarray(values.astype(f"<i{bits // 8}")).view(np.uint8)

    def _where(self, matrix: Matrix, rows: int, row_bytes: int) -> Ints:
        first = matrix.address - self.base
        last = first + (rows - 1) * matrix.row_stride_bytes + row_bytes
        if first < 0 or last > len(self.data):
            end = self.base + len(self.data)
            raise ProgramError(
                f"DRAM bytes 0x{matrix.address:x}..0x{self.base + last - 1:x} outside 0x{self.base:x}..0x{end - 1:x}"
            )
        start = first + np.arange(rows, dtype=np.int64) * matrix.row_stride_bytes
        return start[:, None] + np.arange(row_bytes, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Scaling:
    """int8 result = saturate(round(f(accumulator value * ``input``) * ``output``)), f the activation, ties to even."""

    input: float = 1.0
    """Real value of one accumulator step."""
    output: float = 1.0
    """int8 steps of one real unit, e.g. 127 for softmax."""
    integer: bool = False
    """Evaluate activations on integers, as the unit does, and refuse what leaves its registers; otherwise the same
    polynomials are evaluated in floating point."""

    def __post_init__(self) -> None:
        for name, value in (("input", self.input), ("output", self.output)):
            if not math.isfinite(value) or value <= 0.0:
                raise ProgramError(f"scaling: {name}={value} must be a positive number")


PlacedStores: TypeAlias = Callable[[Mvout, Ints], Ints]
"""Returns what a store writes (rows, bytes) for its sums (rows, columns)."""


def execute(
    program: Program,
    memory: Dram,
    spec: HardwareSpec,
    *,
    scaling: Scaling | None = None,
    host: Callable[[HostTask, Dram], None] | None = None,
    on_chip: LocalMemories | None = None,
    placed: PlacedStores | None = None,
) -> Dram:
    """Run a program on numbers.

    Parameters
    ----------
    program
        What to execute, in program order. Rows that it declares preloaded hold zeros until it writes them.
    memory
        DRAM before the program; left as it is.
    spec
        The machine; its arrays must be int8 with int32 sums.
    scaling
        How int32 sums become int8 results; 1.0 unless given.
    host
        Called for each host task with the image to change; host tasks do nothing without it.
    on_chip
        What an earlier program left in the memories; changed. None: zeros, and forgotten.
    placed
        Returns what a store writes (rows, bytes) for its sums, where an activation has no definition on sums alone.

    Returns
    -------
    DRAM after the program.

    Raises
    ------
    ProgramError
        When the machine cannot run the program, a command reads rows that were never written, or one reaches outside
        the DRAM image; the message names it.
    """
    check(program, spec)
    if (spec.array.input_bits, spec.array.accumulator_bits) != (8, 32):
        raise ProgramError(f"{spec.name}: numbers are executed for int8 inputs with int32 sums only")
    executor = _Executor(memory.copy(), spec, scaling or Scaling(), host, on_chip or LocalMemories(spec), placed)
    for index, item in enumerate(program.items):
        try:
            executor.run(item)
        except ProgramError as problem:
            raise ProgramError(f"{program.name}: item {index} ({type(item).__name__}): {problem}") from None
    return executor.dram


class _LocalMemory:
    """Values in an on-chip memory; zero until written. Who may read what is checked before the program runs."""

    def __init__(self, rows: int, cols: int) -> None:
        self._values = np.zeros((rows, cols), dtype=np.int64)

    def write(self, row: int, values: Ints) -> None:
        height, width = values.shape
        self._values[row : row + height, :width] = values

    def read(self, row: int, height: int, width: int) -> Ints:
        return self._values[row : row + height, :width].copy()


class LocalMemories:
    """Values in the memories of a machine, by name."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._side = spec.array.rows
        self.values: dict[str, _LocalMemory] = {
            "scratchpad": _LocalMemory(spec.scratchpad.rows, spec.array.cols),
            "accumulator": _LocalMemory(spec.accumulator.rows, spec.array.cols),
        }

    def kept(self, blocks: KeptBlocks, rows: int, cols: int) -> Ints:
        """Return what lies in blocks that stay in the scratchpad (rows, cols)."""
        side, scratchpad = self._side, self.values["scratchpad"]
        parts = [
            [
                scratchpad.read(
                    blocks.part(top // side, left // side, side).row, min(side, rows - top), min(side, cols - left)
                )
                for left in range(0, cols, side)
            ]
            for top in range(0, rows, side)
        ]
        values: Ints = np.block(parts)
        return values


class _Executor:
    """State of the machine between commands."""

    def __init__(
        self,
        dram: Dram,
        spec: HardwareSpec,
        scaling: Scaling,
        host: Callable[[HostTask, Dram], None] | None,
        on_chip: LocalMemories,
        placed: PlacedStores | None,
    ) -> None:
        self.dram = dram
        self._side = spec.array.rows
        self._spec = spec
        self._scaling = scaling
        self._host = host
        self._placed = placed
        self._expander = LoopExpander(spec, readout_passes(spec))
        self._memories = on_chip.values
        self._weights: Ints = np.zeros((0, 0), dtype=np.int64)
        self._preload: Preload | None = None
        self._inside: Ints | None = None
        """Output-stationary: sums that have not left the array."""
        self._parts: list[Ints] = []
        """Parts of the long rows whose statistics the vector unit keeps."""
        self._known = 0
        """Columns of them whose results were stored."""

    def run(self, item: Item) -> None:
        match item:
            case MatmulLoop():
                self._loop(item)
            case Mvin():
                values = self.dram.read(item.source, item.rows, item.cols, item.element_bits)
                self._load(item.memory, item.row, values, accumulate=item.accumulate)
            case Mvout():
                self._mvout(item)
            case Preload():
                self._preload = item
                if item.weights_row is not None:
                    self._weights = self._operand(item.weights_row, item.k, item.n, item.weights_transposed)
            case Compute():
                self._compute(item)
            case HostTask() if self._host is not None:
                self._host(item, self.dram)
            case _:
                pass

    def _load(self, memory: str, row: int, values: Ints, accumulate: bool = False) -> None:
        """Blocks of array width one under the other."""
        for first in range(0, values.shape[1], self._side):
            self._put(memory, row + first, values[:, first : first + self._side], accumulate)

    def _put(self, memory: str, row: int, values: Ints, accumulate: bool) -> None:
        target = self._memories[memory]
        if accumulate:
            values = values + target.read(row, *values.shape)
        target.write(row, saturate(values, 8) if memory == "scratchpad" else wrap(values))

    def _operand(self, row: int, height: int, width: int, transposed: bool) -> Ints:
        scratchpad = self._memories["scratchpad"]
        return scratchpad.read(row, width, height).T if transposed else scratchpad.read(row, height, width)

    def _compute(self, item: Compute) -> None:
        preload = self._preload
        if preload is None:
            raise ProgramError("compute without a preload before it")
        if self._weights.shape != (item.k, item.n):
            loaded = "x".join(map(str, self._weights.shape))
            raise ProgramError(f"block {item.m}x{item.k}x{item.n} on weights {loaded}")
        inputs = self._operand(item.inputs_row, item.m, item.k, item.inputs_transposed)
        result = inputs @ self._weights
        if item.output_stationary:
            result = result if self._inside is None else result + self._inside
            self._inside = None if item.last_of_output else result
            if not item.last_of_output:
                return
        self._put(preload.result, preload.result_row, result, preload.accumulate)

    def _mvout(self, item: Mvout) -> None:
        pitch = item.block_stride or self._side
        height = -(-item.columns // self._side) * pitch
        blocks = [
            self._memories[item.memory].read(
                item.row + operand * height + first // self._side * pitch,
                item.rows,
                min(self._side, item.columns - first),
            )
            for operand in range(item.operands)
            for first in range(0, item.columns, self._side)
        ]
        scaling = self._scaling if item.memory == "accumulator" else Scaling()
        kernel = kernel_named(item.activation)
        if kernel.part_of:
            self._part(item, kernel, np.hstack(blocks))
            return
        if kernel.reference is None and self._placed is not None:
            self.dram.write(item.target, self._placed(item, np.hstack(blocks)), 8)
            return
        values = results(np.hstack(blocks), item.activation, scaling, full=item.element_bits > 8)
        self.dram.write(item.target, values, item.element_bits)

    def _part(self, item: Mvout, kernel: Kernel, sums: Ints) -> None:
        """Keep a part of long rows for their statistics, or store its results: parts come in the same order again."""
        if kernel.gathers:
            if self._known:
                self._parts, self._known = [], 0
            self._parts.append(sums)
            return
        whole = results(np.hstack(self._parts), kernel.part_of, self._scaling)
        self.dram.write(item.target, whole[:, self._known : self._known + sums.shape[1]], item.element_bits)
        self._known += sums.shape[1]

    def _loop(self, loop: MatmulLoop) -> None:
        work = self._expander.expand(loop)
        shape = loop_unroller.shape_of(loop, self._spec)
        where = loop_unroller.placed(loop, shape, self._spec, work.halves)
        self._loop_loads(work.loads)
        self._loop_pairs(loop, shape, where, work.pairs)
        if loop.stores:
            self._loop_stores(loop, shape, where)

    def _loop_loads(self, loads: Loads) -> None:
        columns = (
            loads.base, loads.rows, loads.size_bytes, loads.stride, loads.local_row, loads.to_accumulator,
            loads.scaled, loads.accumulate,
        )  # fmt: skip
        for base, rows, size, stride, row, sums, narrow, adds in zip(*columns, strict=True):
            bits = self._spec.array.accumulator_bits if sums and not narrow else 8
            values = self.dram.read(Matrix(int(base), int(stride)), int(rows), int(size) * 8 // bits, bits)
            self._load("accumulator" if sums else "scratchpad", int(row), values, accumulate=adds)

    def _loop_pairs(
        self, loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement, pairs: Pairs
    ) -> None:
        order, side = loop_unroller.plan(shape), self._side
        for at in range(len(pairs)):
            i, j, k = int(order.pair_i[at]), int(order.pair_j[at]), int(order.pair_k[at])
            depth, width = min(side, loop.k - k * side), min(side, loop.n - j * side)
            if pairs.new_weights[at]:
                self._weights = self._operand(pairs.weights_row[at], depth, width, loop.b_transposed)
            inputs = self._operand(pairs.inputs_row[at], pairs.rows[at], depth, False)
            row = where.c_row + (i * shape.j + j) * side
            self._put("accumulator", row, inputs @ self._weights, pairs.accumulates[at])

    def _loop_stores(self, loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement) -> None:
        """Row-wise activations see whole rows of the tile; then each mvout takes its part."""
        accumulator, side = self._memories["accumulator"], self._side
        bits = self._spec.array.accumulator_bits if loop.c_full else 8
        columns = loop_unroller.store_columns(loop, shape, self._spec, where)
        for at, (base, rows, width, row) in enumerate(
            zip(columns.base, columns.rows, columns.columns.tolist(), columns.local_row, strict=True)
        ):
            block = (int(row) - where.c_row) // side
            i, j = divmod(block, shape.j)
            first, count = (0, loop.n) if kernel_named(loop.activation).whole_rows else (j * side, width)
            parts = [
                accumulator.read(where.c_row + i * shape.j * side + left, int(rows), min(side, first + count - left))
                for left in range(first, first + count, side)
            ]
            values = results(np.hstack(parts), loop.activation, self._scaling, full=loop.c_full)
            values = values[:, j * side - first : j * side - first + width]
            if columns.kept_row is not None:
                self._load("scratchpad", int(columns.kept_row[at]), values)
            else:
                self.dram.write(Matrix(int(base), int(columns.stride[at])), values, bits)


def wrap(values: Ints) -> Ints:
    """int32 sums: overflow wraps around, as the adders do."""
    return values.astype(np.int32).astype(np.int64)


def saturate(values: Ints, bits: int) -> Ints:
    """Clip to signed integers of ``bits`` bits."""
    bound = 1 << (bits - 1)
    return np.clip(values, -bound, bound - 1)


def results(sums: Ints, activation: str, scaling: Scaling, *, full: bool = False) -> Ints:
    """What an mvout writes for int32 ``sums`` (rows, cols); full rows leave unscaled.

    Raises
    ------
    ProgramError
        When no store evaluates the activation, full int32 rows are asked of one that works behind the scaling, or the
        scale of its input is one that its integers cannot have.
    """
    kernel = kernel_named(activation)
    if kernel.reference is None:
        raise ProgramError(f"no store evaluates {activation}")
    values: Floats = sums.astype(np.float64)
    if full:
        if kernel.needs_unit:
            raise ProgramError(f"{activation} gives int8 results, not int32 rows")
        return kernel.reference(values).astype(np.int64)
    if scaling.integer and kernel.integer is not None:
        try:
            values = kernel.integer.evaluate(sums, scaling.input)
        except ValueError as problem:
            raise ProgramError(f"{activation}: {problem}") from None
    else:
        values = kernel.reference(values * scaling.input)
    return saturate(np.rint(values * scaling.output).astype(np.int64), 8)
