"""What the memories of the chip held over time, by tensor; the numbers of the picture are those of the trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.report import Level, Report
from simulator.residency import OTHER, OTHER_PROGRAMS
from simulator.views.operator_strip import OperatorStrip, draw_operators, operator_strip
from simulator.views.style import NOTEBOOK, OTHER_COLOUR, Size, dress, filled, legend_below, new_figure, series_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEMORIES = ("scratchpad", "accumulator", "l2")

SHOWN = 15
"""Tensors with a look of their own; the rest is one area."""

REST = "other tensors"


@dataclass(frozen=True, slots=True)
class MemoryOccupancy:
    """Bytes of each tensor in one memory; a number holds from its cycle to the next one."""

    memory: str
    cycles: tuple[int, ...]
    size_bytes: dict[str, tuple[int, ...]]
    """By tensor, those that were there first before the others."""
    capacity_bytes: int | None = None

    @property
    def peak_bytes(self) -> int:
        """Largest sum over all tensors."""
        return max(map(sum, zip(*self.size_bytes.values(), strict=True)), default=0)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The memories of a run that held anything."""

    title: str
    window: tuple[int, int]
    """First cycle, and the one after the last."""
    memories: tuple[MemoryOccupancy, ...]
    operators: OperatorStrip


def occupancy(
    report: Report, window: tuple[int, int] | None = None, capacities: Mapping[str, int] | None = None
) -> Occupancy:
    """Return what the memories held during a run.

    Parameters
    ----------
    report
        A simulation with levels: of a run with ``spans``.
    window
        First cycle, and the one after the last; None: the whole run.
    capacities
        Bytes of each memory, to be shown beside.

    Raises
    ------
    ValueError
        When the report has no levels, or nothing runs in the window.
    """
    if not report.levels:
        raise ValueError(f"{report.name}: what the memories held was not recorded")
    strip = operator_strip(report, window)
    first, last = strip.window
    found = []
    for memory in MEMORIES:
        own = [level for level in report.levels if level.memory == memory and level.cycle < last]
        held = _held(memory, own, first, (capacities or {}).get(memory))
        found += [held] if held.size_bytes else []
    return Occupancy(f"{report.name} on {report.machine}", (first, last), tuple(found), strip)


def _held(memory: str, levels: list[Level], first: int, capacity: int | None) -> MemoryOccupancy:
    """Follow the levels of one memory; what came before the window is where it begins."""
    now: dict[str, int] = {}
    rows: dict[int, dict[str, int]] = {first: {}}
    for level in levels:
        now[level.tensor] = level.size_bytes
        rows[max(level.cycle, first)] = dict(now)
    tensors = [tensor for tensor in now if any(row.get(tensor, 0) for row in rows.values())]
    return MemoryOccupancy(
        memory,
        tuple(rows),
        {tensor: tuple(row.get(tensor, 0) for row in rows.values()) for tensor in tensors},
        capacity,
    )


def draw_occupancy(info: Occupancy, size: Size = NOTEBOOK) -> Figure:
    """One panel per memory, tensors stacked, and above them the operators."""
    from matplotlib.patches import Patch

    panels = len(info.memories)
    figure = new_figure(size, size.row_inches * (3.0 + 7.0 * panels))
    ratios = [1.0, *([4.5] * panels)]
    strip, *memories = figure.subplots(panels + 1, 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    looks = _looks(info)
    letters = draw_operators(strip, info.operators, size)
    for axes, memory in zip(memories, info.memories, strict=True):
        _draw_memory(axes, memory, info, looks, size)
    dress(memories[-1], size, x=f"simulated time [{info.operators.time_unit}]")
    figure.suptitle(info.title + letters, fontsize=size.font_points)
    handles = [Patch(label=name, **look) for name, look in looks.items()]  # type: ignore[arg-type]
    legend_below(figure, size, handles, columns=6)
    return figure


def _looks(info: Occupancy) -> dict[str, dict[str, object]]:
    """Return the look of each tensor that is drawn: of those with most bytes times cycles one of their own."""
    weight: dict[str, float] = {}
    for memory in info.memories:
        ends = [*memory.cycles[1:], info.window[1]]
        peak = max(1, memory.capacity_bytes or memory.peak_bytes)
        for tensor, sizes in memory.size_bytes.items():
            area = sum(size * (end - begin) for size, begin, end in zip(sizes, memory.cycles, ends, strict=True))
            weight[tensor] = weight.get(tensor, 0.0) + area / peak
    named = [tensor for tensor in weight if tensor not in (OTHER, OTHER_PROGRAMS)]
    largest = set(sorted(named, key=lambda tensor: (-weight[tensor], tensor))[:SHOWN])
    looks = {tensor: series_look(place) for place, tensor in enumerate(t for t in named if t in largest)}
    if len(looks) < len(named):
        looks[REST] = filled("#999999", "")
    if len(named) < len(weight):
        looks[OTHER_PROGRAMS] = filled(OTHER_COLOUR, "")
    return looks


def _draw_memory(
    axes: Axes, memory: MemoryOccupancy, info: Occupancy, looks: Mapping[str, dict[str, object]], size: Size
) -> None:
    import numpy as np

    times = np.array([*memory.cycles, info.window[1]]) * info.operators.per_cycle
    below = np.zeros(len(times))
    for name, look in looks.items():
        one = [np.array(sizes) for tensor, sizes in memory.size_bytes.items() if _shown_as(tensor, looks) == name]
        if one:
            total = np.sum(one, axis=0) / 1024
            top = below + np.append(total, total[-1:])
            axes.fill_between(times, below, top, step="post", **look)  # type: ignore[arg-type]
            below = top
    if memory.capacity_bytes is not None:
        whole = memory.capacity_bytes / 1024
        axes.axhline(whole, color="#000000", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"capacity {whole:,.0f} KiB", (1.0, whole), xycoords=("axes fraction", "data"), xytext=(-2, 2),
            textcoords="offset points", ha="right", va="bottom", fontsize=size.font_points * 0.75,
        )  # fmt: skip
    axes.set_ylim(0, 1.2 * max(memory.capacity_bytes or 0, memory.peak_bytes) / 1024)
    name = "L2" if memory.memory == "l2" else memory.memory
    dress(axes, size, y=f"{name} [KiB]", grid="y")
    axes.set_xlim(*(cycle * info.operators.per_cycle for cycle in info.window))


def _shown_as(tensor: str, looks: Mapping[str, dict[str, object]]) -> str:
    if tensor in looks:
        return tensor
    return OTHER_PROGRAMS if tensor in (OTHER, OTHER_PROGRAMS) else REST
