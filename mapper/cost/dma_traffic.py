"""DMA traffic of one sweep over a matrix, tabulated by tile width.

A sweep moves every element of a matrix once, in row segments of at most one request line; where segments begin
depends on the tile width, how they split on their alignment. All of it is additive over segments, so one table per
matrix serves every mapping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwconfigs import DmaSpec, HardwareSpec
from mapper.mapping.matmul_problem import INT32_BYTES, MatmulProblem
from mapper.mapspace.tile_sizes import expand
from simulator.arrays import Ints
from simulator.frontend.dma_requests import segment_totals
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.program import Matrix

REQUESTS, BEATS, BYTES, LINES, PARTIAL_LINES = range(5)
"""Columns of a sweep: requests, bus beats, bytes moved, lines touched, lines touched but not covered."""


def _row_totals(offset: int, size: int, dma: DmaSpec) -> tuple[int, int, int, int, int]:
    """Return the five columns of one row segment at ``offset`` from a line boundary [bytes]."""
    line = dma.max_request_bytes
    lines = (offset + size - 1) // line + 1
    # Lines between the first boundary at or behind the start and the last one at or before the end.
    covered = (offset + size) // line - -(-offset // line)
    return *segment_totals(offset, size, dma), lines, lines - max(0, covered)


class _Pieces(NamedTuple):
    """Kinds of pieces of one row of a matrix (columns): tiles, or the segments that they are cut into."""

    width: Ints
    """Place of the tile width that they belong to."""
    start: Ints
    """Place in a line where they begin. [bytes]"""
    size: Ints
    """Length. [bytes]"""
    times: Ints
    """How many of them a row has."""


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
        segments = self._segments(self._tiles(widths, line), line)
        # Widths share most of their kinds of segments, and requests depend on place in the line and length only: each
        # pair is split once, however many widths and rows have it.
        span = self.segment_bytes + 1
        kinds, kind_of = np.unique(segments.start * span + segments.size, return_inverse=True)
        phases = _phases(self.matrix, self.rows, line)
        per_kind = np.zeros((len(kinds), 5), dtype=np.int64)
        for place, kind in enumerate(kinds.tolist()):
            start, length = divmod(kind, span)
            for phase, rows in phases.items():
                per_kind[place] += rows * np.array(_row_totals((phase + start) % line, length, dma))
        table = np.zeros((int(widths.max(initial=0)) + 1, 5), dtype=np.int64)
        np.add.at(table, widths[segments.width], per_kind[kind_of] * segments.times[:, None])
        return table

    def _tiles(self, widths: Ints, line: int) -> _Pieces:
        """Return the kinds of tiles of one row: full ones by their place in a line, then the last one."""
        width = widths * self.block_bytes
        full = -(-self.row_bytes // width) - 1
        # Tiles are whole blocks wide, so that after this many of them the places in a line repeat.
        cycle = line // math.gcd(self.block_bytes, line)
        of_width, turn = expand(np.minimum(full, cycle))
        every = np.arange(len(widths), dtype=np.int64)
        return _Pieces(
            width=np.concatenate([of_width, every]),
            start=np.concatenate([turn * width[of_width], full * width]) % line,
            size=np.concatenate([width[of_width], self.row_bytes - full * width]),
            times=np.concatenate([-(-(full[of_width] - turn) // cycle), np.ones_like(widths)]),
        )

    def _segments(self, tiles: _Pieces, line: int) -> _Pieces:
        """Cut kinds of tiles into kinds of segments: full ones by their place in a line, then a ragged one if any."""
        full, rest = tiles.size // self.segment_bytes, tiles.size % self.segment_bytes
        cycle = line // math.gcd(self.segment_bytes, line)
        of_tile, turn = expand(np.minimum(full, cycle))
        ragged = np.flatnonzero(rest)
        full_starts = tiles.start[of_tile] + turn * self.segment_bytes
        ragged_starts = (tiles.start + full * self.segment_bytes)[ragged]
        full_times = tiles.times[of_tile] * -(-(full[of_tile] - turn) // cycle)
        return _Pieces(
            width=np.concatenate([tiles.width[of_tile], tiles.width[ragged]]),
            start=np.concatenate([full_starts, ragged_starts]) % line,
            size=np.concatenate([np.full_like(of_tile, self.segment_bytes), rest[ragged]]),
            times=np.concatenate([full_times, tiles.times[ragged]]),
        )


def _phases(matrix: Matrix, rows: int, line: int) -> dict[int, int]:
    """Rows of a matrix by the place in a line where they begin [bytes]."""
    # The places repeat as soon as the stride has gone round the line.
    cycle = line // math.gcd(matrix.row_stride_bytes, line)
    rows_by_phase: dict[int, int] = {}
    for row in range(min(rows, cycle)):
        phase = (matrix.address + row * matrix.row_stride_bytes) % line
        rows_by_phase[phase] = rows_by_phase.get(phase, 0) + -(-(rows - row) // cycle)
    return rows_by_phase


def _distinct_lines(matrix: Matrix, rows: int, row_bytes: int, line: int) -> int:
    """Lines that a matrix touches; rows closer than a line share lines with their neighbours."""
    stride = matrix.row_stride_bytes
    touched = sum(
        number * ((phase + row_bytes - 1) // line + 1) for phase, number in _phases(matrix, rows, line).items()
    )
    # The last line of a row is the first one of the next if the next row begins before that line ends.
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
