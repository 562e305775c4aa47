"""Average cycles of the load commands of a matmul, by operand and by what the L2 holds of their lines.

A line is fetched from DRAM on its first touch. Where tiles are no multiples of lines, neighbouring tiles share some:

    lines of a row    |─────── 0 ───────|─────── 1 ───────|─────── 2 ───────|
    tiles of a row    ├──── tile 0 ────┼──── tile 1 ────┼──── tile 2 ────┤
    first touches      0                 1                 2
    shared                              0                1

Tile 0 is the first in its row and fetches every line that it touches. Tile 1 finds line 0, unless it was evicted since
tile 0 was loaded, and fetches only line 1. A later sweep over the matrix finds whatever was not evicted meanwhile. So
tiles of A and B come in three kinds (`Touch`), each with commands of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.dma_traffic import BEATS, BYTES, LINES, Traffic
from mapper.cost.latency.memory_system import entry_cycles, fetch_cycles, load_command
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiling import FULL, LAST, DimensionTiling, Tilings
from simulator.arrays import Bools, Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment


class Touch(IntEnum):
    """What the L2 holds of a tile of A or B when the tile is loaded."""

    REFETCH = 0
    """An earlier sweep loaded the tile: what was not evicted since."""
    FIRST = 1
    """The first sweep, behind another tile of the same rows: the lines that both share."""
    FIRST_IN_ROW = 2
    """The first sweep, and the first tile of its rows: nothing."""


class Addend(IntEnum):
    """What the accumulator is loaded with before a tile of C is computed."""

    PARTIAL_SUMS = 0
    """Sums of earlier k tiles that were spilled."""
    BIAS = 1
    """The bias, with the first k tile."""


SCATTER = 0.5
"""What misses cost that are scattered over a command: between 0, hidden under the hits beside them, and 1, as much as
in commands that miss with every row. Fitted to our own event simulation of the mappings of
`mapper.validation.estimate_accuracy`, other seeds."""


@dataclass(frozen=True, slots=True, eq=False)
class AverageLoad:
    """An average load command (columns, in cycles)."""

    cycles: Floats
    """Per command in a stream of them."""
    memory: Floats
    """Of the DRAM bus."""
    entries: Floats
    """Of the miss entries, all of them together."""
    beats: Floats
    """Of the response bus, which stores share."""
    fill: Floats
    """Until the first one is complete, beyond its share of the stream."""
    missing: Floats
    """Share of rows whose data are not in the L2."""


class LoadTimes:
    """The load commands of A and B by `Touch`, and those of D by `Addend`."""

    def __init__(self, batch: Batch, traffic: Traffic, reuse: CacheReuse | None, tilings: Tilings) -> None:
        spec, problem = traffic.spec, traffic.problem
        self._spec = spec
        self._segment = blocks_per_segment(spec)
        self._from_dram = reuse.from_dram if reuse else np.ones(1)
        self._cold = reuse.cold_share if reuse else np.ones(1)
        b_dim = problem.b_axes[1]
        nothing = np.zeros(1)
        # Without an L2 there is nothing to miss: every byte goes to DRAM, which `load_command` knows by itself.
        refetched_a, first_a, refetched_b, first_b, refetched_sums, bias = (
            (reuse.refetched_a, reuse.first_a, reuse.refetched_b, reuse.first_b, reuse.refetched_sums, reuse.bias)
            if reuse
            else (nothing,) * 6
        )
        self.a = self._operand(traffic.a[batch.tile_k], problem.m, problem.k, tilings.k, refetched_a, first_a)
        self.b = self._operand(
            traffic.b[batch.tile(b_dim)], problem.b_rows, problem.b_cols, tilings.along(b_dim), refetched_b, first_b
        )
        m, n = (-(-size // spec.array.rows) for size in (problem.m, problem.n))
        self.d = (
            self._average(traffic.partial[None, :], problem.m * n, m * n, refetched_sums),
            self._average(traffic.bias[None, :], m * n, m * n, bias),
        )

    def _operand(
        self, sweep: Ints, rows: int, row_bytes: int, tiling: DimensionTiling, refetched: Floats, first: Floats
    ) -> tuple[AverageLoad, AverageLoad, AverageLoad]:
        """Return the commands of an operand by `Touch`.

        Parameters
        ----------
        sweep
            Totals of one sweep by mapping (columns of `mapper.cost.dma_traffic`).
        rows, row_bytes
            Shape of the matrix as stored.
        tiling
            Of the dimension along its rows.
        refetched, first
            Lines that a later sweep fetches, and those that the first one does.
        """
        segments_of = -(-tiling.blocks // self._segment)
        segments = (tiling.trips - 1) * segments_of[FULL] + segments_of[LAST]
        row_segments, commands = rows * segments, -(-rows // self._spec.array.rows) * segments
        later, first_in_row = self._first_touches(rows, row_bytes, tiling, segments, first)
        # What a warm cache still holds of a matrix lies scattered over it; so does what a sweep lost by evictions.
        held_before = self._cold < 1.0
        return (
            self._average(sweep, row_segments, commands, refetched, scattered=np.ones(1, dtype=bool)),
            self._average(sweep, row_segments, commands, later, scattered=held_before),
            self._average(sweep, row_segments, commands, first_in_row, scattered=held_before),
        )

    def _first_touches(
        self, rows: int, row_bytes: int, tiling: DimensionTiling, segments: Ints, first: Floats
    ) -> tuple[Floats, Floats]:
        """Return what a whole sweep would fetch if all its tiles were later ones of their rows, or all the first ones.

        Averages are those of sweeps, so that every kind of tile is divided by the same number of commands.
        """
        line, cols = self._spec.dma.max_request_bytes, self._spec.array.cols
        trips = tiling.trips
        tile = np.where(trips > 1, tiling.blocks[FULL], tiling.blocks[LAST])
        tile_lines = -(-np.minimum(tile * cols, row_bytes) // line)
        fetched_cold = first / np.maximum(self._cold, 1e-9)
        # The first tile of a row fetches every line it touches, but no more than the whole sweep does: rows closer
        # than a line share lines, too.
        by_first_tiles = self._cold * np.minimum(fetched_cold, rows * tile_lines)
        later = (first - by_first_tiles) * trips / np.maximum(trips - 1, 1)
        # First tiles are full ones and have their share of the sweep's segments.
        first_in_row = np.where(trips > 1, by_first_tiles * segments / -(-tile // self._segment), first)
        return later, first_in_row

    def _average(
        self, sweep: Ints, rows: Ints | int, commands: Ints | int, missed: Floats, scattered: Bools | None = None
    ) -> AverageLoad:
        """Return the average command of a sweep.

        Parameters
        ----------
        sweep
            Totals of the sweep by mapping (columns of `mapper.cost.dma_traffic`).
        rows, commands
            Row segments and load commands of the sweep.
        missed
            Lines that miss.
        scattered
            Where they are spread over all commands; else one or more in every row, or in whole commands.
        """
        spec = self._spec
        beats, size = sweep[:, BEATS] / commands, sweep[:, BYTES] / commands
        missed = np.minimum(missed, sweep[:, LINES])
        per_row = missed / rows
        missing = np.minimum(1.0, per_row)
        # The cost of a command is convex in its misses: the first one brings the whole latency. Commands that hit and
        # commands that miss with every row are averaged, not their misses.
        hit = load_command(beats, size, np.zeros_like(beats), self._from_dram, spec)
        miss = load_command(beats, size, np.maximum(1.0, per_row) * rows / commands, self._from_dram, spec)
        cycles = hit + missing * (miss - hit)
        if scattered is not None and scattered.any():
            evenly = load_command(beats, size, missed / commands, self._from_dram, spec)
            cycles = np.where(scattered, evenly + SCATTER * (cycles - evenly), cycles)
        latency = float(spec.dram.request_cycles + spec.dram.latency_cycles)
        if spec.l2 is None:
            memory = size / spec.dram.bytes_per_cycle
            missing, entries = np.ones_like(missing), np.zeros_like(memory)
        else:
            per_line = fetch_cycles(spec, spec.line_bytes)
            memory = missed / commands * per_line
            entries = missed / commands * (entry_cycles(spec.l2, latency, per_line) / spec.l2.mshrs)
        # Commands that are bound by their latency have half of it in their cycles, two being in flight.
        latency_bound = cycles > np.maximum(beats, memory) * (1.0 + 1e-9)
        fill = np.where(latency_bound, 0.5, 1.0) * (self._ends() + missing * latency)
        return AverageLoad(cycles, memory, entries, beats, fill, missing)

    def _ends(self) -> float:
        """Cycles of a command that hits before its first beat and after its last one."""
        dma, l2 = self._spec.dma, self._spec.l2
        ends = float(dma.issue_cycles + dma.completion_cycles)
        return ends if l2 is None else ends + l2.hit_cycles
