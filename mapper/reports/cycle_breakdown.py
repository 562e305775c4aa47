"""Where the cycles of an operator went: one cause for each, summing to the total.

The array's time line is divided: stepping at full blocks, stepping for less than a block's worth, waiting for something
named, and having nothing to do. The last is charged to what worked meanwhile: the host, the normaliser, or, for the
time before the first block and after the last one, filling and draining the machine.
"""

from __future__ import annotations

from simulator.bottleneck import working_cycles
from simulator.report import Report
from simulator.units import ARRAY, BY_NAME, UNITS
from simulator.units.unit import Role, Stall, Unit

FULL_RATE = "array"
"""Multiply-accumulates at the array's full rate."""

PADDING = "padding"
"""Steps of ragged blocks, of few rows, or of transposed weights."""

RAMPS = "fill and drain"


def _memory_waits(unit: type[Unit]) -> tuple[str, ...]:
    """Causes that time lost to a unit is divided among; its own name if it has no such waits."""
    return tuple(stall.cause for stall in unit.stalls if stall.counts_as_work) or (unit.name,)


def _columns(stall: Stall) -> tuple[str, ...]:
    """Causes that a wait of the array is shown as."""
    return (stall.shown_as,) if stall.shown_as else _memory_waits(BY_NAME[stall.charged_to])


WORKERS = tuple(unit for unit in UNITS if unit.role in (Role.OPERATORS, Role.CORE))
"""Units that work on their own while the array has nothing to do, in the order in which its idle time is charged."""

MOVERS = tuple(unit for unit in UNITS if unit.role is Role.DATA)

CAUSES = tuple(
    dict.fromkeys(
        (
            FULL_RATE,
            PADDING,
            *(cause for stall in ARRAY.stalls for cause in _columns(stall)),
            *(cause for unit in MOVERS for cause in _memory_waits(unit)),
            *(unit.name for unit in sorted(WORKERS, key=lambda unit: unit.role)),
            RAMPS,
        )
    )
)
"""Causes in the order of a table."""


def explain(report: Report) -> dict[str, int]:
    """Return the cycles of each cause; they add up to ``report.cycles``.

    Waiting for loads is divided in proportion to what held the load unit up meanwhile: latency, the DRAM bus, or
    request slots and miss entries.
    """
    array = report.units[ARRAY.name]
    lost = dict.fromkeys(CAUSES, 0)
    lost[FULL_RATE] = min(array.busy_cycles, -(-report.macs // report.peak_macs_per_cycle))
    lost[PADDING] = array.busy_cycles - lost[FULL_RATE]
    for stall in ARRAY.stalls:
        cycles = array.stall_cycles.get(stall.cause, 0)
        if stall.shown_as:
            lost[stall.shown_as] += cycles
        else:
            _divide(lost, cycles, BY_NAME[stall.charged_to], report)
    _charge_idle(lost, array.idle_cycles, report)
    return lost


def _divide(lost: dict[str, int], cycles: int, unit: type[Unit], report: Report) -> None:
    """Split time lost to a unit by its own waits for the memory; what rounding leaves goes to the first cause."""
    first, *rest = _memory_waits(unit)
    stalls = report.units[unit.name].stall_cycles
    total = sum(stalls.get(cause, 0) for cause in (first, *rest))
    left = cycles
    for cause in rest:
        part = cycles * stalls.get(cause, 0) // total if total else 0
        lost[cause] += part
        left -= part
    lost[first] += left


def _charge_idle(lost: dict[str, int], idle: int, report: Report) -> None:
    """Charge time in which the array had nothing to do."""
    for unit in WORKERS:
        taken = min(idle, report.units[unit.name].busy_cycles)
        lost[unit.name] += taken
        idle -= taken
    if report.macs:
        lost[RAMPS] += idle
        return
    # Without a product there is no ramp: the time is that of moving data, divided by how long each mover worked.
    work = {unit: working_cycles(unit, report.units[unit.name]) for unit in MOVERS}
    moving, left = sum(work.values()), idle
    for unit in MOVERS[:-1]:
        part = idle * work[unit] // moving if moving else 0
        _divide(lost, part, unit, report)
        left -= part
    _divide(lost, left, MOVERS[-1], report)
