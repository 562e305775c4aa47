"""One-row commands of a read-out on their way through the store controller, and the rows that leave.

    core or loop ──► entries of the reservation station ──► store controller ──► requests ──► lanes ──► writer

A command is taken when the one before it was issued, that is, when all its requests are sent; in versions that wait for
its completion, some cycles behind its last read. Requests run ahead of the lanes only as far as the queues between
them hold them, and commands ahead of the controller as far as the reservation station does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hwconfigs import DmaSpec
from simulator.units.store_pipeline import COMMAND_CYCLES, ScalePipeline, writer_cycles

BLOCKS_PER_COMMAND = 4
"""Blocks read by one one-row mvout."""

REQUESTS_AHEAD = 8
"""Requests between the controller and the lanes: two to be dispatched, six read (RTL, queues)."""


class CommandSource:
    """Who issues the commands, and how they reach the lanes.

    Parameters
    ----------
    pace
        Distance of the commands as they are issued [cycles].
    entries
        Commands that wait for the controller at once.
    gap
        Last read of a command to the first of the next; 0: the next follows as soon as the requests are sent [cycles].
    """

    __slots__ = ("_entries", "_gap", "_issued", "_next", "_pace", "_queue", "_sent", "_taken")

    def __init__(self, pace: float, entries: int, gap: int) -> None:
        self._pace = pace
        self._gap = gap
        self._issued = 0.0
        self._next = self._taken = 0.0
        self._sent = -1.0
        self._entries = deque([0.0] * entries, maxlen=entries)
        """When the newest commands left the entries."""
        self._queue = deque([0.0] * REQUESTS_AHEAD, maxlen=REQUESTS_AHEAD)
        """When the newest requests left the queues."""

    def configure(self) -> None:
        """Issue the configuration command of a row, which names its slot."""
        self._issued = max(self._issued + self._pace, self._entries[0])

    def arrival(self) -> float:
        """Issue the next mvout; return when its first request may reach the lanes."""
        self._issued = max(self._issued + self._pace, self._entries[0])
        self._taken = max(self._issued, self._next)
        return self._taken

    def read(self, start: float, blocks: int, cycles: int) -> float:
        """Let the blocks of the mvout into the lanes, from ``start`` on; return when the last one enters."""
        queue = self._queue
        sent, entered = max(self._taken, self._sent + 1), start - cycles
        for block in range(blocks):
            sent = max(sent + (block > 0), queue[0])
            entered = max(entered + cycles, sent)
            queue.append(entered)
        self._sent = sent
        if self._gap:
            self._next = max(start + blocks, entered) + self._gap
        else:
            self._next = max(self._taken + COMMAND_CYCLES, sent + 1)
        self._entries.append(self._next)
        return entered

    def times(self) -> tuple[float, ...]:
        """Return all times that matter to what follows."""
        return (self._issued, self._next, self._sent, *self._entries, *self._queue)


class RowWriter:
    """Rows of results between lanes and memory.

    Parameters
    ----------
    cycles
        Time of the writer per row of 0, 1, ... blocks [cycles].
    scale
        Pipeline before it, if it holds rows up.
    """

    __slots__ = ("_cycles", "_scale", "free")

    def __init__(self, cycles: Sequence[float], scale: ScalePipeline | None) -> None:
        self._cycles = cycles
        self._scale = scale
        self.free = 0.0
        """When the next row may follow."""

    def row(self, start: float, blocks: int, once: int) -> None:
        """Take the blocks of a command, the first of which leaves the lanes at ``start``, one each ``once`` cycles."""
        writer = max(self._cycles[blocks], blocks * once)
        self.free = start + writer if self._scale is None else self._scale.row(start, blocks, writer)

    def times(self) -> tuple[float, ...]:
        """Return all times that matter to what follows."""
        return () if self._scale is None else self._scale.times()


def row_writer(dma: DmaSpec) -> RowWriter:
    """Return the writer of a machine, idle."""
    cycles = [0.0, *(writer_cycles(blocks, False, False, dma) for blocks in range(1, BLOCKS_PER_COMMAND + 1))]
    return RowWriter(cycles, ScalePipeline(dma.scale_entries, dma.scale_cycles) if dma.scale_entries else None)
