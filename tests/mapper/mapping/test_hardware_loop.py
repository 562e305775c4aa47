"""What follows from the order of the DRAM loops alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mapper.mapping.hardware_loop import spills
from mapper.mapspace.batch import ORDERS


@pytest.mark.parametrize("order", ORDERS)
def test_sums_spill_when_another_tile_of_c_comes_between(order: str) -> None:
    """Against the sequence of tiles of C: each change before its last k tile stores its sums and loads them again."""
    every = list(itertools.product((1, 2, 3), repeat=3))
    columns = (np.array(column, dtype=np.int64) for column in zip(*every, strict=True))
    assert spills(order, *columns).tolist() == [_spills_by_hand(order, *trips) for trips in every]
    assert [spills(order, *trips) for trips in every] == [_spills_by_hand(order, *trips) for trips in every]


def _spills_by_hand(order: str, m: int, k: int, n: int) -> int:
    trips = {"m": m, "k": k, "n": n}
    visits = [dict(zip(order, place, strict=True)) for place in itertools.product(*(range(trips[d]) for d in order))]
    tiles = [(visit["m"], visit["n"]) for visit in visits]
    changes = [at for at, (tile, following) in enumerate(itertools.pairwise(tiles), start=1) if tile != following]
    return sum(tiles[at - 1] in tiles[at:] for at in changes) // (m * n)
