"""Cycles of the hardware loops of a matmul, for columns of mappings.

Two loops are in flight. While a loop computes, the stores of the loop before it leave and the loads of the loop after
it arrive, in that order:

    total = call + first loads + sum over neighbours of max(compute, stores before + loads after, stores before, issue)
                 + last loop, or the stores before it if they take longer + its own stores

Loops differ only by ragged tiles, so the neighbours of a three-deep loop nest come in at most fourteen kinds, each with
its number of occurrences. A tile in the whole memories overlaps with nothing but the rest of its own loads. Sources of
the unit times: `simulator.units`, timing notes sections 3 and 5.2, calibration notes sections 1.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapper.counts import Visits, dma
from mapper.loads import exposed, load_command, memory_busy, overlapped
from mapper.mapping import DIMS
from mapper.mapspace import Batch
from mapper.residency import Lines
from mapper.traffic import BEATS, BYTES, LINES, Traffic
from simulator.units.store import row_period
from simulator.units.systolic_array import compute_cycles
from simulator.units.unroller import blocks_per_segment

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


EARLY_RELEASE_CYCLES = (320.0, 200.0)
"""Bank conflicts of a loop that is released before its last pairs are fed, because its stores fit the store queue: the
loads of the loop after next then fill the half that is still read. Tiles of less than eight row blocks, and others.
Fitted to our own event simulation of 20 tilings of 512x768x768 (110 to 480 cycles); calibration notes, section 1.1."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One kind of tile along one dimension (columns)."""

    blocks: Ints
    last_rows: Ints
    """Elements of the last block."""
    opening: Floats
    """Share of these tiles that are the first of the dimension."""
    final: Floats
    """Share that are the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A dimension cut in tiles: equal full ones, then the last one, which may be ragged."""

    trips: Ints
    full: Part
    last: Part

    @property
    def first(self) -> Part:
        """The first tile: a full one if there is any."""
        some = self.trips > 1
        return Part(
            np.where(some, self.full.blocks, self.last.blocks),
            np.where(some, self.full.last_rows, self.last.last_rows),
            np.ones(len(some)),
            np.where(some, 0.0, 1.0),
        )


Tile = dict[str, Part]
"""The parts of one loop's tile by dimension."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Cycles of each mapping, and the busy time of each unit (columns)."""

    cycles: Floats
    compute: Floats
    load: Floats
    store: Floats


