"""The co-design study as tables beside the published values, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mapper.reports.quantities import quantity
from mapper.reports.text import columns, wrapped
from mapper.studies.codesign import (
    CAPACITIES,
    KINDS,
    LADDER,
    PUBLISHED_SHARES,
    PUBLISHED_SPEEDUP,
    TOKENS,
    Design,
    Findings,
    Split,
    run,
    utilisation,
)
from mapper.studies.study import StudyPlan, StudyResult
from simulator.bottleneck import COMPUTE, cycles_by_cause
from workloads.ops import Add, Gelu, LayerNorm, Matmul, Softmax

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLOSE = 0.02
"""Difference of two utilisations, or of two shares, up to which they agree."""

STATED_LESS_MATMUL_TIME = 0.36
"""What the paper says that the new split takes off the products; its own Fig. 13 gives at most 0.275."""

STATED_AREA, STATED_ENERGY = 0.14, 0.093
"""Extra area, and extra power of a BERT inference, for the units; section 3.4 and conclusion."""

KIND_COLOURS = {
    Matmul.kind: "#4477aa", Softmax.kind: "#aa3377", LayerNorm.kind: "#ee7733", Gelu.kind: "#ccbb44",
    Add.kind: "#bbbbbb",
}  # fmt: skip
HATCHES = {Matmul.kind: "", Softmax.kind: "//", LayerNorm.kind: "\\\\", Gelu.kind: "..", Add.kind: "xx"}
"""A share can be told from its neighbours without colour."""


def plan(tokens: int = TOKENS, finalists: int | None = None) -> StudyPlan:
    """Return the study as work for the command."""
    found = Findings(tokens)

    def outcome() -> StudyResult:
        tables = {"codesign.csv": ladder_csv(found), "codesign_grid.csv": grid_csv(found)}
        return StudyResult(text(found), tables, lambda: draw(found))

    steps = len(LADDER) + len(CAPACITIES) * (len(CAPACITIES) + 1)
    return StudyPlan(steps, run(found, finalists=finalists), outcome, ("codesign.csv", "codesign_grid.csv"))


def text(found: Findings) -> str:
    """Return the ladder, the shares and the grid, then what agrees with the paper and what does not, with causes."""
    parts = [_ladder(found), _shares(found), _grid(found)]
    lines = [line for part in parts if part for line in (*part, "")]
    for note in notes(found):
        lines += wrapped(note)
    return "\n".join(lines)


def _ladder(found: Findings) -> list[str]:
    if not found.steps:
        return []
    first = found.steps[0].report
    head = ("design", "cycles", "latency", "energy", "EDP", "util.", "products", "outside", "faster", "energy", "EDP")
    rows = [
        (
            step.name,
            f"{step.report.cycles:,}",
            quantity(step.report.latency_s, "s"),
            quantity(step.report.energy_pj * 1e-12, "J"),
            quantity(step.report.edp_js, "J s"),
            f"{step.report.utilisation:.1%}",
            f"{step.matmul_utilisation:.1%}",
            f"{step.outside_matmul:.1%}",
            *(
                f"x{ratio:,.1f}"
                for ratio in (
                    first.cycles / step.report.cycles,
                    first.energy_pj / step.report.energy_pj,
                    first.edp_js / step.report.edp_js,
                )
            ),
        )
        for step in found.steps
    ]
    title = f"BERT-Base, {found.tokens} tokens: utilisation of the run and of its products, time outside them, gains"
    return [title, "", *columns([head, *rows], rules=(1,), right=range(1, len(head)))]


def _shares(found: Findings) -> list[str]:
    if not found.steps:
        return []
    rows = []
    for step in found.steps:
        rows.append((step.name, *(f"{step.shares[kind]:.1%}" for kind in KINDS)))
        published = PUBLISHED_SHARES.get(step.name)
        if published and found.tokens == TOKENS:
            rows.append(("  paper", *(f"{published[kind]:.0%}" if kind in published else "-" for kind in KINDS)))
    head = ("share of the cycles", *KINDS)
    return columns([head, *rows], rules=(1,), right=range(1, len(head)))


def _grid(found: Findings) -> list[str]:
    if not found.cells:
        return []
    head = ("utilisation of products", *(f"scratchpad {size} KiB" for size in CAPACITIES))
    rows = []
    for accumulator in CAPACITIES:
        cells = [found.cell(scratchpad, accumulator) for scratchpad in CAPACITIES]
        rows.append((f"accumulator {accumulator} KiB", *(_cell(cell) for cell in cells)))
    lines = columns([head, *rows], rules=(1,), right=range(1, len(head)))
    return [f"paper, {TOKENS} tokens / library's tile / best tile by the estimate", "", *lines]


def _cell(cell: Split | None) -> str:
    if cell is None:
        return "-"
    published = "-" if cell.published is None else f"{cell.published:.0%}"
    return f"{published} / {utilisation(cell.library):.1%} / {utilisation(cell.best):.1%}"


def notes(found: Findings) -> list[str]:
    """Return a line for each published value: whether ours agrees, and if not, the cause that was measured."""
    if found.tokens != TOKENS:
        return [f"The paper's values are those of {TOKENS} tokens: nothing to hold these against."]
    return [*_baseline_notes(found), *_speed_notes(found), *_split_notes(found), *_unit_notes(found), *_cells(found)]


def _baseline_notes(found: Findings) -> Iterator[str]:
    base = found.step("baseline")
    if base is None:
        return
    report = base.report
    ideal = report.macs / report.peak_macs_per_cycle
    longer = (ideal / 0.01 - (1 - base.outside_matmul) * report.cycles) / (base.outside_matmul * report.cycles)
    yield (
        f"Baseline: utilisation {report.utilisation:.1%}, the paper says far under 1 %. Our host kernels take "
        f"{base.outside_matmul:.1%} of the time at cycles per element that are estimates; below 1 % they would have to "
        f"take {longer:.1f} times as long. The paper's own 39.6x and 87 % of products imply 2.0 %."
    )
    shares, published = base.shares, PUBLISHED_SHARES["baseline"]
    host = {kind: shares[kind] for kind in (Softmax.kind, LayerNorm.kind, Gelu.kind)}
    told = ", ".join(f"{kind} {share:.0%} ({published[kind]:.0%})" for kind, share in host.items())
    yield (
        f"Baseline's shares, the paper's in brackets: {told}, residual additions {shares['add']:.1%} "
        f"({published['add']:.0%}). The paper's host converts numbers in 49 % of the time, a part of each kernel "
        f"here, and adds residuals; here the accelerator adds them while they are loaded."
    )


def _speed_notes(found: Findings) -> Iterator[str]:
    base, best = found.step("baseline"), found.step("+ our mapper")
    fused = found.step("+ fusion")
    if base is None or fused is None:
        return
    ratio = base.report.cycles / fused.report.cycles
    yield (
        f"End to end: x{ratio:.1f} with the library's tile and cut, the paper x{PUBLISHED_SPEEDUP}. Nearly "
        f"all of it is the host's cycles per element, which are estimates: half of them would give half of the ratio."
    )
    if best is not None:
        ours = base.report.cycles / best.report.cycles
        less = 1 - best.report.energy_pj / fused.report.energy_pj
        yield f"Our mapper: x{ours:.1f}, {ours / ratio - 1:+.1%} of speed and {less:.0%} less energy than the library."
    shares, published = fused.shares, PUBLISHED_SHARES["+ fusion"]
    told = ", ".join(f"{kind} {shares[kind]:.1%} ({share:.0%})" for kind, share in published.items())
    yield (
        f"Shares with the units, the paper's in brackets: {told}. Whole rows of the scores fit the accumulator, so the "
        f"softmax runs in the read-out of their product and counts as product."
    )


def _split_notes(found: Findings) -> Iterator[str]:
    before, after = found.step("+ units"), found.step("+ re-split")
    if before is None or after is None:
        return
    less = 1.0 - _product_cycles(after) / _product_cycles(before)
    yield (
        f"New split: products take {less:.1%} less time. The paper states {STATED_LESS_MATMUL_TIME:.0%}, and its "
        f"Fig. 13 gives 24.2 % for this pair."
    )


def _product_cycles(step: Design) -> int:
    return sum(part.cycles for part in step.report.by_op if part.macs)


def _unit_notes(found: Findings) -> Iterator[str]:
    base, units = found.step("baseline"), found.step("+ units")
    fused = found.step("+ fusion")
    if base is None or units is None or fused is None or base.area_mm2 is None or units.area_mm2 is None:
        return
    grown = units.area_mm2 / base.area_mm2 - 1.0
    yield (
        f"Units: {grown:.1%} more area (14 % in the paper, of an accelerator without L2; ours counts L2 and core), and "
        f"{fused.vector_share:.1%} of the energy (9.3 %): ours is the dynamic energy of the lanes alone, beside DRAM."
    )


def _cells(found: Findings) -> Iterator[str]:
    """Say why the products are busier than the paper's, one line for each accumulator."""
    for accumulator in CAPACITIES:
        cells = [cell for size in CAPACITIES if (cell := found.cell(size, accumulator)) is not None]
        off = [cell for cell in cells if abs(utilisation(cell.library) - (cell.published or 0.0)) > CLOSE]
        if not off:
            continue
        told = ", ".join(
            f"{utilisation(cell.library):.0%} ({cell.published:.0%})" for cell in off if cell.published is not None
        )
        yield (
            f"Fig. 13, {accumulator} KiB of accumulator, library's tile, the paper's in brackets: {told}. Ours loses "
            f"{_losses(off)}. The paper does not tell its L2 and DRAM{_slower(found, accumulator)}."
        )


