"""Measured against simulated cycles, every row one point: `scatter` makes the numbers, `draw_scatter` the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapper.validation.measured.categories import CATEGORIES
from mapper.validation.measured.results import RowResult
from simulator.views.style import NOTEBOOK, Size, dress, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = 0.10
"""Half width of the band around equality [fraction]."""
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#66ccee", "#aa3377", "#bbbbbb", "#ccbb44", "#222222")
_MARKERS = "os^DvPX<>"
STYLES = {
    category: (_COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)])
    for number, category in enumerate(CATEGORIES)
}
"""Colour and marker: Tol's bright scheme, distinct for the colour-blind and on grey paper, one look per category."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Points by category, in the order of the scoreboard, and the range of both axes."""

    title: str
    points: dict[str, tuple[tuple[int, int], ...]]
    """(measured, simulated) [cycles]"""
    limits: tuple[float, float]
    """[cycles]"""


def scatter(rows: Sequence[RowResult]) -> Scatter:
    """Numbers of the picture."""
    points = {
        category: tuple((row.measured, max(row.simulated, 1)) for row in rows if row.category == category)
        for category in CATEGORIES
    }
    present = {category: pairs for category, pairs in points.items() if pairs}
    values = [value for pairs in present.values() for pair in pairs for value in pair] or [1, 10]
    within = sum(abs(row.error) <= BAND for row in rows)
    title = f"{len(rows)} measured rows, {within} of them within {100 * BAND:.0f} %"
    return Scatter(title, present, (min(values) / 1.5, max(values) * 1.5))


def errors(info: Scatter) -> dict[str, tuple[tuple[int, float], ...]]:
    """Return (measured cycles, error [%]) of each point, by category."""
    return {
        category: tuple((measured, 100.0 * (simulated / measured - 1.0)) for measured, simulated in pairs)
        for category, pairs in info.points.items()
    }


def draw_scatter(info: Scatter, size: Size = NOTEBOOK) -> Figure:
    """Log-log scatter with the line of equality and the band around it; beside it the errors against the size."""
    figure = new_figure(size, size.width_inches * 0.62)
    axes, beside = figure.subplots(1, 2)
    _draw_errors(beside, info, size)
    _draw_band(axes, info.limits)
    for category, points in info.points.items():
        measured, simulated = zip(*points, strict=True)
        colour, marker = STYLES[category]
        axes.plot(
            measured, simulated, marker, color=colour, markersize=size.font_points * 0.35, alpha=0.6,
            markeredgewidth=0, label=f"{category} ({len(points)})",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(info.limits)
    axes.set_ylim(info.limits)
    axes.set_aspect("equal")
    dress(axes, size, x="measured [cycles]", y="simulated [cycles]", grid="both")
    figure.suptitle(info.title, fontsize=size.font_points)
    legend_below(figure, size, axes.get_legend_handles_labels()[0], columns=3)
    return figure


def _draw_errors(axes: Axes, info: Scatter, size: Size) -> None:
    axes.axhspan(-100 * BAND, 100 * BAND, color="#dddddd", linewidth=0)
    axes.axhline(0.0, color="#777777", linewidth=0.8)
    for category, points in errors(info).items():
        measured, off = zip(*points, strict=True)
        colour, marker = STYLES[category]
        axes.plot(measured, off, marker, color=colour, markersize=size.font_points * 0.35, alpha=0.6, markeredgewidth=0)
    axes.set_xscale("log")
    axes.set_xlim(info.limits)
    # Small errors are told apart, and large ones still have their place.
    axes.set_yscale("symlog", linthresh=100 * BAND)
    ticks = (-100, -50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100)
    axes.set_yticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    axes.minorticks_off()
    off_label = f"simulated - measured [%], linear up to {100 * BAND:.0f}"
    dress(axes, size, x="measured [cycles]", y=off_label, grid="both")


def _draw_band(axes: Axes, limits: tuple[float, float]) -> None:
    low = [limit * (1 - BAND) for limit in limits]
    high = [limit * (1 + BAND) for limit in limits]
    axes.fill_between(limits, low, high, color="#dddddd", linewidth=0, label=f"within {100 * BAND:.0f} %")
    axes.plot(limits, limits, color="#777777", linewidth=0.8)
