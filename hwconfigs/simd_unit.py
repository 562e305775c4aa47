"""The simd section of a machine: a vector unit beside the normaliser, which no Gemmini has.

It reads rows out of the accumulator, several times if a kernel needs statistics of them, and hands results to the store
pipeline in the store controller's place. Decoders need it: RMSNorm, SiLU, the product of SwiGLU and rotary embeddings
have no unit in Gemmini's builds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hwconfigs.kernels import simd_kernel
from hwconfigs.parts import Count, Cycles, Part, to_tuple

SimdKernel = Annotated[str, AfterValidator(simd_kernel)]


class SimdSpec(Part):
    """Lanes that work on rows of the accumulator; every value is the architect's."""

    kernels: Annotated[tuple[SimdKernel, ...], BeforeValidator(to_tuple), Field(min_length=1)]
    """What the lanes compute. A kernel that the normaliser has as well runs there, unless its rows are too long."""
    lanes: Count = 16
    """Elements that enter per cycle."""
    reads_per_cycle: Count = 1
    """Rows of the accumulator that are read in a cycle, at most one of each bank: the unit's bandwidth to it."""
    statistics_slots: Count = 16
    """Rows whose statistics are kept at once."""
    pass_cycles: Cycles = 12
    """Latency of a pass: an element's way through the lanes, paid once per pass over a group of rows."""
    statistics_cycles: Cycles = 40
    """Last element of a pass to the statistic of its row: sum over the lanes, division, root."""

    def block_cycles(self, cols: int, operands: int = 1) -> int:
        """Return what a block of a row takes: ``cols`` elements in the lanes, read once per operand. [cycles]"""
        return max(-(-cols // self.lanes), -(-operands // self.reads_per_cycle))
