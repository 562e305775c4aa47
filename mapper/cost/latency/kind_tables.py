"""Tables of the latency model made flat and stacked, so that one index serves all of them for a loop of a mapping.

table[m, k, n, mapping]                        0: full tile, 1: last one; an axis that does not matter has length 1
stack[row, ((2 m + k) 2 + n) mappings + mapping]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

import numpy as np

from simulator.arrays import Floats, Ints

Kinds = TypeVarTuple("Kinds")
"""What selects a table: kinds of touches, of addends, of stores."""


class KindTables:
    """Numbers the tables that methods of `LoopTimes` and `StoreTimes` make for some kinds, and makes each once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], int] = {}
        self._made: list[Callable[[], Floats | Ints]] = []

    def row(self, table: Callable[[*Kinds], Floats | Ints], *kinds: *Kinds) -> int:
        """Return the row of a table for these kinds."""
        key = table, *kinds
        if key not in self._rows:
            self._rows[key] = len(self._made)
            self._made.append(lambda: table(*kinds))
        return self._rows[key]

    def stacked(self, mappings: int) -> Floats:
        """Return all tables that have a row (rows x 8 ``mappings``)."""
        stack = np.empty((len(self._made), 2, 2, 2, mappings))
        for row, make in enumerate(self._made):
            stack[row] = make()
        return stack.reshape(len(self._made), 8 * mappings)
