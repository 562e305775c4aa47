"""Where a loop nest runs: memories from the outermost in, then the array.

      dram ── scratchpad ── accumulator ──╳── array registers ── MACs
                                          └ spatial loops: rows x cols

Sizes are in words, rates in words per cycle: a word is one element, whatever its width (the width is the memory's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapper.errors import MappingError

if TYPE_CHECKING:
    from hwconfigs import EnergyModel, HardwareSpec


@dataclass(frozen=True, slots=True)
class Memory:
    """One level; several equal instances lie inside the spatial loops."""

    name: str
    keeps: frozenset[str]
    """Tensors that may have a copy here; a mapping may let any of them bypass it."""
    entries: int | None
    """Capacity of one instance, None if unbounded. [words]"""
    word_bits: int
    read_rate: float | None = None
    """Words read per cycle and instance; None for no limit."""
    write_rate: float | None = None
    """Words filled or updated per cycle and instance."""
    shared_rate: float | None = None
    """Bound on reads and writes together."""
    instances: int = 1
    read_pj: float = 0.0
    """Energy of reading a word."""
    write_pj: float = 0.0
    """Energy of a fill or an update of a word."""

    @property
    def ports(self) -> tuple[tuple[str, float], ...]:
        """(read, write or shared; words per cycle) of the limits there are."""
        rates = (("read", self.read_rate), ("write", self.write_rate), ("shared", self.shared_rate))
        return tuple((kind, rate) for kind, rate in rates if rate is not None)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Memories, outermost first, and the array of multipliers inside them."""

    name: str
    memories: tuple[Memory, ...]
    rows: int
    cols: int
    mac_pj: float = 0.0

    def __post_init__(self) -> None:
        names = [memory.name for memory in self.memories]
        if not names or len(set(names)) != len(names):
            raise MappingError(f"{self.name}: needs at least one memory, each name once, not {names}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(memory.name for memory in self.memories)

    @property
    def macs(self) -> int:
        """Multipliers of the array."""
        return self.rows * self.cols

    def index(self, memory: str) -> int:
        """Position of a memory, 0 the outermost; a `MappingError` names an unknown one."""
        if memory not in self.names:
            raise MappingError(f"{self.name}: no memory {memory!r}; it has {', '.join(self.names)}")
        return self.names.index(memory)

    @classmethod
    def of(cls, spec: HardwareSpec, energy: EnergyModel) -> Hierarchy:
        """The machine as the loop-nest model sees it (`HardwareSpec.levels`), priced per word."""
        raise NotImplementedError
