"""Operators, spans and contents of the memories as the script of a page takes them: rows of numbers, names once."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TypeAlias

from mapper.reports.quantities import energy, size
from mapper.reports.saved_run import SavedRun
from simulator.report import Report
from simulator.views.lanes import lane_names, lanes_of

Row: TypeAlias = dict[str, object]

MEMORY_NAMES = {"scratchpad": "scratchpad", "accumulator": "accumulator", "l2": "L2"}


def timeline_data(run: SavedRun) -> dict[str, object]:
    """Return the rows of a timeline; of a run without spans, only that of its operators."""
    report = run.simulation
    names = list(dict.fromkeys(span.name for span in report.spans))
    sets = list(dict.fromkeys(span.tensors for span in report.spans))
    tensors = list(dict.fromkeys(level.tensor for level in report.levels))
    parts = report.by_op or (report,)
    return {
        "clock_mhz": report.clock_mhz,
        "cycles": max(1, sum(part.cycles for part in parts)),
        "names": names,
        "sets": [", ".join(one) for one in sets],
        "tensors": tensors,
        "rows": [_operators(parts), *_units(report, names, sets), *_memories(run, tensors)],
    }


def _operators(parts: tuple[Report, ...]) -> Row:
    """Start, end and description of each operator that takes time."""
    ends = pairwise([0, *accumulate(part.cycles for part in parts)])
    spans = [
        [start, end, part.name, _about(part)] for part, (start, end) in zip(parts, ends, strict=True) if end > start
    ]
    return {"kind": "operators", "name": "operators", "spans": spans}


def _about(part: Report) -> str:
    times = f", {part.repeat} times" if part.repeat > 1 else ""
    return (
        f"bound by {part.bound}, {part.utilisation:.1%} of the array, {size(part.dram_bytes)} of DRAM traffic, "
        f"{energy(part.energy_pj)}{times}"
    )


def _units(report: Report, names: list[str], sets: list[tuple[str, ...]]) -> list[Row]:
    """Start, end, name, work and tensors of each span, five numbers one after another, by unit and lane."""
    lanes = lanes_of(report.spans)
    name_at = {name: place for place, name in enumerate(names)}
    set_at = {one: place for place, one in enumerate(sets)}
    rows: dict[tuple[str, int], list[int]] = {}
    for span, lane in zip(report.spans, lanes, strict=True):
        work = -1 if span.work is None else span.work
        numbers = span.start, span.end, name_at[span.name], work, set_at[span.tensors]
        rows.setdefault((span.unit, lane), []).extend(numbers)
    labels = lane_names(report.spans, lanes)
    return [
        {"kind": "unit", "unit": unit, "name": label, "spans": rows[unit, lane]}
        for (unit, lane), label in labels.items()
    ]


def _memories(run: SavedRun, tensors: list[str]) -> list[Row]:
    """Cycle, tensor and bytes of each level, three numbers one after another, by memory."""
    capacities = run.capacities()
    at = {tensor: place for place, tensor in enumerate(tensors)}
    rows = []
    for memory, name in MEMORY_NAMES.items():
        levels = [level for level in run.simulation.levels if level.memory == memory]
        if levels and memory in capacities:
            numbers = [number for one in levels for number in (one.cycle, at[one.tensor], one.size_bytes)]
            rows.append({"kind": "memory", "name": name, "capacity": capacities[memory], "levels": numbers})
    return rows
