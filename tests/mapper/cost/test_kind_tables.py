"""Stacked tables give what the axes of the tables say."""

from __future__ import annotations

import numpy as np

from mapper.cost.latency.kind_tables import KindTables
from simulator.arrays import Ints


def test_an_index_finds_tile_kinds_and_mappings() -> None:
    """A table without an axis for k, of four mappings, by two factors; one place is the last tile along m and n."""
    table = np.arange(2 * 1 * 2 * 4).reshape(2, 1, 2, 4)
    made: list[int] = []

    def scaled(factor: int) -> Ints:
        made.append(factor)
        return table * factor

    tables = KindTables()
    rows = [tables.row(scaled, factor) for factor in (1, 10, 10)]
    assert rows == [0, 1, 1]
    stack = tables.stacked(4)
    assert made == [1, 10], "a table is made once"
    for m, k, n, mapping in np.ndindex(2, 2, 2, 4):
        place = ((2 * m + k) * 2 + n) * 4 + mapping
        assert stack[rows, place].tolist() == [factor * table[m, 0, n, mapping] for factor in (1, 10, 10)]
