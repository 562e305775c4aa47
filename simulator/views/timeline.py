"""When each unit worked, tile by tile, and what was loaded for which tile meanwhile: a Gantt chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.report import Report
from simulator.units.execute import ExecuteController
from simulator.units.load import LoadController
from simulator.views.lanes import lane_names, lanes_of
from simulator.views.operator_strip import OperatorStrip, draw_operators, operator_strip
from simulator.views.style import NOTEBOOK, SERIES, Size, dress, filled, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLD = 160
"""Stretches up to which tiles are told apart; of more, only when units worked is drawn."""

LETTERS = 120
"""Letters that fit into an inch of a bar, times their size in points."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a unit did for a while."""

    row: int
    name: str
    start: int
    end: int
    tile: int | None
    """Number of the tile, or of the run of single commands, within the block; None of work on no tile."""
    tensors: tuple[str, ...] = ()
    """What was loaded or stored."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Stretches of the units in a window."""

    title: str
    operators: OperatorStrip
    rows: tuple[str, ...]
    """Units in the order of the pipeline; a second row of one that does two things at once."""
    stretches: tuple[Stretch, ...]
    prefetches: tuple[tuple[int, int], ...]
    """Stretch of the loads and stretch of the compute that wait for each other, for each tile that has both."""

    @property
    def by_tile(self) -> bool:
        """Whether there are few enough to tell tiles apart."""
        return len(self.stretches) <= TOLD


def timeline(report: Report, window: tuple[int, int] | None = None) -> Timeline:
    """Return what the units did.

    Parameters
    ----------
    report
        A simulation with spans.
    window
        First cycle, and the one after the last; None: the whole block.

    Raises
    ------
    ValueError
        When no spans were recorded, the window is empty, or nothing runs in it.
    """
    if not report.spans:
        raise ValueError(f"{report.name}: when the units worked was not recorded")
    strip = operator_strip(report, window)
    first, last = strip.window
    spans = [span for span in report.spans if span.start < last and span.end > first]
    if not spans:
        raise ValueError(f"no unit works in the window {first}:{last}")
    lanes = lanes_of(spans)
    names = lane_names(spans, lanes)
    rows = {lane: place for place, lane in enumerate(names)}
    stretches = tuple(
        Stretch(rows[span.unit, lane], span.name, span.start, span.end, span.work, span.tensors)
        for span, lane in zip(spans, lanes, strict=True)
    )
    load = {span.work: place for place, span in enumerate(spans) if span.unit == LoadController.name}
    pairs = [
        (load[span.work], place)
        for place, span in enumerate(spans)
        if span.unit == ExecuteController.name and span.work is not None and span.work in load
    ]
    title = f"{report.name} on {report.machine}"
    return Timeline(title, strip, tuple(names.values()), stretches, tuple(pairs))


def draw_timeline(info: Timeline, size: Size = NOTEBOOK) -> Figure:
    """One row per unit; in a short window equal looks are one tile, and lines lead from its loads to its compute."""
    figure = new_figure(size, size.row_inches * (4.5 + 1.7 * len(info.rows)))
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.6 * len(info.rows)])
    letters = draw_operators(strip, info.operators, size)
    first, last = info.operators.window
    scale = info.operators.per_cycle
    if info.by_tile:
        for stretch in info.stretches:
            _draw_stretch(axes, stretch, info, size)
        for load, compute in info.prefetches:
            _draw_arrow(axes, info.stretches[load], info.stretches[compute], scale)
    else:
        for row in range(len(info.rows)):
            busy = [(one.start * scale, (one.end - one.start) * scale) for one in info.stretches if one.row == row]
            axes.broken_barh(busy, (row - 0.35, 0.7), facecolors=SERIES[0][0])
    axes.set_yticks(range(len(info.rows)), info.rows)
    axes.set_ylim(len(info.rows) - 0.4, -0.6)
    axes.set_xlim(first * scale, last * scale)
    dress(axes, size, x=f"simulated time [{info.operators.time_unit}]", grid="x")
    figure.suptitle(info.title + letters, fontsize=size.font_points)
    _explain(figure, info, size)
    return figure


def _draw_stretch(axes: Axes, stretch: Stretch, info: Timeline, size: Size) -> None:
    scale, (first, last) = info.operators.per_cycle, info.operators.window
    look = filled("#dddddd", "") if stretch.tile is None else filled(*SERIES[stretch.tile % len(SERIES)][:2])
    start, end = max(stretch.start, first), min(stretch.end, last)
    axes.broken_barh([(start * scale, (end - start) * scale)], (stretch.row - 0.35, 0.7), **look)  # type: ignore[arg-type]
    room = int((end - start) / (last - first) * LETTERS * size.width_inches / size.font_points)
    number = stretch.name if stretch.tile is None else f"#{stretch.tile}"
    moved = ", ".join(stretch.tensors)
    lines = [f"{number}: {moved}", f"{number}:\n{moved}", number] if moved else [number]
    text = next((text for text in lines if max(map(len, text.splitlines())) <= room), "")
    if text:
        axes.text(
            (start + end) / 2 * scale, stretch.row, text, ha="center", va="center", fontsize=size.font_points * 0.75,
            bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}, clip_on=True,
        )  # fmt: skip


def _draw_arrow(axes: Axes, load: Stretch, compute: Stretch, scale: float) -> None:
    """From the begin of a tile's loads to the begin of its compute."""
    axes.annotate(
        "", (compute.start * scale, compute.row - 0.35), xytext=(load.start * scale, load.row + 0.35),
        arrowprops={"arrowstyle": "-|>", "color": "#333333", "linewidth": 0.7, "mutation_scale": 7}, clip_on=True,
    )  # fmt: skip


def _explain(figure: Figure, info: Timeline, size: Size) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if not info.by_tile:
        text = f"units at work, {len(info.stretches):,} stretches; a shorter window tells the tiles apart"
        legend_below(figure, size, [Patch(facecolor=SERIES[0][0], label=text)])
        return
    handles = [
        Patch(label="one look, one number: one tile", **filled(*SERIES[1][:2])),  # type: ignore[arg-type]
        Line2D([], [], color="#333333", linewidth=0.7, marker=">", markersize=4, label="loaded for"),
    ]
    legend_below(figure, size, handles)
