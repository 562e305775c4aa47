"""DMA traffic and load times of one sweep over each matrix of a problem, by tile width, for all its mappings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from hwconfigs import HardwareSpec
from mapper.cost.command_times import KNOWN_STREAMS, CommandTimes, Segments, command_times, group_gap
from mapper.cost.store_command_times import store_command_times
from mapper.cost.sweep import Sweep, distinct_lines
from mapper.cost.sweep_times import SweepTimes, sweep_times
from mapper.mapping.matmul_problem import INT32_BYTES, MatmulProblem
from simulator.arrays import Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Matrix

ONE_BLOCK = np.ones(1, dtype=np.int64)
"""Width of a tile that moves block by block."""


@dataclass(frozen=True, slots=True)
class LoadTables:
    """Times of the loads of one matrix."""

    down: SweepTimes
    """Commands take the rows of a matrix from block to block, lines from DRAM."""
    along: SweepTimes
    """The same along the rows."""
    down_llc: SweepTimes
    """Both if a last-level cache has the lines that miss in the L2."""
    along_llc: SweepTimes


@dataclass(frozen=True, eq=False)
class Traffic:
    """Sweep tables of all matrices of a problem on a machine, made when first asked for."""

    problem: MatmulProblem
    spec: HardwareSpec
    widths_k: Ints
    """Tile widths along k that will be asked for, each once [blocks]."""
    widths_n: Ints

    @property
    def _block(self) -> int:
        return self.spec.array.cols

    @property
    def _segment(self) -> int:
        return blocks_per_segment(self.spec) * self._block

    @property
    def _b_sweep(self) -> Sweep:
        """B as it lies in DRAM, packed or in bytes."""
        p, unpack = self.problem, self.spec.unpack
        cycles = unpack.row_cycles(self._block) if p.b_bits < 8 and unpack is not None else 1
        block, segment = (int(width * p.b_bits // 8) for width in (self._block, self._segment))
        return Sweep(p.b, p.b_rows, p.b_row_bytes, block, segment, cycles)

    @cached_property
    def a(self) -> Ints:
        """Loads of A by tile extent along k."""
        p = self.problem
        if p.a_kept is not None:
            return _nothing(self.widths_k)
        return Sweep(p.a, p.m, p.k, self._block, self._segment).table(self.widths_k, self.spec.dma)

    @cached_property
    def b(self) -> Ints:
        """Loads of B by tile extent along its contiguous dimension."""
        p, sweep = self.problem, self._b_sweep
        return sweep.table(self.widths_k if p.b_axes[1] == "k" else self.widths_n, self.spec.dma)

    @cached_property
    def times_a(self) -> LoadTables:
        """Times of the loads of A by tile extent along k."""
        p = self.problem
        return self._tables(Sweep(p.a, p.m, p.k, self._block, self._segment), self.widths_k)

    @cached_property
    def times_b(self) -> LoadTables:
        """Times of the loads of B by tile extent along its contiguous dimension."""
        p, sweep = self.problem, self._b_sweep
        return self._tables(sweep, self.widths_k if p.b_axes[1] == "k" else self.widths_n)

    @cached_property
    def times_partial(self) -> LoadTables:
        """Times of the loads of partial sums, block by block."""
        return self._tables(self._full_sweep(self.problem.partial, self.problem.m), ONE_BLOCK, to_accumulator=True)

    @cached_property
    def times_bias(self) -> LoadTables | None:
        """Times of the loads of the bias, if there is one."""
        address = self.problem.bias_address
        if address is None:
            return None
        return self._tables(self._full_sweep(Matrix(address, 0), self.problem.m), ONE_BLOCK, to_accumulator=True)

    @cached_property
    def times_c(self) -> SweepTimes:
        """Times of the stores of C by tile extent along n; of int32 results in every row."""
        p = self.problem
        if not p.c_full:
            return self._stores(Sweep(p.c, p.m, p.n, self._block, self._segment), self.widths_n, full=False)
        rows = np.ones(int(self.widths_n.max()) + 1, dtype=np.int64)
        return self._stores(self._full_sweep(p.c, p.m), ONE_BLOCK, full=True).take(rows)

    @cached_property
    def times_stored_sums(self) -> SweepTimes:
        """Times of the stores of partial sums, block by block."""
        return self._stores(self._full_sweep(self.problem.partial, self.problem.m), ONE_BLOCK, full=True)

    def _stores(self, sweep: Sweep, widths: Ints, *, full: bool) -> SweepTimes:
        near = replace(sweep, matrix=lying_alike(sweep.matrix, self.spec))
        activation = "none" if full else self.problem.activation
        return _store_times(near, tuple(widths.tolist()), self.spec, activation, full)

    @cached_property
    def group_gap(self) -> float:
        """Cycles by which loads of B that miss wait for one of A that stands between them."""
        p = self.problem
        a = Sweep(p.a, p.m, p.k, self._block, self._segment)
        return group_gap(self._commands(self._b_sweep), self._commands(a), self.spec)

    def _commands(self, sweep: Sweep) -> Segments:
        """Return the widest commands of an operand."""
        only = np.ones(1, dtype=bool)
        return Segments(
            matrix=sweep.matrix,
            row_bytes=sweep.row_bytes,
            starts=np.zeros(1, dtype=np.int64),
            sizes=np.full(1, min(sweep.segment_bytes, sweep.row_bytes), dtype=np.int64),
            first=only,
            last=~only,
            rows=min(self.spec.array.rows, sweep.rows),
            on_chip_bytes=sweep.block_bytes,
            to_accumulator=False,
            along=False,
            row_cycles=sweep.row_cycles,
        )

    def _tables(self, sweep: Sweep, widths: Ints, to_accumulator: bool = False) -> LoadTables:
        """Time the loads of a matrix, once for all that lie alike in their lines."""
        near = replace(sweep, matrix=lying_alike(sweep.matrix, self.spec))
        return _load_tables(near, tuple(widths.tolist()), self.spec, to_accumulator)

    @cached_property
    def c(self) -> Ints:
        """Stores of C by tile extent along n; int32 results leave block by block, whatever the tile."""
        p = self.problem
        if p.c_kept is not None:
            return _nothing(self.widths_n)
        if p.c_full:
            # An mvout of int32 moves a single block, so that the tile's width changes no segment.
            return np.broadcast_to(self._full(p.c, p.m), (int(self.widths_n.max()) + 1, 5))
        return Sweep(p.c, p.m, p.n, self._block, self._segment).table(self.widths_n, self.spec.dma)

    @cached_property
    def partial(self) -> Ints:
        """Stores or loads of all int32 partial sums, block by block."""
        return self._full(self.problem.partial, self.problem.m)

    @cached_property
    def bias(self) -> Ints:
        """Loads of the bias: one row per block of every row block."""
        address = self.problem.bias_address
        if address is None:
            return np.zeros(5, dtype=np.int64)
        # All rows of a block add the same bias: a row stride of zero fetches it once per block, not per row.
        row_blocks = -(-self.problem.m // self.spec.array.rows)
        return self._full(Matrix(address, 0), 1) * row_blocks

    @cached_property
    def residual(self) -> Ints:
        """Loads of the residual by tile extent along n."""
        if self.problem.residual is None:
            return _nothing(self.widths_n)
        return self._residual_sweep(self.problem.residual).table(self.widths_n, self.spec.dma)

    @cached_property
    def times_residual(self) -> LoadTables | None:
        """Times of the loads of the residual by tile extent along n, as fast as they come; None without one."""
        matrix = self.problem.residual
        if matrix is None:
            return None
        return self._tables(self._residual_sweep(matrix), self.widths_n, to_accumulator=True)

    def _residual_sweep(self, matrix: Matrix) -> Sweep:
        return Sweep(matrix, self.problem.m, self.problem.n, self._block, self._segment)

    @cached_property
    def compulsory(self) -> tuple[int, int, int]:
        """Distinct lines of A, B and C."""
        p = self.problem
        shapes = ((p.a, p.m, p.k), (p.b, p.b_rows, p.b_row_bytes), (p.c, p.m, p.n * p.c_bytes))
        a, b, c = (distinct_lines(*shape, self.spec.dma.max_request_bytes) for shape in shapes)
        return a * (p.a_kept is None), b, c * (p.c_kept is None)

    @cached_property
    def unique_sums(self) -> int:
        """Distinct lines of the partial sums."""
        row_bytes = self.problem.n * self.spec.array.sum_bytes
        return distinct_lines(self.problem.partial, self.problem.m, row_bytes, self.spec.dma.max_request_bytes)

    @cached_property
    def compulsory_bias(self) -> int:
        """Distinct lines of bias and residual."""
        address, residual, line = self.problem.bias_address, self.problem.residual, self.spec.dma.max_request_bytes
        lines = 0 if residual is None else distinct_lines(residual, self.problem.m, self.problem.n, line)
        if address is None:
            return lines
        return lines + distinct_lines(Matrix(address, 0), 1, INT32_BYTES * self.problem.n, line)

    def _full(self, matrix: Matrix, rows: int) -> Ints:
        total: Ints = self._full_sweep(matrix, rows).table(ONE_BLOCK, self.spec.dma)[1]
        return total

    def _full_sweep(self, matrix: Matrix, rows: int) -> Sweep:
        """Return a sweep over int32 values, block by block."""
        block = self._block * self.spec.array.sum_bytes
        return Sweep(matrix, rows, self.problem.n * self.spec.array.sum_bytes, block, block)


def lying_alike(matrix: Matrix, spec: HardwareSpec) -> Matrix:
    """Return a matrix near address 0 that a machine's memory serves in the same times as this one alone.

    A shift by whole lines renames the sets of the L2, and no more; but it changes what meets in the banks of a DRAM.
    """
    if spec.dram.pages is not None:
        return matrix
    return Matrix(matrix.address % math.lcm(spec.line_bytes, spec.dma.max_request_bytes), matrix.row_stride_bytes)


@lru_cache(maxsize=KNOWN_STREAMS)
def _load_tables(sweep: Sweep, widths: tuple[int, ...], spec: HardwareSpec, to_accumulator: bool) -> LoadTables:
    """Time the loads of a matrix; what cannot differ is timed once."""

    def timed(along: bool, from_llc: bool) -> SweepTimes:
        def of(segments: Segments) -> CommandTimes:
            return command_times(segments, spec, from_llc)

        tiles = np.array(widths, dtype=np.int64)
        return sweep_times(sweep, tiles, spec, of, along=along, to_accumulator=to_accumulator)

    # The order of commands matters only to rows that meet in few sets.
    down = timed(False, False)
    along = timed(True, False) if _meets_itself(sweep.matrix, spec) else down
    if spec.llc is None:
        return LoadTables(down, along, down, along)
    down_llc = timed(False, True)
    return LoadTables(down, along, down_llc, timed(True, True) if along is not down else down_llc)


@lru_cache(maxsize=KNOWN_STREAMS)
def _store_times(sweep: Sweep, widths: tuple[int, ...], spec: HardwareSpec, activation: str, full: bool) -> SweepTimes:
    """Time the stores of a matrix."""

    def timed(segments: Segments) -> CommandTimes:
        return store_command_times(segments, sweep.block_bytes, activation, spec)

    return sweep_times(sweep, np.array(widths, dtype=np.int64), spec, timed, to_accumulator=full)


def _nothing(widths: Ints) -> Ints:
    """Return the totals of sweeps that move nothing, by tile extent."""
    return np.zeros((int(widths.max()) + 1, 5), dtype=np.int64)


def _meets_itself(matrix: Matrix, spec: HardwareSpec) -> bool:
    """Whether the rows of two commands, one below the other, share sets of the L2."""
    l2, stride = spec.l2, matrix.row_stride_bytes
    if l2 is None or stride == 0 or stride % l2.line_bytes:
        return False
    sets = max(1, l2.capacity_bytes // (l2.line_bytes * l2.ways))
    return sets // math.gcd(stride // l2.line_bytes, sets) < 2 * spec.array.rows
