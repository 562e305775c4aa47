"""What the memory path is like, and when its shared resources are free again: the arguments of its recurrences.

Compiled code takes the fields of `Ports` by their place. It is renewed when the file of the recurrences changes, not
when this one does: a change of their order is a change of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias, get_type_hints

import numpy as np

from simulator.arrays import Floats, Ints


class Pages(NamedTuple):
    """Banks and times of the DRAM as ``hwconfigs`` names them [cycles, bytes]."""

    banks: int
    """Of a channel; 0: the DRAM has no pages."""
    burst_bytes: int
    burst: float
    cl: float
    rcd: float
    rp: float
    ras: float
    rc: float
    window: int


class Limits(NamedTuple):
    """What the machine's memory path is like [cycles, bytes]."""

    sets: int
    """Sets of the L2; 0 without one."""
    line_bytes: int
    hit: int
    burst: int
    """More cycles for a hit of several beats."""
    release: int
    """From the end of a fetch until its miss entry is free."""
    latency: int
    """From a request to DRAM to its first beat."""
    llc_latency: int
    cycles_per_byte: float
    evict: float
    """Bus time of a fetch per valid way of its set."""
    write_miss: int
    idle: int
    """More cycles for a request whose last beats hold nothing of the row."""
    bus_bytes: int
    write_ack: int
    slot_turn: int
    """From the last beat of a read to the next request in its slot."""
    write_back: float
    """For a dirty line to leave, before its successor is written."""
    write_back_hold: float
    """By which that keeps the miss entry longer."""
    ways: int
    """Of a set of the L2."""
    release_ack: int
    """From the arrival of a line that evicts, behind others, until what waits for it is served."""
    pages: Pages


class Ports(NamedTuple):
    """When the shared resources are free again."""

    slots: Ints
    """When each of the read requests in flight is complete, sorted; so are those of writes and misses."""
    write_slots: Ints
    mshrs: Ints
    fetched: Ints
    """Per set, when the line being fetched into it serves the requests that wait for it; 0: none."""
    fetching: Ints
    """Sets whose ``fetched`` is not 0, in any order."""
    cycles: Ints
    dram: Floats
    banks: Floats
    columns: Floats
    """Per channel, the latest column accesses (a ring as long as the window), their number, and the end of the last."""


Shared: TypeAlias = tuple[Ints, Ints, Ints, Ints, Ints, Ints, Floats, Floats, Floats]
"""`Ports` as recurrences take them: without names, a call of compiled code takes 0.8 us less (measured)."""

Constants: TypeAlias = Sequence[Limits]
"""`Limits` as recurrences take them, the only element. For compiled code that is a record, which it reads in place: a
call takes 3.2 us less than with the tuple, half of what a short command takes (measured)."""


@lru_cache(maxsize=64)
def record_of(limits: Limits) -> Constants:
    """Return what compiled recurrences take, and never change."""
    numbers = *limits[:-1], tuple(limits.pages)
    layout = np.dtype([*_numbers(Limits)[:-1], ("pages", np.dtype(_numbers(Pages)))])
    return np.array([numbers], dtype=layout)  # type: ignore[return-value]


def _numbers(fields: type) -> list[tuple[str, type]]:
    kinds = get_type_hints(fields)
    return [(name, np.int64 if kinds[name] is int else np.float64) for name in kinds]
