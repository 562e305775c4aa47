"""Execute controller: feeds pairs to the array in order, and tells the front end how far its queue has drained.

The controller goes step by step while the tile's loads are still arriving, as they contend for its banks. Once they are
all there it takes all pairs in one jump, up to the last few: no load of another loop can reach this half of the
scratchpad before those are emitted.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

import simulator.units.systolic_array as array
from hwconfigs import HardwareSpec
from simulator.arrays import Ints
from simulator.cycle_account import CycleAccount
from simulator.frontend.command_queues import Pairs
from simulator.frontend.reservation_station import pair_emission
from simulator.units.in_flight import Process, WorkInFlight
from simulator.units.unit import Chip, Controller, Role, Stall

ARRAY_FILL = "array fill"
"""Cause of waits for what is still inside the array, or not yet in it."""

OPERANDS_LATE = "load"
"""Name of the stall in which operands have not arrived."""

BANK_CONFLICT = "bank conflict"
"""Name of the stall in which DMA writes take the bank that is read."""


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
        self.cumulative: Ints = np.cumsum(overlapped)
        self.alone: list[int] = array.compute_cycles(rows, spec.array, transposed).tolist()
        loaded = array.preload_cycles(spec.array, transposed)
        self.preload: list[int] = np.where(new == 1, loaded, array.keep_cycles(spec.array)).tolist()
        self.runs = _accumulating_runs(pairs)


def _accumulating_runs(pairs: Pairs) -> list[tuple[int, int, int]]:
    """(first pair, end pair, bank) of the stretches that accumulate into one accumulator bank."""
    bank = [b if taken else -1 for b, taken in zip(pairs.result_bank, pairs.accumulates, strict=True)]
    edges = [0, *(p for p in range(1, len(bank)) if bank[p] != bank[p - 1]), len(bank)]
    return [(first, end, bank[first]) for first, end in pairwise(edges) if end > first and bank[first] >= 0]


@dataclass(slots=True)
class ExecuteState:
    """What the pairs so far leave to the next one."""

    preloaded: bool = False
    """The weights of the next pair are in the array."""
    fed: list[int] = field(default_factory=list)
    """When the inputs of each pair of the program were, or will be, fed [cycles]."""
    written: list[int] = field(default_factory=list)
    """When the result of each pair was, or will be, written [cycles]."""
    announced: int = 0
    """Pairs of all works that were configured."""
    unemitted: list[WorkInFlight] = field(default_factory=list)
    """Works whose last pair has not entered the queue."""


class ExecuteController(Controller):
    """Takes the preload and compute pairs of every work in order."""

    name = "execute"
    bound = "compute"
    role = Role.ARRAY
    stalls = (
        Stall(OPERANDS_LATE, "an operand of the pair has not arrived", shown_as="load"),
        Stall(BANK_CONFLICT, "DMA writes take the scratchpad bank that is read", shown_as="load"),
        Stall("exposed preload", "weights that came too late to be preloaded under a step", shown_as=ARRAY_FILL),
        Stall("result", "the pair reads a result that is still in the array", shown_as=ARRAY_FILL),
        Stall("store", "a mvout still reads the rows that the result overwrites", shown_as="store"),
        Stall("issue", "the core has not issued the command yet", shown_as="host"),
    )
    actions = (
        ("array", "mac"), ("array", "weight_load"), ("scratchpad", "read_row"), ("scratchpad", "write_row"),
        ("accumulator", "write_row"), ("accumulator", "read_row"),
    )  # fmt: skip

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        spec = chip.spec
        self._spec = spec
        self._load_to_use = spec.front_end.load_to_use_cycles
        self._scratchpad = chip.scratchpad
        self._accumulator = chip.accumulator
        self._result = array.result_delay(spec.array)
        self._completion = array.completion_delay(spec.array)
        self._entries = spec.front_end.execute_entries
        self._tail = spec.front_end.execute_entries // 2 + 2
        self._scarce = array.entries_are_scarce(spec)
        self._steps: dict[int, tuple[Pairs, Steps]] = {}
        self._state = ExecuteState()

    def announced(self, work: WorkInFlight) -> None:
        """Number the pairs of a configured work, and watch when the last of them enters the queue."""
        state = self._state
        work.first_pair = state.announced
        state.announced += len(work.queues.pairs)
        state.unemitted.append(work)
        self._check_emission()

    def execute(self, work: WorkInFlight) -> Process:
        """Feed the pairs of one work to the array."""
        pairs = work.queues.pairs
        if not len(pairs):
            return
        yield from self.until_start(work)
        before = work.before_accumulator
        if before is not None:
            self.waiting_for = f"mvouts of {before.queues.name} that share its accumulator half"
            waited = self.env.now
            yield from before.stored.until(len(before.queues.stores))
            self.account.stall("store", self.env.now - waited)
        steps = self._steps_of(pairs)
        began, pair = self.env.now, 0
        self._report_lead(work)
        while pair < len(pairs):
            yield from self._operands(work, pair)
            if not self._state.preloaded:
                yield from self._preload_alone(
                    steps.preload[pair], pairs.weights_bank[pair] if pairs.new_weights[pair] else -1
                )
            jump = self._jump(work, pair)
            if jump > pair:
                yield from self._run_batch(work, steps, pair, jump)
                pair = jump
            else:
                yield from self._step(work, steps, pair)
                pair += 1
        self.account.span(work.queues.name, began, self.env.now, work.index)

    def _report_lead(self, work: WorkInFlight) -> None:
        """Say that a work begins, and by how much its loads are complete before; without loads there is no lead."""
        loads, loaded = len(work.queues.loads), work.loaded.times
        lead = None
        if loads:
            lead = max(0, self.env.now - loaded[-1] - self._load_to_use) if len(loaded) == loads else 0
        self._steps_ahead.begins(work.index, self.env.now, lead)

    def _steps_of(self, pairs: Pairs) -> Steps:
        """Costs of ``pairs``; loops of one shape share the object, so its identity is the key."""
        key = id(pairs)
        if key not in self._steps:
            self._steps[key] = (pairs, Steps(pairs, self._spec))
        return self._steps[key][1]

    def _operands(self, work: WorkInFlight, pair: int) -> Process:
        """Wait until pair's operands are on chip and its result may be overwritten."""
        env, pairs = self.env, work.queues.pairs
        waited = env.now
        need = pairs.after_load[pair]
        loaded = work.loaded.times
        if need and (need > len(loaded) or loaded[need - 1] + self._load_to_use > env.now):
            self.waiting_for = f"mvin {need} of {work.queues.name}"
            if need > len(loaded):
                yield from work.loaded.until(need)
            ready = loaded[need - 1] + self._load_to_use
            if ready > env.now and not env.passes(ready - env.now):
                yield env.timeout(ready - env.now)
            self.account.stall(OPERANDS_LATE, env.now - waited)
        if pairs.after_store[pair]:
            self.waiting_for = f"mvout {pairs.after_store[pair]} of {work.queues.name}"
            waited = env.now
            yield from work.stored.until(pairs.after_store[pair])
            self.account.stall("store", env.now - waited)
        if pairs.after_pair is not None and pairs.after_pair[pair]:
            self.waiting_for = f"compute {pairs.after_pair[pair]} of {work.queues.name}"
            waited = env.now
            yield from work.written.until(pairs.after_pair[pair])
            self.account.stall("result", env.now - waited)
        if self._scarce:
            self.waiting_for = f"an entry for compute {pair + 1} of {work.queues.name}"
            yield from self._entered(work.first_pair + pair)
        if pairs.issue is not None:
            issued = work.start + pairs.issue[pair]
            if not self._state.preloaded:
                issued -= round(self._spec.host.command_cycles)
            if issued > env.now:
                self.account.stall("issue", issued - env.now)
                yield env.timeout(issued - env.now)

    def _entered(self, pair: int) -> Process:
        """Wait until a pair, of which all before were fed, is in the queue: a result written frees an entry."""
        entered = self._emission(pair)
        if entered is not None and entered + self._load_to_use > self.env.now:
            self.account.stall("result", entered + self._load_to_use - self.env.now)
            yield self.env.timeout(entered + self._load_to_use - self.env.now)

    def _preload_alone(self, cycles: int, bank: int) -> Process:
        """A preload that nothing overlaps, of new weights in ``bank``: the array was starved of its operands."""
        env, now = self.env, self.env.now
        self.account.stall("exposed preload", cycles)
        if not env.passes(cycles):
            yield env.timeout(cycles)
        if bank >= 0:
            delay = self._scratchpad.delay(bank, -1, now, env.now)
            if delay:
                yield from self._held_up(bank, -1, delay)

    def _held_up(self, first: int, second: int, delay: int) -> Process:
        """Wait for the reads of two banks that DMA writes took the place of, and take it while waiting."""
        env = self.env
        while delay:
            self.account.stall(BANK_CONFLICT, delay)
            since = env.now
            if not env.passes(delay):
                yield env.timeout(delay)
            delay = self._scratchpad.delay(first, second, since, env.now)

    def _jump(self, work: WorkInFlight, pair: int) -> int:
        """First pair that must be stepped singly, if everything before it is certain; else ``pair``."""
        queues = work.queues
        last = len(queues.pairs) - self._tail
        if self._scarce or not queues.batchable or last <= pair or len(work.loaded.times) < len(queues.loads):
            return pair
        if len(queues.loads) and work.loaded.times[-1] + self._load_to_use > self.env.now:
            return pair
        return last

    def _run_batch(self, work: WorkInFlight, steps: Steps, first: int, end: int) -> Process:
        """Pairs ``[first, end)`` back to back."""
        now = self.env.now
        offset = int(steps.cumulative[first - 1]) if first else 0
        fed = (steps.cumulative[first:end] + (now - offset)).tolist()
        self.account.busy += fed[-1] - now
        self._record(work, fed)
        for run_first, run_end, bank in steps.runs:
            low, high = max(run_first, first), min(run_end, end)
            if low < high:
                start = fed[low - first - 1] if low > first else now
                self._accumulator.accumulate(bank, start + self._result, fed[high - first - 1] + self._result)
        self._state.preloaded = True
        yield self.env.timeout(fed[-1] - now)
        self._check_emission()

    def _step(self, work: WorkInFlight, steps: Steps, pair: int) -> Process:
        """One compute, overlapped with the next preload if its operands are there."""
        env, pairs = self.env, work.queues.pairs
        overlapped = self._next_ready(work, pair)
        cycles = steps.overlapped[pair] if overlapped else steps.alone[pair]
        following = pair + 1
        reads_weights = overlapped and following < len(pairs) and pairs.new_weights[following]
        second = pairs.weights_bank[following] if reads_weights else -1
        bank = pairs.inputs_bank[pair]
        start = env.now
        self.account.busy += cycles
        if not env.passes(cycles):
            yield env.timeout(cycles)
        delay = self._scratchpad.delay(bank, second, start, env.now)
        if delay:
            yield from self._held_up(bank, second, delay)
        if pairs.accumulates[pair] and pairs.result_bank[pair] >= 0:
            self._accumulator.accumulate(pairs.result_bank[pair], start + self._result, env.now + self._result)
        self._state.preloaded = overlapped
        self._record(work, [env.now])
        self._check_emission()

    def _next_ready(self, work: WorkInFlight, pair: int) -> bool:
        """The next pair's operands are on chip and its commands are in the queue."""
        following = pair + 1
        if self._scarce:
            entered = self._emission(work.first_pair + following)
            if entered is None or entered > self.env.now:
                return False
        if following == len(work.queues.pairs):
            if not self.inbox.items:
                return False
            work, following = self.inbox.items[0], 0
            if not len(work.queues.pairs) or work.start > self.env.now:
                return False
            before = work.before_accumulator
            if before is not None and (
                len(before.stored.times) < len(before.queues.stores)
                or (before.stored.times and before.stored.times[-1] > self.env.now)
            ):
                return False
        pairs, loaded = work.queues.pairs, work.loaded.times
        need = pairs.after_load[following]
        if need and (need > len(loaded) or loaded[need - 1] + self._load_to_use > self.env.now):
            return False
        if pairs.after_store[following] > len(work.stored.times):
            return False
        if pairs.after_pair is not None and pairs.after_pair[following]:
            wanted, written = pairs.after_pair[following], work.written.times
            if wanted > len(written) or written[wanted - 1] > self.env.now:
                return False
        return pairs.issue is None or work.start + pairs.issue[following] <= self.env.now

    def _record(self, work: WorkInFlight, fed: list[int]) -> None:
        """Note when pairs were, or will be, fed, and when their results are written."""
        delay = self._completion + (self._spec.array.rows if work.queues.pairs.output_stationary else 0)
        written = [time + delay for time in fed]
        state = self._state
        state.fed.extend(fed)
        state.written.extend(written)
        work.fed.extend(fed)
        work.written.extend(written)

    def _check_emission(self) -> None:
        """Find works whose last pair has entered the queue; an estimate in the future is checked again then."""
        unemitted = self._state.unemitted
        while unemitted:
            work = unemitted[0]
            count = len(work.queues.pairs)
            if count == 0:
                work.emitted("execute", work.start)
                unemitted.pop(0)
                continue
            time = self._emission(work.first_pair + count - 1)
            if time is None:
                return
            time = max(time, work.start + count)
            if time > self.env.now:
                event = self.env.timeout(time - self.env.now)
                event.callbacks.append(lambda _: self._check_emission())
                return
            work.emitted("execute", self.env.now)
            unemitted.pop(0)

    def _emission(self, pair: int) -> int | None:
        """Return when a pair enters the queue, given what has been fed by now; None if that is not decided yet."""
        fed, entries = self._state.fed, self._entries
        # Asked after every step: most pairs are far behind what was fed, so they are told apart first.
        if entries - 2 < 2 * (pair - len(fed)):
            return None
        base = max(0, len(fed) - 2 * entries)
        # A batch records feeds that lie ahead; those do not count yet.
        fed = fed[base : max(base, bisect_right(fed, self.env.now, base))]
        return pair_emission(pair - base, fed, self._state.written[base:], entries)
