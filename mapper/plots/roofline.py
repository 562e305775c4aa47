"""Roofline of a machine with operators and groups of a run on it: attained rate against operations per DRAM byte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.report import Report
from simulator.views.labels import place_labels
from simulator.views.style import (
    BOUND_COLOURS,
    NOTEBOOK,
    OTHER_COLOUR,
    SERIES,
    Size,
    dress,
    legend_below,
    new_figure,
    plain_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_LENGTH = 1.5
"""Intensity at the end of the name of the slanted roof, relative to that at its begin."""

ABOVE = 0.001
"""Share above its roof from which a point is told of."""

OPERATOR, GROUP, WHOLE = "operator", "group of several", "whole block"

BOUND_MARKERS = {bound: SERIES[place % len(SERIES)][2] for place, bound in enumerate(BOUND_COLOURS)}


@dataclass(frozen=True, slots=True)
class RoofPoint:
    """An operator, a group that runs as one, or all of them."""

    name: str
    kind: str
    """`OPERATOR`, `GROUP` or `WHOLE`."""
    bound: str
    intensity: float
    """Operations, two for each multiply-accumulate, per byte of DRAM traffic."""
    gops: float
    """Operations per second [10^9]."""
    roof_gops: float
    """What the machine could do at most with this intensity [10^9/s]."""


@dataclass(frozen=True, slots=True)
class RooflineInfo:
    """Roofs and points."""

    title: str
    peak_gops: float
    dram_gbytes_per_s: float
    points: tuple[RoofPoint, ...]
    without: tuple[str, ...]
    """Operators without multiply-accumulates."""
    without_share: float
    """Their share of the cycles."""

    @property
    def ridge(self) -> float:
        """Intensity from which on the array is the lower roof [operations per byte]."""
        return self.peak_gops / self.dram_gbytes_per_s

    def above(self) -> list[str]:
        """Return the operators that are faster than the roofs allow, and by how much."""
        over = [(point.name, point.gops / point.roof_gops - 1.0) for point in self.points if point.kind != WHOLE]
        return [f"{name} by {share:.1%}" for name, share in over if share > ABOVE]


def roofline_info(
    report: Report, dram_bytes_per_cycle: float, absorbed: Mapping[str, str] | None = None
) -> RooflineInfo:
    """Return the numbers of the roofline of a run.

    Parameters
    ----------
    report
        Of a model, or of one operator.
    dram_bytes_per_cycle
        Of the machine.
    absorbed
        Leading operator of each one that runs within its group.

    Raises
    ------
    ValueError
        When nothing multiplies.
    """
    peak = 2 * report.peak_macs_per_cycle * report.clock_mhz * 1e-3
    port = dram_bytes_per_cycle * report.clock_mhz * 1e-3
    members: dict[str, list[str]] = {}
    for name, lead in (absorbed or {}).items():
        members.setdefault(lead, [lead]).append(name)
    parts = report.by_op or (report,)
    points = []
    for part in parts:
        if part.macs:
            names = members.get(part.name, [part.name])
            points.append(_point(" + ".join(names), GROUP if len(names) > 1 else OPERATOR, part, peak, port))
    if not points:
        raise ValueError(f"{report.name}: no operator has multiply-accumulates, a roofline shows none")
    if len(parts) > 1:
        points.append(_point(WHOLE, WHOLE, report, peak, port))
    without = [part for part in parts if part.cycles and not part.macs]
    share = sum(part.cycles for part in without) / max(1, sum(part.cycles for part in parts))
    title, idle = f"{report.name} on {report.machine}", tuple(part.name for part in without)
    return RooflineInfo(title, peak, port, tuple(points), idle, share)


def _point(name: str, kind: str, part: Report, peak: float, port: float) -> RoofPoint:
    gops = 2 * part.macs / part.latency_s * 1e-9
    return RoofPoint(name, kind, part.bound, part.intensity, gops, min(peak, port * part.intensity))


def draw_roofline(info: RooflineInfo, size: Size = NOTEBOOK) -> Figure:
    """Both axes logarithmic; a marker's shape and colour say what bounds it, a star is the whole block."""
    figure = new_figure(size, size.width_inches * 0.6)
    axes = figure.subplots()
    finite = [point.intensity for point in info.points if point.intensity != float("inf")]
    left, right = min([info.ridge, *finite]) / 3, max([info.ridge, *finite]) * 4
    lowest = min(*(point.gops for point in info.points), info.peak_gops) / 3
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(lowest, info.peak_gops * 2.2)
    roofs = [left, info.ridge, right]
    axes.plot(roofs, [min(info.peak_gops, info.dram_gbytes_per_s * x) for x in roofs], color="#222222", linewidth=1.6)
    axes.axvline(info.ridge, color="#999999", linewidth=0.7, linestyle=(0, (4, 3)))
    _name_roofs(axes, info, size)
    shown = [(min(point.intensity, right / 1.3), point.gops) for point in info.points]
    for (x, y), point in zip(shown, info.points, strict=True):
        marker = "*" if point.kind == WHOLE else BOUND_MARKERS.get(point.bound, "h")
        axes.plot(
            [x], [y], marker, color=BOUND_COLOURS.get(point.bound, OTHER_COLOUR), markeredgecolor="#000000",
            markeredgewidth=0.6 if point.kind != GROUP else 1.6,
            markersize=size.font_points * (1.4 if point.kind == WHOLE else 0.8), zorder=3,
        )  # fmt: skip
    plain_log(axes.xaxis)
    plain_log(axes.yaxis)
    dress(axes, size, x="intensity [operations / byte of DRAM]", y="rate [10⁹ operations / s]", grid="both")
    _explain(figure, info, size)
    title = info.title
    if info.without:
        names = ", ".join(info.without)
        title += f"\nwithout multiply-accumulates, {info.without_share:.0%} of the cycles: {names}"
    if info.above():
        title += f"\nabove the DRAM's roof, for written lines count before they leave (D11): {', '.join(info.above())}"
    figure.suptitle(title, fontsize=size.font_points)
    spread = [left * (right / left) ** (step / 200) for step in range(201)]
    roof = [(x, min(info.peak_gops, info.dram_gbytes_per_s * x)) for x in spread]
    place_labels(axes, shown, [point.name for point in info.points], size, avoid=roof)
    return figure


