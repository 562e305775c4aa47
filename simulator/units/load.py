"""Load controller: mvins in order, two in flight, their requests handled by the memory path in one call each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from simulator.cycle_account import CycleAccount
from simulator.frontend.reservation_station import emission_of_last
from simulator.units.in_flight import Process, WorkInFlight
from simulator.units.unit import Chip, Controller, Role, Stall


@dataclass(slots=True)
class LoadState:
    """What the mvins so far leave to the next one [cycles]."""

    done: list[int]
    """When each mvin frees its place among those in flight."""
    entries: deque[int]
    """When each of the newest mvins frees its entry of the reservation station."""
    free: int = 0
    """When the next mvin can start."""
    covered: int = 0
    """Until when the account knows what the unit did: mvins overlap, and no cycle is booked twice."""


class LoadController(Controller):
    """Takes the mvins of every work in order; starts one as soon as its rows may be overwritten."""

    name = "load"
    bound = "load"
    role = Role.DATA
    stalls = (
        Stall("load latency", "no data arrive: latency of the memory", counts_as_work=True, is_latency=True),
        Stall("DRAM bandwidth", "the DRAM bus moves the lines that are waited for", counts_as_work=True),
        Stall(
            "request slots", "no request slot, or no miss entry of the L2, is free", counts_as_work=True,
            is_latency=True,
        ),
        Stall("operands in use", "the rows that an mvin overwrites are still read"),
    )  # fmt: skip
    actions = (
        ("dma", "read_request"), ("dma", "read_beat"), ("scratchpad", "write_row"), ("accumulator", "write_row"),
        ("accumulator", "read_row"),
    )  # fmt: skip

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        self._spec = chip.spec
        self._path = chip.path
        self._scratchpad = chip.scratchpad
        self._in_flight = chip.spec.dma.max_commands_in_flight
        entries = chip.spec.front_end.load_entries
        self._state = LoadState(done=[0] * self._in_flight, entries=deque([0] * entries, maxlen=entries))

    def execute(self, work: WorkInFlight) -> Process:
        """Start the mvins of one work."""
        env, loads, state = self.env, work.queues.loads, self._state
        yield from self.until_start(work)
        began = env.now
        entries = self._spec.front_end.load_entries
        count = len(loads)
        if count <= entries:
            work.emitted("load", work.start + count)
        for index in range(count):
            start = max(state.free, state.done[-self._in_flight], state.entries[0])
            if loads.issue is not None:
                start = max(start, work.start + loads.issue[index])
            if start > env.now and not env.passes(start - env.now):
                yield env.timeout(start - env.now)
            yield from self._hazards(work, index)
            self._load(work, index)
            if index == count - entries - 1:
                work.emitted("load", emission_of_last(work.loaded.times, entries, work.start, count))
        if count:
            self.account.span(work.queues.name, began, work.loaded.times[-1], work.index)

    def _load(self, work: WorkInFlight, index: int) -> None:
        """Start one mvin now; its completion is certain at once."""
        now, loads, dma = self.env.now, work.queues.loads, self._spec.dma
        rows = int(loads.rows[index])
        to_accumulator = loads.to_accumulator[index]
        scale = loads.row_cycles(index, self._spec)
        last, busy, queued, by_slots, log = self._path.read(now, work.load_traffic, index, scale)
        completed = last + (dma.accumulator_completion_cycles if to_accumulator else dma.completion_cycles)
        end = completed
        if loads.stride[index] == 0 and rows > 1:
            # One row of DRAM is repeated on chip: read once, written `rows` times.
            end += rows - 1
        if not to_accumulator:
            self._scratchpad.load(loads.local_row[index], loads.local_rows[index], *log.tolist())
        self._state.free = now + max(rows, dma.handover_cycles)
        release = dma.accumulator_release_cycles if to_accumulator else dma.release_cycles
        self._state.done.append(end if release is None else last + release + end - completed)
        self._book(now, end, busy, queued, by_slots)
        # The next command takes the entry as a dependent one starts: it is cleared, filled, issued.
        self._state.entries.append(end + self._spec.front_end.load_to_use_cycles)
        work.loaded.append(end)

    def _book(self, start: int, end: int, busy: int, queued: int, slots: int) -> None:
        """Book one mvin: time in flight that no data beats cover is a wait for the memory.

        As long as the DRAM bus is taken for its lines, that wait is one for the bus, which also keeps slots taken. Then
        come slots and miss entries that held requests up; the rest is latency.
        """
        account, state = self.account, self._state
        covered = max(0, end - max(start, state.covered))
        state.covered = max(state.covered, end)
        used = min(busy, covered)
        account.busy += used
        waited = covered - used
        by_bus = min(waited, queued)
        by_slots = min(waited - by_bus, slots)
        account.stall("DRAM bandwidth", by_bus)
        account.stall("request slots", by_slots)
        account.stall("load latency", waited - by_bus - by_slots)

    def _hazards(self, work: WorkInFlight, index: int) -> Process:
        """Wait until every earlier command has read the rows that this mvin overwrites."""
        loads, state = work.queues.loads, self._state
        waited = self.env.now
        if loads.after_pair[index]:
            self.waiting_for = f"compute {loads.after_pair[index]} of {work.queues.name}"
            yield from work.written.until(loads.after_pair[index])
        if loads.after_store[index]:
            self.waiting_for = f"mvout {loads.after_store[index]} of {work.queues.name}"
            yield from work.stored.until(loads.after_store[index])
        if loads.to_accumulator[index]:
            before = work.before_accumulator
            if before is not None:
                self.waiting_for = f"mvouts of {before.queues.name}"
                yield from before.stored.until(len(before.queues.stores))
        else:
            for before in work.before_operands:
                if len(before.queues.pairs):
                    yield from self._overwrite(before, loads.local_row[index], loads.local_rows[index])
        if self.env.now > waited:
            self.account.stall("operands in use", self.env.now - max(waited, state.covered))
            state.covered = max(state.covered, self.env.now)

    def _overwrite(self, before: WorkInFlight, row: int, rows: int) -> Process:
        """Wait for the last pair of ``before`` that still reads the rows: A until fed, weights until written back."""
        pairs, count = before.queues.pairs, len(before.queues.pairs)
        now = self.env.now
        if len(before.written.times) == count and before.written.times[-1] <= now:
            return
        end, depth = row + rows, self._spec.array.rows
        for pair in range(count - 1, -1, -1):
            if pair < len(before.written.times) and before.written.times[pair] <= now:
                return
            if row < pairs.weights_row[pair] + depth and pairs.weights_row[pair] < end and pairs.new_weights[pair]:
                self.waiting_for = f"preload {pair + 1} of {before.queues.name}"
                yield from before.written.until(pair + 1)
                return
            if row < pairs.inputs_row[pair] + depth and pairs.inputs_row[pair] < end:
                self.waiting_for = f"compute {pair + 1} of {before.queues.name}"
                yield from before.fed.until(pair + 1)
                return


LOADING = tuple(stall.cause for stall in LoadController.stalls if stall.counts_as_work)
"""Stalls while a load is under way."""
