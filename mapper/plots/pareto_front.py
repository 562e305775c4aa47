"""A Pareto front of two costs: its numbers with the difference between neighbours, and the picture.

Matplotlib is imported inside the draw functions, and figures are built without pyplot: no window, no global state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mapper.mapping.loop_nest import LoopNest
from simulator.views.labels import place_labels
from simulator.views.style import NOTEBOOK, Size, dress, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELLED = 16
"""Points that get their name written beside them; of more, only the ends and the best, and no differences."""

FILLED = 0.25
"""Least share of either axis that a front takes; beaten points that are further away are counted, not drawn."""

WORTH = 0.06
"""Least share of a panel between neighbours at which their difference is written."""


@dataclass(frozen=True, slots=True)
class FrontPoints:
    """Points of a Pareto front, the least first cost first."""

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[str, ...]
    best: int | None
    """Index of the least product of both; None where that means nothing."""
    beaten: tuple[tuple[float, float], ...] = ()
    """Points that others beat in both."""

    def differences(self) -> tuple[tuple[float, float], ...]:
        """Return how much each point differs from the one before it, in both costs, as shares of that one."""
        return tuple(
            (self.x[place] / self.x[place - 1] - 1.0, self.y[place] / self.y[place - 1] - 1.0)
            for place in range(1, len(self.x))
        )

    def far(self) -> tuple[float, float]:
        """Return from where on points are left out, in both costs, so that the front fills a part of the picture."""
        xs, ys = zip(*self.beaten, strict=True) if self.beaten else ((), ())
        return _far(self.x, xs), _far(self.y, ys)

    def near(self) -> list[tuple[float, float]]:
        """Return the beaten points that are not left out."""
        far = self.far()
        return [point for point in self.beaten if point[0] <= far[0] and point[1] <= far[1]]


def _far(front: Sequence[float], beaten: Sequence[float]) -> float:
    extent = max(front) - min(front)
    end = min(front) + extent / FILLED
    return end if extent > 0 and max((*front, *beaten)) > end else math.inf


def front_points(title: str, points: Sequence[tuple[LoopNest, float, float]]) -> FrontPoints:
    """Return the numbers of the picture of (mapping, cycles, energy [pJ])."""
    labels = []
    for mapping, _, _ in points:
        outer = mapping.levels[0].temporal
        step = {loop.dim: loop.tile for loop in outer}
        tile = " x ".join(str(step.get(dim, size)) for dim, size in mapping.problem)
        labels.append(f"{tile}, {''.join(loop.dim for loop in outer)}")
    best = min(range(len(points)), key=lambda index: points[index][1] * points[index][2])
    kilocycles = tuple(cycles * 1e-3 for _, cycles, _ in points)
    energy_uj = tuple(energy * 1e-6 for _, _, energy in points)
    about = f"{title}; labels: outermost tile m x k x n, loops"
    return FrontPoints(about, "latency [1000 cycles]", "energy [µJ]", kilocycles, energy_uj, tuple(labels), best)


def draw_front(info: FrontPoints, size: Size = NOTEBOOK) -> Figure:
    """One cost against the other: what is above and right of the steps is beaten."""
    figure = new_figure(size, size.width_inches * 0.62)
    axes = figure.subplots()
    near = info.near()
    if info.beaten:
        outside = len(info.beaten) - len(near)
        label = f"beaten in both; {outside:,} more lie outside" if outside else "beaten in both"
        axes.plot([x for x, _ in near], [y for _, y in near], "x", color="#999999", markersize=5, label=label)
    axes.step(info.x, info.y, where="post", color="#bbbbbb", linewidth=1.2)
    axes.plot(info.x, info.y, "o", color="#4477aa", label="not beaten in both")
    if info.best is not None:
        axes.plot(
            info.x[info.best], info.y[info.best], "D", color="#ee6677", markersize=8, label="least product of both"
        )
    axes.margins(x=0.12, y=0.12)
    dress(axes, size, x=info.x_label, y=info.y_label, grid="both")
    figure.suptitle(info.title, fontsize=size.font_points)
    legend_below(figure, size, axes.get_legend_handles_labels()[0])
    axes.set_xlim(axes.get_xlim())
    axes.set_ylim(axes.get_ylim())
    _name(axes, info, size)
    return figure


def _name(axes: Axes, info: FrontPoints, size: Size) -> None:
    """Write names beside the points, and on the steps the difference between neighbours that lie apart."""
    points = list(zip(info.x, info.y, strict=True))
    shown = list(range(len(points)))
    if len(points) > LABELLED:
        shown = sorted({0, len(points) - 1, *([info.best] if info.best is not None else [])})
    else:
        _differences(axes, info, size)
    # Steps are lines that no label should cross.
    steps = [
        (x0 + (x1 - x0) * at / 20, y0) if across else (x1, y0 + (y1 - y0) * at / 20)
        for (x0, y0), (x1, y1) in pairwise(points)
        for across in (True, False)
        for at in range(21)
    ]
    names = [info.labels[place] for place in shown]
    place_labels(axes, [points[place] for place in shown], names, size, avoid=[*steps, *info.near()])


def _differences(axes: Axes, info: FrontPoints, size: Size) -> None:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    small: dict[str, Any] = {"fontsize": size.font_points * 0.7, "color": "#555555"}
    for place, (more, less) in enumerate(info.differences(), start=1):
        x0, x1, y0, y1 = info.x[place - 1], info.x[place], info.y[place - 1], info.y[place]
        if (x1 - x0) / (right - left) > WORTH:
            axes.annotate(
                f"{more:+.1%}", ((x0 + x1) / 2, y0), xytext=(0, 3), textcoords="offset points", ha="center", **small
            )
        if (y0 - y1) / (high - low) > WORTH:
            axes.annotate(
                f"{less:+.1%}", (x1, (y0 + y1) / 2), xytext=(3, 0), textcoords="offset points", va="center", **small
            )
