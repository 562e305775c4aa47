"""Store controller: mvouts strictly one after another, at most two incomplete, starved by accumulation into their
bank."""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache
from typing import ClassVar

from hwconfigs import DmaSpec, HardwareSpec
from hwconfigs.kernels import KERNELS, Site
from simulator.cycle_account import CycleAccount
from simulator.frontend.command_queues import Stores
from simulator.frontend.dma_requests import segment_totals
from simulator.report import Action
from simulator.units.in_flight import Process, TimedProcess, WorkInFlight
from simulator.units.systolic_array import result_delay
from simulator.units.unit import Chip, Controller, ReadoutUnit, Role, Stall


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


EPILOGUES = tuple(kernel.name for kernel in KERNELS if kernel.needs_unit and Site.EPILOGUE in kernel.sites)
"""Kernels of a vector unit in the store pipeline, which take no time of their own."""


def epilogue_cycles(blocks: int, activation: str, spec: HardwareSpec) -> int:
    """Return the cycles that a row of ``blocks`` blocks takes in the lanes of its activation; 0 without a unit."""
    if spec.vector is None or activation not in EPILOGUES:
        return 0
    return blocks * spec.vector.block_cycles(spec.array.cols)


class StoreController(Controller):
    """Takes the mvouts of every work in order; rows are read as the accumulator permits, or by a readout unit."""

    name = "store"
    bound = "store"
    role = Role.DATA
    stalls = (
        Stall("results", "the rows to be stored are not written yet"),
        Stall("accumulator busy", "the array accumulates into the bank that is read"),
        Stall("memory", "writes leave more slowly than rows are read", counts_as_work=True),
    )
    actions: ClassVar[tuple[Action, ...]] = (
        ("dma", "write_request"), ("dma", "write_beat"), ("scratchpad", "read_row"), ("accumulator", "read_row"),
        ("vector", "requantise"), *(("vector", kernel) for kernel in EPILOGUES),
    )  # fmt: skip

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        spec, dma = chip.spec, chip.spec.dma
        self._spec = spec
        self._path = chip.path
        self._accumulator = chip.accumulator
        self._readers = chip.readers
        self._lookahead = result_delay(spec.array)
        self._in_flight = dma.max_commands_in_flight
        self._reuse = spec.front_end.load_to_use_cycles
        self._scale = ScalePipeline(dma.scale_entries, dma.scale_cycles) if dma.scale_entries else None
        self._spad_first = _either(dma.scratchpad_store_first_cycles, dma.store_first_cycles)
        self._spad_completion = _either(dma.scratchpad_store_completion_cycles, dma.store_completion_cycles)
        self._done: list[int] = [-self._reuse] * max(self._in_flight, spec.front_end.store_entries + 1)
        """When each mvout was, or will be, complete [cycles]."""

    def execute(self, work: WorkInFlight) -> Process:
        """Carry out the mvouts of one work."""
        env, stores, done = self.env, work.queues.stores, self._done
        yield from self.until_start(work)
        count, entries = len(stores), self._spec.front_end.store_entries
        began = -1
        if count <= entries:
            work.emitted("store", max(work.start, done[count - entries - 1]))
        for index in range(count):
            if index == count - entries and index > 0:
                work.emitted("store", done[-1])
            yield from self._operands(work, index)
            start = max(done[-self._in_flight], done[-entries] + self._reuse)
            if start > env.now:
                yield env.timeout(start - env.now)
            began = env.now if began < 0 else began
            yield from self._store(work, index)
        if count:
            self.account.span(work.queues.name, began, env.now)

    def _operands(self, work: WorkInFlight, index: int) -> Process:
        env, stores = self.env, work.queues.stores
        if stores.issue is not None and work.start + stores.issue[index] > env.now:
            yield env.timeout(work.start + stores.issue[index] - env.now)
        waited = env.now
        if stores.after_load[index]:
            self.waiting_for = f"mvin {stores.after_load[index]} of {work.queues.name}"
            yield from work.loaded.until(stores.after_load[index])
        if stores.after_pair[index]:
            self.waiting_for = f"compute {stores.after_pair[index]} of {work.queues.name}"
            yield from work.written.until(stores.after_pair[index])
        self.account.stall("results", env.now - waited)

    def _store(self, work: WorkInFlight, index: int) -> Process:
        """Read the rows out, as the accumulator permits, and hand them to memory."""
        env, stores, dma = self.env, work.queues.stores, self._spec.dma
        began, rows, blocks, bank = env.now, int(stores.rows[index]), stores.blocks[index], stores.bank[index]
        first, completion = dma.store_first_cycles, dma.store_completion_cycles
        if bank < 0:
            first, completion = self._spad_first, self._spad_completion
        reader = self._readers.get(stores.activation[index])
        if reader is not None:
            last_row = yield from self._read_by(reader, work, index)
            writer, ahead = float(blocks), 0
        else:
            writer = self._writer_cycles(work, index, rows)
            last_row = yield from self._read_rows(bank, rows, blocks, writer, stores.full[index])
            ahead = math.ceil(dma.store_buffer_blocks * writer / blocks)
        width = math.ceil(writer) if stores.full[index] else blocks
        sent = self._path.write(began + first, work.store_traffic, index, max(last_row - began + width, 1))
        late = sent - first - env.now
        if late > 0:
            self.account.stall("memory", late)
            yield env.timeout(late)
        last_read = max(last_row - ahead, began + (rows - 1) * blocks)
        done = max(min(last_read, last_row) + completion, env.now)
        self._done.append(done)
        work.stored.append(done)

    def _writer_cycles(self, work: WorkInFlight, index: int, rows: int) -> float:
        """Mean cycles of the writer per row of an mvout: more than of an aligned row by its additional beats."""
        stores, traffic, dma = work.queues.stores, work.store_traffic, self._spec.dma
        blocks, full = stores.blocks[index], stores.full[index]
        size = int(stores.size_bytes[index])
        _, wanted, _ = segment_totals(0, size, dma)
        beats = traffic.beats[index]
        extra = beats / rows - wanted if beats else 0.0
        writer = writer_cycles(blocks, full, stores.bank[index] < 0, dma) + extra
        return max(writer, epilogue_cycles(blocks, stores.activation[index], self._spec))

    def _read_by(self, reader: ReadoutUnit, work: WorkInFlight, index: int) -> TimedProcess:
        """Let a readout unit read the rows; the mvouts of a hardware loop are parts of the whole rows of its tile."""
        stores = work.queues.stores
        rows, blocks, parts = int(stores.rows[index]), stores.blocks[index], 0
        if work.queues.is_loop:
            high, parts = _blocks_high(stores, self._spec.array.rows), len(stores)
            rows, blocks = int(stores.rows[:high].sum()), sum(stores.blocks) // high
        cycles = reader.read((rows, blocks), stores.activation[index], work.queues.name, (index, parts))
        self.account.busy += cycles
        yield self.env.timeout(cycles)
        return self.env.now

    def _read_rows(self, bank: int, rows: int, blocks: int, writer: float, full: bool) -> TimedProcess:
        """Read rows at the pace of the writer while no accumulation holds the bank; return when the last row starts."""
        env, scale = self.env, self._scale
        if bank < 0 or full:
            scale = None
        left, position, last = rows, float(env.now), env.now
        while left:
            free, end = (env.now, None) if bank < 0 else self._accumulator.window(bank, env.now)
            if free > env.now:
                self.account.stall("accumulator busy", free - env.now)
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
            self.account.busy += cycles
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
