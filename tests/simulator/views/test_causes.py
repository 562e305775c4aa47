"""Cycles by cause: all of them, for every operator and the block."""

from __future__ import annotations

import pytest

from mapper.result import RunResult
from simulator.bottleneck import cycles_by_cause
from simulator.report import Report
from simulator.views.causes import cycle_causes, draw_causes
from simulator.views.style import SIZES, Size


@pytest.fixture
def report(bert_of_8_tokens: RunResult) -> Report:
    return bert_of_8_tokens.simulation


def test_causes_add_up_to_the_cycles(report: Report) -> None:
    info = cycle_causes(report)
    assert info.operators[-1] == "whole block" and "ffn_activation" not in info.operators
    assert tuple(map(sum, zip(*info.cycles_by_cause.values(), strict=True))) == info.cycles
    assert report.repeat * info.cycles[-1] == report.cycles
    assert report.repeat * info.cycles_by_cause["compute"][-1] == cycles_by_cause(report)["compute"]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_bars_are_full_and_cycles_stand_beside(report: Report, size: Size) -> None:
    figure = draw_causes(cycle_causes(report), size)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "share of the operator's cycles [%]"
    assert f"{report.cycles // report.repeat:,}" in [text.get_text() for text in axes.texts]
    ends = {round(bar.get_y(), 3): bar.get_x() + bar.get_width() for bar in axes.patches}  # type: ignore[attr-defined]
    assert list(ends.values()) == pytest.approx([100.0] * len(ends))


def test_a_picture_of_nothing_is_refused(report: Report) -> None:
    free = next(part for part in report.by_op if not part.cycles)
    with pytest.raises(ValueError, match="nothing takes any time"):
        cycle_causes(free)
