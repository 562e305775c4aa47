"""The numbers behind the pictures are tested as numbers; the pictures only for being drawn, labelled and complete."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from simulator.bottleneck import BOUNDS
from simulator.report import Counts, Report, UnitTime
from simulator.units import UNIT_NAMES
from simulator.views.bars import BROKEN, TEXT_ROOM, Bars
from simulator.views.plots import breakdown, draw_breakdown
from simulator.views.style import BOUND_COLOURS, ENERGY_COLOURS, HATCHES, PAPER

ENERGY = {("array", "mac"): 2e6, ("dram", "read_byte"): 5e6, ("dram", "write_byte"): 1e6}


def part(name: str, cycles: int, bound: str, repeat: int = 1, source: str = "simulate") -> Report:
    return Report(
        name,
        "simulate" if source == "simulate" else "estimate",
        "tiny",
        500.0,
        cycles,
        Counts(),
        {**dict.fromkeys(UNIT_NAMES, UnitTime(0, {}, cycles)), "load": UnitTime(cycles, {}, 0)},
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


def test_operators_without_cycles_have_no_mark(report: Report) -> None:
    free = whole(part("query", 100, "compute"), part("gelu", 0, "store"))
    assert list(breakdown(free, free).estimate_us or ()) == [pytest.approx(0.2), None]
    marks = [line for line in draw_breakdown(breakdown(free, free)).axes[0].lines if len(np.asarray(line.get_xdata()))]
    assert len(marks) == 1


def test_an_absorbed_operator_says_where_it_is() -> None:
    gelu = replace(part("gelu", 0, "store"), energy_pj_by_action={})
    free = whole(part("ffn1", 100, "compute"), gelu)
    figure = draw_breakdown(breakdown(free, None, {"gelu": "ffn1"}))
    assert [[text.get_text() for text in axes.texts][1] for axes in figure.axes] == ["in ffn1", "in ffn1"]


def test_causes_add_up_to_the_latency(report: Report) -> None:
    info = breakdown(report)
    assert [sum(column) for column in zip(*info.latency_us_by_cause.values(), strict=True)] == pytest.approx([0.2, 0.6])


def test_one_bar_of_fifty_times_the_others_is_broken() -> None:
    """The axis ends at five medians; the long bar keeps its proportions and has its length beside it."""
    long = Bars(tuple("abcde"), {"x": (1.0, 2.0, 3.0, 2.0, 50.0), "y": (0.0, 0.0, 0.0, 0.0, 50.0)})
    assert long.broken == (False, False, False, False, True)
    assert long.end == BROKEN * 2.0
    fine = Bars(tuple("abc"), {"x": (1.0, 2.0, 12.0)})
    assert not any(fine.broken) and fine.end == 12.0
    assert Bars(("a",), {"x": (0.0,)}).end == 1.0
    times = whole(
        *(part(name, cycles, "compute") for name, cycles in zip("abcde", (100, 110, 120, 130, 6500), strict=True))
    )
    figure = draw_breakdown(breakdown(times), PAPER)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.2", "0.22", "0.24", "0.26", "13"]
    assert figure.axes[0].get_xlabel() == "latency [µs]; bars with a break are longer"


def test_what_has_a_colour_has_a_hatching() -> None:
    """Neighbours differ on a grey printer; only array and host, blue and black, are plain."""
    assert set(BOUND_COLOURS) | set(ENERGY_COLOURS) <= set(HATCHES)
    assert {name for name, hatch in HATCHES.items() if not hatch} == {"compute", "array", "host"}


def test_title_says_that_it_is_one_block(report: Report) -> None:
    assert breakdown(report).title == "block on tiny"
    assert breakdown(replace(report, repeat=12)).title == "block on tiny, one of 12 equal blocks"


def test_bounds_have_the_colours_of_their_energy() -> None:
    for bound, unit in {"compute": "array", "bandwidth": "dram", "normaliser": "vector", "host": "host"}.items():
        assert BOUND_COLOURS[bound] == ENERGY_COLOURS[unit]
    others = set(ENERGY_COLOURS) - {"array", "dram", "vector", "requantise", "host"}
    assert {ENERGY_COLOURS[unit] for unit in others}.isdisjoint(BOUND_COLOURS.values())
    assert len(set(BOUND_COLOURS.values())) == len(BOUNDS)
    assert set(BOUND_COLOURS) == set(BOUNDS)


@pytest.mark.parametrize(
    ("cycles", "unit", "end"), [(4_999_999, "µs", 9999.998), (5_000_000, "ms", 10.0), (5 * 10**9, "s", 10.0)]
)
def test_large_times_are_in_larger_units(cycles: int, unit: str, end: float) -> None:
    """5,000,000 cycles of 2 ns are 10 ms; the axis ends a little behind the longest bar."""
    (axes, _) = draw_breakdown(breakdown(whole(part("long", cycles, "compute")))).axes
    assert axes.get_xlabel() == f"latency [{unit}]"
    assert axes.get_xlim() == pytest.approx((0.0, TEXT_ROOM * end))


def test_requantisation_is_no_vector_unit() -> None:
    scaled = replace(part("q", 1, "compute"), energy_pj_by_action={("vector", "requantise"): 1e6})
    softmax = replace(part("s", 1, "host"), energy_pj_by_action={("vector", "softmax"): 1e6})
    assert list(breakdown(whole(scaled)).energy_uj) == ["requantise"]
    assert list(breakdown(whole(scaled, softmax)).energy_uj) == ["vector"]


def test_breakdown_is_drawn_and_labelled(report: Report) -> None:
    figure = draw_breakdown(breakdown(report, report))
    latency, energy = figure.axes
    assert (latency.get_xlabel(), energy.get_xlabel()) == ("latency [µs]", "energy [µJ]")
    assert [label.get_text() for label in latency.get_yticklabels()] == ["query", "softmax ×3"]
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_a_report_without_energy_is_still_drawn() -> None:
    bare = replace(part("bare", 10, "compute"), energy_pj_by_action={})
    picture = io.BytesIO()
    draw_breakdown(breakdown(bare)).savefig(picture, format="svg")
    assert b"bare" in picture.getvalue() and b"</svg>" in picture.getvalue()


def test_importing_the_module_loads_no_matplotlib() -> None:
    code = "import sys, simulator.views.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
