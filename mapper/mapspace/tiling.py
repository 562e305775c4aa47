"""How a batch of mappings tiles the dimensions of a problem: equal full tiles, then a last one that may be ragged.

├─ block ─┼─ block ─┼─ block ─┼─ block ─┼─ blo┤      5 blocks, the last one short
├────── full ───────┼────── full ───────┼ last┤      tiles of 2 blocks: 3 trips, the last one of 1 block
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from simulator.arrays import Ints

FULL, LAST = 0, 1
"""Places of a full tile and of the last one on the first axis of `DimensionTiling.blocks`, and of tables over it."""


@dataclass(frozen=True, slots=True, eq=False)
class DimensionTiling:
    """The tiles along one dimension (columns)."""

    trips: Ints
    """Number of tiles."""
    blocks: Ints
    """Array blocks of a full tile and of the last one (2 x columns)."""
    last_rows: tuple[int, int]
    """Elements of the last block of either."""

    @property
    def total_blocks(self) -> Ints:
        """Array blocks of the whole dimension, the same for every mapping."""
        total: Ints = (self.trips - 1) * self.blocks[FULL] + self.blocks[LAST]
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Tilings:
    """The tiles along m, k and n."""

    m: DimensionTiling
    k: DimensionTiling
    n: DimensionTiling

    def along(self, dimension: str) -> DimensionTiling:
        """Return the tiling of a dimension by its name."""
        return {"m": self.m, "k": self.k, "n": self.n}[dimension]


def tile_dimension(size: int, tile: Ints, side: int) -> DimensionTiling:
    """Tile ``size`` elements by ``tile`` blocks of ``side`` elements."""
    blocks = -(-size // side)
    trips = -(-blocks // tile)
    return DimensionTiling(trips, np.stack([tile, blocks - (trips - 1) * tile]), (side, size - (blocks - 1) * side))


def tilings_of(batch: Batch, problem: MatmulProblem, side: int) -> Tilings:
    """Tile every dimension as the mappings of ``batch`` do, for an array of ``side`` x ``side``."""
    return Tilings(
        tile_dimension(problem.m, batch.tile_m, side),
        tile_dimension(problem.k, batch.tile_k, side),
        tile_dimension(problem.n, batch.tile_n, side),
    )
