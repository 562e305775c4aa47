"""An estimate put in the form of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import energy_of
from simulator.bottleneck import MOVERS, bound_of
from simulator.report import Counts, Report, UnitTime
from simulator.units import ARRAY, UNITS
from simulator.units.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Estimated cycles of one program, whole and by unit."""

    cycles: int
    work: Mapping[type[Unit], int]
    """Cycles in which each unit works or waits for the memory; a unit that is missing does nothing."""
    moving: Mapping[type[Unit], int] = field(default_factory=dict)
    """Of those, cycles in which data move, for units that wait for the memory too."""


def report_of(
    name: str,
    times: Times,
    counts: Counts,
    spec: HardwareSpec,
    energy: EnergyModel,
    peak_bytes: dict[str, int] | None = None,
) -> Report:
    """Return an estimate as a report."""
    report = Report(
        name=name,
        source="estimate",
        machine=spec.name,
        clock_mhz=spec.clock_mhz,
        cycles=times.cycles,
        counts=counts,
        units=unit_times(times, _bus_cycles(counts, spec)),
        peak_macs_per_cycle=spec.array.rows * spec.array.cols,
        energy_pj_by_action=energy_of(counts, times.cycles, energy),
        peak_bytes=peak_bytes or {},
    )
    return replace(report, bound=bound_of(report))


def unit_times(times: Times, bus_cycles: float) -> dict[str, UnitTime]:
    """Return where each unit's cycles go, as far as an estimate knows.

    Parameters
    ----------
    times
        Cycles of the program.
    bus_cycles
        Cycles in which the DRAM bus delivers what is loaded.
    """
    units = {unit.name: _unit_time(unit, times, bus_cycles) for unit in UNITS}
    return units | {ARRAY.name: _array_time(times)}


def _bus_cycles(counts: Counts, spec: HardwareSpec) -> float:
    return counts["dram", "read_byte"] / spec.dram.bytes_per_cycle


def _unit_time(unit: type[Unit], times: Times, bus_cycles: float) -> UnitTime:
    """Of a unit that waits for the memory, divide the wait: the bus takes its share of the work, latency the rest."""
    work = min(times.work.get(unit, 0), times.cycles)
    busy = min(times.moving.get(unit, work), work)
    waits = {stall.is_latency: stall.cause for stall in reversed(unit.stalls) if stall.counts_as_work}
    queued = round((work - busy) * min(1.0, bus_cycles / max(1, work)))
    stalls = {waits[False]: queued, waits[True]: work - busy - queued} if work > busy else {}
    return UnitTime(busy, {cause: cycles for cause, cycles in sorted(stalls.items()) if cycles}, times.cycles - work)


def _array_time(times: Times) -> UnitTime:
    """Let the array wait for the mover that works longer than it does; what is left fills and drains the machine."""
    busy = min(times.work.get(ARRAY, 0), times.cycles)
    slowest = max(MOVERS, key=lambda unit: times.work.get(unit, 0))
    waited = min(times.cycles - busy, max(0, times.work.get(slowest, 0) - busy)) if busy else 0
    cause = next(stall.cause for stall in ARRAY.stalls if stall.shown_as == slowest.bound)
    return UnitTime(busy, {cause: waited} if waited else {}, times.cycles - busy - waited)
