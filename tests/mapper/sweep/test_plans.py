"""Several sweeps in one store are told apart, a row finds its files from anywhere, and misspelt values are told."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from mapper import cli
from mapper.commands import point_progress
from mapper.errors import SweepError
from mapper.sweep import Progress, Store, Sweep, run
from mapper.sweep.definition import DEFAULT_MACHINE
from mapper.sweep.export import write_csv
from mapper.sweep.filters import read_filter
from mapper.sweep.reproduce import reproduce
from mapper.sweep.results import Table, filtered, table_of
from tests.mapper.sweep.points import counted, trivial_sweep

SWEEP = "model: 2x8x8x8\nmachine: m.yaml\nfinalists: 0\naxes: {dram.latency: [20]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a folder of a sweep and its machine."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/s.yaml").write_text(SWEEP)
    Path("in/m.yaml").write_text("extends: tiny_4x4\n")
    return tmp_path


def plans_of(path: Path | str) -> list[object]:
    with Store.to_read(path) as store:
        return table_of(store).column("plan")


def test_a_machine_file_that_changed_is_another_plan(folder: Path) -> None:
    """Both rows bear one name of a machine; going on with a sweep is no new plan."""
    run("in/s.yaml", "s.sqlite", work=counted)
    run("in/s.yaml", "s.sqlite", work=counted)
    assert plans_of("s.sqlite") == [1]
    Path("in/m.yaml").write_text("extends: tiny_4x4\nscratchpad: {capacity: 4 KiB}\n")
    run("in/s.yaml", "s.sqlite", work=counted)
    assert plans_of("s.sqlite") == [1, 2]


def test_points_that_a_later_sweep_asks_for_are_its_own(tmp_path: Path) -> None:
    run(trivial_sweep(4), tmp_path / "s.sqlite", work=counted)
    run(trivial_sweep(2), tmp_path / "s.sqlite", work=counted)
    assert plans_of(tmp_path / "s.sqlite") == [2, 2, 1, 1]


def test_results_say_that_there_are_several_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(trivial_sweep(4), "s.sqlite", work=counted)
    assert cli.main(["results", "s.sqlite"]) == 0
    assert "plan" not in capsys.readouterr().out
    run(trivial_sweep(2), "s.sqlite", work=counted)
    assert cli.main(["results", "s.sqlite"]) == 0
    assert "rows of 2 sweeps" in capsys.readouterr().out


def test_a_store_without_plans_is_read_and_gone_on_with(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    run(trivial_sweep(2), store, work=counted)
    with sqlite3.connect(store) as connection:
        connection.execute("ALTER TABLE points DROP COLUMN plan")
        connection.execute("DELETE FROM about WHERE name LIKE 'plan%'")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert plans_of(store) == [1, 1]
    assert run(trivial_sweep(3), store, work=counted).skipped == 2
    assert plans_of(store) == [1, 1, 1]


def test_a_row_is_reproduced_from_another_folder_and_after_a_move(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("in/s.yaml", "s.sqlite")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    again = reproduce("../s.sqlite", "1")
    assert again.is_same_point and not again.differences
    for name in ("in", "s.sqlite"):
        (folder / name).rename(folder / "elsewhere" / name)
    assert not reproduce("s.sqlite", "1").differences


@pytest.mark.parametrize("word", ["edpp", "enrgy"])
def test_a_misspelt_value_of_a_filter_is_told(word: str) -> None:
    with pytest.raises(SweepError, match=f"objective is never {word}; did you mean 'e"):
        Sweep.of("8x8x8", axes={"objective": ["energy", "edp"]}, filters=[f"objective != {word}"])


def test_a_misspelt_value_of_a_column_is_told() -> None:
    table = Table(("status", "machine"), (("done", "gemmini"),))
    for condition, near in (("status == faild", "failed"), ("machine == gemini", "gemmini")):
        with pytest.raises(SweepError, match=f"did you mean '{near}'"):
            filtered(table, [condition])
    assert not filtered(table, ["status == failed"]).rows
    assert not filtered(table, ["machine == other"]).rows


def test_only_words_that_are_compared_for_equality_can_be_misspelt() -> None:
    names = frozenset({"machine", "a"})
    assert list(read_filter("machine == x or 'y' != machine or a < b or a == 3", names).texts()) == [
        ("machine", "x"), ("machine", "y"),
    ]  # fmt: skip


def test_no_cell_of_a_csv_is_a_formula_or_steers_a_terminal(tmp_path: Path) -> None:
    cells = ("=1+1", "+1", "-1", "@x", "\x1b[2Jx", "a\nb", -1, 2.5, None, "plain")
    write_csv(Table(tuple(f"c{number}" for number in range(len(cells))), (cells,)), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == [
            "'=1+1", "'+1", "'-1", "'@x", "\\x1b[2Jx", "a\\nb", "-1", "2.5", "", "plain",
        ]  # fmt: skip


def test_no_name_in_a_store_steers_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(trivial_sweep(2), "s.sqlite", work=counted)
    with sqlite3.connect("s.sqlite") as connection:
        (point,) = connection.execute("SELECT point FROM points WHERE row = 1").fetchone()
        changed = json.loads(point) | {"machine": "\x1b[2Jm", "values": {"\x1b[31mseed": "\x1b]0;x\x07"}}
        connection.execute("UPDATE points SET point = ? WHERE row = 1", (json.dumps(changed),))
    connection.close()
    assert cli.main(["results", "s.sqlite"]) == 0
    cli.main(["reproduce", "s.sqlite", "1"])
    printed = capsys.readouterr()
    assert "\\x1b[2Jm" in printed.out
    assert "\x1b" not in printed.out + printed.err


def test_a_sweep_of_which_nothing_ever_ran_is_no_success(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.yaml").write_text("model: 8x8x8\nmachine: tiny_4x4\naxes: {accumulator.capacity: [3 B, 5 B]}\n")
    assert cli.main(["sweep", "f.yaml"]) == 1
    assert cli.main(["sweep", "f.yaml"]) == 1
    assert cli.main(["sweep", "f.yaml", "--quiet", "--retry-failed"]) == 1
    assert capsys.readouterr().out.count("f.sqlite: ") == 2


def test_a_line_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(point_progress.time, "monotonic", lambda: now[0])
    with point_progress.point_progress(100, quiet=False) as told:
        for done in range(1, 61):
            now[0] += 1.0
            told(Progress(100, done=done, failed=0))
    assert capsys.readouterr().err.splitlines() == [
        "tilewright: 30 of 100 points, 60 per minute, 1 min left",
        "tilewright: 60 of 100 points, 60 per minute, 1 min left",
    ]
    with point_progress.point_progress(100, quiet=True) as told:
        now[0] += 100.0
        told(Progress(100, done=70))
    assert capsys.readouterr().err == ""


def test_the_default_machine_is_that_of_a_run() -> None:
    from mapper.commands.machines import RUN_MACHINE

    assert DEFAULT_MACHINE == RUN_MACHINE
