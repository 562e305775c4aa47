"""Traffic of a program: its requests and what became of them, in chunks that are replayed again when they are needed.

A table of all requests of a large product takes gigabytes. So they are listed and run through the caches chunk by
chunk; kept are the totals, the state of the caches before each chunk, and the tables of the chunks that were asked for
last. A simulation that passes over most loops asks for few of them twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Ints
from simulator.frontend.loop_works import Step
from simulator.memory import cache_replay, recurrences
from simulator.memory.command_stream import CommandStream, stream_of
from simulator.memory.compiled import use
from simulator.memory.recurrences import BEATS
from simulator.memory.request_stream import MemoryState, Requests, replay
from simulator.report import Action

CHUNK_SEGMENTS = 1 << 16
"""Row segments of a chunk, about as many requests: 4 MiB."""

LEAST_KEPT = 4
"""Chunks that are kept however large: the loads and the stores of two neighbouring works lie in three at most."""

KEPT_REQUESTS = 1 << 20
"""Requests whose tables are kept: 60 MiB."""


@dataclass(frozen=True, eq=False)
class CommandTraffic:
    """Requests of the loads (or stores) of one work: ``first[c]:first[c + 1]`` belong to command ``c``.

    The lists that the units walk through are made when a unit first asks for them, which it never does for works that
    are passed over.
    """

    table: Ints
    """Requests of this work, among others: rows as named in ``simulator.memory.recurrences``."""
    starts: Ints
    missed: Ints
    """Requests that miss the L2 before each command, and in all."""

    @property
    def requests(self) -> int:
        """Requests of all commands."""
        return int(self.starts[-1] - self.starts[0])

    @property
    def misses(self) -> int:
        """Requests that miss the L2."""
        return int(self.missed[-1] - self.missed[0])

    @cached_property
    def first(self) -> list[int]:
        """Where each command's requests start, and the end."""
        return self.starts.tolist()  # type: ignore[no-any-return]

    @cached_property
    def beats(self) -> list[int]:
        """Bus beats of each command [cycles]."""
        beats = np.concatenate(([0], np.cumsum(self.table[BEATS, self.starts[0] : self.starts[-1]])))
        return np.diff(beats[self.starts - self.starts[0]]).tolist()  # type: ignore[no-any-return]

    @cached_property
    def hits_only(self) -> list[bool]:
        """Per command: every request hits."""
        return (self.missed[1:] == self.missed[:-1]).tolist()  # type: ignore[no-any-return]


class Places(NamedTuple):
    """Where the commands of the loads (or stores) of some works are in a table, and how many."""

    first: Ints
    commands: Ints


class RequestStretch(NamedTuple):
    """Requests of some works in a row, among others: rows and columns as of `CommandTraffic`."""

    works: int
    table: Ints
    starts: Ints
    missed: Ints
    loads: Places
    stores: Places


class _Chunk(NamedTuple):
    """A part of the stream."""

    first: int
    """Its first queue of commands."""
    end: int
    before: MemoryState
    """The caches before it."""


