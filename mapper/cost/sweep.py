"""DMA traffic of one sweep over a matrix, tabulated by tile width.

A sweep moves every element of a matrix once, in row segments of at most one request line; where segments begin
depends on the tile width, how they split on their alignment. All of it is additive over segments, so one table per
matrix serves every mapping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwconfigs import DmaSpec
from mapper.mapspace.tile_sizes import expand
from simulator.arrays import Ints
from simulator.frontend.dma_requests import segment_totals
from simulator.program import Matrix

REQUESTS, BEATS, BYTES, LINES, PARTIAL_LINES = range(5)
"""Columns of a sweep: requests, bus beats, bytes moved, lines touched, lines touched but not covered."""


def row_totals(offset: int, size: int, dma: DmaSpec) -> tuple[int, int, int, int, int]:
    """Return the five columns of one row segment at ``offset`` from a line boundary [bytes]."""
    line = dma.max_request_bytes
    lines = (offset + size - 1) // line + 1
    # Lines between the first boundary at or behind the start and the last one at or before the end.
    covered = (offset + size) // line - -(-offset // line)
    return *segment_totals(offset, size, dma), lines, lines - max(0, covered)


class Pieces(NamedTuple):
    """Kinds of pieces of one row of a matrix (columns): tiles, or the segments that they are cut into."""

    width: Ints
    """Place of the tile width that they belong to."""
    tile: Ints
    """Place of the kind of tile that they belong to."""
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
    row_cycles: int = 1
    """Cycles in which a row of a block is written on chip, if its bytes are there."""

    def table(self, widths: Ints, dma: DmaSpec) -> Ints:
        """Return the totals of one sweep by tile width [blocks]; rows of widths that were not asked for are zero."""
        line = dma.max_request_bytes
        segments = self.segments(self.tiles(widths, line), line)
        # Widths share most of their kinds of segments, and requests depend on place in the line and length only: each
        # pair is split once, however many widths and rows have it.
        span = self.segment_bytes + 1
        kinds, kind_of = np.unique(segments.start * span + segments.size, return_inverse=True)
        per_kind = self.totals(*np.divmod(kinds, span), dma)
        table = np.zeros((int(widths.max(initial=0)) + 1, 5), dtype=np.int64)
        np.add.at(table, widths[segments.width], per_kind[kind_of] * segments.times[:, None])
        return table

    def totals(self, starts: Ints, sizes: Ints, dma: DmaSpec) -> Ints:
        """Return the columns of a sweep for one segment in every row, by its place in a line and its length [bytes]."""
        line = dma.max_request_bytes
        phases = phases_of(self.matrix, self.rows, line)
        totals = np.zeros((len(starts), 5), dtype=np.int64)
        for place, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
            for phase, rows in phases.items():
                totals[place] += rows * np.array(row_totals((phase + start) % line, size, dma))
        return totals

    def tiles(self, widths: Ints, line: int) -> Pieces:
        """Return the kinds of tiles of one row: full ones by their place in a line, then the last one."""
        width = widths * self.block_bytes
        full = -(-self.row_bytes // width) - 1
        # Tiles are whole blocks wide, so that after this many of them the places in a line repeat.
        cycle = line // math.gcd(self.block_bytes, line)
        of_width, turn = expand(np.minimum(full, cycle))
        every = np.arange(len(widths), dtype=np.int64)
        return Pieces(
            width=np.concatenate([of_width, every]),
            tile=np.arange(len(of_width) + len(every), dtype=np.int64),
            start=np.concatenate([turn * width[of_width], full * width]) % line,
            size=np.concatenate([width[of_width], self.row_bytes - full * width]),
            times=np.concatenate([-(-(full[of_width] - turn) // cycle), np.ones_like(widths)]),
        )

    def segments(self, tiles: Pieces, line: int) -> Pieces:
        """Cut kinds of tiles into kinds of segments: full ones by their place in a line, then a ragged one if any."""
        full, rest = tiles.size // self.segment_bytes, tiles.size % self.segment_bytes
        cycle = line // math.gcd(self.segment_bytes, line)
        of_tile, turn = expand(np.minimum(full, cycle))
        ragged = np.flatnonzero(rest)
        full_starts = tiles.start[of_tile] + turn * self.segment_bytes
        ragged_starts = (tiles.start + full * self.segment_bytes)[ragged]
        full_times = tiles.times[of_tile] * -(-(full[of_tile] - turn) // cycle)
        return Pieces(
            width=np.concatenate([tiles.width[of_tile], tiles.width[ragged]]),
            tile=np.concatenate([of_tile, ragged]),
            start=np.concatenate([full_starts, ragged_starts]) % line,
            size=np.concatenate([np.full_like(of_tile, self.segment_bytes), rest[ragged]]),
            times=np.concatenate([full_times, tiles.times[ragged]]),
        )


def phases_of(matrix: Matrix, rows: int, line: int) -> dict[int, int]:
    """Rows of a matrix by the place in a line where they begin [bytes]."""
    # The places repeat as soon as the stride has gone round the line.
    cycle = line // math.gcd(matrix.row_stride_bytes, line)
    rows_by_phase: dict[int, int] = {}
    for row in range(min(rows, cycle)):
        phase = (matrix.address + row * matrix.row_stride_bytes) % line
        rows_by_phase[phase] = rows_by_phase.get(phase, 0) + -(-(rows - row) // cycle)
    return rows_by_phase


def distinct_lines(matrix: Matrix, rows: int, row_bytes: int, line: int) -> int:
    """Lines that a matrix touches; rows closer than a line share lines with their neighbours."""
    stride = matrix.row_stride_bytes
    touched = sum(
        number * ((phase + row_bytes - 1) // line + 1) for phase, number in phases_of(matrix, rows, line).items()
    )
    # The last line of a row is the first one of the next if the next row begins before that line ends.
    shared = sum(
        number * ((phase + stride) // line <= (phase + row_bytes - 1) // line)
        for phase, number in phases_of(matrix, rows - 1, line).items()
    )
    return touched - (shared if stride else 0)
