"""Where the cycles of each operator went: shares by cause, whatever the operator's length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.report import Report
from simulator.views.plots import bound_cycles, operator_label
from simulator.views.style import NOTEBOOK, Size, bound_look, dress, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WRITTEN = 0.07
"""Least share that is written into its part of a bar."""


@dataclass(frozen=True, slots=True)
class CycleCauses:
    """Cycles by operator and cause; they add up to the cycles of each."""

    title: str
    operators: tuple[str, ...]
    """Those that take time of their own, and the whole block last if there are several."""
    cycles: tuple[int, ...]
    cycles_by_cause: dict[str, tuple[int, ...]]


def cycle_causes(report: Report) -> CycleCauses:
    """Return the cycles of a report by cause, of every operator and in all.

    Raises
    ------
    ValueError
        When nothing takes any time.
    """
    parts = [part for part in report.by_op or (report,) if part.cycles]
    if not parts:
        raise ValueError(f"{report.name}: nothing takes any time")
    table = bound_cycles(parts)
    if len(parts) > 1:
        table = {cause: (*row, sum(row)) for cause, row in table.items()}
    names = [operator_label(part) for part in parts] + (["whole block"] if len(parts) > 1 else [])
    cycles = [part.cycles for part in parts] + ([sum(part.cycles for part in parts)] if len(parts) > 1 else [])
    return CycleCauses(f"{report.name} on {report.machine}: cycles by cause", tuple(names), tuple(cycles), table)


def draw_causes(info: CycleCauses, size: Size = NOTEBOOK) -> Figure:
    """One bar for each operator, all of one length, with its cycles beside it."""
    from matplotlib.patches import Patch

    figure = new_figure(size, size.row_inches * (4.5 + 1.1 * len(info.operators)))
    axes = figure.subplots()
    rows = range(len(info.operators))
    left = [0.0] * len(info.operators)
    for cause, cycles in info.cycles_by_cause.items():
        shares = [100 * part / whole for part, whole in zip(cycles, info.cycles, strict=True)]
        axes.barh(rows, shares, left=left, height=0.78, **bound_look(cause))  # type: ignore[arg-type]
        for row, (start, share) in enumerate(zip(left, shares, strict=True)):
            if share >= 100 * WRITTEN:
                axes.text(
                    start + share / 2, row, f"{share:.0f} %", ha="center", va="center",
                    fontsize=size.font_points * 0.75,
                    bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
                )  # fmt: skip
        left = [start + share for start, share in zip(left, shares, strict=True)]
    for row, cycles_of_row in enumerate(info.cycles):
        axes.text(101, row, f"{cycles_of_row:,}", va="center", fontsize=size.font_points * 0.8)
    axes.text(101, -0.9, "cycles", va="center", fontsize=size.font_points * 0.8, fontstyle="italic")
    axes.set_yticks(rows, info.operators)
    axes.set_ylim(len(info.operators) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    dress(axes, size, x="share of the operator's cycles [%]")
    figure.suptitle(info.title, fontsize=size.font_points)
    handles = [Patch(label=cause, **bound_look(cause)) for cause in info.cycles_by_cause]  # type: ignore[arg-type]
    legend_below(figure, size, handles, columns=min(6, len(handles)))
    return figure
