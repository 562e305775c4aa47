"""Cycle account of one unit: every cycle is busy, stalled for a named cause, or idle."""

from __future__ import annotations

from simulator.report import Span, UnitTime


class CycleAccount:
    """Adds up the busy and stalled cycles of a unit; what is left at the end is idle.

    Parameters
    ----------
    unit
        Name of the unit.
    spans
        Where the unit's stretches of activity are recorded, for traces; None: nowhere.
    """

    __slots__ = ("_told", "busy", "spans", "stalls", "unit")

    def __init__(self, unit: str, spans: list[Span] | None) -> None:
        self.unit = unit
        self.busy = 0
        self.stalls: dict[str, int] = {}
        self.spans = spans
        self._told = 0
        """Busy cycles of the stretches recorded so far."""

    def stall(self, cause: str, cycles: int) -> None:
        """Book a wait; a wait of zero cycles adds no cause."""
        if cycles > 0:
            self.stalls[cause] = self.stalls.get(cause, 0) + cycles

    def span(self, name: str, start: int, end: int, work: int | None = None) -> None:
        """Record a stretch of activity, unless it is empty or none are kept: busy in it is what the last left out."""
        if self.spans is not None and end > start:
            self.spans.append(Span(self.unit, name, start, end, work, busy_cycles=self.busy - self._told))
            self._told = self.busy

    def total(self, cycles: int) -> UnitTime:
        """Close the account over a run of ``cycles``; stalls that outlast the run are cut off, busy time never is."""
        left = cycles - self.busy
        stalls: dict[str, int] = {}
        for cause in sorted(self.stalls):
            taken = min(self.stalls[cause], left)
            if taken > 0:
                stalls[cause] = taken
                left -= taken
        return UnitTime(self.busy, stalls, left)
