"""A page of HTML about one run, or about several beside each other: one file that asks for nothing else.

The template, its style and its script lie beside this file. Everything on the page comes from the reports that were
written, so that a page can be made anywhere and at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from mapper.pages.beside import cycles_of, energy_of, machines_beside, operators_beside, totals_beside
from mapper.pages.charts import Bar, RooflineChart, bars, roofline_chart
from mapper.pages.deviations import Deviation, deviations
from mapper.pages.looks import looks
from mapper.pages.machine_sheet import MachineSheet, machine_sheet
from mapper.pages.reproduce import command, remarks
from mapper.pages.residency_rows import GroupRow, group_rows_of
from mapper.pages.timeline_data import timeline_data
from mapper.plots.roofline import roofline_info
from mapper.reports import quantities
from mapper.reports.comparison import Side
from mapper.reports.saved_run import SavedRun
from simulator.report import Report
from simulator.views.bars import Bars
from simulator.views.plots import breakdown


class MissingTemplates(ImportError):
    """Jinja is not installed."""


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator of one run."""

    name: str
    cells: tuple[str, ...]
    """Cycles, share, utilisation, DRAM traffic, what bounds it, estimate, its difference."""
    latency: Bar
    energy: Bar


@dataclass(frozen=True, slots=True)
class PageRun:
    """What a page shows of one run."""

    label: str
    side: Side
    version: str
    blocks: int
    clock: str
    operators: tuple[OperatorRow, ...]
    causes: tuple[str, ...]
    units: tuple[str, ...]
    roofline: RooflineChart | None
    without: str
    timeline: str
    """JSON for the script."""
    recorded: bool
    groups: tuple[GroupRow, ...]
    machine: MachineSheet
    deviations: tuple[Deviation, ...]
    command: str
    remarks: tuple[str, ...]


def page_run(run: SavedRun) -> PageRun:
    """Return what a page shows of a run.

    Raises
    ------
    DocumentError
        When the report lacks something; the message names the key.
    """
    report = run.simulation
    info = breakdown(report, None, run.absorbed)
    chart, without = _roofline(run)
    return PageRun(
        label=run.label,
        side=Side.of(run.label, run.document.values),
        version=run.document.text("version"),
        blocks=report.repeat,
        clock=quantities.quantity(report.clock_mhz * 1e6, "Hz"),
        operators=tuple(_operator_rows(run)),
        causes=tuple(info.latency_us_by_cause),
        units=tuple(info.energy_uj),
        roofline=chart,
        without=without,
        timeline=_script(timeline_data(run)),
        recorded=bool(report.spans),
        groups=tuple(group_rows_of(run)),
        machine=machine_sheet(run),
        deviations=tuple(deviations(run)),
        command=command(run),
        remarks=tuple(remarks(run)),
    )


def _roofline(run: SavedRun) -> tuple[RooflineChart | None, str]:
    port = run.machine.section("dram").number("bytes_per_cycle")
    try:
        info = roofline_info(run.simulation, port, run.absorbed)
    except ValueError as problem:
        return None, str(problem)
    return roofline_chart(info), ", ".join(info.without)


def _operator_rows(run: SavedRun) -> list[OperatorRow]:
    info = breakdown(run.simulation, None, run.absorbed)
    second = {cause: tuple(value * 1e-6 for value in row) for cause, row in info.latency_us_by_cause.items()}
    joule = {unit: tuple(value * 1e-6 for value in row) for unit, row in info.energy_uj.items()}
    latency = bars(Bars(info.operators, second, info.notes), "s")
    energy = bars(Bars(info.operators, joule, info.notes), "J")
    parts = run.simulation.by_op or (run.simulation,)
    whole = max(1, sum(part.cycles for part in parts))
    estimates = {part.name: part for part in run.estimate.by_op or (run.estimate,)}
    return [
        OperatorRow(name, _cells(part, whole, None if part.name in run.estimated else estimates.get(part.name)), *drawn)
        for name, part, *drawn in zip(info.operators, parts, latency, energy, strict=True)
    ]


def _cells(part: Report, whole: int, estimate: Report | None) -> tuple[str, ...]:
    if not part.cycles:
        return ("-",) * 7
    expected = (f"{estimate.cycles:,}", f"{estimate.cycles / part.cycles - 1:+.1%}") if estimate else ("-", "-")
    return (
        f"{part.cycles:,}",
        quantities.percent(part.cycles, whole),
        quantities.percent(part.utilisation, 1.0) if part.macs else "-",
        quantities.size(part.dram_bytes),
        part.bound,
        *expected,
    )


def _script(data: object) -> str:
    """Return JSON that can stand inside an element of a page, whatever names are in it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page(runs: Sequence[SavedRun]) -> str:
    """Return the page.

    Raises
    ------
    MissingTemplates
        When Jinja, which fills the template in, is not installed.
    DocumentError
        When a report lacks something.
    """
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
    except ImportError:
        raise MissingTemplates("a page needs jinja2: python -m pip install 'tilewright[report]'") from None
    shown = _labelled([page_run(run) for run in runs])
    folder = files("mapper.pages")
    sources = {
        name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "style.css", "timeline.js")
    }
    surroundings = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    values: dict[str, Any] = {
        "runs": shown,
        "looks": looks(),
        "style": sources["style.css"],
        "script": sources["timeline.js"],
        "summary": totals_beside([run.side for run in shown]),
        "operators": operators_beside(runs, cycles_of) if len(shown) > 1 else [],
        "energies": operators_beside(runs, energy_of) if len(shown) > 1 else [],
        "machines": machines_beside([run.machine for run in shown]) if len(shown) > 1 else [],
    }
    return surroundings.get_template("page.html").render(**values)


def _labelled(runs: list[PageRun]) -> list[PageRun]:
    """Number runs of one file name, so that each has a name of its own."""
    labels = [run.label for run in runs]
    return [
        run if labels.count(run.label) == 1 else replace(run, label=f"{run.label} ({place})")
        for place, run in enumerate(runs, start=1)
    ]
