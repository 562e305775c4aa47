"""A work order in flight: when each of its commands was, or will be, done; and who waits for that."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from simulator.clock import Clock
from simulator.frontend.work import Work
from simulator.memory.request_stream import CommandTraffic

Process = Generator[simpy.Event, Any, None]
"""What a unit's SimPy process yields."""

TimedProcess = Generator[simpy.Event, Any, int]
"""A part of a process that returns a time [cycles]."""


class Progress:
    """Times of completed commands of one queue, in order. A time may lie in the future once it is certain."""

    __slots__ = ("_env", "_waiting", "times", "what")

    def __init__(self, env: Clock, what: str) -> None:
        self._env = env
        self.what = what
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
        if count and self.times[count - 1] > self._env.now:
            yield self._env.timeout(self.times[count - 1] - self._env.now)


class Running:
    """One ``Work`` from its configuration to its last acknowledged write."""

    __slots__ = (
        "_emitted",
        "before_accumulator",
        "before_operands",
        "fed",
        "first_pair",
        "index",
        "load_traffic",
        "loaded",
        "on_release",
        "released",
        "start",
        "store_traffic",
        "stored",
        "work",
        "written",
    )

    def __init__(
        self, env: Clock, index: int, work: Work, loads: CommandTraffic, stores: CommandTraffic, start: int
    ) -> None:
        self.index = index
        self.work = work
        self.load_traffic = loads
        self.store_traffic = stores
        self.start = start
        self.loaded = Progress(env, f"mvins of {work.name}")
        self.fed = Progress(env, f"computes of {work.name}")
        self.written = Progress(env, f"results of {work.name}")
        self.stored = Progress(env, f"mvouts of {work.name}")
        self.before_operands: tuple[Running, ...] = ()
        """Earlier works whose A or B lies in a scratchpad half that this one loads into."""
        self.before_accumulator: Running | None = None
        self.first_pair = 0
        """Number of this work's first pair in the execute queue."""
        self._emitted: dict[str, int] = {}
        self.released = False
        self.on_release: Callable[[Running, int], None] | None = None

    def emitted(self, queue: str, time: int) -> None:
        """All commands of ``queue`` have entered the reservation station; the last queue to say so releases the
        work."""
        if queue in self._emitted:
            return
        self._emitted[queue] = time
        if len(self._emitted) == 3 and self.on_release is not None:
            self.on_release(self, max(self._emitted.values()))

    def emission(self, queue: str) -> int | None:
        return self._emitted.get(queue)

    @property
    def complete(self) -> bool:
        work = self.work
        return (
            len(self.loaded.times) == len(work.loads)
            and len(self.written.times) == len(work.pairs)
            and len(self.stored.times) == len(work.stores)
        )

    def stuck(self) -> list[str]:
        """Commands that have not completed, per queue, with how far each queue came."""
        work = self.work
        queues = (
            ("mvin", self.loaded.times, len(work.loads)),
            ("preload/compute", self.written.times, len(work.pairs)),
            ("mvout", self.stored.times, len(work.stores)),
        )
        return [f"{name} {len(done)} of {total} in {work.name}" for name, done, total in queues if len(done) < total]
