"""Where a loop nest runs: memories from the outermost in, then the array.

      dram ── scratchpad ── accumulator ──╳── array registers ── MACs
                                          └ spatial loops: rows x cols

Sizes are in words, rates in words per cycle: a word is one element, whatever its width (the width is the memory's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import hwconfigs
from hwconfigs.levels import UNBOUNDED_ENTRIES
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
    part_of: str | None = None
    """Physical memory whose capacity and ports it shares with other levels; None: it is one of its own."""

    @property
    def physical(self) -> str:
        """Name of the physical memory."""
        return self.part_of or self.name

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
        """Memories, outermost first."""
        return tuple(memory.name for memory in self.memories)

    @property
    def macs(self) -> int:
        """Multipliers of the array."""
        return self.rows * self.cols

    def index(self, memory: str) -> int:
        """Return the position of a memory, 0 the outermost; a `MappingError` names an unknown one."""
        if memory not in self.names:
            raise MappingError(f"{self.name}: no memory {memory!r}; it has {', '.join(self.names)}")
        return self.names.index(memory)

    def uneven(self, memory: str, order: Sequence[str]) -> Hierarchy:
        """Replace ``memory`` by one virtual level per tensor of ``order`` (outermost first), all parts of it.

        So each tensor of one memory can be held at its own loop depth: loops between two virtual levels lie outside the
        tile of the one and inside that of the other. Capacity and ports are shared.
        """
        whole = self.memories[self.index(memory)]
        unknown = sorted(set(order) - whole.keeps)
        if unknown or len(set(order)) < len(order) or not order:
            raise MappingError(f"{memory}: order {', '.join(order)} must name its tensors, each once")
        levels = [
            replace(whole, name=f"{memory}_{tensor}", keeps=frozenset({tensor}), part_of=memory) for tensor in order
        ]
        position = self.index(memory)
        return replace(self, memories=(*self.memories[:position], *levels, *self.memories[position + 1 :]))

    @classmethod
    def of(cls, spec: HardwareSpec, energy: EnergyModel) -> Hierarchy:
        """Return the machine as the loop-nest model sees it (`hwconfigs.memory_levels`), priced per word.

        A row of a scratchpad, accumulator or cache line is shared evenly by its words. Every access to DRAM or L2 also
        pays the DMA's wire. Registers of the array deliver a word in every cycle, so they limit nothing; what they cost
        to read is part of a multiplication.
        """
        wire = {kind: energy.pj["dma", f"{kind}_beat"] / spec.dma.bus_bytes_per_cycle for kind in ("read", "write")}
        memories = []
        for level in hwconfigs.memory_levels(spec):
            word_bytes = level.word_bits / 8
            read_pj, write_pj = (pj * word_bytes for pj in _byte_prices(spec, energy, level.memory))
            if level.memory in ("dram", "l2"):
                read_pj, write_pj = read_pj + wire["read"] * word_bytes, write_pj + wire["write"] * word_bytes
            if level.memory == "array":
                read_pj, write_pj = 0.0, energy.pj["array", "weight_load"] if "weight" in level.keeps else 0.0
            is_register = level.instances > 1
            memories.append(
                Memory(
                    level.memory,
                    level.keeps,
                    None if level.entries >= UNBOUNDED_ENTRIES else level.entries,
                    level.word_bits,
                    None if is_register else level.read_words_per_cycle,
                    None if is_register else level.write_words_per_cycle,
                    level.shared_words_per_cycle,
                    level.instances,
                    read_pj,
                    write_pj,
                )
            )
        array = spec.array
        return cls(spec.name, tuple(memories), array.rows, array.cols, energy.pj["array", "mac"])


def _byte_prices(spec: HardwareSpec, energy: EnergyModel, memory: str) -> tuple[float, float]:
    """Energy of reading and of writing one byte. [pJ]"""
    pj = energy.pj
    if memory == "dram":
        return pj["dram", "read_byte"], pj["dram", "write_byte"]
    if memory == "l2":
        assert spec.l2 is not None
        return pj["l2", "read"] / spec.l2.line_bytes, pj["l2", "write"] / spec.l2.line_bytes
    if memory in ("scratchpad", "accumulator"):
        row_bytes = spec.scratchpad.row_bytes if memory == "scratchpad" else spec.accumulator.row_bytes
        return pj[memory, "read_row"] / row_bytes, pj[memory, "write_row"] / row_bytes
    return 0.0, 0.0
