"""The time of a program between two simulated ones that differ from it in addresses alone."""

from __future__ import annotations

from dataclasses import replace

from simulator.report import Report, UnitTime


def drift(first: float, last: float, memory_cycles: float) -> float:
    """Return how far a program has drifted from a first one towards a last one, by the time of its misses; 0 to 1."""
    distance = last - first
    if not distance:
        return 0.5
    return min(1.0, max(0.0, (memory_cycles - first) / distance))


def interpolated(first: Report, last: Report, share: float) -> Report:
    """Return a report whose times lie ``share`` of the way between those of two others.

    Every unit's busy, stalled and idle cycles still add up to the cycles of the report.
    """
    cycles = _between(first.cycles, last.cycles, share)
    units = {unit: _unit_time(time, last.units[unit], share, cycles) for unit, time in first.units.items()}
    return replace(first, cycles=cycles, units=units, spans=())


def _unit_time(first: UnitTime, last: UnitTime, share: float, cycles: int) -> UnitTime:
    busy = _between(first.busy_cycles, last.busy_cycles, share)
    rest = cycles - busy
    stalls: dict[str, int] = {}
    for cause in sorted({*first.stall_cycles, *last.stall_cycles}):
        stalled = _between(first.stall_cycles.get(cause, 0), last.stall_cycles.get(cause, 0), share)
        # Each number is rounded by itself: together they may exceed the cycles of the report by a few.
        stalls[cause] = min(rest, stalled)
        rest -= stalls[cause]
    return UnitTime(busy, stalls, rest)


def _between(first: int, last: int, share: float) -> int:
    return round(first + share * (last - first))
