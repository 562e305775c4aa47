"""What a load command costs on average, what a line costs DRAM, and the depth of the pipeline around both."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from hwconfigs import HardwareSpec, L2Spec
from simulator.arrays import Floats
from simulator.units.systolic_array import completion_delay

Latency = TypeVar("Latency", float, Floats)


def load_command(beats: Floats, size_bytes: Floats, misses: Floats, from_dram: Floats, spec: HardwareSpec) -> Floats:
    """Return the cycles per mvin in a stream of them: bus, memory, and the latency that few commands cannot hide.

    Parameters
    ----------
    beats
        Cycles of the data bus, or of the write port if that is slower.
    size_bytes
        Bytes it requests: what a machine without L2 moves.
    misses
        Lines that the L2 fetches for it.
    from_dram
        Share of those that no last-level cache serves.
    spec
        The machine.
    """
    dma = spec.dma
    # A command holds its place in flight from issue to completion, and only so many are in flight: by Little's law a
    # stream of them is no faster than the time of one alone divided by their number.
    depth = dma.max_commands_in_flight
    if spec.l2 is None:
        transfer = np.maximum(beats, size_bytes / spec.dram.bytes_per_cycle)
        alone = (
            dma.issue_cycles + spec.dram.request_cycles + spec.dram.latency_cycles + transfer + dma.completion_cycles
        )
        streamed: Floats = np.maximum(transfer, alone / depth)
        return streamed
    per_line = fetch_cycles(spec, spec.line_bytes)
    latency = spec.dram.request_cycles + from_dram * spec.dram.latency_cycles
    if spec.llc is not None:
        latency = latency + (1.0 - from_dram) * spec.llc.hit_cycles
    # Misses of one command overlap: the latency counts once, then the lines follow at the pace of the bus, of which
    # the beats hide their part.
    alone = dma.issue_cycles + spec.l2.hit_cycles + dma.completion_cycles + beats
    alone = alone + np.minimum(1.0, misses) * latency + np.maximum(0.0, misses * per_line - beats)
    entries = misses * entry_cycles(spec.l2, latency, per_line) / spec.l2.mshrs
    # Response bus, DRAM bus, miss entries and places in flight work side by side: the slowest paces the stream.
    slowest: Floats = np.maximum(np.maximum(beats, misses * per_line), np.maximum(entries, alone / depth))
    return slowest


def fetch_cycles(spec: HardwareSpec, line_bytes: int) -> float:
    """Return the DRAM bus cycles of a line that takes the place of another in a full L2."""
    return line_bytes / spec.dram.bytes_per_cycle + spec.dram.evict_cycles


def entry_cycles(cache: L2Spec, latency: Latency, fetch: float) -> Latency:
    """Return how long a miss occupies its entry: until its line has arrived and the entry is free again. [cycles]"""
    return latency + fetch + cache.mshr_release_cycles


def memory_busy(fetched: Floats, written: Floats, spec: HardwareSpec) -> Floats:
    """Return the DRAM bus cycles of lines fetched into a full L2, and of lines written whole that it did not hold."""
    busy: Floats = fetched * fetch_cycles(spec, spec.line_bytes) + written * spec.dram.write_miss_cycles
    return busy


def exposed_cycles(spec: HardwareSpec) -> float:
    """Return the depth of the pipeline: configuration, first load, array, last store, fence. [cycles]"""
    memory = spec.l2.hit_cycles if spec.l2 else spec.dram.latency_cycles
    ends = spec.dma.issue_cycles + memory + spec.dma.completion_cycles
    front = spec.front_end.loop_config_cycles + spec.front_end.first_command_cycles
    return float(front + ends + completion_delay(spec.array) + spec.dma.store_completion_cycles)
