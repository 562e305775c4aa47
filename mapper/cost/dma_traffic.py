"""DMA traffic of one sweep over a matrix, tabulated by tile width.

A sweep moves every element of a matrix once, in row segments of at most one request line; where segments begin
depends on the tile width, how they split on their alignment. All of it is additive over segments, so one table per
matrix serves every mapping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwconfigs import DmaSpec, HardwareSpec
from mapper.mapping.matmul_problem import INT32_BYTES, MatmulProblem
from mapper.mapspace.tile_sizes import expand
from simulator.arrays import Ints
from simulator.frontend.dma_requests import split_row
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Matrix

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

    def table(self, widths: Ints, dma: DmaSpec) -> Ints:
        """Return the totals of one sweep by tile width [blocks]; rows of widths that were not asked for are zero."""
        line = dma.max_request_bytes
        owner, start, size, times = self._segments(widths, line)
        span = self.segment_bytes + 1
        keys, inverse = np.unique(start * span + size, return_inverse=True)
        phases = _phases(self.matrix, self.rows, line)
        per_key = np.zeros((len(keys), 5), dtype=np.int64)
        for row, key in enumerate(keys.tolist()):
            shift, length = divmod(key, span)
            for phase, rows in phases.items():
                per_key[row] += rows * np.array(_row_totals((phase + shift) % line, length, dma))
        table = np.zeros((int(widths.max(initial=0)) + 1, 5), dtype=np.int64)
        np.add.at(table, widths[owner], per_key[inverse] * times[:, None])
        return table

    def _segments(self, widths: Ints, line: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the kinds of segments of one row: index of the width, start in a line and size [bytes], how often.

        Full tiles begin at every place of a cycle in the line in turn, so do the full segments of a tile.
        """
        width = widths * self.block_bytes
        full = -(-self.row_bytes // width) - 1
        cycle = line // math.gcd(self.block_bytes, line)
        of, turn = expand(np.minimum(full, cycle))
        everyone = np.arange(len(widths), dtype=np.int64)
        owner = np.concatenate([of, everyone])
        start = np.concatenate([turn * width[of], full * width]) % line
        size = np.concatenate([width[of], self.row_bytes - full * width])
        times = np.concatenate([-(-(full[of] - turn) // cycle), np.ones_like(widths)])
        return self._cut(owner, start, size, times, line)

    def _cut(self, owner: Ints, start: Ints, size: Ints, times: Ints, line: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Cut kinds of tiles in kinds of segments."""
        full, rest = size // self.segment_bytes, size % self.segment_bytes
        cycle = line // math.gcd(self.segment_bytes, line)
        of, turn = expand(np.minimum(full, cycle))
        ragged = np.flatnonzero(rest)
        return (
            np.concatenate([owner[of], owner[ragged]]),
            np.concatenate([start[of] + turn * self.segment_bytes, (start + full * self.segment_bytes)[ragged]]) % line,
            np.concatenate([np.full_like(of, self.segment_bytes), rest[ragged]]),
            np.concatenate([times[of] * -(-(full[of] - turn) // cycle), times[ragged]]),
        )


def _phases(matrix: Matrix, rows: int, line: int) -> dict[int, int]:
    """Rows of a matrix by the place in a line where they begin [bytes]; they take turns."""
    cycle = line // math.gcd(matrix.row_stride_bytes, line)
    found: dict[int, int] = {}
    for row in range(min(rows, cycle)):
        phase = (matrix.address + row * matrix.row_stride_bytes) % line
        found[phase] = found.get(phase, 0) + -(-(rows - row) // cycle)
    return found


def _distinct_lines(matrix: Matrix, rows: int, row_bytes: int, line: int) -> int:
    """Lines that a matrix touches; rows closer than a line share lines with their neighbours."""
    stride = matrix.row_stride_bytes
    touched = sum(
        number * ((phase + row_bytes - 1) // line + 1) for phase, number in _phases(matrix, rows, line).items()
    )
    shared = sum(
        number * ((phase + stride) // line <= (phase + row_bytes - 1) // line)
        for phase, number in _phases(matrix, rows - 1, line).items()
    )
    return touched - (shared if stride else 0)


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

    @cached_property
    def a(self) -> Ints:
        """Loads of A by tile extent along k."""
        p = self.problem
        return Sweep(p.a, p.m, p.k, self._block, self._segment).table(self.widths_k, self.spec.dma)

    @cached_property
    def b(self) -> Ints:
        """Loads of B by tile extent along its contiguous dimension."""
        p = self.problem
        sweep = Sweep(p.b, p.b_rows, p.b_cols, self._block, self._segment)
        return sweep.table(self.widths_k if p.b_axes[1] == "k" else self.widths_n, self.spec.dma)

    @cached_property
    def c(self) -> Ints:
        """Stores of C by tile extent along n; int32 results leave block by block, whatever the tile."""
        p = self.problem
        if p.c_full:
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
        row_blocks = -(-self.problem.m // self.spec.array.rows)
        return self._full(Matrix(address, 0), 1) * row_blocks

    @cached_property
    def compulsory(self) -> tuple[int, int, int]:
        """Distinct lines of A, B and C."""
        p = self.problem
        shapes = ((p.a, p.m, p.k), (p.b, p.b_rows, p.b_cols), (p.c, p.m, p.n * p.c_bytes))
        a, b, c = (_distinct_lines(*shape, self.spec.dma.max_request_bytes) for shape in shapes)
        return a, b, c

    @cached_property
    def compulsory_bias(self) -> int:
        """Distinct lines of the bias."""
        address = self.problem.bias_address
        if address is None:
            return 0
        return _distinct_lines(Matrix(address, 0), 1, INT32_BYTES * self.problem.n, self.spec.dma.max_request_bytes)

    def _full(self, matrix: Matrix, rows: int) -> Ints:
        block = self._block * self.spec.array.sum_bytes
        row_bytes = self.problem.n * self.spec.array.sum_bytes
        total: Ints = Sweep(matrix, rows, row_bytes, block, block).table(np.ones(1, dtype=np.int64), self.spec.dma)[1]
        return total
