"""Values of several runs beside each other, with their ratios to the first one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mapper.pages.machine_sheet import MachineSheet
from mapper.reports import quantities
from mapper.reports.comparison import Side, ratio
from mapper.reports.saved_run import SavedRun
from simulator.report import Report


@dataclass(frozen=True, slots=True)
class Beside:
    """A value of every run, and its ratio to the first run's."""

    name: str
    values: tuple[str, ...]
    ratios: tuple[str, ...]


class Measure(NamedTuple):
    """A number of an operator, and its text."""

    number: float
    text: str


def cycles_of(part: Report) -> Measure:
    """Return the cycles of an operator."""
    return Measure(part.cycles, f"{part.cycles:,}")


def energy_of(part: Report) -> Measure:
    """Return the energy of an operator."""
    return Measure(part.energy_pj, quantities.energy(part.energy_pj))


def totals_beside(sides: Sequence[Side]) -> list[Beside]:
    """Return the totals of all blocks of each run."""
    told: list[tuple[str, Callable[[Side], Measure]]] = [
        ("latency", lambda side: Measure(side.latency_s, quantities.quantity(side.latency_s, "s"))),
        ("cycles", lambda side: Measure(side.cycles, f"{side.cycles:,}")),
        ("energy", lambda side: Measure(side.energy_pj, quantities.quantity(side.energy_pj * 1e-12, "J"))),
        ("EDP", lambda side: Measure(side.edp_js, quantities.quantity(side.edp_js, "J s"))),
        ("utilisation", lambda side: Measure(side.utilisation, quantities.percent(side.utilisation, 1.0))),
        ("DRAM traffic", lambda side: Measure(side.dram_bytes, quantities.size(side.dram_bytes))),
        ("MACs", lambda side: Measure(side.macs, f"{side.macs:,}")),
        ("area", _area),
    ]
    rows = [_beside(name, [measure(side) for side in sides]) for name, measure in told]
    return [*rows, Beside("bound by", tuple(side.bound for side in sides), ("-",) * len(sides))]


def _area(side: Side) -> Measure:
    return Measure(0.0, "-") if side.area_mm2 is None else Measure(side.area_mm2, quantities.area(side.area_mm2 * 1e6))


def operators_beside(runs: Sequence[SavedRun], measure: Callable[[Report], Measure]) -> list[Beside]:
    """Return a row for each operator that a run has; runs without it have a dash."""
    tables = [{part.name: part for part in run.simulation.by_op or (run.simulation,)} for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    return [
        _beside(name, [measure(table[name]) if name in table else Measure(0.0, "-") for table in tables])
        for name in names
    ]


def machines_beside(sheets: Sequence[MachineSheet]) -> list[Beside]:
    """Return the values that differ between machines."""
    values = [{row.path: row.value for row in sheet.rows} for sheet in sheets]
    paths = dict.fromkeys(path for sheet in values for path in sheet)
    rows = [Beside(path, tuple(sheet.get(path, "-") for sheet in values), ()) for path in paths]
    return [row for row in rows if len(set(row.values)) > 1]


def _beside(name: str, measures: Sequence[Measure]) -> Beside:
    first = measures[0].number
    texts = tuple(measure.text if measure.number else "-" for measure in measures)
    return Beside(name, texts, tuple(ratio(measure.number, first) for measure in measures))
