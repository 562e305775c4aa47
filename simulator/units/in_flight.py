"""Works in flight: when each of their commands was, or will be, complete; and who waits for that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Any

import simpy

from simulator.clock import Clock
from simulator.frontend.command_queues import CommandQueues
from simulator.memory.traffic import CommandTraffic, Traffic

Process = Generator[simpy.Event, Any, None]
"""What a unit's SimPy process yields."""

TimedProcess = Generator[simpy.Event, Any, int]
"""A part of a process that returns a time [cycles]."""

QUEUES = ("load", "execute", "store")
"""Queues of the reservation station; a work is released when all its commands have entered them."""

LOOPS_REMEMBERED = 4
"""Loops that may still be executed when another one is configured: those in flight and one that finishes behind
each."""


class Progress:
    """Times of completed commands of one queue, in order. A time may lie in the future once it is certain."""

    __slots__ = ("_env", "_waiting", "times")

    def __init__(self, env: Clock) -> None:
        self._env = env
        self.times: list[int] = []
        self._waiting: list[tuple[int, simpy.Event]] = []

    def append(self, time: int) -> None:
        """Record the completion of the next command."""
        self.times.append(time)
        if self._waiting:
            self._wake()

    def extend(self, times: list[int]) -> None:
        """Record several completions."""
        self.times.extend(times)
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        known = len(self.times)
        for entry in [entry for entry in self._waiting if entry[0] <= known]:
            self._waiting.remove(entry)
            entry[1].succeed()

    def until(self, count: int) -> Process:
        """Wait until the first ``count`` commands are complete."""
        if count > len(self.times):
            event = self._env.event()
            self._waiting.append((count, event))
            yield event
        left = self.times[count - 1] - self._env.now if count else 0
        if left > 0 and not self._env.passes(left):
            yield self._env.timeout(left)


class WorkInFlight:
    """The command queues of one work from its configuration to its last acknowledged write."""

    __slots__ = (
        "_emitted",
        "before_accumulator",
        "before_operands",
        "fed",
        "first_pair",
        "following",
        "index",
        "load_traffic",
        "loaded",
        "on_release",
        "queues",
        "released",
        "start",
        "store_traffic",
        "stored",
        "written",
    )

    def __init__(
        self, env: Clock, index: int, queues: CommandQueues, loads: CommandTraffic, stores: CommandTraffic, start: int
    ) -> None:
        self.index = index
        self.queues = queues
        self.load_traffic = loads
        self.store_traffic = stores
        self.start = start
        self.loaded = Progress(env)
        self.fed = Progress(env)
        self.written = Progress(env)
        self.stored = Progress(env)
        self.before_operands: tuple[WorkInFlight, ...] = ()
        """Earlier works whose A or B lies in a scratchpad half that this one loads into."""
        self.before_accumulator: WorkInFlight | None = None
        """The last earlier work that stores from the accumulator half of this one."""
        self.following: WorkInFlight | None = None
        """The loop that was configured next."""
        self.first_pair = 0
        """Number of this work's first pair in the execute queue."""
        self._emitted: dict[str, int] = {}
        self.released = False
        self.on_release: Callable[[WorkInFlight, int], None] | None = None

    def emitted(self, queue: str, time: int) -> None:
        """All commands of ``queue`` have entered the reservation station; the last of ``QUEUES`` releases the work."""
        if queue in self._emitted:
            return
        self._emitted[queue] = time
        if len(self._emitted) == len(QUEUES) and self.on_release is not None:
            self.on_release(self, max(self._emitted.values()))

    @property
    def complete(self) -> bool:
        """Whether every command is complete."""
        queues = self.queues
        return (
            len(self.loaded.times) == len(queues.loads)
            and len(self.written.times) == len(queues.pairs)
            and len(self.stored.times) == len(queues.stores)
        )

    def forget(self) -> None:
        """Let go of the works before it, of which nothing is left to wait for."""
        self.before_operands, self.before_accumulator = (), None

    def stuck(self) -> list[str]:
        """Commands that have not completed, per queue, with how far each queue came."""
        queues = self.queues
        progress = (
            ("mvin", self.loaded.times, len(queues.loads)),
            ("preload/compute", self.written.times, len(queues.pairs)),
            ("mvout", self.stored.times, len(queues.stores)),
        )
        return [
            f"{name} {len(done)} of {total} in {queues.name}" for name, done, total in progress if len(done) < total
        ]


class WorksInFlight:
    """All works that were configured so far, in order."""

    def __init__(self, env: Clock, traffic: Traffic) -> None:
        self._env = env
        self._traffic = traffic
        self._works: deque[WorkInFlight] = deque()

    def configure(self, index: int, queues: CommandQueues, start: int) -> WorkInFlight:
        """Enter work number ``index`` and find the earlier works that share its on-chip rows.

        Parameters
        ----------
        index
            Number of the work in the program, works that are passed over included.
        queues
            Its commands.
        start
            When the first of them may enter the queues [cycles].
        """
        traffic = self._traffic
        work = WorkInFlight(self._env, index, queues, traffic.loads[index], traffic.stores[index], start)
        if queues.is_loop:
            loops = [
                earlier
                for earlier in islice(self._works, max(0, len(self._works) - LOOPS_REMEMBERED), None)
                if earlier.queues.is_loop
            ]
            operand_halves = set(queues.halves[:2])
            work.before_operands = tuple(loop for loop in loops if operand_halves & set(loop.queues.halves[:2]))
            for earlier in loops:
                if queues.halves[2] == earlier.queues.halves[2] and len(earlier.queues.stores):
                    work.before_accumulator = earlier
        if len(self._works) > LOOPS_REMEMBERED and self._works[0].complete:
            self._works.popleft().forget()
        if self._works and queues.is_loop:
            self._works[-1].following = work
        self._works.append(work)
        return work

    def stuck(self) -> Iterator[str]:
        """Commands that have not completed, the oldest work first."""
        for work in self._works:
            yield from work.stuck()
