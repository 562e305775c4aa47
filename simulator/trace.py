"""Spans of a report as a Chrome trace, which Perfetto (ui.perfetto.dev) opens.

    process = machine
      thread 0 = operators, one slice each, one after another
      thread 1.. = units, a slice for each stretch of activity

Times are microseconds of simulated time. Of an operator that repeats, the instances that were simulated
are drawn where they start; the slice of the operator has the whole length.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from simulator.report import UNITS, Report, Span

Event: TypeAlias = dict[str, object]

SCHEMA = "tilewright.trace/1"
PROCESS = 1
OPERATORS = 0
"""Thread of the operators, above the units."""

OPERATOR_SPAN = "operator"
"""Pseudo-unit of spans that mark an operator; the operators' own slices say more."""


def trace_events(report: Report) -> Iterator[Event]:
    """Events of one run: names first, then the operators, then the spans of the units in order of time."""
    spans = [span for span in report.spans if span.unit != OPERATOR_SPAN]
    threads = {unit: number for number, unit in enumerate(_unit_names(spans), start=1)}
    yield from _names(report.machine, threads)
    parts = report.by_op or (report,)
    starts = [0, *accumulate(part.cycles for part in parts)]
    for part, start in zip(parts, starts, strict=False):
        yield _operator(part, start)
    for span in spans:
        # The operator that runs at a span's start; a span on a boundary belongs to the one that begins there.
        part = parts[min(bisect_right(starts, span.start), len(parts)) - 1]
        yield {
            "name": span.name,
            "cat": span.unit,
            "ph": "X",
            "pid": PROCESS,
            "tid": threads[span.unit],
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


def _unit_names(spans: Iterable[Span]) -> list[str]:
    """Units with spans: the known ones in pipeline order, then any other by name."""
    found = {span.unit for span in spans}
    return [unit for unit in UNITS if unit in found] + sorted(found.difference(UNITS))


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
