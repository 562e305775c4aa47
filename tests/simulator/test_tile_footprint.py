"""The blocks of a tile, and the largest tiles that fit: for integers and for columns."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.tile_footprint import accumulator_blocks, deepest_k, scratchpad_blocks, widest_n

EXTENT = st.integers(1, 200)


def test_a_tile_by_hand() -> None:
    """2 x 3 blocks of A and 3 x 4 of B in the scratchpad, 2 x 4 of C in the accumulator."""
    assert scratchpad_blocks(2, 3, 4) == 2 * 3 + 3 * 4
    assert accumulator_blocks(2, 4) == 8


@given(EXTENT, EXTENT, st.integers(0, 10_000))
def test_the_largest_extents_fit_and_the_next_do_not(m: int, n: int, capacity: int) -> None:
    k, widest = deepest_k(m, n, capacity), widest_n(m, capacity)
    assert scratchpad_blocks(m, k, n) <= capacity < scratchpad_blocks(m, k + 1, n)
    assert accumulator_blocks(m, widest) <= capacity < accumulator_blocks(m, widest + 1)


@given(st.lists(st.tuples(EXTENT, EXTENT, EXTENT), min_size=1, max_size=9), st.integers(0, 10_000))
def test_columns_are_their_entries(tiles: list[tuple[int, int, int]], capacity: int) -> None:
    m, k, n = (np.array(column, dtype=np.int64) for column in zip(*tiles, strict=True))
    assert scratchpad_blocks(m, k, n).tolist() == [scratchpad_blocks(*tile) for tile in tiles]
    assert deepest_k(m, n, capacity).tolist() == [deepest_k(tile[0], tile[2], capacity) for tile in tiles]
