"""Draws what `mapper.plots.tables` makes of a table of many points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapper.plots.column_units import shown_column
from mapper.plots.tables import HeatMap, Parallel, Spread
from simulator.views.style import NOTEBOOK, Size, dress, new_figure, plain_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK = 0.45
"""Share of the range from which on numbers are written in white."""


LINEAR = 3.0
"""Times the least up to which an axis is linear."""


def draw_heat_map(info: HeatMap, size: Size = NOTEBOOK) -> Figure:
    """A cell for each pair of values, with its number in it; the best has a frame."""
    import numpy as np

    table = np.array([[np.nan if value is None else value for value in row] for row in info.values], dtype=float)
    figure = new_figure(size, size.row_inches * (4.5 + 1.5 * len(info.y)))
    axes = figure.subplots()
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    axes.imshow(table, cmap="cividis_r", aspect="auto", vmin=low, vmax=high if high > low else low + 1.0)
    for line, row in enumerate(info.values):
        for column, value in enumerate(row):
            share = 0.0 if value is None or high == low else (value - low) / (high - low)
            axes.text(
                column, line, "-" if value is None else f"{value:.4g}", ha="center", va="center",
                fontsize=size.font_points * 0.75, color="#ffffff" if share > DARK else "#000000",
                fontweight="bold" if value == low else "normal",
            )  # fmt: skip
            if value == low:
                frame = [column - 0.48, column + 0.48, column + 0.48, column - 0.48, column - 0.48]
                sides = [line - 0.46, line - 0.46, line + 0.46, line + 0.46, line - 0.46]
                axes.plot(frame, sides, color="#cc0000", linewidth=1.5)
    axes.set_xticks(range(len(info.x)), info.x, rotation=30 if len(info.x) > 8 else 0)
    axes.set_yticks(range(len(info.y)), info.y)
    dress(axes, size, x=info.x_name, y=info.y_name)
    best = f"{info.value_name}, framed: the least"
    several = f"; of up to {info.points} points in a cell the best" if info.points > 1 else ""
    figure.suptitle(f"{info.title}\n{best}{several}".strip(), fontsize=size.font_points)
    return figure


def draw_parallel(info: Parallel, size: Size = NOTEBOOK) -> Figure:
    """A line for each point over all axes; those that none beats are thick, and drawn last."""
    from matplotlib.lines import Line2D

    figure = new_figure(size, size.width_inches * 0.5)
    axes = figure.subplots()
    places = range(len(info.axes))
    for best in (False, True):
        for number, is_best in enumerate(info.best):
            if is_best == best:
                heights = [axis.places[number] for axis in info.axes]
                style = {"color": "#ee6677", "linewidth": 1.6} if best else {"color": "#4477aa", "linewidth": 0.6}
                axes.plot(places, heights, linestyle="-" if best else (0, (3, 2)), alpha=0.9, **style)  # type: ignore[arg-type]
    for place, axis in enumerate(info.axes):
        axes.axvline(place, color="#222222", linewidth=0.8)
        for height, text in axis.ticks:
            axes.annotate(
                text, (place, height), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=size.font_points * 0.7,
                bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
            )  # fmt: skip
    # A field of the machine is written in two lines, for it would meet its neighbour.
    axes.set_xticks(places, [axis.name.replace(".", ".\n") for axis in info.axes])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(info.axes) - 0.6)
    dress(axes, size)
    axes.spines[:].set_visible(False)
    handles = [
        Line2D([], [], color="#ee6677", linewidth=1.6, label=f"beaten by none in {', '.join(info.measures)}"),
        Line2D([], [], color="#4477aa", linewidth=0.6, linestyle=(0, (3, 2)), label="others"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=size.font_points * 0.85)
    figure.suptitle(info.title, fontsize=size.font_points)
    return figure


def draw_spread(info: Spread, size: Size = NOTEBOOK) -> Figure:
    """Histogram and cumulated shares side by side, relative to the least value."""
    figure = new_figure(size, size.width_inches * 0.42)
    left, right = figure.subplots(1, 2, sharex=True)
    left.stairs([100 * share for share in info.shares], info.edges, fill=True, color="#4477aa")
    count = len(info.relative)
    right.step(info.relative, [100 * (place + 1) / count for place in range(count)], where="post", color="#4477aa")
    for number, (name, relative) in enumerate(info.marks):
        for axes in (left, right):
            axes.axvline(relative, color="#ee6677", linestyle=("-", "--", ":")[number % 3], linewidth=1.2, label=name)
    for axes, y in ((left, "points [%]"), (right, "points up to here [%]")):
        axes.set_xlim(1.0, 1.0 + 1.02 * (info.edges[-1] - 1.0))
        if info.edges[-1] > LINEAR:
            axes.set_xscale("log")
            plain_log(axes.xaxis)
        factor, shown = shown_column(info.value_name, [info.least])
        name, _, unit = shown.partition(" [")
        least = f"{info.least * factor:.4g} {unit.removesuffix(']')}".strip()
        dress(axes, size, x=f"{name} / least ({least})", y=y, grid="both")
    if info.marks:
        left.legend(frameon=False, fontsize=size.font_points * 0.85)
    figure.suptitle(f"{info.title}: {count:,} points", fontsize=size.font_points)
    return figure
