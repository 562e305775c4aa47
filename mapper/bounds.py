"""What bounds a run, and how far it is from the floors that no mapping can beat."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from simulator.report import Report
from workloads import OpGraph


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


def cycles_by_bound(report: Report) -> dict[str, int]:
    """Cycles of one block by what bounds the operators that take them, the largest first."""
    cycles: dict[str, int] = {}
    for part in report.by_op or (report,):
        if part.cycles:
            cycles[part.bound] = cycles.get(part.bound, 0) + part.cycles
    return dict(sorted(cycles.items(), key=lambda item: (-item[1], item[0])))


def limit(found: Floors, report: Report) -> str:
    """What limits the whole run: ``"host"``, ``"normaliser"``, ``"memory"`` or ``"compute"``.

    The first two if operators bound by them take more than half of the cycles. Otherwise the roofline decides: memory
    if moving the compulsory bytes takes longer than computing in a full array.
    """
    cycles = cycles_by_bound(report)
    for unit in ("host", "normaliser"):
        if 2 * cycles.get(unit, 0) > sum(cycles.values()):
            return unit
    return "memory" if found.dram_cycles > found.array_cycles else "compute"


def sentence(graph: OpGraph, spec: HardwareSpec, report: Report) -> str:
    """One sentence on what bounds the model, with the floor that matters and the distance to it."""
    found = floors(graph, spec)
    kind = limit(found, report)
    array = f"{found.array_cycles:,} cycles of a full array ({spec.array.rows * spec.array.cols} MACs/cycle)"
    if kind == "memory":
        return (
            f"memory-bound: reading every weight and KV byte once takes at least {found.dram_cycles:,} cycles "
            f"({spec.dram.bytes_per_cycle:g} B/cycle), more than the {array}; the run takes "
            f"{report.cycles / found.dram_cycles:.2f} times that floor."
        )
    if kind == "compute":
        distance = f"; the run takes {report.cycles / found.array_cycles:.2f} times that" if found.array_cycles else ""
        return f"compute-bound: the matrix products need at least {array}{distance}."
    cycles = cycles_by_bound(report)
    share = cycles[kind] / sum(cycles.values())
    names = ", ".join(part.name for part in _longest(report, kind))
    return f"{kind}-bound: operators limited by it take {share:.0%} of the cycles, most of all {names}."


def _longest(report: Report, bound: str) -> list[Report]:
    parts = [part for part in report.by_op if part.bound == bound]
    return sorted(parts, key=lambda part: -part.cycles)[:3]
