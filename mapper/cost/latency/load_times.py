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
from typing import NamedTuple

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.dma_traffic import ONE_BLOCK, LoadTables, Traffic
from mapper.cost.latency.memory_system import dram_latency, entry_cycles, fetch_cycles
from mapper.cost.sweep import BEATS, BYTES, LINES, REQUESTS
from mapper.cost.sweep_times import SweepTimes
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
    served: Floats
    """Share of the requests that fetch nothing: they find their line, or wait for one that is under way."""


class Bunch(NamedTuple):
    """Commands of the first sweep behind the first tiles of their rows: some tiles miss, the others less (columns)."""

    share: Floats
    """Of the tiles that miss."""
    missing: Floats
    """Cycles of a command of theirs."""
    holding: Floats
    """Of the other tiles."""

    @classmethod
    def even(cls, cycles: Floats) -> Bunch:
        """Return commands that are all alike."""
        return cls(np.zeros_like(cycles), cycles, cycles)


class _Operand(NamedTuple):
    """A or B (columns)."""

    sweep: Ints
    """Totals of one sweep (columns of `mapper.cost.sweep`)."""
    times: SweepTimes
    """Of its average commands."""
    rows: int
    """Of the matrix as stored."""
    tiling: DimensionTiling
    """Of the dimension along its rows."""
    refetched: Floats
    """Lines that a later sweep fetches."""
    first: Floats
    """Lines that the first one does."""
    unique: int
    """Distinct lines."""
    cold: Floats
    """Share of them that the L2 does not hold before."""


class _Fresh(NamedTuple):
    """Commands of some tiles in a first sweep (columns)."""

    known: Floats
    """Share of the lines below that no row before has touched."""
    lines: Floats
    cycles: Floats
    alone: Floats


