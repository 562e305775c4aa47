"""Nonlinear operators: order of the three ways at a small size, the table and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import nonlinear, nonlinear_report
from mapper.studies.nonlinear import Measured, NonlinearTimes


@pytest.fixture(scope="module")
def found() -> NonlinearTimes:
    times = NonlinearTimes()
    softmax = nonlinear.OPERATORS[0]
    times.rows.append(nonlinear._measured(softmax, 32))
    return times


def test_a_unit_beats_the_host_and_fusing_beats_the_unit(found: NonlinearTimes) -> None:
    (softmax,) = found.rows
    assert softmax.elements == 12 * 32 * 32
    assert 125 <= softmax.host / softmax.elements < 135, "the cycles per element that the machine names, and lines"
    assert softmax.unit is not None and softmax.fused is not None
    assert softmax.fused < softmax.unit < softmax.host


def test_the_report_tells_what_is_missing(found: NonlinearTimes) -> None:
    made = Measured("softmax", 512, 100, 10, 12_500, 80, None, "half of the accumulator is too small")
    text = nonlinear_report.text(NonlinearTimes([*found.rows, made]))
    assert "0.80 cycles of a score on the unit, the paper 0.89" in text
    assert "softmax, 512 tokens, cannot be fused: half of the accumulator" in text
    assert nonlinear_report.as_csv(found).count("\n") == 2
    nonlinear_report.draw(found)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    assert cli.main(["study", "nonlinear", "--tokens", "64", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nonlinear.csv", "nonlinear.png"]


@pytest.mark.slow
def test_the_longest_length_of_the_study() -> None:
    """4,096 tokens: the order of the three ways holds, and rows that no tile holds say which memory is too small."""
    times = NonlinearTimes()
    list(nonlinear.run(times, (4096,)))
    softmax, norm, gelu = times.rows
    for row in times.rows:
        assert row.unit is not None and row.unit < row.host / 10
    assert softmax.fused is None and "would do has 65 KiB" in softmax.refused
    for row in (norm, gelu):
        assert row.unit is not None and row.fused is not None and row.fused < row.unit / 2
