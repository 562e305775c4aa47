"""The roofline's numbers are those of the report, and no point lies above what the machine can do."""

from __future__ import annotations

from itertools import combinations

import pytest

import hwconfigs
from mapper.plots.roofline import GROUP, WHOLE, draw_roofline, roofline_info
from mapper.result import RunResult
from simulator.report import Report
from simulator.views.style import SIZES, Size


@pytest.fixture
def report(bert_of_8_tokens: RunResult) -> Report:
    return bert_of_8_tokens.simulation


def test_numbers_are_those_of_the_report(report: Report) -> None:
    """256 MACs a cycle at 1 GHz are 512 billion operations; 8 bytes a cycle are 8 GB/s: they meet at 64."""
    info = roofline_info(report, hwconfigs.load("gemmini_ibert").dram.bytes_per_cycle, {"ffn_activation": "ffn1"})
    assert (info.peak_gops, info.dram_gbytes_per_s, info.ridge) == (512.0, 8.0, 64.0)
    products = [part for part in report.by_op if part.macs]
    assert [point.gops for point in info.points[:-1]] == pytest.approx([512.0 * part.utilisation for part in products])
    assert [point.intensity for point in info.points[:-1]] == [part.intensity for part in products]
    assert {point.name: point.kind for point in info.points if point.kind != "operator"} == {
        "ffn1 + ffn_activation": GROUP, WHOLE: WHOLE,
    }  # fmt: skip
    assert all(point.gops <= info.peak_gops for point in info.points)
    rest = [part for part in report.by_op if part.cycles and not part.macs]
    assert info.without == tuple(part.name for part in rest)
    assert info.without_share == pytest.approx(report.repeat * sum(part.cycles for part in rest) / report.cycles)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_names_are_apart(report: Report, size: Size) -> None:
    figure = draw_roofline(roofline_info(report, 8.0), size)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "intensity [operations / byte of DRAM]"
    figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in axes.texts if not text.get_rotation()]
    assert len(extents) >= 4
    assert not any(a.overlaps(b) for a, b in combinations([extent.shrunk(0.9, 0.9) for extent in extents], 2))


def test_what_is_above_a_roof_is_told(report: Report) -> None:
    """Half of the port puts every point under the slanted roof twice as near to it."""
    assert roofline_info(report, 8.0).above() == []
    slow = roofline_info(report, 4.0)
    over = [point.name for point in slow.points[:-1] if point.intensity * 4.0 < 0.999 * point.gops]
    assert over and [line.split(" by ")[0] for line in slow.above()] == over
    assert f"(D11): {slow.above()[0]}" in draw_roofline(slow).get_suptitle()


def test_without_products_there_is_no_roofline(report: Report) -> None:
    norm = next(part for part in report.by_op if part.name == "ffn_norm")
    with pytest.raises(ValueError, match="no operator has multiply-accumulates"):
        roofline_info(norm, 8.0)