class LoadTimes:
    """The load commands of A and B by `Touch`, those of D by `Addend`, and those of a residual."""

    def __init__(self, batch: Batch, traffic: Traffic, reuse: CacheReuse | None, tilings: Tilings) -> None:
        spec, problem = traffic.spec, traffic.problem
        self._spec = spec
        self._segment = blocks_per_segment(spec)
        self._reuse = reuse
        b_dim = problem.b_axes[1]
        tile_b = batch.tile(b_dim)
        # The loads of a tile go down its rows first, those of weights that are stored as they are used along them.
        along_b = (tile_b > self._segment) & (not problem.transposes_b)
        times_b = self._chosen(traffic.times_b, tile_b, along_b)
        nothing = np.zeros(1)
        refetched_a, first_a, refetched_b, first_b, refetched_sums, bias = (
            (reuse.refetched_a, reuse.first_a, reuse.refetched_b, reuse.first_b, reuse.refetched_sums, reuse.bias)
            if reuse
            else (nothing,) * 6
        )
        unique_a, unique_b, _ = traffic.compulsory
        cold_a, cold_b = (reuse.cold_a, reuse.cold_b) if reuse else (np.ones(1),) * 2
        if problem.a_kept is None:
            times_a = self._chosen(traffic.times_a, batch.tile_k, batch.tile_m == 1)
            self.a, self.bunch_a = self._operand(
                _Operand(traffic.a[batch.tile_k], times_a, problem.m, tilings.k, refetched_a, first_a, unique_a, cold_a)
            )
        else:
            # It is in the scratchpad already.
            self.a, self.bunch_a = (AverageLoad(*(nothing,) * 7),) * 3, Bunch.even(nothing)
        rows_b, along = problem.b_rows, tilings.along(b_dim)
        self.b, self.bunch_b = self._operand(
            _Operand(traffic.b[tile_b], times_b, rows_b, along, refetched_b, first_b, unique_b, cold_b)
        )
        commands = -(-problem.m // spec.array.rows) * -(-problem.n // spec.array.cols)
        self.d = (
            self._addend(traffic.partial, traffic.times_partial, commands, refetched_sums),
            self._addend(traffic.bias, traffic.times_bias, commands, bias),
        )
        self.residual = self._residual_loads(traffic, batch, tilings)

    def _chosen(self, tables: LoadTables, widths: Ints, along: Bools) -> SweepTimes:
        """Return the times of each mapping: down the rows or along them, from the memory that serves the misses."""
        times = tables.down.take(widths)
        if tables.along is not tables.down:
            times = tables.along.take(widths).mixed(times, along.astype(np.float64))
        if self._spec.llc is None or self._reuse is None:
            return times
        cached = tables.down_llc.take(widths)
        if tables.along_llc is not tables.down_llc:
            cached = tables.along_llc.take(widths).mixed(cached, along.astype(np.float64))
        return times.mixed(cached, self._reuse.from_dram)

    def _operand(self, operand: _Operand) -> tuple[tuple[AverageLoad, AverageLoad, AverageLoad], Bunch]:
        """Return the commands of an operand by `Touch`, and how those of the first sweep are bunched."""
        times, cold, unique = operand.times, operand.cold, operand.unique
        segments_of = -(-operand.tiling.blocks // self._segment)
        segments = (operand.tiling.trips - 1) * segments_of[FULL] + segments_of[LAST]
        commands = -(-operand.rows // self._spec.array.rows) * segments
        # Lines that a tile before had touched, but that are gone when the next tile wants them.
        touched = np.maximum(operand.sweep[:, LINES] - unique, 1)
        lost = np.clip((operand.first / np.maximum(cold, 1e-9) - unique) / touched, 0.0, 1.0)
        hit = times.scattered[:, 0]
        begin, rest = self._known(operand, segments_of)
        later = _Fresh(rest, times.later_lines, times.later, times.later_alone)
        in_row = _Fresh(begin, times.in_row_lines, times.in_row, times.in_row_alone)
        first, first_in_row = (self._first_touches(operand, commands, lost, fresh) for fresh in (later, in_row))
        missing = np.minimum(1.0, operand.refetched / commands / np.maximum(times.lines, 1e-9))
        alone = times.at(missing, alone=True)
        again = self._average(operand.sweep, times, commands, missing, times.at(missing), alone)
        # Lines that are gone, or held from before, even the tiles out.
        even = np.where(cold < 1.0, 1.0, lost)
        missing, holding = (
            tiles + even * (first.cycles - tiles)
            for tiles in (hit + rest * (tiles - hit) for tiles in (times.missing, times.holding))
        )
        return (again, first, first_in_row), Bunch(times.missing_tiles, missing, holding)

    def _first_touches(self, operand: _Operand, commands: Ints, lost: Floats, fresh: _Fresh) -> AverageLoad:
        """Return the commands of some tiles in the first sweep; ``lost``: share of the shared lines that are gone."""
        times, cold = operand.times, operand.cold
        share = np.minimum(1.0, fresh.known * fresh.lines / np.maximum(times.lines, 1e-9))
        hit, hit_alone = times.scattered[:, 0], times.alone[:, 0]
        cycles = hit + fresh.known * (fresh.cycles - hit)
        cycles = cycles + lost * np.maximum(0.0, times.scattered[:, -1] - cycles)
        alone = hit_alone + fresh.known * (fresh.alone - hit_alone)
        missing = cold * (share + lost * (1.0 - share))
        # What a warm cache still holds of a matrix lies scattered over it.
        cycles = np.where(cold < 1.0, np.minimum(cycles, times.at(missing)), cycles)
        alone = np.where(cold < 1.0, np.minimum(alone, times.at(missing, alone=True)), alone)
        return self._average(operand.sweep, times, commands, missing, cycles, alone)

    def _known(self, operand: _Operand, segments_of: Ints) -> tuple[Floats, Floats]:
        """Return which share of the fresh lines is so: those of the first tiles of their rows, and of later ones.

        The end of a row and the begin of the next one may share a line, which both take for theirs: together they have
        no more than the distinct lines of the matrix.
        """
        tiling, times, unique = operand.tiling, operand.times, operand.unique
        several = tiling.trips > 1
        blocks = -(-operand.rows // self._spec.array.rows)
        first = blocks * np.where(several, segments_of[FULL], segments_of[LAST]) * times.in_row_lines
        later_segments = (tiling.trips - 1) * segments_of[FULL] + segments_of[LAST] - segments_of[FULL]
        later = blocks * np.where(several, later_segments, 0) * times.later_lines
        of_first = np.minimum(1.0, unique / np.maximum(first, 1e-9))
        of_later = np.clip((unique - first * of_first) / np.maximum(later, 1e-9), 0.0, 1.0)
        return of_first, of_later

    def _addend(self, sweep: Ints, tables: LoadTables | None, commands: int, missed: Floats) -> AverageLoad:
        """Return the loads of the bias or of partial sums; nothing without a bias."""
        if tables is None:
            return AverageLoad(*(np.zeros(1),) * 7)
        times = self._chosen(tables, ONE_BLOCK, np.ones(1, dtype=bool))
        missing = np.minimum(1.0, missed / commands / np.maximum(times.lines, 1e-9))
        alone = times.at(missing, alone=True)
        return self._average(sweep[None, :], times, commands, missing, times.at(missing), alone)

    def _residual_loads(self, traffic: Traffic, batch: Batch, tilings: Tilings) -> AverageLoad:
        """Return the loads of the residual, all of whose lines are taken to miss; nothing without one."""
        tables, spec = traffic.times_residual, self._spec
        if tables is None:
            return AverageLoad(*(np.zeros(1),) * 7)
        times = self._chosen(tables, batch.tile_n, batch.tile_m == 1)
        segments_of = -(-tilings.n.blocks // self._segment)
        segments = (tilings.n.trips - 1) * segments_of[FULL] + segments_of[LAST]
        blocks = -(-traffic.problem.m // spec.array.rows)
        # The unit that scales takes several cycles for each row that is written.
        written = traffic.problem.m * tilings.n.total_blocks * spec.dma.scale_cycles_per_row
        paced = written / (blocks * segments)
        missing = np.ones(len(batch))
        cycles, alone = np.maximum(times.at(missing), paced), np.maximum(times.at(missing, alone=True), paced)
        return self._average(traffic.residual[batch.tile_n], times, blocks * segments, missing, cycles, alone)

    def _average(
        self, sweep: Ints, times: SweepTimes, commands: Ints | int, missing: Floats, cycles: Floats, alone: Floats
    ) -> AverageLoad:
        """Return the average command of a sweep.

        Parameters
        ----------
        sweep
            Totals of the sweep by mapping (columns of `mapper.cost.sweep`).
        times
            Of its average commands, by mapping.
        commands
            Load commands of the sweep.
        missing
            Share of the lines of a command that miss.
        cycles
            Of a command in a stream of them.
        alone
            Of a command that nothing overlaps, until it is complete.
        """
        spec = self._spec
        beats = sweep[:, BEATS] / commands
        fill = np.maximum(0.0, alone - cycles)
        if spec.l2 is None:
            memory = sweep[:, BYTES] / commands / spec.dram.bytes_per_cycle
            # Straight from DRAM, every request takes the response bus in its turn, as a hit does.
            return AverageLoad(cycles, memory, np.zeros_like(memory), beats, fill, *(np.ones_like(missing),) * 2)
        latency = dram_latency(spec)
        per_line = fetch_cycles(spec, spec.line_bytes)
        missed = missing * times.lines
        entries = missed * (entry_cycles(spec.l2, latency, per_line) / spec.l2.mshrs)
        served = np.clip(1.0 - missed * commands / np.maximum(sweep[:, REQUESTS], 1), 0.0, 1.0)
        return AverageLoad(cycles, missed * per_line, entries, beats, fill, missing, served)
