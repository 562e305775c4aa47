"""What a step of the recurrence over hardware loops hands on to the next one."""

from __future__ import annotations

from typing import NamedTuple

from simulator.arrays import Floats


class LoopState(NamedTuple):
    """What the next loop has to know of those before it (columns, in cycles from the first loop on)."""

    start: Floats
    """When the last one was configured."""
    released: Floats
    released_before: Floats
    released_third: Floats
    """When all commands of the last three had entered the queues."""
    loaded: Floats
    fed: Floats
    fed_before: Floats
    """When the pairs of the last and of the last but one were fed."""
    stored: Floats
    """When the store unit was through with the last result tile."""
    read_out: Floats
    """When the last loop's result began to be stored; 0: it stored none."""
    tile_stored: Floats
    tile_stored_before: Floats
    """When the last result tile was complete, and the one before, which had the same accumulator half as the next."""
    drained: Floats
    """When the memory was through with the last writes."""
    store_memory: Floats
    store_entries: Floats
    store_beats: Floats
    """Cycles of the DRAM bus, of the miss entries and of the response bus of the last loop's stores, which meet the
    loads of the next."""


NEVER = ("start", "released", "released_before", "released_third")
"""Fields that are minus infinity before the first loop; the others are zero."""
