"""Fusion group -> repeated programs, for every group that no matmul leads."""

from __future__ import annotations

import math

from hwconfigs import HardwareSpec
from mapper.graph.dram_layout import DramLayout
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.host import host_program
from mapper.lowering.lanes import lane_streams
from mapper.lowering.repeated_program import RepeatedProgram
from mapper.lowering.streaming import Operand, Stream, stream_programs
from workloads import Operator


def lower_operator(group: FusionGroup, layout: DramLayout, spec: HardwareSpec) -> tuple[RepeatedProgram, ...]:
    """Return the programs of a group that no matmul leads."""
    match group.unit:
        case "normaliser" | "accumulator":
            return stream_programs(_stream(group, layout), spec)
        case "simd":
            streams = lane_streams(group, layout, spec)
            return tuple(program for stream in streams for program in stream_programs(stream, spec))
        case "host":
            return (_host_program(group, layout, spec),)
    raise TypeError(f"{group.name} is led by a matmul")


def host_elements(op: Operator) -> int:
    """Elements that a host kernel's cycles are counted by: results, or window elements of a pooling."""
    return op.repeat * math.prod(op.dims.values())


def _host_program(group: FusionGroup, layout: DramLayout, spec: HardwareSpec) -> RepeatedProgram:
    op = group.lead
    reads = tuple(layout.region(tensor) for tensor in group.inputs)
    return host_program(op.name, op.kind, host_elements(op), reads, (layout.region(group.result),), spec)


def _stream(group: FusionGroup, layout: DramLayout) -> Stream:
    """Describe the operands of the leading operator, whose results leave as those of the last one."""
    op = group.lead
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    operands = tuple(
        Operand(layout.rows(tensor, cols), layout.allocation(tensor).element_bytes * 8) for tensor in op.inputs
    )
    return Stream(op.name, rows, cols, operands, layout.rows(group.result, cols), group.activation)
