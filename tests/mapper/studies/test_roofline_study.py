"""The roofline study: Table 5 to its digits, Fig. 32 as far as it is printed, and a small simulated block."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import roofline, roofline_report
from mapper.studies.roofline import Roofs, SimulatedProduct


@pytest.fixture(scope="module")
def found() -> Roofs:
    roofs = Roofs()
    assert list(roofline.run(roofs, ())) == ["Table 5", "Fig. 32"]
    return roofs


def test_every_intensity_of_table_5(found: Roofs) -> None:
    assert len(found.intensities) == 18
    assert max(abs(point.error) for point in found.intensities) <= 2e-5
    assert [point.tokens for point in found.totals] == [128, 512, 4096]
    assert max(abs(point.error) for point in found.totals) <= 1e-3


def test_latencies_of_figure_32(found: Roofs) -> None:
    """Within five per cent, or the integer that is printed; BERT-Large with the width that its FLOPs fit."""
    assert len(found.latencies) == 18
    for point in found.latencies:
        if point.model != "bert-large":
            assert point.is_printed or abs(point.error) <= 0.05, point
    unit = roofline.encoder_cycles("bert-base", 128)
    assert unit == pytest.approx(48_218_112)
    for tokens, printed in zip(roofline.FIGURE_LENGTHS, roofline.FIGURE_32["bert-large"], strict=True):
        narrower = roofline.encoder_cycles("bert-large", tokens, d_ffn=roofline.FITTING_D_FFN) / unit
        assert abs(narrower - printed) <= 0.5 or abs(narrower / printed - 1) <= 0.05, tokens


def test_intensities_fall_where_scores_rule(found: Roofs) -> None:
    """The closed form of a block, 5 h l^2 bytes beside 4 h l^2 operations, written out once more."""
    tokens, heads, width = 512, 12, 768
    scores = heads * tokens * tokens
    flops = (
        8 * width**2 * tokens + 16 * width**2 * tokens + scores * (2 * 64 - 1) + heads * tokens * 64 * (2 * tokens - 1)
    )
    flops += 4 * scores + 58 * width * tokens
    assert found.totals[1].ours == pytest.approx(flops / 72_744_960, rel=1e-12)


def test_notes_say_what_the_simulation_does_differently(found: Roofs) -> None:
    one = SimulatedProduct("QK", 128, 1000, 10, 100)
    assert (one.intensity, one.flops_per_cycle) == (100.0, 10.0)
    told = Roofs(found.intensities, found.totals, found.latencies, [one, SimulatedProduct("W1", 128, 1, 0, 1)])
    assert "3.94 (QK, 128 tokens) to 3.94 times" in roofline_report.notes(told)[-1]
    assert "100.0" in roofline_report.text(told)
    roofline_report.draw(told)


@pytest.mark.slow
def test_the_command_simulates_a_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "roofline", "--tokens", "128", "--out", str(tmp_path)]) == 0
    assert "18 of 18 operators within 0.002 %" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "roofline.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 21
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roofline.csv", "roofline.png", "roofline_latency.csv"]
    assert all(0 < float(row["simulated_flops_per_cycle"]) <= 512 for row in rows if row["simulated"])


def test_bad_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "roofline", "--tokens", "x"]) == 2
    assert "--tokens x: 'x' is no whole number of 1 to 4,096" in capsys.readouterr().err
