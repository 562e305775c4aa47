"""Operators whose time is a constant of the machine file: host kernels, so many cycles per element.

Estimate and simulation take the same constant, so that their agreement says nothing about such an operator. Most
constants are estimates themselves, which their source marks with ``[E]``, as is the default of a kernel without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.errors import suggestion
from hwconfigs.kernels import KERNELS
from mapper.reports.quantities import percent
from mapper.result import RunResult
from workloads import OpGraph

ESTIMATED, GIVEN = "[E]", "given"
"""Marks of a constant that is an estimate, and of one that comes from elsewhere."""


@dataclass(frozen=True, slots=True)
class HostConstants:
    """Which operators of a run take constants, and how much of its time these are."""

    marks: Mapping[str, str]
    """``ESTIMATED`` or ``GIVEN`` of each operator on the host."""
    cycles: Mapping[str, int]
    """Cycles of one block by mark."""
    block_cycles: int
    """Cycles of one block."""

    @property
    def share(self) -> float:
        """Share of the run's cycles that are constants."""
        return sum(self.cycles.values()) / self.block_cycles if self.block_cycles else 0.0


def host_constants(result: RunResult) -> HostConstants:
    """Return the host constants of a run."""
    kinds = {group.name: group.lead.kind for group in result.groups if group.unit == "host"}
    marks = {name: _mark(kind, result.spec) for name, kind in kinds.items()}
    cycles = dict.fromkeys((ESTIMATED, GIVEN), 0)
    for part in result.simulation.by_op:
        if part.name in marks:
            cycles[marks[part.name]] += part.cycles
    return HostConstants(marks, cycles, sum(part.cycles for part in result.simulation.by_op))


def _mark(kernel: str, spec: HardwareSpec) -> str:
    source = spec.sources.get(f"host.kernel_cycles.{kernel}", ESTIMATED)
    return ESTIMATED if ESTIMATED in source else GIVEN


def constants_sentence(constants: HostConstants, machine: str) -> str:
    """Say how much of the run is host constants, and where they come from; empty if none is."""
    told = {
        ESTIMATED: "estimates of cycles per element that nobody measured",
        GIVEN: "cycles per element as the machine file gives them",
    }
    shares = [
        f"{mark}: {percent(constants.cycles[mark], constants.block_cycles)} of the cycles are host constants, {text}"
        for mark, text in told.items()
        if mark in constants.marks.values()
    ]
    if not shares:
        return ""
    name = machine.partition(" + ")[0]
    name = name if name in hwconfigs.available() else "FILE"
    rest = "Estimate and simulation share them: the difference of the total is that of the other cycles."
    return f"{'; '.join(shares)} (tilewright show hw {name}). {rest}"


def unused_kernels(graph: OpGraph, spec: HardwareSpec) -> list[str]:
    """Return a remark for each host kernel of the machine that is neither known nor used: it may be misspelt."""
    known = {kernel.name for kernel in KERNELS} | {op.kind for op in graph.operators}
    return [
        f"note: host.kernel_cycles.{name}: no operator of this model is called so{suggestion(name, known)}"
        for name in spec.host.kernel_cycles
        if name not in known
    ]
