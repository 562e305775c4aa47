"""The roofline study as tables beside the published values, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mapper.reports.text import columns, wrapped
from mapper.studies.roofline import (
    DRAM_LINK,
    FIGURE_32,
    FIGURE_LENGTHS,
    FITTING_D_FFN,
    IN_SERIES,
    LENGTHS,
    PEAK_FLOPS,
    SIMULATED,
    TABLE,
    Intensity,
    Latency,
    Roofs,
    encoder_cycles,
    run,
)
from mapper.studies.study import StudyPlan, StudyResult
from simulator.views.style import plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXACT = 2e-5
"""Relative difference of an intensity up to which it agrees: the paper prints five or six digits."""

MARKERS = dict(zip([row.name for row in TABLE], "os^Dv*", strict=True))
LINES = {"bert-base": ("-", "#4477aa"), "gpt2": ("--", "#ee6677"), "bert-large": (":", "#228833")}


def plan(simulated: Sequence[int] = SIMULATED) -> StudyPlan:
    """Return the study as work for the command."""
    found = Roofs()

    def result() -> StudyResult:
        tables = {"roofline.csv": intensity_csv(found), "roofline_latency.csv": latency_csv(found)}
        return StudyResult(text(found), tables, lambda: draw(found))

    return StudyPlan(2 + len(simulated), run(found, simulated), result, ("roofline.csv", "roofline_latency.csv"))


def text(found: Roofs) -> str:
    """Return both tables, then what agrees and what does not, with causes."""
    parts = [_intensities(found), _latencies(found)]
    lines = [line for part in parts if part for line in (*part, "")]
    for note in notes(found):
        lines += wrapped(note)
    return "\n".join(lines)


def _intensities(found: Roofs) -> list[str]:
    if not found.intensities:
        return []
    head = ["FLOP per byte", *(f"{what}, {tokens}" for tokens in LENGTHS for what in ("paper", "ours"))]
    lengths = sorted({point.tokens for point in found.simulated})
    head += [f"simulated, {tokens}" for tokens in lengths]
    simulated = {(point.name, point.tokens): point.intensity for point in found.simulated}
    rows = []
    for name in (*(row.name for row in TABLE), "block"):
        points = [point for point in (*found.intensities, *found.totals) if point.name == name]
        cells = [f"{value:.3f}" for point in points for value in (point.published, point.ours)]
        cells += [_finite(simulated.get((name, tokens))) for tokens in lengths]
        rows.append((name, *cells))
    return columns([head, *rows], rules=(1,), right=range(1, len(head)))


def _finite(value: float | None) -> str:
    return "-" if value is None or math.isinf(value) else f"{value:.1f}"


def _latencies(found: Roofs) -> list[str]:
    if not found.latencies:
        return []
    head = ("latency, BERT-Base with 128 tokens = 1", *(f"{tokens:,}" for tokens in FIGURE_LENGTHS))
    rows = []
    for model in FIGURE_32:
        points = [point for point in found.latencies if point.model == model]
        rows.append((f"{model}, paper", *(str(point.published) for point in points)))
        rows.append((f"{model}, ours", *(f"{point.ours:.1f}" for point in points)))
    return columns([head, *rows], rules=(1,), right=range(1, len(head)))


def notes(found: Roofs) -> list[str]:
    """Return what agrees with the paper, and what does not with its cause."""
    return [*_table_notes(found), *_figure_notes(found), *_simulation_notes(found)]


def _table_notes(found: Roofs) -> Iterator[str]:
    if not found.intensities:
        return
    same = [point for point in found.intensities if abs(point.error) <= EXACT]
    worst = max(found.totals, key=lambda point: abs(point.error))
    yield (
        f"Table 5: {len(same)} of {len(found.intensities)} operators within 0.002 %, blocks within "
        f"{abs(worst.error):.2%}. How often operands are read is data: no buffer size gives the 7 of W1 and the 4 of "
        f"4,096 tokens, and W2 fits with one byte for a result, where the text has four."
    )
    for point in found.intensities:
        if abs(point.error) > EXACT:
            yield f"{_name(point)}: {point.ours:.3f}, the paper {point.published:.3f}."


def _name(point: Intensity) -> str:
    return f"{point.name}, {point.tokens:,} tokens"


def _figure_notes(found: Roofs) -> Iterator[str]:
    if not found.latencies:
        return
    sure = [point for point in found.latencies if point.model != "bert-large"]
    worst = max((point for point in sure if not point.is_printed), key=lambda point: abs(point.error), default=None)
    told = "" if worst is None else f"; of the others {_said(worst)} is the farthest"
    printed = sum(point.is_printed for point in sure)
    yield (
        f"Fig. 32: {printed} of {len(sure)} points of BERT-Base and GPT-2 round to the printed integer{told}. The "
        f"two links stand in series ({IN_SERIES:g} bytes per cycle): the overlap of the text is not in its results."
    )
    large = [point for point in found.latencies if point.model == "bert-large"]
    unit = encoder_cycles("bert-base", FIGURE_LENGTHS[0])
    narrower = [encoder_cycles("bert-large", point.tokens, d_ffn=FITTING_D_FFN) / unit for point in large]
    yield (
        f"BERT-Large of the paper's figures is not that of its Table 1: with {FITTING_D_FFN:,} hidden channels, which "
        f"its FLOPs fit, the latencies are {', '.join(f'{value:.1f}' for value in narrower)}."
    )


def _said(point: Latency) -> str:
    return f"{point.model} with {point.tokens:,} tokens, {point.ours:.1f} for {point.published}, {point.error:+.1%},"


def _simulation_notes(found: Roofs) -> Iterator[str]:
    if not found.simulated:
        return
    published = {(point.name, point.tokens): point.published for point in found.intensities}
    ratios = [
        (point.intensity / published[point.name, point.tokens], point)
        for point in found.simulated
        if (point.name, point.tokens) in published and not math.isinf(point.intensity)
    ]
    if not ratios:
        return
    least, most = min(ratios, key=lambda one: one[0]), max(ratios, key=lambda one: one[0])
    yield (
        f"Simulated on the same memories, tiles by our search: {least[0]:.2f} ({least[1].name}, {least[1].tokens:,} "
        f"tokens) to {most[0]:.2f} times ({most[1].name}, {most[1].tokens:,}) the paper's intensity. The L2 keeps what "
        f"the product before it wrote and re-reads hit there; products write int8; whole lines of 64 bytes move."
    )


def intensity_csv(found: Roofs) -> str:
    """Return a row for each operator and length."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["operator", "tokens", "published", "ours", "simulated", "simulated_flops_per_cycle"])
    simulated = {(point.name, point.tokens): point for point in found.simulated}
    for point in (*found.intensities, *found.totals):
        run_point = simulated.get((point.name, point.tokens))
        run_cells = (f"{run_point.intensity:.3f}", f"{run_point.flops_per_cycle:.2f}") if run_point else ("", "")
        writer.writerow([point.name, point.tokens, point.published, f"{point.ours:.4f}", *run_cells])
    return out.getvalue()


