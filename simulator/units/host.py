"""Host core: issues hardware loops and commands, runs library code and the operators that have no unit, waits at
fences."""

from __future__ import annotations

from dataclasses import dataclass, field

import simpy

from simulator.cycle_account import CycleAccount
from simulator.frontend.command_queues import CommandQueues
from simulator.program import HostTask
from simulator.units.in_flight import Process, WorkInFlight
from simulator.units.unit import Chip, Role, Stall, Unit


@dataclass(slots=True)
class HostState:
    """What the host remembers of the program so far."""

    in_flight: list[WorkInFlight] = field(default_factory=list)
    """Works that are not known to be complete, in order."""
    release_events: dict[int, simpy.Event] = field(default_factory=dict)
    next_loop: int = 0
    """When the core can issue the next hardware loop [cycles]."""
    array_idle: int = 0
    """When the array reports idle to a fence [cycles]."""


class Host(Unit):
    """The command source: it takes the steps of the program in order and hands works to the controllers."""

    name = "host"
    bound = "host"
    role = Role.CORE
    stalls = (
        Stall("fence", "commands before a fence, or before single commands, are not complete"),
        Stall("loop slot", "as many hardware loops are configured as the front end holds"),
    )
    actions = (("host", "cycle"),)

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        self._chip = chip
        self._spec = chip.spec
        self._state = HostState()

    def start(self) -> None:
        """Start the program; the host is idle when it is over."""
        self.idle = False
        self.env.process(self._run())

    def _run(self) -> Process:
        """Go through the program."""
        env, steps, account = self.env, self._chip.steps, self.account
        while (ahead := steps.next(env.now)) is not None:
            index, step = ahead
            if step is None:
                yield from self._fence()
            elif isinstance(step, HostTask):
                account.busy += step.cycles
                account.span(step.kernel, env.now, env.now + step.cycles)
                yield env.timeout(step.cycles)
            elif step.is_loop:
                yield from self._loop(index, step)
            else:
                yield from self._commands(index, step)
        yield from self._drain()
        self.idle = True

    def _loop(self, index: int, queues: CommandQueues) -> Process:
        """Configure a hardware loop as soon as a slot is free."""
        env, front_end, state = self.env, self._spec.front_end, self._state
        if state.next_loop > env.now:
            self.account.busy += state.next_loop - env.now
            self.account.span("loop commands", env.now, state.next_loop)
            yield env.timeout(state.next_loop - env.now)
        in_flight = state.in_flight
        # A loop runs beside other loops only: single commands and whole-memory tiles use the rows of both halves.
        alone = [work for work in in_flight if not work.queues.is_loop]
        if queues.whole_memory or alone or (in_flight and in_flight[-1].queues.whole_memory):
            yield from self._drain()
        waited = env.now
        while sum(not work.released for work in state.in_flight) >= front_end.loops_in_flight:
            oldest = next(work for work in state.in_flight if not work.released)
            self.waiting_for = f"the release of {oldest.queues.name}"
            released_at = yield state.release_events[oldest.index]
            oldest.released = True
            if released_at + front_end.loop_config_cycles > env.now:
                yield env.timeout(released_at + front_end.loop_config_cycles - env.now)
        self.account.stall("loop slot", env.now - waited)
        self._configure(index, queues, env.now + front_end.first_command_cycles)
        state.next_loop = env.now + round(self._spec.host.loop_cycles)

    def _commands(self, index: int, queues: CommandQueues) -> Process:
        """Issue a run of single commands; hardware loops before it must be complete."""
        yield from self._drain()
        self._configure(index, queues, self.env.now + self._spec.front_end.command_path_cycles)
        self.account.busy += queues.host_cycles
        self.account.span("commands", self.env.now, self.env.now + queues.host_cycles)
        yield self.env.timeout(queues.host_cycles)

    def _configure(self, index: int, queues: CommandQueues, start: int) -> None:
        """Hand a work to all controllers."""
        work = self._chip.works.configure(index, queues, start)
        state = self._state
        state.release_events[work.index] = self.env.event()
        work.on_release = self._released
        state.in_flight = [earlier for earlier in state.in_flight if not (earlier.released and earlier.complete)]
        state.in_flight.append(work)
        for controller in self._chip.controllers:
            controller.accept(work)

    def _released(self, work: WorkInFlight, time: int) -> None:
        """All commands of a work are in the queues: its slot is free from ``time`` on."""
        self._state.release_events[work.index].succeed(time)

    def _drain(self) -> Process:
        """Wait until every command so far is complete."""
        waited = self.env.now
        for work in self._state.in_flight:
            queues = work.queues
            self.waiting_for = f"the completion of {queues.name}"
            yield from work.loaded.until(len(queues.loads))
            yield from work.written.until(len(queues.pairs))
            yield from work.stored.until(len(queues.stores))
            if len(queues.pairs):
                fed = queues.pairs.rows[-1] - self._spec.array.feed_to_idle_cycles
                self._state.array_idle = work.written.times[-1] + fed
        self._state.in_flight = []
        self.account.stall("fence", self.env.now - waited)

    def _fence(self) -> Process:
        """Wait until the accelerator is idle and every write is acknowledged."""
        yield from self._drain()
        waited = self.env.now
        end = max(self.env.now, self._chip.path.acknowledged, self._state.array_idle)
        yield self.env.timeout(end + self._spec.front_end.fence_cycles - self.env.now)
        self.account.stall("fence", self.env.now - waited)
