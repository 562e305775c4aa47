"""Accumulator banks: a read for a store starves while the array accumulates into the same bank.

Two ports serve one read and one write, but an accumulating write is a read-modify-write: while the write-back of
accumulating steps covers the present, mvout reads of that bank wait (project notes on calibration, section 1.5).
"""

from __future__ import annotations

from collections import deque

from hwconfigs import SramSpec


class AccumulatorBanks:
    """Intervals in which each bank is taken by accumulating write-backs."""

    def __init__(self, spec: SramSpec) -> None:
        self._taken: list[deque[list[int]]] = [deque() for _ in range(spec.banks)]

    def accumulate(self, bank: int, start: int, end: int) -> None:
        """Results are accumulated into ``bank`` during ``[start, end)``; calls come in time order."""
        taken = self._taken[bank]
        if taken and start <= taken[-1][1]:
            taken[-1][1] = max(taken[-1][1], end)
        else:
            taken.append([start, end])

    def window(self, bank: int, now: int) -> tuple[int, int | None]:
        """When ``bank`` can next be read, and until when (None: no end known). [cycles]"""
        taken = self._taken[bank]
        while taken and taken[0][1] <= now:
            taken.popleft()
        if not taken:
            return now, None
        start, end = taken[0]
        if start > now:
            return now, start
        following = taken[1][0] if len(taken) > 1 else None
        return end, following
