"""Spans of a report as a Chrome trace, which Perfetto (ui.perfetto.dev) opens.

    process = machine
      thread 2 = operators, one slice each, one after another; an instant for one that takes no time of its own
      thread 3.. = units, a slice for each stretch of activity; a second lane if two overlap
      counters   = DRAM traffic, the mean of each operator; bytes of each tensor in scratchpad, accumulator and L2
      arrows     = from the loads of a loop to the compute that waits for them

Times are microseconds of simulated time. Of an operator that repeats, the instances that were simulated
are drawn where they start; the slice of the operator has the whole length.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise
from pathlib import Path
from typing import TypeAlias

from simulator.report import Report, Span
from simulator.views.lanes import lane_names, lanes_of
from simulator.views.occupancy import occupancy

Event: TypeAlias = dict[str, object]

SCHEMA = "tilewright.trace/2"
PROCESS = 1
OPERATORS = 2
"""Thread of the operators, above the units. Not 0 and not `PROCESS`: Perfetto (v52) takes a thread 0 for the process
itself, and puts its slices on the row of the thread that has the process's number."""

DRAM = "DRAM bandwidth"

OCCUPANCY = {"scratchpad": "scratchpad", "accumulator": "accumulator", "l2": "L2"}
"""Names of the counters of what the memories hold."""


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Cycles as the whole nanoseconds that a trace can hold.

    Both ends of a slice are rounded, and the difference is taken afterwards: slices that touch in cycles touch in the
    trace, so that viewers, which compare ends with starts, find none that overlap.
    """

    clock_mhz: float

    def nanoseconds(self, cycle: int) -> int:
        """Return the time at which a cycle begins, rounded [ns]."""
        return round(cycle * 1000 / self.clock_mhz)

    def microseconds(self, start: int, end: int) -> tuple[float, float]:
        """Return when a stretch of cycles starts and how long it lasts [us]."""
        first = self.nanoseconds(start)
        return first / 1000, (self.nanoseconds(end) - first) / 1000


def trace_events(report: Report, window: tuple[int, int] | None = None) -> Iterator[Event]:
    """Events of one run: names first, then the operators and their traffic, then the spans of the units by time.

    Parameters
    ----------
    report
        A report with spans.
    window
        First cycle, and the one after the last, of what is shown: slices that lie outside are left out, those that
        cross its edges are whole. The whole run if None.
    """
    first, last = window or (0, max(report.cycles, 1))
    spans = [span for span in report.spans if span.start < last and span.end > first]
    lanes = lanes_of(spans)
    names = lane_names(spans, lanes)
    threads = {lane: number for number, lane in enumerate(names, start=OPERATORS + 1)}
    yield from _names(report.machine, {names[lane]: number for lane, number in threads.items()})
    parts = report.by_op or (report,)
    starts = [0, *accumulate(part.cycles for part in parts)]
    shown = [(part, *ends) for part, ends in zip(parts, pairwise(starts), strict=True) if _within(ends, first, last)]
    scale = TimeScale(report.clock_mhz)
    yield from (_operator(part, start, end, scale) for part, start, end in shown)
    yield from _traffic(shown, scale)
    if report.levels and first < starts[-1]:
        yield from _contents(report, (first, last), scale)
    for span, lane in zip(spans, lanes, strict=True):
        # The operator that runs at a span's start; a span on a boundary belongs to the one that begins there.
        part = parts[min(bisect_right(starts, span.start), len(parts)) - 1]
        about = {"operator": part.name, "start_cycle": span.start, "cycles": span.end - span.start}
        about["busy_cycles"] = span.busy_cycles
        about |= {"tensors": ", ".join(span.tensors)} if span.tensors else {}
        yield _slice(span.name, span.unit, threads[span.unit, lane], (span.start, span.end), scale, about)
    yield from _arrows(spans, [threads[span.unit, lane] for span, lane in zip(spans, lanes, strict=True)], scale)


def trace_text(report: Report, window: tuple[int, int] | None = None) -> Iterator[str]:
    """The trace file in pieces, one event a line: the same text for the same report."""
    about = {"schema": SCHEMA, "machine": report.machine, "workload": report.name, "clock_mhz": report.clock_mhz}
    yield f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)},\n"traceEvents": [\n'
    separator = ""
    for event in trace_events(report, window):
        yield separator + json.dumps(event, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def write_trace(
    report: Report, path: Path, *, compressed: bool | None = None, window: tuple[int, int] | None = None
) -> None:
    """Write the trace to ``path``; compressed if its name ends with ``.gz`` and nothing else was asked."""
    if compressed if compressed is not None else path.suffix == ".gz":
        # Neither name nor time enter the header, so that equal reports give equal files.
        with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            for piece in trace_text(report, window):
                file.write(piece.encode(errors="backslashreplace"))
    else:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as text:
            text.writelines(trace_text(report, window))


def _within(ends: tuple[int, int], first: int, last: int) -> bool:
    """Whether a stretch reaches into a window; one without length does where it lies in it."""
    start, end = ends
    return start < last and end > first if end > start else first <= start <= last


def _names(machine: str, threads: dict[str, int]) -> Iterator[Event]:
    yield {"name": "process_name", "ph": "M", "pid": PROCESS, "args": {"name": machine}}
    for name, number in {"operators": OPERATORS, **threads}.items():
        yield {"name": "thread_name", "ph": "M", "pid": PROCESS, "tid": number, "args": {"name": name}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": PROCESS, "tid": number, "args": {"sort_index": number}}


def _slice(
    name: str, category: str, thread: int, cycles: tuple[int, int], scale: TimeScale, about: dict[str, object]
) -> Event:
    """Return a slice, or an instant where there is nothing between start and end."""
    start, length = scale.microseconds(*cycles)
    event: Event = {"name": name, "cat": category, "ph": "X", "pid": PROCESS, "tid": thread, "ts": start}
    if cycles[0] == cycles[1]:
        return {**event, "ph": "i", "s": "t", "args": about}
    return {**event, "dur": length, "args": about}


def _operator(part: Report, start: int, end: int, scale: TimeScale) -> Event:
    about: dict[str, object] = {
        "cycles": part.cycles,
        "repeat": part.repeat,
        "bound": part.bound,
        "macs": part.macs,
        "dram_bytes": part.dram_bytes,
        "utilisation": round(part.utilisation, 6),
    }
    about |= {f"{unit} busy cycles": time.busy_cycles for unit, time in part.units.items() if time.busy_cycles}
    return _slice(part.name, "operator", OPERATORS, (start, end), scale, about)


def _traffic(shown: Sequence[tuple[Report, int, int]], scale: TimeScale) -> Iterator[Event]:
    """Bytes per time behind the caches, the mean of each operator [GB/s]; zero after the last."""
    if not shown:
        return
    for part, start, end in shown:
        if end > start:
            seconds = part.latency_s
            rates = {way: part.counts["dram", f"{way}_byte"] / seconds / 1e9 for way in ("read", "write")}
            yield _counter(start, rates, scale)
    yield _counter(shown[-1][2], {"read": 0.0, "write": 0.0}, scale)


def _contents(report: Report, window: tuple[int, int], scale: TimeScale) -> Iterator[Event]:
    """KiB of each tensor in each memory, where they change."""
    info = occupancy(report, window)
    for memory in info.memories:
        before = dict.fromkeys(memory.size_bytes, 0)
        for place, cycle in enumerate(memory.cycles):
            now = {tensor: sizes[place] for tensor, sizes in memory.size_bytes.items()}
            changed = {tensor: size / 1024 for tensor, size in now.items() if size != before[tensor]}
            before = now
            if changed:
                yield _counted(f"{OCCUPANCY[memory.memory]} [KiB]", cycle, changed, scale)


def _counter(cycle: int, rates: dict[str, float], scale: TimeScale) -> Event:
    return _counted(DRAM, cycle, {f"{way} GB/s": round(rate, 6) for way, rate in rates.items()}, scale)


def _counted(name: str, cycle: int, values: Mapping[str, float], scale: TimeScale) -> Event:
    start, _ = scale.microseconds(cycle, cycle)
    return {"name": name, "ph": "C", "pid": PROCESS, "ts": start, "args": dict(values)}


def _arrows(spans: Sequence[Span], threads: Sequence[int], scale: TimeScale) -> Iterator[Event]:
    """An arrow from the loads of each work to its compute, if both are there.

    An arrow holds to the slice that is open at its time, so that it leaves and arrives at the starts of the two.
    """
    loads = {span.work: index for index, span in enumerate(spans) if span.unit == "load"}
    numbers = count(1)
    for index, span in enumerate(spans):
        if span.unit != "execute" or span.work is None or span.work not in loads:
            continue
        source = loads[span.work]
        arrow: Event = {"name": "operands", "cat": "flow", "pid": PROCESS, "id": next(numbers)}
        for kind, end in (("s", source), ("f", index)):
            start, _ = scale.microseconds(spans[end].start, spans[end].start)
            yield {**arrow, "ph": kind, **({"bp": "e"} if kind == "f" else {}), "tid": threads[end], "ts": start}
