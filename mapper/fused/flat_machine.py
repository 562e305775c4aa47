"""Where fused groups run: three memories around an array and a vector unit, with prices per word.

    dram ── scratchpad ── accumulator ──╳── registers of the array
                     └── vector unit

Everything passes through the scratchpad; results accumulate in the accumulator and leave it one byte wide, into the
scratchpad or to DRAM. Gemmini's stores lead to memory only, so that a tree which keeps something in the scratchpad is a
loop nest, not a Gemmini program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mapper.errors import MappingError
from mapper.nest.model.hierarchy import Hierarchy, Memory

VECTOR_LANES = 16
VECTOR_PJ = 0.2
"""Energy of an element of the vector unit, as the peers' table has it. [pJ]"""


@dataclass(frozen=True)
class Prices:
    """Time and energy of the accesses to one memory."""

    read_pj: float
    write_pj: float
    reads_per_cycle: float | None = None
    """Words read per cycle; None for no limit."""
    writes_per_cycle: float | None = None
    shared_per_cycle: float | None = None
    """Words read and written together per cycle."""

    def cycles(self, reads: int, writes: int) -> float:
        """Return the time that accesses take, if nothing else does."""
        limits = (
            (reads, self.reads_per_cycle),
            (writes, self.writes_per_cycle),
            (reads + writes, self.shared_per_cycle),
        )
        return max((words / rate for words, rate in limits if rate is not None), default=0.0)


@dataclass(frozen=True)
class FlatMachine:
    """Sizes in words: a byte of DRAM and scratchpad, a sum of the accumulator."""

    name: str
    scratchpad: int
    accumulator: int
    rows: int
    """Of the array: along the reduction."""
    cols: int
    dram_prices: Prices
    scratchpad_prices: Prices
    accumulator_prices: Prices
    register_pj: float
    """Energy of a read or a write of a register."""
    mac_pj: float
    lanes: int = VECTOR_LANES
    """Elements of the vector unit per cycle."""
    vector_pj: float = VECTOR_PJ

    def __post_init__(self) -> None:
        sizes = {"scratchpad": self.scratchpad, "accumulator": self.accumulator, "rows": self.rows, "cols": self.cols}
        for what, size in {**sizes, "lanes": self.lanes}.items():
            if size < 1:
                raise MappingError(f"{self.name}: {what}={size} must be at least 1")

    def resized(self, *, scratchpad: int | None = None, accumulator: int | None = None) -> FlatMachine:
        """Return the machine with other memories. [words]"""
        sp = self.scratchpad if scratchpad is None else scratchpad
        return replace(self, scratchpad=sp, accumulator=self.accumulator if accumulator is None else accumulator)

    @classmethod
    def of(cls, hierarchy: Hierarchy) -> FlatMachine:
        """Return a machine without what lies between DRAM and scratchpad, such as an L2: every tensor bypasses it.

        Raises
        ------
        MappingError
            For a machine without a bounded memory of inputs, or of results.
        """
        inner = [memory for memory in hierarchy.memories[1:] if memory.entries is not None and memory.instances == 1]
        inputs = [memory for memory in inner if {"input", "weight"} <= memory.keeps]
        results = [memory for memory in inner if "output" in memory.keeps and memory not in inputs]
        if not inputs or not results:
            raise MappingError(f"{hierarchy.name}: fused loop nests need a scratchpad and an accumulator")
        registers = next((memory for memory in hierarchy.memories if memory.instances > 1), None)
        scratchpad, accumulator = inputs[-1], results[-1]
        return cls(
            hierarchy.name,
            scratchpad.entries or 0,
            accumulator.entries or 0,
            hierarchy.rows,
            hierarchy.cols,
            _prices(hierarchy.memories[0]),
            _prices(scratchpad),
            _prices(accumulator),
            0.0 if registers is None else registers.write_pj,
            hierarchy.mac_pj,
        )


def _prices(memory: Memory) -> Prices:
    return Prices(memory.read_pj, memory.write_pj, memory.read_rate, memory.write_rate, memory.shared_rate)