class Traffic:
    """Everything a program moves over the memory port, known as far as it was replayed.

    Parameters
    ----------
    stream
        Queues of commands, and accesses of the host core, in the order of their requests.
    spec, memory
        The machine, and its caches before the program; advanced to those after it.
    """

    def __init__(self, stream: CommandStream, spec: HardwareSpec, memory: MemoryState) -> None:
        self._stream = stream
        self._spec = spec
        self.counts: Counter[Action] = Counter()
        self._chunks: list[_Chunk] = []
        self._kept: OrderedDict[int, Requests] = OrderedDict()
        self._requests = np.zeros(len(stream), dtype=np.int64)
        self._begins = np.zeros(len(stream), dtype=np.int64)
        """First command of each queue among those of its chunk."""
        self._kept_requests = 0
        self._memory = memory
        self._firsts: list[int] = []
        self._segments = np.concatenate(([0], np.cumsum(stream.segments)))
        self.loads = QueueTraffic(self, np.flatnonzero(stream.dma & ~stream.writes))
        self.stores = QueueTraffic(self, np.flatnonzero(stream.dma & stream.writes))

    @property
    def is_kept(self) -> bool:
        """Whether the tables of all requests are kept; otherwise chunks are best used while they are replayed."""
        return int(self._segments[-1]) <= KEPT_REQUESTS // 2

    @property
    def is_short(self) -> bool:
        """Whether the stream is one chunk: it is kept for little, and found again in no time."""
        return int(self._segments[-1]) <= CHUNK_SEGMENTS

    def replay(self) -> Iterator[int]:
        """Replay the whole stream; yield after each chunk the number of works all of whose requests are known."""
        segments = self._segments
        use(int(segments[-1]), cache_replay, recurrences)
        first = 0
        while first < len(self._stream):
            end = int(np.searchsorted(segments, segments[first] + CHUNK_SEGMENTS, side="right")) - 1
            end = max(first + 1, end)
            self._replay_chunk(first, end)
            yield self.stores.before(end)
            first = end

    def tables(self) -> Iterator[Ints]:
        """Yield the request tables of the chunks that are kept: of a short stream, all."""
        for requests in self._kept.values():
            yield requests.table

    def _replay_chunk(self, first: int, end: int) -> None:
        self._chunks.append(_Chunk(first, end, self._memory.copy()))
        self._firsts.append(first)
        requests = replay(self._stream.commands(first, end), self._spec, self._memory)
        self.counts.update(requests.counts)
        begins = np.concatenate(([0], np.cumsum(self._stream.numbers[first:end])))
        self._begins[first:end] = begins[:-1]
        self._requests[first:end] = np.diff(requests.starts[begins])
        self._keep(len(self._chunks) - 1, requests)

    def _keep(self, number: int, requests: Requests) -> None:
        self._kept[number] = requests
        self._kept_requests += requests.table.shape[1]
        while len(self._kept) > LEAST_KEPT and self._kept_requests > KEPT_REQUESTS:
            _, dropped = self._kept.popitem(last=False)
            self._kept_requests -= dropped.table.shape[1]

    def requests(self, queues: Ints) -> Ints:
        """Return the number of requests of some queues of the stream."""
        return self._requests[queues]

    def states(self, most: int) -> Iterator[tuple[int, MemoryState]]:
        """Replay the stream again from its begin; yield the caches behind the loads of some works.

        Parameters
        ----------
        most
            Works at most, evenly spread.

        Yields
        ------
        Number of the work whose loads came last, -1 before the first, and the caches, which the next step advances.
        """
        if not self._chunks:
            return
        memory = self._chunks[0].before.copy()
        yield -1, memory
        done = 0
        works = len(self.loads)
        for work in range(0, works, max(1, -(-works // most))):
            end = self.loads.place(work) + 1
            replay(self._stream.commands(done, end), self._spec, memory)
            done = end
            yield work, memory

    def of(self, queue: int) -> CommandTraffic:
        """Return the requests of one queue of the stream; its chunk is replayed again if it was not kept."""
        found = self._found(self._chunk_of(queue))
        begin = int(self._begins[queue])
        columns = slice(begin, begin + int(self._stream.numbers[queue]) + 1)
        return CommandTraffic(found.table, found.starts[columns], found.missed[columns])

    def stretch(self, first: int, least: int, end: int) -> RequestStretch:
        """Return the requests of works from ``first`` on in one table.

        Parameters
        ----------
        first, least, end
            The works are ``[first, n)``, ``least <= n <= end``; beyond ``least`` only those that lie in one chunk.
        """
        begin = self.loads.place(first)
        number = self._chunk_of(begin)
        works = min(end, self.stores.before(self._chunks[number].end))
        if works >= least:
            found, places = self._found(number), self._begins
            table, starts, missed = found.table, found.starts, found.missed
        else:
            works = least
            behind = self.stores.place(least - 1) + 1
            table, starts, missed = self._joined(begin, behind)
            places = np.zeros(behind, dtype=np.int64)
            places[begin + 1 :] = np.cumsum(self._stream.numbers[begin : behind - 1])
        loads, stores = self.loads.queues[first:works], self.stores.queues[first:works]
        return RequestStretch(
            works - first,
            table,
            starts,
            missed,
            Places(places[loads], self._stream.numbers[loads]),
            Places(places[stores], self._stream.numbers[stores]),
        )

    def _joined(self, begin: int, end: int) -> tuple[Ints, Ints, Ints]:
        """Join the requests of queues ``[begin, end)`` of the stream, which lie in several chunks."""
        tables, starts, missed = [], [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
        while begin < end:
            number = self._chunk_of(begin)
            found, last = self._found(number), min(end, self._chunks[number].end) - 1
            commands = slice(int(self._begins[begin]), int(self._begins[last] + self._stream.numbers[last]) + 1)
            low, high = found.starts[commands][[0, -1]]
            tables.append(found.table[:, low:high])
            starts.append(found.starts[commands][1:] - low + starts[-1][-1])
            missed.append(found.missed[commands][1:] - found.missed[commands][0] + missed[-1][-1])
            begin = last + 1
        return np.concatenate(tables, axis=1), np.concatenate(starts), np.concatenate(missed)

    def _chunk_of(self, queue: int) -> int:
        """Return the number of the chunk in which a queue of the stream lies."""
        return bisect_right(self._firsts, queue) - 1

    def _found(self, number: int) -> Requests:
        """Return the requests of a chunk, replayed again if they were not kept."""
        if number not in self._kept:
            first, end, before = self._chunks[number]
            self._keep(number, replay(self._stream.commands(first, end), self._spec, before.copy()))
        self._kept.move_to_end(number)
        return self._kept[number]


class QueueTraffic:
    """Requests of the loads, or of the stores, of every work of a program, found when they are asked for."""

    def __init__(self, traffic: Traffic, queues: Ints) -> None:
        self._traffic = traffic
        self.queues = queues
        """Which queue of the stream is that of each work."""

    def __len__(self) -> int:
        return len(self.queues)

    def __getitem__(self, work: int) -> CommandTraffic:
        return self._traffic.of(self.place(work))

    def place(self, work: int) -> int:
        """Return which queue of the stream is that of a work."""
        return int(self.queues[work])

    def before(self, queue: int) -> int:
        """Return the number of works whose queue lies before one of the stream."""
        return int(np.searchsorted(self.queues, queue))

    def requests(self, first: int, end: int) -> Ints:
        """Return the number of requests of each of some works."""
        return self._traffic.requests(self.queues[first:end])


def trace(steps: Sequence[Step], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """List all requests of a program and replay them through the caches of ``memory``, which is advanced.

    Parameters
    ----------
    steps
        Works and host tasks in program order; None is a fence.
    """
    traffic = traffic_of(steps, spec, memory)
    for _ in traffic.replay():
        pass
    return traffic


def traffic_of(steps: Sequence[Step], spec: HardwareSpec, memory: MemoryState) -> Traffic:
    """Return the traffic of a program, about to be replayed; the parameters are those of `trace`."""
    return Traffic(stream_of(steps, spec), spec, memory)
