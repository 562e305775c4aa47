"""Stacked horizontal bars that stay readable when one of them is much longer than the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from simulator.views.style import Size, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MUCH_LONGER = 12.0
"""Times the median from which a bar is broken."""

BROKEN = 5.0
"""Times the median at which a broken bar ends: a median bar takes a fifth of the width."""

TEXT_ROOM = 1.22
"""The axis is so much longer than the longest bar: for the numbers beside the bars."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Values by row, stacked; all of one unit."""

    rows: tuple[str, ...]
    stacks: dict[str, tuple[float, ...]]
    notes: tuple[str, ...] = ()
    """What stands in place of a bar without length."""

    @property
    def totals(self) -> tuple[float, ...]:
        """Length of each bar."""
        return tuple(map(sum, zip(*self.stacks.values(), strict=True))) if self.stacks else (0.0,) * len(self.rows)

    @property
    def end(self) -> float:
        """Length at which bars are broken; the longest bar where none is much longer than the others."""
        lengths = [length for length in self.totals if length > 0]
        if not lengths:
            return 1.0
        middle = median(lengths)
        if max(lengths) <= MUCH_LONGER * middle:
            return max(lengths)
        # The longest of those that are not broken may be as long as it likes below the break.
        return max(BROKEN * middle, max(length for length in lengths if length <= MUCH_LONGER * middle) * 1.15)

    @property
    def broken(self) -> tuple[bool, ...]:
        """Which bars are longer than the axis; these keep their proportions, and a break is drawn."""
        return tuple(length > self.end * (1 + 1e-9) for length in self.totals)


def draw_bars(
    axes: Axes, info: Bars, looks: Mapping[str, dict[str, object]], size: Size, marks: Sequence[float | None] = ()
) -> None:
    """Draw the bars, the length of each beside it, and marks on bars that are whole."""
    from matplotlib.patheffects import withStroke

    rows = range(len(info.rows))
    shrink = [info.end / length if broken else 1.0 for length, broken in zip(info.totals, info.broken, strict=True)]
    left = [0.0] * len(info.rows)
    for name, values in info.stacks.items():
        widths = [value * factor for value, factor in zip(values, shrink, strict=True)]
        axes.barh(rows, widths, left=left, height=0.78, **looks[name])  # type: ignore[arg-type]
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, (length, broken) in enumerate(zip(info.totals, info.broken, strict=True)):
        text = short(length) if length > 0 else info.notes[row] if info.notes else ""
        if broken:
            _draw_break(axes, row, info.end)
        mark = marks[row] if row < len(marks) else None
        beside = max(min(length, info.end), mark if mark is not None and not broken else 0.0)
        style = "italic" if length <= 0 else "normal"
        axes.text(
            beside + 0.012 * info.end, row, text, va="center", fontsize=size.font_points * 0.8, fontstyle=style,
            fontweight="bold" if broken else "normal",
        )  # fmt: skip
        if mark is not None and not broken:
            # A white rim keeps the mark visible on a dark part of the bar.
            rim = [withStroke(linewidth=2.6, foreground="#ffffff")]
            axes.plot([mark], [row], "k|", markersize=size.font_points, path_effects=rim)
    axes.set_yticks(rows, info.rows)
    axes.set_ylim(len(info.rows) - 0.4, -0.6)
    longest = max([info.end, *(mark for mark, broken in zip(marks, info.broken, strict=False) if mark and not broken)])
    axes.set_xlim(0.0, TEXT_ROOM * longest)
    axes.xaxis.set_major_formatter("{x:,.6g}")


def _draw_break(axes: Axes, row: int, end: float) -> None:
    """Two slanted white lines across a bar, before its end."""
    for place in (0.86, 0.885):
        xs = [(place - 0.012) * end, (place + 0.012) * end]
        axes.plot(xs, [row + 0.5, row - 0.5], color="#ffffff", linewidth=2.2, solid_capstyle="butt")
