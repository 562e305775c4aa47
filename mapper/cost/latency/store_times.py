"""Cycles of the store unit for one hardware loop: results, requantised or int32, and spilled partial sums."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from mapper.cost.cache_reuse import CacheReuse
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency.memory_system import dram_latency, entry_cycles, fetch_cycles
from mapper.cost.latency.readout_times import readout_cycles
from mapper.cost.sweep import BEATS, BYTES, PARTIAL_LINES, REQUESTS
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiling import FULL, Tilings
from simulator.arrays import Floats, Ints
from simulator.frontend.dma_requests import segment_totals
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.store_pipeline import COMMAND_CYCLES, command_gap, epilogue_cycles, row_period, writer_cycles


class Stored(IntEnum):
    """What a loop stores, and what the L2 holds of its lines."""

    RELOADED_SUMS = 0
    """Partial sums that were loaded for this loop: their lines are still in the L2."""
    NEW_SUMS = 1
    """Partial sums of the first k tile: first touches of lines that are written whole."""
    RESULT = 2
    """Results behind another tile of the same rows: lines that both share were fetched by the first."""
    RESULT_FIRST_IN_ROW = 3
    """Results of the first tile of its rows: a line that it covers only a part of is fetched."""


@dataclass(frozen=True, slots=True, eq=False)
class _SweepCycles:
    """Cycles that all stores of one kind would take, if every tile were of that kind (columns)."""

    memory: Floats
    """Of the DRAM bus."""
    entries: Floats
    """Of the miss entries, all of them together."""


@dataclass(frozen=True, slots=True, eq=False)
class _Command:
    """One kind of store command: so many rows of so many blocks (tables)."""

    number: Ints
    """How many a loop has."""
    read: Floats
    """Cycles in which its rows are read."""
    alone: Floats
    """From its start to its completion."""
    last_row: Floats
    """From its start to that of its last row."""
    blocks: Ints
    taken: Floats
    """From its start until the controller takes the next one."""

    def pace(self) -> Floats:
        """Cycles per command in a stream: its rows, but no less than the controller takes."""
        return np.maximum(self.read, self.taken)


class _StoreStream(NamedTuple):
    """The commands of a loop."""

    serial: Floats
    """Cycles of all of them, whatever the memory does."""
    last: _Command


class StoreTimes:
    """Tables of store cycles; axes as in `mapper.cost.latency.loop_times`, of length one along k."""

    def __init__(
        self,
        visits: Visits,
        traffic: Traffic,
        reuse: CacheReuse | None,
        batch: Batch,
        tilings: Tilings,
    ) -> None:
        self._spec, self._problem = traffic.spec, traffic.problem
        self._along_n, self._halves = tilings.n, batch.double_buffered
        self._m, self._n = tilings.m.blocks[:, None, None, :], tilings.n.blocks[None, None, :, :]
        self._last_rows = np.array(tilings.m.last_rows, dtype=np.int64)[:, None, None, None]
        self._rows = (self._m - 1) * self._spec.array.rows + self._last_rows
        self._segment = blocks_per_segment(self._spec)
        self._results, self._partial = traffic.c[batch.tile_n], np.asarray(traffic.partial)[None, :]
        cols = (self._n - 1) * self._spec.array.cols + np.array(tilings.n.last_rows)[None, None, :, None]
        self._share = self._rows * cols / (self._problem.m * self._problem.n)
        self._sweeps = self._sweep_cycles(visits, reuse)
        self._result_times = traffic.times_c.take(batch.tile_n)
        self._sum_times = traffic.times_stored_sums.take(np.ones(1, dtype=np.int64))
        # Of the lines that are stored: those that the L2 does not hold. Sums in int32 hold the lines of their results.
        new = reuse.fresh_share if reuse is not None else np.ones(1)
        replaces = reuse is not None and self._problem.c_full
        self._new_sums, self._new_results = new, np.where(visits.spilled > 0, 0.0, new) if replaces else new
        if self._problem.c_kept is not None:
            # Results that stay on chip touch no line.
            self._new_results = np.zeros(1)
        self._cycles: dict[Stored, Floats] = {}
        self._streams: dict[bool, _StoreStream] = {}

    def full(self, stored: Stored) -> bool:
        """Whether int32 is stored."""
        return stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS) or self._problem.c_full

    def mvouts(self, stored: Stored) -> Ints:
        """Store commands: one per block of int32, one per segment of int8."""
        number: Ints = self._m * (self._n if self.full(stored) else -(-self._n // self._segment))
        return number

    def cycles(self, stored: Stored) -> Floats:
        """Least cycles of the unit: its rows, or what the memory takes beyond the writes that wait in free slots."""
        if stored not in self._cycles:
            self._cycles[stored] = np.maximum(self.serial(stored), self.writes(stored) - self.ahead(stored))
        return self._cycles[stored]

    def serial(self, stored: Stored) -> Floats:
        """Cycles in which the rows of all commands are read, whatever the memory does."""
        return self._stream(stored).serial

    def writes(self, stored: Stored) -> Floats:
        """Cycles that the memory takes for the writes; those that it takes as fast as they come count as read."""
        (pace, _, held), mvouts, serial = self._paces(stored), self.mvouts(stored), self.serial(stored)
        # A unit that reads rows more slowly than the store pipeline gives the memory as much more time.
        slack = np.maximum(0.0, serial - mvouts * held)
        streamed = serial + self._new(stored) * np.maximum(0.0, mvouts * (pace - held) - slack)
        cycles: Floats = np.maximum(streamed, np.maximum(self.memory(stored), self.entries(stored)))
        return cycles

    def ahead(self, stored: Stored) -> Floats:
        """Cycles of the memory for writes that may wait in slots when the unit is through with its rows.

        Only behind one loop after another: in halves, slots still hold writes of the loop before.
        """
        if self._halves:
            return np.zeros(1)
        pace, first, _ = self._paces(stored)
        cycles: Floats = np.minimum(self._new(stored) * np.maximum(0.0, pace - first), self.writes(stored))
        return cycles

    def _new(self, stored: Stored) -> Floats:
        """Share of the lines stored that the L2 does not hold before; sums that were loaded for the loop are held."""
        if stored == Stored.RELOADED_SUMS and self._spec.l2 is not None:
            return np.zeros(1)
        return self._new_sums if stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS) else self._new_results

    def _paces(self, stored: Stored) -> tuple[Floats, Floats, Floats]:
        """Cycles per command of a stream whose lines the L2 lacks, of its first, and of one whose lines it holds."""
        times = self._sum_times if stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS) else self._result_times
        held = times.scattered[:, 0]
        if not self.full(stored):
            first_in_row = stored == Stored.RESULT_FIRST_IN_ROW
            return (times.in_row, times.in_row_alone, held) if first_in_row else (times.later, times.later_alone, held)
        # Blocks of int32 are stored one by one: only the first of a row is the first to touch its lines. Sums are on
        # average those of whole rows.
        if stored == Stored.RESULT:
            return times.later, times.later_alone, held
        first = 1.0 / (self._n if stored == Stored.RESULT_FIRST_IN_ROW else self._along_n.total_blocks)
        pace = times.later + first * (times.in_row - times.later)
        return pace, times.later_alone + first * (times.in_row_alone - times.later_alone), held

    def after_last(self, stored: Stored) -> Floats:
        """Cycles from the end of the unit's work to the completion of the last command."""
        last = self._stream(stored).last
        # Where the memory sets the pace, a command is over by the time its share of the memory's is.
        average = self.cycles(stored) / self.mvouts(stored)
        pace = np.maximum(average, last.pace())
        cycles: Floats = np.maximum(0.0, last.alone - pace)
        return cycles

    def acknowledged(self, stored: Stored) -> Floats:
        """Cycles from the completion of the last command to the acknowledgement of its last write."""
        dma, l2 = self._spec.dma, self._spec.l2
        last = self._stream(stored).last
        sent = dma.store_first_cycles + last.last_row + (1 if self.full(stored) else last.blocks)
        # The last write is sent when its row is, and takes its way to the memory and back.
        answered = sent + dma.write_ack_cycles
        if l2 is not None:
            # A line that is covered in part comes from DRAM before the write is acknowledged.
            missed = np.minimum(1.0, self.memory(stored))
            answered = answered + l2.hit_cycles + missed * dram_latency(self._spec)
        cycles: Floats = np.maximum(np.maximum(0.0, answered - last.alone), self.ahead(stored))
        return cycles

    def memory(self, stored: Stored) -> Floats:
        """Cycles of the DRAM bus."""
        cycles: Floats = self._share * self._sweeps[stored].memory
        return cycles

    def entries(self, stored: Stored) -> Floats:
        """Cycles of the miss entries, all of them together."""
        cycles: Floats = self._share * self._sweeps[stored].entries
        return cycles

    def requests(self, stored: Stored) -> Floats:
        """Writes."""
        number: Floats = self._share * self._sweep(stored)[:, REQUESTS]
        return number

    def beats(self, stored: Stored) -> Floats:
        """Cycles of the bus that loads share."""
        cycles: Floats = self._share * self._sweep(stored)[:, BEATS]
        return cycles

    def _stream(self, stored: Stored) -> _StoreStream:
        """Return the commands of a loop, which are the same whatever the L2 holds of their lines."""
        sums = stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS)
        if sums not in self._streams and self._problem.whole_rows and not sums:
            self._streams[sums] = self._readout()
        if sums not in self._streams:
            *commands, last = self._commands(stored)
            serial = sum((command.number * command.pace() for command in commands), np.zeros(1))
            self._streams[sums] = _StoreStream(serial, last)
        return self._streams[sums]

    def _readout(self) -> _StoreStream:
        """Return the commands of a loop whose complete rows a unit reads out: they divide its time evenly."""
        blocks = -(-self._problem.n // self._spec.array.cols)
        cycles = readout_cycles(self._rows, self._problem.n, self._problem.activation, self._spec)
        part = cycles / self.mvouts(Stored.RESULT)
        ending = np.full((1, 1, 1, 1), (blocks - 1) % self._segment + 1)
        last = _Command(np.ones_like(ending), part, part + self._spec.dma.store_completion_cycles, part, ending, part)
        return _StoreStream(cycles, last)

    def _sweep(self, stored: Stored) -> Ints:
        """Totals of all stores of a kind (columns of `mapper.cost.sweep`)."""
        return self._partial if stored in (Stored.RELOADED_SUMS, Stored.NEW_SUMS) else self._results

    def _commands(self, stored: Stored) -> list[_Command]:
        """Return the commands of a loop: full and last row blocks, of full segments and of the rest; and its last."""
        one, side = np.ones((1, 1, 1, 1), dtype=np.int64), np.full((1, 1, 1, 1), self._spec.array.rows)
        writer, period = self._row_periods(stored)
        more = self._more_beats(stored)
        if self.full(stored):
            groups, ending = [(self._n, one)], one
        else:
            rest = self._n % self._segment
            groups = [(self._n // self._segment, one * self._segment), (np.minimum(rest, 1), rest)]
            ending = np.where(rest > 0, rest, np.minimum(self._n, self._segment))
        kinds = [
            (high * across, rows, blocks)
            for across, blocks in groups
            for high, rows in ((self._m - 1, side), (np.ones_like(self._m), self._last_rows))
        ]
        return [
            self._command(number, rows, blocks, (writer[blocks] + more, period[blocks]))
            for number, rows, blocks in (*kinds, (one, self._last_rows, ending))
        ]

    def _command(self, number: Ints, rows: Ints, blocks: Ints, pace: tuple[Floats, Floats]) -> _Command:
        """Return commands of ``rows`` rows of ``blocks`` blocks; complete, they may still have rows at the writer.

        ``pace``: cycles of the writer per row, and of the pipeline before it.
        """
        dma = self._spec.dma
        # Of an unaligned row the writer sends more beats; the pipeline goes on meanwhile.
        writer = pace[0]
        period: Floats = np.maximum(writer, pace[1])
        last_row: Floats = (rows - 1) * period
        ahead = np.ceil(dma.store_buffer_blocks * writer / np.maximum(blocks, 1))
        # The command is over when its last row is read, which the buffers allow before the writer has come so far.
        read_by = np.minimum(np.maximum(last_row - ahead, (rows - 1.0) * blocks), last_row)
        # The next command is taken once the rows are requested.
        taken = np.maximum(COMMAND_CYCLES, np.where(blocks > 0, rows * blocks + command_gap(self._spec), 0.0))
        return _Command(number, rows * period, read_by + dma.store_completion_cycles, last_row, blocks, taken)

    def _row_periods(self, stored: Stored) -> tuple[Floats, Floats]:
        """Return the cycles of the writer and of the whole pipeline per aligned row of 0, 1, ... blocks."""
        dma, full = self._spec.dma, self.full(stored)
        widths = range(1, 2 if full else self._segment + 1)
        activation = "none" if full else self._problem.activation
        lanes = [epilogue_cycles(blocks, activation, self._spec) for blocks in widths]
        on_chip = self._problem.c_kept is not None and not full
        writer = [writer_cycles(blocks, full, on_chip, dma) for blocks in widths]
        pipeline = [row_period(blocks, full, on_chip, dma) for blocks in widths]
        return np.array([0.0, *map(max, writer, lanes)]), np.array([0.0, *map(max, pipeline, lanes)])

    def _more_beats(self, stored: Stored) -> Floats:
        """Return the beats of an average row segment beyond those of an aligned one (mappings)."""
        full, tiling = self.full(stored), self._along_n
        element = self._spec.array.sum_bytes if full else 1
        block = self._spec.array.cols * element
        width = block * (1 if full else self._segment)
        beats = np.array([segment_totals(0, size, self._spec.dma)[1] for size in range(width + 1)], dtype=np.int64)
        aligned, segments = 0, 0
        for tiles, blocks, last in zip((tiling.trips - 1, 1), tiling.blocks, tiling.last_rows, strict=True):
            size = (blocks - 1) * block + last * element
            aligned = aligned + tiles * (size // width * beats[width] + beats[size % width])
            segments = segments + tiles * -(-size // width)
        # Beats were counted for all places that rows take in a line; this is their mean.
        found = self._sweep(stored)[:, BEATS] / self._problem.m
        more: Floats = np.maximum(0.0, found - aligned) / segments
        return more

    def _sweep_cycles(
        self, visits: Visits, reuse: CacheReuse | None
    ) -> tuple[_SweepCycles, _SweepCycles, _SweepCycles, _SweepCycles]:
        """Return what all stores cost the memory, by `Stored`.

        Without an L2 all data go to DRAM. With one, a line that is written whole takes a miss entry if the L2 did not
        hold it, and one that is written in part is fetched by the first store that touches it.
        """
        spec, problem = self._spec, self._problem
        dram, nothing = spec.dram, np.zeros(1)
        if reuse is None or spec.l2 is None:
            sums, results = (
                _SweepCycles(sweep[:, BYTES] / dram.bytes_per_cycle, nothing)
                for sweep in (self._partial, self._results)
            )
            return sums, sums, results, results
        per_fetch = fetch_cycles(spec, spec.line_bytes)
        latency = dram_latency(spec)
        occupied = entry_cycles(spec.l2, latency, per_fetch) / spec.l2.mshrs
        # A line that enters dirty evicts a dirty one in their share of the cases; its write-back and the entry that
        # waits for it run side by side, so the slower counts.
        entry = dram.write_miss_cycles + dram.write_back_hold_cycles / spec.l2.mshrs * reuse.dirty_share
        new = np.maximum(entry, dram.write_back_cycles * reuse.dirty_share) * reuse.fresh_share
        whole = np.clip(reuse.unique_c - reuse.merged_c, 0.0, None) * new
        if problem.c_full:
            # int32 results reuse the lines of the partial sums, which the L2 took in already.
            whole = np.where(visits.spilled > 0, 0.0, whole)
        # Blocks that share a line touch it in turn: the first one fetches it.
        touched = problem.m * -(-problem.n * spec.array.sum_bytes // spec.line_bytes)
        covered = np.maximum(0, touched - self._partial[:, PARTIAL_LINES])
        merged, lines = (touched - covered) * reuse.cold_share, covered
        first, later = self._merged(reuse)
        return (
            _SweepCycles(nothing, nothing),
            _SweepCycles(per_fetch * merged, occupied * merged + lines * new),
            _SweepCycles(per_fetch * later, occupied * later + whole),
            _SweepCycles(per_fetch * first, occupied * first + whole),
        )

    def _merged(self, reuse: CacheReuse) -> tuple[Floats, Floats]:
        """Return the lines that all results would fetch: if all tiles were the first of their rows, or later ones.

        A tile whose rows are no whole lines ends inside a line, which its store has to fetch. The next tile continues
        in that line and finds it.
        """
        problem, along_n, line = self._problem, self._along_n, self._spec.dma.max_request_bytes
        row_bytes = problem.n * problem.c_bytes
        tile_bytes = np.minimum(along_n.blocks[FULL] * self._spec.array.cols * problem.c_bytes, row_bytes)
        by_first_tiles = np.minimum(reuse.merged_c, problem.m * -(-tile_bytes // line) * (tile_bytes % line > 0))
        if problem.c.address % line or problem.c.row_stride_bytes % line:
            # Rows begin anywhere in a line, so that tiles have a part of one at either end: all tiles share alike.
            return reuse.merged_c, reuse.merged_c
        first = by_first_tiles * row_bytes / tile_bytes
        rest = (reuse.merged_c - by_first_tiles) * row_bytes / np.maximum(row_bytes - tile_bytes, 1)
        return first, np.where(along_n.trips > 1, rest, first)
