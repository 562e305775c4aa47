"""``tilewright sweep``, ``results`` and ``reproduce`` as a user meets them."""

from __future__ import annotations

import csv
import json
import re
import shlex
import sqlite3
from pathlib import Path

import pytest

from mapper import cli
from mapper.sweep import run
from tests.mapper.sweep.points import counted, trivial_sweep
from tests.pages import page

SWEEP = "model: 24x16x40\nmachine: tiny_4x4\naxes:\n  dram.latency: [20, 40]\n  objective: [latency, energy]\n"


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh current directory, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("s.yaml").write_text(SWEEP)
    return tmp_path


def says(capsys: pytest.CaptureFixture[str], command: str, code: int = 0) -> str:
    """Run a command and return what it prints, on the screen or as a complaint."""
    assert cli.main(shlex.split(command)) == code
    printed = capsys.readouterr()
    return printed.out or printed.err


def test_the_example_of_the_rooms_own_page_is_read() -> None:
    from mapper.sweep import read_sweep

    Path("buffers.yaml").write_text(page("mapper/sweep/README.md").files()["buffers.yaml"])
    assert read_sweep("buffers.yaml").combinations == 12


def test_going_on_and_exports(capsys: pytest.CaptureFixture[str]) -> None:
    assert "4 computed of 4 points" in says(capsys, "sweep s.yaml --no-cache")
    assert not Path("cache").exists()
    assert "0 computed, 4 there before" in says(capsys, "sweep s.yaml")
    out = says(capsys, "results s.sqlite --where 'objective == energy' --out t.csv --out t.json --out t.parquet")
    assert "4 done, 0 failed" in out and "  latency  " not in out
    with Path("t.csv").open() as file:
        rows = list(csv.DictReader(file))
    document = json.loads(Path("t.json").read_text())
    assert [row["objective"] for row in rows] == ["energy", "energy"]
    assert [float(row["edp_js"]) for row in rows] == [row["edp_js"] for row in document["rows"]]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table("t.parquet").to_pylist()
    assert [row["cycles"] for row in table] == [int(row["cycles"]) for row in rows]


def test_pareto_and_order(capsys: pytest.CaptureFixture[str]) -> None:
    run(trivial_sweep(6), "t.sqlite", work=counted)
    lines = says(capsys, "results t.sqlite --pareto cycles,-half --sort=-cycles --columns row,cycles").splitlines()
    assert [line.split() for line in lines[3:]] == [[str(row), str(row - 1)] for row in range(6, 0, -1)]
    assert says(capsys, "results t.sqlite --pareto cycles --columns row").splitlines()[3:] == ["  1"]
    heading = says(capsys, "results t.sqlite --pareto cycles,-half").splitlines()[1]
    assert "half" in heading.split(), "what the front is about is shown"
    assert "2 more" in says(capsys, "results t.sqlite --rows 4")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("results none.sqlite", "no such store"),
        ("results t.sqlite --sort cycle", "unknown column 'cycle'; did you mean 'cycles'"),
        ("results t.sqlite --columns a", "unknown column 'a'"),
        ("results t.sqlite --pareto status", "no row has numbers in status"),
        ("results t.sqlite --where 'cycles'", "must be a comparison"),
        ("results t.sqlite --where 'cicles < 3'", "did you mean 'cycles'"),
        ("results t.sqlite --out t.txt", "must end with .csv, .json, .parquet"),
        ("results t.sqlite --rows -1", "--rows -1"),
        ("reproduce t.sqlite 77", "no row '77'; it has rows 1 to 6"),
        ("sweep none.yaml", "none.yaml: cannot be read"),
        ("sweep s.yaml --jobs 2 --dask tcp://a:1", "give one of them"),
        ("sweep s.yaml --jobs 0", "jobs: 0: must be 1 to"),
        ("sweep s.yaml --cache-size 1", "at least 1 MiB"),
        ("sweep s.yaml --cache-size 1 --no-cache", "no meaning with --no-cache"),
        ("sweep s.yaml --store s.yaml", "not an SQLite file"),
        ("sweep s.yaml --store none/s.sqlite", "no such"),
    ],
)
def test_complaints(capsys: pytest.CaptureFixture[str], command: str, message: str) -> None:
    run(trivial_sweep(6), "t.sqlite", work=counted)
    complaint = says(capsys, command, 2)
    assert message in complaint
    assert complaint.startswith("tilewright: ") and complaint.count("\n") == 1


def test_a_row_that_differs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    says(capsys, "sweep s.yaml")
    with sqlite3.connect("s.sqlite") as connection:
        changed = """UPDATE points SET metrics = replace(metrics, '"cycles": ', '"cycles": 1') WHERE row = 2"""
        connection.execute(changed)
    connection.close()
    assert "reproduced to the bit" in says(capsys, "reproduce s.sqlite 1")
    told = says(capsys, "reproduce s.sqlite 2", 1)
    assert re.search(r"^cycles: 1\d+ -> \d+$", told, flags=re.MULTILINE)


def test_a_failed_row_fails_again(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text("model: 8x8x8\nmachine: tiny_4x4\naxes: {accumulator.capacity: [3 B]}\n")
    assert "0 computed, 1 failed" in says(capsys, "sweep s.yaml", 1)
    assert "accumulator" in says(capsys, "results s.sqlite")
    assert "fails again: " in says(capsys, "reproduce s.sqlite 1")
