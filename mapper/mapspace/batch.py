"""Candidates of the hardware-loop mapspace in columns: one order, one buffering, one choice of held operands.

The cost model works on whole columns of tiles; what it decides by cases is the same for a whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.mapping.hardware_loop import HardwareLoop
from simulator.arrays import Bools, Ints
from workloads.ops.matrices import MatrixDim

ORDERS = ("mnk", "nmk", "mkn", "nkm", "kmn", "knm")
"""DRAM loop orders, outer to inner; the ones that keep partial sums on chip first."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Candidates that differ only in their tiles (columns of equal length)."""

    order: str
    double_buffered: bool
    held: frozenset[str]
    tile_m: Ints
    tile_k: Ints
    tile_n: Ints

    def __len__(self) -> int:
        return len(self.tile_m)

    def tile(self, dim: MatrixDim) -> Ints:
        """Tile extents along a dimension [array blocks]."""
        return {"m": self.tile_m, "k": self.tile_k, "n": self.tile_n}[dim]

    def loop(self, row: int) -> HardwareLoop:
        """Return candidate ``row``."""
        tiles = int(self.tile_m[row]), int(self.tile_k[row]), int(self.tile_n[row])
        return HardwareLoop(*tiles, self.order, self.double_buffered, self.held)

    def take(self, rows: slice | Bools | Ints) -> Batch:
        """Return the chosen rows."""
        columns = self.tile_m[rows], self.tile_k[rows], self.tile_n[rows]
        return Batch(self.order, self.double_buffered, self.held, *columns)


def batch_of(loop: HardwareLoop) -> Batch:
    """Return a batch of one."""
    columns = (np.array([tile], dtype=np.int64) for tile in loop.tiles)
    return Batch(loop.order, loop.double_buffered, loop.held, *columns)
