"""Which unit runs an operator that runs alone or leads a group.

matmul, conv2d       array (a convolution as matmul on its im2col matrix, which is taken to lie in memory)
whole-row kernels    normalisation unit, if the machine has the kernel and a row fits half of the accumulator
element by element   accumulator: loads, and one store that applies the activation
what lanes have      vector unit beside the normaliser (simd), if the machine has one with the kernel
everything else      host core

Which kernels these are, the table `hwconfigs.kernels` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hwconfigs import HardwareSpec
from hwconfigs.kernels import UNNAMED_HOST_CYCLES, Site, kernel_named
from mapper.graph.capabilities import OPERAND_BITS, RESULT_BITS, columns_together, rows_per_tile
from workloads import Operator
from workloads.ops import Combine, Conv2d, Dispatch, Matmul, TopK

Unit: TypeAlias = Literal["array", "normaliser", "accumulator", "simd", "host"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The unit that runs an operator."""

    unit: Unit
    note: str = ""
    """What a reader of the report should know, such as why it is not a faster unit."""


def assign(op: Operator, spec: HardwareSpec) -> Assignment:
    """Return the unit that runs an operator on a machine."""
    if isinstance(op, (Matmul, Conv2d)):
        return Assignment("array", _matmul_note(op))
    kernel = kernel_named(op.kind)
    if not spec.evaluates(kernel) and spec.has_lanes_for(kernel):
        return _in_lanes(op, spec)
    if not spec.evaluates(kernel):
        unused = f"no command of the hardware loop runs {kernel.name} on the unit"
        return _on_host(op, spec, unused if spec.lists(kernel) else "no unit of this machine runs it")
    if Site.NORMALISER in kernel.sites:
        return _row_wise(op, spec)
    if Site.ACCUMULATOR not in kernel.sites:
        return _on_host(op, spec, "the accelerator runs it only in the stores of the operator before it")
    return Assignment("accumulator") if _fits_widths(op) else _on_host(op, spec, "the units take int8 or int32 only")


def _matmul_note(op: Operator) -> str:
    if not isinstance(op, Conv2d) or op.is_pointwise:
        return ""
    return "matmul on the im2col matrix, taken to lie in memory"


def _row_wise(op: Operator, spec: HardwareSpec) -> Assignment:
    """Assign an operator whose rows must be complete in the accumulator before the first result leaves."""
    if not _fits_widths(op):
        return _on_host(op, spec, "the unit takes int8 or int32 and gives int8")
    too_long = _too_long(op, spec)
    if too_long and spec.has_lanes_for(kernel_named(op.kind)):
        return Assignment("simd", f"in parts, each read twice: {too_long}")
    return _on_host(op, spec, f"{too_long}; the unit takes whole rows") if too_long else Assignment("normaliser")


def _too_long(op: Operator, spec: HardwareSpec) -> str:
    """Say why a row does not fit half of the accumulator; nothing if it does."""
    if rows_per_tile(op.dims["cols"], spec) >= 1:
        return ""
    bound = spec.accumulator.rows // 2 * spec.array.cols
    return f"a row has {op.dims['cols']:,} elements, and half of the accumulator holds {bound:,}"


def _in_lanes(op: Operator, spec: HardwareSpec) -> Assignment:
    """Assign an operator to the vector unit beside the normaliser, which reads tiles out of the accumulator."""
    if not _fits_widths(op) and not isinstance(op, (TopK, Dispatch, Combine)):
        return _on_host(op, spec, "the unit takes int8 or int32 and gives int8")
    together = columns_together(op)
    if kernel_named(op.kind).statistics:
        too_long = _too_long(op, spec)
        return Assignment("simd", f"in parts, each read twice: {too_long}" if too_long else "")
    if rows_per_tile(together * kernel_named(op.kind).operands, spec) < 1:
        bound = spec.accumulator.rows // 2 * spec.array.cols
        return _on_host(op, spec, f"{together:,} elements belong together, and half of the accumulator holds {bound:,}")
    return Assignment("simd")


def _on_host(op: Operator, spec: HardwareSpec, why: str) -> Assignment:
    """Assign an operator to the host; the note says so, why to no faster unit, and whether its cost is a default."""
    unnamed = f"{spec.name} names no host.kernel_cycles.{op.kind}: {UNNAMED_HOST_CYCLES:g} per element, an estimate"
    return Assignment("host", f"on the host: {why}" + ("" if spec.host.names(op.kind) else f"; {unnamed}"))


def _fits_widths(op: Operator) -> bool:
    """Whether the accumulator takes the widths of an operator's inputs and gives that of its result."""
    taken = all(tensor.bits in (OPERAND_BITS, RESULT_BITS) for tensor in op.inputs)
    return taken and op.output.bits == OPERAND_BITS
