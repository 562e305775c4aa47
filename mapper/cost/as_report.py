"""An estimate put in the form of a report."""

from __future__ import annotations

from dataclasses import dataclass

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import energy_of
from simulator.report import Counts, Report, UnitTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Estimated cycles of one program, whole and by unit."""

    cycles: int
    host: int
    load: int
    """With waiting for the memory."""
    load_beats: int
    """Cycles in which the load unit moves data."""
    execute: int = 0
    store: int = 0
    normaliser: int = 0


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
        bound=busiest(times),
        energy_pj_by_action=energy_of(counts, energy),
        peak_bytes=peak_bytes or {},
    )


def unit_times(times: Times) -> dict[str, UnitTime]:
    """Return where each unit's cycles go; the only stall that is estimated is a load unit's wait for the memory."""
    load = min(times.load, times.cycles)
    beats = min(times.load_beats, load)
    return {
        "host": _busy(times.host, times.cycles),
        "load": UnitTime(beats, {"load latency": load - beats} if load > beats else {}, times.cycles - load),
        "execute": _busy(times.execute, times.cycles),
        "store": _busy(times.store, times.cycles),
        "normaliser": _busy(times.normaliser, times.cycles),
    }


def _busy(busy: int, cycles: int) -> UnitTime:
    return UnitTime(min(busy, cycles), {}, max(0, cycles - busy))


def busiest(times: Times) -> str:
    """Name what the unit stands for that works, or waits for the memory, longest."""
    numbers = {
        "host": times.host,
        "load": times.load,
        "compute": times.execute,
        "store": times.store,
        "normaliser": times.normaliser,
    }
    return max(numbers, key=lambda name: numbers[name])
