"""Pictures of many mappings. An info function makes the numbers, a draw function the picture of these numbers.

Matplotlib is imported inside the draw functions, and figures are built without pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapper.mapping.loop_nest import LoopNest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELLED = 12
"""Points that get their tile written beside them; more would cover each other."""


@dataclass(frozen=True, slots=True)
class FrontPoints:
    """Points of a Pareto front, fewest cycles first."""

    title: str
    kilocycles: tuple[float, ...]
    energy_uj: tuple[float, ...]
    labels: tuple[str, ...]
    """Outermost tile and order of each."""
    best: int
    """Index of the least EDP."""


def front_points(title: str, points: Sequence[tuple[LoopNest, float, float]]) -> FrontPoints:
    """Numbers of the picture of (mapping, cycles, energy [pJ])."""
    labels = []
    for mapping, _, _ in points:
        outer = mapping.levels[0].temporal
        step = {loop.dim: loop.tile for loop in outer}
        tile = " x ".join(str(step.get(dim, size)) for dim, size in mapping.problem)
        labels.append(f"{tile}, {''.join(loop.dim for loop in outer)}")
    best = min(range(len(points)), key=lambda index: points[index][1] * points[index][2])
    kilocycles = tuple(cycles * 1e-3 for _, cycles, _ in points)
    energy_uj = tuple(energy * 1e-6 for _, _, energy in points)
    return FrontPoints(title, kilocycles, energy_uj, tuple(labels), best)


def draw_front(info: FrontPoints) -> Figure:
    """Energy against latency: what is above and right of the steps is beaten."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.step(info.kilocycles, info.energy_uj, where="post", color="#bbbbbb", linewidth=1.2)
    axes.plot(info.kilocycles, info.energy_uj, "o", color="#4477aa", label="not beaten in both")
    at = info.kilocycles[info.best], info.energy_uj[info.best]
    axes.plot(*at, "o", color="#ee6677", label="least EDP")
    if len(info.labels) <= LABELLED:
        for x, y, label in zip(info.kilocycles, info.energy_uj, info.labels, strict=True):
            axes.annotate(label, (x, y), textcoords="offset points", xytext=(6, 5), fontsize="x-small")
    axes.margins(x=0.18, y=0.12)
    axes.set_xlabel("latency [1000 cycles]")
    axes.set_ylabel("energy [µJ]")
    axes.set_title(f"{info.title}; labels: outermost tile m x k x n, loops", fontsize="medium")
    axes.grid(linewidth=0.5, alpha=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
