"""The co-design study: a small ladder always, the paper's size with ``-m slow``; its sums, files and refusals."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import codesign, codesign_report
from mapper.studies.codesign import CAPACITIES, LADDER, Findings, utilisation

MODEL = {
    "family": "bert", "name": "mini", "layers": 1, "d_model": 128, "heads": 2, "d_ffn": 256, "max_positions": 512,
    "source": "made for this test",
}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Findings:
    found = Findings(32)
    names = list(codesign.run(found, LADDER, (), finalists=0, model=MODEL))
    assert names == ["baseline", "+ units", "+ re-split", "+ fusion", "+ our mapper"]
    return found


def test_units_take_the_host_out_of_the_way(small: Findings) -> None:
    base, units, _, fused, best = small.steps
    assert base.outside_matmul > 0.9 > 0.5 > units.outside_matmul
    assert best.report.cycles < fused.report.cycles < units.report.cycles < base.report.cycles / 5
    assert fused.shares["softmax"] == 0.0 < units.shares["softmax"], "a fused softmax counts as product"
    assert base.vector_share < units.vector_share, "the baseline requantises, and no more"
    assert base.area_mm2 is not None and units.area_mm2 is not None and base.area_mm2 < units.area_mm2
    for step in small.steps:
        assert sum(step.shares.values()) == pytest.approx(1.0)
        assert step.matmul_utilisation * step.shares["matmul"] == pytest.approx(step.report.utilisation)


def test_published_values_stand_beside_their_own_size_only(small: Findings) -> None:
    (line,) = codesign_report.notes(small)
    assert line == "The paper's values are those of 512 tokens: nothing to hold these against."
    assert "  paper" not in codesign_report.text(small)
    found = replace(small, tokens=512)
    lines = codesign_report.notes(found)
    assert any(line.startswith("End to end: x") and "the paper x39.6" in line for line in lines)
    assert any(line.startswith("Units: 5.3% more area (14 %") for line in lines)
    assert codesign_report.text(found).count("\n  paper") == 2


def test_tables_and_picture_hold_what_is_finished(small: Findings) -> None:
    rows = list(csv.DictReader(codesign_report.ladder_csv(small).splitlines()))
    assert [int(row["cycles"]) for row in rows] == [step.report.cycles for step in small.steps]
    assert list(csv.DictReader(codesign_report.grid_csv(small).splitlines())) == []
    assert codesign_report.draw(small).axes[0].get_xscale() == "log"
    assert codesign_report.text(Findings(16)).strip() == codesign_report.notes(Findings(16))[0]


@pytest.mark.slow
def test_the_paper_s_ladder_and_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "codesign", "--finalists", "0", "--out", str(tmp_path)]) == 0
    assert "the paper x39.6" in capsys.readouterr().out
    ladder = list(csv.DictReader((tmp_path / "codesign.csv").read_text(encoding="utf-8").splitlines()))
    base, last = ladder[0], ladder[-1]
    assert float(base["utilisation"]) < 0.05
    assert float(base["share_matmul"]) < 0.1
    assert 20 <= int(base["cycles"]) / int(last["cycles"]) <= 80
    cells = csv.DictReader((tmp_path / "codesign_grid.csv").read_text(encoding="utf-8").splitlines())
    grid = {(row["scratchpad_kib"], row["accumulator_kib"]): float(row["library_tile"]) for row in cells}
    assert len(grid) == 9
    for scratchpad in map(str, CAPACITIES):
        assert grid[scratchpad, "64"] + 0.03 <= grid[scratchpad, "128"]


def test_a_cell_compares_the_library_with_the_best() -> None:
    found = Findings(64)
    for name in codesign.run(found, (), (64,), model=MODEL):
        assert name == "64 + 64 KiB" or name.startswith("slow memory")
    (cell,), (slow,) = found.cells, found.slow
    assert cell.published == 0.66
    assert utilisation(slow.library) < utilisation(cell.library) < utilisation(cell.best) < 1.0
    assert "66% / " in codesign_report.text(found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["codesign", "--tokens", "512,1024"], "--tokens 512,1024: this study takes one number"),
        (["codesign", "--tokens", "0"], "--tokens 0: '0' is no whole number of 1 to 4,096"),
        (["codesign", "--accumulator", "64"], "--accumulator has no meaning for the study 'codesign'"),
        (["codesign", "--finalists", "-1"], "--finalists -1: '-1' is no whole number of 0 to"),
    ],
)
def test_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", *arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, says in captured.err) == ("", True)
