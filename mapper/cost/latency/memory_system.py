"""What a line costs the DRAM bus and the miss entries."""

from __future__ import annotations

from typing import TypeVar

from hwconfigs import HardwareSpec, L2Spec
from simulator.arrays import Floats

Latency = TypeVar("Latency", float, Floats)


def dram_latency(spec: HardwareSpec) -> float:
    """Return the cycles from a request to DRAM to its first beat; of an open row if the machine has pages.

    What opening rows takes depends on the addresses, which `mapper.cost.command_times` follows.
    """
    dram = spec.dram
    return dram.request_cycles + dram.latency_cycles + (dram.pages.t_cl_cycles if dram.pages is not None else 0.0)


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
