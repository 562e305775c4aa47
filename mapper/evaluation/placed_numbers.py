"""Kernels whose results depend on more than the sums of a tile: on where its rows lie, or which column is best.

Their stores are executed where they write: a rotary embedding turns each row by the position that its address tells,
and a choice leaves as the numbers of the columns. Rows that move to where a choice sends them are not executed: their
addresses are known only when the choice was made, and programs move as many rows as there are choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.graph.dram_layout import DramLayout
from mapper.graph.fusion_group import FusionGroup
from simulator.arrays import Ints
from simulator.functional import saturate
from simulator.program import Mvout
from workloads.ops import Rope, TopK


@dataclass(frozen=True, slots=True)
class PlacedStores:
    """What the stores of one operator make of sums.

    Parameters
    ----------
    op
        The operator.
    address
        Of its result in DRAM.
    element_bytes
        Width of an element there.
    """

    op: Rope | TopK
    address: int
    element_bytes: int

    def __call__(self, item: Mvout, sums: Ints) -> Ints:
        """Return the bytes of a store (rows, bytes) for the sums of a tile (rows, columns)."""
        row_bytes = self.op.output.shape[-1] * self.element_bytes
        values = self.rows(sums, (item.target.address - self.address) // row_bytes)
        return values.astype(f"<i{self.element_bytes}").view(np.int8).astype(np.int64)

    def rows(self, sums: Ints, first: int) -> Ints:
        """Return the results of some rows, or parts of rows, from row ``first`` on."""
        if isinstance(self.op, TopK):
            chosen = np.argsort(-sums, axis=1, kind="stable")[:, : self.op.output.shape[1]]
            return np.asarray(chosen.astype(f"<i{self.element_bytes}"), dtype=np.int64)
        turned = self.op.turn(sums.astype(np.float64), first)
        return saturate(np.rint(turned).astype(np.int64), 8 * self.element_bytes)


def placed_stores(group: FusionGroup, layout: DramLayout) -> PlacedStores | None:
    """Return what the stores of a group make where that depends on their place; None for all other groups."""
    op = group.lead
    if group.unit != "simd" or not isinstance(op, (Rope, TopK)):
        return None
    allocation = layout.allocation(group.result)
    return PlacedStores(op, allocation.address, allocation.element_bytes)
