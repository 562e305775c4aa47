"""Execute controller: feeds pairs to the array in order, and tells the front end how far its queue has drained.

Per step while the tile's loads are still arriving (they contend for its banks); in one jump once they are all there,
up to
the last few pairs: no load of another loop can reach this half of the scratchpad before those are emitted.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Any

import numpy as np
import simpy

from hwconfigs import HardwareSpec
from simulator.clock import Clock
from simulator.cycle_account import Meter
from simulator.frontend.reservation_station import pair_emission
from simulator.frontend.work import Pairs
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.scratchpad import ScratchpadBanks
from simulator.units import systolic_array as array
from simulator.units.in_flight import Process, Running


class Steps:
    """Costs of the pairs of one work, shared by all works with the same pairs."""

    __slots__ = ("alone", "cumulative", "overlapped", "preload", "runs")

    def __init__(self, pairs: Pairs, spec: HardwareSpec) -> None:
        rows = np.array(pairs.rows, dtype=np.int64)
        new = np.array(pairs.new_weights, dtype=np.int64)
        transposed = pairs.weights_transposed
        next_new = np.append(new[1:], 1) if len(new) else new
        inputs, weights = (np.array(banks, dtype=np.int64) for banks in (pairs.inputs_bank, pairs.weights_bank))
        following = np.append(weights[1:], -1) if len(new) else weights
        clash = (inputs == following).astype(np.int64)
        overlapped = array.step_cycles(rows, next_new, clash, spec.array, transposed)
        if pairs.output_stationary:
            overlapped = np.full(len(rows), spec.array.rows, dtype=np.int64)
        self.overlapped: list[int] = overlapped.tolist()
        self.cumulative: np.ndarray[Any, np.dtype[np.int64]] = np.cumsum(overlapped)
        self.alone: list[int] = array.compute_cycles(rows, spec.array, transposed).tolist()
        loaded = array.preload_cycles(spec.array, transposed)
        self.preload: list[int] = np.where(new == 1, loaded, array.keep_cycles(spec.array)).tolist()
        self.runs = _accumulating_runs(pairs)


def _accumulating_runs(pairs: Pairs) -> list[tuple[int, int, int]]:
    """(first pair, end pair, bank) of the stretches that accumulate into one accumulator bank."""
    bank = [b if taken else -1 for b, taken in zip(pairs.result_bank, pairs.accumulates, strict=True)]
    edges = [0, *(p for p in range(1, len(bank)) if bank[p] != bank[p - 1]), len(bank)]
    return [(first, end, bank[first]) for first, end in pairwise(edges) if end > first and bank[first] >= 0]


class ExecuteController:
    """SimPy process of the execute queue."""

    def __init__(
        self,
        env: Clock,
        spec: HardwareSpec,
        scratchpad: ScratchpadBanks,
        accumulator: AccumulatorBanks,
        meter: Meter,
    ) -> None:
        self.env = env
        self.inbox = simpy.Store(env)
        self.waiting_for = ""
        self._spec = spec
        self._load_to_use = spec.front_end.load_to_use_cycles
        self._scratchpad = scratchpad
        self._accumulator = accumulator
        self._meter = meter
        self._preloaded = False
        self._result = array.result_delay(spec.array)
        self._completion = array.completion_delay(spec.array)
        self._entries = spec.front_end.execute_entries
        self._tail = spec.front_end.execute_entries // 2 + 2
        self._steps: dict[int, tuple[Pairs, Steps]] = {}
        self._fed: list[int] = []
        self._written: list[int] = []
        self._announced = 0
        self._unemitted: list[Running] = []

    def announce(self, running: Running) -> None:
        """A configured work: number its pairs and watch when the last of them enters the queue."""
        running.first_pair = self._announced
        self._announced += len(running.work.pairs)
        self._unemitted.append(running)
        self._check_emission()

    def run(self) -> Process:
        """Execute work after work."""
        while True:
            self.waiting_for = "a hardware loop"
            running = yield self.inbox.get()
            yield from self._execute(running)

    def _execute(self, running: Running) -> Process:
        pairs = running.work.pairs
        if not len(pairs):
            return
        if running.start > self.env.now:
            yield self.env.timeout(running.start - self.env.now)
        before = running.before_accumulator
        if before is not None:
            self.waiting_for = f"mvouts of {before.work.name} that share its accumulator half"
            waited = self.env.now
            yield from before.stored.until(len(before.work.stores))
            self._meter.stall("store", self.env.now - waited)
        steps = self._steps_of(pairs)
        began, pair = self.env.now, 0
        while pair < len(pairs):
            yield from self._operands(running, pair)
            if not self._preloaded:
                yield from self._preload_alone(
                    steps.preload[pair], pairs.weights_bank[pair] if pairs.new_weights[pair] else -1
                )
            jump = self._jump(running, pair)
            if jump > pair:
                yield from self._run_batch(running, steps, pair, jump)
                pair = jump
            else:
                yield from self._step(running, steps, pair)
                pair += 1
        self._meter.span(running.work.name, began, self.env.now)

    def _steps_of(self, pairs: Pairs) -> Steps:
        """Costs of ``pairs``; loops of one shape share the object, so its identity is the key."""
        key = id(pairs)
        if key not in self._steps:
            self._steps[key] = (pairs, Steps(pairs, self._spec))
        return self._steps[key][1]

    def _operands(self, running: Running, pair: int) -> Process:
        """Wait until pair's operands are on chip and its result may be overwritten."""
        env, pairs = self.env, running.work.pairs
        waited = env.now
        need = pairs.after_load[pair]
        loaded = running.loaded.times
        if need and (need > len(loaded) or loaded[need - 1] + self._load_to_use > env.now):
            self.waiting_for = f"mvin {need} of {running.work.name}"
            if need > len(loaded):
                yield from running.loaded.until(need)
            ready = loaded[need - 1] + self._load_to_use
            if ready > env.now:
                yield env.timeout(ready - env.now)
            self._meter.stall("load", env.now - waited)
        if pairs.after_store[pair]:
            self.waiting_for = f"mvout {pairs.after_store[pair]} of {running.work.name}"
            waited = env.now
            yield from running.stored.until(pairs.after_store[pair])
            self._meter.stall("store", env.now - waited)
        if pairs.after_pair is not None and pairs.after_pair[pair]:
            self.waiting_for = f"compute {pairs.after_pair[pair]} of {running.work.name}"
            waited = env.now
            yield from running.written.until(pairs.after_pair[pair])
            self._meter.stall("result", env.now - waited)
        if pairs.issue is not None:
            issued = running.start + pairs.issue[pair]
            if not self._preloaded:
                issued -= round(self._spec.host.command_cycles)
            if issued > env.now:
                self._meter.stall("issue", issued - env.now)
                yield env.timeout(issued - env.now)

    def _preload_alone(self, cycles: int, bank: int) -> Process:
        """A preload that nothing overlaps, of new weights in ``bank``: the array was starved of its operands."""
        env, now = self.env, self.env.now
        self._meter.stall("exposed preload", cycles)
        yield env.timeout(cycles)
        if bank >= 0:
            yield from self._held_up(bank, -1, now)

    def _held_up(self, first: int, second: int, since: int) -> Process:
        """Wait for the reads of two banks that DMA writes took the place of since then, and while waiting."""
        delay = self._scratchpad.delay(first, second, since, self.env.now)
        while delay:
            self._meter.stall("bank conflict", delay)
            since = self.env.now
            yield self.env.timeout(delay)
            delay = self._scratchpad.delay(first, second, since, self.env.now)

    def _jump(self, running: Running, pair: int) -> int:
        """First pair that must be stepped singly, if everything before it is certain; else ``pair``."""
        work = running.work
        last = len(work.pairs) - self._tail
        if not work.batchable or last <= pair or len(running.loaded.times) < len(work.loads):
            return pair
        if len(work.loads) and running.loaded.times[-1] + self._load_to_use > self.env.now:
            return pair
        return last

    def _run_batch(self, running: Running, steps: Steps, first: int, end: int) -> Process:
        """Pairs ``[first, end)`` back to back."""
        now = self.env.now
        offset = int(steps.cumulative[first - 1]) if first else 0
        fed = (steps.cumulative[first:end] + (now - offset)).tolist()
        self._meter.busy += fed[-1] - now
        self._record(running, fed)
        for run_first, run_end, bank in steps.runs:
            low, high = max(run_first, first), min(run_end, end)
            if low < high:
                start = fed[low - first - 1] if low > first else now
                self._accumulator.accumulate(bank, start + self._result, fed[high - first - 1] + self._result)
        self._preloaded = True
        yield self.env.timeout(fed[-1] - now)
        self._check_emission()

    def _step(self, running: Running, steps: Steps, pair: int) -> Process:
        """One compute, overlapped with the next preload if its operands are there."""
        env, pairs = self.env, running.work.pairs
        overlapped = self._next_ready(running, pair)
        cycles = steps.overlapped[pair] if overlapped else steps.alone[pair]
        following = pair + 1
        reads_weights = overlapped and following < len(pairs) and pairs.new_weights[following]
        second = pairs.weights_bank[following] if reads_weights else -1
        bank = pairs.inputs_bank[pair]
        start = env.now
        self._meter.busy += cycles
        yield env.timeout(cycles)
        yield from self._held_up(bank, second, start)
        if pairs.accumulates[pair] and pairs.result_bank[pair] >= 0:
            self._accumulator.accumulate(pairs.result_bank[pair], start + self._result, env.now + self._result)
        self._preloaded = overlapped
        self._record(running, [env.now])
        self._check_emission()

    def _next_ready(self, running: Running, pair: int) -> bool:
        """The next pair's operands are on chip and its commands are in the queue."""
        following = pair + 1
        if following == len(running.work.pairs):
            if not self.inbox.items:
                return False
            running, following = self.inbox.items[0], 0
            if not len(running.work.pairs) or running.start > self.env.now:
                return False
            before = running.before_accumulator
            if before is not None and (
                len(before.stored.times) < len(before.work.stores)
                or (before.stored.times and before.stored.times[-1] > self.env.now)
            ):
                return False
        pairs, loaded = running.work.pairs, running.loaded.times
        need = pairs.after_load[following]
        if need and (need > len(loaded) or loaded[need - 1] + self._load_to_use > self.env.now):
            return False
        if pairs.after_store[following] > len(running.stored.times):
            return False
        if pairs.after_pair is not None and pairs.after_pair[following]:
            wanted, written = pairs.after_pair[following], running.written.times
            if wanted > len(written) or written[wanted - 1] > self.env.now:
                return False
        return pairs.issue is None or running.start + pairs.issue[following] <= self.env.now

    def _record(self, running: Running, fed: list[int]) -> None:
        flush = self._spec.array.rows if running.work.pairs.output_stationary else 0
        written = [time + self._completion + flush for time in fed]
        self._fed.extend(fed)
        self._written.extend(written)
        running.fed.extend(fed)
        running.written.extend(written)

    def _check_emission(self) -> None:
        """Find works whose last pair has entered the queue; an estimate in the future is checked again then."""
        while self._unemitted:
            running = self._unemitted[0]
            count = len(running.work.pairs)
            if count == 0:
                running.emitted("execute", running.start)
                self._unemitted.pop(0)
                continue
            time = self._emission(running.first_pair + count - 1)
            if time is None:
                return
            time = max(time, running.start + count)
            if time > self.env.now:
                event = self.env.timeout(time - self.env.now)
                event.callbacks.append(lambda _: self._check_emission())
                return
            running.emitted("execute", self.env.now)
            self._unemitted.pop(0)

    def _emission(self, pair: int) -> int | None:
        """Emission of a pair given what has been fed by now (batches record feeds that lie ahead)."""
        window = 2 * self._entries
        base = max(0, len(self._fed) - window)
        fed = self._fed[base : max(base, bisect_right(self._fed, self.env.now, base))]
        return pair_emission(pair - base, fed, self._written[base:], self._entries)
