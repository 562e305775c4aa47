"""Placement -> series of programs, for every operator that is not a matmul."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.graph.dram_layout import Layout
from mapper.graph.placement import Placement
from mapper.lowering.elementwise import Elementwise, elementwise_series
from mapper.lowering.host import host_series
from mapper.lowering.rowwise import Stream, row_tiles
from mapper.lowering.series import Series
from workloads import Operator


def lower_operator(placement: Placement, layout: Layout, spec: HardwareSpec) -> tuple[Series, ...]:
    """Return the programs of an operator that is not a matmul; none if it runs on a matmul's store path."""
    op = placement.operator
    match placement.place:
        case "unit":
            return row_tiles(_stream(op, layout), spec)
        case "accumulator":
            return elementwise_series(_elementwise(op, placement.partner or op, layout), spec)
        case "host":
            reads = tuple(layout.region(tensor) for tensor in dict.fromkeys(op.inputs))
            return (host_series(op.name, op.kind, host_elements(op), reads, (layout.region(op.output),), spec),)
    return ()


def host_elements(op: Operator) -> int:
    """Elements that a host kernel's cycles are counted by: results, or window elements of a pooling."""
    return op.repeat * math.prod(op.dims.values())


def _stream(op: Operator, layout: Layout) -> Stream:
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    source = op.inputs[0]
    bits = layout.place(source).element_bytes * 8
    return Stream(
        op.name,
        kernel_named(op.kind).activation,
        rows,
        cols,
        layout.rows(source, cols),
        bits,
        layout.rows(op.output, cols),
    )


def _elementwise(op: Operator, last: Operator, layout: Layout) -> Elementwise:
    """Describe ``op``, whose results leave as those of ``last``."""
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    return Elementwise(
        op.name,
        rows,
        cols,
        tuple(layout.rows(tensor, cols) for tensor in op.inputs),
        tuple(layout.place(tensor).element_bytes * 8 for tensor in op.inputs),
        layout.rows(last.output, cols),
        kernel_named(last.kind).activation,
    )
