"""The units of the machine: one file each, and the table that reports, traces and the cost model read.

host ──► load  ──► memory path ──► scratchpad, accumulator
    ├──► execute ─► array ───────► accumulator
    └──► store ──► normaliser, simd ──► memory path
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from hwconfigs import HardwareSpec
from simulator.units.unit import ReadoutUnit, Role, Unit

UNITS: tuple[type[Unit], ...] = tuple(
    pkgutil.resolve_name(f"simulator.units.{row}")
    for row in (
        "host:Host",
        "load:LoadController",
        "execute:ExecuteController",
        "store:StoreController",
        "normaliser:Normaliser",
        "simd:Simd",
    )
)
"""All units, in the order in which reports list them and in which processes of one cycle run."""

UNIT_NAMES: tuple[str, ...] = tuple(unit.name for unit in UNITS)

BY_NAME: Mapping[str, type[Unit]] = MappingProxyType({unit.name: unit for unit in UNITS})


def is_shown(unit_or_bound: str, cycles: int) -> bool:
    """Whether a report has a row for a unit, or for the cause that it is, in which it spent some cycles."""
    return cycles > 0 or not any(unit.optional and unit_or_bound in (unit.name, unit.bound) for unit in UNITS)


ARRAY: type[Unit] = next(unit for unit in UNITS if unit.role is Role.ARRAY)
"""The unit whose time reports divide."""


def readout_unit(kernel: str, spec: HardwareSpec) -> type[ReadoutUnit] | None:
    """Return the unit of a machine that reads out the results of ``kernel``; None if the store controller does."""
    for unit in UNITS:
        if issubclass(unit, ReadoutUnit) and unit.is_part_of(spec) and unit.handles(kernel, spec):
            return unit
    return None


def readout_passes(spec: HardwareSpec) -> dict[str, int]:
    """Return how often a row is read for each kernel that has a readout unit on this machine; once for all others."""
    kernels = {kernel for unit in UNITS if issubclass(unit, ReadoutUnit) for kernel in unit.kernels}
    units = {kernel: readout_unit(kernel, spec) for kernel in sorted(kernels)}
    return {kernel: unit.passes(kernel, spec) for kernel, unit in units.items() if unit is not None}