def latency_csv(found: Roofs) -> str:
    """Return a row for each model and length."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", "tokens", "published", "ours"])
    for point in found.latencies:
        writer.writerow([point.model, point.tokens, point.published, f"{point.ours:.3f}"])
    return out.getvalue()


def draw(found: Roofs) -> Figure:
    """Draw the roofline with the operators on it, and the latencies against the length."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_roofs(left, found)
    for model, (line, colour) in LINES.items():
        points = [point for point in found.latencies if point.model == model]
        tokens = [point.tokens for point in points]
        right.plot(tokens, [point.published for point in points], "x", color="black")
        right.plot(tokens, [point.ours for point in points], line, color=colour, label=model)
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    plain_log(right.yaxis)
    right.set_xticks(FIGURE_LENGTHS, [str(tokens) for tokens in FIGURE_LENGTHS])
    right.set_xlabel("tokens")
    right.set_ylabel("latency / BERT-Base with 128 tokens")
    right.set_title("crosses: the paper's Fig. 32", fontsize="small")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_roofs(axes: Axes, found: Roofs) -> None:
    span = [1.0, 10_000.0]
    axes.plot(span, [PEAK_FLOPS] * 2, color="black")
    for width, style in ((DRAM_LINK, "-"), (IN_SERIES, "--")):
        ridge = PEAK_FLOPS / width
        axes.plot([span[0], ridge], [span[0] * width, PEAK_FLOPS], style, color="black", label=f"{width:g} B/cycle")
    shown = max((point.tokens for point in found.simulated), default=SIMULATED[-1])
    for point in found.intensities:
        if point.tokens == shown:
            roof = min(PEAK_FLOPS, IN_SERIES * point.ours)
            axes.plot(point.ours, roof, MARKERS[point.name], color="#555555", markerfacecolor="none", markersize=8)
    for run_point in found.simulated:
        if run_point.tokens == shown and not math.isinf(run_point.intensity):
            place = run_point.intensity, run_point.flops_per_cycle
            axes.plot(*place, MARKERS[run_point.name], color="#4477aa", label=run_point.name, linestyle="none")
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_log(axes.xaxis)
    plain_log(axes.yaxis)
    axes.set_xlabel("FLOP per byte of DRAM traffic")
    axes.set_ylabel("FLOP per cycle")
    axes.set_title(f"{shown:,} tokens: simulated filled, the paper's hollow", fontsize="small")
    axes.legend(frameon=False, fontsize="small")
