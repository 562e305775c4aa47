"""The memory hierarchy as a loop-nest model sees it: sizes in words, rates in words per cycle."""

from __future__ import annotations

from dataclasses import dataclass

from hwconfigs.parts import SramSpec
from hwconfigs.spec import HardwareSpec

UNBOUNDED_ENTRIES = 2**62
"""Entries of DRAM: more than any workload needs, and still an int64."""

_ALL = frozenset({"input", "weight", "output"})


@dataclass(frozen=True, slots=True)
class Level:
    """One memory.

    ``shared_words_per_cycle`` bounds reads and writes together; None if they do not compete.
    """

    memory: str
    """dram, l2, scratchpad, accumulator or array."""
    keeps: frozenset[str]
    """Roles of the tensors that may live here: input, weight, output."""
    entries: int
    """Capacity of one instance. [words]"""
    word_bits: int
    """Width of a word. [bits]"""
    read_words_per_cycle: float
    write_words_per_cycle: float
    shared_words_per_cycle: float | None
    instances: int
    """Equal copies; a spatial loop spreads over them."""


def memory_levels(spec: HardwareSpec) -> tuple[Level, ...]:
    """Levels of ``spec``, outermost first.

    The last-level cache is part of DRAM here. An L2 serves one beat per cycle, reads and writes alike, so its bus rate
    is shared. Array registers keep the stationary operand: the weights unless the build is output-stationary only.
    """
    array, bus = spec.array, float(spec.dma.bus_bytes_per_cycle)
    dram = spec.dram.bytes_per_cycle
    levels = [Level("dram", _ALL, UNBOUNDED_ENTRIES, 8, dram, dram, dram, 1)]
    if spec.l2 is not None:
        levels.append(Level("l2", _ALL, spec.l2.capacity_bytes, 8, bus, bus, bus, 1))
    levels.append(_sram("scratchpad", frozenset({"input", "weight"}), spec.scratchpad, array.input_bits))
    levels.append(_sram("accumulator", frozenset({"output"}), spec.accumulator, array.accumulator_bits))
    # One register per PE holds the operand that the dataflow keeps stationary.
    if "weight_stationary" in array.dataflows:
        kept, bits = "weight", array.input_bits
    else:
        kept, bits = "output", array.accumulator_bits
    levels.append(Level("array", frozenset({kept}), 1, bits, 1.0, 1.0, None, array.rows * array.cols))
    return tuple(levels)


def _sram(memory: str, keeps: frozenset[str], sram: SramSpec, word_bits: int) -> Level:
    """Every bank moves one row per cycle and port; two ports are one for reads and one for writes."""
    rate = float(sram.banks * sram.row_bytes * 8 // word_bits)
    entries = sram.capacity_bytes * 8 // word_bits
    return Level(memory, keeps, entries, word_bits, rate, rate, rate if sram.ports == 1 else None, 1)
