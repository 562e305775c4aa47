"""Rows of the normaliser, alone and in the SoC: the gates hold on them, and damaged ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapper.cli import main
from mapper.validation.gates import verdicts
from mapper.validation.measured import categories, normaliser_rows, programs
from mapper.validation.measured.results import RowResults
from mapper.validation.measured.rows import read_table
from mapper.validation.measured.runner import run_normaliser, run_rtl

REFERENCE = Path(__file__).resolve().parents[3] / "reference"
ALONE, IN_SOC = REFERENCE / "normaliser_rows.csv", REFERENCE / "soc_normaliser_rows.csv"
Row = dict[str, str]


def quiet(source: str, done: int, total: int) -> None:
    del source, done, total


@pytest.fixture(scope="module")
def in_soc() -> RowResults:
    return run_rtl(read_table(IN_SOC, programs.REQUIRED), quiet)


def test_every_version_and_kernel_holds_its_gates() -> None:
    results = run_normaliser(read_table(ALONE, normaliser_rows.REQUIRED), quiet)
    judged = verdicts(results.run)
    assert len(judged) == 20
    assert all(verdict.holds for verdict in judged)
    assert not results.skipped
    alone = [row for row in results.run if row.category == categories.UNIT_ALONE]
    assert len(alone) == 24
    assert not {row.category for row in alone} & {verdict.gate.category for verdict in judged}


def test_fused_products_and_stores_of_the_soc_hold_their_gates(in_soc: RowResults) -> None:
    judged = verdicts(in_soc.run)
    assert {verdict.gate.figure for verdict in judged} == {"mean", "worst", "bias"}
    assert all(verdict.holds for verdict in judged)
    assert not in_soc.bad


def test_products_of_many_loops_show_no_trend(in_soc: RowResults) -> None:
    """They were up to 24 % too fast while a loop gave its context up before its read-out."""
    many = [row for row in in_soc.run if row.category == categories.FUSED_WARM and "many loops" in row.tags]
    assert len(many) >= 5
    assert max(abs(row.error) for row in many) <= 0.04


def test_a_program_begins_with_an_empty_cache(tmp_path: Path) -> None:
    """The same cold product twice: the second time in a program of its own, it takes as long as the first."""
    rows = read_table(IN_SOC, programs.REQUIRED).rows
    cold = next(row for row in rows if row["test"].startswith("loop_ws_tile") and row["state"] == "cold")
    (first, second), (_, behind) = (
        [row.simulated for row in run_rtl(read_table(file, programs.REQUIRED), quiet).run]
        for file in (
            write(tmp_path / "two.csv", [cold, {**cold, "program": "another"}]),
            write(tmp_path / "one.csv", [cold, cold]),
        )
    )
    assert first == second
    assert behind != first


def write(path: Path, rows: list[Row]) -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sound() -> Row:
    return dict(read_table(ALONE, normaliser_rows.REQUIRED).rows[0])


BAD = [
    ({"gemmini": "v0.7.0"}, "gemmini='v0.7.0' unknown; did you mean"),
    ({"kernel": "layernrom"}, "kernel='layernrom' unknown; did you mean 'layernorm'?"),
    ({"mode": "loop"}, "mode='loop' unknown"),
    ({"rows": "0"}, "rows=0 outside 1..65536"),
    ({"cols": "wide"}, "cols='wide' is not a whole number"),
    ({"slots": "65"}, "slots=65 outside 1..64"),
    ({"cycles": "0"}, "cycles=0 must be at least 1"),
    ({"mode": "issued", "issue_interval": "0"}, "issue_interval=0"),
    ({"mode": "one_row_stores", "kernel": "softmax"}, "plain stores only"),
    ({"mode": "unit_seq", "kernel": "plain"}, "the unit has no part in it"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_a_row_that_makes_no_sense_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Row, message: str
) -> None:
    file = write(tmp_path / "a.csv", [sound(), {**sound(), **change}])
    assert main(["validate", "--normaliser", str(file)]) == 2
    out = capsys.readouterr().out
    assert "normaliser line 3" in out
    assert message in out


@pytest.mark.parametrize("content", ["", "# only a comment\n", "a,b\n1,2\n", "\x00\n"])
def test_not_such_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(content, encoding="utf-8")
    assert main(["validate", "--normaliser", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tilewright: {file}: ")


def test_comments_before_the_header_keep_the_lines_of_the_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("# where it comes from\n" + ALONE.read_text(encoding="utf-8"), encoding="utf-8")
    table, plain = (read_table(path, normaliser_rows.REQUIRED) for path in (file, ALONE))
    assert table.rows == plain.rows
    assert table.line(0) == plain.line(0) + 1
