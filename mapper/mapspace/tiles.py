"""The DRAM tiles of a batch of mappings: along each dimension equal full ones, then a last one that may be ragged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from simulator.arrays import Ints

FULL, LAST = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A dimension cut in tiles (columns)."""

    trips: Ints
    """Number of tiles."""
    blocks: Ints
    """Array blocks of a full tile and of the last one (2 x columns)."""
    last_rows: tuple[int, int]
    """Elements of the last block of either."""


def cut(size: int, tile: Ints, dim: int) -> Cut:
    """Cut ``size`` elements in tiles of ``tile`` blocks of ``dim``."""
    blocks = -(-size // dim)
    trips = -(-blocks // tile)
    return Cut(trips, np.stack([tile, blocks - (trips - 1) * tile]), (dim, size - (blocks - 1) * dim))


def cuts(batch: Batch, problem: MatmulProblem, dim: int) -> dict[str, Cut]:
    """Cut every dimension as the mappings of ``batch`` do."""
    tiles = (batch.tile_m, batch.tile_k, batch.tile_n)
    return {name: cut(problem.dims[name], tile, dim) for name, tile in zip(DIMS, tiles, strict=True)}
