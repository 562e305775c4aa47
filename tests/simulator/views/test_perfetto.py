"""The trace is a faithful picture of the spans: every cycle in its place, on the thread of its unit."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix, Program
from simulator.report import Counts, Report, Span, UnitTime
from simulator.views.perfetto import PROCESS, TimeScale, trace_events, trace_text, write_trace

SPANS = (Span("load", "mvin A", 0, 40, 7), Span("execute", "16x16x16", 40, 72, 7), Span("odd", "other", 5, 6))


def part(name: str, cycles: int, repeat: int = 1) -> Report:
    units = {"load": UnitTime(40, {}, cycles - 40)}
    counts = Counts({("array", "mac"): 4096, ("dram", "read_byte"): 512})
    return Report(name, "simulate", "tiny", 500.0, cycles, counts, units, 256, repeat=repeat)


@pytest.fixture
def report() -> Report:
    """Two operators of 100 and 300 cycles; the same spans in both."""
    later = tuple(replace(span, start=span.start + 100, end=span.end + 100) for span in SPANS)
    by_op = (part("query", 100), part("scores", 300, repeat=3))
    return Report("block", "simulate", "tiny", 500.0, 400, Counts(), {}, 256, by_op=by_op, spans=SPANS + later)


def slices(report: Report) -> list[dict[str, object]]:
    return [event for event in trace_events(report) if event["ph"] == "X"]


def thread_names(report: Report) -> list[str]:
    named: list[Any] = [event["args"] for event in trace_events(report) if event["name"] == "thread_name"]
    return [about["name"] for about in named]


def test_operators_follow_each_other_on_their_own_row(report: Report) -> None:
    """At 500 MHz a cycle is 2 ns: 100 cycles are 0.2 µs and 300 cycles 0.6 µs."""
    rows = [(event["name"], event["ts"], event["dur"]) for event in slices(report) if event["tid"] == 2]
    assert rows == [("query", 0.0, 0.2), ("scores", 0.2, 0.6)]


def test_spans_start_with_their_operator(report: Report) -> None:
    """A span at cycle 40 of the second operator starts at cycle 140 = 0.28 µs and lasts 32 cycles = 0.064 µs."""
    (span,) = (
        event
        for event in slices(report)
        if event["cat"] == "execute"
        and event["args"] == {"operator": "scores", "start_cycle": 140, "cycles": 32, "busy_cycles": 0}
    )
    assert (span["ts"], span["dur"], span["name"]) == (pytest.approx(0.28), pytest.approx(0.064), "16x16x16")


def test_each_unit_has_a_named_thread_in_pipeline_order(report: Report) -> None:
    names = {
        event["tid"]: event["args"]["name"]  # type: ignore[index]
        for event in trace_events(report)
        if event["name"] == "thread_name"
    }
    assert names == {2: "operators", 3: "load", 4: "execute", 5: "odd"}


def test_a_report_without_operators_is_one_operator() -> None:
    assert [event["name"] for event in slices(part("alone", 100))] == ["alone"]


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_file_is_json_and_the_same_every_time(report: Report, tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    write_trace(report, first)
    write_trace(report, second)
    assert first.read_bytes() == second.read_bytes()
    text = gzip.decompress(first.read_bytes()) if name.endswith(".gz") else first.read_bytes()
    loaded = json.loads(text)
    assert loaded["traceEvents"] == list(trace_events(report))
    assert loaded["otherData"]["machine"] == "tiny"


def test_text_has_one_event_a_line(report: Report) -> None:
    lines = "".join(trace_text(report)).splitlines()
    assert len(lines) == len(list(trace_events(report))) + 3


def test_overlapping_spans_have_lanes_of_their_own() -> None:
    """b overlaps a; c begins where a ends; d overlaps b and c, so it needs a third lane."""
    spans = (Span("load", "a", 0, 20), Span("load", "b", 10, 30), Span("load", "c", 20, 40), Span("load", "d", 25, 50))
    report = replace(part("one", 50), spans=spans)
    named = {event["name"]: event["tid"] for event in slices(report)}
    assert named == {"one": 2, "a": 3, "b": 4, "c": 3, "d": 5}
    assert thread_names(report) == ["operators", "load", "load 2", "load 3"]


def test_slices_of_a_thread_are_apart_or_nested() -> None:
    """Of a real run with two loops in flight."""
    loops = tuple(
        MatmulLoop(48, 64, 32, Matrix(0x1000, 64), Matrix(0x8000, 32), Matrix(0x20000 + 0x1000 * i, 32))
        for i in range(6)
    )
    result = simulate(Program("loops", loops), hwconfigs.load("gemmini"), spans=True)
    assert len(thread_names(result)) > len({span.unit for span in result.spans}) + 1
    times: list[tuple[int, int, int]] = []
    for event in slices(result):
        place: Any = event["args"]
        if event["tid"] != 2:
            times.append((place["start_cycle"], -place["cycles"], int(str(event["tid"]))))
    ends: dict[int, list[int]] = {}
    for start, minus, thread in sorted(times):
        around = ends.setdefault(thread, [])
        while around and around[-1] <= start:
            around.pop()
        assert not around or start - minus <= around[-1]
        around.append(start - minus)


def test_no_thread_is_the_process_or_number_nought(report: Report) -> None:
    """Perfetto would show its slices on another row."""
    assert not {event.get("tid") for event in trace_events(report)} & {0, PROCESS}


@pytest.mark.parametrize("clock_mhz", [100.0, 800.0, 933.33, 1250.0, 2000.0])
def test_what_touches_in_cycles_touches_in_the_trace(clock_mhz: float) -> None:
    """Neither a gap nor an overlap, whatever the clock, and every end is a whole number of nanoseconds."""
    scale = TimeScale(clock_mhz)
    for start in range(0, 4000, 7):
        (first, length), (following, _) = scale.microseconds(start, start + 7), scale.microseconds(start + 7, start + 9)
        assert round(first * 1000) + round(length * 1000) == round(following * 1000)
        assert first * 1000 == pytest.approx(start * 1000 / clock_mhz, abs=0.5 + 1e-6)


def test_an_operator_without_time_is_an_instant(report: Report) -> None:
    absorbed = replace(report, by_op=(part("query", 100), part("relu", 0), part("scores", 300)))
    instants = [event for event in trace_events(absorbed) if event["ph"] == "i"]
    assert [(event["name"], event["ts"], event["tid"]) for event in instants] == [("relu", 0.2, 2)]


def test_bandwidth_is_bytes_over_the_time_of_the_operator(report: Report) -> None:
    """512 bytes read in 100 cycles of 2 ns are 2.56 GB/s, in 300 a third of it; nothing after the end."""
    counters: list[Any] = [event for event in trace_events(report) if event["ph"] == "C"]
    reads = [(event["ts"], event["args"]["read GB/s"]) for event in counters]
    assert reads == [(0.0, 2.56), (0.2, pytest.approx(0.853333)), (0.8, 0.0)]


def test_arrows_lead_from_the_loads_of_a_work_to_its_compute(report: Report) -> None:
    """From thread 3 at cycle 0 (100 in the second operator) to thread 4 at cycle 40 (140)."""
    second = tuple(replace(span, work=8) if span.start >= 100 and span.work else span for span in report.spans)
    events = trace_events(replace(report, spans=second))
    arrows = [(event["ph"], event["id"], event["tid"], event["ts"]) for event in events if event["ph"] in "sf"]
    assert arrows == [("s", 1, 3, 0.0), ("f", 1, 4, 0.08), ("s", 2, 3, 0.2), ("f", 2, 4, 0.28)]


def test_a_window_keeps_what_reaches_into_it(report: Report) -> None:
    """Of cycles 50 to 100: the compute of the first operator, whole, and that operator alone."""
    shown = [event for event in trace_events(report, (50, 100)) if event["ph"] == "X"]
    assert [(event["name"], event["ts"], event["dur"]) for event in shown] == [
        ("query", 0.0, 0.2), ("16x16x16", 0.08, 0.064),
    ]  # fmt: skip
