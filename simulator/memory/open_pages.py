"""Open pages of the DRAM: which access finds its row in the row buffer of its bank, and which has to open it.

    line number    │ row ········ │ rank │ bank │ column │      (`hwconfigs` field ``dram.pages.mapping``)

A bank holds one row open. An access to that row is a hit; one to another row first closes it (a conflict); the first
access to a bank only opens one. Outcomes depend on the order of accesses, like those of the caches, and are replayed in
that order; the time that each takes is found by ``simulator.memory.recurrences``. Lines that a cache writes back are
left out: which ones they are is not known.
"""

from __future__ import annotations

import numpy as np

from hwconfigs import DramPagesSpec
from simulator.arrays import Ints
from simulator.memory.recurrences import CONFLICT, ROW_HIT, ROW_STATES, UNOPENED

_CLOSED = -1
"""Row of a bank that holds none open."""


class OpenPages:
    """Row buffers of all banks; ``replay`` advances them.

    Parameters
    ----------
    spec
        Banks, and which bits of an address choose among them.
    line_bytes
        What an access moves.
    """

    def __init__(self, spec: DramPagesSpec, line_bytes: int) -> None:
        self._spec = spec
        self._line_bytes = line_bytes
        self._open = np.full(spec.all_banks, _CLOSED, dtype=np.int64)

    def copy(self) -> OpenPages:
        """Independent row buffers in the same state."""
        twin = OpenPages(self._spec, self._line_bytes)
        twin._open = self._open.copy()
        return twin

    def contents(self) -> tuple[Ints]:
        """Return the row that each bank holds open."""
        return (self._open,)

    def decode(self, lines: Ints) -> tuple[Ints, Ints]:
        """Return the bank among those of all channels, and the row, of each line number."""
        spec, rest = self._spec, lines
        sizes = {"row": spec.rows, "rank": spec.ranks, "bank": spec.banks, "channel": spec.channels}
        sizes["column"] = spec.page_bytes // self._line_bytes
        chosen: dict[str, Ints] = {}
        for part in reversed(spec.mapping):
            chosen[part] = rest % sizes[part]
            rest = rest // sizes[part]
        return (chosen["channel"] * spec.ranks + chosen["rank"]) * spec.banks + chosen["bank"], chosen["row"]

    def replay(self, lines: Ints) -> Ints:
        """Access lines in order; return of each ``ROW_STATES`` x its bank + what it finds there."""
        bank, row = self.decode(lines)
        # Accesses of one bank behind one another, in their order: each finds the row of the one before it.
        order = np.argsort(bank, kind="stable")
        banks, rows = bank[order], row[order]
        begins = np.concatenate(([True], banks[1:] != banks[:-1])) if len(lines) else np.zeros(0, dtype=bool)
        found = np.where(begins, self._open[banks], np.roll(rows, 1))
        self._open[banks] = rows
        state = np.where(found == rows, ROW_HIT, np.where(found == _CLOSED, UNOPENED, CONFLICT))
        place = np.empty_like(bank)
        place[order] = ROW_STATES * banks + state
        return place
