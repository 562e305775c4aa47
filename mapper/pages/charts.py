"""Bars and roofline of a page, as places on it: the numbers are those of the pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from mapper.plots.roofline import GROUP, WHOLE, RooflineInfo
from mapper.reports.quantities import quantity
from simulator.views.bars import Bars
from simulator.views.labels import Box, arranged

WIDTH, HEIGHT = 760.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 16.0, 46.0
"""Room around the panel of a roofline."""

LETTER = 11.0
"""Height of a letter of a label [pixels]."""

TICKS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar."""

    name: str
    width: float
    """Of the axis [%]."""
    text: str

    @property
    def look(self) -> str:
        """Name of its look on the page."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Bar:
    """The parts of a bar, its length in words, and whether it is longer than the axis."""

    segments: tuple[Segment, ...]
    text: str
    broken: bool


def bars(info: Bars, unit: str) -> list[Bar]:
    """Return the bars of some rows, of values in a unit without prefix."""
    drawn = []
    for row, (length, broken) in enumerate(zip(info.totals, info.broken, strict=True)):
        axis = length if broken else info.end
        parts = [(name, values[row]) for name, values in info.stacks.items() if values[row] > 0]
        segments = [Segment(name, 100 * value / axis, f"{name}: {quantity(value, unit)}") for name, value in parts]
        text = quantity(length, unit) if length > 0 else info.notes[row] if info.notes else ""
        drawn.append(Bar(tuple(segments), text, broken))
    return drawn


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of the roofline."""

    x: float
    y: float
    kind: str
    bound: str
    text: str
    """What it says when it is asked."""

    @property
    def look(self) -> str:
        """Name of its look on the page."""
        return self.bound.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside a point."""

    x: float
    y: float
    text: str
    from_x: float
    from_y: float


@dataclass(frozen=True, slots=True)
class RooflineChart:
    """A roofline on the page [pixels, from the top]."""

    roof: tuple[tuple[float, float], ...]
    peak_text: str
    port_text: str
    dots: tuple[Dot, ...]
    labels: tuple[Label, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    above: str
    """Operators above their roof, and by how much."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic axis."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> tuple[Tick, ...]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in TICKS]
        return tuple(Tick(self.place(v), f"{v:,.12g}") for v in values if self.low <= v <= self.high)


def roofline_chart(info: RooflineInfo) -> RooflineChart:
    """Return where the roofs and the points of a roofline lie."""
    finite = [point.intensity for point in info.points if math.isfinite(point.intensity)] + [info.ridge]
    x = _Scale(min(finite) / 3, max(finite) * 4, LEFT, WIDTH - RIGHT)
    lowest = min(point.gops for point in info.points)
    y = _Scale(min(lowest, info.peak_gops) / 3, info.peak_gops * 2.2, HEIGHT - BOTTOM, TOP)
    corners = [max(x.low, y.low / info.dram_gbytes_per_s), info.ridge, x.high]
    roof = [(x.place(at), y.place(min(info.peak_gops, info.dram_gbytes_per_s * at))) for at in corners]
    dots = tuple(
        Dot(
            x.place(point.intensity), y.place(point.gops), point.kind, point.bound,
            f"{point.name}: {point.gops:,.4g} · 10⁹ operations/s of {point.roof_gops:,.4g}, "
            f"{point.intensity:,.4g} operations/byte, bound by {point.bound}",
        )
        for point in info.points
    )  # fmt: skip
    labels = tuple(_labels(info, dots, roof))
    peak, port = f"array: {info.peak_gops:,.4g} · 10⁹/s", f"DRAM: {info.dram_gbytes_per_s:,.4g} GB/s"
    return RooflineChart(tuple(roof), peak, port, dots, labels, x.ticks(), y.ticks(), ", ".join(info.above()))


def _labels(info: RooflineInfo, dots: tuple[Dot, ...], roof: list[tuple[float, float]]) -> list[Label]:
    """Return the names, apart from each other, from points and from the roofs."""
    near: dict[tuple[float, float], list[str]] = {}
    for point, dot in zip(info.points, dots, strict=True):
        place = next((at for at in near if math.dist(at, (dot.x, dot.y)) < LETTER / 2), (dot.x, dot.y))
        near.setdefault(place, []).append(point.name)
    along = [
        (x0 + (x1 - x0) * step / 60, y0 + (y1 - y0) * step / 60)
        for (x0, y0), (x1, y1) in pairwise(roof)
        for step in range(61)
    ]
    frame = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
    wanted = [(place, ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")) for place, names in near.items()]
    placed = arranged(wanted, [(dot.x, dot.y) for dot in dots], frame, LETTER, along)
    return [
        Label((one.box.left + one.box.right) / 2, (one.box.bottom + one.box.top) / 2, one.text, *one.point)
        for one in placed
    ]


MARKS = {GROUP: "group", WHOLE: "whole"}
"""Kinds of points that have a shape of their own."""
