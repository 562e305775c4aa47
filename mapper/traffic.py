"""DMA traffic of one sweep over a matrix, tabulated by tile width.

A sweep moves every element of a matrix once, in row segments of at most one request line; where segments begin
depends on the tile width, how they split on their alignment. All of it is additive over segments, so one table per
matrix serves every mapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwconfigs import DmaSpec, HardwareSpec
from mapper.problem import MatmulProblem
from simulator.program import Matrix
from simulator.units.requests import split_row
from simulator.units.unroller import blocks_per_segment

Ints = NDArray[np.int64]

REQUESTS, BEATS, BYTES, LINES, PARTIAL_LINES = range(5)
"""Columns of a sweep: requests, bus beats, bytes moved, lines touched, lines touched but not covered."""


def _row_totals(offset: int, size: int, dma: DmaSpec) -> tuple[int, int, int, int, int]:
    """Return the five columns of one row segment at ``offset`` from a line boundary [bytes]."""
    line = dma.max_request_bytes
    requests = split_row(offset, size, dma.min_request_bytes, line)
    beats = sum(max(1, request // dma.bus_bytes_per_cycle) for _, request in requests)
    lines = (offset + size - 1) // line + 1
    covered = (offset + size) // line - -(-offset // line)
    return len(requests), beats, sum(request for _, request in requests), lines, lines - max(0, covered)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A matrix in DRAM and how a row of it is cut: tiles of any width, then segments."""

    matrix: Matrix
    rows: int
    row_bytes: int
    block_bytes: int
    """Width of one array block [bytes]."""
    segment_bytes: int
    """Widest row segment of one command [bytes]."""

    def table(self, widths: int, dma: DmaSpec) -> Ints:
        """Return the totals of one sweep (widths + 1, 5); row w is for tiles of w blocks, row 0 is zero."""
        owner, start, size = self._segments(widths)
        line = dma.max_request_bytes
        span = self.segment_bytes + 1
        keys, inverse = np.unique(start % line * span + size, return_inverse=True)
        phases = np.bincount(
            (self.matrix.address + np.arange(self.rows, dtype=np.int64) * self.matrix.row_stride_bytes) % line,
            minlength=line,
        )
        per_key = np.zeros((len(keys), 5), dtype=np.int64)
        for row, key in enumerate(keys.tolist()):
            shift, length = divmod(key, span)
            for phase in np.flatnonzero(phases).tolist():
                per_key[row] += int(phases[phase]) * np.array(_row_totals((phase + shift) % line, length, dma))
        table = np.zeros((widths + 1, 5), dtype=np.int64)
        np.add.at(table, owner, per_key[inverse])
        return table

    def _segments(self, widths: int) -> tuple[Ints, Ints, Ints]:
        """Return all segments of one row for every tile width: owner width, start and size [bytes]."""
        width = np.arange(1, widths + 1, dtype=np.int64) * self.block_bytes
        tiles = -(-self.row_bytes // width)
        owner, tile = _expand(tiles)
        start = tile * width[owner]
        size = np.minimum(width[owner], self.row_bytes - start)
        tile_of, part = _expand(-(-size // self.segment_bytes))
        begin = start[tile_of] + part * self.segment_bytes
        length = np.minimum(self.segment_bytes, start[tile_of] + size[tile_of] - begin)
        return owner[tile_of] + 1, begin, length


def _distinct_lines(matrix: Matrix, rows: int, row_bytes: int, line: int) -> int:
    """Lines that a matrix touches; rows closer than a line share lines with their neighbours."""
    start = matrix.address + np.arange(rows, dtype=np.int64) * matrix.row_stride_bytes
    first, last = start // line, (start + row_bytes - 1) // line
    shared = int((first[1:] <= last[:-1]).sum()) if matrix.row_stride_bytes else 0
    return int((last - first + 1).sum()) - shared


def _expand(counts: Ints) -> tuple[Ints, Ints]:
    """Return (owner, index within owner) for ``counts[owner]`` members each."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return owner, np.arange(len(owner), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Traffic:
    """Sweep tables of all matrices of a problem on a machine, made when first asked for."""

    problem: MatmulProblem
    spec: HardwareSpec
    widest_k: int
    """Widest tile that will be asked for along k [blocks]."""
    widest_n: int

    @property
    def _block(self) -> int:
        return self.spec.array.cols

    @property
    def _segment(self) -> int:
        return blocks_per_segment(self.spec) * self._block

    @cached_property
    def a(self) -> Ints:
        """Loads of A by tile extent along k."""
        p = self.problem
        return Sweep(p.a, p.m, p.k, self._block, self._segment).table(self.widest_k, self.spec.dma)

    @cached_property
    def b(self) -> Ints:
        """Loads of B by tile extent along n, or along k if transposed."""
        p = self.problem
        sweep = Sweep(p.b, p.b_rows, p.b_cols, self._block, self._segment)
        return sweep.table(self.widest_k if p.b_transposed else self.widest_n, self.spec.dma)

    @cached_property
    def c(self) -> Ints:
        """Stores of C by tile extent along n; int32 results leave block by block, whatever the tile."""
        p = self.problem
        if p.c_full:
            return np.broadcast_to(self._full(p.c, p.m), (self.widest_n + 1, 5))
        return Sweep(p.c, p.m, p.n, self._block, self._segment).table(self.widest_n, self.spec.dma)

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
        row_blocks = -(-self.problem.m // self.spec.array.rows)
        return self._full(Matrix(address, 0), 1) * row_blocks

    @cached_property
    def compulsory(self) -> tuple[int, int, int]:
        """Distinct lines of A, B and C."""
        p = self.problem
        shapes = ((p.a, p.m, p.k), (p.b, p.b_rows, p.b_cols), (p.c, p.m, p.n * (4 if p.c_full else 1)))
        a, b, c = (_distinct_lines(*shape, self.spec.dma.max_request_bytes) for shape in shapes)
        return a, b, c

    @cached_property
    def compulsory_bias(self) -> int:
        """Distinct lines of the bias."""
        address = self.problem.bias_address
        if address is None:
            return 0
        return _distinct_lines(Matrix(address, 0), 1, 4 * self.problem.n, self.spec.dma.max_request_bytes)

    def _full(self, matrix: Matrix, rows: int) -> Ints:
        block = self._block * self.spec.array.accumulator_bits // 8
        row_bytes = self.problem.n * self.spec.array.accumulator_bits // 8
        total: Ints = Sweep(matrix, rows, row_bytes, block, block).table(1, self.spec.dma)[1]
        return total
