"""Tile extents along each dimension that a search tries: all of them, unless there are too many.

A dimension of more than `EVERY` extents that could fit is thinned: half of `EVERY` small ones stay, and of the larger
ones the smallest that gives each number of tiles (the others give as many tiles, only more ragged ones), those again
thinned to as many at equal ratios. Where the memories are so large that more than `MOST_TILES` tiles would fit, all
dimensions are thinned to fewer extents. A search is exhaustive on what is kept.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from simulator.arrays import Ints
from simulator.tile_footprint import accumulator_blocks, deepest_k

EVERY = 1024
"""Extents of a dimension up to which all are tried: 16,384 elements on an array of 16, 4,096 on one of 4."""

MOST_TILES = 1_000_000
"""Tiles tried at most; each stands for up to twelve candidates of about 2 us."""


@lru_cache(maxsize=64)
def sizes_to_try(blocks: tuple[int, int, int], scratchpad: int, accumulator: int) -> tuple[Ints, Ints, Ints]:
    """Return the extents to try along m, k, n [blocks].

    Parameters
    ----------
    blocks
        Sizes of the problem [blocks].
    scratchpad, accumulator
        Capacities; a tile is at most the whole accumulator high or wide, and half of the scratchpad deep [blocks].
    """
    m, k, n = blocks
    every = EVERY
    while True:
        tried = (
            extents(m, accumulator, every),
            extents(k, deepest_k(1, 1, scratchpad), every),
            extents(n, accumulator, every),
        )
        if every <= 32 or fitting(tried, scratchpad, accumulator) <= MOST_TILES:
            return tried
        every //= 2


def fitting(tried: tuple[Ints, Ints, Ints], scratchpad: int, accumulator: int) -> int:
    """Return how many tiles fit the whole memories."""
    all_m, all_k, all_n = tried
    pair_m, pair_n = all_m[:, None], all_n[None, :]
    depth = np.searchsorted(all_k, deepest_k(pair_m, pair_n, scratchpad), side="right")
    return int(depth[accumulator_blocks(pair_m, pair_n) <= accumulator].sum())


def extents(size: int, most: int, every: int = EVERY) -> Ints:
    """Return extents of 1 up to ``most`` for a dimension of ``size``, about ``every``; at least one [blocks]."""
    largest = max(1, min(size, most))
    if largest <= every:
        return np.arange(1, largest + 1, dtype=np.int64)
    small = np.arange(1, every // 2 + 1, dtype=np.int64)
    fewest, many = -(-size // largest), -(-size // (every // 2))
    trips = np.unique(np.geomspace(fewest, many, every // 2).round().astype(np.int64))
    return np.unique(np.concatenate([small, -(-size // trips), [largest]]))


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """Return (owner, index within owner) for ``counts[owner]`` members each."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return owner, np.arange(len(owner), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
