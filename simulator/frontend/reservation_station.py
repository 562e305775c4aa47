"""Reservation station: dependencies between the three queues, and how far ahead each queue may be filled.

Entries: 8 loads, 4 stores, 16 executes in the default build. A load or store entry is held until completion. A pair
holds two entries until its inputs are fed and one (its preload) until its result is written. The generator that fills a
full queue waits, and a hardware loop is released only when all its commands have been *emitted*, so that these windows
decide when the next tile's loads may start [1]_.

.. [1] Project notes on calibration, section 1.1; rules of ucb-bar/gemmini 8c3f992, section 2.3 of the timing notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Footprint:
    """Rows ``[start, end)`` of one on-chip memory."""

    memory: str
    start: int
    end: int

    def overlaps(self, other: Footprint) -> bool:
        return self.memory == other.memory and self.start < other.end and other.start < self.end


WINDOW = 64
"""Entries looked back: more than the three queues hold together, and older commands have completed by then."""


def last_conflict(earlier: Sequence[Footprint], area: Footprint) -> int:
    """One plus the index of the last footprint that overlaps ``area``, 0 if none among the newest ``WINDOW``."""
    oldest = max(0, len(earlier) - WINDOW)
    for index in range(len(earlier) - 1, oldest - 1, -1):
        if earlier[index].overlaps(area):
            return index + 1
    return 0


def emission_of_last(completions: Sequence[int], entries: int, start: int, count: int) -> int:
    """When the last of ``count`` in-order commands enters a queue of ``entries`` entries held until completion.

    ``completions`` must cover the first ``count - entries`` commands. [cycles]
    """
    if count == 0:
        return start
    earliest = start + count - 1
    if count <= entries:
        return earliest
    return max(earliest, completions[count - entries - 1])


def pair_emission(pair: int, fed: Sequence[int], written: Sequence[int], entries: int) -> int | None:
    """When pair ``pair`` of a stream enters the execute queue, as far as the known past decides it.

    Parameters
    ----------
    pair
        Index of the pair.
    fed, written
        Times at which the inputs of the pairs before it were fed and their results written, for the pairs known so far.
    entries
        Entries of the execute queue.

    Returns
    -------
    Emission time assuming that no further pair is fed, or None if a further feed is necessary. [cycles]
    """
    unfed = pair - len(fed)
    room = entries - 2 - 2 * unfed
    if room < 0:
        return None
    if len(fed) <= room:
        return 0
    released = len(fed) - room
    return written[released - 1]
