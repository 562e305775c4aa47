"""What bounds a run, and how far it is from the floors that no mapping can beat."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.graph.dram_layout import stored_bytes
from simulator.report import Report
from simulator.units import ARRAY, UNITS
from simulator.units.unit import Role
from workloads import OpGraph

NEAR = 0.4
"""Share of the run from which its higher floor counts as its limit."""

FEW_ROWS = 0.1
"""Utilisation below which an array that is busy works on nearly empty steps."""

WORKERS = tuple(dict.fromkeys(unit.bound for unit in UNITS if unit.role in (Role.CORE, Role.OPERATORS)))
"""Bounds of the units that carry out operators of their own."""

MOVERS = tuple(dict.fromkeys(unit.bound for unit in UNITS if unit.role is Role.DATA))
"""Bounds of the units that move data."""


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
    """Floors of ``graph`` on ``spec``, whose DRAM holds whole bytes: a 4-bit weight crosses the port as 8 bits."""
    read_once = [tensor for tensor in graph.tensors.values() if tensor.role in ("weight", "kv_cache")]
    compulsory = graph.repeat * sum(tensor.elements * stored_bytes(tensor.bits) for tensor in read_once)
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
    """What limits the whole run: ``"memory"``, ``"compute"``, or one of ``WORKERS``.

    A worker if operators bound by it take more than half of the cycles. Otherwise the higher floor names the limit if
    the run comes near it, and the simulated bounds name it if not.
    """
    cycles = cycles_by_bound(report)
    for worker in WORKERS:
        if 2 * cycles.get(worker, 0) > sum(cycles.values()):
            return worker
    if max(found.dram_cycles, found.array_cycles) >= NEAR * report.cycles:
        return "memory" if found.dram_cycles > found.array_cycles else "compute"
    moving = sum(cycles.get(bound, 0) for bound in MOVERS)
    return "memory" if moving > cycles.get(ARRAY.bound, 0) else "compute"


def sentence(graph: OpGraph, spec: HardwareSpec, report: Report) -> str:
    """One sentence on what bounds the model, with the floors and the distance to them."""
    found = floors(graph, spec)
    kind = limit(found, report)
    if kind in WORKERS:
        cycles = cycles_by_bound(report)
        share = cycles[kind] / sum(cycles.values())
        names = ", ".join(part.name for part in _longest(report, kind))
        return f"{kind}-bound: operators limited by it take {share:.0%} of the cycles, most of all {names}."
    memory = f"{found.dram_cycles:,} cycles"
    port = f"({spec.dram.bytes_per_cycle:g} B/cycle)"
    array = f"{found.array_cycles:,} cycles of a full array ({spec.array.rows * spec.array.cols} MACs/cycle)"
    times = report.cycles / max(found.dram_cycles, found.array_cycles, 1)
    if found.dram_cycles > found.array_cycles:
        if kind == "memory":
            what = "memory-bound: reading every weight and KV byte once takes"
        else:
            what = f"bound by {_steps(report)}, not by memory: reading every weight and KV byte once takes"
        return f"{what} at least {memory} {port}, more than the {array}; the run takes {times:.2f} times that floor."
    distance = f"; the run takes {times:.2f} times that" if found.array_cycles else ""
    if kind == "memory":
        what = f"bound by loads and stores, not by their volume (at least {memory} {port})"
    else:
        what = "compute-bound" if report.utilisation >= FEW_ROWS else f"bound by {_steps(report)}"
    return f"{what}: the matrix products need at least {array}{distance}."


def _steps(report: Report) -> str:
    """What the array does with its time."""
    few = " of few rows" if report.utilisation < FEW_ROWS else ""
    return f"array steps{few} (utilisation {report.utilisation:.1%})"


def _longest(report: Report, bound: str) -> list[Report]:
    parts = [part for part in report.by_op if part.bound == bound]
    return sorted(parts, key=lambda part: -part.cycles)[:3]
