"""What bounds a run, and how far it is from the floors that no mapping can beat."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from simulator.report import Report
from workloads import OpGraph

LIMITS = {"load": "memory", "store": "memory", "compute": "compute", "normaliser": "normaliser", "host": "host"}
"""What a bound of one operator says about the model."""


@dataclass(frozen=True, slots=True)
class Floors:
    """Cycles that the machine needs at least, whatever the mapping."""

    dram_cycles: int
    """Every weight and every KV byte crosses the DRAM port once."""
    compulsory_bytes: int
    """Those bytes."""
    array_cycles: int
    """Every multiply-accumulate has its turn in a full array."""


def floors(graph: OpGraph, spec: HardwareSpec) -> Floors:
    """Floors of ``graph`` on ``spec``."""
    compulsory = graph.bytes_of("weight") + graph.bytes_of("kv_cache")
    peak = spec.array.rows * spec.array.cols
    return Floors(math.ceil(compulsory / spec.dram.bytes_per_cycle), compulsory, -(-graph.macs // peak))


def limit(report: Report) -> tuple[str, float]:
    """What limits most of the cycles (memory, compute, normaliser or host), and the share of the cycles it limits."""
    shares: dict[str, int] = {}
    for part in report.by_op or (report,):
        kind = LIMITS[part.bound]
        shares[kind] = shares.get(kind, 0) + part.cycles
    kind = max(shares, key=lambda name: shares[name])
    return kind, shares[kind] / max(1, sum(shares.values()))


def sentence(graph: OpGraph, spec: HardwareSpec, report: Report) -> str:
    """One sentence on what bounds the model, with the floor that matters and the distance to it."""
    kind, share = limit(report)
    found = floors(graph, spec)
    if kind == "memory":
        # A block without weights or cache (one small matmul of activations) has no floor to compare with.
        rest = f"reading every weight and KV byte once takes at least {found.dram_cycles:,} cycles at "
        rest += f"{spec.dram.bytes_per_cycle:g} B/cycle; the run takes {_ratio(report.cycles, found.dram_cycles)} that"
    elif kind == "compute":
        rest = f"a full array would need {found.array_cycles:,} cycles at {spec.array.rows * spec.array.cols} "
        rest += f"MACs/cycle; the run takes {_ratio(report.cycles, found.array_cycles)} that"
    else:
        names = ", ".join(part.name for part in _longest(report, kind))
        rest = f"mostly {names}; a full array would need {found.array_cycles:,} cycles for the matmuls"
    return f"{kind}-bound ({share:.0%} of the cycles): {rest}."


def _longest(report: Report, kind: str) -> list[Report]:
    parts = [part for part in report.by_op if LIMITS[part.bound] == kind]
    return sorted(parts, key=lambda part: -part.cycles)[:3]


def _ratio(cycles: int, floor: int) -> str:
    return f"{cycles / floor:.2f} times" if floor else "more than"
