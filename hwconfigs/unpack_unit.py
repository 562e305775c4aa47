"""The unpack section of a machine: few-bit weights and caches that widen on their way to the scratchpad.

No Gemmini has it: there an operand lies in DRAM as it lies in the scratchpad, a byte each. With it rows of fewer bytes
cross the DRAM, the caches and the bus; the scratchpad holds and the array takes whole rows of its width as before. So
an array of 16 x 16 that multiplies one row takes 16 weights per cycle whatever their format, and fewer bits than half
of the bytes that the memory brings in a cycle buy energy, but no time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hwconfigs.parts import Count, Part, to_tuple


class UnpackSpec(Part):
    """What loads of the array's weights widen; every value is the architect's."""

    bits: Annotated[tuple[Literal[1, 2, 4], ...], BeforeValidator(to_tuple), Field(min_length=1)]
    """Widths that are stored packed; what `scale_bits` says is stored between them."""
    scale_block: Count = 1
    """Neighbouring numbers of a row that share a scale; a power of two."""
    scale_bits: Annotated[int, Field(ge=0, le=4096)] = 0
    """Bits that each such block keeps in the row beside its numbers: scale, zero point. 0: scales are per channel, and
    not stored with the numbers."""
    scales: Literal["at_readout", "at_load"] = "at_readout"
    """Where scales are applied: per channel in the store pipeline, which takes no time, or to each weight as it is
    loaded."""
    elements_per_cycle: Count = 16
    """Weights that are scaled per cycle ``at_load``; Gemmini's load scaler has 4 multipliers."""

    def stored_bits(self, bits: int) -> float:
        """Return the bits of a number in DRAM with its share of what its block keeps beside; exact."""
        return bits + self.scale_bits / self.scale_block if self.scale_bits else bits

    def row_cycles(self, cols: int) -> int:
        """Return the cycles in which a row of ``cols`` weights is written to the scratchpad."""
        return 1 if self.scales == "at_readout" else -(-cols // self.elements_per_cycle)
