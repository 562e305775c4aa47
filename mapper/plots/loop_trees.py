"""The loop trees of a cut as a picture: operators side by side, above each the loops and places on its way down.

An info function makes the cells, a draw function the picture of these cells. What operators share is one cell as wide
as all of them, so a tensor that stays on chip between two is seen as a bar across both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from mapper.fused.cut import Cut
from mapper.fused.loop_tree import MEMORIES, Loop, LoopTree
from mapper.reports.quantities import quantity
from simulator.views.style import NOTEBOOK, PAPER, Size, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOP, OPERATOR = "loop", "operator"

LOOKS = {
    LOOP: ("#ffffff", "", ""), OPERATOR: ("#333333", "", ""), MEMORIES[0]: ("#66ccee", "", "keeps "),
    MEMORIES[1]: ("#a8d8a0", "//", "sums of "), MEMORIES[2]: ("#ddcc77", "..", "array holds "),
}  # fmt: skip
"""Colour, hatching and first word of a cell by its kind: the kinds differ without colour, too."""

BAND_COLUMNS = {NOTEBOOK.name: 7, PAPER.name: 4}
"""Operators side by side by size; further groups go below. A group of more is drawn in one all the same."""

COLUMN_LETTERS, ROW_LETTERS = 16.3, 2.2
"""Width and height of a cell of one column, in sizes of a letter."""

LETTERS = 30
"""Characters that a cell of one column holds; longer texts are cut, with an ellipsis."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A step, or an operator: one box of the picture."""

    kind: str
    """``"loop"``, ``"operator"``, or the memory in which a tensor is kept from here on inwards."""
    text: str
    first: int
    """Column of the first operator below it, counted over the whole cut."""
    columns: int
    """How many operators are below it."""
    row: int
    """Steps above it."""


@dataclass(frozen=True, slots=True)
class Band:
    """Columns that are drawn side by side."""

    first: int
    end: int
    """One after the last column."""
    boundaries: tuple[int, ...]
    """Where groups meet within."""


@dataclass(frozen=True, slots=True)
class TreePicture:
    """The cells of a cut."""

    title: str
    cells: tuple[Cell, ...]
    groups: tuple[int, ...]
    """Number of operators of each group."""

    def bands(self, most: int) -> list[Band]:
        """Return the groups in lines of text, as it were: each takes as many columns as fit, and at least one group."""
        bands: list[Band] = []
        for end, members in zip(accumulate(self.groups), self.groups, strict=True):
            last = bands[-1] if bands else None
            if last is not None and end - last.first <= most:
                bands[-1] = Band(last.first, end, (*last.boundaries, end - members))
            else:
                bands.append(Band(end - members, end, ()))
        return bands


def tree_picture(title: str, cut: Cut) -> TreePicture:
    """Return the cells of the trees of a cut, groups from left to right.

    Parameters
    ----------
    title
        What was cut, and for which machine.
    cut
        Its groups.
    """
    cells: list[Cell] = []
    column = 0
    for group in cut.groups:
        cells += _cells(group.tree, column, 0)
        column += len(group.operators)
    sums = f"{cut.cycles:,} cycles, {quantity(cut.energy_pj * 1e-12, 'J')}"
    return TreePicture(f"{title}: {sums}", tuple(cells), tuple(len(group.operators) for group in cut.groups))


def _cells(block: LoopTree, first: int, row: int) -> Iterator[Cell]:
    columns = sum(1 for _ in block.leaves())
    for step in block.steps:
        if isinstance(step, Loop):
            yield Cell(LOOP, f"for {step.dim} by {step.step:,}", first, columns, row)
        else:
            yield Cell(step.memory, step.tensor, first, columns, row)
        row += 1
    if block.operator is not None:
        yield Cell(OPERATOR, block.operator, first, columns, row)
    for part in block.parts:
        yield from _cells(part, first, row)
        first += sum(1 for _ in part.leaves())


def draw_trees(info: TreePicture, size: Size = NOTEBOOK) -> Figure:
    """Draw the cells: the outermost loop on top, time from left to right within what a loop spans."""
    bands = info.bands(BAND_COLUMNS[size.name])
    rows = [max(cell.row for cell in info.cells if band.first <= cell.first < band.end) + 1 for band in bands]
    width = max(band.end - band.first for band in bands)
    letter = size.font_points / 72
    figure = new_figure(size, letter * (ROW_LETTERS * (sum(rows) + len(rows)) + 7.0))
    figure.set_figwidth(max(COLUMN_LETTERS * letter * width + 0.2, size.width_inches))
    all_axes = figure.subplots(len(bands), squeeze=False, gridspec_kw={"height_ratios": rows})[:, 0]
    for axes, band, depth in zip(all_axes, bands, rows, strict=True):
        for cell in info.cells:
            if band.first <= cell.first < band.end:
                _draw_cell(axes, cell, size)
        # Between groups tensors pass through DRAM.
        for place in band.boundaries:
            axes.plot([place, place], [0, depth], color="#000000", linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_xlim(band.first, band.first + width)
        axes.set_ylim(depth, 0)
        axes.set_axis_off()
    figure.suptitle(info.title, fontsize=size.font_points)
    _explain(figure, size)
    return figure


def _draw_cell(axes: Axes, cell: Cell, size: Size) -> None:
    from matplotlib.patches import Rectangle

    colour, hatch, word = LOOKS[cell.kind]
    corner = (cell.first + 0.03, cell.row + 0.06)
    box = Rectangle(
        corner, cell.columns - 0.06, 0.88, facecolor=colour, edgecolor="#777777", hatch=hatch, linewidth=0.7
    )
    axes.add_patch(box)
    text, most = word + cell.text, LETTERS * cell.columns
    axes.text(
        cell.first + cell.columns / 2,
        cell.row + 0.5,
        text if len(text) <= most else text[: most - 1] + "…",
        ha="center",
        va="center",
        fontsize=size.font_points * 0.83,
        color="#ffffff" if cell.kind == OPERATOR else "#000000",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.0} if hatch else None,
    )


def _explain(figure: Figure, size: Size) -> None:
    from matplotlib.patches import Patch

    names = {LOOP: "loop, outermost on top", **{memory: f"kept in the {memory}" for memory in MEMORIES}}
    patches = []
    for kind, label in names.items():
        colour, hatch, _ = LOOKS[kind]
        patches.append(Patch(facecolor=colour, edgecolor="#777777", hatch=hatch, label=label))
    legend_below(figure, size, patches, columns=2)
