"""Figures of an SRAM that is not in the table, such as its energy per row: interpolated in capacity, then in row width.

Both are straight lines between neighbouring points in log-log axes, because CACTI's energies follow power laws
(128-bit reads at 22 nm rise as capacity^0.56). Outside the points the line continues from the nearest one with the
slope of the whole series. In width that slope is held between 0 and 1: doubling a row at most doubles the energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field

from hwconfigs import quantity
from hwconfigs.limits import between
from hwconfigs.parts import Bytes, Count, Part

Energy = Annotated[float, BeforeValidator(quantity.energy_pj), between(0, 10**12, "pJ")]


class SramPoint(Part):
    """Energy per row access at one capacity."""

    capacity_bytes: Bytes
    read_pj: Energy
    write_pj: Energy


class SramSeries(Part):
    """Points of equal row width and number of banks, by rising capacity."""

    row_bytes: Bytes
    banks: Count = 1
    points: Annotated[
        tuple[SramPoint, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v), Field(min_length=1)
    ]


def access_pj(series: Sequence[SramSeries], capacity_bytes: int, row_bytes: int, banks: int) -> tuple[float, float]:
    """Energy of reading and of writing one row. [pJ]"""
    reads = tuple(Curve(s.row_bytes, s.banks, tuple((p.capacity_bytes, p.read_pj) for p in s.points)) for s in series)
    writes = tuple(Curve(s.row_bytes, s.banks, tuple((p.capacity_bytes, p.write_pj) for p in s.points)) for s in series)
    return interpolated(reads, capacity_bytes, row_bytes, banks), interpolated(writes, capacity_bytes, row_bytes, banks)


class Curve(NamedTuple):
    """One figure of memories of equal row width and number of banks."""

    row_bytes: int
    banks: int
    points: tuple[tuple[float, float], ...]
    """Capacity [bytes], rising, and the figure."""


def interpolated(curves: Sequence[Curve], capacity_bytes: int, row_bytes: int, banks: int) -> float:
    """Return the figure of a memory between others.

    Of the curves of one width, the one with the most banks (not more than the memory has) that reaches down to the
    capacity counts.
    """
    chosen: dict[int, Curve] = {}
    for candidate in sorted(curves, key=lambda curve: curve.banks):
        # Sorted by banks, so that of several curves that fit the last one has the most.
        fits = candidate.banks <= banks and candidate.points[0][0] <= capacity_bytes
        if fits or candidate.row_bytes not in chosen:
            chosen[candidate.row_bytes] = candidate
    by_width = [(width, _interpolated(capacity_bytes, chosen[width].points)) for width in sorted(chosen)]
    return _interpolated(row_bytes, by_width, bounded=True)


def _interpolated(x: float, points: Sequence[tuple[float, float]], *, bounded: bool = False) -> float:
    """Log-log interpolation through ``points`` (rising x); outside them, their overall slope from the nearest one."""
    first, last = points[0], points[-1]
    if len(points) == 1:
        slope, near = (1.0 if bounded else 0.0), first
    elif first[0] <= x <= last[0]:
        right = next(i for i, (known, _) in enumerate(points[1:], 1) if known >= x)
        slope, near = _slope(points[right - 1], points[right]), points[right - 1]
    else:
        slope, near = _slope(first, last), (first if x < first[0] else last)
        # A row of twice the width holds at most twice the bits that are read.
        slope = min(max(slope, 0.0), 1.0) if bounded else slope
    return near[1] * exp(slope * log(x / near[0]))


def _slope(left: tuple[float, float], right: tuple[float, float]) -> float:
    return log(right[1] / left[1]) / log(right[0] / left[0])
