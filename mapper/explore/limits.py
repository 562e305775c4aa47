"""Limits that a machine must keep, told from its data sheet: nothing is simulated to find out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hwconfigs import EnergyModel, HardwareSpec


@dataclass(frozen=True, slots=True)
class LimitKind:
    """A figure of a machine that can be limited."""

    name: str
    units: Mapping[str, Fraction]
    """Factors to the unit of the figure."""
    example: str
    figure: Callable[[HardwareSpec, EnergyModel], float | None]
    """None where the energy table does not know."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a figure may be."""

    kind: LimitKind
    most: float

    def keeps(self, spec: HardwareSpec, energy: EnergyModel) -> bool:
        """Return whether a machine stays within it; what is not known does not."""
        figure = self.kind.figure(spec, energy)
        return figure is not None and figure <= self.most * (1.0 + 1e-9)


def _area(spec: HardwareSpec, energy: EnergyModel) -> float | None:
    del spec
    return None if energy.silicon is None else energy.silicon.area_mm2


def _leakage(spec: HardwareSpec, energy: EnergyModel) -> float | None:
    del spec
    return None if energy.silicon is None else energy.silicon.leakage_mw


def _memory(spec: HardwareSpec, energy: EnergyModel) -> float:
    del energy
    caches = sum(cache.capacity_bytes for cache in (spec.l2, spec.llc) if cache is not None)
    return spec.scratchpad.capacity_bytes + spec.accumulator.capacity_bytes + caches


def _bandwidth(spec: HardwareSpec, energy: EnergyModel) -> float:
    del energy
    return spec.dram.bytes_per_cycle * spec.clock_mhz * 1e6


def _kind(
    name: str, units: Mapping[str, int | Fraction], figure: Callable[[HardwareSpec, EnergyModel], float | None]
) -> LimitKind:
    factors = {unit: Fraction(factor) for unit, factor in units.items()}
    return LimitKind(name, factors, f"3 {next(iter(units))}", figure)


LIMITS: Mapping[str, LimitKind] = {
    kind.name: kind
    for kind in (
        _kind("area", {"mm2": 1, "um2": Fraction(1, 10**6)}, _area),
        _kind("leakage", {"mW": 1, "uW": Fraction(1, 1000)}, _leakage),
        _kind("memory", {"KiB": 2**10, "B": 1, "MiB": 2**20, "GiB": 2**30}, _memory),
        _kind("bandwidth", {"GB/s": 10**9, "MB/s": 10**6, "MiB/s": 2**20, "GiB/s": 2**30}, _bandwidth),
    )
}
"""By name: die, its leakage, scratchpad with accumulator and caches, DRAM."""