def _name_roofs(axes: Axes, info: RooflineInfo, size: Size) -> None:
    right, top = axes.get_xlim()[1], axes.get_ylim()
    small = size.font_points * 0.85
    axes.text(
        right, info.peak_gops * 1.08, f"array: {info.peak_gops:,.4g} · 10⁹/s ", ha="right", va="bottom", fontsize=small
    )
    x = _apart(info, max(axes.get_xlim()[0] * 1.4, top[0] * 2 / info.dram_gbytes_per_s))
    angle = math.degrees(math.atan(info.dram_gbytes_per_s))
    axes.text(
        x, info.dram_gbytes_per_s * x * 1.25, f"DRAM: {info.dram_gbytes_per_s:,.3g} GB/s", fontsize=small,
        rotation=angle, rotation_mode="anchor", transform_rotates_text=True, va="bottom",
    )  # fmt: skip
    axes.text(info.ridge, top[0] * 1.15, f" {info.ridge:,.3g} operations/byte", fontsize=small, color="#555555")


def _apart(info: RooflineInfo, least: float) -> float:
    """Return where the name of the slanted roof begins: as far from the points as it can, from an intensity on."""
    places = [least * math.pow(max(1.0, info.ridge / 2 / least), step / 8) for step in range(9)]

    def distance(x: float) -> float:
        middle, height = math.log(x * NAME_LENGTH**0.5), math.log(info.dram_gbytes_per_s * x * NAME_LENGTH**0.5)
        return min(math.hypot(math.log(one.intensity) - middle, math.log(one.gops) - height) for one in info.points)

    return max(places, key=distance)


def _explain(figure: Figure, info: RooflineInfo, size: Size) -> None:
    from matplotlib.lines import Line2D

    look = {"linestyle": "", "markeredgecolor": "#000000", "markersize": size.font_points * 0.8}
    bounds = dict.fromkeys(point.bound for point in info.points if point.kind != WHOLE)
    handles = [
        Line2D([], [], marker=BOUND_MARKERS.get(bound, "h"), color=BOUND_COLOURS.get(bound, OTHER_COLOUR),
               label=f"bound by {bound}", markeredgewidth=0.6, **look)  # type: ignore[arg-type]
        for bound in bounds
    ]  # fmt: skip
    if any(point.kind == GROUP for point in info.points):
        handles.append(Line2D([], [], marker="o", color="#ffffff", label=f"{GROUP}", markeredgewidth=1.6, **look))  # type: ignore[arg-type]
    if any(point.kind == WHOLE for point in info.points):
        handles.append(Line2D([], [], marker="*", color="#ffffff", label=WHOLE, markeredgewidth=0.6, **look))  # type: ignore[arg-type]
    legend_below(figure, size, handles)
