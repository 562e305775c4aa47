"""Host core: issues hardware loops and commands, runs library code and the operators that have no unit, waits at
fences."""

from __future__ import annotations

from collections.abc import Callable

import simpy

from hwconfigs import HardwareSpec
from simulator.clock import Clock
from simulator.cycle_account import Meter
from simulator.fast_forward.steady_state import Course
from simulator.frontend.work import Work
from simulator.program import HostTask
from simulator.units.in_flight import Process, Running


class Host:
    """SimPy process of the command source."""

    def __init__(
        self,
        env: Clock,
        spec: HardwareSpec,
        course: Course,
        configure: Callable[[int, Work, int], Running],
        dispatch: Callable[[Running], None],
        acknowledged: Callable[[], int],
        meter: Meter,
    ) -> None:
        self.env = env
        self.waiting_for = ""
        self.finished = False
        self._spec = spec
        self._course = course
        self._configure = configure
        self._dispatch = dispatch
        self._acknowledged = acknowledged
        self._meter = meter
        self._in_flight: list[Running] = []
        self._release_events: dict[int, simpy.Event] = {}
        self._next_loop = 0
        self._array_idle = 0

    def run(self) -> Process:
        """Go through the program."""
        while (ahead := self._course.next(self.env.now)) is not None:
            index, step = ahead
            if step is None:
                yield from self._fence()
            elif isinstance(step, HostTask):
                self._meter.busy += step.cycles
                self._meter.span(step.kernel, self.env.now, self.env.now + step.cycles)
                yield self.env.timeout(step.cycles)
            elif step.is_loop:
                yield from self._loop(index, step)
            else:
                yield from self._commands(index, step)
        yield from self._drain()
        self.finished = True

    def _loop(self, index: int, work: Work) -> Process:
        """Configure a hardware loop as soon as a slot is free."""
        env, front_end = self.env, self._spec.front_end
        if self._next_loop > env.now:
            self._meter.busy += self._next_loop - env.now
            yield env.timeout(self._next_loop - env.now)
        alone = [running for running in self._in_flight if not running.work.is_loop]
        if work.whole_memory or alone or (self._in_flight and self._in_flight[-1].work.whole_memory):
            yield from self._drain()
        waited = env.now
        while sum(not running.released for running in self._in_flight) >= front_end.loops_in_flight:
            oldest = next(running for running in self._in_flight if not running.released)
            self.waiting_for = f"the release of {oldest.work.name}"
            released_at = yield self._release_events[oldest.index]
            oldest.released = True
            if released_at + front_end.loop_config_cycles > env.now:
                yield env.timeout(released_at + front_end.loop_config_cycles - env.now)
        self._meter.stall("loop slot", env.now - waited)
        self._start(index, work, env.now + front_end.first_command_cycles)
        self._next_loop = env.now + round(self._spec.host.loop_cycles)

    def _commands(self, index: int, work: Work) -> Process:
        """Issue a run of single commands; hardware loops before it must be complete."""
        yield from self._drain()
        self._start(index, work, self.env.now + self._spec.front_end.command_path_cycles)
        cycles = work.host_cycles
        self._meter.busy += cycles
        yield self.env.timeout(cycles)

    def _start(self, index: int, work: Work, start: int) -> None:
        running = self._configure(index, work, start)
        self._release_events[running.index] = self.env.event()
        running.on_release = self._released
        self._in_flight = [other for other in self._in_flight if not (other.released and other.complete)]
        self._in_flight.append(running)
        self._dispatch(running)

    def _released(self, running: Running, time: int) -> None:
        """All commands of a work are in the queues: its slot is free from ``time`` on."""
        self._release_events[running.index].succeed(time)

    def _drain(self) -> Process:
        """Wait until every command so far is complete."""
        waited = self.env.now
        for running in self._in_flight:
            work = running.work
            self.waiting_for = f"the completion of {work.name}"
            yield from running.loaded.until(len(work.loads))
            yield from running.written.until(len(work.pairs))
            yield from running.stored.until(len(work.stores))
            if len(work.pairs):
                fed = work.pairs.rows[-1] - self._spec.array.feed_to_idle_cycles
                self._array_idle = running.written.times[-1] + fed
        self._in_flight = []
        self._meter.stall("fence", self.env.now - waited)

    def _fence(self) -> Process:
        """Wait until the accelerator is idle and every write is acknowledged."""
        yield from self._drain()
        waited = self.env.now
        end = max(self.env.now, self._acknowledged(), self._array_idle) + self._spec.front_end.fence_cycles
        yield self.env.timeout(end - self.env.now)
        self._meter.stall("fence", self.env.now - waited)
