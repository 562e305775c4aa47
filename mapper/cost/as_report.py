"""An estimate put in the form of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import energy_of
from simulator.bottleneck import bound_of_estimate
from simulator.report import Counts, Report, UnitTime
from simulator.units import UNITS
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
    return Report(
        name=name,
        source="estimate",
        machine=spec.name,
        clock_mhz=spec.clock_mhz,
        cycles=times.cycles,
        counts=counts,
        units=unit_times(times),
        peak_macs_per_cycle=spec.array.rows * spec.array.cols,
        bound=bound_of_estimate(times.work),
        energy_pj_by_action=energy_of(counts, energy),
        peak_bytes=peak_bytes or {},
    )


def unit_times(times: Times) -> dict[str, UnitTime]:
    """Return where each unit's cycles go; the only stalls that are estimated are waits for the memory."""
    return {unit.name: _unit_time(unit, times) for unit in UNITS}


def _unit_time(unit: type[Unit], times: Times) -> UnitTime:
    work = min(times.work.get(unit, 0), times.cycles)
    busy = min(times.moving.get(unit, work), work)
    waits = [stall.cause for stall in unit.stalls if stall.counts_as_work]
    return UnitTime(busy, {waits[0]: work - busy} if work > busy else {}, times.cycles - work)
