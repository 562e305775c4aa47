"""The Gantt chart: stretches of units, tiles and what was loaded for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import hwconfigs
from mapper import pipeline
from simulator.report import Counts, Report, Span
from simulator.views.style import PAPER, SIZES, Size, save, series_look
from simulator.views.timeline import TOLD, draw_timeline, timeline

SPANS = (
    Span("load", "4x4x4", 0, 10, 0, ("a", "b")),
    Span("load", "4x4x4", 5, 18, 1, ("b",)),
    Span("execute", "4x4x4", 10, 20, 0),
    Span("execute", "4x4x4", 20, 30, 1),
    Span("store", "4x4x4", 30, 36, 1, ("c",)),
    Span("normaliser", "softmax rows", 31, 33),
)


def report(spans: tuple[Span, ...] = SPANS) -> Report:
    return Report("one", "simulate", "tiny", 500.0, 40, Counts(), {}, 16, spans=spans)


def test_rows_are_units_and_second_rows_what_overlaps() -> None:
    info = timeline(report())
    assert info.rows == ("load", "load 2", "execute", "store", "normaliser")
    assert [(one.row, one.tile, one.tensors) for one in info.stretches] == [
        (0, 0, ("a", "b")), (1, 1, ("b",)), (2, 0, ()), (2, 1, ()), (3, 1, ("c",)), (4, None, ()),
    ]  # fmt: skip
    assert info.prefetches == ((0, 2), (1, 3))


def test_a_window_holds_what_reaches_into_it() -> None:
    info = timeline(report(), (19, 31))
    assert [(one.start, one.end) for one in info.stretches] == [(10, 20), (20, 30), (30, 36)]
    assert info.prefetches == ()


@pytest.mark.parametrize(
    ("spans", "window", "words"),
    [
        ((), None, "not recorded"),
        (SPANS, (37, 39), "no unit works"),
        (SPANS, (9, 9), "is empty"),
        (SPANS, (40, 50), "40:50"),
    ],
)
def test_a_picture_of_nothing_is_refused(spans: tuple[Span, ...], window: tuple[int, int] | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        timeline(report(spans), window)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_operators_that_are_too_short_for_a_name_have_a_letter(size: Size) -> None:
    """Of 1,000 cycles 20 are room for one letter, two too few for any."""
    lengths = {"query": 478, "a long name": 20, "short": 2, "scores": 480, "norm": 20}
    parts = tuple(replace(report(()), name=name, cycles=cycles) for name, cycles in lengths.items())
    figure = draw_timeline(timeline(replace(report(), cycles=1000, by_op=parts)), size)
    assert [text.get_text() for text in figure.axes[0].texts] == ["query", "a", "", "scores", "b"]
    assert figure.get_suptitle() == "one on tiny\na: a long name,  b: norm"


def test_looks_of_many_areas_differ() -> None:
    assert len({(look["facecolor"], look["hatch"]) for look in map(series_look, range(20))}) == 20


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_tiles_are_numbered_and_loads_named(size: Size) -> None:
    figure = draw_timeline(timeline(report()), size)
    texts = [text.get_text() for text in figure.axes[1].texts if text.get_text()]
    assert "#0" in texts and any(text.replace("\n", " ") == "#0: a, b" for text in texts)
    assert figure.axes[1].get_xlabel() == "simulated time [µs]"


def test_many_stretches_are_drawn_as_busy_time() -> None:
    many = tuple(Span("load", "4x4x4", place, place + 1, place) for place in range(TOLD + 1))
    info = timeline(Report("many", "simulate", "tiny", 500.0, TOLD + 1, Counts(), {}, 16, spans=many))
    assert not info.by_tile
    assert not [text for text in draw_timeline(info).axes[1].texts if text.get_text()]


def test_busy_time_is_that_of_the_report(tmp_path: Path) -> None:
    """Stretches of the units add up to their busy cycles; loads name the operands of a product."""
    spec = hwconfigs.load("gemmini_ibert")
    result = pipeline.run_graph(pipeline.matmul_graph(64, 64, 64), spec, finalists=0, spans=True)
    info = timeline(result.simulation)
    loads = [one for one in info.stretches if info.rows[one.row].startswith("load")]
    operands = {tensor.name for tensor in result.graph.operators[0].inputs}
    assert {name for one in loads for name in one.tensors} == operands
    for name in ("first", "second"):
        save(draw_timeline(info, PAPER), tmp_path / name, "svg")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
