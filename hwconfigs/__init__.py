"""The data sheets: machines and energy tables, each value with its source.

>>> import hwconfigs
>>> spec = hwconfigs.load("gemmini", {"scratchpad.capacity": "64 KiB"})
>>> spec.array.rows, spec.scratchpad.rows_per_bank
(16, 1024)
"""

from __future__ import annotations

from hwconfigs.energy import EnergyModel, EnergyTable, load_energy
from hwconfigs.errors import SpecError
from hwconfigs.levels import Level, memory_levels
from hwconfigs.loader import available, available_energy, load, override
from hwconfigs.parts import (
    ArraySpec,
    CacheSpec,
    DmaSpec,
    DramPagesSpec,
    DramSpec,
    FrontEndSpec,
    HostSpec,
    L2Spec,
    SramSpec,
)
from hwconfigs.simd_unit import SimdSpec
from hwconfigs.spec import HardwareSpec
from hwconfigs.unpack_unit import UnpackSpec
from hwconfigs.vector_unit import VectorSpec

__all__ = [
    "ArraySpec",
    "CacheSpec",
    "DmaSpec",
    "DramPagesSpec",
    "DramSpec",
    "EnergyModel",
    "EnergyTable",
    "FrontEndSpec",
    "HardwareSpec",
    "HostSpec",
    "L2Spec",
    "Level",
    "SimdSpec",
    "SpecError",
    "SramSpec",
    "UnpackSpec",
    "VectorSpec",
    "available",
    "available_energy",
    "load",
    "load_energy",
    "memory_levels",
    "override",
]
