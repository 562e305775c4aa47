"""Where the cycles of an operator went: one cause for each, summing to the total.

The array's time line is divided: stepping at full blocks, stepping for less than a block's worth, waiting for something
named, and having nothing to do. The last is charged to what worked meanwhile: the host, the normaliser, or, for the
time before the first block and after the last one, filling and draining the machine.
"""

from __future__ import annotations

from simulator.bottleneck import MEMORY_STALLS
from simulator.report import Report

ARRAY = "array"
"""Multiply-accumulates at the array's full rate."""

CAUSES = (
    ARRAY,
    "padding",
    "load latency",
    "DRAM bandwidth",
    "request slots",
    "bank conflict",
    "array fill",
    "store",
    "issue",
    "normaliser",
    "host",
    "fill and drain",
)
"""Causes in the order of a table. Padding: ragged blocks, few rows, transposed weights."""

WAITS = {
    "load": "load latency",
    "store": "store",
    "issue": "issue",
    "bank conflict": "bank conflict",
    "result": "array fill",
}
"""Stalls of the array and the cause they stand for."""


def explain(report: Report) -> dict[str, int]:
    """Return the cycles of each cause; they add up to ``report.cycles``.

    Waiting for loads is divided in proportion to what held the load unit up meanwhile: latency, the DRAM bus, or
    request slots and miss entries.
    """
    execute = report.units["execute"]
    lost = dict.fromkeys(CAUSES, 0)
    lost[ARRAY] = min(execute.busy_cycles, -(-report.macs // report.peak_macs_per_cycle))
    lost["padding"] = execute.busy_cycles - lost[ARRAY]
    for cause, cycles in execute.stall_cycles.items():
        if cause == "exposed preload":
            lost["array fill"] += cycles
        elif cause != "load":
            lost[WAITS[cause]] += cycles
    _divide(lost, execute.stall_cycles.get("load", 0), report)
    _charge_idle(lost, execute.idle_cycles, report)
    return lost


def _divide(lost: dict[str, int], cycles: int, report: Report) -> None:
    """Split time lost to loads by the load unit's own stalls."""
    stalls = report.units["load"].stall_cycles
    shares = {cause: stalls.get(cause, 0) for cause in MEMORY_STALLS}
    total = sum(shares.values())
    left = cycles
    for cause in MEMORY_STALLS[1:]:
        part = cycles * shares[cause] // total if total else 0
        lost[cause] += part
        left -= part
    lost[MEMORY_STALLS[0]] += left


def _charge_idle(lost: dict[str, int], idle: int, report: Report) -> None:
    """Charge time in which the array had nothing to do."""
    for cause, unit in (("host", "host"), ("normaliser", "normaliser")):
        taken = min(idle, report.units[unit].busy_cycles)
        lost[cause] += taken
        idle -= taken
    if report.macs:
        lost["fill and drain"] += idle
        return
    load, store = report.units["load"], report.units["store"]
    busy = load.busy_cycles + sum(load.stall_cycles.get(cause, 0) for cause in MEMORY_STALLS)
    moving = busy + store.busy_cycles
    loading = idle * busy // moving if moving else 0
    _divide(lost, loading, report)
    lost["store"] += idle - loading
