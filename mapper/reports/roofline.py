"""Roofline of a model on a machine, the bottleneck of a run, and how far the run is from the roofline."""

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
"""Share of the run from which the higher of the two least times counts as its bottleneck."""

FEW_ROWS = 0.1
"""Utilisation below which an array that is busy works on nearly empty steps."""

WORKERS = tuple(dict.fromkeys(unit.bound for unit in UNITS if unit.role in (Role.CORE, Role.OPERATORS)))
"""Bounds of the units that carry out operators of their own."""

MOVERS = tuple(dict.fromkeys(unit.bound for unit in UNITS if unit.role is Role.DATA))
"""Bounds of the units that move data."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """Cycles that the machine needs at least, whatever the mapping."""

    dram_cycles: int
    """Every weight and every KV byte crosses the DRAM port once."""
    compulsory_bytes: int
    """Those bytes."""
    array_cycles: int
    """Every multiply-accumulate is done by a full array."""


def roofline(graph: OpGraph, spec: HardwareSpec) -> Roofline:
    """Return the least times of ``graph``; DRAM holds whole bytes, so a 4-bit weight crosses the port as 8 bits."""
    read_once = [tensor for tensor in graph.tensors.values() if tensor.role in ("weight", "kv_cache")]
    compulsory = graph.repeat * sum(tensor.elements * stored_bytes(tensor.bits) for tensor in read_once)
    peak = spec.array.rows * spec.array.cols
    return Roofline(math.ceil(compulsory / spec.dram.bytes_per_cycle), compulsory, -(-graph.macs // peak))


def cycles_by_bound(report: Report) -> dict[str, int]:
    """Return the cycles of one block by the bound of the operators that take them, the largest first."""
    cycles: dict[str, int] = {}
    for part in report.by_op or (report,):
        if part.cycles:
            cycles[part.bound] = cycles.get(part.bound, 0) + part.cycles
    return dict(sorted(cycles.items(), key=lambda item: (-item[1], item[0])))


def bottleneck(roof: Roofline, report: Report) -> str:
    """Return what limits the whole run: ``"memory"``, ``"compute"``, or one of ``WORKERS``.

    A worker if operators bound by it take more than half of the cycles. Otherwise the higher of the least times names
    the bottleneck if the run comes near it, and the simulated bounds name it if not.
    """
    cycles = cycles_by_bound(report)
    for worker in WORKERS:
        if 2 * cycles.get(worker, 0) > sum(cycles.values()):
            return worker
    if max(roof.dram_cycles, roof.array_cycles) >= NEAR * report.cycles:
        return "memory" if roof.dram_cycles > roof.array_cycles else "compute"
    moving = sum(cycles.get(bound, 0) for bound in MOVERS)
    return "memory" if moving > cycles.get(ARRAY.bound, 0) else "compute"


def bottleneck_sentence(graph: OpGraph, spec: HardwareSpec, report: Report) -> str:
    """Say what bounds the model, the least times, and how far the run is from the higher of them."""
    roof = roofline(graph, spec)
    kind = bottleneck(roof, report)
    if kind in WORKERS:
        return _bound_by_worker(kind, report)
    memory = f"{roof.dram_cycles:,} cycles"
    port = f"({spec.dram.bytes_per_cycle:g} B/cycle)"
    array = f"{roof.array_cycles:,} cycles of a full array ({spec.array.rows * spec.array.cols} MACs/cycle)"
    times = f"the run takes {report.cycles / max(roof.dram_cycles, roof.array_cycles, 1):.2f} times that"
    if roof.dram_cycles > roof.array_cycles:
        verdict = "memory-bound" if kind == "memory" else f"bound by {_steps(report)}, not by memory"
        reading = f"reading every weight and KV byte once takes at least {memory} {port}"
        return f"{verdict}: {reading}, more than the {array}; {times} floor."
    if kind == "memory":
        verdict = f"bound by loads and stores, not by their volume (at least {memory} {port})"
    else:
        verdict = "compute-bound" if report.utilisation >= FEW_ROWS else f"bound by {_steps(report)}"
    distance = f"; {times}" if roof.array_cycles else ""
    return f"{verdict}: the matrix products need at least {array}{distance}."


def _bound_by_worker(worker: str, report: Report) -> str:
    cycles = cycles_by_bound(report)
    share = cycles[worker] / sum(cycles.values())
    bound = sorted((part for part in report.by_op if part.bound == worker), key=lambda part: -part.cycles)
    names = ", ".join(part.name for part in bound[:3])
    return f"{worker}-bound: operators limited by it take {share:.0%} of the cycles, most of all {names}."


def _steps(report: Report) -> str:
    """Name what the array does with its time."""
    few = " of few rows" if report.utilisation < FEW_ROWS else ""
    return f"array steps{few} (utilisation {report.utilisation:.1%})"
