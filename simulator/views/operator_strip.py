"""The operators of a run as a strip over time, which pictures over time have at their top."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from string import ascii_lowercase
from textwrap import wrap
from typing import TYPE_CHECKING

from simulator.report import Report
from simulator.views.style import Size, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTERS = 125
"""Letters of a name that fit into an inch of the strip, times their size in points."""


@dataclass(frozen=True, slots=True)
class OperatorStrip:
    """Operators in the order of execution, as far as they reach into a window."""

    clock_mhz: float
    window: tuple[int, int]
    """First cycle, and the one after the last."""
    names: tuple[str, ...]
    ends: tuple[tuple[int, int], ...]
    """First cycle of each, and the one after its last."""

    @property
    def time_unit(self) -> str:
        """Unit of an axis over this time."""
        return self._scale[1]

    @property
    def per_cycle(self) -> float:
        """Length of a cycle in this unit."""
        return self._scale[0] / self.clock_mhz

    @property
    def _scale(self) -> tuple[float, str]:
        return scaled(self.window[1] / self.clock_mhz, ("µs", "ms", "s"))


def operator_strip(report: Report, window: tuple[int, int] | None = None) -> OperatorStrip:
    """Return the operators of one block that run in a window.

    Raises
    ------
    ValueError
        When the window is empty, or nothing runs in it.
    """
    parts = report.by_op or (report,)
    starts = list(pairwise([0, *accumulate(part.cycles for part in parts)]))
    length = starts[-1][1]
    first, last = window or (0, length)
    if first >= last:
        raise ValueError(f"window {first}:{last} is empty")
    if first >= length:
        raise ValueError(f"nothing runs in the window {first}:{last}, the block has {length:,} cycles")
    shown = [
        (part.name, ends) for part, ends in zip(parts, starts, strict=True) if max(first, ends[0]) < min(last, ends[1])
    ]
    names, ends = zip(*shown, strict=True)
    return OperatorStrip(report.clock_mhz, (first, min(last, length)), names, ends)


def draw_operators(axes: Axes, info: OperatorStrip, size: Size) -> str:
    """A box for each operator, alternately grey and white; its name where there is room.

    Where there is room for a letter only, it has one.

    Returns
    -------
    Lines that tell what the letters stand for, each with a line break before it; empty if there are none.
    """
    first, last = info.window
    short: list[str] = []
    for place, (name, (start, end)) in enumerate(zip(info.names, info.ends, strict=True)):
        left, right = max(start, first) * info.per_cycle, min(end, last) * info.per_cycle
        colour = ("#e4e4e4", "#ffffff")[place % 2]
        axes.axvspan(left, right, facecolor=colour, edgecolor="#999999", linewidth=0.5)
        share = (min(end, last) - max(start, first)) / (last - first)
        room = int(share * LETTERS * size.width_inches / size.font_points)
        text = name if len(name) <= room else ""
        if not text and room >= 1 and len(short) < len(ascii_lowercase):
            text = ascii_lowercase[len(short)]
            short.append(f"{text}: {name}")
        axes.text((left + right) / 2, 0.5, text, ha="center", va="center", fontsize=size.font_points * 0.75)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)
    return "".join(f"\n{line}" for line in wrap(",  ".join(short), int(LETTERS * size.width_inches / size.font_points)))
