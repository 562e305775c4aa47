"""Where each operator of a graph runs, and how wide its result is stored.

    matmul, conv2d       array (a convolution as matmul on its im2col matrix, which is taken to lie in memory)
    gelu, relu           store path of the matmul (or addition) that feeds nobody else, else through the accumulator
    softmax, layernorm   normalisation unit, if the machine has the kernel and a row fits half of the accumulator
    add                  accumulator: two loads, one store
    everything else      host core

A matmul whose readers are all on the unit stores int32, so that they normalise unrounded sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from hwconfigs import HardwareSpec
from hwconfigs.kernels import UNNAMED_HOST_CYCLES, Site, kernel_named
from mapper.graph.capabilities import RESULT_BITS, rows_per_tile
from workloads import Operator, OpGraph
from workloads.ops import Conv2d, Matmul

Place: TypeAlias = Literal["array", "store path", "unit", "accumulator", "host"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one operator runs."""

    operator: Operator
    place: Place
    note: str = ""
    """Anything a reader of the report should know."""
    partner: Operator | None = None
    """Store path: the operator whose store it is. Elsewhere: the activation fused into the store."""
    full_result: bool = False
    """The result is stored as int32."""


def place(graph: OpGraph, spec: HardwareSpec) -> dict[str, Placement]:
    """Return the placement of every operator by name."""
    fused = _fused(graph, spec)
    absorbed = {activation.name: matmul for matmul, activation in fused}
    absorbing = {matmul.name: activation for matmul, activation in fused}
    found: dict[str, Placement] = {}
    for op in graph.operators:
        if op.name in absorbed:
            matmul = absorbed[op.name]
            found[op.name] = Placement(op, "store path", f"fused into the store of {matmul.name}", matmul)
        elif isinstance(op, (Matmul, Conv2d)):
            found[op.name] = Placement(op, "array", _matmul_note(op), absorbing.get(op.name))
        else:
            found[op.name] = replace(_elsewhere(op, spec), partner=absorbing.get(op.name))
    return {name: _widened(placement, graph, found) for name, placement in found.items()}


def _fused(graph: OpGraph, spec: HardwareSpec) -> list[tuple[Operator, Operator]]:
    """Pairs of a matmul or an addition and the activation that alone reads it: both leave with one store."""
    pairs: list[tuple[Operator, Operator]] = []
    for op in graph.operators:
        readers = graph.consumers(op.name)
        is_matmul = isinstance(op, (Matmul, Conv2d))
        if not (is_matmul or (_forms_sums(op) and not _odd_width(op))) or len(readers) != 1 or op.output.bits > 8:
            continue
        activation = readers[0]
        kernel = kernel_named(activation.kind)
        fits = Site.EPILOGUE in kernel.sites and spec.evaluates(kernel)
        if fits and activation.inputs == (op.output,) and activation.output.bits <= 8:
            pairs.append((op, activation))
    return pairs


def _forms_sums(op: Operator) -> bool:
    """Whether an operator forms its results in the accumulator, so that their stores are free for an activation."""
    kernel = kernel_named(op.kind)
    return Site.ACCUMULATOR in kernel.sites and not kernel.is_activation


def _matmul_note(op: Operator) -> str:
    if not isinstance(op, Conv2d) or op.is_pointwise:
        return ""
    return "matmul on the im2col matrix, taken to lie in memory"


def _elsewhere(op: Operator, spec: HardwareSpec) -> Placement:
    """Place an operator that is no matmul and is not fused."""
    kernel, wide = kernel_named(op.kind), _odd_width(op)
    if not spec.evaluates(kernel):
        unused = f"no command of the hardware loop runs {kernel.name} on the unit" if spec.lists(kernel) else ""
        return _on_host(op, spec, unused)
    if Site.NORMALISER in kernel.sites:
        if wide:
            return _on_host(op, spec, "the unit takes int8 or int32 and gives int8")
        if rows_per_tile(op.dims["cols"], spec) < 1:
            bound = spec.accumulator.rows // 2 * spec.array.cols
            return _on_host(op, spec, f"a row of {op.dims['cols']} > {bound} elements, half of the accumulator")
        return Placement(op, "unit")
    if Site.ACCUMULATOR not in kernel.sites:
        return _on_host(op, spec, "runs only in the stores of the operator before it")
    return _on_host(op, spec, "int8 or int32 only") if wide else Placement(op, "accumulator")


def _on_host(op: Operator, spec: HardwareSpec, why: str) -> Placement:
    """Place an operator on the host; the note says why not elsewhere, and whether its cost is a default."""
    unnamed = f"{spec.name} names no host.kernel_cycles.{op.kind}: {UNNAMED_HOST_CYCLES:g} per element, an estimate"
    notes = (why, "" if spec.host.names(op.kind) else unnamed)
    return Placement(op, "host", "; ".join(note for note in notes if note))


def _odd_width(op: Operator) -> bool:
    """Whether the accumulator cannot take or give the widths of an operator's tensors."""
    return any(tensor.bits not in (8, RESULT_BITS) for tensor in op.inputs) or op.output.bits != 8


def _widened(placement: Placement, graph: OpGraph, found: dict[str, Placement]) -> Placement:
    """Store a matmul's result as int32 if every reader is on the unit, or if its tensor is that wide."""
    op = placement.operator
    if placement.place != "array" or placement.partner is not None:
        return placement
    readers = [found[reader.name] for reader in graph.consumers(op.name)]
    streams = bool(readers) and all(
        reader.place == "unit" or (reader.place == "accumulator" and kernel_named(reader.operator.kind).is_activation)
        for reader in readers
    )
    if not streams and op.output.bits <= 8:
        return placement
    return Placement(op, "array", placement.note, None, full_result=True)
