"""The die of one machine: what each unit takes of it, and what it leaks whether it works or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwconfigs.silicon_table import Area, Leakage, SiliconTable
from hwconfigs.spec import HardwareSpec
from hwconfigs.sram_energy import Curve, interpolated
from hwconfigs.technology import SOURCE, area_factor, leakage_factor

PE_REGISTERS = 3
"""Registers of an operand's width in a processing element: an activation, a weight and the next weight."""


@dataclass(frozen=True, slots=True)
class Block:
    """One unit on the die."""

    area_um2: float
    leakage_uw: float
    source: str
    """Where both come from, with evidence tags."""


@dataclass(frozen=True, slots=True)
class Silicon:
    """All units of a machine on the die; the DRAM is not on it."""

    node_nm: float
    blocks: Mapping[str, Block]
    """By name of the unit."""

    @property
    def area_mm2(self) -> float:
        """Of all blocks [mm2]."""
        return sum(block.area_um2 for block in self.blocks.values()) * 1e-6

    @property
    def leakage_mw(self) -> float:
        """Of all blocks [mW]."""
        return sum(block.leakage_uw for block in self.blocks.values()) * 1e-3


def silicon_of(table: SiliconTable, spec: HardwareSpec, supply: float = 1.0) -> Silicon:
    """Return the die of a machine.

    Parameters
    ----------
    table
        Areas and leakage of parts.
    spec
        The machine.
    supply
        Its supply over that of the table. The current that leaks is taken to stay, so its power follows the voltage.
    """
    die = _Die(table)
    blocks = {
        "array": die.array(spec),
        "scratchpad": die.memory(spec.scratchpad.capacity_bytes, spec.scratchpad.row_bytes, spec.scratchpad.banks),
        "accumulator": die.memory(
            spec.accumulator.capacity_bytes, spec.accumulator.row_bytes, spec.accumulator.banks, of_accumulator=True
        ),
        "dma": die.logic(table.controllers),
        "host": die.logic(table.core),
    }
    for name, cache in (("l2", spec.l2), ("llc", spec.llc)):
        if cache is not None:
            blocks[name] = die.memory(cache.capacity_bytes, cache.line_bytes, 1)
    if spec.vector is not None:
        blocks["vector"] = die.logic(table.lane, spec.vector.lanes)
    if spec.simd is not None:
        # Nobody published a lane of such a unit; one of the normaliser has the same multipliers and tables.
        blocks["simd"] = die.logic(table.lane, spec.simd.lanes)
    leaking = {name: Block(block.area_um2, block.leakage_uw * supply, block.source) for name, block in blocks.items()}
    return Silicon(table.process.nm, leaking)


@dataclass(frozen=True, slots=True)
class _Die:
    """Parts of a table at its node."""

    table: SiliconTable

    def array(self, spec: HardwareSpec) -> Block:
        """Elements of other widths take more or less than the published one as their bare parts do."""
        table, array = self.table, spec.array
        layout = self._um2(table.element) / self._parts_um2(8, 32)
        number = array.rows * array.cols
        area = number * layout * self._parts_um2(array.input_bits, array.accumulator_bits)
        multiplier = self._uw(table.multiplier_leakage) * _squared(array.input_bits)
        adder = self._uw(table.adder_leakage) * array.accumulator_bits / 32
        registers = _register_bits(array.input_bits, array.accumulator_bits) * self._um2(table.register_bit)
        leakage = number * (multiplier + adder + registers * self._logic_uw)
        width = f"{array.input_bits}-bit operands, {array.accumulator_bits}-bit sums"
        source = (
            f"{number:,} elements, {width}: {table.element.origin}; parts {table.multiplier.origin}, "
            f"{table.register_bit.origin}; leakage {table.multiplier_leakage.origin}; between nodes {SOURCE}"
        )
        return Block(area, leakage, source)

    def memory(self, capacity_bytes: int, row_bytes: int, banks: int, *, of_accumulator: bool = False) -> Block:
        """A bare memory, enlarged by what a layout needs around it."""
        table = self.table
        layout = table.accumulator_layout if of_accumulator else table.scratchpad_layout
        areas = [
            Curve(s.row_bytes, s.banks, tuple((p.capacity_bytes, p.um2) for p in s.points)) for s in table.macros.series
        ]
        leaks = [
            Curve(s.row_bytes, s.banks, tuple((p.capacity_bytes, p.uw) for p in s.points)) for s in table.macros.series
        ]
        area = layout.value * interpolated(areas, capacity_bytes, row_bytes, banks)
        leakage = interpolated(leaks, capacity_bytes, row_bytes, banks)
        shape = f"{capacity_bytes / 1024:g} KiB, {row_bytes}-byte rows, {banks} banks"
        return Block(area, leakage, f"{shape}: {table.macros.origin}; area times {layout.value:g}, {layout.origin}")

    def logic(self, part: Area, number: int = 1) -> Block:
        """So many of a part that leaks as logic does."""
        area = number * self._um2(part)
        count = f"{number} lanes: " if number > 1 else ""
        source = f"{count}{part.origin}; leakage {self.table.logic_leakage.origin}"
        return Block(area, area * self._logic_uw, source)

    def _parts_um2(self, input_bits: int, sum_bits: int) -> float:
        table = self.table
        multiplier = self._um2(table.multiplier) * _squared(input_bits)
        adder = self._um2(table.adder) * sum_bits / 32
        return multiplier + adder + _register_bits(input_bits, sum_bits) * self._um2(table.register_bit)

    def _um2(self, part: Area) -> float:
        return part.um2 * area_factor(part.node_nm, self.table.process.nm)

    def _uw(self, part: Leakage) -> float:
        return part.uw * leakage_factor(part.node_nm, self.table.process.nm)

    @property
    def _logic_uw(self) -> float:
        """Leakage of 1 um2 of logic: the circuit that takes it was larger at the node of the figure [uW]."""
        part = self.table.logic_leakage
        return self._uw(part) / area_factor(part.node_nm, self.table.process.nm)


def _squared(bits: int) -> float:
    return (bits / 8) ** 2


def _register_bits(input_bits: int, sum_bits: int) -> int:
    return PE_REGISTERS * input_bits + sum_bits