def _slower(found: Findings, accumulator: int) -> str:
    for slow in found.slow:
        if slow.accumulator_kib == accumulator:
            size = f"{CAPACITIES[0]} KiB of scratchpad"
            return f"; with half of our DRAM bandwidth, {size} would reach {utilisation(slow.library):.0%}"
    return ""


def _losses(cells: list[Split]) -> str:
    causes: dict[str, int] = {}
    for cell in cells:
        for cause, cycles in cycles_by_cause(cell.library).items():
            causes[cause] = causes.get(cause, 0) + cycles
    whole = sum(causes.values())
    losses = sorted(((cycles, cause) for cause, cycles in causes.items() if cause != COMPUTE), reverse=True)
    return ", ".join(f"{cycles / whole:.1%} to {cause}" for cycles, cause in losses[:3] if cycles)


def ladder_csv(found: Findings) -> str:
    """Return a row for each design."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("cycles", "latency_s", "energy_pj", "edp_js", "utilisation", "matmul_utilisation", "area_mm2")
    writer.writerow(["design", *names, *(f"share_{kind}" for kind in KINDS)])
    for step in found.steps:
        report = step.report
        numbers = (report.latency_s, report.energy_pj, report.edp_js, report.utilisation, step.matmul_utilisation)
        cells = [f"{number:.6g}" for number in (*numbers, step.area_mm2 or 0.0, *(step.shares[kind] for kind in KINDS))]
        writer.writerow([step.name, report.cycles, *cells])
    return out.getvalue()


def grid_csv(found: Findings) -> str:
    """Return a row for each split of the memories."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["scratchpad_kib", "accumulator_kib", "published", "library_tile", "best_tile"])
    for cell in found.cells:
        shares = [f"{utilisation(report):.4f}" for report in (cell.library, cell.best)]
        published = "" if cell.published is None else cell.published
        writer.writerow([cell.scratchpad_kib, cell.accumulator_kib, published, *shares])
    return out.getvalue()


