"""Store controller: mvouts strictly one after another, at most two incomplete, starved by accumulation into their
bank."""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache

import simpy

from hwconfigs import DmaSpec, HardwareSpec
from hwconfigs.kernels import kernel_named
from simulator.clock import Clock
from simulator.cycle_account import Meter
from simulator.frontend.dma_requests import split_row
from simulator.frontend.work import Stores
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.path import MemoryPath
from simulator.units.in_flight import Process, Running, TimedProcess
from simulator.units.normaliser import Normaliser


def writer_cycles(blocks: int, full: bool, from_scratchpad: bool, dma: DmaSpec) -> float:
    """Cycles in which the writer takes an aligned row of ``blocks`` array blocks. [cycles]

    It collects the blocks, then sends the beats: blocks + beats - 1 per int8 row from the accumulator, so 1, 3, 6, 7
    for 1 to 4 blocks; an int32 row is one block of 4 beats; scratchpad rows 1 per block (timing notes, section 3.2).
    """
    if full:
        return dma.store_full_row_cycles * blocks
    if from_scratchpad:
        return float(blocks)
    table = dma.store_row_cycles
    whole, rest = divmod(blocks, len(table))
    return whole * table[-1] + (table[rest - 1] if rest else 0.0)


def row_period(blocks: int, full: bool, from_scratchpad: bool, dma: DmaSpec) -> float:
    """Mean cycles per aligned row of a long mvout. [cycles]

    Short int8 rows are held up by the scaling pipeline: 1.6 cycles per row of one block, 3.33 of two, as measured.
    """
    cycles = writer_cycles(blocks, full, from_scratchpad, dma)
    if full or from_scratchpad or not dma.scale_entries:
        return cycles
    return _scaled_period(blocks, cycles, dma.scale_entries, dma.scale_cycles)


@lru_cache(maxsize=1024)
def _scaled_period(blocks: int, cycles: float, entries: int, scale_cycles: int) -> float:
    pipeline = ScalePipeline(entries, scale_cycles)
    starts = [0.0]
    for _ in range(4 * SCALE_PERIOD):
        starts.append(pipeline.row(starts[-1], blocks, cycles))
    return (starts[-1] - starts[SCALE_PERIOD]) / (3 * SCALE_PERIOD)


SCALE_PERIOD = 30
"""Rows after which the pattern of the scaling pipeline has settled."""


class ScalePipeline:
    """Blocks between the start of scaling and the writer: a block waits for the one ``entries`` before it to be
    through."""

    __slots__ = ("_blocks", "_cycles")

    def __init__(self, entries: int, cycles: int) -> None:
        self._blocks: deque[float] = deque([-float(cycles)] * entries, maxlen=entries)
        self._cycles = cycles

    def row(self, start: float, blocks: int, writer: float) -> float:
        """A row that starts at ``start`` and takes the writer ``writer`` cycles; when the next may start."""
        held, cycles = self._blocks, self._cycles
        at = start
        for _ in range(blocks):
            at = max(at, held[0] + cycles)
            held.append(at)
            at += 1.0
        return at + writer - blocks


