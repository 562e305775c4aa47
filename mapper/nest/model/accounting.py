"""What counts how: the switches between our accounting, Timeloop's and AccelForge's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Accounting:
    """Rules that turn a nest into words, cycles and energy.

    The words that move between two memories are the same under every accounting; the switches say who pays for them.
    """

    name: str
    drain_reads: bool
    """Charge the inner memory a read of every word of an output tile that it hands outward.

    Timeloop charges only the outer memory's update."""
    partial_word_bits: int | None
    """Width of a partial sum; a narrower memory spends several words on it. None: one word, as Timeloop counts.

    The final value of an output is always one word."""
    first_read_elision: bool
    """The first visit of an output element brings nothing in and needs no read (Timeloop's default)."""
    double_buffer_capacity: bool
    """A double-buffered tensor takes two tiles, unless its tile is the whole tensor."""
    serial_transfers: bool
    """Transfers into or out of a tile that is neither double-buffered nor the whole tensor add to the computing time.

    Otherwise they overlap perfectly (Timeloop, AccelForge)."""
    capacity_unit: Literal["elements", "blocks"]
    """blocks: tile extents of spatially unrolled dimensions are rounded up to what the array takes at once, as rows of
    Gemmini's memories do; elements: they are not."""
    ragged: Literal["exact", "perfect"]
    """exact: the last tile of a dimension may be smaller (each tensor is loaded at one fixed loop position);
    perfect: every tile must divide the one outside it, others are not legal."""
    min_pair_cycles: int = 0
    """Least cycles between two changes of the tile in the innermost memory (16 rows for a preload/compute pair of
    Gemmini); 0: none."""

    def describe(self) -> str:
        """Return the name with everything that the accounting counts."""
        bits = self.partial_word_bits
        switches = {
            "drain reads": self.drain_reads,
            "first read elision": self.first_read_elision,
            "double buffer capacity": self.double_buffer_capacity,
            "serial transfers": self.serial_transfers,
        }
        parts = [f"partial sums of {'one word' if bits is None else f'{bits} bits'}"]
        parts += [name if is_on else f"no {name}" for name, is_on in switches.items()]
        return f"{self.name} ({', '.join(parts)}, capacity in {self.capacity_unit})"


TIMELOOP = Accounting("timeloop", False, None, True, False, False, "elements", "perfect")
"""Timeloop v3.0.3, default switches."""

DEFAULT = Accounting("default", True, 32, True, True, True, "blocks", "exact")
"""What Gemmini does, as far as a loop-nest model can say it."""

ACCELFORGE = Accounting("accelforge", True, None, True, False, False, "elements", "exact")
"""AccelForge 1.0.467 with its bundled kind of description: drains are read, DRAM partial sums take one byte."""
