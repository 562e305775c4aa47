"""Reports as text: one table per run, at most 120 columns wide, in units for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mapper.reports.quantities import energy, percent, size, totals
from mapper.reports.text import columns, wrapped
from simulator.bottleneck import BANDWIDTH, CAUSES, LATENCY, LOADS, cycles_by_cause, load_cycles
from simulator.report import Report
from simulator.units import is_shown
from simulator.views.plots import energy_by_unit

_HEADINGS = (
    "operator", "x", "cycles", "share", "util.", "DRAM", "energy", "bound by", "estimate", "diff.",
)  # fmt: skip
_SHORT = {"fill and drain": "fill, drain"}
"""Names of causes where a column must be narrow."""

_OF_LOADS = {BANDWIDTH: "= bandwidth", LATENCY: "+ latency"}
"""Columns behind that of the loads, which they divide."""


def run_table(
    simulation: Report,
    estimate: Report,
    blocks: int,
    leads: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> str:
    """Return the operators of one block, then the whole model of ``blocks`` identical blocks.

    Parameters
    ----------
    simulation, estimate
        The run at both fidelities.
    blocks
        How often its operators run.
    leads
        For each operator of an epilogue, the one whose stores apply it: it has no costs of its own.
    constants
        For each operator whose time is a constant of the machine, the mark that stands for its difference; that of the
        total leaves its cycles out.
    """
    leads = leads or {}
    # Where the estimate stands for the simulation, they do not confirm each other.
    constants = {part.name: "-" for part in simulation.by_op if part.source == "estimate"} | dict(constants or {})
    expected = {part.name: part.cycles for part in estimate.by_op}
    cycles = sum(part.cycles for part in simulation.by_op)
    rows = []
    for part in simulation.by_op:
        row = _row(part, cycles)
        row += [f"{expected[part.name]:,}", constants.get(part.name) or _difference(expected[part.name], part.cycles)]
        if part.name in leads:
            row[2:] = ["-"] * 5 + [f"in {leads[part.name]}", "-", "-"]
        rows.append(row)
    total = _row(simulation, simulation.cycles, "total" if blocks == 1 else f"total of {blocks} blocks")
    constant = blocks * sum(part.cycles for part in simulation.by_op if part.name in constants)
    total += [f"{estimate.cycles:,}", _difference(estimate.cycles - constant, simulation.cycles - constant)]
    total[1] = ""
    return "\n".join(columns([_HEADINGS, *rows, total], rules=(1, len(rows) + 1), right=range(1, 10), left=(7,)))


def finished_table(parts: Sequence[Report]) -> str:
    """Return the table of an interrupted run: the operators that were simulated."""
    cycles = sum(part.cycles for part in parts)
    rows = [_row(part, cycles) for part in parts]
    return "\n".join(columns([_HEADINGS[:8], *rows], rules=(1,), right=range(1, 7)))


def cause_lines(simulation: Report) -> list[str]:
    """Return the cycles of each operator by cause; a row adds up to its operator, the last to the run.

    The two columns behind that of the loads divide it. The largest cause of a row bounds its operator.
    """
    total = cycles_by_cause(simulation)
    causes = [cause for cause in CAUSES if total[cause]]
    headings = ["cycles by cause"]
    for cause in causes:
        headings += [_SHORT.get(cause, cause), *(_OF_LOADS.values() if cause == LOADS else ())]
    rows = [_cause_row(part.name, part, causes) for part in simulation.by_op if part.cycles]
    rows.append(_cause_row("total", simulation, causes))
    return columns([headings, *rows], rules=(1, len(rows)), right=range(1, len(headings)))


def _cause_row(name: str, part: Report, causes: Sequence[str]) -> list[str]:
    cycles, loads = cycles_by_cause(part), load_cycles(part)
    cells = [name]
    for cause in causes:
        divided = [loads[share] for share in _OF_LOADS] if cause == LOADS else []
        cells += [percent(number, part.cycles) for number in (cycles[cause], *divided)]
    return cells


def energy_lines(report: Report) -> list[str]:
    """Return energy by unit and its share, the largest first."""
    parts = sorted(energy_by_unit(report).items(), key=lambda part: (-part[1], part[0]))
    rows = [
        ("energy by unit", *(unit for unit, _ in parts)),
        ("", *(energy(pj) for _, pj in parts)),
        ("", *(percent(pj, report.energy_pj) for _, pj in parts)),
    ]
    return columns(rows, rules=(1,), right=range(1, len(parts) + 1))


def time_lines(report: Report) -> list[str]:
    """Return where the cycles of each unit went: busy, stalled by cause, idle."""
    rows: list[Sequence[str]] = [("unit", "busy", "idle", "stalled on")]
    for unit, time in report.units.items():
        if not is_shown(unit, time.busy_cycles):
            continue
        stalls = sorted(time.stall_cycles.items(), key=lambda stall: (-stall[1], stall[0]))
        share = [f"{cause} {percent(cycles, time.total_cycles)}" for cause, cycles in stalls if cycles]
        busy, idle = (percent(part, time.total_cycles) for part in (time.busy_cycles, time.idle_cycles))
        rows.append((unit, busy, idle, ", ".join(share) or "-"))
    return columns(rows, rules=(1,), right=(1, 2))


def note_lines(notes: Mapping[str, str]) -> list[str]:
    """Return remarks on operators, each remark once with the names it concerns."""
    names: dict[str, list[str]] = {}
    for name, note in notes.items():
        if note:
            names.setdefault(note, []).append(name)
    return [line for note, concerned in names.items() for line in wrapped(f"{_some(concerned)}: {note}")]


def total_line(report: Report) -> str:
    """Return latency, energy and their product."""
    return totals(report.latency_s, report.clock_mhz, report.energy_pj, report.edp_js)


def _row(part: Report, block_cycles: int, name: str | None = None) -> list[str]:
    return [
        name or part.name,
        str(part.repeat),
        f"{part.cycles:,}",
        percent(part.cycles, block_cycles),
        percent(part.macs, part.peak_macs_per_cycle * part.cycles) if part.macs else "-",
        size(part.dram_bytes),
        energy(part.energy_pj),
        part.bound if part.cycles else "-",
    ]


def _difference(expected: int, simulated: int) -> str:
    return f"{100 * (expected / simulated - 1):+.1f}%" if simulated else "-"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
