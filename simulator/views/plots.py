"""Pictures of one run. An info function makes the numbers, a draw function the picture of these numbers.

Matplotlib is imported inside the draw functions, and figures are built without pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simulator.bottleneck import BANDWIDTH, BOUNDS, COMPUTE, LATENCY, PADDING, RAMPS
from simulator.report import Report
from simulator.units import UNIT_NAMES
from simulator.units.execute import ARRAY_FILL
from simulator.units.host import Host

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOUND_COLOURS = {
    COMPUTE: "#4477aa", PADDING: "#77aadd", BANDWIDTH: "#ee6677", LATENCY: "#ee7733", "store": "#ccbb44",
    "normaliser": "#aa3377", "simd": "#ddaa33", Host.bound: "#222222", ARRAY_FILL: "#332288", RAMPS: "#777777",
}  # fmt: skip
BOUND_COLOURS |= zip([bound for bound in BOUNDS if bound not in BOUND_COLOURS], cycle(("#117733", "#882255")))
ENERGY_COLOURS = {
    "array": "#4477aa", "scratchpad": "#66ccee", "accumulator": "#228833", "dma": "#bbbbbb", "l2": "#44bb99",
    "llc": "#999933", "dram": "#ee6677", "vector": "#aa3377", "requantise": "#aa3377", "host": "#222222",
}  # fmt: skip
"""Tol's bright scheme and two of his others: distinct for colour-blind readers, and the same in every figure.

What bounds an operator has the colour of the energy it goes with: compute of the array, bandwidth of the DRAM,
normaliser of the vector unit, host of the host.
"""
OTHER_COLOUR = "#dddddd"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Latency and energy by operator, in program order."""

    title: str
    operators: tuple[str, ...]
    latency_us: tuple[float, ...]
    estimate_us: tuple[float | None, ...] | None
    """The estimate beside the simulation, if it was given; None for an operator that takes no time of its own."""
    bounds: tuple[str, ...]
    """Empty for an operator that takes no time of its own."""
    energy_uj: dict[str, tuple[float, ...]]
    """Energy of each operator by unit; the unit that needs most comes first."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each unit was busy."""

    title: str
    units: tuple[str, ...]
    busy_us: dict[str, tuple[tuple[float, float], ...]]
    """(start, length) of each stretch, by unit."""
    end_us: float


def breakdown(report: Report, estimate: Report | None = None) -> Breakdown:
    """Numbers of the breakdown of ``report`` by operator, with the estimate's latencies if given."""
    parts = report.by_op or (report,)
    by_unit = [energy_by_unit(part, parts) for part in parts]
    totals = {unit: sum(row.get(unit, 0.0) for row in by_unit) for row in by_unit for unit in row}
    order = sorted(totals, key=lambda unit: (-totals[unit], unit))
    estimates = {part.name: part for part in estimate.by_op or (estimate,)} if estimate else {}
    blocks = f", one of {report.repeat} equal blocks" if report.by_op and report.repeat > 1 else ""
    return Breakdown(
        title=f"{report.name} on {report.machine}{blocks}",
        operators=tuple(_label(part) for part in parts),
        latency_us=tuple(part.latency_s * 1e6 for part in parts),
        estimate_us=tuple(_estimate_us(part, estimates) for part in parts) if estimate else None,
        bounds=tuple(part.bound if part.cycles else "" for part in parts),
        energy_uj={unit: tuple(row.get(unit, 0.0) * 1e-6 for row in by_unit) for unit in order},
    )


def energy_by_unit(report: Report, among: Sequence[Report] = ()) -> dict[str, float]:
    """Energy by unit [pJ]; the vector unit is called ``requantise`` if that is all it does in ``among``.

    Scaling results to int8 is part of every accumulator's read port, also on machines without a vector unit.
    """
    actions = {action for part in among or (report,) for unit, action in part.energy_pj_by_action if unit == "vector"}
    name = "requantise" if actions == {"requantise"} else "vector"
    return {name if unit == "vector" else unit: pj for unit, pj in report.energy_pj_by_unit.items()}


def timeline(report: Report) -> Timeline:
    """Busy stretches of each unit in ``report.spans``, neighbours joined."""
    active = {span.unit for span in report.spans}
    units = tuple(unit for unit in UNIT_NAMES if unit in active) + tuple(sorted(active.difference(UNIT_NAMES)))
    busy = {
        unit: tuple(
            (start / report.clock_mhz, (end - start) / report.clock_mhz)
            for start, end in _joined(sorted((span.start, span.end) for span in report.spans if span.unit == unit))
        )
        for unit in units
    }
    return Timeline(f"{report.name} on {report.machine}", units, busy, report.cycles / report.clock_mhz)


