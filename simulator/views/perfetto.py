"""Spans of a report as a Chrome trace, which Perfetto (ui.perfetto.dev) opens.

    process = machine
      thread 0 = operators, one slice each, one after another
      thread 1.. = units, a slice for each stretch of activity; a second lane if two overlap

Times are microseconds of simulated time. Of an operator that repeats, the instances that were simulated
are drawn where they start; the slice of the operator has the whole length.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from simulator.report import Report, Span
from simulator.units import UNIT_NAMES

Event: TypeAlias = dict[str, object]
Lane: TypeAlias = tuple[str, int]
"""Unit, and number of the row of slices within it."""

SCHEMA = "tilewright.trace/1"
PROCESS = 1
OPERATORS = 0
"""Thread of the operators, above the units."""

OPERATOR_SPAN = "operator"
"""Pseudo-unit of spans that mark an operator; the operators' own slices say more."""


def trace_events(report: Report) -> Iterator[Event]:
    """Events of one run: names first, then the operators, then the spans of the units in order of time."""
    spans = [span for span in report.spans if span.unit != OPERATOR_SPAN]
    lanes = _lanes(spans)
    names = _lane_names(spans, lanes)
    threads = {lane: number for number, lane in enumerate(names, start=1)}
    yield from _names(report.machine, {names[lane]: number for lane, number in threads.items()})
    parts = report.by_op or (report,)
    starts = [0, *accumulate(part.cycles for part in parts)]
    for part, start in zip(parts, starts, strict=False):
        yield _operator(part, start)
    for span, lane in zip(spans, lanes, strict=True):
        # The operator that runs at a span's start; a span on a boundary belongs to the one that begins there.
        part = parts[min(bisect_right(starts, span.start), len(parts)) - 1]
        yield {
            "name": span.name,
            "cat": span.unit,
            "ph": "X",
            "pid": PROCESS,
            "tid": threads[span.unit, lane],
            "ts": _microseconds(span.start, report),
            "dur": _microseconds(span.end - span.start, report),
            "args": {"operator": part.name, "start_cycle": span.start, "cycles": span.end - span.start},
        }


def trace_text(report: Report) -> Iterator[str]:
    """The trace file in pieces, one event a line: the same text for the same report."""
    about = {"schema": SCHEMA, "machine": report.machine, "workload": report.name, "clock_mhz": report.clock_mhz}
    yield f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)},\n"traceEvents": [\n'
    separator = ""
    for event in trace_events(report):
        yield separator + json.dumps(event, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def write_trace(report: Report, path: Path, *, compressed: bool | None = None) -> None:
    """Write the trace to ``path``; compressed if its name ends with ``.gz`` and nothing else was asked."""
    if compressed if compressed is not None else path.suffix == ".gz":
        # Neither name nor time enter the header, so that equal reports give equal files.
        with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            for piece in trace_text(report):
                file.write(piece.encode())
    else:
        with path.open("w", encoding="utf-8", newline="\n") as text:
            text.writelines(trace_text(report))


def _lanes(spans: Sequence[Span]) -> list[int]:
    """Number of the lane of each span: the first of its unit that is free, or whose last slice holds it whole.

    Two commands or loops in flight overlap; viewers draw slices of one thread rightly only if they are apart or nested.
    """
    lanes = [0] * len(spans)
    open_ends: dict[str, list[list[int]]] = {}
    order = sorted(range(len(spans)), key=lambda index: (spans[index].start, -spans[index].end, index))
    for index in order:
        span = spans[index]
        unit = open_ends.setdefault(span.unit, [])
        for ends in unit:
            while ends and ends[-1] <= span.start:
                ends.pop()
        lane = next((lane for lane, ends in enumerate(unit) if not ends or span.end <= ends[-1]), len(unit))
        if lane == len(unit):
            unit.append([])
        unit[lane].append(span.end)
        lanes[index] = lane
    return lanes


def _lane_names(spans: Sequence[Span], lanes: Sequence[int]) -> dict[Lane, str]:
    """Names of the lanes in use: units in pipeline order, then any other by name; ``load``, ``load 2``, ..."""
    used = {(span.unit, lane) for span, lane in zip(spans, lanes, strict=True)}
    units = {unit for unit, _ in used}
    order = [unit for unit in UNIT_NAMES if unit in units] + sorted(units.difference(UNIT_NAMES))
    return {
        (unit, lane): unit if lane == 0 else f"{unit} {lane + 1}"
        for unit, lane in sorted(used, key=lambda row: (order.index(row[0]), row[1]))
    }


def _names(machine: str, threads: dict[str, int]) -> Iterator[Event]:
    yield {"name": "process_name", "ph": "M", "pid": PROCESS, "args": {"name": machine}}
    for name, number in {"operators": OPERATORS, **threads}.items():
        yield {"name": "thread_name", "ph": "M", "pid": PROCESS, "tid": number, "args": {"name": name}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": PROCESS, "tid": number, "args": {"sort_index": number}}


def _operator(part: Report, start: int) -> Event:
    return {
        "name": part.name,
        "cat": "operator",
        "ph": "X",
        "pid": PROCESS,
        "tid": OPERATORS,
        "ts": _microseconds(start, part),
        "dur": _microseconds(part.cycles, part),
        "args": {
            "cycles": part.cycles,
            "repeat": part.repeat,
            "bound": part.bound,
            "macs": part.macs,
            "dram_bytes": part.dram_bytes,
            "utilisation": round(part.utilisation, 6),
        },
    }


def _microseconds(cycles: int, report: Report) -> float:
    return cycles / report.clock_mhz