def draw(found: Findings) -> Figure:
    """Draw the latencies on a logarithmic axis, the shares beside them, and the grid if there is one."""
    from matplotlib.figure import Figure

    panels = 3 if found.cells else 2
    figure = Figure(figsize=(3.3 * panels, 4.2), layout="constrained")
    left, middle, *right = figure.subplots(1, panels)
    _draw_ladder(left, found)
    _draw_shares(middle, found)
    for axes in right:
        _draw_grid(axes, found)
    return figure


def _draw_ladder(axes: Axes, found: Findings) -> None:
    latencies = [step.report.latency_s * 1e3 for step in found.steps]
    axes.barh(range(len(latencies)), latencies, color="#4477aa")
    for row, latency in enumerate(latencies):
        axes.text(latency, row, f" {latency:,.0f} ms, x{latencies[0] / latency:.1f}", va="center", fontsize="small")
    axes.set_yticks(range(len(latencies)), [step.name for step in found.steps])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.6)
    axes.set_xlabel("latency [ms]")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_shares(axes: Axes, found: Findings) -> None:
    left = [0.0] * len(found.steps)
    for kind in KINDS:
        widths = [100 * step.shares[kind] for step in found.steps]
        axes.barh(
            range(len(widths)), widths, left=left, color=KIND_COLOURS[kind], hatch=HATCHES[kind], edgecolor="white",
            label=kind,
        )  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(left)), [])
    axes.invert_yaxis()
    axes.set_xlabel("share of the cycles [%]")
    axes.legend(frameon=False, fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_grid(axes: Axes, found: Findings) -> None:
    styles = {64: ("o", "-"), 128: ("s", "--"), 256: ("^", ":")}
    for accumulator, (marker, line) in styles.items():
        cells = [cell for size in CAPACITIES if (cell := found.cell(size, accumulator)) is not None]
        sizes = [cell.scratchpad_kib for cell in cells]
        ours = [100 * utilisation(cell.library) for cell in cells]
        axes.plot(sizes, ours, line, marker=marker, color="#4477aa", label=f"{accumulator} KiB accumulator")
        axes.plot(
            sizes,
            [100 * (cell.published or 0.0) for cell in cells],
            line,
            marker=marker,
            color="#999999",
            markerfacecolor="none",
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(CAPACITIES, [str(size) for size in CAPACITIES])
    axes.set_xlabel("scratchpad [KiB]")
    axes.set_ylabel("utilisation of the products [%]")
    axes.set_title("library's tile: ours filled, paper hollow", fontsize="small")
    axes.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16))
    axes.spines[["top", "right"]].set_visible(False)
