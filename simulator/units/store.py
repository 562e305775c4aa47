"""Store controller: mvouts strictly one after another, at most two incomplete, starved by accumulation into their
bank."""

from __future__ import annotations

import math

import simpy

from hwconfigs import DmaSpec, HardwareSpec
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.path import MemoryPath
from simulator.program import ROW_WISE
from simulator.units.clock import Clock
from simulator.units.meter import Meter
from simulator.units.normaliser import Normaliser
from simulator.units.running import Process, Running, TimedProcess


def row_period(blocks: int, full: bool, from_scratchpad: bool, dma: DmaSpec) -> float:
    """Cycles per row of an mvout of ``blocks`` array blocks, measured back to back. [cycles]

    int8 rows from the accumulator cost 1.6, 3.33, 5.73 and 7.0 cycles for 1 to 4 blocks, int32 rows 4 per block,
    scratchpad rows 1 per block (``gemmini_rtl.csv``; project notes on calibration, section 1.6).
    """
    if full:
        return dma.store_full_row_cycles * blocks
    if from_scratchpad:
        return float(blocks)
    table = dma.store_row_cycles
    whole, rest = divmod(blocks, len(table))
    return whole * table[-1] + (table[rest - 1] if rest else 0.0)


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
        began = env.now
        rows = int(stores.rows[index])
        activation = stores.activation[index]
        if activation in ROW_WISE:
            last_row = yield from self._normalise(running, index)
        else:
            period = row_period(stores.blocks[index], stores.full[index], stores.bank[index] < 0, dma)
            last_row = yield from self._read_rows(stores.bank[index], rows, period)
        duration = last_row - began + stores.blocks[index]
        sent, acknowledged = self._path.write(
            began + dma.store_first_cycles, running.store_traffic, index, max(duration, 1)
        )
        late = sent - dma.store_first_cycles - env.now
        if late > 0:
            self._meter.stall("memory", late)
            yield env.timeout(late)
        self.acknowledged = max(self.acknowledged, acknowledged)
        done = max(last_row + dma.store_completion_cycles, env.now)
        self._done.append(done)
        running.stored.append(done)

    def _normalise(self, running: Running, index: int) -> TimedProcess:
        """Three passes of the normaliser over the rows."""
        stores = running.work.stores
        if self._normaliser is None:
            raise AssertionError("validated programs normalise only on machines with the unit")
        cycles = self._normaliser.readout(
            int(stores.rows[index]), stores.blocks[index], stores.activation[index], running.work.name, self.env.now
        )
        self._meter.busy += cycles
        yield self.env.timeout(cycles)
        return self.env.now

    def _read_rows(self, bank: int, rows: int, period: float) -> TimedProcess:
        """Read ``rows`` rows, one per ``period``, in the gaps that accumulation leaves; returns the last row's
        start."""
        env = self.env
        left, position = rows, float(env.now)
        last = env.now
        while left:
            free, end = (env.now, None) if bank < 0 else self._accumulator.window(bank, env.now)
            if free > env.now:
                self._meter.stall("accumulator busy", free - env.now)
                yield env.timeout(free - env.now)
                position = float(env.now)
                continue
            horizon = env.now + self._lookahead if end is None else min(end, env.now + self._lookahead)
            batch = left if bank < 0 else min(left, max(1, int((horizon - position) / period)))
            last = math.ceil(position + (batch - 1) * period)
            position += batch * period
            left -= batch
            cycles = math.ceil(position) - env.now
            self._meter.busy += cycles
            yield env.timeout(cycles)
        return last
