"""Fusion group -> series of programs, for every group that no matmul leads."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.graph.dram_layout import DramLayout
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.elementwise import Elementwise, elementwise_series
from mapper.lowering.host import host_series
from mapper.lowering.rowwise import Stream, row_tiles
from mapper.lowering.series import Series
from workloads import Operator


def lower_operator(group: FusionGroup, layout: DramLayout, spec: HardwareSpec) -> tuple[Series, ...]:
    """Return the programs of a group that no matmul leads."""
    op = group.lead
    match group.unit:
        case "normaliser":
            return row_tiles(_stream(group, layout), spec)
        case "accumulator":
            return elementwise_series(_elementwise(group, layout), spec)
        case "host":
            reads = tuple(layout.region(tensor) for tensor in group.inputs)
            return (host_series(op.name, op.kind, host_elements(op), reads, (layout.region(group.result),), spec),)
    raise TypeError(f"{group.name} is led by a matmul")


def host_elements(op: Operator) -> int:
    """Elements that a host kernel's cycles are counted by: results, or window elements of a pooling."""
    return op.repeat * math.prod(op.dims.values())


def _stream(group: FusionGroup, layout: DramLayout) -> Stream:
    op = group.lead
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    source = op.inputs[0]
    bits = layout.allocation(source).element_bytes * 8
    return Stream(
        op.name, group.activation, rows, cols, layout.rows(source, cols), bits, layout.rows(group.result, cols)
    )


def _elementwise(group: FusionGroup, layout: DramLayout) -> Elementwise:
    op = group.lead
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    return Elementwise(
        op.name,
        rows,
        cols,
        tuple(layout.rows(tensor, cols) for tensor in op.inputs),
        tuple(layout.allocation(tensor).element_bytes * 8 for tensor in op.inputs),
        layout.rows(group.result, cols),
        group.activation,
    )
