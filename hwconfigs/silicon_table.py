"""What an energy YAML says of the die: areas and leakage, each with the node that its figure belongs to."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from hwconfigs import quantity
from hwconfigs.limits import between
from hwconfigs.parts import Bytes, Count, Part
from hwconfigs.sourced import Factor, Sourced
from hwconfigs.technology import Node

Um2 = Annotated[float, BeforeValidator(quantity.area_um2), between(0, 10**12, "um2")]
Uw = Annotated[float, BeforeValidator(quantity.power_uw), between(0, 10**9, "uW")]


Macro = between(1e-9, 10**12)
"""A bare memory has some of either: figures between two points follow their ratio."""


class Process(Sourced):
    """The node in which the machine is made."""

    nm: Node


class Area(Sourced):
    """One area."""

    um2: Um2
    """[um2]"""
    node_nm: Node
    """Where it was found. [nm]"""


class Leakage(Sourced):
    """One leakage power."""

    uw: Uw
    """[uW]"""
    node_nm: Node
    """Where it was found. [nm]"""


class MacroPoint(Part):
    """Area and leakage of a memory of one capacity."""

    capacity_bytes: Bytes
    um2: Annotated[Um2, Macro]
    uw: Annotated[Uw, Macro]


class MacroSeries(Part):
    """Memories of equal row width and number of banks, by rising capacity."""

    row_bytes: Bytes
    banks: Count = 1
    points: Annotated[
        tuple[MacroPoint, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v), Field(min_length=1)
    ]


class MacroTable(Sourced):
    """Bare memories of one tool run, at the node of the table."""

    series: Annotated[
        tuple[MacroSeries, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v), Field(min_length=1)
    ]


class SiliconTable(Part):
    """Areas and leakage of the parts that machines are made of."""

    process: Process
    multiplier: Area
    """int8 x int8; another width by its square."""
    adder: Area
    """32 bits; another width in proportion."""
    register_bit: Area
    element: Area
    """A whole processing element of 8-bit operands and 32-bit sums as it was laid out."""
    controllers: Area
    """DMA, controllers and what else an accelerator has beside array and memories."""
    lane: Area
    """One lane of the normaliser, with its share of the tables and of the row statistics."""
    core: Area
    """The host core with its caches."""
    scratchpad_layout: Factor
    """Laid out scratchpad over the bare memory; caches are taken to need as much."""
    accumulator_layout: Factor
    """Laid out accumulator, its adders included, over the bare memory."""
    macros: MacroTable
    multiplier_leakage: Leakage
    """int8 x int8; another width by its square."""
    adder_leakage: Leakage
    """32 bits; another width in proportion."""
    logic_leakage: Leakage
    """Of 1 um2 of logic, for what has no figure of its own."""
