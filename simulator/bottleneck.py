"""Where the cycles of a run went, and the one rule that names what bounds it.

Every cycle has one cause, and the causes of a report add up to its cycles:

- While the array steps, the array itself: its full rate (``compute``), and what its steps lack of it (``padding``).
- While the array waits, what it waits for: loads (their data, or a bank that they write), stores, the core, or itself
  (weights that nothing overlaps, results that are still inside).
- While the array has nothing to do, the units that carry out operators or issue commands, as long as they work. In an
  operator without products the units that move data count as well. Units that work side by side share such time in
  proportion to their work. Time in which none of them works fills or drains the machine, fences included.

**The rule.** An operator, a run and an estimate are bound by the cause that takes most of their cycles. If that is the
loads, it is named by what the load unit did for most of its own time: ``bandwidth`` if data moved, on chip or on the
DRAM bus; ``latency`` if nothing moved, because of the memory's latency or for lack of request slots and miss entries.

Table, cycle breakdown, JSON, pictures, closing lines and estimate all ask here.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.report import Report
from simulator.units import ARRAY, UNITS
from simulator.units.load import LoadController
from simulator.units.unit import Role, Unit

COMPUTE = ARRAY.bound
"""Multiply-accumulates at the array's full rate."""

PADDING = "padding"
"""Steps of ragged blocks, of few rows, or of transposed weights."""

LOADS = LoadController.bound

RAMPS = "fill and drain"

BANDWIDTH, LATENCY = "bandwidth", "latency"

WORKERS = tuple(unit for unit in UNITS if unit.role in (Role.OPERATORS, Role.CORE))
"""Units that work on their own while the array has nothing to do."""

MOVERS = tuple(unit for unit in UNITS if unit.role is Role.DATA)

CAUSES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            COMPUTE,
            PADDING,
            *(unit.bound for unit in sorted((*MOVERS, *WORKERS), key=lambda unit: unit.role)),
            *(stall.shown_as for stall in ARRAY.stalls),
            RAMPS,
        )
    )
)
"""Causes in the order of a table; of two that take equally long, the first bounds."""

BOUNDS: tuple[str, ...] = tuple(
    name for cause in CAUSES for name in ((BANDWIDTH, LATENCY) if cause == LOADS else (cause,))
)
"""What can bound an operator."""


def cycles_by_cause(report: Report) -> dict[str, int]:
    """Return the cycles of each of `CAUSES`; they add up to ``report.cycles``.

    Those of a whole model are the sums over its operators.
    """
    lost = dict.fromkeys(CAUSES, 0)
    if report.by_op:
        for part in report.by_op:
            for cause, cycles in cycles_by_cause(part).items():
                lost[cause] += report.repeat * cycles
        return lost
    array = report.units[ARRAY.name]
    lost[COMPUTE] = min(array.busy_cycles, -(-report.macs // report.peak_macs_per_cycle))
    lost[PADDING] = array.busy_cycles - lost[COMPUTE]
    for stall in ARRAY.stalls:
        lost[stall.shown_as] += array.stall_cycles.get(stall.cause, 0)
    for cause, cycles in _idle_cycles(report).items():
        lost[cause] += cycles
    return lost


def load_cycles(report: Report) -> dict[str, int]:
    """Divide the cycles that `cycles_by_cause` charges to loads into ``bandwidth`` and ``latency``.

    They are divided as the load unit's own time is, waits for overwritten operands apart.
    """
    if report.by_op:
        parts = [load_cycles(part) for part in report.by_op]
        return {cause: report.repeat * sum(part[cause] for part in parts) for cause in (BANDWIDTH, LATENCY)}
    cycles = cycles_by_cause(report)[LOADS]
    time = report.units[LoadController.name]
    still = sum(time.stall_cycles.get(stall.cause, 0) for stall in LoadController.stalls if stall.is_latency)
    worked = working_cycles(LoadController, report)
    latency = cycles * still // worked if worked else 0
    return {BANDWIDTH: cycles - latency, LATENCY: latency}


def bound_of(report: Report) -> str:
    """Return which of `BOUNDS` takes most of the cycles, by the rule of this module."""
    cause = largest(cycles_by_cause(report))
    return largest(load_cycles(report)) if cause == LOADS else cause


def largest(cycles: Mapping[str, int]) -> str:
    """Return the cause with most cycles, the first of those that are equal."""
    return max(cycles, key=lambda cause: cycles[cause])


def working_cycles(unit: type[Unit], report: Report) -> int:
    """Return the cycles in which a unit works or waits for the memory on behalf of its own commands.

    Work of a unit inside it, for which it only waits, is not its own.
    """
    time = report.units[unit.name]
    waits = sum(time.stall_cycles.get(stall.cause, 0) for stall in unit.stalls if stall.counts_as_work)
    inside = sum(report.units[inner.name].busy_cycles for inner in UNITS if inner.inside == unit.name)
    return max(0, time.busy_cycles + waits - inside)


def _idle_cycles(report: Report) -> dict[str, int]:
    """Charge the time in which the array had nothing to do."""
    idle = report.units[ARRAY.name].idle_cycles
    # Beside products, loads and stores work under the array's steps: what they do meanwhile is not known.
    units = WORKERS if report.macs else (*WORKERS, *MOVERS)
    work = {unit.bound: working_cycles(unit, report) for unit in units}
    total = sum(work.values())
    if total > idle:
        work = {bound: idle * cycles // total for bound, cycles in work.items()}
        # What rounding leaves goes to the unit that worked most.
        work[max(work, key=lambda bound: work[bound])] += idle - sum(work.values())
    return {**work, RAMPS: max(0, idle - total)}