def draw_breakdown(info: Breakdown) -> Figure:
    """Two panels side by side: latency of each operator, coloured by what bounds it, and energy stacked by unit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 2.4 + 0.26 * max(4, len(info.operators))), layout="constrained")
    latency, energy = figure.subplots(1, 2, sharey=True)
    figure.suptitle(info.title)
    _legend(figure, "outside lower left", "bound by", _draw_latency(latency, info))
    _legend(figure, "outside lower right", "unit", _draw_energy(energy, info))
    for axes in (latency, energy):
        axes.grid(axis="x", linewidth=0.5, alpha=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_timeline(info: Timeline) -> Figure:
    """One row per unit, filled while it is busy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 1.4 + 0.45 * max(2, len(info.units))), layout="constrained")
    axes = figure.subplots()
    for row, unit in enumerate(info.units):
        axes.broken_barh(info.busy_us[unit], (row - 0.35, 0.7), facecolors=BOUND_COLOURS["compute"])
    axes.set_yticks(range(len(info.units)), info.units)
    axes.invert_yaxis()
    axes.set_xlim(0.0, max(info.end_us, 1e-9))
    axes.set_xlabel("simulated time [µs]")
    axes.set_title(info.title)
    return figure


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write ``figure`` as ``"png"``, ``"svg"`` or ``"pdf"``, without dates: equal figures give equal files."""
    import matplotlib

    undated: dict[str, dict[str, str | None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "tilewright"}):
        figure.savefig(path, format=kind, dpi=100, metadata=undated[kind])


def _draw_latency(axes: Axes, info: Breakdown) -> list[Artist]:
    from matplotlib.patches import Patch

    rows = range(len(info.operators))
    marks = [(value, row) for row, value in enumerate(info.estimate_us or ()) if value is not None]
    longest = max([*info.latency_us, *(value for value, _ in marks)], default=0.0)
    scale, unit = _scale(longest, ("µs", "ms", "s"))
    axes.barh(
        rows,
        [value * scale for value in info.latency_us],
        color=[BOUND_COLOURS.get(bound, OTHER_COLOUR) for bound in info.bounds],
    )
    legend: list[Artist] = [
        Patch(color=colour, label=bound) for bound, colour in BOUND_COLOURS.items() if bound in info.bounds
    ]
    if marks:
        (drawn,) = axes.plot(
            [value * scale for value, _ in marks], [row for _, row in marks], "k|", markersize=11, label="estimate"
        )
        legend.append(drawn)
    axes.set_yticks(rows, info.operators)
    axes.invert_yaxis()
    axes.set_xlabel(f"latency [{unit}]")
    _leave_room(axes, longest * scale)
    return legend


def _draw_energy(axes: Axes, info: Breakdown) -> list[Artist]:
    rows = range(len(info.operators))
    left = [0.0] * len(info.operators)
    longest = max((sum(column) for column in zip(*info.energy_uj.values(), strict=True)), default=0.0)
    scale, joule = _scale(longest, ("µJ", "mJ", "J"))
    bars: list[Artist] = []
    for unit, energies in info.energy_uj.items():
        values = [value * scale for value in energies]
        bars.append(axes.barh(rows, values, left=left, label=unit, color=ENERGY_COLOURS.get(unit, OTHER_COLOUR))[0])
        bars[-1].set_label(unit)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.set_xlabel(f"energy [{joule}]")
    _leave_room(axes, longest * scale)
    return bars


def _scale(longest: float, units: Sequence[str]) -> tuple[float, str]:
    """Factor and unit for an axis, from units a factor of 1,000 apart: the next larger one from 10,000 on."""
    steps = sum(longest >= 10.0 * 1e3**step for step in range(1, len(units)))
    return 1e-3**steps, units[steps]


def _leave_room(axes: Axes, longest: float) -> None:
    """The longest bar ends before the frame."""
    axes.set_xlim(0.0, 1.05 * longest or 1.0)


def _legend(
    figure: Figure, place: Literal["outside lower left", "outside lower right"], title: str, handles: Sequence[Artist]
) -> None:
    """A legend below the panels, where it covers no bar."""
    if handles:
        figure.legend(
            handles=handles, title=title, loc=place, ncols=-(-len(handles) // 2), fontsize="small", frameon=False,
            handlelength=1.0, columnspacing=1.2,
        )  # fmt: skip


def _estimate_us(part: Report, estimates: Mapping[str, Report]) -> float | None:
    expected = estimates.get(part.name)
    return expected.latency_s * 1e6 if expected is not None and part.cycles else None


def _label(part: Report) -> str:
    return part.name if part.repeat == 1 else f"{part.name} ×{part.repeat}"


def _joined(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in stretches:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
