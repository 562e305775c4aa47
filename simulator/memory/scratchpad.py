"""Scratchpad banks: single-ported, and a DMA write wins over an operand read.

Every row that DMA writes into a bank delays the operand read of that bank in the running step by one cycle
(project notes on calibration, section 1.3: leaving this out costs 10.8 % mean error).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import accumulate

from hwconfigs import SramSpec


@dataclass(slots=True)
class _Rows:
    """Rows that one mvin writes: when, and how many, in time order."""

    times: list[int]
    rows: list[int]
    done: int = 0
    """Writes that are over."""

    def taken(self, start: int, end: int) -> int:
        """Rows written in ``(start, end]``; writes until ``end`` are over."""
        first = bisect_right(self.times, start, self.done)
        self.done = bisect_right(self.times, end, first)
        return sum(self.rows[first : self.done])


class ScratchpadBanks:
    """Pending DMA row writes of each bank, in time order."""

    def __init__(self, spec: SramSpec) -> None:
        self.rows_per_bank = spec.rows_per_bank
        self._dual_ported = spec.ports > 1
        self._writes: list[deque[_Rows]] = [deque() for _ in range(spec.banks)]

    def bank_of(self, row: int) -> int:
        return min(row // self.rows_per_bank, len(self._writes) - 1)

    def write(self, bank: int, times: list[int], rows: list[int]) -> None:
        """Announce rows that DMA will write: when, and how many, in time order."""
        if times and not self._dual_ported:
            self._writes[bank].append(_Rows(times, rows))

    def load(self, row: int, count: int, times: list[int], rows: list[int]) -> None:
        """Announce the rows of one mvin that fills ``count`` on-chip rows from ``row`` on, perhaps of two banks.

        A row of DRAM goes to all blocks of the mvin, so both banks are written in turn, in proportion to their share.
        """
        bank = self.bank_of(row)
        if self.bank_of(row + count - 1) == bank:
            self.write(bank, times, rows)
            return
        below = (bank + 1) * self.rows_per_bank - row
        ends = list(accumulate(rows))
        # Shares of the running total, so that no row is lost or doubled by rounding.
        first = [end * below // count - (end - part) * below // count for end, part in zip(ends, rows, strict=True)]
        self.write(bank, times, first)
        self.write(bank + 1, times, [part - share for part, share in zip(rows, first, strict=True)])

    def rows_written(self, bank: int, start: int, end: int) -> int:
        """Rows written into ``bank`` in ``(start, end]``; earlier ones are forgotten."""
        writes = self._writes[bank]
        # Rows of mvins in flight arrive in turns: one that is not through says nothing of those behind it.
        rows = sum(ahead.taken(start, end) for ahead in writes)
        while writes and writes[0].done == len(writes[0].times):
            writes.popleft()
        return rows

    def delay(self, first: int, second: int, start: int, end: int) -> int:
        """Cycles by which a step that reads banks ``first`` and ``second`` in ``(start, end]`` is held up."""
        if second == first or second < 0:
            return self.rows_written(first, start, end)
        return max(self.rows_written(first, start, end), self.rows_written(second, start, end))