class StoreController:
    """SimPy process of the store queue."""

    def __init__(
        self,
        env: Clock,
        spec: HardwareSpec,
        path: MemoryPath,
        accumulator: AccumulatorBanks,
        normaliser: Normaliser | None,
        meter: Meter,
        lookahead: int,
    ) -> None:
        self.env = env
        self.inbox = simpy.Store(env)
        self.waiting_for = ""
        self.acknowledged = 0
        """When the last write so far is acknowledged by the memory [cycles]."""
        self._spec = spec
        self._path = path
        self._accumulator = accumulator
        self._normaliser = normaliser
        self._meter = meter
        self._lookahead = lookahead
        self._in_flight = spec.dma.max_commands_in_flight
        dma = spec.dma
        self._scale = ScalePipeline(dma.scale_entries, dma.scale_cycles) if dma.scale_entries else None
        self._spad_first = _either(dma.scratchpad_store_first_cycles, dma.store_first_cycles)
        self._spad_completion = _either(dma.scratchpad_store_completion_cycles, dma.store_completion_cycles)
        self._done: list[int] = [0] * max(self._in_flight, spec.front_end.store_entries + 1)

    def run(self) -> Process:
        """Store work after work."""
        while True:
            self.waiting_for = "a hardware loop"
            running = yield self.inbox.get()
            yield from self._execute(running)

    def _execute(self, running: Running) -> Process:
        env, stores = self.env, running.work.stores
        if running.start > env.now:
            yield env.timeout(running.start - env.now)
        count, entries = len(stores), self._spec.front_end.store_entries
        began = -1
        if count <= entries:
            running.emitted("store", max(running.start, self._done[count - entries - 1]))
        for index in range(count):
            if index == count - entries and index > 0:
                running.emitted("store", self._done[-1])
            yield from self._operands(running, index)
            start = self._done[-self._in_flight]
            if start > env.now:
                yield env.timeout(start - env.now)
            began = env.now if began < 0 else began
            yield from self._store(running, index)
        if count:
            self._meter.span(running.work.name, began, env.now)

    def _operands(self, running: Running, index: int) -> Process:
        env, stores = self.env, running.work.stores
        if stores.issue is not None and running.start + stores.issue[index] > env.now:
            yield env.timeout(running.start + stores.issue[index] - env.now)
        waited = env.now
        if stores.after_load[index]:
            self.waiting_for = f"mvin {stores.after_load[index]} of {running.work.name}"
            yield from running.loaded.until(stores.after_load[index])
        if stores.after_pair[index]:
            self.waiting_for = f"compute {stores.after_pair[index]} of {running.work.name}"
            yield from running.written.until(stores.after_pair[index])
        self._meter.stall("results", env.now - waited)

    def _store(self, running: Running, index: int) -> Process:
        """Read the rows out, as the accumulator permits, and hand them to memory."""
        env, stores, dma = self.env, running.work.stores, self._spec.dma
        began, rows, blocks, bank = env.now, int(stores.rows[index]), stores.blocks[index], stores.bank[index]
        first, completion = dma.store_first_cycles, dma.store_completion_cycles
        if bank < 0:
            first, completion = self._spad_first, self._spad_completion
        if kernel_named(stores.activation[index]).whole_rows:
            last_row = yield from self._normalise(running, index)
            writer, ahead = float(blocks), 0
        else:
            writer = self._writer_cycles(running, index, rows)
            last_row = yield from self._read_rows(bank, rows, blocks, writer, stores.full[index])
            ahead = math.ceil(dma.store_buffer_blocks * writer / blocks)
        width = math.ceil(writer) if stores.full[index] else blocks
        sent, acknowledged = self._path.write(
            began + first, running.store_traffic, index, max(last_row - began + width, 1)
        )
        late = sent - first - env.now
        if late > 0:
            self._meter.stall("memory", late)
            yield env.timeout(late)
        self.acknowledged = max(self.acknowledged, acknowledged)
        last_read = max(last_row - ahead, began + (rows - 1) * blocks)
        done = max(min(last_read, last_row) + completion, env.now)
        self._done.append(done)
        running.stored.append(done)

    def _writer_cycles(self, running: Running, index: int, rows: int) -> float:
        """Mean cycles of the writer per row of an mvout: more than of an aligned row by its additional beats."""
        stores, traffic, dma = running.work.stores, running.store_traffic, self._spec.dma
        blocks, full = stores.blocks[index], stores.full[index]
        size = int(stores.size_bytes[index])
        aligned = split_row(0, size, dma.min_request_bytes, dma.max_request_bytes)
        wanted = sum(max(1, request // dma.bus_bytes_per_cycle) for _, request in aligned)
        beats = traffic.beats[index]
        extra = beats / rows - wanted if beats else 0.0
        return writer_cycles(blocks, full, stores.bank[index] < 0, dma) + extra

    def _normalise(self, running: Running, index: int) -> TimedProcess:
        """All passes of the normaliser over the rows; those of a hardware loop are read as whole rows of its tile."""
        stores = running.work.stores
        if self._normaliser is None:
            raise AssertionError("validated programs normalise only on machines with the unit")
        rows, blocks, parts = int(stores.rows[index]), stores.blocks[index], 0
        if running.work.is_loop:
            high, parts = _blocks_high(stores, self._spec.array.rows), len(stores)
            rows, blocks = int(stores.rows[:high].sum()), sum(stores.blocks) // high
        cycles = self._normaliser.readout(
            (rows, blocks), stores.activation[index], running.work.name, self.env.now, (index, parts)
        )
        self._meter.busy += cycles
        yield self.env.timeout(cycles)
        return self.env.now

    def _read_rows(self, bank: int, rows: int, blocks: int, writer: float, full: bool) -> TimedProcess:
        """Read ``rows`` rows at the pace of the writer, in the gaps that accumulation leaves; the last row's start."""
        env, scale = self.env, self._scale
        if bank < 0 or full:
            scale = None
        left, position, last = rows, float(env.now), env.now
        while left:
            free, end = (env.now, None) if bank < 0 else self._accumulator.window(bank, env.now)
            if free > env.now:
                self._meter.stall("accumulator busy", free - env.now)
                yield env.timeout(free - env.now)
                position = float(env.now)
                continue
            horizon = math.inf if bank < 0 else env.now + self._lookahead
            if end is not None:
                horizon = min(horizon, end)
            while left:
                position = position + writer if scale is None else scale.row(position, blocks, writer)
                last = math.ceil(position - writer)
                left -= 1
                if position >= horizon:
                    break
            cycles = math.ceil(position) - env.now
            self._meter.busy += cycles
            yield env.timeout(cycles)
        return last


def _blocks_high(stores: Stores, rows: int) -> int:
    """Row blocks of a hardware loop's tile: its mvouts go down the column blocks of the result."""
    step = rows * int(stores.stride[0])
    high = 1
    while high < len(stores) and stores.base[high] - stores.base[high - 1] == step:
        high += 1
    return high


def _either(cycles: int | None, otherwise: int) -> int:
    return otherwise if cycles is None else cycles
