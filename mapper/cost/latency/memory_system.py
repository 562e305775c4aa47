"""What a line costs the DRAM bus and the miss entries."""

from __future__ import annotations

from typing import TypeVar

from hwconfigs import HardwareSpec, L2Spec
from simulator.arrays import Floats

Latency = TypeVar("Latency", float, Floats)


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
