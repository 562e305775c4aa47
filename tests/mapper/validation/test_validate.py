"""``tilewright validate``: what it prints, writes and answers; bad rows are named while the others run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapper.cli import main
from tests.mapper.validation.measured.made_rows import Row, firesim_row, product_row, rtl_row, write


def test_rows_within_the_gates_give_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--rtl", str(write(tmp_path / "a.csv", [rtl_row()]))]) == 0
    printed = capsys.readouterr()
    assert "single commands and chains" in printed.out
    assert "2 gates: all hold" in printed.out
    assert printed.err == "", "progress is for terminals"


def test_a_failing_gate_gives_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.csv", [rtl_row(), rtl_row(cycles="300")])
    assert main(["validate", "--rtl", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "FAIL" in printed
    assert "rtl:3" in printed, "the worst row is named with its line"


@pytest.mark.parametrize("column", ["cycles", "gemmini_config", "dram_latency"])
def test_a_missing_column_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str) -> None:
    file = write(tmp_path / "a.csv", [rtl_row()], without=column)
    assert main(["validate", "--rtl", str(file)]) == 2
    assert capsys.readouterr().err == f"tilewright: {file}: column missing: {column}\n"


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff\xfe\x00\x01", b"M,N\n1,2\n"])
def test_not_such_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    for option in ("--rtl", "--firesim"):
        assert main(["validate", option, str(file)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"tilewright: {file}: ")


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--rtl", "nowhere.csv"]) == 2
    assert "nowhere.csv: cannot be read" in capsys.readouterr().err


BAD_RTL = [
    ({"gemmini_config": "systolic_9x9"}, "'systolic_9x9' unknown"),
    ({"test": "frobnicate"}, "'frobnicate'"),
    ({"cycles": "n/a"}, "cycles='n/a'"),
    ({"cycles": ""}, "cycles=''"),
    ({"cycles": "0"}, "cycles=0 must be at least 1"),
    ({"cycles": "inf"}, ""),
    ({"rows": "-3"}, "rows=-3 outside"),
    ({"rows": "200"}, "rows"),
    ({"cols": "1e9"}, "cols=1e9 outside"),
    ({"state": "lukewarm"}, "'lukewarm'"),
    ({"dram_latency": "soon"}, "dram_latency='soon'"),
]


@pytest.mark.parametrize(("cells", "complaint"), BAD_RTL)
def test_bad_rtl_rows_are_named_and_the_others_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: Row, complaint: str
) -> None:
    file = write(tmp_path / "a.csv", [rtl_row(), rtl_row(**cells), rtl_row()])
    assert main(["validate", "--rtl", str(file)]) == 2
    printed = capsys.readouterr().out
    assert "1 row cannot be run:" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("rtl line 3 (")]
    assert complaint in line
    assert "single commands and chains     2 " in printed, "the other two rows were run"


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ({"test": "loop_ws_auto_upsidedown"}, "'loop_ws_auto_upsidedown' unknown"),
        ({"M": ""}, "M=''"),
        ({"N": "0"}, "N=0 outside"),
        ({"K": "99999999"}, "K=99999999 outside"),
        ({"test": "loop_ws_tile", "tile_i": "60", "tile_j": "60", "M": "960", "N": "960"}, "accumulator: tile"),
    ],
)
def test_impossible_products(tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: Row, complaint: str) -> None:
    file = write(tmp_path / "a.csv", [product_row(**cells)])
    assert main(["validate", "--rtl", str(file)]) == 2
    assert complaint in capsys.readouterr().out


def test_a_file_cut_in_the_middle_of_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.csv", [rtl_row(), rtl_row()])
    text = file.read_text().rstrip()
    file.write_text(text[: text.rindex(",l2warm")])
    assert main(["validate", "--rtl", str(file)]) == 2
    assert "rtl line 3" in capsys.readouterr().out


def test_known_kinds_that_are_out_of_scope_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [rtl_row(), product_row(test="os_auto"), product_row(test="cpu_explicit_db"), product_row(test="precomp_db")]
    assert main(["validate", "--rtl", str(write(tmp_path / "a.csv", rows))]) == 0
    printed = capsys.readouterr().out
    assert "not run: 1 rtl rows: output-stationary library mode" in printed
    assert "not run: 2 rtl rows: issued command by command by the core" in printed


def test_a_sequence_total_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    parts = [product_row(test="seq_part", group="qkv_M64_d64", part=str(part)) for part in (1, 2, 3)]
    total = product_row(test="seq_total", group="qkv_M64_d64", part="0", M="", N="", K="", cycles="7000")
    document = _json(tmp_path, [*parts, total])
    simulated = [row["simulated_cycles"] for row in document["rows"]]
    assert simulated[3] == sum(simulated[:3])


def test_a_total_without_parts_is_a_bad_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    total = product_row(test="seq_total", group="qkv_M64_d64", part="0", M="", N="", K="")
    assert main(["validate", "--rtl", str(write(tmp_path / "a.csv", [total]))]) == 2
    assert "whose parts are not in the rows before it" in capsys.readouterr().out


def _json(tmp_path: Path, rows: list[Row], *more: str) -> dict[str, list[dict[str, int]]]:
    target = tmp_path / "out.json"
    main(["validate", "--rtl", str(write(tmp_path / "a.csv", rows)), "--json", str(target), *more])
    document: dict[str, list[dict[str, int]]] = json.loads(target.read_text())
    return document


def test_json_has_a_schema_and_every_row(tmp_path: Path) -> None:
    document = _json(tmp_path, [rtl_row(), product_row(), product_row(test="os_auto"), rtl_row(rows="x")])
    assert document["schema"] == "tilewright.validation/1"
    assert [row["line"] for row in document["rows"]] == [2, 3]
    assert [(row["line"], row["bad"]) for row in document["not_run"]] == [(4, False), (5, True)]
    assert {gate["figure"] for gate in document["gates"]} == {"mean", "worst"}


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_plot_is_written(tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"plot.{kind}"
    main(["validate", "--rtl", str(write(tmp_path / "a.csv", [rtl_row()])), "--plot", str(target)])
    assert target.stat().st_size > 1000


def test_outputs_are_checked_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write(tmp_path / "a.csv", [rtl_row()]))
    assert main(["validate", "--rtl", file, "--plot", str(tmp_path / "plot.gif")]) == 2
    assert "a plot's name must end with" in capsys.readouterr().err


BAD_FIRESIM = [
    ({"kind": "pooling"}, "kind='pooling'"),
    ({"pe_dim": "24"}, "pe_dim=24: arrays of 4, 8, 16, 32, 64 are known"),
    ({"M": "0"}, "M=0 must be at least 1"),
    ({"exec_tile_C": ""}, "exec_tile_C=''"),
    ({"exec_trips_outer_to_inner": "C3"}, "128 in tiles of 64 takes 2 trips of C"),
    ({"exec_trips_outer_to_inner": "downhill"}, "is not like 'P2>C8>K4'"),
    ({"cache_state": "unknown"}, "cache_state='unknown'"),
    ({"measured_cycles": "-5"}, "measured_cycles=-5"),
    ({"M": str(10**9), "exec_tile_P": "16", "exec_trips_outer_to_inner": "P62500000>C2"}, "hardware loops, more than"),
]


@pytest.mark.parametrize(("cells", "complaint"), BAD_FIRESIM)
def test_bad_firesim_rows_are_named_and_the_others_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: Row, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapper.commands.validate._processors", lambda: 1)
    rtl = write(tmp_path / "a.csv", [rtl_row()])
    file = write(tmp_path / "b.csv", [firesim_row(), firesim_row(**cells), firesim_row(kind="conv")])
    assert main(["validate", "--rtl", str(rtl), "--firesim", str(file)]) == 2
    printed = capsys.readouterr().out
    assert complaint in next(line for line in printed.splitlines() if line.startswith("firesim line 3 ("))
    assert "not run: 1 firesim rows: conv: convolutions are out of scope" in printed
    assert "FireSim matmul                 1 " in printed, "the first row was run"


@pytest.mark.parametrize("alone", [["--estimate"], ["--timeloop", "runs.json"]])
def test_the_patch_belongs_to_firesim_rows(alone: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *alone, "--without-patch"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "tilewright: --without-patch is for FireSim rows: give --firesim\n")
