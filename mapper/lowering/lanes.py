"""Operators of the vector unit beside the normaliser as streams through the accumulator.

Most are one stream of rows. Rows that a router chose lie anywhere, and which ones is known only when it ran: as many
are moved as there are choices, one by a load.

    dispatch    tokens x chosen rows    chosen streams of all tokens, each to rows of its own
    combine     tokens rows             one stream with as many operands as choices, weighted by the scaler of the loads
"""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.graph.capabilities import columns_together
from mapper.graph.dram_layout import DramLayout
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.streaming import Operand, Stream
from simulator.frontend.loop_unroller import blocks_per_segment
from workloads import Tensor
from workloads.ops import Combine, Dispatch, Lookup, TopK


def lane_streams(group: FusionGroup, layout: DramLayout, spec: HardwareSpec) -> tuple[Stream, ...]:
    """Return what a group that the vector unit leads streams, one after another."""
    op = group.lead
    match op:
        case Dispatch():
            return _dispatched(op, layout)
        case Combine():
            return (_combined(op, layout),)
        case TopK():
            return (_chosen(op, layout),)
    rows, cols = op.dims["rows"] * op.repeat, op.dims["cols"]
    together, by_row = columns_together(op), isinstance(op, Lookup)
    if together == 1 and not by_row:
        # Elements stand for themselves: few long rows are as many short ones, which fill the rows of a load.
        rows, cols = _short_rows(rows, cols, spec)
    operands = tuple(_operand(tensor, cols, layout) for tensor in op.inputs)
    target = layout.rows(group.result, cols)
    return (Stream(op.name, rows, cols, operands, target, op.kind, together, by_row=by_row),)


def _short_rows(rows: int, cols: int, spec: HardwareSpec) -> tuple[int, int]:
    width = blocks_per_segment(spec) * spec.array.cols
    return (rows, cols) if rows >= spec.array.rows or cols % width else (rows * cols // width, width)


def _operand(tensor: Tensor, cols: int, layout: DramLayout, first_row: int = 0) -> Operand:
    element_bytes = layout.allocation(tensor).element_bytes
    return Operand(layout.rows(tensor, cols).part(first_row, 0), 8 * element_bytes)


def _chosen(op: TopK, layout: DramLayout) -> Stream:
    """Rows of the router's shares; the numbers of the chosen columns leave as bytes."""
    rows, cols = op.dims["rows"], op.dims["cols"]
    stored = op.dims["chosen"] * layout.allocation(op.output).element_bytes
    target = layout.rows(op.output, op.dims["chosen"])
    return Stream(op.name, rows, cols, (_operand(op.inputs[0], cols, layout),), target, op.kind, cols, stored)


def _dispatched(op: Dispatch, layout: DramLayout) -> tuple[Stream, ...]:
    x = op.inputs[0]
    rows, cols = op.dims["rows"], op.dims["cols"]
    source, target = _operand(x, cols, layout), layout.rows(op.output, cols)
    return tuple(
        Stream(op.name, min(x.shape[0], rows - first), cols, (source,), target.part(first, 0), op.kind, by_row=True)
        for first in range(0, rows, x.shape[0])
    )


def _combined(op: Combine, layout: DramLayout) -> Stream:
    rows, cols, chosen = op.dims["rows"], op.dims["cols"], op.dims["chosen"]
    # The results of the most experts stand for all: how many rows are read is known, not which.
    results = max(op.inputs[2:], key=lambda tensor: tensor.shape[0])
    last = max(results.shape[0] - rows, 0)
    operands = tuple(_operand(results, cols, layout, min(number * rows, last)) for number in range(chosen))
    target = layout.rows(op.output, cols)
    return Stream(op.name, min(rows, results.shape[0]), cols, operands, target, op.kind, by_row=True)
