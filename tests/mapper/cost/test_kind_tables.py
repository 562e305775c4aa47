"""Flat tables give what the axes of the tables say."""

from __future__ import annotations

import numpy as np

from mapper.cost.latency.kind_tables import KindTables
from simulator.arrays import Ints


def test_an_index_finds_tile_kinds_and_mappings() -> None:
    """A table without an axis for k, of four mappings; two of them ask, one for its last tile along m, one along n."""
    table = np.arange(2 * 1 * 2 * 4).reshape(2, 1, 2, 4)
    made: list[int] = []

    def scaled(factor: int) -> Ints:
        made.append(factor)
        return table * factor

    tables = KindTables(4)
    yes_no, no_yes = np.array([True, False]), np.array([False, True])
    index = tables.index(yes_no, no_yes, no_yes, np.array([1, 3]))
    for factor in (1, 10, 10):
        assert tables.take(index, scaled, factor).tolist() == [factor * table[1, 0, 0, 1], factor * table[0, 0, 1, 3]]
    assert made == [1, 10], "a table is made once"
