"""Tables of the latency model made flat, so that one index serves all of them for a step of the pipeline.

table[m, k, n, mapping]                        0: full tile, 1: last one; an axis that does not matter has length 1
flat[((2 m + k) 2 + n) mappings + mapping]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

import numpy as np

from simulator.arrays import Bools, Floats, Ints

Kinds = TypeVarTuple("Kinds")
"""What selects a table: kinds of touches, of addends, of stores."""


class KindTables:
    """Flat tables, each made when first asked for: every step of the recurrence takes its entries from the same few."""

    def __init__(self, mappings: int) -> None:
        self._mappings = mappings
        self._flat: dict[tuple[object, ...], Floats] = {}

    def index(self, last_m: Bools, last_k: Bools, last_n: Bools, mappings: Ints) -> Ints:
        """Return the places of some mappings' loops, by whether their tile is the last one along m, k and n."""
        place: Ints = ((last_m * 2 + last_k) * 2 + last_n) * self._mappings + mappings
        return place

    def take(self, index: Ints, table: Callable[[*Kinds], Floats | Ints], *kinds: *Kinds) -> Floats:
        """Return the entries of the table that a method of `LoopTimes` or `StoreTimes` makes for these kinds."""
        key = table, *kinds
        if key not in self._flat:
            shape = (2, 2, 2, self._mappings)
            self._flat[key] = np.ascontiguousarray(np.broadcast_to(table(*kinds), shape), dtype=np.float64).ravel()
        return self._flat[key][index]