def cut(size: int, tile: Ints, dim: int) -> Cut:
    """Cut ``size`` elements in tiles of ``tile`` blocks."""
    blocks = -(-size // dim)
    trips = -(-blocks // tile)
    several = trips > 1
    full = Part(tile, np.full_like(tile, dim), 1.0 / np.maximum(1, trips - 1), np.zeros(len(tile)))
    edge = np.full_like(tile, size - (blocks - 1) * dim)
    last = Part(blocks - (trips - 1) * tile, edge, np.where(several, 0.0, 1.0), np.ones(len(tile)))
    return Cut(trips, full, last)


def neighbours(order: str, cuts: dict[str, Cut]) -> Iterator[tuple[Ints, Tile, Tile]]:
    """Yield (occurrences, a loop's tile, the next loop's tile) for every kind of step of the DRAM loops."""
    names = tuple(order)
    outer, middle, inner = (cuts[name] for name in names)

    def tile(*parts: Part) -> Tile:
        return dict(zip(names, parts, strict=True))

    for out, outs in ((outer.full, outer.trips - 1), (outer.last, 1)):
        for mid, mids in ((middle.full, middle.trips - 1), (middle.last, 1)):
            yield outs * mids * np.maximum(0, inner.trips - 2), tile(out, mid, inner.full), tile(out, mid, inner.full)
            yield outs * mids * (inner.trips > 1), tile(out, mid, inner.full), tile(out, mid, inner.last)
        before = tile(out, middle.full, inner.last)
        yield outs * np.maximum(0, middle.trips - 2), before, tile(out, middle.full, inner.first)
        yield outs * (middle.trips > 1), before, tile(out, middle.last, inner.first)
    before = tile(outer.full, middle.last, inner.last)
    yield np.maximum(0, outer.trips - 2), before, tile(outer.full, middle.first, inner.first)
    yield (outer.trips > 1) * 1, before, tile(outer.last, middle.first, inner.first)


def before_last(order: str, cuts: dict[str, Cut]) -> Tile:
    """Return the tile of the last loop but one: a full one along the innermost dimension that has several."""
    tile = {name: cuts[name].last for name in order}
    inside = np.zeros(len(cuts["k"].trips), dtype=bool)
    for name in reversed(order):
        here = (cuts[name].trips > 1) & ~inside
        tile[name] = _chosen(here, cuts[name].full, cuts[name].last)
        inside |= here
    return tile


def _chosen(here: NDArray[np.bool_], one: Part, other: Part) -> Part:
    """Return ``one`` where ``here``, elsewhere ``other``."""
    return Part(
        np.where(here, one.blocks, other.blocks),
        np.where(here, one.last_rows, other.last_rows),
        np.where(here, one.opening, other.opening),
        np.where(here, one.final, other.final),
    )


class _Machine:
    """Costs of one loop's parts, from the totals of the whole matmul."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> None:
        self.spec = traffic.spec
        self.problem = traffic.problem
        self.batch = batch
        self.seen = seen
        self.segment = blocks_per_segment(self.spec)
        self.spilled = np.asarray(seen.spilled > 0, dtype=np.float64)
        self.row_periods = np.array(
            [row_period(n, False, False, self.spec.dma) if n else 0.0 for n in range(self.segment + 1)]
        )
        self.exposed = exposed(self.spec)
        self.line_store = self._line_store(traffic, lines)
        self._from_dram = lines.from_dram if lines else np.ones(len(batch))
        self._command_costs(traffic, lines)

    def _line_store(self, traffic: Traffic, lines: Lines | None) -> Floats:
        """Cycles of the memory per line stored: on its way to DRAM, or into an L2 that does not hold it."""
        dram, line = self.spec.dram, self.spec.dma.max_request_bytes
        if lines is None:
            return np.full(len(self.batch), line / dram.bytes_per_cycle)
        stored = dma(self.batch, self.seen, traffic)[1][:, LINES]
        cycles: Floats = dram.write_miss_cycles * np.minimum(1.0, lines.written / stored)
        return cycles

    def _command_costs(self, traffic: Traffic, lines: Lines | None) -> None:
        """Average cycles of one mvin of A, of B and of D."""
        batch, problem, dim = self.batch, self.problem, self.spec.array.rows
        k_commands = self._segments(problem.k, batch.tile_k)
        n_commands = self._segments(problem.n, batch.tile_n)
        m_blocks, k_blocks, n_blocks = (-(-size // dim) for size in (problem.m, problem.k, problem.n))
        b_width = batch.tile_k if problem.b_transposed else batch.tile_n
        a, b = traffic.a[batch.tile_k], traffic.b[b_width]
        zero = np.zeros(len(batch), dtype=np.float64)
        missed_a, missed_b, missed_d = (lines.a, lines.b, lines.d) if lines else (zero, zero, zero)
        loads_a, loads_b = self.seen.loads_a, self.seen.loads_b
        b_commands = n_blocks * k_commands if problem.b_transposed else k_blocks * n_commands
        self.a_command = self._mvin(a, m_blocks * k_commands, missed_a / loads_a)
        self.b_command = self._mvin(b, b_commands, missed_b / loads_b)
        passes = np.maximum(1, self.seen.spilled + int(problem.bias_address is not None))[:, None]
        d = (traffic.partial * self.seen.spilled[:, None] + traffic.bias) / passes
        self.d_command = self._mvin(d, m_blocks * n_blocks, missed_d / passes[:, 0])
        touched = a[:, LINES] * loads_a + b[:, LINES] * loads_b
        self.hits = 1.0 - np.minimum(1.0, (missed_a + missed_b) / touched) if lines else zero

    def _segments(self, size: int, tile: Ints) -> Ints:
        parts = cut(size, tile, self.spec.array.rows)
        commands: Ints = (parts.trips - 1) * -(-tile // self.segment) - (-parts.last.blocks // self.segment)
        return commands

    def _mvin(self, sweep: Ints | Floats, commands: Ints | int, missed: Floats) -> Floats:
        """Average cycles of the mvins of one sweep: some of them miss with every line, the others hit."""
        beats, lines = sweep[:, BEATS] / commands, sweep[:, LINES] / commands
        share = np.minimum(1.0, missed / np.maximum(sweep[:, LINES], 1))
        none = np.zeros_like(beats)
        size = sweep[:, BYTES] / commands
        hit = load_command(beats, size, none, self._from_dram, self.spec)
        miss = load_command(beats, size, lines, self._from_dram, self.spec)
        cycles: Floats = hit + share * (miss - hit)
        return cycles

    def compute(self, tile: Tile) -> Floats:
        """Execute cycles of a loop: new weights at i = 0, kept ones for the other row blocks."""
        array, (m, k, n) = self.spec.array, _mkn(tile)
        transposed = self.problem.b_transposed
        kept = (m.blocks - 2) * array.rows + compute_cycles(m.last_rows, array, transposed)
        factor = float(array.transpose_factor) if transposed else 1.0 + self._same_bank(m, k, n)
        cycles: Floats = k.blocks * n.blocks * (array.rows * factor + np.where(m.blocks > 1, kept, 0))
        return cycles

    def _same_bank(self, m: Part, k: Part, n: Part) -> Floats:
        """Share of new weights in the bank their inputs are read from: A fills rows upwards, B downwards."""
        scratchpad = self.spec.scratchpad
        rows = scratchpad.rows // (2 if self.batch.double_buffered else 1)
        bank = min(scratchpad.rows_per_bank, rows)
        dim = self.spec.array.rows
        a, b = m.blocks * k.blocks * dim, k.blocks * n.blocks * dim
        share = np.zeros(len(a), dtype=np.float64)
        for start in range(0, rows, bank):
            a_here = np.clip(a - start, 0, bank) / a
            b_here = np.clip(np.minimum(start + bank, rows) - np.maximum(start, rows - b), 0, bank) / b
            share += a_here * b_here
        return share

    def _loads(self, tile: Tile) -> tuple[Floats, Floats, Floats]:
        """Load cycles of A, B and D of a loop; a held operand loads in its share of the loops."""
        m, k, n = _mkn(tile)
        k_commands = -(-k.blocks // self.segment)
        b_commands = n.blocks * k_commands if self.problem.b_transposed else k.blocks * -(-n.blocks // self.segment)
        a = m.blocks * k_commands * self.a_command * (self.seen.loads_a / self.seen.trips_n)
        b = b_commands * self.b_command * (self.seen.loads_b / self.seen.trips_m)
        bias = float(self.problem.bias_address is not None)
        adds = k.opening * bias + (1.0 - k.opening) * self.spilled
        return a, b, adds * m.blocks * n.blocks * self.d_command

    def load(self, tile: Tile) -> Floats:
        """Load cycles of a loop."""
        a, b, d = self._loads(tile)
        return a + b + d

    def head(self, tile: Tile) -> Floats:
        """Load cycles before the first pair can start: D, the first column segment of A, the first blocks of B."""
        a, b, d = self._loads(tile)
        first_b = tile["n"].blocks if self.problem.b_transposed else tile["k"].blocks
        cycles: Floats = d + a * np.minimum(1.0, self.segment / tile["k"].blocks) + b / first_b
        return cycles

    def lead(self, tile: Tile) -> Floats:
        """Cycles by which the loads delay a loop: until its first pair can start, or so that its last ones can follow.

        Pairs run along k outermost, and so do the loads: the pairs of the last k step follow the last load. Transposed
        weights are loaded along n: behind the last load are all pairs but those of the first k step.
        """
        blocks = tile["k"].blocks
        before = 1.0 / blocks if self.problem.b_transposed else 1.0 - 1.0 / blocks
        cycles: Floats = np.maximum(self.head(tile), self.load(tile) - before * self.compute(tile))
        return cycles

    def left(self, tile: Tile) -> Floats:
        """Store cycles after a loop's last pair, if another loop follows: stores begin during the last k step."""
        cycles: Floats = np.maximum(0.0, self.store(tile)[0] - self.compute(tile) / tile["k"].blocks)
        return cycles

    def store(self, tile: Tile) -> tuple[Floats, Floats]:
        """Store cycles of a loop and the number of its mvouts: serial commands of whole row segments."""
        m, k, n = _mkn(tile)
        dma = self.spec.dma
        rows = (m.blocks - 1) * self.spec.array.rows + m.last_rows
        full_commands = m.blocks * n.blocks
        full_lines = rows * n.blocks * (self.spec.accumulator.row_bytes / dma.max_request_bytes)
        full = np.maximum(rows * n.blocks * dma.store_full_row_cycles, full_commands * float(dma.store_command_cycles))
        full = np.maximum(full, full_lines * self.line_store)
        if self.problem.c_full:
            commands, cycles = full_commands, full
        else:
            groups, rest = n.blocks // self.segment, n.blocks % self.segment
            commands = m.blocks * (groups + (rest > 0))
            cycles = groups * np.maximum(
                rows * self.row_periods[self.segment], m.blocks * float(dma.store_command_cycles)
            )
            short = np.maximum(rows * self.row_periods[rest], m.blocks * float(dma.store_command_cycles))
            int8_lines = rows * n.blocks * (self.spec.scratchpad.row_bytes / dma.max_request_bytes)
            cycles = np.maximum(cycles + np.where(rest > 0, short, 0.0), int8_lines * self.line_store)
        partial = (1.0 - k.final) * self.spilled
        return k.final * cycles + partial * full, k.final * commands + partial * full_commands

    def step(self, before: Tile, after: Tile) -> tuple[Floats, Floats, Floats, Floats]:
        """Cycles from one loop's start of computing to the next one's; its compute, the next one's load, its store."""
        compute, load = self.compute(before), self.load(after)
        store, mvouts = self.store(before)
        if not self.batch.double_buffered:
            return self.alone(before), compute, load, store
        entries = self.spec.front_end.store_entries
        waits = store * np.maximum(0.0, 1.0 - entries / np.maximum(mvouts, 1.0))
        few, many = EARLY_RELEASE_CYCLES
        early = np.where(before["m"].blocks < 8, few, many) * self.hits * (mvouts <= entries)
        busy = compute + np.minimum(early, np.minimum(load, compute))
        cycles: Floats = np.maximum(overlapped(busy, waits + load), np.maximum(store, self.spec.host.loop_cycles))
        return cycles, compute, load, store

    def alone(self, tile: Tile) -> Floats:
        """Cycles of a loop that overlaps with no other: it starts when its first blocks are on chip.

        The others arrive in the banks that are read: every A row written, and of B rows the share of steps with
        new weights, costs the array a cycle about every second time (seen in our event simulation).
        """
        m, k, n = _mkn(tile)
        head, load, compute = self.head(tile), self.load(tile), self.compute(tile)
        written = (m.blocks + n.blocks / m.blocks) * k.blocks * self.spec.array.rows
        conflicts = 0.5 * np.minimum(written * (1.0 - head / np.maximum(load, 1.0)), load - head)
        cycles: Floats = np.maximum(head + conflicts, self.lead(tile)) + compute + self.store(tile)[0]
        return cycles + self.exposed


def _mkn(tile: Tile) -> tuple[Part, Part, Part]:
    return tile["m"], tile["k"], tile["n"]


def cycles(batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> Times:
    """Return the cycles of each mapping, library call included."""
    machine = _Machine(batch, seen, traffic, lines)
    spec, problem = traffic.spec, traffic.problem
    dim = spec.array.rows
    columns = dict(zip(DIMS, (batch.tile_m, batch.tile_k, batch.tile_n), strict=True))
    cuts = {name: cut(problem.dims[name], columns[name], dim) for name in DIMS}
    first = {name: part.first for name, part in cuts.items()}
    last = {name: part.last for name, part in cuts.items()}
    compute, load, store = machine.compute(last), machine.load(first), machine.store(last)[0]
    if batch.double_buffered:
        waiting = np.maximum(0.0, machine.left(before_last(batch.order, cuts)) - compute)
        several = machine.lead(first) + compute + waiting + store + machine.exposed
        total = np.where(seen.loops > 1, several, machine.alone(last))
    else:
        total = machine.alone(last)
    for number, before, after in neighbours(batch.order, cuts):
        if not number.any():
            continue
        one, one_compute, one_load, one_store = machine.step(before, after)
        total = total + number * one
        compute, load, store = compute + number * one_compute, load + number * one_load, store + number * one_store
    if lines is not None:
        busy = memory_busy(lines.fetched, lines.written - lines.c, spec)
    else:
        loads, stores = dma(batch, seen, traffic)
        busy = (loads[:, BYTES] + stores[:, BYTES]) / spec.dram.bytes_per_cycle
    total = np.maximum(total, overlapped(compute, busy))
    return Times(total + spec.host.call_cycles, compute, load, store)
