"""What an energy YAML contains: picojoules, each with its source and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hwconfigs.kernels import UNIT_KERNELS
from hwconfigs.limits import between, one_of
from hwconfigs.parts import Part
from hwconfigs.silicon_table import SiliconTable
from hwconfigs.sourced import Factor, Sentence, Sourced
from hwconfigs.sram_energy import Energy, SramSeries


class Entry(Sourced):
    """One energy."""

    pj: Energy
    """[pJ]"""


class PeModel(Sourced):
    """Which registers move in a processing element."""

    kind: Literal["systolic", "weight_register"]
    """systolic: a MAC shifts its activation and its partial sum, a weight passes half of the rows on its way;
    weight_register: a MAC reads its weight, a weight is written once."""


class Arithmetic(Part):
    """Energy per operation."""

    int8_multiply: Entry
    int32_multiply: Entry
    int32_add: Entry
    register_bit: Entry
    """One bit written into a pipeline register."""


class PerByte(Sourced):
    """The same energy for every byte, whatever the memory's size."""

    read_pj: Energy
    write_pj: Energy


class PointTable(Sourced):
    """Points of one tool run."""

    series: Annotated[
        tuple[SramSeries, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v), Field(min_length=1)
    ]


class SramTable(Part):
    """Energies of the SRAMs: points to interpolate between, or one number per byte."""

    points: PointTable | None = None
    per_byte: PerByte | None = None


class Wire(Part):
    """The way between the DMA and the memory system."""

    bit_mm: Entry
    """Per bit and millimetre, switching activity included."""
    length_mm: Factor
    """Length of the way. [mm]"""


class OperationCount(Sourced):
    """Arithmetic of one element in a vector unit."""

    int32_multiplies: Annotated[int, between(0, 10**6)]
    int32_adds: Annotated[int, between(0, 10**6)]


REQUANTISE = "requantise"
"""Action of the store pipeline on an element that leaves as int8, with or without a kernel."""


def _vector_action(name: str) -> str:
    return one_of(name, (*UNIT_KERNELS, REQUANTISE))


VectorAction = Annotated[str, AfterValidator(_vector_action)]
Memory = Literal["default", "scratchpad", "accumulator", "l2", "llc"]


class TableBody(Part):
    """All entries of an energy YAML."""

    name: str
    description: Sentence
    source: Sentence
    pe: PeModel
    arithmetic: Arithmetic
    sram: Mapping[Memory, SramTable]
    """By memory; ``default`` is for those not named."""
    dram: Mapping[str, Entry]
    """Per byte, by kind of DRAM; ``any`` is for kinds not named."""
    wire: Wire
    vector: Mapping[VectorAction, OperationCount]
    sfu_energy_scale: Factor
    """Multiplies every vector kernel (not requantisation): control, row buffers and tables of a real unit."""
    host_cycle: Entry
    """Host core, per busy cycle."""
    supply_v: Factor | None = None
    """Supply at which the energies on chip hold [V]; None: a machine cannot choose its own."""
    silicon: SiliconTable | None = None
    """Areas and leakage; None: not accounted, energies are dynamic only."""
