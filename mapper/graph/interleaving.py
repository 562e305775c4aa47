"""Two groups in turns: blocks of rows of a matmul's result, each read by the next matmul while the L2 still holds it.

    head 0   scores + softmax   rows 0 ... 255        heads outside: keys and values of a head stay as well
             context            rows 0 ... 255
             scores + softmax   rows 256 ... 511      rows outside: blocks of rows of all heads, then the next rows
             context            rows 256 ... 511
    head 1   ...

Gemmini's results leave for memory, so that what is between two matmuls lies in the L2 or in DRAM; how much of it lies
there at a time is the height of a block. A machine whose normaliser writes to the scratchpad may keep a block there:
rows at its top are reserved for it, tiles of both matmuls have the rest, and the block moves neither out nor in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.errors import MappingError, Violation
from mapper.graph.fusion_group import FusionGroup, executed
from simulator.program import KeptBlocks
from workloads import OpGraph
from workloads.ops import Matmul

LEAST_BLOCKS = 4
"""Blocks of rows of the array in the lowest block that is tried: lower ones pay the library call too often."""

KEPT_HEIGHTS = 3
"""Heights that are tried of a block in the scratchpad: the lower it is, the more is left for tiles."""


@dataclass(frozen=True, slots=True)
class Interleaving:
    """How two groups take turns."""

    producer: str
    """Name of the group that makes the tensor between them."""
    consumer: str
    rows: int
    """Rows of a block; the last one may be lower."""
    rows_outside: bool = False
    """All instances of a block of rows before the next block; otherwise all blocks of an instance."""
    in_scratchpad: bool = False
    """A block stays in the scratchpad; otherwise it passes through memory, where the L2 may hold it."""

    def turns(self, instances: int, rows: int) -> Iterator[tuple[int, int]]:
        """Yield instance and first row of each block, in order."""
        firsts = range(0, rows, self.rows)
        if self.rows_outside:
            yield from ((instance, first) for first in firsts for instance in range(instances))
        else:
            yield from ((instance, first) for instance in range(instances) for first in firsts)


def may_interleave(producer: FusionGroup, consumer: FusionGroup, graph: OpGraph) -> bool:
    """Whether every row of the second matmul needs that row of the first one's result, and nobody else reads it."""
    first, second = executed(producer.lead), executed(consumer.lead)
    if not isinstance(first, Matmul) or not isinstance(second, Matmul) or producer.result_bits > 8:
        return False
    readers = graph.consumers(producer.operators[-1].name)
    if [op.name for op in readers] != [consumer.lead.name] or producer.result in second.inputs[1:]:
        return False
    return (
        second.inputs[0] == producer.result and first.views[2].layout == second.views[0].layout and first.m == second.m
    )


def paired(groups: Sequence[FusionGroup], graph: OpGraph) -> Iterator[tuple[FusionGroup, ...]]:
    """Yield groups in an order in which they can run: two together that may take turns, the others one by one."""
    partner = {}
    for consumer in groups:
        for producer in groups:
            if producer.name not in partner and may_interleave(producer, consumer, graph):
                partner[consumer.name] = producer
    waiting = {producer.name for producer in partner.values()}
    for group in groups:
        if group.name in partner:
            yield partner[group.name], group
        elif group.name not in waiting:
            yield (group,)


def choices(producer: FusionGroup, consumer: FusionGroup, spec: HardwareSpec) -> Iterator[Interleaving]:
    """Yield ways to take turns: all rows of an instance, and heights of which half of a memory holds a block.

    Of the L2 they are two; of a scratchpad that may keep blocks `KEPT_HEIGHTS`, each half of the one before.
    """
    first = executed(producer.lead)
    assert isinstance(first, Matmul), "only groups of matmuls take turns"
    names = producer.name, consumer.name
    if first.repeat > 1:
        yield Interleaving(*names, first.m)
    side = spec.array.rows
    if spec.l2 is not None:
        fitting = spec.l2.capacity_bytes // 2 // first.n // side * side
        for rows in (fitting, fitting // 2 // side * side):
            if LEAST_BLOCKS * side <= rows < first.m:
                yield Interleaving(*names, rows)
                if first.repeat > 1:
                    yield Interleaving(*names, rows, rows_outside=True)
    if keeps_blocks(spec):
        most = spec.scratchpad.rows // 2 // (-(-first.n // side) * side) * side
        heights = {min(most >> halved, first.m) for halved in range(KEPT_HEIGHTS)}
        for rows in sorted((height for height in heights if height >= min(side, first.m)), reverse=True):
            yield Interleaving(*names, rows, in_scratchpad=True)


def keeps_blocks(spec: HardwareSpec) -> bool:
    """Return whether results may go to the scratchpad in place of memory."""
    return spec.vector is not None and spec.vector.writes_scratchpad


def block_between(how: Interleaving, cols: int, spec: HardwareSpec) -> KeptBlocks:
    """Return where a block of ``cols`` columns lies that stays in the scratchpad: at its top.

    Raises
    ------
    MappingError
        When the machine has no path there, or the scratchpad no room.
    """
    memory, side = spec.scratchpad, spec.array.rows
    across = -(-cols // side)
    rows = -(-how.rows // side) * across * side
    names = f"{how.producer} and {how.consumer}"
    if not keeps_blocks(spec):
        raise MappingError(f"{names}: {spec.name} has no path into the scratchpad (vector.writes_scratchpad)")
    if rows >= memory.rows:
        block, size = f"{how.rows:,} rows of {cols:,}", rows * memory.row_bytes
        rule = Violation(block, "scratchpad", size, memory.capacity_bytes, "bytes", "lower blocks, and room for tiles")
        raise MappingError(f"{names}: no room for a block between them", (rule,))
    return KeptBlocks(memory.rows - rows, across)
