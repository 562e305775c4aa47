"""Roofline of a model on a machine, and how far a run is from it. What bounds the run, `simulator.bottleneck` says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.graph.dram_layout import packed_bits
from mapper.reports.quantities import rate
from simulator.bottleneck import (
    BANDWIDTH,
    COMPUTE,
    LATENCY,
    PADDING,
    RAMPS,
    cycles_by_cause,
    largest,
)
from simulator.report import Report
from simulator.units.execute import ARRAY_FILL
from simulator.units.store import StoreController
from workloads import OpGraph

NAMED = 0.1
"""Least share of a cause's cycles from which the closing sentence names an operator."""

MEANINGS = {
    COMPUTE: "the array steps at its full rate for {share} of the cycles",
    PADDING: "array steps of few rows, ragged blocks or transposed weights take {share} of the cycles",
    BANDWIDTH: "waiting for loads takes {share} of the cycles, mostly while data move",
    LATENCY: "waiting for loads takes {share} of the cycles, mostly while no data move (memory latency, request slots)",
    StoreController.bound: "stores, and waiting for them, take {share} of the cycles",
    ARRAY_FILL: "waiting for weights or results inside the array takes {share} of the cycles",
    RAMPS: "filling and draining the machine takes {share} of the cycles",
}
"""What the closing sentence says of a bound; of any other unit's that it takes the cycles."""


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
    """Return the least times of ``graph``; a 4-bit weight is a byte, unless the machine unpacks it."""
    read_once = [tensor for tensor in graph.tensors.values() if tensor.role in ("weight", "kv_cache")]
    runs = graph.tensor_runs()
    compulsory = sum(
        runs[tensor.name] * int(-(-tensor.elements * packed_bits(tensor, spec) // 8)) for tensor in read_once
    )  # fmt: skip
    peak = spec.array.rows * spec.array.cols
    return Roofline(math.ceil(compulsory / spec.dram.bytes_per_cycle), compulsory, -(-graph.macs // peak))


def cycles_by_bound(report: Report) -> dict[str, int]:
    """Return the cycles of one block by the bound of the operators that take them, the largest first."""
    cycles: dict[str, int] = {}
    for part in report.by_op or (report,):
        if part.cycles:
            cycles[part.bound] = cycles.get(part.bound, 0) + part.cycles
    return dict(sorted(cycles.items(), key=lambda item: (-item[1], item[0])))


def closing_sentence(graph: OpGraph, spec: HardwareSpec, report: Report) -> str:
    """Say what bounds the model, where it does so most, the least times, and how far the run is from the higher one."""
    causes = cycles_by_cause(report)
    cause = largest(causes)
    meaning = MEANINGS.get(report.bound, f"the {cause} takes {{share}} of the cycles")
    meaning = meaning.format(share=f"{causes[cause] / max(1, report.cycles):.0%}")
    name = f"bound by {report.bound}" if " " in report.bound or report.bound == PADDING else f"{report.bound}-bound"
    return f"{name}: {meaning}{_mostly_in(cause, report)}.{_floors(roofline(graph, spec), spec, report)}"


def _mostly_in(cause: str, report: Report) -> str:
    """Name the operators in which most cycles of a cause are spent; of a single one nothing needs to be said."""
    cycles = {part.name: cycles_by_cause(part)[cause] for part in report.by_op}
    names = [name for name in cycles if cycles[name] >= NAMED * sum(cycles.values()) > 0]
    names = sorted(names, key=lambda name: -cycles[name])[:3]
    return f", most of all in {', '.join(names)}" if names and len(report.by_op) > 1 else ""


def _floors(roof: Roofline, spec: HardwareSpec, report: Report) -> str:
    """Tell the least times of products and memory, and how often the higher fits into the run."""
    floors = []
    if roof.array_cycles:
        peak = spec.array.rows * spec.array.cols
        floors.append((roof.array_cycles, f"cycles of a full array ({peak} MACs/cycle)"))
    if roof.dram_cycles:
        port = rate(spec.dram.bytes_per_cycle, spec.clock_mhz)
        floors.append((roof.dram_cycles, f"cycles of the DRAM ({port}) for every weight and KV byte once"))
    if not floors:
        return ""
    told = " and ".join(f"{cycles:,} {what}" for cycles, what in sorted(floors, reverse=True))
    most = "the higher of them" if len(floors) > 1 else "that"
    return f" It needs at least {told}; it takes {report.cycles / max(floors)[0]:.2f} times {most}."
