"""Store controller: mvouts strictly one after another, starved by accumulation into their bank."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import ClassVar

from simulator.cycle_account import CycleAccount
from simulator.frontend.command_queues import Stores
from simulator.frontend.dma_requests import segment_totals
from simulator.report import Action
from simulator.units.in_flight import Process, TimedProcess, WorkInFlight
from simulator.units.store_pipeline import (
    COMMAND_CYCLES,
    EPILOGUES,
    ScalePipeline,
    command_gap,
    epilogue_cycles,
    writer_cycles,
)
from simulator.units.systolic_array import result_delay
from simulator.units.unit import Chip, Controller, ReadoutUnit, Role, Stall

LOADS_ON_THE_WAY = 2
"""Mvins of a loop that were issued and wait for an entry of the reservation station.

Fitted: with 2 the repeated products fused on the SoC have a mean error of 0.7 %, with 0 of 0.8 and with 5 of 1.0.
Read-outs that never wait make those of five loops or more 2.7 % too fast, read-outs that always wait 2.1 % too slow.
Why they wait is not established."""


class StoreController(Controller):
    """Takes the mvouts of every work in order; rows are read as the accumulator permits, or by a readout unit."""

    name = "store"
    bound = "store"
    role = Role.DATA
    stalls = (
        Stall("results", "the rows to be stored are not written yet"),
        Stall("accumulator busy", "the array accumulates into the bank that is read"),
        Stall("next loop's mvins", "the last mvins of the next loop go before the read-out of this one"),
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
        self._scratchpad = chip.scratchpad
        self._readers = chip.readers
        self._lookahead = result_delay(spec.array)
        self._reuse = spec.front_end.load_to_use_cycles
        self._scale = ScalePipeline(dma.scale_entries, dma.scale_cycles) if dma.scale_entries else None
        self._spad_first = _either(dma.scratchpad_store_first_cycles, dma.store_first_cycles)
        self._spad_completion = _either(dma.scratchpad_store_completion_cycles, dma.store_completion_cycles)
        self._gap = command_gap(spec)
        self._kinds: dict[tuple[int, bool, bool, int, str], tuple[float, int, int]] = {}
        """Of mvouts by blocks, width, source, size and activation: cycles and beats of an aligned row, and those of the
        lanes."""
        self._next = 0
        """When the controller can take the next mvout [cycles]."""
        entries = spec.front_end.store_entries
        self._read: deque[int] = deque([-self._reuse] * entries, maxlen=entries)
        """When the rows of the newest mvouts were, or will be, read, which frees their entries [cycles]."""
        self._done: list[int] = [-self._reuse] * (entries + 1)
        """When each mvout was, or will be, complete [cycles]."""

    def execute(self, work: WorkInFlight) -> Process:
        """Carry out the mvouts of one work."""
        env, stores, done = self.env, work.queues.stores, self._done
        yield from self.until_start(work)
        count, entries = len(stores), self._spec.front_end.store_entries
        began = -1
        if count <= entries and not self._keeps(work):
            work.emitted("store", max(work.start, done[count - entries - 1]))
        for index in range(count):
            if index == count - entries and index > 0 and not self._keeps(work):
                work.emitted("store", done[-1])
            yield from self._operands(work, index)
            start = max(self._next, self._read[0] + self._reuse)
            if start > env.now and not env.passes(start - env.now):
                yield env.timeout(start - env.now)
            began = env.now if began < 0 else began
            yield from self._store(work, index)
        if self._keeps(work):
            work.emitted("store", env.now)
        if count:
            self.account.span(work.queues.name, began, env.now, work.index)

    def _keeps(self, work: WorkInFlight) -> bool:
        """Whether the commands of a work's few mvouts are many: a loop that a readout unit reads keeps its slot."""
        stores = work.queues.stores
        return work.queues.is_loop and len(stores) > 0 and stores.activation[0] in self._readers

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
            if work.queues.is_loop and not index:
                yield from self._behind_mvins(work)
            began = env.now
            last_row = yield from self._read_by(reader, work, index)
            writer, ahead = float(blocks), 0
        else:
            writer = self._writer_cycles(work, index, rows)
            last_row = yield from self._read_rows(bank, rows, blocks, writer, stores.full[index])
            ahead = math.ceil(dma.store_buffer_blocks * writer / blocks)
        width = math.ceil(writer) if stores.full[index] else blocks
        if stores.kept_row is not None:
            # One block of a row each cycle; the last row is written when it would have reached the bus.
            times = [last_row + first - (rows - 1 - row) * blocks for row in range(rows)]
            self._scratchpad.load(stores.kept_row[index], blocks * self._spec.array.rows, times, [blocks] * rows)
        sent = self._path.write(began + first, work.store_traffic, index, max(last_row - began + width, 1))
        late = sent - first - env.now
        if late > 0:
            self.account.stall("memory", late)
            if not env.passes(late):
                yield env.timeout(late)
        last_read = min(max(last_row - ahead, began + (rows - 1) * blocks), last_row)
        read = env.now if reader is not None else last_read + blocks
        self._next = max(began + COMMAND_CYCLES, read + self._gap)
        self._read.append(read)
        done = max(last_read + completion, env.now)
        self._done.append(done)
        work.stored.append(done)

    def _behind_mvins(self, work: WorkInFlight) -> Process:
        """Let the mvins of the next loop go first, if its last ones are before this read-out on their way.

        Traced and measured on v0.7.1 (`LOADS_ON_THE_WAY`): such a read-out starts when they are complete.
        """
        following = work.following
        if following is None:
            return
        count, waited = len(following.queues.loads), self.env.now
        left = count - bisect_right(following.loaded.times, waited)
        if left <= self._spec.front_end.load_entries + LOADS_ON_THE_WAY:
            self.waiting_for = f"mvin {count} of {following.queues.name}"
            yield from following.loaded.until(count)
            self.account.stall("next loop's mvins", self.env.now - waited)

    def _writer_cycles(self, work: WorkInFlight, index: int, rows: int) -> float:
        """Mean cycles of the writer per row of an mvout: more than of an aligned row by its additional beats."""
        stores, dma = work.queues.stores, self._spec.dma
        blocks, full, from_scratchpad = stores.blocks[index], stores.full[index], stores.bank[index] < 0
        size, activation = int(stores.size_bytes[index]), stores.activation[index]
        kind = blocks, full, from_scratchpad, size, activation
        if kind not in self._kinds:
            _, wanted, _ = segment_totals(0, size, dma)
            least = epilogue_cycles(blocks, activation, self._spec)
            on_chip = from_scratchpad or stores.kept_row is not None
            self._kinds[kind] = writer_cycles(blocks, full, on_chip, dma), wanted, least
        writer, wanted, least = self._kinds[kind]
        beats = work.store_traffic.beats[index]
        return max(writer + (beats / rows - wanted if beats else 0.0), least)

    def _read_by(self, reader: ReadoutUnit, work: WorkInFlight, index: int) -> TimedProcess:
        """Let a readout unit read the rows; the mvouts of a hardware loop are parts of the whole rows of its tile."""
        stores = work.queues.stores
        rows, cols, parts = int(stores.rows[index]), int(stores.size_bytes[index]), 0
        if stores.columns is not None:
            cols = stores.columns[index]
        if work.queues.is_loop:
            high, parts = _blocks_high(stores, self._spec.array.rows), len(stores)
            rows = int(stores.rows[:high].sum())
            cols = int(stores.size_bytes[::high].sum()) if stores.columns is None else sum(stores.columns[::high])
        cycles = reader.read((rows, cols), stores.activation[index], work.queues.name, (index, parts))
        self.account.busy += cycles
        if not self.env.passes(cycles):
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
                if not env.passes(free - env.now):
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
            if not env.passes(cycles):
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
