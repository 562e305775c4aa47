"""The numbers behind the pictures are tested as numbers; the pictures only for being drawn, labelled and complete."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from simulator.plots import breakdown, draw_breakdown, draw_timeline, timeline
from simulator.report import Counts, Report, Span, UnitTime

ENERGY = {("array", "mac"): 2e6, ("dram", "read_byte"): 5e6, ("dram", "write_byte"): 1e6}


def part(name: str, cycles: int, bound: str, repeat: int = 1, source: str = "simulate") -> Report:
    return Report(
        name,
        "simulate" if source == "simulate" else "estimate",
        "tiny",
        500.0,
        cycles,
        Counts(),
        {"load": UnitTime(cycles, {}, 0)},
        256,
        bound=bound,
        energy_pj_by_action=ENERGY,
        repeat=repeat,
    )


def whole(*parts: Report) -> Report:
    return Report("block", "simulate", "tiny", 500.0, 400, Counts(), {}, 256, by_op=parts)


@pytest.fixture
def report() -> Report:
    return whole(part("query", 100, "compute"), part("softmax", 300, "host", repeat=3))


def test_latency_is_in_microseconds_of_the_machine_s_clock(report: Report) -> None:
    """100 cycles of 2 ns are 0.2 µs."""
    assert breakdown(report).latency_us == pytest.approx((0.2, 0.6))


def test_operators_that_repeat_say_so(report: Report) -> None:
    assert breakdown(report).operators == ("query", "softmax ×3")


def test_energy_is_split_by_unit_largest_first(report: Report) -> None:
    """5 + 1 million pJ of DRAM are 6 µJ."""
    info = breakdown(report)
    assert list(info.energy_uj) == ["dram", "array"]
    assert info.energy_uj["dram"] == pytest.approx((6.0, 6.0))


def test_estimate_is_matched_by_name(report: Report) -> None:
    estimate = whole(part("softmax", 250, "host", source="estimate"), part("query", 90, "compute", source="estimate"))
    assert breakdown(report, estimate).estimate_us == pytest.approx((0.18, 0.5))


def test_breakdown_is_drawn_and_labelled(report: Report) -> None:
    figure = draw_breakdown(breakdown(report, report))
    latency, energy = figure.axes
    assert (latency.get_xlabel(), energy.get_xlabel()) == ("latency [µs]", "energy [µJ]")
    assert [label.get_text() for label in latency.get_yticklabels()] == ["query", "softmax ×3"]
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_a_report_without_energy_is_still_drawn() -> None:
    bare = Report("bare", "simulate", "tiny", 500.0, 10, Counts(), {}, 256)
    draw_breakdown(breakdown(bare)).savefig(io.BytesIO(), format="svg")


def test_timeline_joins_neighbours() -> None:
    """Cycles 0-10 and 10-20 are one stretch of 20 cycles, 0.04 µs; the next starts at 0.1 µs."""
    spans = (Span("load", "a", 10, 20), Span("load", "b", 0, 10), Span("load", "c", 50, 60), Span("store", "d", 1, 2))
    report = Report("one", "simulate", "tiny", 500.0, 60, Counts(), {}, 256, spans=spans)
    info = timeline(report)
    assert info.units == ("load", "store")
    assert info.busy_us["load"] == ((0.0, 0.04), (0.1, 0.02))
    draw_timeline(info).savefig(io.BytesIO(), format="svg")


def test_importing_the_module_loads_no_matplotlib() -> None:
    code = "import sys, simulator.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
