"""Load controller: mvins in order, two in flight, their requests handled by the memory path in one call each."""

from __future__ import annotations

import simpy

from hwconfigs import HardwareSpec
from simulator.clock import Clock
from simulator.cycle_account import Meter
from simulator.frontend.reservation_station import emission_of_last
from simulator.memory.path import MemoryPath
from simulator.memory.scratchpad import ScratchpadBanks
from simulator.units.in_flight import Process, Running


class LoadController:
    """SimPy process of the load queue."""

    def __init__(
        self, env: Clock, spec: HardwareSpec, path: MemoryPath, scratchpad: ScratchpadBanks, meter: Meter
    ) -> None:
        self.env = env
        self.inbox = simpy.Store(env)
        self.waiting_for = ""
        self._spec = spec
        self._path = path
        self._scratchpad = scratchpad
        self._meter = meter
        self._in_flight = spec.dma.max_commands_in_flight
        self._done: list[int] = [0] * self._in_flight
        self._free = 0
        self._covered = 0

    def run(self) -> Process:
        """Load work after work."""
        while True:
            self.waiting_for = "a hardware loop"
            running = yield self.inbox.get()
            yield from self._execute(running)

    def _execute(self, running: Running) -> Process:
        env, loads = self.env, running.work.loads
        if running.start > env.now:
            yield env.timeout(running.start - env.now)
        began = env.now
        entries = self._spec.front_end.load_entries
        count = len(loads)
        if count <= entries:
            running.emitted("load", running.start + count)
        for index in range(count):
            start = max(self._free, self._done[-self._in_flight])
            if loads.issue is not None:
                start = max(start, running.start + loads.issue[index])
            if start > env.now:
                yield env.timeout(start - env.now)
            yield from self._hazards(running, index)
            self._load(running, index)
            if index == count - entries - 1:
                running.emitted("load", emission_of_last(running.loaded.times, entries, running.start, count))
        if count:
            self._meter.span(running.work.name, began, running.loaded.times[-1])

    def _load(self, running: Running, index: int) -> None:
        """Start one mvin now; its completion is certain at once."""
        now, loads = self.env.now, running.work.loads
        rows = int(loads.rows[index])
        to_accumulator = loads.to_accumulator[index]
        scale = round(self._spec.dma.scale_cycles_per_row) if loads.scaled[index] else 1
        last, busy, by_bus, by_slots, log = self._path.read(now, running.load_traffic, index, scale)
        dma = self._spec.dma
        completed = last + (dma.accumulator_completion_cycles if to_accumulator else dma.completion_cycles)
        end = completed
        if loads.stride[index] == 0 and rows > 1:
            end += rows - 1
        if not to_accumulator:
            self._scratchpad.load(loads.local_row[index], loads.local_rows[index], *log.tolist())
        self._free = now + max(rows, dma.handover_cycles)
        release = dma.accumulator_release_cycles if to_accumulator else dma.release_cycles
        self._done.append(end if release is None else last + release + end - completed)
        self._account(now, end, busy, by_bus, by_slots)
        running.loaded.append(end)

    def _account(self, start: int, end: int, busy: int, bus: int, slots: int) -> None:
        """In-flight time not covered by data beats is a wait for memory.

        What held requests up, the DRAM bus or slots and miss entries, divides it; the rest is latency. A full bus
        also keeps
        slots taken, so the bus comes first.
        """
        covered = max(0, end - max(start, self._covered))
        self._covered = max(self._covered, end)
        used = min(busy, covered)
        self._meter.busy += used
        waited = covered - used
        by_bus = min(waited, bus)
        by_slots = min(waited - by_bus, slots)
        self._meter.stall("DRAM bandwidth", by_bus)
        self._meter.stall("request slots", by_slots)
        self._meter.stall("load latency", waited - by_bus - by_slots)

    def _hazards(self, running: Running, index: int) -> Process:
        """Wait until nothing that is still to be read lies where this mvin writes."""
        loads = running.work.loads
        waited = self.env.now
        if loads.after_pair[index]:
            self.waiting_for = f"compute {loads.after_pair[index]} of {running.work.name}"
            yield from running.written.until(loads.after_pair[index])
        if loads.after_store[index]:
            self.waiting_for = f"mvout {loads.after_store[index]} of {running.work.name}"
            yield from running.stored.until(loads.after_store[index])
        if loads.to_accumulator[index]:
            before = running.before_accumulator
            if before is not None:
                self.waiting_for = f"mvouts of {before.work.name}"
                yield from before.stored.until(len(before.work.stores))
        else:
            for before in running.before_operands:
                if len(before.work.pairs):
                    yield from self._overwrite(before, loads.local_row[index], loads.local_rows[index])
        if self.env.now > waited:
            self._meter.stall("operands in use", self.env.now - max(waited, self._covered))
            self._covered = max(self._covered, self.env.now)

    def _overwrite(self, before: Running, row: int, rows: int) -> Process:
        """Wait for the last pair of ``before`` that still reads the rows: A until fed, weights until written back."""
        pairs, count = before.work.pairs, len(before.work.pairs)
        now = self.env.now
        if len(before.written.times) == count and before.written.times[-1] <= now:
            return
        end, depth = row + rows, self._spec.array.rows
        for pair in range(count - 1, -1, -1):
            if pair < len(before.written.times) and before.written.times[pair] <= now:
                return
            if row < pairs.weights_row[pair] + depth and pairs.weights_row[pair] < end and pairs.new_weights[pair]:
                self.waiting_for = f"preload {pair + 1} of {before.work.name}"
                yield from before.written.until(pair + 1)
                return
            if row < pairs.inputs_row[pair] + depth and pairs.inputs_row[pair] < end:
                self.waiting_for = f"compute {pair + 1} of {before.work.name}"
                yield from before.fed.until(pair + 1)
                return
