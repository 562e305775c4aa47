"""Cycles of the hardware loops of a matmul, for columns of mappings.

Two loops are in flight: while one computes, the stores of the loop before it leave and the loads of the loop after it
arrive, in that order. So a loop costs

    double-buffered   max(compute, load + store of the previous result, issue of the loop)
    whole memories    first loads + max(compute, remaining loads) + store

and the first loads, the last store and the pipeline's depth are exposed once. Loops differ only by ragged tiles and
by their place in the k loop: at most twelve classes, each with its number of loops. Sources of the unit times:
`simulator.units`, timing notes sections 3 and 5.2, calibration notes section 1.2 for the commands in flight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwconfigs import HardwareSpec
from mapper.counts import Visits
from mapper.mapspace import Batch
from mapper.residency import Lines
from mapper.traffic import BEATS, Traffic
from simulator.units.systolic_array import completion_delay, compute_cycles
from simulator.units.unroller import blocks_per_segment

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One kind of tile along one dimension (columns)."""

    number: Ints
    """Tiles of this kind."""
    blocks: Ints
    last_rows: Ints
    """Elements of the last block."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Cycles of each mapping, and the busy time of each unit (columns)."""

    cycles: Floats
    compute: Floats
    load: Floats
    store: Floats


def full_and_ragged(size: int, tile: Ints, dim: int) -> tuple[Part, Part]:
    """Split a dimension of ``size`` elements in tiles of ``tile`` blocks into equal full tiles and the last one."""
    blocks = -(-size // dim)
    trips = -(-blocks // tile)
    rest = blocks - (trips - 1) * tile
    whole = np.full_like(tile, dim)
    edge = np.full_like(tile, size - (blocks - 1) * dim)
    return Part(trips - 1, tile, whole), Part(np.ones_like(tile), rest, edge)


class _Machine:
    """Costs of one loop's parts, from the totals of the whole matmul."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> None:
        self.spec = traffic.spec
        self.problem = traffic.problem
        self.batch = batch
        self.seen = seen
        self.segment = blocks_per_segment(self.spec)
        self._command_costs(traffic, lines)

    def _command_costs(self, traffic: Traffic, lines: Lines | None) -> None:
        """Average cycles of one mvin of A, of B and of D."""
        batch, problem, dim = self.batch, self.problem, self.spec.array.rows
        k_commands = self._segments(problem.k, batch.tile_k)
        n_commands = self._segments(problem.n, batch.tile_n)
        m_blocks, k_blocks, n_blocks = (-(-size // dim) for size in (problem.m, problem.k, problem.n))
        a_commands = m_blocks * k_commands
        b_commands = n_blocks * k_commands if problem.b_transposed else k_blocks * n_commands
        b_width = batch.tile_k if problem.b_transposed else batch.tile_n
        zero = np.zeros(len(batch), dtype=np.float64)
        missed_a, missed_b, missed_d = (lines.a, lines.b, lines.d) if lines else (zero, zero, zero)
        self.a_command = self._mvin(
            traffic.a[batch.tile_k, BEATS] / a_commands, missed_a / (a_commands * self.seen.loads_a)
        )
        self.b_command = self._mvin(traffic.b[b_width, BEATS] / b_commands, missed_b / (b_commands * self.seen.loads_b))
        d_commands = m_blocks * n_blocks
        passes = self.seen.spilled + int(problem.bias_address is not None)
        beats = (traffic.partial[BEATS] * self.seen.spilled + traffic.bias[BEATS]) / np.maximum(1, passes) / d_commands
        self.d_command = self._mvin(beats, missed_d / np.maximum(1, passes) / d_commands)

    def _segments(self, size: int, tile: Ints) -> Ints:
        full, ragged = full_and_ragged(size, tile, self.spec.array.rows)
        commands: Ints = full.number * -(-full.blocks // self.segment) - (-ragged.blocks // self.segment)
        return commands

    def _mvin(self, beats: Floats, misses: Floats) -> Floats:
        """Cycles per load command: bus, memory, and the latency that few commands in flight cannot hide."""
        spec, dma = self.spec, self.spec.dma
        line = dma.max_request_bytes
        depth = dma.max_commands_in_flight
        if spec.l2 is None:
            transfer = beats * dma.bus_bytes_per_cycle / spec.dram.bytes_per_cycle
            alone = dma.issue_cycles + spec.dram.latency_cycles + transfer + dma.completion_cycles
            return np.maximum(transfer, alone / depth)
        per_line = line / spec.dram.bytes_per_cycle + spec.dram.evict_cycles
        miss_latency = spec.dram.latency_cycles + spec.dram.request_cycles
        if spec.llc is not None:
            miss_latency += spec.llc.hit_cycles
        alone = dma.issue_cycles + spec.l2.hit_cycles + dma.completion_cycles + beats
        alone = alone + np.minimum(1.0, misses) * miss_latency + np.maximum(0.0, misses * per_line - beats)
        entries = misses * (miss_latency + per_line + spec.l2.mshr_release_cycles) / spec.l2.mshrs
        return np.maximum.reduce([beats, misses * per_line, entries, alone / depth])

    def compute(self, m: Part, k: Part, n: Part) -> Floats:
        """Execute cycles of a loop: new weights at i = 0, kept ones for the other row blocks."""
        array = self.spec.array
        transposed = self.problem.b_transposed
        kept = (m.blocks - 2) * array.rows + compute_cycles(m.last_rows, array, transposed)
        pairs = k.blocks * n.blocks
        new = array.rows * (array.transpose_factor if transposed else 1 + self._same_bank(m, k, n))
        return pairs * (new + np.where(m.blocks > 1, kept, 0))

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

    def load(self, m: Part, k: Part, n: Part, adds: Floats | float) -> Floats:
        """Load cycles of a loop; a held operand loads in its share of the loops, D in the share ``adds``."""
        k_commands = -(-k.blocks // self.segment)
        b_commands = n.blocks * k_commands if self.problem.b_transposed else k.blocks * -(-n.blocks // self.segment)
        a = m.blocks * k_commands * self.a_command * (self.seen.loads_a / self.seen.trips_n)
        b = b_commands * self.b_command * (self.seen.loads_b / self.seen.trips_m)
        return a + b + adds * m.blocks * n.blocks * self.d_command

    def store(self, m: Part, n: Part, full: bool) -> Floats:
        """Store cycles of a loop: serial commands of whole row segments."""
        dma = self.spec.dma
        rows = (m.blocks - 1) * self.spec.array.rows + m.last_rows
        if full:
            commands = m.blocks * n.blocks * float(dma.store_command_cycles)
            full_width: Floats = np.maximum(rows * n.blocks * dma.store_full_row_cycles, commands)
            return full_width
        groups = n.blocks // self.segment
        rest = n.blocks - groups * self.segment
        per_row = np.array([0.0, *dma.store_row_cycles])
        wide = per_row[np.minimum(self.segment, 4)] if self.segment <= 4 else float(self.segment)
        narrow = np.where(rest <= 4, per_row[np.minimum(rest, 4)], rest)
        long = groups * np.maximum(rows * wide, m.blocks * float(dma.store_command_cycles))
        short = np.where(rest > 0, np.maximum(rows * narrow, m.blocks * float(dma.store_command_cycles)), 0.0)
        return long + short


def cycles(batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None) -> Times:
    """Return the cycles of each mapping, library call included."""
    machine = _Machine(batch, seen, traffic, lines)
    spec, problem = traffic.spec, traffic.problem
    dim = spec.array.rows
    zero = np.zeros(len(batch), dtype=np.float64)
    total, compute, load, store = zero, zero, zero, zero
    issue = float(spec.host.loop_cycles)
    for number, loop_compute, loop_load, loop_store in _classes(machine):
        if batch.double_buffered:
            one = np.maximum(np.maximum(loop_compute, loop_load + loop_store), issue)
        else:
            one = np.maximum(loop_compute + loop_load + loop_store + _exposed(machine), issue)
        total = total + number * one
        compute, load, store = compute + number * loop_compute, load + number * loop_load, store + number * loop_store
    m, k, n = (full_and_ragged(size, tile, dim) for size, tile in _extents(machine))
    first = machine.load(_first(m), _first(k), _first(n), float(problem.bias_address is not None))
    slab = np.minimum(1.0, machine.segment / _first(k).blocks)
    last_store = machine.store(m[1], n[1], problem.c_full)
    if batch.double_buffered:
        single = np.asarray(seen.loops == 1)
        head = np.where(single, np.maximum(first * slab, first + 0.0 * slab - compute), first * slab)
        total = total + head + last_store + _exposed(machine)
    if lines is not None:
        total = np.maximum(total, _memory_floor(lines, spec))
    return Times(total + spec.host.call_cycles, compute, load, store)


def _first(parts: tuple[Part, Part]) -> Part:
    """The first tile along a dimension: a full one if there is any."""
    full, ragged = parts
    some = full.number > 0
    return Part(
        np.ones_like(full.number),
        np.where(some, full.blocks, ragged.blocks),
        np.where(some, full.last_rows, ragged.last_rows),
    )


def _extents(machine: _Machine) -> tuple[tuple[int, Ints], tuple[int, Ints], tuple[int, Ints]]:
    problem, batch = machine.problem, machine.batch
    return (problem.m, batch.tile_m), (problem.k, batch.tile_k), (problem.n, batch.tile_n)


def _classes(machine: _Machine) -> Iterator[tuple[Ints, Floats, Floats, Floats]]:
    """Yield (number of loops, compute, load, store) of every class of loops."""
    problem, seen = machine.problem, machine.seen
    m_parts, k_parts, n_parts = (full_and_ragged(size, t, machine.spec.array.rows) for size, t in _extents(machine))
    spilled = np.asarray(seen.spilled > 0, dtype=np.float64)
    bias = float(problem.bias_address is not None)
    k_full, k_last = k_parts
    single = np.asarray(seen.trips_k == 1, dtype=np.float64)
    for m in m_parts:
        for n in n_parts:
            tiles = m.number * n.number
            final = machine.store(m, n, problem.c_full)
            partial = spilled * machine.store(m, n, True)
            opening = np.minimum(k_full.number, 1)
            for number, k, adds, stored in (
                (opening, k_full, bias, np.where(spilled > 0, partial, final)),
                (k_full.number - opening, k_full, spilled, partial),
                (
                    k_last.number,
                    k_last,
                    np.where(single > 0, bias, spilled),
                    np.where((single + spilled) > 0, final, 0.0),
                ),
            ):
                yield tiles * number, machine.compute(m, k, n), machine.load(m, k, n, adds), stored


def _exposed(machine: _Machine) -> float:
    """Depth of the pipeline: configuration, first load, array, first and last store. [cycles]"""
    spec = machine.spec
    memory = spec.l2.hit_cycles if spec.l2 else spec.dram.latency_cycles
    ends = spec.dma.issue_cycles + memory + spec.dma.completion_cycles
    front = spec.front_end.loop_config_cycles + spec.front_end.first_command_cycles
    return float(front + ends + completion_delay(spec.array) + spec.dma.store_completion_cycles)


def _memory_floor(lines: Lines, spec: HardwareSpec) -> Floats:
    """Cycles that DRAM is busy with the estimated traffic."""
    per_line = spec.dma.max_request_bytes / spec.dram.bytes_per_cycle
    return lines.fetched * (per_line + spec.dram.evict_cycles) + lines.written * per_line
