"""The store pipeline behind the accumulator: scaling, writer, and how long a row takes in them."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from hwconfigs import DmaSpec, HardwareSpec
from hwconfigs.kernels import KERNELS, Site

EPILOGUES = tuple(kernel.name for kernel in KERNELS if kernel.needs_unit and Site.EPILOGUE in kernel.sites)
"""Kernels of a vector unit in the store pipeline, which take no time of their own."""

COMMAND_CYCLES = 2
"""Least distance of two mvouts (measured: one row of one block, prepared). [cycles]"""

SCALE_PERIOD = 30
"""Rows after which the pattern of the scaling pipeline has settled."""


def writer_cycles(blocks: int, full: bool, from_scratchpad: bool, dma: DmaSpec) -> float:
    """Cycles in which the writer takes an aligned row of ``blocks`` array blocks. [cycles]

    It collects the blocks, then sends the beats: blocks + beats - 1 per int8 row from the accumulator, so 1, 3, 6, 7
    for 1 to 4 blocks; an int32 row is one block of 4 beats; scratchpad rows 1 per block (timing notes, section 3.2).
    """
    if full:
        return dma.store_full_row_cycles * blocks
    if from_scratchpad:
        return float(blocks)
    table = dma.store_row_cycles
    whole, rest = divmod(blocks, len(table))
    return whole * table[-1] + (table[rest - 1] if rest else 0.0)


def row_period(blocks: int, full: bool, from_scratchpad: bool, dma: DmaSpec) -> float:
    """Mean cycles per aligned row of a long mvout. [cycles]

    Short int8 rows are held up by the scaling pipeline: 1.6 cycles per row of one block, 3.33 of two, as measured.
    """
    cycles = writer_cycles(blocks, full, from_scratchpad, dma)
    if full or from_scratchpad or not dma.scale_entries:
        return cycles
    return _scaled_period(blocks, cycles, dma.scale_entries, dma.scale_cycles)


def command_gap(spec: HardwareSpec) -> int:
    """Return the cycles from the last read of a store command to the first of the next."""
    return 0 if spec.vector is None else spec.vector.command_gap_cycles


@lru_cache(maxsize=1024)
def _scaled_period(blocks: int, cycles: float, entries: int, scale_cycles: int) -> float:
    pipeline = ScalePipeline(entries, scale_cycles)
    starts = [0.0]
    for _ in range(4 * SCALE_PERIOD):
        starts.append(pipeline.row(starts[-1], blocks, cycles))
    return (starts[-1] - starts[SCALE_PERIOD]) / (3 * SCALE_PERIOD)


def epilogue_cycles(blocks: int, activation: str, spec: HardwareSpec) -> int:
    """Return the cycles that a row of ``blocks`` blocks takes in the lanes of its activation; 0 without a unit."""
    if spec.vector is None or activation not in EPILOGUES:
        return 0
    return blocks * spec.vector.block_cycles(spec.array.cols)


class ScalePipeline:
    """Blocks between the start of scaling and the writer: a block waits for the one ``entries`` before it to be
    through."""

    __slots__ = ("_blocks", "_cycles")

    def __init__(self, entries: int, cycles: int) -> None:
        self._blocks: deque[float] = deque([-float(cycles)] * entries, maxlen=entries)
        self._cycles = cycles

    def row(self, start: float, blocks: int, writer: float) -> float:
        """A row that starts at ``start`` and takes the writer ``writer`` cycles; when the next may start."""
        held, cycles = self._blocks, self._cycles
        at = start
        for _ in range(blocks):
            at = max(at, held[0] + cycles)
            held.append(at)
            at += 1.0
        return at + writer - blocks

    def times(self) -> tuple[float, ...]:
        """Return when the blocks that are held entered."""
        return tuple(self._blocks)
