"""Latency and energy of one run by operator and unit: `breakdown` makes the numbers, `draw_breakdown` the picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.bottleneck import BANDWIDTH, BOUNDS, LATENCY, LOADS, cycles_by_cause, load_cycles
from simulator.report import Report
from simulator.views.bars import Bars, draw_bars
from simulator.views.style import NOTEBOOK, Size, bound_look, dress, energy_look, legend_below, new_figure, scaled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Latency and energy by operator, in program order."""

    title: str
    operators: tuple[str, ...]
    latency_us: tuple[float, ...]
    latency_us_by_cause: dict[str, tuple[float, ...]]
    """The same, by what took the time; causes in the order of a table, those without any left out."""
    estimate_us: tuple[float | None, ...] | None
    """The estimate beside the simulation, if it was given; None for an operator that takes no time of its own."""
    bounds: tuple[str, ...]
    """Empty for an operator that takes no time of its own."""
    notes: tuple[str, ...]
    """What stands in place of a bar that is none: in which operator its work is done."""
    energy_uj: dict[str, tuple[float, ...]]
    """Energy of each operator by unit; the unit that needs most comes first."""


def breakdown(report: Report, estimate: Report | None = None, absorbed: Mapping[str, str] | None = None) -> Breakdown:
    """Return the numbers of the breakdown of a report by operator.

    Parameters
    ----------
    report
        Of a model, or of one operator.
    estimate
        Whose latencies are marked beside.
    absorbed
        Leading operator of each one that runs within another one's stores.
    """
    parts = report.by_op or (report,)
    by_unit = [energy_by_unit(part, parts) for part in parts]
    totals = {unit: sum(row.get(unit, 0.0) for row in by_unit) for row in by_unit for unit in row}
    order = sorted(totals, key=lambda unit: (-totals[unit], unit))
    estimates = {part.name: part for part in estimate.by_op or (estimate,)} if estimate else {}
    blocks = f", one of {report.repeat} equal blocks" if report.by_op and report.repeat > 1 else ""
    return Breakdown(
        title=f"{report.name} on {report.machine}{blocks}",
        operators=tuple(operator_label(part) for part in parts),
        latency_us=tuple(part.latency_s * 1e6 for part in parts),
        latency_us_by_cause={
            bound: tuple(cycles / report.clock_mhz for cycles in row) for bound, row in bound_cycles(parts).items()
        },
        estimate_us=tuple(_estimate_us(part, estimates) for part in parts) if estimate else None,
        bounds=tuple(part.bound if part.cycles else "" for part in parts),
        notes=tuple(_note(part, absorbed or {}) for part in parts),
        energy_uj={unit: tuple(row.get(unit, 0.0) * 1e-6 for row in by_unit) for unit in order},
    )


def energy_by_unit(report: Report, among: Sequence[Report] = ()) -> dict[str, float]:
    """Energy by unit [pJ]; the vector unit is called ``requantise`` if that is all it does in ``among``.

    Scaling results to int8 is part of every accumulator's read port, also on machines without a vector unit.
    """
    actions = {action for part in among or (report,) for unit, action in part.energy_pj_by_action if unit == "vector"}
    name = "requantise" if actions == {"requantise"} else "vector"
    return {name if unit == "vector" else unit: pj for unit, pj in report.energy_pj_by_unit.items()}


def bound_cycles(parts: Iterable[Report]) -> dict[str, tuple[int, ...]]:
    """Return the cycles of each operator by cause, waits for loads divided as by `load_cycles`; those above 0 only."""
    rows = []
    for part in parts:
        causes = cycles_by_cause(part)
        waits = load_cycles(part) if LOADS in causes else {BANDWIDTH: 0, LATENCY: 0}
        rows.append({**causes, **waits})
    table = {bound: tuple(row.get(bound, 0) for row in rows) for bound in BOUNDS}
    return {bound: row for bound, row in table.items() if any(row)}


def draw_breakdown(info: Breakdown, size: Size = NOTEBOOK) -> Figure:
    """Two panels side by side: latency of each operator by cause, and energy by unit, bars stacked."""
    figure = new_figure(size, size.row_inches * (5.5 + 1.1 * max(4, len(info.operators))))
    latency, energy = figure.subplots(1, 2, sharey=True)
    figure.suptitle(info.title, fontsize=size.font_points)
    handles = _draw_latency(latency, info, size)
    legend_below(figure, size, handles, title="latency by cause", place="outside lower left", columns=3)
    handles = _draw_energy(energy, info, size)
    legend_below(figure, size, handles, title="energy by unit", place="outside lower right", columns=4)
    return figure


def _draw_latency(axes: Axes, info: Breakdown, size: Size) -> list[Artist]:
    from matplotlib.patches import Patch

    scale, unit = scaled(max(info.latency_us, default=0.0), ("µs", "ms", "s"))
    stacks = {cause: tuple(value * scale for value in row) for cause, row in info.latency_us_by_cause.items()}
    marks = [None if value is None else value * scale for value in info.estimate_us or ()]
    looks = {cause: bound_look(cause) for cause in stacks}
    bars = Bars(info.operators, stacks, info.notes)
    draw_bars(axes, bars, looks, size, marks)
    dress(axes, size, x=f"latency [{unit}]{_broken(bars)}", grid="x")
    handles: list[Artist] = [Patch(label=cause, **look) for cause, look in looks.items()]  # type: ignore[arg-type]
    if any(mark is not None for mark in marks):
        handles.append(axes.plot([], [], "k|", markersize=size.font_points, label="estimate")[0])
    return handles


def _draw_energy(axes: Axes, info: Breakdown, size: Size) -> list[Artist]:
    from matplotlib.patches import Patch

    longest = max((sum(column) for column in zip(*info.energy_uj.values(), strict=True)), default=0.0)
    scale, joule = scaled(longest, ("µJ", "mJ", "J"))
    stacks = {unit: tuple(value * scale for value in row) for unit, row in info.energy_uj.items()}
    looks = {unit: energy_look(unit) for unit in stacks}
    bars = Bars(info.operators, stacks, info.notes)
    draw_bars(axes, bars, looks, size)
    dress(axes, size, x=f"energy [{joule}]{_broken(bars)}", grid="x")
    axes.tick_params(left=False, labelleft=False)
    return [Patch(label=unit, **look) for unit, look in looks.items()]  # type: ignore[arg-type]


def _broken(bars: Bars) -> str:
    """A word for the axis where some bars are longer than it."""
    return "; bars with a break are longer" if any(bars.broken) else ""


def _estimate_us(part: Report, estimates: Mapping[str, Report]) -> float | None:
    expected = estimates.get(part.name)
    return expected.latency_s * 1e6 if expected is not None and part.cycles else None


def _note(part: Report, absorbed: Mapping[str, str]) -> str:
    if part.cycles:
        return ""
    return f"in {absorbed[part.name]}" if part.name in absorbed else "no time of its own"


def operator_label(part: Report) -> str:
    """Return the name of an operator, with how often it runs."""
    return part.name if part.repeat == 1 else f"{part.name} ×{part.repeat}"
