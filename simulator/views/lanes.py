"""Rows for spans of units: what overlaps gets rows beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from simulator.report import Span
from simulator.units import UNIT_NAMES

Lane: TypeAlias = tuple[str, int]
"""Unit, and number of the row of slices within it."""


def lanes_of(spans: Sequence[Span]) -> list[int]:
    """Return the lane of each span: the first of its unit that is free, or whose last slice holds it whole.

    Two commands or loops in flight overlap; viewers draw slices of one thread rightly only if they are apart or nested.
    """
    lanes = [0] * len(spans)
    open_ends: dict[str, list[list[int]]] = {}
    order = sorted(range(len(spans)), key=lambda index: (spans[index].start, -spans[index].end, index))
    for index in order:
        span = spans[index]
        unit = open_ends.setdefault(span.unit, [])
        for ends in unit:
            while ends and ends[-1] <= span.start:
                ends.pop()
        lane = next((lane for lane, ends in enumerate(unit) if not ends or span.end <= ends[-1]), len(unit))
        if lane == len(unit):
            unit.append([])
        unit[lane].append(span.end)
        lanes[index] = lane
    return lanes


def lane_names(spans: Sequence[Span], lanes: Sequence[int]) -> dict[Lane, str]:
    """Return names of the lanes in use: units in pipeline order, then any other by name; ``load``, ``load 2``, ..."""
    used = {(span.unit, lane) for span, lane in zip(spans, lanes, strict=True)}
    units = {unit for unit, _ in used}
    order = [unit for unit in UNIT_NAMES if unit in units] + sorted(units.difference(UNIT_NAMES))
    return {
        (unit, lane): unit if lane == 0 else f"{unit} {lane + 1}"
        for unit, lane in sorted(used, key=lambda row: (order.index(row[0]), row[1]))
    }
