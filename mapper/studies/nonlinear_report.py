"""Nonlinear operators as a table, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mapper.reports.text import columns, wrapped
from mapper.studies.nonlinear import LENGTHS, OPERATORS, PAPER_SOFTMAX, Measured, NonlinearTimes, run
from mapper.studies.study import StudyPlan, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = {"host": ("#222222", "-", "o"), "unit": ("#aa3377", "--", "s"), "fused": ("#4477aa", ":", "^")}


def plan(lengths: Sequence[int] = LENGTHS) -> StudyPlan:
    """Return the study as work for the command."""
    found = NonlinearTimes()

    def result() -> StudyResult:
        return StudyResult(text(found), {"nonlinear.csv": as_csv(found)}, lambda: draw(found))

    return StudyPlan(len(lengths) * len(OPERATORS), run(found, lengths), result, ("nonlinear.csv",))


def text(found: NonlinearTimes) -> str:
    """Return the table, then what it is held against."""
    head = ("cycles of a layer", "tokens", "product", "host", "unit", "fused", "host", "unit", "fused")
    rows = [
        (
            row.name,
            f"{row.tokens:,}",
            f"{row.product:,}",
            *(_whole(cycles) for cycles in (row.host, row.unit, row.fused)),
            *(_each(row.per_element(cycles)) for cycles in (row.host, row.unit, row.fused)),
        )
        for row in found.rows
    ]
    lines = ["nonlinear operators of BERT-Base; the last three columns are cycles of one element", ""]
    lines += [*columns([head, *rows], rules=(1,), right=range(1, len(head))), ""]
    for note in notes(found):
        lines += wrapped(note)
    return "\n".join(lines)


def _whole(cycles: int | None) -> str:
    return "-" if cycles is None else f"{cycles:,}"


def _each(cycles: float | None) -> str:
    return "-" if cycles is None else f"{cycles:.3f}"


def notes(found: NonlinearTimes) -> Iterator[str]:
    """Yield what agrees with the paper, and what has no figure there."""
    for row in found.rows:
        ours = row.per_element(row.unit)
        if (row.name, row.tokens) == ("softmax", 512) and ours is not None:
            yield (
                f"Softmax, 512 tokens: {ours:.2f} cycles of a score on the unit, the paper {PAPER_SOFTMAX}, derived "
                f"from its fusion study: int32 scores come from DRAM and int8 results go there, 5 bytes at 8 per cycle."
            )
        if row.refused:
            yield f"{row.name}, {row.tokens:,} tokens, cannot be fused: {row.refused}"
    yield "Host: cycles of an element are estimates, so its column says what was assumed."
    if any(row.fused is not None and row.fused < 0 for row in found.rows):
        yield "Fused, below nought: the group is faster than its product alone, which writes more or on a worse tile."


def as_csv(found: NonlinearTimes) -> str:
    """Return a row for each operator and length."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["operator", "tokens", "elements", "product_cycles", "host_cycles", "unit_cycles", "fused_cycles"])
    for row in found.rows:
        cells = (row.name, row.tokens, row.elements, row.product, row.host, row.unit, row.fused)
        writer.writerow("" if cell is None else cell for cell in cells)
    return out.getvalue()


def draw(found: NonlinearTimes) -> Figure:
    """Draw the cycles of each operator against the tokens."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    for axes, operator in zip(figure.subplots(1, len(OPERATORS), sharey=True), OPERATORS, strict=True):
        rows = [row for row in found.rows if row.name == operator.name]
        for way, (colour, line, marker) in WAYS.items():
            points = [(row.tokens, cycles) for row in rows if (cycles := _of(row, way)) is not None and cycles > 0]
            axes.plot(
                [tokens for tokens, _ in points], [cycles for _, cycles in points], line, marker=marker, color=colour,
                label=way if points or not any(_of(row, way) == 0 for row in rows) else f"{way}: 0, in the stores",
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="tokens", title=operator.name)
        lengths = sorted({row.tokens for row in rows})
        axes.set_xticks(lengths, [f"{tokens:,}" for tokens in lengths], minor=False)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("cycles of a layer")
    return figure


def _of(row: Measured, way: str) -> int | None:
    return {"host": row.host, "unit": row.unit, "fused": row.fused}[way]
