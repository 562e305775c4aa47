"""Vector unit beside the normaliser: lanes that read rows of the accumulator and hand results to the stores.

    pass 1 .. n   a statistic of each row         lanes ──► sums, maxima ──► slots
    last pass     the results                     lanes ──► writer ──► memory

No Gemmini has it, so there is no pace of commands to follow: one command stands for all passes over a tile. Rows are
taken in groups of the statistics slots. Each pass over a group costs its blocks, the way through the lanes, and behind
a pass that gathers the time until the last row's statistic is known; those of other rows are formed meanwhile. A block
takes the lanes as long as its elements, and the accumulator as long as its operands are read. The last pass is no
faster than the writer of the store pipeline.

Rows that do not fit half of the accumulator come in parts, twice: a command per part gathers statistics that run along,
maximum and rescaled sum or sum and sum of squares, and stores nothing; then a command per part gives results.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

from hwconfigs import HardwareSpec, SimdSpec
from hwconfigs.kernels import KERNELS, PARTS, SIMD_KERNELS, Kernel, kernel_named
from simulator.report import Action
from simulator.units.store_pipeline import writer_cycles
from simulator.units.unit import ReadoutUnit


class Simd(ReadoutUnit):
    """Row-wise and element-wise kernels of decoders, of one operand or several."""

    name = "simd"
    bound = "simd"
    optional = True
    kernels = tuple(kernel.name for kernel in (*KERNELS, *PARTS) if kernel.on_simd)
    actions: ClassVar[tuple[Action, ...]] = (
        ("accumulator", "read_row"),
        *(("vector", kernel) for kernel in SIMD_KERNELS),
    )

    @classmethod
    def is_part_of(cls, spec: HardwareSpec) -> bool:
        """Whether the machine has a vector unit beside the normaliser."""
        return spec.simd is not None

    @classmethod
    def handles(cls, kernel: str, spec: HardwareSpec) -> bool:
        """Whether the unit has the kernel and the normaliser, whose way is the shorter one, has not."""
        row = kernel_named(kernel)
        return spec.has_lanes_for(row) and not spec.evaluates(row)

    @classmethod
    def passes(cls, kernel: str, spec: HardwareSpec) -> int:
        """Return how often a row of results has rows read for it: once per pass and operand."""
        del spec
        row = kernel_named(kernel)
        return row.passes * row.operands

    @classmethod
    def cycles(cls, rows: int, cols: int, kernel: str, spec: HardwareSpec, *, issued: bool) -> int:
        """Return the time to read, compute and store a tile. [cycles]"""
        del issued
        return _cycles(rows, cols, kernel_named(kernel), spec)


@lru_cache(maxsize=4096)
def _cycles(rows: int, cols: int, kernel: Kernel, spec: HardwareSpec) -> int:
    simd = _simd(spec)
    blocks = -(-cols // spec.array.cols)
    groups = -(-rows // simd.statistics_slots) if kernel.statistics else 1
    block = simd.block_cycles(spec.array.cols, kernel.operands)
    gathering = len(kernel.statistics) * (rows * blocks * block + groups * (simd.pass_cycles + simd.statistics_cycles))
    if kernel.gathers:
        return rows * blocks * block + groups * (simd.pass_cycles + simd.statistics_cycles)
    writing = max(blocks * block, writer_cycles(blocks, False, False, spec.dma))
    return math.ceil(gathering + rows * writing + groups * simd.pass_cycles)


def _simd(spec: HardwareSpec) -> SimdSpec:
    if spec.simd is None:
        raise ValueError(f"{spec.name} has no vector unit beside the normaliser")
    return spec.simd
