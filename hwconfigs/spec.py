"""HardwareSpec: everything the other packages may know about a machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from hwconfigs import quantity
from hwconfigs.checks import cross_problems
from hwconfigs.dram_clock import DEFAULT_MHZ
from hwconfigs.kernels import Kernel, Site
from hwconfigs.limits import CLOCK_MHZ, between
from hwconfigs.parts import (
    ArraySpec,
    CacheSpec,
    DmaSpec,
    DramSpec,
    FrontEndSpec,
    HostSpec,
    L2Spec,
    Part,
    SramSpec,
)
from hwconfigs.simd_unit import SimdSpec
from hwconfigs.unpack_unit import UnpackSpec
from hwconfigs.vector_unit import VectorSpec


class HardwareSpec(Part):
    """A machine, validated once and frozen.

    Read one with :func:`hwconfigs.load`; :func:`hwconfigs.override` gives a changed one.
    """

    name: str
    """Name of the machine, that of its file."""
    description: str
    """One or two sentences for people."""
    source: str
    """Where the machine as a whole comes from."""
    clock_mhz: Annotated[float, BeforeValidator(quantity.frequency_mhz), between(*CLOCK_MHZ, "MHz")] = DEFAULT_MHZ
    """The one clock in which every cycle count is meant. [MHz]"""
    supply_v: Annotated[float, BeforeValidator(quantity.voltage_v), between(0.3, 2.0, "V")] | None = None
    """Supply of what is on the chip, or None: that of the energy table. No influence on time. [V]"""
    array: ArraySpec
    scratchpad: SramSpec
    accumulator: SramSpec
    dma: DmaSpec
    front_end: FrontEndSpec
    l2: L2Spec | None
    """The shared cache, or None: requests go to DRAM."""
    llc: CacheSpec | None = None
    """A further cache in front of DRAM."""
    dram: DramSpec
    vector: VectorSpec | None
    """Normalisation units, or None: those operators run on the host."""
    simd: SimdSpec | None = None
    """A vector unit beside the normaliser, or None: no Gemmini has one."""
    unpack: UnpackSpec | None = None
    """Few-bit weights and caches that widen as they are loaded, or None: operands lie in DRAM as on the chip."""
    host: HostSpec
    energy: str
    """Name or path of the default energy table."""
    sources: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """Where each value comes from: dotted path to text."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = cross_problems({name: getattr(self, name) for name in SECTIONS})
        if problems:
            raise ValueError("\n".join(f"{path}{text if text[0] == '=' else ': ' + text}" for path, text in problems))
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that can change a result; texts and provenance are left out."""
        values = self.model_dump(mode="json", exclude={"name", "description", "source", "sources"})
        # Files name machines by this: one without a unit keeps the name that it had before there was any.
        values = {name: value for name, value in values.items() if name not in NO_GEMMINI or value is not None}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def line_bytes(self) -> int:
        """Bytes that DRAM moves at once: a line of the L2, or without one the largest request."""
        return self.l2.line_bytes if self.l2 is not None else self.dma.max_request_bytes

    def lists(self, kernel: Kernel) -> bool:
        """Whether the machine's normaliser has the kernel."""
        return self.vector is not None and kernel.name in self.vector.kernels

    def has_lanes_for(self, kernel: Kernel) -> bool:
        """Whether the machine's vector unit beside the normaliser has the kernel."""
        return self.simd is not None and kernel.on_simd and (kernel.part_of or kernel.name) in self.simd.kernels

    def evaluates(self, kernel: Kernel) -> bool:
        """Whether the stores of the machine evaluate the kernel, those of hardware loops too."""
        return bool(kernel.sites - {Site.SIMD}) and (not kernel.needs_unit or self.lists(kernel))


NO_GEMMINI = ("simd", "unpack")
"""Sections of units that no Gemmini has."""

SECTIONS: tuple[str, ...] = (
    "array",
    "scratchpad",
    "accumulator",
    "dma",
    "front_end",
    "l2",
    "llc",
    "dram",
    "vector",
    "simd",
    "unpack",
    "host",
)
"""Fields of HardwareSpec that are models of their own."""
