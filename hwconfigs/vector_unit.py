"""The vector section of a machine: the normaliser, and what each of Gemmini's versions of it takes.

Its cycles come from ``vector.version`` where a machine does not give them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from hwconfigs.kernels import unit_kernel
from hwconfigs.parts import Count, Cycles, Part, to_tuple

UnitKernel = Annotated[str, AfterValidator(unit_kernel)]
Version = Literal["8c3f992", "v0.7.2", "v0.7.1"]
DEFAULT_VERSION: Version = "8c3f992"
"""Current main of Gemmini."""


class VectorSpec(Part):
    """Normalisation and activation units behind the accumulator (Gemmini's I-BERT build)."""

    version: Version = DEFAULT_VERSION
    """Gemmini whose unit this is; what the machine does not say otherwise is taken from it."""
    kernels: Annotated[tuple[UnitKernel, ...], BeforeValidator(to_tuple), Field(min_length=1)]
    """Operators the units evaluate on chip."""
    lanes: Count = 16
    """Elements per cycle, of the normaliser's passes and of activations in the store pipeline.

    The accumulator delivers a block of a row per cycle: more lanes than columns of the array stand idle.
    """
    statistics_slots: Count
    """Rows whose statistics are kept at once."""
    online_softmax: bool = False
    """Maximum and sum of exponentials in one pass, which rescales the sum by each new maximum."""
    rescale_cycles: Cycles = 1
    """Lanes taken per block of that pass to rescale the sum; no machine was built, so this is chosen."""
    writes_scratchpad: bool = False
    """Results of the store pipeline, normalised or not, may go to the scratchpad, a block of a row per cycle.

    Where they may not, what lies between two matmuls passes through memory.
    """
    max_cycles_per_block: Count = 2
    """Cycles per accumulator row of the max pass; the other passes take one (RTL)."""
    mean_cycles: Cycles
    """Division that ends a sum or variance pass, in the one divider (measured)."""
    inverse_deviation_cycles: Cycles
    """After the division of a variance pass: root and reciprocal, beside the divider (measured)."""
    inverse_sum_cycles: Cycles
    """Division that ends an exponential pass, in the one divider (measured)."""
    one_exponential_cycles: Cycles
    """The same of a row of one element (measured)."""
    drain_cycles: Cycles
    """Last block of a sum or variance pass to its division, while no other row may enter the lanes (measured)."""
    sum_drain_cycles: Cycles
    """Last block of an exponential pass to its division, if no other exponential enters the lanes (measured)."""
    max_drain_cycles: Cycles
    """Max lanes empty to the first exponential of any row (measured)."""
    one_block_lead_cycles: Cycles
    """By how much sooner the division of a row of one block begins (fitted)."""
    command_gap_cycles: Cycles
    """Last read of a store command to the first read of the next, which waits until the one before is complete.

    0: it only waits until that one was issued. Plain stores of the machine keep this distance, too.
    """

    @property
    def rescales(self) -> tuple[str, ...]:
        """Kernels that multiply a running sum once per block of a row; the product counts as one element."""
        return ("softmax",) if self.online_softmax and "softmax" in self.kernels else ()

    def block_cycles(self, cols: int) -> int:
        """Return the time of a block of a row, ``cols`` elements, in the lanes. [cycles]"""
        return -(-cols // self.lanes)


class UnitVersion(NamedTuple):
    """What one version of the unit takes, and where that comes from."""

    values: Mapping[str, int]
    """Fields of `VectorSpec`."""
    source: str


def _version(
    slots: int, divisions: tuple[int, int, int, int], drains: tuple[int, int, int, int], gap: int
) -> dict[str, int]:
    """Return fields: cycles of mean, inverse deviation, inverse sum, one exponential; drains; command gap."""
    names = ("mean_cycles", "inverse_deviation_cycles", "inverse_sum_cycles", "one_exponential_cycles")
    empty = ("drain_cycles", "sum_drain_cycles", "max_drain_cycles", "one_block_lead_cycles")
    cycles = {**dict(zip(names, divisions, strict=True)), **dict(zip(empty, drains, strict=True))}
    return {"statistics_slots": slots, **cycles, "command_gap_cycles": gap}


VERSIONS: Mapping[str, UnitVersion] = {
    "8c3f992": UnitVersion(
        _version(2, (18, 36, 14, 0), (6, 12, 3, 3), 3),
        "measured, RTL of the store side of ucb-bar/gemmini 8c3f992: mean error of softmax 0.5 %, of LayerNorm 0.4;"
        " sum_drain is 9 when the unit is fed at once",
    ),
    "v0.7.2": UnitVersion(
        _version(2, (18, 36, 14, 0), (6, 9, 3, 0), 0),
        "measured, RTL of the store side of Gemmini v0.7.2: mean error of softmax 0.3 %, of LayerNorm 0.4;"
        " the unit of 8c3f992 behind the store controller of v0.7.1",
    ),
    "v0.7.1": UnitVersion(
        _version(4, (33, 60, 25, 25), (6, 6, 0, 0), 0),
        "measured, RTL of the store side of Gemmini v0.7.1: mean error of softmax 0.2 %, of LayerNorm 0.5;"
        " in the SoC 0.7 % of repeated fused products",
    ),
}
"""Versions by name."""
